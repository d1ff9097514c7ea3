//! Commits as they happen, and many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use blaze_codec::{Change, Record, Seq, Value, record};
use blaze_db_adapter::{Committed, DatabaseAdapter, Origin, RecordState};

use crate::subject::{Subject, UNLIMITED, fold, insert, name, peer, put, set};
use crate::{Harness, Settings};

const WRITERS: i64 = 8;
const COMMITS: i64 = 25;
const READS_MIN: usize = 50;
const WRITES_MIN: i64 = 100;

/// What a commit or merge returned is at once read, at the head, and in the ring.
pub async fn what_was_committed_is_visible_at_once<H: Harness>(harness: &H) {
    let (database, other) = (Subject::new(harness).await, Subject::new(harness).await);
    let mut watch = database.feed().watch();
    assert_eq!(*watch.borrow_and_update(), Seq::ZERO);
    let local = database.write([insert("notes", 1, record! {})]).await;
    assert!(watch.has_changed().expect("the database is open"), "a commit wakes the watchers");
    assert_eq!(*watch.borrow_and_update(), Seq(1));
    assert!(database.record("notes", 1).await.is_some(), "a commit is read");

    other.write([insert("notes", 2, record! {})]).await;
    let merged = database.pull(&other).await.committed.expect("a new record");
    assert_eq!(*watch.borrow_and_update(), Seq(2));
    assert!(database.record("notes", 2).await.is_some(), "a merge is read");

    // What changes nothing wakes nobody.
    database.write([put("notes", 1, record! {})]).await;
    database.pull(&other).await;
    assert!(!watch.has_changed().expect("the database is open"), "nothing changed");

    let live = ring(&database);
    let node = other.identity().node;
    let history = other.announce().await.expect("a feed can be announced");
    let checkpoint = history.place(other.feed().head());
    let expected =
        [(Seq(1), Origin::Local), (Seq(2), Origin::Peer { node, checkpoint: Some(checkpoint) })];
    assert_eq!(
        live.iter().map(|commit| (commit.seq(), commit.origin())).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(live[0].operations(), local.operations());
    assert_eq!(live[1].operations(), merged.operations());
}

/// The ring and the feed tell the same: replaying either gives the same states.
pub async fn the_ring_tells_what_the_feed_tells<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let mut rng = fastrand::Rng::with_seed(9);
    for _ in 0..30 {
        let count = rng.usize(1..4);
        database.write(crate::random::writes(&mut rng, count)).await;
    }
    database.take(peer(1), 1, &crate::random::operations(&mut rng, 40)).await;
    let operations: Vec<_> =
        ring(&database).iter().flat_map(|commit| commit.operations().to_vec()).collect();
    assert_eq!(fold(&operations), database.states().await);
}

/// A database that is opened again knows its head, and has nothing in the ring.
pub async fn the_head_survives_reopening<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! {})]).await;
    database.write([insert("notes", 2, record! {})]).await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.feed().head(), Seq(2));
    assert!(database.feed().after(Seq(1), 1).is_none(), "the ring has lost what was before");
    database.write([insert("notes", 3, record! {})]).await;
    let live = database.feed().after(Seq(2), 9).expect("the ring has what is new");
    assert_eq!(live.iter().map(|commit| commit.seq()).collect::<Vec<_>>(), [Seq(3)]);
}

/// Commits of many tasks get seqs of their own without a gap, and are pushed in
/// their order.
pub async fn concurrent_commits_are_put_in_one_order<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let database = database.handle();
            tokio::spawn(async move {
                let mut seqs = Vec::new();
                for number in 0..COMMITS {
                    let write = insert("notes", writer * COMMITS + number, record! {});
                    let committed = database.commit(vec![write]).await.expect("a commit");
                    assert!(database.feed().head() >= committed.seq(), "what returns is pushed");
                    seqs.push(committed.seq());
                }
                assert!(seqs.is_sorted(), "commits of one task follow each other");
                seqs
            })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.extend(task.await.expect("a writer ends"));
    }
    seqs.sort();
    let all = u64::try_from(WRITERS * COMMITS).expect("a small number");
    assert_eq!(seqs, (1..=all).map(Seq).collect::<Vec<_>>());
    let live = ring(&database);
    assert_eq!(live.iter().map(|commit| commit.seq()).collect::<Vec<_>>(), seqs);
    let versions = live.iter().flat_map(|commit| commit.operations()).map(|write| write.version);
    assert!(versions.is_sorted_by(|a, b| a < b), "the clock ascends with the seqs");
    assert_eq!(database.all("notes").await.len() as u64, all);
    database.states().await;
}

