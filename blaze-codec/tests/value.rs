//! Values and varints: one encoding each.

mod common;

use blaze_codec::binary::{
    FORMAT_VERSION, decode_value, decode_varint, encode_value, encode_varint,
};
use blaze_codec::limits::{DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX};
use blaze_codec::{
    Change, DecodeError, Name, Operation, Record, RecordKey, Value, ValueError, Version,
};
use proptest::prelude::*;

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn values_come_back(value in common::value(), rest in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut bytes = encode(&value);
        let len = bytes.len();
        bytes.extend_from_slice(&rest);
        prop_assert_eq!(decode_value(&bytes), Ok((value, len)));
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok((value, len)) = decode_value(&bytes) {
            prop_assert_eq!(encode(&value), &bytes[..len]);
        }
    }

    #[test]
    fn varints_come_back(number in any::<u64>(), shift in 0_u32..64) {
        let number = number >> shift;
        let mut bytes = Vec::new();
        encode_varint(number, &mut bytes);
        prop_assert_eq!(decode_varint(&bytes), Ok((number, bytes.len())));
    }

    #[test]
    fn any_varint_is_refused_or_the_shortest(bytes in prop::collection::vec(prop::sample::select(
        vec![0_u8, 1, 0x7f, 0x80, 0xff]), 0..12))
    {
        if let Ok((number, len)) = decode_varint(&bytes) {
            let mut again = Vec::new();
            encode_varint(number, &mut again);
            prop_assert_eq!(&again, &bytes[..len]);
        }
    }
}

/// Memory for more fields than these isn't reserved ahead.
#[test]
fn maps_of_many_fields_come_back() {
    for fields in [0, 1, 100, 1_000] {
        let name = |number| Name::new(&format!("{number:04}")).unwrap();
        let map: Record = (0..fields).map(|number| (name(number), number.into())).collect();
        let bytes = encode(&map.clone().into());
        assert_eq!(decode_value(&bytes), Ok((map.into(), bytes.len())));
        if fields > 0 {
            assert!(decode_value(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

#[test]
fn long_forms_of_short_things_are_refused() {
    let cases: [&[u8]; 8] = [
        &[0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        &[0x03, 0x02],
        &[0x05, 0x01, b'a'],
        &[0x06, 0x01, 0],
        &[0x09, 0x01, 0],
        &[0x0a, 0x01, 0x01, b'a', 0],
        &[0x22, 1, b'b', 0, 1, b'a', 0],
    ];
    for (at, bytes) in cases.into_iter().enumerate() {
        let error = if at < 2 { decode_varint(bytes).err() } else { decode_value(bytes).err() };
        assert!(matches!(error, Some(DecodeError::Malformed { .. })), "{bytes:x?}: {error:?}");
    }
}

#[test]
fn a_value_of_a_later_format_is_named() {
    let error = |bytes: &[u8]| decode_value(bytes).unwrap_err();
    let later = DecodeError::LaterFormat { needed: 2, known: FORMAT_VERSION };
    assert_eq!(error(&[0x0b, 2, 0]), later);
    assert_eq!(error(&[0x11, 0x0b, 2, 3, 1, 2, 3]), later);
    assert_eq!(
        later.to_string(),
        "a value needs format version 2, but 1 is the newest known; update Blaze"
    );
    // Of a version that is known it has a tag of its own.
    for version in 0..=FORMAT_VERSION {
        assert!(matches!(error(&[0x0b, version, 0]), DecodeError::Malformed { .. }));
    }
    for cut in [&[0x0b][..], &[0x0b, 2], &[0x0b, 2, 1]] {
        assert!(matches!(error(cut), DecodeError::Truncated { .. }));
    }
    assert!(matches!(error(&[0x0b, 2, 0x80, 0]), DecodeError::Malformed { .. }));
    assert!(matches!(error(&[0x0b, 2, 0xff, 0xff, 0xff, 0x7f]), DecodeError::Limit { .. }));
}

#[test]
fn an_unknown_tag_is_named() {
    for tag in 0x0c..=0x0f {
        assert_eq!(decode_value(&[0x11, tag]), Err(DecodeError::UnknownTag { tag, at: 1 }));
    }
}

/// Whatever the check lets through decodes, and nothing beyond it does: both
/// sides of each limit.
fn assert_limit(within: &Value, beyond: &Value) {
    assert_eq!(within.check(), Ok(()));
    assert!(decode_value(&encode(within)).is_ok());
    let Err(ValueError::Limit { what: checked, max: allowed, .. }) = beyond.check() else {
        panic!("the check lets too much through")
    };
    let Err(DecodeError::Limit { what, found, max }) = decode_value(&encode(beyond)) else {
        panic!("decoding lets too much through")
    };
    assert_eq!((what, max), (checked, allowed as u64));
    assert!(found > max);
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, level| match level % 2 {
        0 => Value::Array(vec![inner]),
        _ => Value::Map([(Name::new("in").unwrap(), inner)].into()),
    })
}

#[test]
fn depth_is_limited() {
    assert_limit(&nested(DEPTH_MAX), &nested(DEPTH_MAX + 1));
}

#[test]
fn a_deeper_value_is_checked_without_descending_to_its_end() {
    let deep = vec![0x11; 1_000_000];
    assert!(matches!(decode_value(&deep), Err(DecodeError::Limit { max: 64, .. })));
}

#[test]
fn values_are_limited() {
    let nulls = |count| Value::Array(vec![Value::Null; count]);
    assert_limit(&nulls(VALUES_MAX - 1), &nulls(VALUES_MAX + 1));
    let two = |count| Value::Array(vec![nulls(count), nulls(count)]);
    assert_limit(&two(VALUES_MAX / 2 - 2), &two(VALUES_MAX / 2));
}

#[test]
fn fields_are_limited() {
    let map = |count: usize| {
        let names = (0..count).map(|number| Name::new(&number.to_string()).unwrap());
        Value::Map(names.map(|name| (name, Value::Null)).collect())
    };
    assert_limit(&map(FIELDS_MAX), &map(FIELDS_MAX + 1));
}

#[test]
fn bytes_are_limited() {
    // Tag and length take 5 bytes.
    let text = |bytes| Value::from("x".repeat(bytes));
    assert_limit(&text(RECORD_BYTES_MAX - 5), &text(RECORD_BYTES_MAX - 4));
}

#[test]
fn a_record_is_limited_as_a_whole() {
    let half = || Value::from(vec![0_u8; RECORD_BYTES_MAX / 2]);
    let mut record = Record::new();
    record.set("one", half()).unwrap();
    assert_eq!(record.check(), Ok(()));
    record.set("two", half()).unwrap();
    assert!(matches!(record.check(), Err(ValueError::Limit { .. })));
}

#[test]
fn an_operation_with_a_long_key_or_unsorted_fields_is_refused() {
    let name = |name| Name::new(name).unwrap();
    let mut operation = Operation {
        collection: name("notes"),
        key: RecordKey::Text("x".repeat(RecordKey::BYTES_MAX)),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Update(vec![(name("a"), None), (name("b"), None)]),
    };
    assert_eq!(operation.check(), Ok(()));
    operation.change = Change::Update(vec![(name("b"), None), (name("b"), None)]);
    assert_eq!(operation.check(), Err(ValueError::FieldOrder { field: name("b") }));
    operation.key = RecordKey::Text("x".repeat(RecordKey::BYTES_MAX + 1));
    assert!(matches!(operation.check(), Err(ValueError::Key(_))));
}
