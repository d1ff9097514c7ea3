//! Readers beside the writer, in this database and in one opened read-only.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blaze_codec::{Incarnation, Role, Seq, Value};
use blaze_db_adapter::{ChangesLimit, Checkpoint, DatabaseAdapter, DatabaseError, Incoming};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, ended, name, put, value, whole_feed};

/// Each commit gives ten records one number, so a reader must never see two.
async fn watch(database: Arc<SqliteDatabase>, done: Arc<AtomicBool>) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let mut through = Seq::ZERO;
    while !done.load(Ordering::SeqCst) {
        let records = database.scan(&name("notes"), None, 100).await.unwrap();
        let values: Vec<_> = records.iter().map(|(_, record)| record.get("value")).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
        assert!(values.is_empty() || values.len() == 10, "{values:?}");
        let set = database.changes(through, ChangesLimit { records: 3, bytes: 1 }).await.unwrap();
        assert!(set.operations.is_empty() || set.operations.len() >= 10, "{set:?}");
        assert!(set.through >= through);
        through = set.through;
        seen.extend(values.first().and_then(|value| value.and_then(Value::as_int)));
    }
    seen.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_see_half_a_transaction() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file());
    let database = Arc::new(options.clone().open().await.unwrap());
    let beside = Arc::new(options.read_only(true).open().await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let readers = [&database, &database, &beside]
        .map(|database| tokio::spawn(watch(database.clone(), done.clone())));
    for round in 0..200 {
        database.commit((0..10).map(|key| put(key, round)).collect()).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 1, "the reader saw the writer at work");
    }
}

#[tokio::test]
async fn a_read_only_opening_sees_each_commit_and_changes_nothing() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file()).password("p");
    let database = options.clone().open().await.unwrap();
    database.commit(vec![put(1, 1)]).await.unwrap();
    let beside = options.clone().read_only(true).open().await.unwrap();
    assert_eq!(beside.identity(), database.identity());
    assert_eq!(beside.feed().head(), Seq(1));
    let mut watch = beside.feed().watch();
    for round in 2..20 {
        database.commit(vec![put(1, round)]).await.unwrap();
        assert_eq!(value(&beside, 1).await, Some(Value::Int(round)));
        assert_eq!(whole_feed(&beside).await.through.0, round.cast_unsigned());
    }
    let peer = database.identity().node;
    let checkpoint = Some(Checkpoint { incarnation: Incarnation(1), seq: Seq(1) });
    let incoming = Incoming { peer, checkpoint, roots: Vec::new(), operations: Vec::new() };
    for error in [
        beside.commit(vec![put(1, 0)]).await.expect_err("it only reads"),
        beside.merge(incoming).await.expect_err("it only reads"),
        beside.set_role(Role::Server).await.expect_err("it only reads"),
    ] {
        assert!(matches!(error, DatabaseError::ReadOnly { .. }), "{error}");
    }
    database.close().await.unwrap();
    assert_eq!(value(&beside, 1).await, Some(Value::Int(19)), "the reader goes on");
    beside.close().await.unwrap();
    let closed = beside.read(&name("notes"), &1.into()).await;
    assert!(matches!(closed, Err(DatabaseError::Closed)));
    let closed = beside.commit(vec![put(1, 0)]).await;
    assert!(matches!(closed, Err(DatabaseError::Closed)));
    let closed = beside.set_role(Role::Server).await;
    assert!(matches!(closed, Err(DatabaseError::Closed)));
    ended(&mut watch).await;
    beside.close().await.expect("closing twice does nothing");

    let before = std::fs::read(place.file()).unwrap();
    let alone = options.read_only(true).open().await.expect("no writer is needed");
    assert_eq!(value(&alone, 1).await, Some(Value::Int(19)));
    alone.close().await.unwrap();
    assert!(std::fs::read(place.file()).unwrap() == before);
}

/// Names that the writer adds after a reader has cached the others.
#[tokio::test]
async fn readers_learn_new_names() {
    let place = Place::new();
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    for round in 0..50 {
        let collection = name(&format!("collection {round}"));
        assert_eq!(database.read(&collection, &1.into()).await.unwrap(), None);
        let field = format!("field {round}");
        let kind = blaze_db_adapter::WriteKind::Insert(blaze_codec::record! { &field => round });
        let write = blaze_db_adapter::Write { collection: collection.clone(), key: 1.into(), kind };
        database.commit(vec![write]).await.unwrap();
        let record = database.read(&collection, &1.into()).await.unwrap().expect("it was written");
        assert_eq!(record.get(&field), Some(&Value::Int(round)));
    }
    assert_eq!(database.collections().await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_dropped_database_can_be_opened_at_once() {
    let place = Place::new();
    for round in 0..5 {
        let database = SqliteOptions::new(place.file()).open().await.unwrap();
        assert_eq!(database.feed().head(), Seq(round));
        database.commit(vec![put(1, i64::try_from(round).unwrap())]).await.unwrap();
        let began = Instant::now();
        drop(database);
        assert!(began.elapsed() < Duration::from_secs(20), "dropping doesn't hang");
    }
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    assert_eq!(value(&database, 1).await, Some(Value::Int(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_was_begun_and_may_be_done_twice() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file());
    let database = Arc::new(options.clone().open().await.unwrap());
    let commits: Vec<_> = (0..50)
        .map(|key| {
            let database = database.clone();
            tokio::spawn(async move { database.commit(vec![put(key, key)]).await.is_ok() })
        })
        .collect();
    let (one, other) = tokio::join!(database.close(), database.close());
    one.and(other).unwrap();
    database.close().await.unwrap();
    let mut kept = Vec::new();
    for (key, commit) in (0..).zip(commits) {
        if commit.await.unwrap() {
            kept.push(key);
        }
    }
    let closed = database.commit(vec![put(1, 1)]).await;
    assert!(matches!(closed, Err(DatabaseError::Closed)));
    assert!(!place.file().with_extension("db-wal").exists(), "the log was written back");
    drop(database);
    let database = options.open().await.unwrap();
    for key in &kept {
        assert_eq!(value(&database, *key).await, Some(Value::Int(*key)));
    }
    assert_eq!(database.feed().head().0, kept.len() as u64);
}
