//! Strategies for operations that meet often: few fields, few versions, three nodes.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;

use blaze_codec::{
    Change, Hlc, HlcClock, Name, NodeId, Operation, Record, RecordKey, Role, Value, Version,
};
use blaze_db_adapter::{Conflict, RecordState, Stamper, Write, WriteKind};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

pub(crate) const FIELDS: [&str; 3] = ["a", "b", "c"];

/// Enough cases for a small world; a failure prints its input, and writes no file.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a short name")
}

pub(crate) fn collection() -> Name {
    name("notes")
}

pub(crate) fn key() -> RecordKey {
    RecordKey::Int(1)
}

pub(crate) const fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

/// A version of a small world, where equal ones are common.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    (0..=3u64, 1..=6u64, 1..=3u8).prop_map(|(epoch, hlc, number)| Version {
        epoch: Hlc::from_bits(epoch),
        hlc: Hlc::from_bits(hlc),
        node: node(number),
    })
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), (0..3i64).prop_map(Value::Int)]
}

fn field() -> impl Strategy<Value = Name> {
    proptest::sample::select(&FIELDS[..]).prop_map(name)
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    btree_map(field(), value(), 0..=3).prop_map(|fields| fields.into_iter().collect())
}

fn fields() -> impl Strategy<Value = BTreeMap<Name, Option<Value>>> {
    btree_map(field(), option::of(value()), 0..=3)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => record().prop_map(Change::Insert),
        3 => fields().prop_map(|fields| Change::Update(fields.into_iter().collect())),
        1 => Just(Change::Delete),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    (version(), option::of(version()), change()).prop_map(|(version, base, change)| Operation {
        collection: collection(),
        key: key(),
        version,
        base: base.filter(|base| *base < version).unwrap_or(Version::ZERO),
        change,
    })
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), 0..12)
}

/// Operations and the same ones in another order.
pub(crate) fn two_orders() -> impl Strategy<Value = (Vec<Operation>, Vec<Operation>)> {
    operations()
        .prop_flat_map(|operations| (Just(operations.clone()), Just(operations).prop_shuffle()))
}

pub(crate) fn write_kind() -> impl Strategy<Value = WriteKind> {
    prop_oneof![
        record().prop_map(WriteKind::Insert),
        record().prop_map(WriteKind::Put),
        fields().prop_map(WriteKind::Update),
        Just(WriteKind::Delete),
    ]
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// What operations make of a record of which nothing was known, and what they report.
pub(crate) fn fold(operations: &[Operation]) -> (RecordState, Vec<Conflict>) {
    let (mut state, mut conflicts) = (RecordState::default(), Vec::new());
    for operation in operations {
        state.merge(operation, &mut conflicts);
    }
    (state, conflicts)
}

/// One author with a clock of its own.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) node: NodeId,
    pub(crate) role: Role,
    pub(crate) clock: HlcClock,
    pub(crate) state: RecordState,
}

impl Author {
    pub(crate) fn new(number: u8, role: Role, state: &RecordState) -> Self {
        let clock = HlcClock::default();
        Self { node: node(number), role, clock, state: state.clone() }
    }

    /// Writes to what the author has seen; nothing if that isn't allowed there.
    pub(crate) fn write(&mut self, kind: WriteKind, wall_ms: u64) -> Vec<Operation> {
        let write = Write { collection: collection(), key: key(), kind };
        let Self { node, role, clock, state } = self;
        let mut stamper =
            Stamper { clock, wall_ms, node: *node, role: *role, forgotten: Hlc::ZERO, bytes: 0 };
        let mut operations = Vec::new();
        let done = stamper.stamp(&write, state, &mut operations);
        done.map(|()| operations).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, field: &str, value: i64, wall_ms: u64) -> Operation {
        let fields = BTreeMap::from([(name(field), Some(Value::Int(value)))]);
        let mut operations = self.write(WriteKind::Update(fields), wall_ms);
        assert_eq!(operations.len(), 1, "one field has one base");
        operations.remove(0)
    }
}
