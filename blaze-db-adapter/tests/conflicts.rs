//! True conflicts are reported, and nothing else is.

mod common;

use blaze_codec::{Operation, Role, Value, Version};
use blaze_db_adapter::{Conflict, RecordState, WriteKind};
use common::{Author, config, fold, record, role, write_kind};
use proptest::collection::vec;
use proptest::prelude::*;

/// A record that an author made, and what everyone knows of it.
fn born() -> (Vec<Operation>, RecordState) {
    let mut author = Author::new(1, Role::Client, &RecordState::default());
    let fields = common::FIELDS.map(|field| (common::name(field), Value::Int(0)));
    let operations = author.write(WriteKind::Insert(fields.into_iter().collect()), 100);
    (operations, author.state)
}

fn losers(conflicts: &[Conflict]) -> Vec<(Version, Option<Value>)> {
    let losers = conflicts.iter().map(|conflict| &conflict.loser);
    losers.map(|loser| (loser.version, loser.value.clone())).collect()
}

/// Two authors' roles, and the times at which each of them writes.
fn two_authors() -> impl Strategy<Value = [(Role, Vec<u64>); 2]> {
    let author = || (role(), vec(100..200u64, 1..4));
    [author(), author()]
}

/// Each author's writes to one field, by what was born alone.
fn write_apart(known: &RecordState, authors: [(Role, Vec<u64>); 2]) -> [Vec<Operation>; 2] {
    let mut number = 1;
    authors.map(|(role, times)| {
        number += 1;
        let mut author = Author::new(number, role, known);
        let values = i64::from(number) * 100..;
        times.iter().zip(values).map(|(time, value)| author.set("a", value, *time)).collect()
    })
}

fn in_any_order(operations: &[Operation], seed: u64) -> Vec<Operation> {
    let mut operations = operations.to_vec();
    // Sorting by a hash of place and seed is a shuffle that proptest can replay.
    let mut places: Vec<_> = (0..operations.len() as u64).map(|at| mix(seed, at)).collect();
    operations.sort_by_cached_key(|_| places.pop());
    operations
}

fn mix(seed: u64, at: u64) -> u64 {
    (seed ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xff51_afd7_ed55_8ccd)
        .rotate_left(31)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_last_write_of_who_lost_is_reported_in_every_order(
        authors in two_authors(),
        seed: u64,
    ) {
        let (born, known) = born();
        let [ours, theirs] = write_apart(&known, authors);
        let all = [born, ours.clone(), theirs.clone()].concat();
        let (ours, theirs) = (ours.last().expect("a write"), theirs.last().expect("a write"));
        let (winner, loser) =
            if ours.version > theirs.version { (ours, theirs) } else { (theirs, ours) };
        let (state, conflicts) = fold(&in_any_order(&all, seed));
        prop_assert_eq!(state.field("a").unwrap().stamp.version, winner.version);
        let reported = losers(&conflicts);
        let lost = reported.iter().filter(|(version, _)| *version == loser.version).count();
        prop_assert!(lost > 0, "{:?} was lost in silence: {:?}", loser, conflicts);
        prop_assert!(reported.iter().all(|(version, _)| *version != winner.version));
    }

    #[test]
    fn a_single_write_each_reports_exactly_the_loser(
        roles in [role(), role()],
        times in [100..200u64, 100..200u64],
        seed: u64,
    ) {
        let (born, known) = born();
        let [first, second] = roles;
        let [ours, theirs] =
            write_apart(&known, [(first, vec![times[0]]), (second, vec![times[1]])]);
        let loser = if ours[0].version < theirs[0].version { &ours[0] } else { &theirs[0] };
        let (_, conflicts) = fold(&in_any_order(&[born, ours.clone(), theirs.clone()].concat(), seed));
        let reported = losers(&conflicts);
        prop_assert_eq!(reported.len(), 1, "{:?}", conflicts);
        prop_assert_eq!(reported[0].0, loser.version);
    }

    #[test]
    fn an_update_that_a_delete_ends_unseen_is_reported(
        roles in [role(), role()],
        times in [100..200u64, 100..200u64],
        updates in 0..3usize,
        seed: u64,
    ) {
        let (mut all, known) = born();
        let mut deleter = Author::new(2, roles[0], &known);
        let mut updater = Author::new(3, roles[1], &known);
        // The delete's author may have written to the record before.
        for value in 0..updates {
            all.push(deleter.set("a", 10 + i64::try_from(value).expect("few"), times[0]));
        }
        all.extend(deleter.write(WriteKind::Delete, times[0]));
        let update = updater.set("b", 7, times[1]);
        all.push(update.clone());
        let (state, conflicts) = fold(&in_any_order(&all, seed));
        prop_assert!(!state.exists());
        let reported = losers(&conflicts);
        prop_assert!(reported.contains(&(update.version, Some(Value::Int(7)))), "{:?}", conflicts);
        prop_assert!(reported.iter().all(|(version, _)| *version == update.version));
    }

    #[test]
    fn authors_who_have_seen_everything_never_conflict(
        steps in vec((1..=3u8, role(), write_kind(), 0..300u64), 0..10),
        seed: u64,
    ) {
        let (mut all, mut state) = born();
        let roles = [Role::Client, Role::Server, Role::Client];
        for (number, role, kind, time) in steps {
            let role = if number == 1 { role } else { roles[usize::from(number) - 1] };
            let mut author = Author::new(number, role, &state);
            all.extend(author.write(kind, time));
            state = author.state;
        }
        for order in [all.clone(), in_any_order(&all, seed)] {
            let (merged, conflicts) = fold(&order);
            prop_assert_eq!(&merged, &state);
            prop_assert!(conflicts.is_empty(), "{:?}", conflicts);
        }
    }

    #[test]
    fn two_who_write_the_same_lose_nothing(record in record(), seed: u64) {
        let write = |number| {
            let mut author = Author::new(number, Role::Client, &RecordState::default());
            author.write(WriteKind::Insert(record.clone()), 100)
        };
        let all = [write(2), write(3)].concat();
        prop_assert_eq!(fold(&in_any_order(&all, seed)).1, vec![]);
    }
}

#[test]
fn two_files_with_one_node_id_conflict_where_they_differ() {
    let write = |value: i64| {
        let mut author = Author::new(2, Role::Client, &RecordState::default());
        let fields = [(common::name("a"), Value::Int(value))];
        author.write(WriteKind::Insert(fields.into_iter().collect()), 100)
    };
    let (one, other) = (write(1), write(2));
    for order in [[one.clone(), other.clone()].concat(), [other, one].concat()] {
        let (_, conflicts) = fold(&order);
        let [conflict] = &conflicts[..] else { panic!("one conflict: {conflicts:?}") };
        assert_eq!(conflict.winner.version, conflict.loser.version);
        assert_ne!(conflict.winner.value, conflict.loser.value);
    }
}
