//! Values as JSON and as other formats' bytes.

mod common;

use blaze_codec::limits::DEPTH_MAX;
use blaze_codec::{Name, Record, RecordKey, Timestamp, Uuid, Value, record};
use proptest::prelude::*;
use serde_json::json;

proptest! {
    #[test]
    fn json_is_lossless(value in common::value(), record in common::record()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value, "{}", text);
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{}", text);
    }

    #[test]
    fn floats_are_lossless_bit_by_bit(bits in any::<u64>(), payload in 0_u64..1 << 52) {
        let nan = f64::from_bits(payload | 0x7ff0_0000_0000_0000);
        for float in [f64::from_bits(bits), nan, -nan, 0.0, -0.0, f64::MIN_POSITIVE / 3.0] {
            let text = serde_json::to_string(&Value::Float(float)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Float(float));
        }
    }

    #[test]
    fn any_names_are_lossless(names in prop::collection::btree_set("[$a-c]{1,5}", 0..6)) {
        let names = names.into_iter().map(|text| Name::new(&text).unwrap());
        let record: Record = names.map(|name| (name, 1.into())).collect();
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{}", text);
    }

    #[test]
    fn binary_formats_are_lossless(value in common::value(), record in common::record()) {
        let bytes = postcard::to_stdvec(&(&value, &record)).unwrap();
        let decoded: (Value, Record) = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(decoded, (value, record));
    }
}

#[test]
fn the_forms_are_as_documented() {
    let uuid = Uuid::from_u128(1);
    let reserved = record! { "$a" => 1, "$$b" => record! { "$hex" => 2 }, "c$" => 3, "$" => 4 };
    let cases = [
        (Value::Null, json!(null)),
        (true.into(), json!(true)),
        (7.into(), json!(7)),
        (7.0.into(), json!(7.0)),
        ("text".into(), json!("text")),
        (vec![0_u8, 255].into(), json!({ "$hex": "00ff" })),
        (uuid.into(), json!({ "$uuid": "00000000-0000-0000-0000-000000000001" })),
        (Timestamp(-5).into(), json!({ "$timestamp": -5 })),
        (f64::INFINITY.into(), json!({ "$float": "inf" })),
        (f64::NEG_INFINITY.into(), json!({ "$float": "-inf" })),
        (f64::NAN.into(), json!({ "$float": "NaN" })),
        (f64::from_bits(0xfff8_0000_0000_0001).into(), json!({ "$float": "nan:fff8000000000001" })),
        (vec![Value::Null].into(), json!([null])),
        (reserved.into(), json!({ "$$a": 1, "$$$b": { "$$hex": 2 }, "c$": 3, "$$": 4 })),
    ];
    for (value, expected) in cases {
        assert_eq!(serde_json::to_value(&value).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Value>(expected).unwrap(), value);
    }
    assert_eq!(serde_json::to_string(&record! { "whole" => 3.0 }).unwrap(), r#"{"whole":3.0}"#);
}

#[test]
fn keys_and_timestamps_stand_alone() {
    for key in [RecordKey::unique(), 7.into(), "k".into(), RecordKey::Bytes(vec![1])] {
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<RecordKey>(&text).unwrap(), key);
        assert_eq!(postcard::from_bytes(&postcard::to_stdvec(&key).unwrap()), Ok(key));
    }
    assert_eq!(serde_json::to_string(&Timestamp(5)).unwrap(), r#"{"$timestamp":5}"#);
    let long = format!("{:?}", "x".repeat(RecordKey::BYTES_MAX + 1));
    assert!(serde_json::from_str::<RecordKey>(&long).is_err());
    assert!(serde_json::from_str::<Name>(r#""""#).is_err());
}

#[test]
fn json_that_says_something_else_is_refused() {
    let cases = [
        ("9223372036854775808", "64 signed bits"),
        (r#"{"$hex": "0"}"#, "even number"),
        (r#"{"$hex": "0g"}"#, "even number"),
        (r#"{"$uuid": "x"}"#, "UUID"),
        (r#"{"$timestamp": 1.5}"#, "floating point"),
        (r#"{"$float": "1.5"}"#, "-inf"),
        (r#"{"$float": "nan:3ff0000000000000"}"#, "-inf"),
        (r#"{"$ref": 1}"#, "reserved"),
        (r#"{"$": 1}"#, "reserved"),
        (r#"{"$$a": 1, "$$a": 1}"#, "twice"),
        (r#"{"$$a": 1, "$hex": "00"}"#, "only one"),
        (r#"{"$hex": "00", "$$a": 1}"#, "only one"),
        (r#"{"$hex": "00", "a": 1}"#, "only one"),
        (r#"{"a": 1, "$hex": "00"}"#, "only one"),
        (r#"{"a": 1, "a": 1}"#, "twice"),
        (r#"{"": 1}"#, "at least 1 byte"),
    ];
    for (text, part) in cases {
        let error = serde_json::from_str::<Value>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(serde_json::from_str::<Record>("[1]").unwrap_err().to_string().contains("record"));
}

/// Levels of arrays and maps, the innermost empty, around what takes an object of its own.
fn nested(depth: usize, name: &str, inner: Option<Value>) -> Value {
    let map = |value| Value::Map([(Name::new(name).unwrap(), value)].into());
    let empty =
        || if depth.is_multiple_of(2) { Value::Array(vec![]) } else { Record::new().into() };
    let (inner, depth) = inner.map_or_else(|| (empty(), depth - 1), |inner| (inner, depth));
    (0..depth).fold(inner, |inner, level| match level % 3 {
        0 => vec![inner].into(),
        _ => map(inner),
    })
}

#[test]
fn json_is_as_deep_as_values() {
    let leaves = [None, Some(Value::Null), Some(vec![1_u8].into()), Some(Timestamp(1).into())];
    for (name, leaf) in
        ["a", "$a"].into_iter().flat_map(|name| leaves.clone().map(|leaf| (name, leaf)))
    {
        let deepest = nested(DEPTH_MAX, name, leaf.clone());
        assert_eq!(deepest.check(), Ok(()));
        let text = serde_json::to_string(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), deepest);
        let record = record! { "f" => deepest };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);

        let beyond = nested(DEPTH_MAX + 1, name, leaf);
        let text = serde_json::to_string(&beyond).unwrap();
        let error = serde_json::from_str::<Value>(&text).unwrap_err().to_string();
        assert!(error.contains("nesting depth of 65 exceeds the limit of 64"), "{error}");
        let text = serde_json::to_string(&record! { "f" => beyond }).unwrap();
        let error = serde_json::from_str::<Record>(&text).unwrap_err().to_string();
        assert!(error.contains("nesting depth of 65 exceeds the limit of 64"), "{error}");
    }
}
