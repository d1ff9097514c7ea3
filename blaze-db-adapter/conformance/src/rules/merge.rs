//! What a merge does.

use blaze_codec::{
    Change, HISTORY_SPANS_MAX, Hlc, Incarnation, NodeId, Operation, Seq, Value, Version, record,
};
use blaze_db_adapter::{Checkpoint, Incoming, Origin};
use fastrand::Rng;

use crate::subject::{Subject, fold, insert, name, peer, set};
use crate::{Harness, Settings, random};

/// A merge has the result of the merge rule, whatever comes in whatever order,
/// in one transaction or many.
pub async fn a_merge_follows_the_rule_in_any_order<H: Harness>(harness: &H) {
    for seed in 0..8 {
        let mut rng = Rng::with_seed(seed);
        let mut operations = random::operations(&mut rng, 60);
        let expected = fold(&operations);
        for size in [1, 7, operations.len()] {
            rng.shuffle(&mut operations);
            let database = Subject::new(harness).await;
            for (seq, batch) in (1..).zip(operations.chunks(size)) {
                database.take(peer(1), seq, batch).await;
            }
            assert_eq!(database.states().await, expected, "seed {seed}, batches of {size}");
        }
    }
}

/// What is known already changes nothing and takes no seq.
pub async fn a_merge_is_idempotent<H: Harness>(harness: &H) {
    let mut rng = Rng::with_seed(7);
    let operations = random::operations(&mut rng, 40);
    let database = Subject::new(harness).await;
    database.take(peer(1), 1, &operations).await;
    let (head, feed) = (database.feed().head(), database.whole_feed().await);
    for from in [peer(1), peer(2)] {
        let merged = database.take(from, 2, &operations).await;
        assert!(merged.committed.is_none(), "known operations made {:?}", merged.committed);
        assert_eq!(database.feed().head(), head);
        assert_eq!(database.whole_feed().await, feed);
    }
}

/// A merge is one commit of the peer's, with only the operations that changed
/// something.
pub async fn a_merge_is_one_commit_of_what_changed<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let known = [update(1, 10, "a", 1), update(2, 10, "a", 1)];
    database.take(peer(1), 1, &known).await;
    let operations = [
        known[0].clone(),
        update(3, 12, "a", 3),
        update(1, 9, "a", 0),
        update(2, 11, "a", 2),
        update(3, 12, "a", 3),
    ];
    let merged = database.take(peer(2), 1, &operations).await;
    let committed = merged.committed.expect("something changed");
    let checkpoint = Checkpoint { incarnation: Incarnation(1), seq: Seq(1) };
    let origin = Origin::Peer { node: peer(2), checkpoint: Some(checkpoint) };
    assert_eq!((committed.seq(), committed.origin()), (Seq(2), origin));
    assert_eq!(committed.roots(), [checkpoint], "peers are told where it was written first");
    assert_eq!(committed.operations(), [operations[1].clone(), operations[3].clone()]);
    assert_eq!(database.feed().head(), Seq(2));
    assert_eq!(database.states().await, fold(&[&known[..], &operations].concat()));
}

