//! Rolls, and what else tells a replica of deletes that it or its peer forgot.

use blaze_codec::{
    Change, Checkpoint, Hlc, Incarnation, Operation, RecordKey, Role, Seq, Value, Version, record,
};
use blaze_db_adapter::{ChangeSet, Incoming, Merged, Origin};

use super::peers::purge;
use crate::subject::{Subject, UNLIMITED, delete, insert, name, peer, set};
use crate::{Harness, TestClock};

const PLACE: Checkpoint = Checkpoint { incarnation: Incarnation(1), seq: Seq(7) };

/// A roll names the records that exist and last changed within the range, in the order
/// of the feed, by updates without values: of the fields that were written since its life
/// began, each at that version, based on the life's; or of none, at the version of that.
pub async fn a_roll_names_exactly_what_exists<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2, 3, 4].map(|key| insert("notes", key, record! { "n" => 1 }))).await;
    database.write([delete("notes", 2), insert("other", 1, record! {})]).await;
    let updated = database.write([set("notes", 1, "n", 2)]).await.operations()[0].version;
    database.write([insert("notes", 5, record! {})]).await;
    database.write([delete("notes", 5), delete("notes", 4)]).await;
    let states = database.states().await;
    for (after, through, expected) in [
        (0, 5, vec![("notes", 3), ("other", 1), ("notes", 1)]),
        (0, 1, vec![("notes", 3)]),
        (1, 2, vec![("other", 1)]),
        (2, 9, vec![("notes", 1)]),
        (3, 5, vec![]),
        (2, 2, vec![]),
        (3, 2, vec![]),
        (0, 0, vec![]),
        (0, u64::MAX, vec![("notes", 3), ("other", 1), ("notes", 1)]),
    ] {
        let roll = read(&database, after, through, usize::MAX).await;
        let expected = expected.into_iter().map(|(collection, key)| {
            let (collection, key) = (name(collection), RecordKey::Int(key));
            let state = &states[&(collection.clone(), key.clone())];
            let (version, life) = (state.version(), state.life().stamp.version);
            // Only one was written to since.
            let (base, fields) = if life < version {
                (life, vec![(name("n"), None)])
            } else {
                (Version::ZERO, vec![])
            };
            Operation { collection, key, version, base, change: Change::Update(fields) }
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(roll.operations, expected, "after {after}, through {through}");
        assert_eq!((roll.through, roll.more), (Seq(through.max(after)), false));
    }
    let last = read(&database, 2, 5, 1).await.operations.remove(0);
    assert_eq!(last.version, updated, "the greatest in the record, not its insert's");
}

/// Read in steps of any size, a roll gives each record once, and never a part of a seq.
pub async fn a_roll_can_be_read_in_steps<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for number in 0..12 {
        let keys = (0..=number % 4).map(|at| 10 * number + at);
        let inserts = keys.map(|key| insert("notes", key, record! {}));
        database.write(inserts.collect::<Vec<_>>()).await;
    }
    database.write([delete("notes", 0), delete("notes", 31), set("notes", 40, "n", 1)]).await;
    database.write([delete("notes", 50)]).await;
    let head = database.feed().head();
    let whole = read(&database, 0, head.0, usize::MAX).await.operations;
    for count in [0, 1, 2, 3, 7] {
        let (mut operations, mut after, mut steps) = (Vec::new(), Seq::ZERO, 0);
        loop {
            let step = read(&database, after.0, head.0, count).await;
            assert!(step.through > after, "a step goes on from {after}: {step:?}");
            // Less than a seq more than was asked for.
            assert!(step.operations.len() < count.max(1) + 4, "{} records", step.operations.len());
            assert!(!step.operations.is_empty(), "each step gives something");
            operations.extend(step.operations);
            after = step.through;
            steps += 1;
            if !step.more {
                break;
            }
        }
        assert_eq!(after, head);
        assert_eq!(operations, whole, "in steps of {count}");
        assert!(steps > 2 && (count > 1 || steps == 11), "{steps} steps of {count}");
    }
}

