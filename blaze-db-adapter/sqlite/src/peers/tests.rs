//! How tombstones are found, and that removing many holds up nobody.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use blaze_codec::{Name, NodeId, RecordKey, Seq, record};
use blaze_db_adapter::{
    ChangesLimit, DatabaseAdapter, DatabaseError, Durability, Purged, Write, WriteKind,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{OLDEST, PURGE_RECORDS_MAX, REMOVE};
use crate::reader::ROLL;
use crate::{SqliteDatabase, SqliteOptions};

const PEER: NodeId = NodeId::from_bytes([7; 16]);
const SETTLED: NodeId = NodeId::from_bytes([8; 16]);
const EVERYTHING: ChangesLimit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };

fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("test.db"))
}

fn write(key: i64, kind: WriteKind) -> Write {
    Write { collection: Name::new("notes").unwrap(), key: RecordKey::Int(key), kind }
}

/// A database with `count` tombstones that its one peer has for good, and a record.
async fn with_tombstones(folder: &TempDir, durability: Durability, count: i64) -> SqliteDatabase {
    let database = options(folder).durability(durability).open().await.unwrap();
    let inserts = (0..=count).map(|key| write(key, WriteKind::Insert(record! { "a" => key })));
    database.commit(inserts.collect()).await.unwrap();
    database.commit((1..=count).map(|key| write(key, WriteKind::Delete)).collect()).await.unwrap();
    database.register(SETTLED, "settled", Seq(2)).await.unwrap();
    database.settle(&[(SETTLED, Seq(2))]).await.unwrap();
    database
}

/// Not two whole batches, but more than one.
fn some() -> i64 {
    2 * i64::from(PURGE_RECORDS_MAX) - 10
}

async fn feed(database: &SqliteDatabase) -> usize {
    database.changes(Seq::ZERO, EVERYTHING).await.unwrap().operations.len()
}

/// What SQLite does for a statement.
fn plan(conn: &Connection, statement: &str) -> String {
    let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let count = explain.parameter_count();
    let rows = explain.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get(3));
    rows.unwrap().collect::<Result<Vec<String>, _>>().unwrap().join("; ")
}

#[tokio::test]
async fn neither_a_purge_nor_a_roll_reads_the_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Disk, 10).await;
    let conn = Connection::open(database.path()).unwrap();
    let range = "(live=? AND rowid<?)";
    let oldest = plan(&conn, OLDEST);
    assert!(oldest.contains(&format!("USING COVERING INDEX tombstones {range}")), "{oldest}");
    let remove = plan(&conn, REMOVE);
    assert!(remove.contains(&format!("INDEX tombstones {range}")), "{remove}");
    let roll = plan(&conn, ROLL);
    assert!(roll.contains("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{roll}");
    for plan in [oldest, remove, roll] {
        assert!(!plan.contains("TEMP B-TREE"), "{plan} sorts");
        let steps = plan.split("; ").filter(|step| step.starts_with("SCAN"));
        assert!(steps.clone().all(|step| step.starts_with("SCAN (subquery")), "{plan}");
    }
    // Only the dead are in the index.
    let count = "SELECT count(*) FROM records INDEXED BY tombstones WHERE live = 0";
    let (dead, all): (i64, i64) = (
        conn.query_row(count, [], |row| row.get(0)).unwrap(),
        conn.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap(),
    );
    assert_eq!((dead, all), (10, 11));
}

#[tokio::test]
async fn a_purge_of_many_is_made_in_several_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Disk, some()).await;
    let before = database.transactions();
    let purged = database.purge(0).await.unwrap();
    assert_eq!(purged, Purged { removed: some().cast_unsigned(), through: Seq(2) });
    assert_eq!(database.transactions() - before, 2);
    assert_eq!(feed(&database).await, 1);
}

#[tokio::test]
async fn commits_get_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Process, some()).await;
    let mut purge = pin!(database.purge(0));
    let polled = purge.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it isn't made on this thread");
    // It waits for the first part at most: nobody has asked for the second.
    let mut seqs = Vec::new();
    for key in [-1, -2] {
        let insert = write(key, WriteKind::Insert(record! {}));
        seqs.push(database.commit(vec![insert]).await.unwrap().seq());
    }
    assert_eq!(seqs, [Seq(3), Seq(4)]);
    let left = usize::try_from(some() - i64::from(PURGE_RECORDS_MAX)).unwrap() + 3;
    let first = async {
        while feed(&database).await != left {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), first).await.expect("the first part is made");
    let purged = purge.await.unwrap();
    assert_eq!(purged, Purged { removed: some().cast_unsigned(), through: Seq(2) });
    assert_eq!(feed(&database).await, 3);
}

