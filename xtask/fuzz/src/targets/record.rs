//! Bytes as a value: it has one encoding, and comes back from JSON, postcard and types.

use blaze_codec::binary::{decode_value, decode_varint, encode_value, encode_varint};
use blaze_codec::{Record, RecordKey, Value, record, typed};

use super::batch::RESERVED;
use crate::bound::Bound;
use crate::make;
use crate::source::Source;

/// What decoding a value may take: an element of an array takes a byte, and 32 decoded; the
/// list that it is pushed to has room for as many again, and while it grows its old room
/// counts, too.
pub(super) const DECODE: Bound =
    Bound { what: "decoding a value", per_byte: 3 * size_of::<Value>(), fixed: RESERVED };

/// What reading JSON may take: an element takes two bytes there.
const JSON: Bound = Bound { what: "reading JSON", per_byte: 128, fixed: RESERVED };

/// How deep serde's JSON may be nested; a map whose names are reserved takes two levels.
const JSON_DEPTH_MAX: usize = 127;

/// The first byte tells what the rest is.
pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 4 {
        0 | 1 => binary(bytes),
        2 => json(bytes),
        _ => {
            let value = make::value(&mut Source::new(bytes), 0);
            assert_eq!(value.check(), Ok(()), "{value:?}");
            comes_back(&value);
        }
    }
}

fn binary(bytes: &[u8]) {
    if let Ok((number, length)) = decode_varint(bytes) {
        let mut again = Vec::new();
        encode_varint(number, &mut again);
        assert_eq!(again, bytes[..length]);
    }
    if let Ok(key) = RecordKey::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes);
    }
    let Ok((value, length)) = DECODE.hold(bytes.len(), || decode_value(bytes)) else { return };
    assert_eq!(encoded(&value), bytes[..length], "{value:?}");
    assert_eq!(value.check(), Ok(()), "what decodes can't be stored: {value:?}");
    comes_back(&value);
}

fn json(bytes: &[u8]) {
    let read = JSON.hold(bytes.len(), || serde_json::from_slice::<Value>(bytes));
    let Ok(value) = read else { return };
    if value.check().is_ok() {
        comes_back(&value);
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, &mut bytes);
    bytes
}

/// Through each form that a value has.
fn comes_back(value: &Value) {
    let bytes = encoded(value);
    assert_eq!(decode_value(&bytes), Ok((value.clone(), bytes.len())));

    let text = serde_json::to_string(value).expect("a value is JSON");
    if json_depth(&text) <= JSON_DEPTH_MAX {
        let back: Value = serde_json::from_str(&text).expect("JSON of a value is one");
        assert_eq!(back, *value, "{text}");
    }
    let bytes = postcard::to_stdvec(value).expect("a value is postcard");
    assert_eq!(postcard::from_bytes::<Value>(&bytes), Ok(value.clone()));

    let record = match value {
        Value::Map(record) => record.clone(),
        value => record! { "value" => value.clone() },
    };
    // A value that isn't a map lies one level deeper there.
    if record.check().is_ok() {
        let typed = typed::to_record(&record).expect("a record is one");
        assert_eq!(typed, record);
        let back: Record = typed::from_record(&record).expect("a record is one");
        assert_eq!(back, record);
    }
}

/// How many brackets of JSON lie within one another.
fn json_depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_deep_as_it_says() {
        for (depth, is_read) in [(JSON_DEPTH_MAX, true), (JSON_DEPTH_MAX + 1, false)] {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            assert_eq!(json_depth(&text), depth);
            assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), is_read, "{depth}");
        }
    }

    #[test]
    fn brackets_count_outside_of_texts() {
        assert_eq!(json_depth(r#"{"a[[": [1, {"b\"{{": []}]}"#), 4);
        assert_eq!(json_depth("7"), 0);
    }
}
