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
    prop_oneof![vec(operation(), 0..8), many_operations()]
}

/// One kind of values, as a column has them: often a few, or near each other.
fn values_of_a_kind() -> impl Strategy<Value = BoxedStrategy<Value>> {
    let few = || prop::sample::select(vec!["", "a", "open", "closed", "in progress, é"]);
    let decimal = |scale: f64| (-5_000_i32..5_000).prop_map(move |int| f64::from(int) / scale);
    let kinds: Vec<BoxedStrategy<Value>> = vec![
        Just(Value::Null).boxed(),
        any::<bool>().prop_map(Value::Bool).boxed(),
        (1_i64..6).prop_map(Value::Int).boxed(),
        any::<i64>().prop_map(Value::Int).boxed(),
        decimal(1.0).prop_map(Value::Float).boxed(),
        decimal(100.0).prop_map(Value::Float).boxed(),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))).boxed(),
        few().prop_map(Value::from).boxed(),
        "\\PC{0,20}".prop_map(Value::from).boxed(),
        vec(any::<u8>(), 0..9).prop_map(Value::from).boxed(),
        any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))).boxed(),
        (0_i64..90_000).prop_map(|ms| Value::Timestamp(Timestamp(1_700_000_000_000 + ms))).boxed(),
        value().boxed(),
    ];
    (prop::sample::select(kinds), 0..4_u32).prop_map(|(kind, nulls)| match nulls {
        0 => prop_oneof![3 => kind, 1 => Just(Value::Null)].boxed(),
        _ => kind,
    })
}

fn keys_of_a_kind() -> impl Strategy<Value = BoxedStrategy<RecordKey>> {
    prop::sample::select(vec![
        any::<u128>().prop_map(|bits| RecordKey::Uuid(Uuid::from_u128(bits))).boxed(),
        (0_i64..1_000).prop_map(RecordKey::Int).boxed(),
        text().prop_map(RecordKey::Text).boxed(),
        vec(any::<u8>(), 0..9).prop_map(RecordKey::Bytes).boxed(),
    ])
}

/// Operations of one shape.
fn alike() -> impl Strategy<Value = BoxedStrategy<Operation>> {
    let fields = btree_map(name(), values_of_a_kind(), 0..5);
    (name(), keys_of_a_kind(), fields, 0..7).prop_map(|(collection, keys, fields, kind)| {
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let change = move |values: Vec<Value>| {
            let fields = names.iter().cloned().zip(values);
            match kind {
                0..3 => Change::Insert(fields.collect()),
                3..5 => Change::Update(fields.map(|(name, value)| (name, Some(value))).collect()),
                // A null stands for a field that is removed.
                5 => {
                    let set = |value: Value| Some(value).filter(|value| *value != Value::Null);
                    Change::Update(fields.map(|(name, value)| (name, set(value))).collect())
                }
                _ => Change::Delete,
            }
        };
        let operation = move |(key, version, base, values): (_, _, _, Vec<Value>)| {
            let (collection, change) = (collection.clone(), change(values));
            Operation { collection, key, version, base, change }
        };
        (keys, version(), version(), values).prop_map(operation).boxed()
    })
}

/// Enough of few shapes to be written by columns, most times.
pub(crate) fn many_operations() -> impl Strategy<Value = Vec<Operation>> {
    vec(alike(), 1..4).prop_flat_map(|shapes| {
        let rows = vec(shapes, 4..14).prop_map(|rows| rows.into_iter().flatten().collect());
        rows.prop_flat_map(|operations: Vec<_>| Just(operations).prop_shuffle())
    })
}

/// Few enough to try each of their bits.
pub(crate) fn few_operations() -> impl Strategy<Value = Vec<Operation>> {
    let short = |operations: &Vec<Operation>| {
        let mut bytes = Vec::new();
        blaze_codec::batch::encode(operations, &mut bytes);
        bytes.len() < 400
    };
    let few = prop_oneof![vec(operation(), 0..4), many_operations()];
    few.prop_filter("too long to try each bit", short)
}
