//! A user's own types through records, values and bytes, and back.

#[path = "../common/mod.rs"]
mod common;
mod forms;
mod limits;
mod records;
mod ways;

use std::fmt::Debug;

use blaze_codec::typed::{
    TypedError, from_bytes, from_record, from_record_ref, from_value, from_value_ref, to_bytes,
    to_record, to_value,
};
use blaze_codec::view::{BatchRef, ChangeRef};
use blaze_codec::{
    Change, Name, Operation, Record, RecordKey, Value, Version, batch, binary, record,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    binary::encode_value(value, &mut bytes);
    bytes
}

/// What a type becomes, the same on every way.
fn made<T: Serialize + ?Sized>(data: &T) -> Result<Value, TypedError> {
    let value = to_value(data);
    let mut bytes = b"before".to_vec();
    let written = to_bytes(data, &mut bytes);
    let expected = value.as_ref().map(encoded).map_err(Clone::clone);
    let found = written.map(|()| bytes[6..].to_vec());
    assert_eq!(found, expected, "{value:?}");
    assert!(found.is_ok() || bytes == b"before");
    let wrapped = to_record(&std::collections::BTreeMap::from([("f", data)]));
    match (&value, &wrapped) {
        (Ok(value), Ok(record)) => assert_eq!(record.get("f"), Some(value)),
        (Err(error), Err(wrapped)) => assert_eq!(wrapped.kind(), error.kind()),
        _ => panic!("{value:?} alone, but in a record {wrapped:?}"),
    }
    value
}

/// A batch of one kind of operation: of few in rows, of many in columns.
fn batch_of(record: &Record, count: i64) -> Vec<u8> {
    let operation = |key| Operation {
        collection: Name::new("c").unwrap(),
        key: RecordKey::Int(key),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(record.clone()),
    };
    let mut bytes = Vec::new();
    batch::encode(&(0..count).map(operation).collect::<Vec<_>>(), &mut bytes);
    bytes
}

/// What a type is made of, the same on every way.
fn read<T: DeserializeOwned + PartialEq + Debug>(value: &Value) -> Result<T, TypedError> {
    let made = from_value::<T>(value);
    assert_eq!(from_bytes::<T>(&encoded(value)), made, "{value:?}");
    for count in [1, 5] {
        let bytes = batch_of(&record! { "f" => value.clone() }, count);
        let batch = BatchRef::new(&bytes).unwrap();
        let ChangeRef::Insert(record) = batch.iter().last().unwrap().change() else {
            panic!("it is an insert")
        };
        assert_eq!(from_value_ref::<T>(record.get("f").unwrap()), made, "{value:?}");
    }
    let Value::Map(fields) = value else { return made };
    assert_eq!(from_record::<T>(fields), made);
    for count in [1, 5] {
        let bytes = batch_of(fields, count);
        let batch = BatchRef::new(&bytes).unwrap();
        let ChangeRef::Insert(record) = batch.iter().last().unwrap().change() else {
            panic!("it is an insert")
        };
        assert_eq!(from_record_ref::<T>(record), made, "{value:?}");
    }
    made
}

/// The value of a type that comes back from it.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &T) -> Value {
    let value = made(data).unwrap();
    assert_eq!(read::<T>(&value).as_ref(), Ok(data), "{value:?}");
    value
}
