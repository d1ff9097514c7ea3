//! How local writes are stamped, and what is refused.

mod common;

use std::collections::BTreeMap;

use blaze_codec::message::TRANSACTION_BYTES_MAX;
use blaze_codec::{Change, Hlc, HlcClock, Operation, RecordKey, Role, Value, Version, record};
use blaze_db_adapter::{
    RecordState, Stamper, TRANSACTION_WRITES_MAX, Write, WriteError, WriteKind, check_count,
};
use common::{Author, collection, key, name, node};

fn write(kind: WriteKind) -> Write {
    Write { collection: collection(), key: key(), kind }
}

fn stamper(clock: &mut HlcClock) -> Stamper<'_> {
    Stamper { clock, wall_ms: 5, node: node(1), role: Role::Client, forgotten: Hlc::ZERO, bytes: 0 }
}

fn stamp(
    stamper: &mut Stamper<'_>,
    write: &Write,
    state: &mut RecordState,
) -> Result<Vec<Operation>, WriteError> {
    let mut operations = Vec::new();
    stamper.stamp(write, state, &mut operations)?;
    Ok(operations)
}

#[test]
fn a_write_is_above_a_version_whose_epoch_is_ahead_of_its_clock() {
    let ahead = Version { epoch: Hlc::from_millis(900), hlc: Hlc::from_millis(1), node: node(2) };
    let known = Operation {
        collection: collection(),
        key: key(),
        version: ahead,
        base: Version::ZERO,
        change: Change::Insert(record! { "a" => 1 }),
    };
    let state = common::fold(&[known]).0;
    for role in [Role::Server, Role::Client] {
        let mut author = Author::new(1, role, &state);
        assert!(author.set("a", 2, 0).version > ahead, "as a {role}");
        assert_eq!(author.state.record(), Some(record! { "a" => 2 }));
    }
}

#[test]
fn a_client_writes_above_what_it_forgot() {
    let epoch = Hlc::from_millis(900);
    let insert = write(WriteKind::Insert(record! { "a" => 1 }));
    let mut clock = HlcClock::default();
    let mut stamper = Stamper { forgotten: epoch, ..stamper(&mut clock) };
    let mut state = RecordState::default();
    let inserted = stamp(&mut stamper, &insert, &mut state).unwrap();
    assert_eq!(inserted[0].version.epoch, epoch, "a server may have deleted it");
    let deleted = Operation { change: Change::Delete, ..inserted[0].clone() };
    // Something older of the record came since.
    let older = Version { epoch: Hlc::ZERO, ..deleted.version };
    let mut dead = common::fold(&[Operation { version: older, ..deleted }]).0;
    assert_eq!(stamp(&mut stamper, &insert, &mut dead).unwrap()[0].version.epoch, epoch);
}

#[test]
fn fields_last_written_by_different_versions_are_updated_apart() {
    let mut first = Author::new(1, Role::Client, &RecordState::default());
    let born = first.write(WriteKind::Insert(record! { "a" => 1, "b" => 1, "c" => 1 }), 0);
    let b = first.set("b", 2, 0);
    let mut second = Author::new(2, Role::Client, &first.state);
    let put = second.write(WriteKind::Put(record! { "a" => 3, "b" => 3 }), 0);
    let bases: BTreeMap<_, _> =
        put.iter().map(|operation| (operation.base, operation.change.clone())).collect();
    let set = |field, value: Option<i64>| (name(field), value.map(Value::Int));
    let expected = BTreeMap::from([
        (born[0].version, Change::Update(vec![set("a", Some(3)), set("c", None)])),
        (b.version, Change::Update(vec![set("b", Some(3))])),
    ]);
    assert_eq!(bases, expected);
    // What one author wrote itself has one base: all that it knew of others.
    assert_eq!(second.write(WriteKind::Put(record! { "a" => 4, "b" => 4 }), 0).len(), 2);
    assert_eq!(first.write(WriteKind::Put(record! { "a" => 4, "b" => 4 }), 0).len(), 1);
}

#[test]
fn the_base_of_a_write_on_top_of_ones_own_is_what_that_one_had_seen() {
    let mut first = Author::new(1, Role::Client, &RecordState::default());
    let born = first.write(WriteKind::Insert(record! { "a" => 1 }), 0).remove(0);
    assert_eq!(born.base, Version::ZERO);
    assert_eq!(first.set("a", 2, 0).base, Version::ZERO);
    let mut second = Author::new(2, Role::Client, &first.state);
    let seen = first.state.version();
    assert_eq!([second.set("a", 3, 0).base, second.set("a", 4, 0).base], [seen, seen]);
    assert_eq!(second.write(WriteKind::Delete, 0).remove(0).base, seen);
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut clock = HlcClock::default();
    let mut stamper = stamper(&mut clock);
    let mut state = RecordState::default();
    let update = write(WriteKind::Update(BTreeMap::new()));
    let refused = stamp(&mut stamper, &update, &mut state);
    assert_eq!(refused, Err(WriteError::NotFound { collection: collection(), key: key() }));
    let long = Write {
        key: RecordKey::Text("x".repeat(RecordKey::BYTES_MAX + 1)),
        ..write(WriteKind::Delete)
    };
    assert!(matches!(stamp(&mut stamper, &long, &mut state), Err(WriteError::Key { .. })));
    assert_eq!((state, stamper.bytes), (RecordState::default(), 0));
}

#[test]
fn a_value_over_a_limit_is_refused() {
    let mut clock = HlcClock::default();
    let nested = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let insert = write(WriteKind::Insert(record! { "a" => nested }));
    let refused = stamp(&mut stamper(&mut clock), &insert, &mut RecordState::default());
    assert!(matches!(refused, Err(WriteError::Value { .. })), "{refused:?}");
}

#[test]
fn the_bytes_of_a_transaction_add_up_to_the_limit() {
    let mut clock = HlcClock::default();
    let mut stamper = stamper(&mut clock);
    let large = write(WriteKind::Insert(record! { "a" => "x".repeat(TRANSACTION_BYTES_MAX / 8) }));
    for number in 1..8 {
        let done = stamp(&mut stamper, &large, &mut RecordState::default());
        assert!(done.is_ok(), "write {number}: {:?}", done.err());
    }
    let refused = stamp(&mut stamper, &large, &mut RecordState::default());
    let Err(WriteError::TooLarge { found, max }) = refused else { panic!("{refused:?}") };
    assert!(found > max && found < max + max / 8, "{found} of {max} bytes");
}

#[test]
fn the_number_of_writes_is_limited() {
    let mut writes = vec![write(WriteKind::Delete); TRANSACTION_WRITES_MAX];
    assert_eq!(check_count(&writes), Ok(()));
    writes.push(write(WriteKind::Delete));
    let (found, max) = (TRANSACTION_WRITES_MAX + 1, TRANSACTION_WRITES_MAX);
    assert_eq!(check_count(&writes), Err(WriteError::TooMany { found, max }));
}
