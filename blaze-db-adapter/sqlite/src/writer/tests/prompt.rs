//! Commits on the caller's thread, and when they are not.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use blaze_db_adapter::{DatabaseAdapter, DatabaseError, Durability, WallClock};

use super::{field, insert, open};
use crate::SqliteDatabase;
use crate::open::WRITER_WAIT;

async fn opened(folder: &tempfile::TempDir, durability: Durability) -> SqliteDatabase {
    open(folder).durability(durability).open().await.unwrap()
}

#[tokio::test]
async fn a_small_commit_is_its_callers_where_none_waits_for_the_disk() {
    for (durability, by_callers) in [(Durability::Process, 1), (Durability::Disk, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let database = opened(&folder, durability).await;
        database.commit(vec![insert(1, "a", 1)]).await.unwrap();
        assert_eq!((database.by_callers(), database.transactions()), (by_callers, 1));
    }
}

#[tokio::test]
async fn a_small_commit_waits_for_no_other_thread() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder, Durability::Process).await;
    let commit = pin!(database.commit(vec![insert(1, "a", 1)]));
    assert!(commit.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[tokio::test]
async fn a_large_commit_is_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder, Durability::Process).await;
    database.commit((0..100).map(|key| insert(key, "a", key)).collect()).await.unwrap();
    database.commit(vec![insert(100, "a", "x".repeat(100_000))]).await.unwrap();
    assert_eq!((database.by_callers(), database.transactions()), (0, 2));
}

#[tokio::test]
async fn another_program_in_the_file_is_not_waited_for_here() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder, Durability::Process).await;
    let other = rusqlite::Connection::open(database.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // It is given back at once, again and again; the thread waits 250 ms each time.
    let began = Instant::now();
    for key in 0..20 {
        let mut commit = database.commit(vec![insert(key, "a", 1)]);
        let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let elapsed = began.elapsed();
    assert!(elapsed < 10 * WRITER_WAIT, "{elapsed:?}");
    assert_eq!(database.by_callers(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    database.commit(vec![insert(100, "a", 1)]).await.unwrap();
}

/// Small commits let the log grow as large ones do, and none of them writes it back.
#[tokio::test]
async fn the_log_is_written_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder, Durability::Process).await;
    let text = "x".repeat(3_000);
    let size = || std::fs::metadata(database.path()).unwrap().len();
    let before = size();
    for key in 0..5_000 {
        database.commit(vec![insert(key, "a", text.as_str())]).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while size() < before + 4 * 1024 * 1024 {
        assert!(Instant::now() < deadline, "{} bytes are in the file", size());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_is_committed_after_a_panic() {
    for durability in [Durability::Process, Durability::Disk] {
        let folder = tempfile::tempdir().unwrap();
        let broken = Arc::new(AtomicBool::new(false));
        let reads = broken.clone();
        let clock = WallClock::new(move || {
            assert!(!reads.load(Ordering::Relaxed), "the clock is broken");
            1_000
        });
        let options = open(&folder).durability(durability).clock(clock);
        let database = Arc::new(options.open().await.unwrap());
        database.commit(vec![insert(1, "a", 1)]).await.unwrap();
        let mut head = database.feed().watch();
        broken.store(true, Ordering::Relaxed);
        let panics = database.clone();
        let panicked = tokio::spawn(async move { panics.commit(vec![insert(2, "a", 2)]).await });
        // A caller's own panic is the caller's; the thread's is an error here.
        match panicked.await {
            Err(error) => assert!(error.is_panic() && durability == Durability::Process),
            Ok(result) => assert!(matches!(result, Err(DatabaseError::Closed)), "{result:?}"),
        }
        head.changed().await.expect_err("the feed has ended");
        broken.store(false, Ordering::Relaxed);
        let error = database.commit(vec![insert(3, "a", 3)]).await.expect_err("it is closed");
        assert!(matches!(error, DatabaseError::Closed), "{error}");
        database.close().await.unwrap();
        // The first database is still there.
        let database = open(&folder).durability(durability).open().await.unwrap();
        assert_eq!(field(&database, 1, "a").await, Some(1.into()));
        assert_eq!(field(&database, 2, "a").await, None);
    }
}

/// A loop of commits that never wait lets the other tasks of its thread go on.
#[tokio::test(flavor = "current_thread")]
async fn prompt_commits_leave_time_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let database = opened(&folder, Durability::Process).await;
    let other = tokio::spawn(async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    });
    for key in 0..10_000 {
        if other.is_finished() {
            return;
        }
        database.commit(vec![insert(key, "a", 1)]).await.unwrap();
    }
    panic!("the other task never ran");
}

/// Threads that commit at once see their own commits in order, whoever makes them.
#[test]
fn callers_and_the_thread_take_turns() {
    const THREADS: i64 = 4;
    const COMMITS: i64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let database = Arc::new(runtime.block_on(opened(&folder, Durability::Process)));
    let (told, commits) = mpsc::channel();
    for thread in 0..THREADS {
        let (database, told) = (database.clone(), told.clone());
        runtime.spawn(async move {
            let mut last = None;
            for number in 0..COMMITS {
                let writes = vec![insert(thread * COMMITS + number, "a", number)];
                let seq = database.commit(writes).await.unwrap().seq();
                assert!(Some(seq) > last);
                last = Some(seq);
                told.send(seq.0).unwrap();
            }
        });
    }
    drop(told);
    let mut seqs: Vec<_> = commits.into_iter().collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=(THREADS * COMMITS).unsigned_abs()).collect::<Vec<_>>());
    let (by_callers, all) = (database.by_callers(), database.transactions());
    assert!(by_callers > 0 && by_callers < all, "{by_callers} of {all} were made by callers");
}
