//! Integers that no integer type here holds, which JSON's reader makes floats of.

/// A sentence if a JSON text has an integer that would be changed.
pub(crate) fn problem(json: &[u8]) -> Option<String> {
    let integer = beyond_64_bits(json)?;
    Some(format!("{integer} is beyond 64 bits; put it in quotes to keep it as a text"))
}

/// The first integer of a JSON text that is beyond 64 bits. As a float it would lose
/// its last digits in silence.
pub(super) fn beyond_64_bits(json: &[u8]) -> Option<&str> {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = after_text(json, at + 1),
            b'-' | b'0'..=b'9' => {
                let is_number =
                    |byte: &u8| matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = json[at..].iter().take_while(|byte| is_number(byte)).count();
                let number = str::from_utf8(&json[at..at + length]).ok()?;
                let digits = number.strip_prefix('-').unwrap_or(number);
                let integer = digits.bytes().all(|byte| byte.is_ascii_digit());
                // Eighteen digits always fit, and `-` alone is not ours to refuse.
                if integer && digits.len() > 18 && number.parse::<i64>().is_err() {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// Where a text ends that began before this place.
fn after_text(json: &[u8], mut at: usize) -> usize {
    while at < json.len() {
        match json[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_that_do_not_fit_are_found() {
        for (json, found) in [
            (r#"{"a":9223372036854775808}"#, Some("9223372036854775808")),
            (r#"[1,{"b":-99999999999999999999}]"#, Some("-99999999999999999999")),
            (r#"{"a":9223372036854775807,"b":-9223372036854775808}"#, None),
            (r#"{"a":"99999999999999999999","\"99999999999999999999":1}"#, None),
            (r#"{"a":99999999999999999999.5,"b":99999999999999999999e1}"#, None),
            (r#"{"a":"unfinished\"#, None),
            ("-", None),
        ] {
            assert_eq!(beyond_64_bits(json.as_bytes()), found, "{json}");
        }
    }
}
