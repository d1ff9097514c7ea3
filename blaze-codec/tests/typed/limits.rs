//! What breaks a limit is refused while it is written and while it is read.

use std::collections::BTreeMap;

use blaze_codec::limits::{DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX};
use blaze_codec::typed::{TypedError, TypedErrorKind, from_bytes, to_bytes, to_record, to_value};
use blaze_codec::{DecodeError, Name, Value, ValueError, record};
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};

use crate::encoded;

/// The limit that an error names, and what it allows.
fn limit(error: &TypedError) -> (&'static str, u64) {
    match *error.kind() {
        TypedErrorKind::Value(ValueError::Limit { what, max, .. }) => (what, max as u64),
        TypedErrorKind::Decode(DecodeError::Limit { what, max, .. }) => (what, max),
        _ => panic!("{error}"),
    }
}

/// Of two values, one at a limit and one beyond it, each as a type of serde's own and as a
/// value of ours, the first is written and read, and the second refused.
fn assert_limit<T: Serialize>(type_of: impl Fn(bool) -> (T, Value)) {
    let (data, value) = type_of(false);
    assert_eq!(value.check(), Ok(()));
    let mut bytes = Vec::new();
    to_bytes(&data, &mut bytes).unwrap();
    assert!(bytes == encoded(&value), "other bytes");
    assert!(to_value(&data) == Ok(value.clone()), "another value");
    assert!(to_value(&value) == Ok(value), "another value");
    assert_eq!(from_bytes::<IgnoredAny>(&bytes), Ok(IgnoredAny));
    assert!(from_bytes::<Value>(&bytes).is_ok());

    let (data, value) = type_of(true);
    let Err(ValueError::Limit { what, max, .. }) = value.check() else { panic!("not beyond") };
    let expected = (what, max as u64);
    assert_eq!(limit(&to_bytes(&data, &mut Vec::new()).unwrap_err()), expected);
    assert_eq!(limit(&to_bytes(&value, &mut Vec::new()).unwrap_err()), expected);
    assert_eq!(limit(&to_value(&data).unwrap_err()), expected);
    assert_eq!(limit(&from_bytes::<IgnoredAny>(&encoded(&value)).unwrap_err()), expected);
    assert_eq!(limit(&from_bytes::<Value>(&encoded(&value)).unwrap_err()), expected);
}

/// Arrays within one another by serde's own calls.
struct Nested(usize);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_unit(),
            depth => [Self(depth - 1)].serialize(serializer),
        }
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| vec![inner].into())
}

#[test]
fn depth() {
    assert_limit(|beyond| {
        let depth = DEPTH_MAX + usize::from(beyond);
        (Nested(depth), nested(depth))
    });
    // The path leads to the first that is too deep.
    let error = to_value(&record! { "a" => nested(DEPTH_MAX) }).unwrap_err();
    assert_eq!(limit(&error), ("nesting depth", 64));
    let error = to_value(&Nested(1_000)).unwrap_err();
    assert_eq!(error.path(), "[0]".repeat(DEPTH_MAX));
    // A record's own fields aren't within anything.
    let record = record! { "a" => nested(DEPTH_MAX) };
    assert_eq!(to_record(&record), Ok(record));
    let fields = BTreeMap::from([("a", Nested(DEPTH_MAX))]);
    assert!(to_record(&fields).is_ok());
    let fields = BTreeMap::from([("a", Nested(DEPTH_MAX + 1))]);
    assert_eq!(limit(&to_record(&fields).unwrap_err()), ("nesting depth", 64));
    assert!(to_value(&fields).is_err());
}

#[test]
fn the_map_of_a_variant_counts_as_nesting() {
    #[derive(Serialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
        Pair(u8, Box<Chain>),
        Named { next: Box<Chain> },
    }
    type Link = fn(Box<Chain>) -> Chain;
    let chain = |count, link: Link| (0..count).fold(Chain::End, |chain, _| link(Box::new(chain)));
    let cases: [(Link, usize); 3] =
        [(Chain::Link, 1), (|next| Chain::Pair(1, next), 2), (|next| Chain::Named { next }, 2)];
    for (link, levels) in cases {
        let value = to_value(&chain(DEPTH_MAX / levels, link)).unwrap();
        assert_eq!(value.check(), Ok(()));
        let error = to_value(&chain(DEPTH_MAX / levels + 1, link)).unwrap_err();
        assert_eq!(limit(&error), ("nesting depth", 64));
    }
}

#[test]
fn values() {
    assert_limit(|beyond| {
        let count = VALUES_MAX - 1 + usize::from(beyond);
        (vec![(); count], vec![Value::Null; count].into())
    });
    // The record itself is none of its values.
    let record = record! { "a" => vec![Value::Null; VALUES_MAX - 2], "b" => 1 };
    assert_eq!(record.check(), Ok(()));
    assert!(to_record(&record) == Ok(record), "another record");
    let fields = BTreeMap::from([("a", vec![(); VALUES_MAX - 1])]);
    assert!(to_record(&fields).is_ok());
    assert!(to_value(&fields).is_err());
}

#[test]
fn fields() {
    assert_limit(|beyond| {
        let numbers = 0..FIELDS_MAX + usize::from(beyond);
        let map: BTreeMap<_, _> = numbers.clone().map(|number| (number, None::<u8>)).collect();
        let name = |number: usize| Name::new(&number.to_string()).unwrap();
        (map, Value::Map(numbers.map(|number| (name(number), Value::Null)).collect()))
    });
}

#[test]
fn bytes() {
    // Tag and length take 5 bytes.
    assert_limit(|beyond| {
        let text = "x".repeat(RECORD_BYTES_MAX - 5 + usize::from(beyond));
        (text.clone(), text.into())
    });
    // Of the names and heads, too: 1 and 2 of the map, 2 and 2 of the names, 5 and 1.
    let field = |bytes| BTreeMap::from([("a", "x".repeat(bytes)), ("b", String::new())]);
    let bytes = RECORD_BYTES_MAX - 1 - 2 - 2 - 5 - 1;
    assert_eq!(to_value(&field(bytes)).unwrap().check(), Ok(()));
    assert_eq!(limit(&to_value(&field(bytes + 1)).unwrap_err()).0, "encoded record bytes");
    // But not of a record's own.
    assert_eq!(to_record(&field(bytes + 1 + 2 + 2)).unwrap().check(), Ok(()));
    assert_eq!(limit(&to_record(&field(bytes + 6)).unwrap_err()).0, "encoded record bytes");
}
