//! Every format keeps every workload, and all kinds of values.

use clap::ValueEnum as _;

use super::ALL;
use crate::model::{Change, Id, Key, Operation, Value, Version};
use crate::workload::{BATCHES, Workload};

#[test]
fn every_format_keeps_and_walks_every_workload() {
    for workload in Workload::value_variants() {
        for batch in BATCHES {
            let batches = workload.batches(batch);
            for entry in ALL {
                (entry.prepare)(&batches).check(&batches);
            }
        }
    }
}

#[test]
fn every_format_keeps_and_walks_all_kinds_of_values() {
    let batches = [vec![], kinds()];
    for entry in ALL {
        (entry.prepare)(&batches).check(&batches);
    }
}

#[test]
#[should_panic(expected = "doesn't decode what it encoded")]
fn what_is_decoded_is_compared() {
    let others = [Workload::Bug.batches(10).swap_remove(1)];
    (ALL[0].prepare)(&[kinds()]).check(&others);
}

#[test]
fn formats_are_told_apart() {
    let mut names = ALL.map(|entry| entry.name);
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

/// What the workloads leave out: deletes, removed fields, other keys, and values
/// of every kind. (Not -0.0: sonic-rs loses its sign.)
fn kinds() -> Vec<Operation> {
    let text = |text: &str| Value::Text(text.to_owned());
    let named = |name: &str, value| (name.to_owned(), value);
    let values = vec![
        named("array", Value::Array(vec![Value::Null, Value::Int(-1), text("")])),
        named("bool", Value::Bool(true)),
        named("bytes", Value::Bytes(vec![0, 255, 7])),
        named("empty", Value::Bytes(Vec::new())),
        named("float", Value::Float(-2.5)),
        named("int", Value::Int(i64::MIN)),
        named("map", Value::Map(vec![named("inner", Value::Map(Vec::new()))])),
        named("null", Value::Null),
        named("small", Value::Float(1e-300)),
        named("text", text("ünïcödé")),
        named("timestamp", Value::Timestamp(-1)),
        named("uuid", Value::Uuid(Id([9; 16]))),
    ];
    let removed = vec![("gone".to_owned(), None), ("kept".to_owned(), Some(Value::Null))];
    let version = |hlc| Version { epoch: u64::MAX, hlc, node: Id([hlc.to_le_bytes()[0]; 16]) };
    let operation = |key, hlc: u64, base, change| Operation {
        collection: "all".to_owned(),
        key,
        version: version(hlc),
        base,
        change,
    };
    vec![
        operation(Key::Int(i64::MIN), 1, None, Change::Insert(values)),
        operation(Key::Text("a text".to_owned()), 2, Some(version(1)), Change::Update(removed)),
        operation(Key::Bytes(vec![0; 3]), 3, Some(version(9)), Change::Delete),
        operation(Key::Uuid(Id([1; 16])), 3, None, Change::Insert(Vec::new())),
    ]
}