/// The checkpoint is stored with each merge, also if it changed nothing, one a
/// peer; of a peer never heard of there is none.
pub async fn a_merge_stores_the_checkpoint<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    assert_eq!(stored(&database, peer(1)).await, None);
    let operations = [update(1, 10, "a", 1)];
    database.take(peer(1), 5, &operations).await;
    assert_eq!(stored(&database, peer(1)).await, Some(Seq(5)));
    assert_eq!(stored(&database, peer(2)).await, None);
    database.take(peer(2), 3, &operations).await;
    database.take(peer(1), 9, &[]).await;
    assert_eq!(stored(&database, peer(1)).await, Some(Seq(9)));
    assert_eq!(stored(&database, peer(2)).await, Some(Seq(3)));
    // Of each incarnation of the peer's the last place is kept, the latest first.
    let place =
        |incarnation, seq| Checkpoint { incarnation: Incarnation(incarnation), seq: Seq(seq) };
    let places = [place(u64::MAX, 4), place(7, 8), place(u64::MAX, 5), place(u64::MAX, 3)];
    let reach = async |checkpoint| {
        let incoming =
            Incoming { peer: peer(1), checkpoint, operations: vec![], ..Incoming::default() };
        database.merge(incoming).await.expect("a merge succeeds");
    };
    for place in places {
        reach(Some(place)).await;
    }
    let found = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
    assert_eq!(found, [place(u64::MAX, 5), place(7, 8), place(1, 9)]);
    // A part of what a seq changed reaches no place.
    let operations = vec![update(2, 11, "a", 2)];
    let part = Incoming { peer: peer(1), checkpoint: None, operations, ..Incoming::default() };
    let merged = database.merge(part).await.expect("a merge succeeds");
    let origin = merged.committed.expect("it changed something").origin();
    assert_eq!(origin, Origin::Peer { node: peer(1), checkpoint: None });
    assert_eq!(database.checkpoints(peer(1)).await.expect("checkpoints can be read"), found);
    // Those of two that merge in turns don't push out the others, but many do.
    for _ in 0..HISTORY_SPANS_MAX {
        reach(Some(place(7, 8))).await;
        reach(Some(place(u64::MAX, 5))).await;
    }
    assert_eq!(database.checkpoints(peer(1)).await.expect("checkpoints can be read"), found);
    for incarnation in 100..=100 + HISTORY_SPANS_MAX as u64 {
        reach(Some(place(incarnation, 1))).await;
    }
    let found = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
    let latest = (101..=100 + HISTORY_SPANS_MAX as u64).rev().map(|number| place(number, 1));
    assert!(found.into_iter().eq(latest), "the latest are kept");

    // One that comes late doesn't take it back, not even with something new.
    database.take(peer(3), 9, &[]).await;
    database.take(peer(3), 7, &[update(4, 20, "a", 4)]).await;
    assert_eq!(stored(&database, peer(3)).await, Some(Seq(9)));
}

/// What was merged, and how far, is still there when the database is opened again.
pub async fn merges_survive_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let operations = random::operations(&mut Rng::with_seed(3), 40);
    database.take(peer(1), 5, &operations).await;
    database.take(peer(2), 6, &[]).await;
    let feed = database.whole_feed().await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(stored(&database, peer(1)).await, Some(Seq(5)));
    assert_eq!(stored(&database, peer(2)).await, Some(Seq(6)));
    assert_eq!(database.whole_feed().await, feed);
    assert_eq!(database.states().await, fold(&operations));
}

/// The loser of a true conflict is reported with both values and versions,
/// whether it is what was here or what came; a write that knew the other is none.
pub async fn conflicts_are_reported_with_both_sides<H: Harness>(harness: &H) {
    let (one, other) = (Subject::new(harness).await, Subject::new(harness).await);
    one.write([insert("notes", 1, record! { "title" => "old", "stars" => 1 })]).await;
    assert!(other.pull(&one).await.conflicts.is_empty(), "one author is no conflict");
    let ours = one.write([set("notes", 1, "title", "one")]).await.operations()[0].version;
    let theirs = other.write([set("notes", 1, "title", "other")]).await.operations()[0].version;
    other.write([set("notes", 1, "stars", 2)]).await;
    let ours = (ours, Some(Value::from("one")));
    let theirs = (theirs, Some(Value::from("other")));
    let (winner, loser) = if ours.0 > theirs.0 { (ours, theirs) } else { (theirs, ours) };
    // Both send before either merges: then both see the loser.
    let (to_other, to_one) = (one.whole_feed().await, other.whole_feed().await);
    let head = |database: &Subject<'_, H>| (database.identity().node, database.feed().head().0);
    let ((one_node, one_head), (other_node, other_head)) = (head(&one), head(&other));
    for merged in [
        one.take(other_node, other_head, &to_one).await,
        other.take(one_node, one_head, &to_other).await,
    ] {
        let [conflict] = &merged.conflicts[..] else { panic!("one conflict: {merged:?}") };
        assert_eq!((&conflict.collection, &conflict.key), (&name("notes"), &1.into()));
        assert_eq!(conflict.field, name("title"));
        let sides =
            [&conflict.winner, &conflict.loser].map(|side| (side.version, side.value.clone()));
        assert_eq!(sides, [winner.clone(), loser.clone()]);
    }
    assert_eq!(one.states().await, other.states().await);
    one.write([set("notes", 1, "title", "both seen")]).await;
    let merged = other.take(one_node, one_head + 2, &one.whole_feed().await).await;
    assert!(merged.conflicts.is_empty(), "this author had seen the other: {merged:?}");
}