/// A merged roll ends the records that are unknown here, at the version that the peer
/// has of them, and leaves alone what is known; the peer is told.
pub async fn a_roll_buries_what_is_forgotten<H: Harness>(harness: &H) {
    let (database, replica) = (Subject::new(harness).await, Subject::new(harness).await);
    database.write([1, 2, 3].map(|key| insert("notes", key, record! { "n" => 1 }))).await;
    replica.pull(&database).await;
    database.write([delete("notes", 3)]).await;
    assert_eq!(purge(&database, 0).await.0, 1);
    database.write([delete("notes", 2), set("notes", 1, "n", 2)]).await;
    let named = read(&replica, 0, 1, usize::MAX).await.operations;
    assert_eq!(named.len(), 3);
    let before = database.states().await;

    let roll = |operations: &[Operation]| Incoming {
        peer: replica.identity().node,
        operations: operations.to_vec(),
        roll: true,
        ..Incoming::default()
    };
    let merged = merge(&database, roll(&named)).await;
    let version = named[2].version;
    let buried = Operation { base: version, change: Change::Delete, ..named[2].clone() };
    assert_eq!(told(&merged), (Seq(4), vec![buried.clone()]));
    assert!(merged.conflicts.is_empty(), "{merged:?}");
    let mut states = database.states().await;
    let state = states.remove(&(name("notes"), 3.into())).expect("it is known now");
    let found = state.operations(&name("notes"), &3.into());
    assert_eq!(found, std::slice::from_ref(&buried));
    assert_eq!(states, before);
    assert!(merge(&database, roll(&named)).await.committed.is_none(), "all is known");
    // The peer's record ends, unless something later was written to it.
    replica.pull(&database).await;
    assert_eq!(replica.states().await, database.states().await);
    let kept = later(3, version, Change::Insert(record! { "n" => 9 }));
    database.take(peer(1), 1, &[kept]).await;
    assert_eq!(database.record("notes", 3).await, Some(record! { "n" => 9 }));

    // An update that waits for its insert was written to the record that was deleted.
    let waiting = later(7, version, Change::Update(vec![(name("n"), Some(Value::Int(5)))]));
    database.take(peer(1), 2, std::slice::from_ref(&waiting)).await;
    let named = Operation { key: 7.into(), ..named[2].clone() };
    let merged = merge(&database, roll(&[named])).await;
    let (version, base) = (waiting.version, waiting.version);
    let buried = Operation { version, base, change: Change::Delete, ..waiting };
    assert_eq!(told(&merged).1, [buried]);
    let nothing = Operation {
        key: 8.into(),
        version: Version::ZERO,
        ..later(8, version, Change::Update(vec![]))
    };
    assert!(merge(&database, roll(&[nothing])).await.committed.is_none(), "it buries nothing");
}

/// A peer that had a delete and writes below it has forgotten it: it is told again, in
/// a commit of its own seq, once a record; the checkpoint is stored as ever.
pub async fn a_peer_that_forgot_a_delete_is_told_again<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let writes = [1, 2].map(|key| insert("notes", key, record! { "n" => 1 }));
    let born = database.write(writes).await.operations().to_vec();
    let dead = database.write([1, 2].map(|key| delete("notes", key))).await.operations().to_vec();
    let again = Operation { change: Change::Delete, ..born[0].clone() };
    let below = |key: i64| {
        let change = Change::Update(vec![(name("m"), Some(Value::Int(3)))]);
        Operation { key: key.into(), change, ..born[1].clone() }
    };
    let came = |holds, operations: &[Operation]| Incoming {
        peer: peer(1),
        checkpoint: Some(PLACE),
        operations: operations.to_vec(),
        holds: Seq(holds),
        ..Incoming::default()
    };
    assert!(merge(&database, came(2, &[again])).await.committed.is_none(), "it knows a delete");
    let fresh = later(9, born[0].version, Change::Insert(record! {}));
    let operations =
        [born[0].clone(), below(1), fresh.clone(), below(2), born[1].clone(), born[0].clone()];
    let merged = merge(&database, came(2, &operations)).await;
    let expected = vec![dead[0].clone(), fresh, dead[1].clone()];
    assert_eq!(told(&merged), (Seq(3), expected));
    assert_eq!(database.checkpoints(peer(1)).await.expect("checkpoints can be read"), [PLACE]);
    let moved = database.changes(Seq(2), UNLIMITED).await.expect("changes can be read");
    assert_eq!(moved.operations.len(), 3, "they are in the feed at the new seq: {moved:?}");
    assert!(merge(&database, came(2, &operations)).await.committed.is_none(), "it is on its way");
    assert_eq!(told(&merge(&database, came(3, &born)).await), (Seq(4), dead));
    assert_eq!(database.record("notes", 1).await, None);
}

/// A peer that hasn't yet heard of a delete is told once, by the feed.
pub async fn a_peer_that_never_had_a_delete_is_not_told_again<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let born = database.write([insert("notes", 1, record! { "n" => 1 })]).await;
    database.write([delete("notes", 1)]).await;
    for holds in [0, 1] {
        let operations = born.operations().to_vec();
        let incoming =
            Incoming { peer: peer(1), operations, holds: Seq(holds), ..Incoming::default() };
        assert!(merge(&database, incoming).await.committed.is_none(), "it holds {holds} only");
    }
    assert_eq!(database.feed().head(), Seq(2));
}

