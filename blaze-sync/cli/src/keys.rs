//! Keys as text: one way to write a key, on the command line, in JSON and in CSV.

use blaze_sync::{RecordKey, Value};

use crate::output::{is_printable, printable_json};

/// The key that a text means: a UUID, an integer, or else the text itself. In JSON,
/// `"42"` is the text 42 and `{"$hex": "00ff"}` are bytes.
///
/// # Errors
///
/// A sentence if the text is too long for a key.
pub(crate) fn parse(text: &str) -> Result<RecordKey, String> {
    if text.starts_with(['"', '{'])
        && let Ok(key) = serde_json::from_str(text)
    {
        return Ok(key);
    }
    text.parse().map_err(|error: <RecordKey as std::str::FromStr>::Err| error.to_string())
}

/// The text by which [`parse`] finds a key again. It is one line that can be printed:
/// a key with a line break in it is written as JSON, as it would be two keys otherwise.
pub(crate) fn to_text(key: &RecordKey) -> String {
    let plain = key.to_string();
    let shows = !plain.is_empty() && plain.chars().all(is_printable);
    if shows && parse(&plain).as_ref() == Ok(key) {
        return plain;
    }
    printable_json(&serde_json::to_string(key).expect("a key is JSON"))
}

/// The key that a field's value makes; a text is the key as it is, and not [`parse`]d.
///
/// # Errors
///
/// A sentence if a value of this kind can't be a key.
pub(crate) fn of_value(value: &Value) -> Result<RecordKey, String> {
    match value {
        Value::Text(text) => Ok(RecordKey::from(text.as_str())),
        Value::Int(int) => Ok(RecordKey::Int(*int)),
        Value::Uuid(uuid) => Ok(RecordKey::Uuid(*uuid)),
        Value::Bytes(bytes) => Ok(RecordKey::Bytes(bytes.to_vec())),
        other => Err(format!("a key can be a text, an integer or a UUID, not {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again() {
        let uuid = RecordKey::unique();
        for key in [
            uuid.clone(),
            RecordKey::Int(-7),
            "hello".into(),
            "".into(),
            "42".into(),
            "042".into(),
            uuid.to_string().as_str().into(),
            uuid.to_string().to_uppercase().as_str().into(),
            "\"42\"".into(),
            "{\"$hex\": \"00\"}".into(),
            "{not json".into(),
            "two\nlines".into(),
            "a\tb\r\u{1b}[2J\u{9b}".into(),
            "\u{202e}\u{e0001}".into(),
            RecordKey::Bytes(vec![0, 255]),
        ] {
            let text = to_text(&key);
            assert_eq!(parse(&text), Ok(key.clone()), "{key:?}");
            assert!(text.chars().all(is_printable), "{text:?}");
        }
    }

    #[test]
    fn what_a_person_types_is_written_as_it_is() {
        for text in ["hello", "42", "-7", "042", "01900000-0000-7000-8000-000000000000"] {
            assert_eq!(to_text(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("42"), Ok(RecordKey::Int(42)));
        assert_eq!(parse("\"42\""), Ok("42".into()));
    }
}