/// An update sent again, or one that is older, brings no deleted record back;
/// a later insert does, without the fields of before.
pub async fn only_a_later_insert_brings_a_record_back<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let born = operation(1, 10, 0, Change::Insert(record! { "a" => 1, "b" => 1 }));
    let dead = operation(1, 20, 10, Change::Delete);
    let older = update(1, 15, "a", 2);
    let later = operation(1, 25, 10, Change::Update(vec![(name("a"), Some(Value::Int(3)))]));
    database.take(peer(1), 1, std::slice::from_ref(&born)).await;
    database.take(peer(1), 2, std::slice::from_ref(&dead)).await;
    for operation in [&born, &older, &later, &dead] {
        database.take(peer(2), 1, std::slice::from_ref(operation)).await;
        assert_eq!(database.record("notes", 1).await, None, "after {operation:?}");
    }
    let reborn = operation(1, 22, 20, Change::Insert(record! { "c" => 1 }));
    database.take(peer(1), 3, std::slice::from_ref(&reborn)).await;
    assert_eq!(database.record("notes", 1).await, Some(record! { "a" => 3, "c" => 1 }));
    assert_eq!(database.states().await, fold(&[born, dead, older, later, reborn]));
}

/// A database whose own records are merged in parts keeps the others.
pub async fn writers_of_different_fields_both_win<H: Harness>(harness: &H) {
    let (one, other) = (Subject::new(harness).await, Subject::new(harness).await);
    one.write([insert("notes", 1, record! { "a" => 0, "b" => 0 })]).await;
    other.pull(&one).await;
    one.write([set("notes", 1, "a", 1)]).await;
    other.write([set("notes", 1, "b", 1)]).await;
    let conflicts = [other.pull(&one).await.conflicts, one.pull(&other).await.conflicts].concat();
    assert!(conflicts.is_empty(), "{conflicts:?}");
    for database in [&one, &other] {
        assert_eq!(database.record("notes", 1).await, Some(record! { "a" => 1, "b" => 1 }));
    }
    assert_eq!(one.states().await, other.states().await);
}

fn update(key: i64, hlc: u64, field: &str, value: i64) -> Operation {
    operation(key, hlc, 0, Change::Update(vec![(name(field), Some(Value::Int(value)))]))
}

fn operation(key: i64, hlc: u64, base: u64, change: Change) -> Operation {
    let version = |hlc| match hlc {
        0 => Version::ZERO,
        _ => Version { epoch: Hlc::ZERO, hlc: Hlc::from_bits(hlc), node: peer(200) },
    };
    let (version, base) = (version(hlc), version(base));
    Operation { collection: name("notes"), key: key.into(), version, base, change }
}

async fn stored<H: Harness>(database: &Subject<'_, H>, of: NodeId) -> Option<Seq> {
    let found = database.checkpoints(of).await.expect("checkpoints can be read");
    assert!(found.iter().all(|place| place.incarnation == Incarnation(1)), "{found:?}");
    found.first().map(|place| place.seq)
}
