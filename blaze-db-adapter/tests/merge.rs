//! The merge rule is a join, and the join is the one that is documented.

mod common;

use std::collections::BTreeSet;

use blaze_codec::{Change, Operation, Record, Role, Version};
use blaze_db_adapter::{RecordState, WriteKind};
use common::{
    Author, collection, config, fold, key, operation, operations, role, two_orders, write_kind,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// The operations that describe a state.
fn described(state: &RecordState) -> Vec<Operation> {
    state.operations(&collection(), &key())
}

/// Joins two states by what they would send each other.
fn join(a: &RecordState, b: &RecordState) -> RecordState {
    fold(&[described(a), described(b)].concat()).0
}

/// What stands, by the definition: the latest life, and each field's latest write
/// since. For operations of which no two have one version.
fn by_definition(operations: &[Operation]) -> Option<Record> {
    let lives =
        operations.iter().filter(|operation| !matches!(operation.change, Change::Update(_)));
    let life = lives.max_by_key(|operation| operation.version)?;
    let Change::Insert(_) = &life.change else { return None };
    let mut since: Vec<_> =
        operations.iter().filter(|operation| operation.version >= life.version).collect();
    since.sort_by_key(|operation| operation.version);
    let mut record = Record::new();
    for operation in since {
        match &operation.change {
            Change::Insert(fields) => {
                for (field, value) in fields {
                    record.insert(field.clone(), value.clone());
                }
            }
            Change::Update(fields) => {
                for (field, value) in fields {
                    match value {
                        Some(value) => record.insert(field.clone(), value.clone()),
                        None => record.remove(field),
                    };
                }
            }
            Change::Delete => unreachable!("no delete is later than the latest life"),
        }
    }
    Some(record)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_order_does_not_matter((one, other) in two_orders()) {
        prop_assert_eq!(fold(&one).0, fold(&other).0);
    }

    #[test]
    fn the_grouping_does_not_matter(a in operations(), b in operations(), c in operations()) {
        let all = fold(&[a.clone(), b.clone(), c.clone()].concat()).0;
        let [a, b, c] = [a, b, c].map(|part| fold(&part).0);
        prop_assert_eq!(&join(&join(&a, &b), &c), &all);
        prop_assert_eq!(&join(&a, &join(&b, &c)), &all);
        prop_assert_eq!(&join(&join(&c, &a), &b), &all);
    }

    #[test]
    fn what_is_known_changes_nothing(operations in operations()) {
        let mut state = fold(&operations).0;
        let before = state.clone();
        let described = described(&state);
        for operation in operations.iter().chain(&described) {
            prop_assert!(!state.merge(operation, &mut Vec::new()), "{:?} is known", operation);
            prop_assert_eq!(&state, &before);
        }
    }

    #[test]
    fn merge_tells_whether_something_changed(operations in operations()) {
        let mut state = RecordState::default();
        for operation in &operations {
            let before = state.clone();
            prop_assert_eq!(state.merge(operation, &mut Vec::new()), state != before);
        }
    }

    #[test]
    fn a_state_is_what_its_operations_make(operations in operations()) {
        let state = fold(&operations).0;
        let described = described(&state);
        prop_assert_eq!(&fold(&described).0, &state);
        let reversed: Vec<_> = described.iter().rev().cloned().collect();
        prop_assert_eq!(&fold(&reversed).0, &state);
        for operation in described.iter().filter(|_| !state.is_unknown()) {
            prop_assert!(operation.check().is_ok(), "{:?} can be sent", operation);
            if let Change::Update(fields) = &operation.change {
                prop_assert!(fields.is_sorted_by(|(a, _), (b, _)| a < b), "{:?}", fields);
                prop_assert!(!fields.is_empty(), "an update of nothing is not sent");
            }
        }
    }

    #[test]
    fn the_result_is_the_documented_one(mut operations in operations()) {
        let mut versions = BTreeSet::new();
        operations.retain(|operation| versions.insert(operation.version));
        prop_assert_eq!(fold(&operations).0.record(), by_definition(&operations));
    }

    #[test]
    fn no_field_is_older_than_its_record(operations in operations()) {
        let state = fold(&operations).0;
        for (field, register) in state.fields() {
            prop_assert!(register.stamp.version >= state.life().stamp.version, "{} is of an older life", field);
        }
        if !state.exists() {
            prop_assert_eq!((state.record(), state.visible().count()), (None, 0));
        }
    }

    #[test]
    fn only_a_later_insert_brings_a_record_back(before in operations(), after in operations()) {
        let mut state = fold(&before).0;
        let dead = state.life().stamp.version;
        if let Some(operation) = before.first() {
            // At its insert's version a delete wins.
            let delete = Operation { version: dead, change: Change::Delete, ..operation.clone() };
            state.merge(&delete, &mut Vec::new());
        }
        prop_assert!(!state.exists());
        for operation in &after {
            state.merge(operation, &mut Vec::new());
        }
        let reborn = |operation: &Operation| {
            matches!(operation.change, Change::Insert(_)) && operation.version > dead
        };
        prop_assert!(!state.exists() || after.iter().any(reborn));
    }

    #[test]
    fn equal_versions_are_joined_too(one in operation(), other in operation()) {
        let other = Operation { version: one.version, ..other };
        let (a, b) = (fold(&[one.clone(), other.clone()]), fold(&[other.clone(), one.clone()]));
        prop_assert_eq!(a.0, b.0);
    }

    #[test]
    fn a_local_write_stands_at_once_and_conflicts_with_nothing(
        known in operations(),
        kinds in vec(write_kind(), 1..4),
        role in role(),
        wall_ms in 0..2u64,
    ) {
        let mut author = Author::new(9, role, &fold(&known).0);
        let mut replayed = author.state.clone();
        for kind in kinds {
            let before = author.state.clone();
            let operations = author.write(kind.clone(), wall_ms);
            for operation in &operations {
                let seen = replayed.version();
                prop_assert!(operation.version > seen, "{:?} is above {:?}", operation, seen);
                prop_assert!(operation.base < operation.version);
                let mut conflicts = Vec::new();
                prop_assert!(replayed.merge(operation, &mut conflicts), "{:?}", operation);
                prop_assert_eq!(conflicts, vec![]);
            }
            prop_assert_eq!(&replayed, &author.state);
            let mut expected = before.record();
            match (&kind, &mut expected) {
                (WriteKind::Insert(record), None) | (WriteKind::Put(record), _) => {
                    expected = Some(record.clone());
                }
                (WriteKind::Update(fields), Some(record)) => {
                    for (field, value) in fields {
                        match value {
                            Some(value) => record.insert(field.clone(), value.clone()),
                            None => record.remove(field),
                        };
                    }
                }
                (WriteKind::Delete, _) => expected = None,
                // Refused: the state must be as it was.
                (WriteKind::Insert(_), Some(_)) | (WriteKind::Update(_), None) => {
                    prop_assert_eq!(&author.state, &before);
                }
            }
            prop_assert_eq!(author.state.record(), expected.clone());
            prop_assert_eq!(operations.is_empty(), author.state == before);
        }
    }

    #[test]
    fn a_server_beats_clients_that_have_not_seen_it(
        record in common::record(),
        served in 0..3i64,
        unseen in vec((0..3usize, 3..9i64), 1..5),
        wall_ms in 0..1_000u64,
    ) {
        let born = Author::new(1, Role::Client, &RecordState::default())
            .write(WriteKind::Insert(record), 500);
        let known = fold(&born).0;
        let mut server = Author::new(2, Role::Server, &known);
        let mut client = Author::new(3, Role::Client, &known);
        let written = server.write(
            WriteKind::Update([(common::name("a"), Some(served.into()))].into()),
            wall_ms,
        );
        prop_assume!(!written.is_empty());
        let mut all = [born, written].concat();
        for (at, value) in unseen {
            all.push(client.set(common::FIELDS[at], distinct(&all, value), 5_000));
        }
        let mut both = fold(&all).0;
        let stands = both.record().expect("nobody deleted it");
        prop_assert_eq!(stands.get("a"), Some(&served.into()));
        // Whoever has seen it overwrites it.
        client.state = both.clone();
        let seen = client.set("a", 99, 0);
        prop_assert!(both.merge(&seen, &mut Vec::new()));
        let stands = both.record().expect("it lives");
        prop_assert_eq!(stands.get("a"), Some(&99i64.into()));
    }

    #[test]
    fn a_servers_delete_or_insert_hides_what_clients_wrote_unseen(
        record in common::record(),
        inserted in proptest::option::of(common::record()),
        unseen in vec((0..3usize, 3..9i64), 0..5),
    ) {
        let mut first = Author::new(1, Role::Client, &RecordState::default());
        let mut all = first.write(WriteKind::Insert(record), 500);
        let mut server = Author::new(2, Role::Server, &first.state);
        all.extend(server.write(WriteKind::Delete, 0));
        if let Some(inserted) = &inserted {
            all.extend(server.write(WriteKind::Insert(inserted.clone()), 0));
        }
        for (at, value) in unseen {
            all.push(first.set(common::FIELDS[at], distinct(&all, value), 5_000));
        }
        prop_assert_eq!(fold(&all).0.record(), inserted);
    }
}

/// A value that is nowhere else in the history, so that each write is one.
fn distinct(all: &[Operation], value: i64) -> i64 {
    value * 10 + 1000 * i64::try_from(all.len()).expect("few operations")
}

#[test]
fn nothing_is_made_of_nothing() {
    let state = RecordState::default();
    assert!(!state.exists());
    assert_eq!((state.record(), state.version()), (None, Version::ZERO));
    let made_of_it = fold(&described(&state)).0;
    assert!(state.is_unknown() && !state.is_tombstone() && made_of_it == state);
}
