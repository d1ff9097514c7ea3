//! What the removal of tombstones leaves.

use blaze_codec::{Change, Hlc, Incarnation, Operation, Role, Seq, Value, Version, record};
use blaze_db_adapter::Checkpoint;

use super::peers::{purge, register, settle};
use crate::subject::{Subject, UNLIMITED, delete, insert, name, peer, set};
use crate::{Harness, TestClock};

/// A purge removes each tombstone that may go; nothing that exists, no updates that wait
/// for an insert, with or without a tombstone below them, nothing later, and it takes no
/// seq.
pub async fn a_purge_removes_tombstones_and_nothing_else<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([1, 2, 3, 4, 5].map(|key| insert("notes", key, record! { "n" => key }))).await;
    database.write([delete("notes", 2), set("notes", 1, "n", 7), delete("notes", 4)]).await;
    // An update that waits under a tombstone, and one that waits for its insert.
    let late = Version { hlc: Hlc::from_millis(1 << 46), node: peer(7), ..Version::ZERO };
    let waiting = [4, 8].map(|key| {
        let change = Change::Update(vec![(name("n"), Some(Value::Int(9)))]);
        let (collection, base) = (name("notes"), Version::ZERO);
        Operation { collection, key: key.into(), version: late, base, change }
    });
    database.take(peer(1), 5, &waiting).await;
    database.write([insert("other", 1, record! {}), delete("notes", 3)]).await;
    database.write([delete("notes", 5)]).await;
    register(&database, peer(2), 0).await;
    settle(&database, peer(2), 4).await;

    let (head, records) = (database.feed().head(), database.all("notes").await);
    let history = database.announce().await.expect("a feed can be announced");
    let mut expected = database.whole_feed().await;
    let later = database.changes(Seq(4), UNLIMITED).await.expect("changes can be read");
    expected.retain(|operation| {
        let exists = [1].contains(&key(operation)) || operation.collection == name("other");
        exists || [4, 5, 8].contains(&key(operation))
    });
    assert_eq!(purge(&database, 0).await, (2, Seq(4)));
    assert_eq!(database.whole_feed().await, expected);
    let found = database.changes(Seq(4), UNLIMITED).await.expect("changes can be read");
    assert_eq!(found, later);
    assert_eq!(database.all("notes").await, records);
    assert_eq!(database.states().await.len(), 5);
    assert_eq!(database.feed().head(), head);
    let live = database.feed().after(head, usize::MAX).expect("it is at the head");
    assert!(live.is_empty(), "a purge is no commit: {live:?}");
    assert_eq!(database.announce().await.expect("a feed can be announced"), history);
    let place = Checkpoint { incarnation: Incarnation(1), seq: Seq(5) };
    let checkpoints = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
    assert_eq!(checkpoints, [place]);
    assert_eq!(purge(&database, 0).await, (0, Seq(4)), "they are gone");
    settle(&database, peer(2), 5).await;
    assert_eq!(purge(&database, 0).await, (1, Seq(5)));
}

/// Head, clock and history stay where they are, even if the last record of the feed is
/// removed: the next commit takes the next seq and a later version, after a reopening
/// with a clock that went back, too.
pub async fn a_purge_keeps_the_head_and_the_clock<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    database.write([insert("notes", 1, record! {})]).await;
    clock.set(20_000);
    database.write([insert("notes", 2, record! {})]).await;
    let last = database.write([delete("notes", 2)]).await.operations()[0].version;
    let history = database.announce().await.expect("a feed can be announced");
    assert_eq!(purge(&database, 0).await, (1, Seq(3)));
    clock.set(5_000);
    let next = database.write([set("notes", 1, "n", 1)]).await;
    assert_eq!(next.seq(), Seq(4));
    assert!(next.operations()[0].version > last, "{next:?} is above {last:?}");
    let last = database.write([delete("notes", 1)]).await.operations()[0].version;
    assert_eq!(purge(&database, 0).await, (1, Seq(5)));
    assert_eq!(database.whole_feed().await, []);
    let Some(database) = database.reopen(clock.settings(Role::Client)).await else { return };
    assert_eq!(database.feed().head(), Seq(5));
    let changes = database.changes(Seq(1), UNLIMITED).await.expect("changes can be read");
    assert_eq!((changes.operations, changes.through, changes.more), (vec![], Seq(5), false));
    let next = database.write([insert("notes", 3, record! {})]).await;
    assert_eq!(next.seq(), Seq(6));
    assert!(next.operations()[0].version > last, "{next:?} is above {last:?}");
    let after = database.announce().await.expect("a feed can be announced");
    assert_eq!(after.spans()[..history.spans().len()], *history.spans());
    assert_eq!(
        after.spans().last().map(|span| span.first),
        Some(Seq(6)),
        "what was committed since is another's"
    );
}

/// Whoever registers a peer learns up to which seq tombstones are gone: that of the
/// latest one that was removed.
pub async fn a_session_learns_what_is_gone<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    assert_eq!(register(&database, peer(1), 0).await, Seq::ZERO);
    assert!(database.unregister(peer(1)).await.expect("a peer can be taken out"));
    database.write([1, 2].map(|key| insert("notes", key, record! {}))).await;
    database.write([delete("notes", 1)]).await;
    database.write([insert("notes", 3, record! {})]).await;
    assert_eq!(purge(&database, 0).await, (1, Seq(2)));
    assert_eq!(register(&database, peer(1), 1).await, Seq(2));
    assert_eq!(register(&database, peer(1), 3).await, Seq(2));
    settle(&database, peer(1), 3).await;
    assert_eq!(purge(&database, 0).await, (0, Seq(2)), "nothing else was deleted");
    assert_eq!(register(&database, peer(2), 3).await, Seq(2));
}

/// A record whose tombstone is gone can be inserted anew, here and by a peer.
pub async fn a_purged_record_can_be_inserted_anew<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let replica = Subject::new(harness).await;
    database.write([insert("notes", 1, record! { "old" => 1 })]).await;
    database.write([delete("notes", 1)]).await;
    replica.pull(&database).await;
    for database in [&database, &replica] {
        assert_eq!(purge(database, 0).await.0, 1);
    }
    database.write([insert("notes", 1, record! { "new" => 2 })]).await;
    replica.pull(&database).await;
    for database in [&database, &replica] {
        assert_eq!(database.record("notes", 1).await, Some(record! { "new" => 2 }));
    }
    assert_eq!(replica.states().await, database.states().await);
}

fn key(operation: &Operation) -> i64 {
    match operation.key {
        blaze_codec::RecordKey::Int(key) => key,
        ref other => panic!("{other} is no key of this rule"),
    }
}