/// Two records that are always written together are always read as equals, by a
/// scan and from the feed.
pub async fn a_reader_never_sees_half_a_transaction<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let both = |n: i64| [1, 2].map(|key| put("pair", key, record! { "n" => n })).to_vec();
    database.write(both(0)).await;
    let progress = Arc::new(Progress::default());
    let reader = tokio::spawn(read_pairs(database.handle(), progress.clone()));
    let source = Subject::new(harness).await;
    source.pull(&database).await;
    let mut n = 0;
    while n < WRITES_MIN || progress.reads.load(Ordering::SeqCst) < READS_MIN {
        n += 1;
        if n % 2 == 0 {
            database.write(both(n)).await;
        } else {
            source.pull(&database).await;
            source.write(both(n)).await;
            database.pull(&source).await;
        }
        if reader.is_finished() {
            break;
        }
    }
    progress.done.store(true, Ordering::SeqCst);
    reader.await.expect("every pair is whole");
}

#[derive(Debug, Default)]
struct Progress {
    reads: AtomicUsize,
    done: AtomicBool,
}

/// Reads until it is told that the writing is over.
async fn read_pairs(database: Arc<dyn DatabaseAdapter>, progress: Arc<Progress>) {
    let pair = name("pair");
    while !progress.done.load(Ordering::SeqCst) {
        let records = database.scan(&pair, None, 9).await.expect("a scan");
        whole(&records.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
        let changes = database.changes(Seq::ZERO, UNLIMITED).await.expect("changes can be read");
        let states = fold(&changes.operations);
        whole(&states.values().filter_map(RecordState::record).collect::<Vec<_>>());
        progress.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

fn whole(pair: &[Record]) {
    assert!(pair.len() == 2 && pair[0] == pair[1], "half a transaction: {pair:?}");
}

/// Merges and commits at the same time lose nothing of each other.
pub async fn merges_and_commits_run_side_by_side<H: Harness>(harness: &H) {
    let (database, source) = (Subject::new(harness).await, Subject::new(harness).await);
    database.write([insert("notes", 1, record! {})]).await;
    source.pull(&database).await;
    for number in 0..COMMITS {
        source.write([set("notes", 1, &format!("theirs{number}"), number)]).await;
    }
    let shared = database.handle();
    let commits = tokio::spawn(async move {
        for number in 0..COMMITS {
            let write = set("notes", 1, &format!("ours{number}"), number);
            shared.commit(vec![write]).await.expect("a commit");
        }
    });
    for (seq, commit) in (1..).zip(ring(&source)) {
        database.take(source.identity().node, seq, commit.operations()).await;
    }
    commits.await.expect("the writer ends");
    let record = database.record("notes", 1).await.expect("the record exists");
    assert_eq!(record.len() as u64, 2 * u64::try_from(COMMITS).expect("a small number"));
    assert!(record.iter().all(|(_, value)| matches!(value, Value::Int(_))), "{record:?}");
    let updates = ring(&database).iter().flat_map(|commit| commit.operations().to_vec()).count();
    let feed = database.whole_feed().await;
    assert!(updates >= feed.len(), "{updates} operations made a feed of {}", feed.len());
    assert!(feed.iter().any(|operation| matches!(operation.change, Change::Insert(_))));
    database.states().await;
}

fn ring<H: Harness>(database: &Subject<'_, H>) -> Vec<Arc<Committed>> {
    database.feed().after(Seq::ZERO, usize::MAX).expect("few commits stay in the ring")
}
