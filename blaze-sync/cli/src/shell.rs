//! Arguments in commands that users are told to run, as a shell takes them.

use std::path::Path;

/// The text as one argument, quoted if it has to be.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:,@%".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The path as one argument, which isn't taken for an option.
pub(crate) fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { quoted(&format!("./{text}")) } else { quoted(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        for plain in ["notes.blaze", "/home/ü/a-b_c", "tls://192.168.0.7:7117"] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(quoted("my notes"), "'my notes'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("tls://[::1]:7117"), "'tls://[::1]:7117'");
        assert_eq!(quoted(""), "''");
        assert_eq!(path(Path::new("-x y")), "'./-x y'");
    }
}