/// Updates that waited for their record's insert go on with it, as they may have been
/// forgotten elsewhere.
pub async fn what_waited_goes_on_with_its_insert<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let version = |hlc| Version { hlc: Hlc::from_bits(hlc), node: peer(9), ..Version::ZERO };
    let operation = |hlc, change| Operation {
        collection: name("notes"),
        key: 1.into(),
        version: version(hlc),
        base: Version::ZERO,
        change,
    };
    let update = operation(30, Change::Update(vec![(name("n"), Some(Value::Int(2)))]));
    database.take(peer(1), 1, std::slice::from_ref(&update)).await;
    let born = operation(20, Change::Insert(record! { "m" => 1 }));
    let merged = database.take(peer(2), 1, std::slice::from_ref(&born)).await;
    let committed = merged.committed.expect("it changed something");
    assert_eq!(committed.operations(), [born, update.clone()]);
    assert_eq!(committed.origin(), Origin::Peer { node: peer(2), checkpoint: None });

    // Once, as the transaction leaves it, however often the record comes back in it.
    let lives = (21..29).map(|hlc| match hlc % 2 {
        1 => operation(hlc, Change::Delete),
        _ => operation(hlc, Change::Insert(record! { "m" => 2 })),
    });
    let lives: Vec<_> = lives.collect();
    let merged = database.take(peer(2), 2, &lives).await;
    assert_eq!(told(&merged), (Seq(3), vec![lives[7].clone(), update]));
}

/// What comes of a record that isn't there, at or below a tombstone that is gone, may have
/// been deleted with it: the commit doesn't say where it was written first, so that it goes
/// to whoever has it from there and may still know the delete.
pub async fn what_may_be_forgotten_goes_on_as_new<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    database.write([insert("notes", 1, record! {})]).await;
    let version = database.write([delete("notes", 1)]).await.operations()[0].version;
    let before = later(5, version, Change::Insert(record! {}));
    let merged = database.take(peer(1), 1, std::slice::from_ref(&before)).await;
    let roots = |merged: Merged| merged.committed.expect("it changed something").roots().to_vec();
    let from = |seq| Checkpoint { seq: Seq(seq), ..PLACE };
    assert_eq!(roots(merged), [from(1)], "nothing is forgotten");
    assert_eq!(purge(&database, 0).await.0, 1);
    let of = |key: i64, change| Operation { key: key.into(), version, change, ..before.clone() };
    let merged = database.take(peer(1), 2, &[of(2, Change::Insert(record! {}))]).await;
    let committed = merged.committed.clone().expect("it changed something");
    let origin = Origin::Peer { node: peer(1), checkpoint: Some(from(2)) };
    assert_eq!((committed.origin(), roots(merged)), (origin, vec![]), "the peer has it");
    let field = Change::Update(vec![(name("n"), Some(Value::Int(1)))]);
    let merged = database.take(peer(1), 3, &[of(2, field)]).await;
    assert_eq!(roots(merged), [from(3)], "the record is there");
    let merged = database.take(peer(1), 4, &[later(3, version, Change::Delete)]).await;
    assert_eq!(roots(merged), [from(4)], "it is later");
    let Some(database) = database.reopen(clock.settings(Role::Client)).await else { return };
    let merged = database.take(peer(1), 5, &[of(4, Change::Delete)]).await;
    assert_eq!(roots(merged), []);
}

/// A commit that has something instead of what came: its seq and operations.
fn told(merged: &Merged) -> (Seq, Vec<Operation>) {
    let committed = merged.committed.as_ref().expect("the peer is told");
    let Origin::Peer { checkpoint, .. } = committed.origin() else { panic!("{committed:?}") };
    assert_eq!(checkpoint, None, "the peer is not taken to know it");
    (committed.seq(), committed.operations().to_vec())
}

/// What another node writes to a record just after a version.
fn later(key: i64, than: Version, change: Change) -> Operation {
    let hlc = Hlc::from_bits(than.hlc.to_bits() + 1);
    let version = Version { hlc, node: peer(200), ..than };
    Operation { collection: name("notes"), key: key.into(), version, base: Version::ZERO, change }
}

async fn merge<H: Harness>(database: &Subject<'_, H>, incoming: Incoming) -> Merged {
    database.merge(incoming).await.expect("a merge succeeds")
}

async fn read<H: Harness>(
    database: &Subject<'_, H>,
    after: u64,
    through: u64,
    count: usize,
) -> ChangeSet {
    database.roll(Seq(after), Seq(through), count).await.expect("a roll can be read")
}
