//! Grouping, and what one request's failure leaves to the others.

mod prompt;

use std::sync::Arc;

use blaze_codec::{Name, RecordKey, Seq, Value, record};
use blaze_db_adapter::{
    DatabaseAdapter, DatabaseError, LiveFeed, WallClock, Write, WriteError, WriteKind,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::commit::{Request, Writing};
use crate::committer::{Committer, Job, Shared};
use crate::open::{Opened, open as open_file};
use crate::{SqliteDatabase, SqliteOptions};

fn insert(key: i64, field: &str, value: impl Into<Value>) -> Write {
    let kind = WriteKind::Insert(record! { field => value });
    Write { collection: Name::new("notes").unwrap(), key: RecordKey::Int(key), kind }
}

async fn field(database: &SqliteDatabase, key: i64, field: &str) -> Option<Value> {
    let record = database.read(&Name::new("notes").unwrap(), &key.into()).await.unwrap();
    record.and_then(|record| record.get(field).cloned())
}

fn open(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("test.db"))
}

#[tokio::test]
async fn concurrent_commits_share_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let database = std::sync::Arc::new(open(&folder).open().await.unwrap());
    let commits: Vec<_> = (0..200)
        .map(|key| {
            let database = database.clone();
            tokio::spawn(async move { database.commit(vec![insert(key, "a", key)]).await })
        })
        .collect();
    let mut seqs = Vec::new();
    for commit in commits {
        seqs.push(commit.await.unwrap().expect("it is committed").seq().0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    assert!(database.transactions() < 100, "{} transactions", database.transactions());
}

#[tokio::test]
async fn a_refused_commit_leaves_its_group_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).open().await.unwrap();
    database.commit(vec![insert(1, "a", 1)]).await.unwrap();
    let before = database.feed().head();
    // The refused one also brings names that nobody else has.
    let refused = vec![insert(7, "only here", 1), insert(1, "a", 1)];
    let results = tokio::join!(
        database.commit(vec![insert(2, "b", 2)]),
        database.commit(refused),
        database.commit(vec![insert(3, "c", 3)]),
    );
    assert!(results.0.is_ok() && results.2.is_ok());
    let error = results.1.expect_err("the key is taken");
    assert!(matches!(error, DatabaseError::Write(WriteError::Exists { .. })), "{error}");
    assert_eq!(database.feed().head().0, before.0 + 2);
    database.close().await.unwrap();
    drop(database);
    let database = open(&folder).open().await.unwrap();
    for (key, name, value) in [(1, "a", Some(1)), (2, "b", Some(2)), (3, "c", Some(3))] {
        assert_eq!(field(&database, key, name).await, value.map(Value::Int), "{key}");
    }
    assert_eq!(field(&database, 7, "only here").await, None);
}

/// A transaction that SQLite itself rolls back takes new names with it; their
/// numbers must not stay in memory.
#[tokio::test]
async fn names_of_a_failed_transaction_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).size_bytes_max(128 * 1024).open().await.unwrap();
    let large = "x".repeat(1_000_000);
    let results = tokio::join!(
        database.commit(vec![insert(1, "first", 1)]),
        database.commit(vec![insert(2, "lost a", 1), insert(3, "lost b", large.as_str())]),
        database.commit(vec![insert(4, "second", 4)]),
    );
    assert!(results.0.is_ok() && results.2.is_ok());
    assert!(matches!(results.1, Err(DatabaseError::Full)), "{:?}", results.1);
    database.commit(vec![insert(5, "third", 5)]).await.unwrap();
    check(&database).await;
    database.close().await.unwrap();
    check(&open(&folder).open().await.unwrap()).await;
}

async fn check(database: &SqliteDatabase) {
    assert_eq!(field(database, 1, "first").await, Some(Value::Int(1)));
    assert_eq!(field(database, 4, "second").await, Some(Value::Int(4)));
    assert_eq!(field(database, 5, "third").await, Some(Value::Int(5)));
    assert_eq!(field(database, 2, "lost a").await, None);
    assert_eq!(database.feed().head().0, 3);
}

#[tokio::test]
async fn a_damaged_state_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).open().await.unwrap();
    database.commit(vec![insert(1, "a", 1)]).await.unwrap();
    database.commit(vec![insert(2, "a", 2)]).await.unwrap();
    let path = database.path().to_owned();
    database.close().await.unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("UPDATE records SET state = x'01ff' WHERE position >> 20 = 1").unwrap();
    conn.close().unwrap();
    let database = open(&folder).open().await.unwrap();
    let notes = Name::new("notes").unwrap();
    let limit = blaze_db_adapter::ChangesLimit { records: 10, bytes: 1000 };
    let put = |key| Write { kind: WriteKind::Put(record! {}), ..insert(key, "a", 1) };
    let (damaged, whole) =
        tokio::join!(database.commit(vec![put(1)]), database.commit(vec![put(2)]));
    for error in [
        database.read(&notes, &1.into()).await.expect_err("the record is damaged"),
        database.changes(blaze_codec::Seq::ZERO, limit).await.expect_err("one is damaged"),
        damaged.expect_err("the record is damaged"),
    ] {
        assert!(matches!(error, DatabaseError::Stored(_)), "{error}");
    }
    whole.expect("the other record can be written");
}

/// A writer without its thread.
fn committer(folder: &TempDir) -> (Committer, Arc<Shared>) {
    let Opened { opener, identity, lock } = open_file(&open(folder)).unwrap();
    let wall = WallClock::system();
    let writing = Writing::open(&opener, identity.clone(), wall.clone()).unwrap();
    let shared = Arc::new(Shared::new(LiveFeed::new(Seq::ZERO), identity, lock));
    (Committer::new(writing, Arc::new(opener), wall, shared.clone()), shared)
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let (mut committer, shared) = committer(&folder);
    let (jobs, mut answers): (Vec<_>, Vec<_>) = (1..=3)
        .map(|key| {
            let (reply, answer) = oneshot::channel();
            (Job { request: Request::Commit(vec![insert(key, "a", key)]), reply }, answer)
        })
        .unzip();
    drop(answers.remove(1));
    committer.commit(jobs);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(shared.feed.head(), Seq(2));
    let watch = shared.feed.watch();
    committer.end();
    assert!(watch.has_changed().is_err(), "nobody can commit any more");
    shared.unlock();
    let database = open(&folder).open().await.unwrap();
    assert_eq!(field(&database, 2, "a").await, None);
    assert_eq!(field(&database, 3, "a").await, Some(Value::Int(3)));
}

#[tokio::test]
async fn a_clock_that_would_damage_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder).clock(WallClock::new(|| 1 << 47 | 1)).open().await.unwrap();
    let error = database.commit(vec![insert(1, "a", 1)]).await.expect_err("the year is 6429");
    assert!(matches!(error, DatabaseError::Failed { .. }), "{error}");
    drop(database);
    let database = open(&folder).open().await.expect("the file is as it was");
    database.commit(vec![insert(1, "a", 1)]).await.unwrap();
}
