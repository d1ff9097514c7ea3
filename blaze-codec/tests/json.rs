//! Values as JSON and as other formats' bytes.

mod common;

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
    fn binary_formats_are_lossless(value in common::value(), record in common::record()) {
        let bytes = postcard::to_stdvec(&(&value, &record)).unwrap();
        let decoded: (Value, Record) = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(decoded, (value, record));
    }
}

#[test]
fn the_forms_are_as_documented() {
    let uuid = Uuid::from_u128(1);
    let reserved = Value::Map([(Name::new("$a").unwrap(), 1.into())].into());
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
        (reserved, json!({ "$map": { "$a": 1 } })),
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
