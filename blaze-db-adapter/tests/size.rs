//! The size that limits and the ring count with is never below the real one.

mod common;

use std::collections::BTreeMap;

use blaze_codec::{
    Change, Hlc, Name, NodeId, Operation, Record, RecordKey, Timestamp, Uuid, Value, Version, batch,
};
use blaze_db_adapter::operation_bytes_max;
use common::config;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Name> {
    ".{1,60}".prop_map(|text| Name::new(&text).expect("at most 240 bytes"))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        ".{0,40}".prop_map(Value::from),
        vec(any::<u8>(), 0..200).prop_map(Value::from),
        any::<u128>().prop_map(|number| Value::Uuid(Uuid::from_u128(number))),
        any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp(ms))),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            btree_map(name(), inner, 0..5).prop_map(Value::from),
        ]
    })
}

fn key() -> impl Strategy<Value = RecordKey> {
    prop_oneof![
        any::<u128>().prop_map(|number| RecordKey::Uuid(Uuid::from_u128(number))),
        any::<i64>().prop_map(RecordKey::Int),
        ".{0,200}".prop_map(RecordKey::Text),
        vec(any::<u8>(), 0..=RecordKey::BYTES_MAX).prop_map(RecordKey::Bytes),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u64>(), any::<[u8; 16]>()).prop_map(|(epoch, hlc, node)| Version {
        epoch: Hlc::from_bits(epoch),
        hlc: Hlc::from_bits(hlc),
        node: NodeId::from_bytes(node),
    })
}

fn change() -> impl Strategy<Value = Change> {
    let record = btree_map(name(), value(), 0..6);
    let fields = btree_map(name(), option::of(value()), 0..6);
    prop_oneof![
        record.prop_map(|fields| Change::Insert(fields.into_iter().collect::<Record>())),
        fields.prop_map(|fields: BTreeMap<_, _>| Change::Update(fields.into_iter().collect())),
        Just(Change::Delete),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
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

/// What a batch has beside its operations: a version, and counts.
const BATCH_BYTES: usize = 32;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..config() })]

    #[test]
    fn no_encoding_is_larger_than_was_counted(operations in vec(operation(), 1..4)) {
        let mut bytes = Vec::new();
        batch::encode(&operations, &mut bytes);
        let counted: usize = operations.iter().map(operation_bytes_max).sum();
        prop_assert!(bytes.len() <= counted + BATCH_BYTES, "{} > {}", bytes.len(), counted);
    }
}
