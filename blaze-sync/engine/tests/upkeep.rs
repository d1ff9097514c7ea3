//! Tombstones: kept as long as a peer needs them, and what becomes of one that missed them.

mod common;

use std::sync::Arc;
use std::time::Duration;

use blaze_codec::{Change, Incarnation, Mode, Name, RecordKey, Seq};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, WallClock, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_sync_engine::{Node, NodeOptions};
use blaze_transport_memory::MemoryTransport;
use common::{DEADLINE, connect, listen, live, put, reach, records};

/// A node that looks for tombstones all the time, and its database.
fn tidy(name: &str, database: MemoryDatabase) -> (Node, Arc<MemoryDatabase>) {
    let database = Arc::new(database);
    let upkeep = Duration::from_millis(2);
    let options = NodeOptions { upkeep, ..NodeOptions::default() };
    (Node::new(database.clone(), name, options), database)
}

async fn delete(node: &Node, key: i64) -> Seq {
    let collection = Name::new("numbers").unwrap();
    let write = Write { collection, key: RecordKey::Int(key), kind: WriteKind::Delete };
    node.database().commit(vec![write]).await.unwrap().seq()
}

async fn tombstones(node: &Node) -> usize {
    let limit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
    let changes = node.database().changes(Seq::ZERO, limit).await.unwrap();
    changes.operations.iter().filter(|operation| operation.change == Change::Delete).count()
}

/// Waits until a condition holds, looking again and again: nothing tells of a purge.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, held).await.unwrap_or_else(|_| panic!("not {what}"));
}

#[tokio::test]
async fn tombstones_go_when_all_peers_have_them_and_not_before() {
    let transport = MemoryTransport::new();
    let (a, _) = tidy("a", MemoryDatabase::new());
    let (b, database) = tidy("b", MemoryDatabase::new());
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    live(&mut link).await;
    for key in 0..20 {
        put(&a, key, key).await;
    }
    reach(&b, 20).await;
    for key in 0..10 {
        delete(&a, key).await;
        delete(&b, 10 + key).await;
    }
    until("gone at both", async || tombstones(&a).await + tombstones(&b).await == 0).await;
    assert!(records(&a).await.is_empty() && records(&b).await.is_empty());

    // One that is registered and away is waited for.
    put(&a, 30, 30).await;
    reach(&b, 1).await;
    link.close().await;
    b.close().await;
    delete(&a, 30).await;
    let removed = a.database().purge(0).await.unwrap().removed;
    assert_eq!((removed, tombstones(&a).await), (0, 1));
    let peers = a.database().peers().await.unwrap();
    assert_eq!((peers.len(), peers[0].node, &*peers[0].name), (1, database.identity().node, "b"));
    // Past its lease it isn't.
    let silent_since_ms = peers[0].seen_ms + 1;
    assert_eq!(a.database().purge(silent_since_ms).await.unwrap().removed, 1);
}

#[tokio::test]
async fn a_database_that_went_back_beyond_a_tombstone_loses_what_was_deleted_and_keeps_its_own() {
    let transport = MemoryTransport::new();
    let (a, _) = tidy("a", MemoryDatabase::new());
    let (b, database) = tidy("b", MemoryDatabase::new());
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    live(&mut link).await;
    for key in 0..5 {
        put(&a, key, key).await;
    }
    reach(&b, 5).await;
    let head = Some(database.feed().head());
    let settled = link.wait_for(|status| status.settled == head);
    tokio::time::timeout(DEADLINE, settled).await.expect("it settles");
    let backup = database.snapshot();
    delete(&a, 0).await;
    delete(&b, 1).await;
    until("gone at both", async || {
        tombstones(&a).await + tombstones(&b).await == 0 && records(&a).await.len() == 3
    })
    .await;
    link.close().await;
    b.close().await;

    let restored = backup.open(Incarnation(9), WallClock::system());
    let (b, _) = tidy("b", restored);
    put(&b, 6, 6).await;
    assert_eq!(records(&b).await.len(), 6, "what was deleted is in the backup");
    let mut link = connect(&b, transport, "a", Mode::Bidirectional).await;
    live(&mut link).await;
    until("equal", async || {
        let keys: Vec<_> = records(&a).await.into_keys().collect();
        keys == [2, 3, 4, 6].map(RecordKey::Int) && records(&b).await == records(&a).await
    })
    .await;
    let missed = a.links().borrow().values().any(|status| status.missed_tombstones);
    assert!(missed, "the user is told");
    until("gone again", async || tombstones(&a).await + tombstones(&b).await == 0).await;
}
