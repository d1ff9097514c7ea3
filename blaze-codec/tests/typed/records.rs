//! Types through records and back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use blaze_codec::typed::{TypedError, TypedErrorKind, from_record, to_record};
use blaze_codec::{Name, Record, RecordKey, Timestamp, Uuid, Value, record};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::common;

fn assert_comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: T) {
    assert!(matches!(crate::comes_back(&data), Value::Map(_)));
    let record = to_record(&data).unwrap();
    assert_eq!(from_record::<T>(&record), Ok(data), "{record:?}");
}

/// The value that a field of this content becomes.
fn field_of<T: Serialize>(content: T) -> Result<Value, TypedError> {
    let record = to_record(&BTreeMap::from([("f", content)]))?;
    Ok(record.get("f").unwrap().clone())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Line(i32, i32),
    Box { width: u8, inner: Option<Box<Shape>> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Id(Uuid);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    bool: bool,
    small: i8,
    large: u64,
    wide: u128,
    float: f32,
    char: char,
    text: String,
    unit: (),
    unit_struct: Unit,
    tuple: (u8, String),
    bytes: Vec<u8>,
    some: Option<i64>,
    none: Option<i64>,
    shapes: Vec<Shape>,
    by_number: BTreeMap<i32, bool>,
    by_truth: BTreeMap<bool, u8>,
    by_uuid: BTreeMap<Uuid, u8>,
    id: Id,
    ids: Vec<Option<Uuid>>,
    address: IpAddr,
    at: Timestamp,
    key: RecordKey,
    field: Name,
}

#[test]
fn everything_comes_back() {
    let inner = Shape::Box { width: 2, inner: None };
    let uuid = Uuid::from_u128(7);
    assert_comes_back(Everything {
        bool: true,
        small: -3,
        large: i64::MAX as u64,
        wide: 5,
        float: 0.1,
        char: 'é',
        text: "text".into(),
        unit: (),
        unit_struct: Unit,
        tuple: (1, "two".into()),
        bytes: vec![1, 2, 255],
        some: Some(0),
        none: None,
        shapes: vec![
            Shape::Empty,
            Shape::Circle(1.5),
            Shape::Line(1, -2),
            Shape::Box { width: 1, inner: Some(Box::new(inner)) },
        ],
        by_number: [(-1, true), (300, false)].into(),
        by_truth: [(true, 1)].into(),
        by_uuid: [(uuid, 1)].into(),
        id: Id(uuid),
        ids: vec![Some(uuid), None],
        address: "::1".parse().unwrap(),
        at: Timestamp(-5),
        key: RecordKey::Bytes(vec![1]),
        field: Name::new("f").unwrap(),
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    value: Value,
    record: Record,
    values: Vec<Value>,
    map: BTreeMap<String, Value>,
}

proptest! {
    #[test]
    fn nested_values_are_exact(value in common::value(), record in common::record()) {
        let nested = Nested {
            value: value.clone(),
            record: record.clone(),
            values: vec![value.clone(), Value::Null],
            map: [("$hex".to_owned(), value.clone())].into(),
        };
        let made = to_record(&nested).unwrap();
        prop_assert_eq!(made.get("value"), Some(&value));
        prop_assert_eq!(made.get("record"), Some(&Value::Map(record.into_iter().collect())));
        prop_assert_eq!(from_record::<Nested>(&made), Ok(nested));
    }

    #[test]
    fn a_record_is_its_own_type(record in common::record()) {
        prop_assert_eq!(&to_record(&record).unwrap(), &record);
        prop_assert_eq!(&from_record::<Record>(&record).unwrap(), &record);
    }
}

#[test]
fn kinds_of_values_are_kept() {
    let uuid = Uuid::from_u128(7);
    assert_eq!(field_of(uuid), Ok(Value::Uuid(uuid)));
    assert_eq!(field_of(Some(&uuid)), Ok(Value::Uuid(uuid)));
    assert_eq!(field_of(uuid.to_string()), Ok(Value::from(uuid.to_string())));
    assert_eq!(field_of(Timestamp(7)), Ok(Value::Timestamp(Timestamp(7))));
    assert_eq!(field_of(RecordKey::Int(7)), Ok(Value::Int(7)));
    assert_eq!(field_of(3.0), Ok(Value::Float(3.0)));
}

#[test]
fn bytes_are_read_as_a_vec() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Blob {
        data: Vec<u8>,
    }
    let record = record! { "data" => vec![1_u8, 2] };
    assert_eq!(from_record(&record), Ok(Blob { data: vec![1, 2] }));
}

#[test]
fn the_deepest_record_is_its_own_type() {
    let deep = (0..64).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let record = record! { "deep" => deep };
    assert_eq!(to_record(&record).as_ref(), Ok(&record));
    assert_eq!(from_record(&record), Ok(record));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: Uuid,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Rest {
    author: Uuid,
    at: Timestamp,
    data: Value,
}

#[test]
fn flattened_fields_come_back() {
    let data = Value::Array(vec![Value::from(vec![1_u8]), Timestamp(1).into(), 2.5.into()]);
    let rest = Rest { author: Uuid::from_u128(1), at: Timestamp(1), data };
    assert_comes_back(Flat { id: Uuid::from_u128(2), rest });
}

fn assert_error(result: Result<Value, TypedError>, path: &str, is: fn(&TypedErrorKind) -> bool) {
    let error = result.unwrap_err();
    assert_eq!(error.path(), path);
    assert!(is(error.kind()), "{error}");
}

#[test]
fn what_would_come_back_otherwise_is_an_error() {
    assert_error(field_of(u64::MAX), "f", |kind| matches!(kind, TypedErrorKind::Integer { .. }));
    assert_error(field_of(u128::MAX), "f", |kind| matches!(kind, TypedErrorKind::Integer { .. }));
    assert_error(field_of(i128::MIN), "f", |kind| matches!(kind, TypedErrorKind::Integer { .. }));
    assert_error(field_of(Some(None::<u8>)), "f", |kind| *kind == TypedErrorKind::NestedNone);
    assert_error(field_of([BTreeMap::from([((1, 2), 3)])]), "f[0]", |kind| {
        matches!(kind, TypedErrorKind::Key { found: "array" })
    });
    assert_error(field_of(BTreeMap::from([("", 1)])), "f", |kind| {
        matches!(kind, TypedErrorKind::Name(_))
    });
}

#[test]
fn only_structs_and_maps_are_records() {
    for error in [to_record(&7).unwrap_err(), to_record("text").unwrap_err()] {
        assert!(matches!(error.kind(), TypedErrorKind::NotRecord { .. }));
    }
}

#[test]
fn a_field_given_twice_is_an_error() {
    #[derive(Serialize)]
    struct Outer {
        id: u8,
        #[serde(flatten)]
        inner: BTreeMap<&'static str, u8>,
    }
    let error = to_record(&Outer { id: 1, inner: [("id", 2)].into() }).unwrap_err();
    assert_eq!((error.path(), error.kind()), ("id", &TypedErrorKind::Twice));
}

#[test]
fn limits_hold_for_users_types() {
    #[derive(Serialize)]
    struct Chain {
        next: Option<Box<Chain>>,
    }
    let chain = |count| {
        (0..count).fold(Chain { next: None }, |chain, _| Chain { next: Some(chain.into()) })
    };
    assert!(to_record(&chain(64)).is_ok());
    for count in [65, 500] {
        let error = to_record(&chain(count)).unwrap_err();
        assert!(matches!(error.kind(), TypedErrorKind::Value(_)), "{error}");
    }
}

#[test]
fn errors_of_reading_name_the_field() {
    #[derive(Debug, Deserialize)]
    struct Author {
        #[expect(dead_code, reason = "reading it is what is tested")]
        age: u8,
    }
    #[derive(Debug, Deserialize)]
    struct Note {
        #[expect(dead_code, reason = "reading it is what is tested")]
        authors: Vec<Author>,
    }
    let age = |age: i64| Value::Map([(Name::new("age").unwrap(), age.into())].into());
    let record = record! { "authors" => vec![age(7), age(300)] };
    let error = from_record::<Note>(&record).unwrap_err();
    assert_eq!(error.path(), "authors[1].age");
    assert!(error.to_string().starts_with("field `authors[1].age`: "), "{error}");
}

#[test]
fn an_array_that_is_too_long_is_refused() {
    let record = record! { "pair" => vec![Value::Int(1), 2.into(), 3.into()] };
    assert!(from_record::<BTreeMap<String, (u8, u8)>>(&record).is_err());
}

#[test]
fn bytes_fit_an_array_of_their_length_only() {
    #[derive(Debug, serde::Deserialize)]
    struct Pair {
        pair: [u8; 2],
    }
    let pair = record! { "pair" => vec![1_u8, 2] };
    assert_eq!(from_record::<Pair>(&pair).unwrap().pair, [1, 2]);
    for other in [vec![1_u8], vec![1, 2, 3]] {
        assert!(from_record::<Pair>(&record! { "pair" => other }).is_err());
    }
}
