//! Bytes as a value: it has one encoding, comes back from JSON, postcard and types, and types
//! are made of it in the same way wherever it is.

mod any;

use std::fmt::Debug;

use blaze_codec::binary::{decode_value, decode_varint, encode_value, encode_varint};
use blaze_codec::typed::{self, TypedErrorKind};
use blaze_codec::view::{BatchRef, ChangeRef};
use blaze_codec::{
    Change, DecodeError, Name, Operation, Record, RecordKey, Value, Version, batch, record,
};
use serde::Deserialize;

use self::any::Any;

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

/// What making a value of bytes by serde may take, which reads them twice: the list of an
/// array grows in the same way, and that of a map's names, too.
const TYPED: Bound = Bound { what: "making a type of bytes", ..DECODE };

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
    let decoded = DECODE.hold(bytes.len(), || decode_value(bytes));
    let typed = TYPED.hold(bytes.len(), || typed::from_bytes::<Value>(bytes));
    let (value, length) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return is_refused(bytes, &error),
    };
    assert_eq!(encoded(&value), bytes[..length], "{value:?}");
    assert_eq!(value.check(), Ok(()), "what decodes can't be stored: {value:?}");
    match bytes.len() - length {
        0 => assert_eq!(typed.as_ref(), Ok(&value)),
        count => is_refused(bytes, &DecodeError::Trailing { count }),
    }
    comes_back(&value);
}

/// No type is made of bytes that aren't a value, and all of them say why.
fn is_refused(bytes: &[u8], error: &DecodeError) {
    fn made<'de, T: Deserialize<'de> + Debug>(bytes: &'de [u8], error: &DecodeError) {
        let refused = typed::from_bytes::<T>(bytes).expect_err("it isn't a value");
        let same = matches!(refused.kind(), TypedErrorKind::Decode(found) if found == error);
        assert!(same, "{refused:?} of what can't be decoded because of {error:?}");
    }
    made::<Value>(bytes, error);
    made::<Any<'_>>(bytes, error);
    made::<serde_json::Value>(bytes, error);
    made::<serde::de::IgnoredAny>(bytes, error);
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
    let mut typed = Vec::new();
    typed::to_bytes(value, &mut typed).expect("a value is one");
    assert_eq!(typed, bytes);
    types(value, &bytes);

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

/// Types are the same whether they are made of a value, of its bytes, or of it in a batch.
fn types(value: &Value, bytes: &[u8]) {
    let any: Any<'_> = typed::from_bytes(bytes).expect("anything is read");
    assert!(any.is_borrowed_from(bytes), "{any:?} was copied");
    assert_eq!(typed::from_value::<Any<'_>>(value).as_ref(), Ok(&any));
    let json = typed::from_bytes::<serde_json::Value>(bytes);
    assert_eq!(typed::from_value::<serde_json::Value>(value), json);

    let record = record! { "value" => value.clone() };
    if record.check().is_err() {
        return;
    }
    let operation = Operation {
        collection: Name::new("c").expect("a name"),
        key: RecordKey::Int(0),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(record),
    };
    // One is by rows, and four are by columns.
    for count in [1, 4] {
        let mut encoded = Vec::new();
        batch::encode(&vec![operation.clone(); count], &mut encoded);
        let batch = BatchRef::new(&encoded).expect("what was encoded decodes");
        for read in &batch {
            let ChangeRef::Insert(record) = read.change() else { panic!("{read:?}") };
            let field = record.get("value").expect("it has the field");
            let made: Any<'_> = typed::from_value_ref(field).expect("anything is read");
            assert!(made == any && made.is_borrowed_from(&encoded), "{made:?} of {any:?}");
            assert_eq!(typed::from_value_ref::<serde_json::Value>(field), json);
            assert_eq!(typed::from_value_ref::<Value>(field).as_ref(), Ok(value));
            let Ok(Any::Map(fields)) = typed::from_record_ref(record) else { panic!("{read:?}") };
            assert_eq!(fields.len(), 1);
            assert_eq!(fields[0].1, any);
        }
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
            let read = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(read.is_ok(), is_read, "{depth}");
        }
    }

    #[test]
    fn brackets_count_outside_of_texts() {
        assert_eq!(json_depth(r#"{"a[[": [1, {"b\"{{": []}]}"#), 4);
        assert_eq!(json_depth("7"), 0);
    }
}
