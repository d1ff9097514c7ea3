//! What a transaction touches, in whatever order it does.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use blaze_codec::{Hlc, HlcClock, Operation, RecordKey, Role, Version, record};
use blaze_db_adapter::{
    Incoming, Merging, RecordState, Staged, Stamper, Stored, Write, WriteError, WriteKind,
};
use common::{collection, config, name, node, operations};
use proptest::collection::vec;
use proptest::prelude::*;

/// Nothing is stored; notes who asked.
fn nothing(asked: &mut Vec<RecordKey>, key: &RecordKey) -> (Stored<()>, RecordState) {
    asked.push(key.clone());
    Default::default()
}

/// Keys of few records, mostly ascending.
fn keys() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        vec(0..6_i64, 0..12),
        vec(0..6_i64, 0..12).prop_map(|mut keys| {
            keys.sort_unstable();
            keys
        }),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_merge_reads_each_record_once_and_keeps_what_changed(
        operations in operations(),
        keys in vec(0..4_i64, 12),
        other in any::<bool>(),
    ) {
        let operations = operations.into_iter().zip(keys).map(|(operation, key)| {
            let collection =
                if other && key % 2 == 0 { name("other") } else { operation.collection.clone() };
            Operation { key: key.into(), collection, ..operation }
        });
        let operations: Vec<_> = operations.collect();
        let incoming = Incoming { operations: operations.clone(), ..Incoming::default() };
        let mut expected: BTreeMap<RecordKey, RecordState> = BTreeMap::new();
        let (mut order, mut kept) = (Vec::new(), Vec::new());
        for operation in &operations {
            let state = expected.entry(operation.key.clone()).or_default();
            if state.merge(operation, &mut Vec::new()) {
                order.push(operation.key.clone());
                kept.push(operation.clone());
            }
        }
        let mut seen = BTreeSet::new();
        order.retain(|key| seen.insert(key.clone()));
        let (mut asked, mut merging) = (Vec::new(), Merging::default());
        let mut staged = Staged::new(operations.len());
        for operation in &incoming.operations {
            let load = |_: &_, key: &_| Ok::<_, WriteError>(nothing(&mut asked, key));
            staged.join(&incoming, operation, Version::ZERO, &mut merging, load).unwrap();
        }
        let asked_once: BTreeSet<_> = asked.iter().collect();
        prop_assert_eq!(asked_once.len(), asked.len(), "{:?}", asked);
        prop_assert_eq!(asked.len(), expected.len());
        prop_assert_eq!(staged.len(), order.len());
        let changed: Vec<_> = staged.changed().map(|record| record.key.clone()).collect();
        prop_assert_eq!(&changed, &order);
        let whole = merging.most == blaze_db_adapter::Joined::Whole;
        let parts = staged.parts(&merging);
        for record in staged.into_changed() {
            prop_assert_eq!(&record.state, &expected[record.key]);
        }
        if !whole {
            prop_assert_eq!(parts.of(operations), kept);
        }
    }

    #[test]
    fn writes_see_what_the_transaction_wrote_before(keys in keys()) {
        let mut clock = HlcClock::default();
        let (node, role, forgotten) = (node(1), Role::Client, Hlc::ZERO);
        let mut stamper =
            Stamper { clock: &mut clock, wall_ms: 5, node, role, forgotten, bytes: 0 };
        let puts = keys.iter().zip(0..).map(|(key, count)| Write {
            collection: collection(),
            key: (*key).into(),
            kind: WriteKind::Put(record! { "count" => count }),
        });
        let puts: Vec<_> = puts.collect();
        let (mut asked, mut operations) = (Vec::new(), Vec::new());
        let mut staged = Staged::new(puts.len());
        for write in &puts {
            let load = |_: &_, key: &_| Ok::<_, WriteError>(nothing(&mut asked, key));
            staged.write(write, &mut stamper, &mut operations, load).unwrap();
        }
        prop_assert_eq!(operations.len(), puts.len());
        let last: BTreeMap<i64, i64> = keys.iter().copied().zip(0..).collect();
        prop_assert_eq!(asked.len(), last.len());
        for record in staged.changed() {
            let RecordKey::Int(key) = record.key else { panic!("{:?}", record.key) };
            prop_assert_eq!(record.state.record(), Some(record! { "count" => last[key] }));
        }
        // Empty, or all of them.
        prop_assert_eq!(staged.is_empty(), keys.is_empty());
    }
}
