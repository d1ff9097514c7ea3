//! A disk, another program or a thread that fails: no commit is acknowledged that
//! isn't there, none is made twice, and nobody waits for ever.

mod common;

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use blaze_codec::{NodeId, Seq, Value};
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, WallClock};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};
use common::{Place, ended, put, value};
use rusqlite::Connection;

const PATH: &str = "BLAZE_FAULT_TEST_PATH";
const SMALL: i64 = 20;

/// Not a test of its own: the process whose files may grow to 1 MiB only.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn writes_until_the_disk_fails() {
    let path = PathBuf::from(std::env::var_os(PATH).expect("the parent names the file"));
    let database = SqliteOptions::new(path).open().await.unwrap();
    for key in 0..SMALL {
        database.commit(vec![put(key, key)]).await.unwrap();
    }
    let large = || "x".repeat(600_000);
    let results = tokio::join!(
        database.commit(vec![put(100, large()), put(101, large())]),
        database.commit(vec![put(102, 1)]),
    );
    let error = results.0.expect_err("the log can't grow");
    assert!(matches!(error, DatabaseError::OutcomeUnknown { .. }), "{error}");
    // It shared the group, or came after it; never is it tried by itself.
    let error = results.1.expect_err("its neighbour's outcome is unknown");
    let expected =
        matches!(error, DatabaseError::OutcomeUnknown { .. } | DatabaseError::Halted { .. });
    assert!(expected, "{error}");
    let error = database.commit(vec![put(103, 1)]).await.expect_err("the outcome is unknown");
    assert!(matches!(error, DatabaseError::Halted { .. }), "{error}");
    for error in writes_of_peers(&database).await {
        assert!(matches!(error, DatabaseError::Halted { .. }), "{error}");
    }
    assert_eq!(database.peers().await.unwrap(), []);
    assert_eq!(database.feed().head().0, SMALL.cast_unsigned());
    assert_eq!(value(&database, 1).await, Some(Value::Int(1)), "reading goes on");
    database.close().await.unwrap();
}

/// What becomes of each write that is neither a commit nor a merge.
async fn writes_of_peers(database: &SqliteDatabase) -> [DatabaseError; 4] {
    let peer = NodeId::from_bytes([1; 16]);
    [
        database.register(peer, "tablet", Seq::ZERO).await.expect_err("it can't be stored"),
        database.settle(&[(peer, Seq::ZERO)]).await.expect_err("it can't be stored"),
        database.unregister(peer).await.expect_err("it can't be stored"),
        database.purge(0).await.expect_err("nothing can be removed"),
    ]
}

#[tokio::test]
async fn after_an_error_of_the_disk_nothing_more_is_written() {
    let place = Place::new();
    // A write beyond the limit is an input or output error; blocks are of 512 or 1024 bytes.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_the_disk_fails", "--ignored", "--nocapture"])
        .env(PATH, place.file())
        .output()
        .expect("the test can be run again");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "the child ran");
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    for key in 0..SMALL {
        assert_eq!(value(&database, key).await, Some(Value::Int(key)));
    }
    assert_eq!(value(&database, 103).await, None);
    database.commit(vec![put(103, 2)]).await.expect("it goes on after reopening");
}

#[tokio::test]
async fn a_log_that_was_left_is_written_anew() {
    let place = Place::new();
    let options = SqliteOptions::new(place.file());
    let database = options.clone().open().await.unwrap();
    database.commit((0..500).map(|key| put(key, "x".repeat(5_000))).collect()).await.unwrap();
    drop(database);
    // A sync may have failed: then readers see what the disk doesn't hold.
    let log = PathBuf::from(format!("{}-wal", place.file().display()));
    let bytes = std::fs::read(&log).unwrap();
    assert!(bytes.len() > 1024 * 1024, "more than one piece");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(&log).unwrap().set_modified(long_ago).unwrap();
    let database = options.open().await.unwrap();
    let written = std::fs::metadata(&log).unwrap().modified().unwrap();
    assert!(written > long_ago, "the log is as it was");
    assert!(std::fs::read(&log).unwrap() == bytes, "the log holds something else");
    assert_eq!(value(&database, 499).await, Some(Value::from("x".repeat(5_000))));
}

#[tokio::test]
async fn another_programs_lock_stalls_a_group_once() {
    let place = Place::new();
    let database = SqliteOptions::new(place.file()).open().await.unwrap();
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let commits = (0..100).map(|key| database.commit(vec![put(key, key)])).collect::<Vec<_>>();
    for result in join_all(commits).await {
        let error = result.expect_err("the other program holds the lock");
        assert!(matches!(error, DatabaseError::InUse { .. }), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for error in writes_of_peers(&database).await {
        assert!(matches!(error, DatabaseError::InUse { .. }), "{error}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(database.commit(vec![put(1, 1)]).await.unwrap().seq().0, 1);
    assert_eq!(database.peers().await.unwrap(), []);
}

async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    // Each is asked once before any is waited for, so that all are under way.
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_panic_of_the_writer_ends_the_watches_and_keeps_the_lock() {
    let place = Place::new();
    let broken = Arc::new(AtomicBool::new(false));
    let clock = broken.clone();
    let clock = WallClock::new(move || {
        assert!(!clock.load(Ordering::SeqCst), "the clock is broken, as the test wants it");
        1_000
    });
    let options = SqliteOptions::new(place.file());
    let database = options.clone().clock(clock).open().await.unwrap();
    database.commit(vec![put(1, 1)]).await.unwrap();
    let mut watch = database.feed().watch();
    broken.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = database.commit(vec![put(2, 2)]).await.expect_err("the writer is gone");
        assert!(matches!(error, DatabaseError::Closed), "{error}");
    }
    ended(&mut watch).await;
    assert_eq!(value(&database, 1).await, Some(Value::Int(1)), "reading goes on");
    let error = options.clone().open().await.expect_err("the database is still open");
    assert!(matches!(error, DatabaseError::InUse { .. }), "{error}");
    database.close().await.unwrap();
    let database = options.open().await.expect("it is closed");
    assert_eq!(database.feed().head().0, 1);
}