#[tokio::test]
async fn to_note_a_peer_is_a_small_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = options(&folder).durability(Durability::Process).open().await.unwrap();
    assert_eq!(database.register(PEER, "tablet", Seq::ZERO).await.unwrap(), Seq::ZERO);
    database.settle(&[(PEER, Seq::ZERO)]).await.unwrap();
    assert!(database.unregister(PEER).await.unwrap());
    assert_eq!((database.by_callers(), database.transactions()), (3, 3));
    database.purge(0).await.unwrap();
    assert_eq!((database.by_callers(), database.transactions()), (3, 4));
}

/// A peer that comes back between two parts of a purge is waited for by the second.
#[tokio::test]
async fn a_purge_looks_for_peers_in_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Disk, some()).await;
    let mut purge = pin!(database.purge(0));
    assert!(purge.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(database.register(PEER, "tablet", Seq(1)).await.unwrap(), Seq(2));
    let purged = purge.await.unwrap();
    assert_eq!(purged, Purged { removed: u64::from(PURGE_RECORDS_MAX), through: Seq(2) });
    database.settle(&[(PEER, Seq(2))]).await.unwrap();
    assert!(database.purge(0).await.unwrap().removed > 0);
    assert_eq!(feed(&database).await, 1);
}

#[tokio::test]
async fn what_is_removed_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let database = options(&folder).open().await.unwrap();
    let mut sizes = Vec::new();
    for round in 0..6 {
        let keys = 1_000 * round..1_000 * (round + 1);
        let inserts = keys.clone().map(|key| write(key, WriteKind::Insert(record! { "a" => 1 })));
        database.commit(inserts.collect()).await.unwrap();
        database.commit(keys.map(|key| write(key, WriteKind::Delete)).collect()).await.unwrap();
        let head = database.feed().head();
        database.register(SETTLED, "settled", head).await.unwrap();
        database.settle(&[(SETTLED, head)]).await.unwrap();
        assert_eq!(database.purge(0).await.unwrap().removed, 1_000);
        let conn = Connection::open(database.path()).unwrap();
        sizes.push(conn.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap());
    }
    assert!(sizes[5] <= sizes[0] + 4, "the file grows: {sizes:?}");
}

#[tokio::test]
async fn a_read_only_opening_tells_the_peers_and_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Disk, 1).await;
    database.register(PEER, "tablet", Seq::ZERO).await.unwrap();
    database.settle(&[(PEER, Seq(1))]).await.unwrap();
    let beside = options(&folder).read_only(true).open().await.unwrap();
    assert_eq!(beside.peers().await.unwrap(), database.peers().await.unwrap());
    assert_eq!(beside.roll(Seq::ZERO, Seq(2), 10).await.unwrap().operations.len(), 1);
    for error in [
        beside.register(PEER, "tablet", Seq::ZERO).await.expect_err("it only reads"),
        beside.settle(&[]).await.expect_err("it only reads"),
        beside.unregister(PEER).await.expect_err("it only reads"),
        beside.purge(u64::MAX).await.expect_err("it only reads"),
    ] {
        assert!(matches!(error, DatabaseError::ReadOnly { .. }), "{error}");
    }
    beside.close().await.unwrap();
    assert!(matches!(beside.purge(0).await, Err(DatabaseError::Closed)));
    assert_eq!(feed(&database).await, 2);
}

#[tokio::test]
async fn damaged_peers_are_an_error_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_tombstones(&folder, Durability::Disk, 1).await;
    let conn = Connection::open(database.path()).unwrap();
    conn.execute_batch("INSERT INTO meta VALUES ('purged', 'all')").unwrap();
    let error = database.register(PEER, "tablet", Seq::ZERO).await.expect_err("it is no seq");
    assert!(matches!(error, DatabaseError::Stored(_)), "{error}");
    conn.execute_batch("DELETE FROM meta WHERE name = 'purged'").unwrap();
    conn.execute_batch("INSERT INTO peers VALUES (x'07', 'tablet', 1, 1)").unwrap();
    for error in [
        database.peers().await.expect_err("it is no node id"),
        database.purge(0).await.expect_err("who is waited for is unknown"),
    ] {
        assert!(matches!(error, DatabaseError::Stored(_)), "{error}");
    }
    assert_eq!(feed(&database).await, 2);
    database.register(PEER, "tablet", Seq::ZERO).await.expect("the others can be written");
}
