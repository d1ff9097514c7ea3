//! What policies are called.

/// The longest name of a policy, in bytes.
pub const POLICY_NAME_BYTES_MAX: usize = 64;

/// Why a policy can't be called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no name for a policy: one has 1 to {POLICY_NAME_BYTES_MAX} characters, which are \
     letters from a to z, digits, `-`, `_` and `.`"
)]
pub struct PolicyNameError {
    /// The name that was given.
    pub name: String,
}

/// Checks that a policy can be called so: such a name stands in files, in tickets and among
/// arguments, beside what else is said of a peer.
///
/// # Errors
///
/// [`PolicyNameError`] if it can't.
pub fn check_policy_name(name: &str) -> Result<(), PolicyNameError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=POLICY_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_part);
    if is_name { Ok(()) } else { Err(PolicyNameError { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_has_nothing_that_parts_it_from_others() {
        for name in ["a", "Anna-2", "for_all.v1", "-", &"x".repeat(64)] {
            check_policy_name(name).unwrap();
        }
        for name in ["", "a b", "a:b", "a=b", "a,b", "\u{1b}[0m", "ä", "a\n", &"x".repeat(65)] {
            let error = check_policy_name(name).unwrap_err();
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
        }
    }
}
