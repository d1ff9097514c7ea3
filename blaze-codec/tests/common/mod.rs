//! Arbitrary values, records and operations.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;

use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, Record, RecordKey, Timestamp, Uuid, Value, Version,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Often one of a few, so that names repeat, and sometimes anything.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    let few = prop::sample::select(vec!["a", "b", "title", "$hex", "$map", "é"]);
    let text = prop_oneof![4 => few.prop_map(str::to_owned), 1 => "\\PC{1,40}"];
    text.prop_map(|text| Name::new(&text).expect("1 to 160 bytes"))
}

/// A text whose length may need the short or the long form.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => "\\PC{0,20}", 1 => "[a-z]{60,70}", 1 => "[a-z]{120,140}"]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200_i64..200).prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(Value::from),
        any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))),
        any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp(ms))),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 48, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            btree_map(name(), inner, 0..20).prop_map(Value::from),
        ]
    })
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    btree_map(name(), value(), 0..6).prop_map(Record::from_iter)
}

fn key() -> impl Strategy<Value = RecordKey> {
    prop_oneof![
        any::<u128>().prop_map(|bits| RecordKey::Uuid(Uuid::from_u128(bits))),
        any::<i64>().prop_map(RecordKey::Int),
        text().prop_map(RecordKey::Text),
        vec(any::<u8>(), 0..40).prop_map(RecordKey::Bytes),
    ]
}

/// Clocks that often repeat or follow each other, so that all flags occur.
fn hlc() -> impl Strategy<Value = Hlc> {
    let bits = prop_oneof![3 => 0_u64..4, 1 => any::<u64>()];
    bits.prop_map(Hlc::from_bits)
}

fn version() -> impl Strategy<Value = Version> {
    let node = prop::sample::select(vec![0_u8, 1, 2, 200]);
    let version = (hlc(), hlc(), node).prop_map(|(epoch, hlc, node)| Version {
        epoch,
        hlc,
        node: NodeId::from_bytes([node; 16]),
    });
    prop_oneof![4 => version, 1 => Just(Version::ZERO)]
}

fn change() -> impl Strategy<Value = Change> {
    let update = btree_map(name(), prop::option::of(value()), 0..6);
    prop_oneof![
        3 => record().prop_map(Change::Insert),
        3 => update.prop_map(|fields: BTreeMap<_, _>| Change::Update(fields.into_iter().collect())),
        1 => Just(Change::Delete),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    (name(), key(), version(), version(), change()).prop_map(
        |(collection, key, version, base, change)| Operation {
            collection,
            key,
            version,
            base,
            change,
        },
    )
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 0..8)
}

/// Few enough to try each of their bits.
pub(crate) fn few_operations() -> impl Strategy<Value = Vec<Operation>> {
    let short = |operations: &Vec<Operation>| {
        let mut bytes = Vec::new();
        blaze_codec::batch::encode(operations, &mut bytes);
        bytes.len() < 400
    };
    vec(operation(), 0..4).prop_filter("too long to try each bit", short)
}
