//! The ring of the latest commits, and the watch of the head.

use std::sync::Arc;

use blaze_codec::{Change, Name, Operation, RecordKey, Seq, Value, Version};
use blaze_db_adapter::{Committed, LiveFeed, Origin};

/// A commit of about this many bytes.
fn commit(seq: u64, bytes: usize) -> Arc<Committed> {
    let name = |text| Name::new(text).expect("a short name");
    let text = Value::from("x".repeat(bytes));
    let operation = Operation {
        collection: name("notes"),
        key: RecordKey::Int(1),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Update(vec![(name("text"), Some(text))]),
    };
    Arc::new(Committed::new(Seq(seq), Origin::Local, vec![operation]))
}

fn seqs(feed: &LiveFeed, after: u64, count: usize) -> Option<Vec<u64>> {
    let commits = feed.after(Seq(after), count)?;
    Some(commits.iter().map(|commit| commit.seq().0).collect())
}

#[test]
fn commits_after_a_seq_are_given_in_their_order() {
    let feed = LiveFeed::new(Seq(10));
    feed.push([commit(11, 1), commit(12, 1), commit(13, 1)]);
    assert_eq!(feed.head(), Seq(13));
    assert_eq!(seqs(&feed, 10, 9), Some(vec![11, 12, 13]));
    assert_eq!(seqs(&feed, 11, 1), Some(vec![12]));
    assert_eq!(seqs(&feed, 12, 9), Some(vec![13]));
    assert_eq!(seqs(&feed, 10, 0), Some(vec![]));
}

#[test]
fn at_the_head_there_is_nothing_and_before_the_ring_nobody_knows() {
    let feed = LiveFeed::new(Seq(10));
    assert_eq!(seqs(&feed, 10, 9), Some(vec![]));
    assert_eq!(seqs(&feed, 11, 9), Some(vec![]), "beyond the head");
    assert_eq!(seqs(&feed, 9, 9), None, "the ring never had seq 10");
    feed.push([commit(11, 1)]);
    assert_eq!(seqs(&feed, 9, 9), None);
    assert_eq!(seqs(&feed, 0, 9), None);
}

#[test]
fn the_oldest_commits_fall_out_of_a_full_ring() {
    let feed = LiveFeed::new(Seq::ZERO);
    let quarter = LiveFeed::BYTES_MAX / 4;
    for seq in 1..=8 {
        feed.push([commit(seq, quarter)]);
    }
    // Each is a little over a quarter with its names and versions.
    assert_eq!(seqs(&feed, 5, 9), Some(vec![6, 7, 8]));
    assert_eq!(seqs(&feed, 4, 9), None);
}

#[test]
fn a_commit_larger_than_the_ring_is_left_to_the_database() {
    let feed = LiveFeed::new(Seq::ZERO);
    feed.push([commit(1, 1), commit(2, 2 * LiveFeed::BYTES_MAX)]);
    assert_eq!(seqs(&feed, 1, 9), None);
    assert_eq!(seqs(&feed, 2, 9), Some(vec![]));
    feed.push([commit(3, 1)]);
    assert_eq!(seqs(&feed, 2, 9), Some(vec![3]));
}

#[test]
#[should_panic(expected = "in the order of seqs")]
fn a_gap_is_a_bug_of_the_adapter() {
    LiveFeed::new(Seq(1)).push([commit(3, 1)]);
}

#[test]
#[should_panic(expected = "in the order of seqs")]
fn a_repeated_seq_is_a_bug_of_the_adapter() {
    LiveFeed::new(Seq(1)).push([commit(2, 1), commit(2, 1)]);
}

#[test]
fn a_push_of_many_wakes_watchers_once_and_of_none_never() {
    let feed = LiveFeed::new(Seq::ZERO);
    let mut watch = feed.watch();
    assert_eq!(*watch.borrow_and_update(), Seq::ZERO);
    feed.push([]);
    assert!(!watch.has_changed().expect("the feed is open"));
    feed.push([commit(1, 1), commit(2, 1), commit(3, 1)]);
    assert!(watch.has_changed().expect("the feed is open"));
    assert_eq!(*watch.borrow_and_update(), Seq(3));
    assert!(!watch.has_changed().expect("the feed is open"));
    assert!(!feed.watch().has_changed().expect("the feed is open"), "a watch begins with now");
}

#[tokio::test]
async fn a_closed_feed_ends_its_watches_and_keeps_its_ring() {
    let feed = LiveFeed::new(Seq::ZERO);
    feed.push([commit(1, 1)]);
    let mut watch = feed.watch();
    feed.close();
    assert!(watch.changed().await.is_err());
    assert!(feed.watch().changed().await.is_err(), "a later watch ends, too");
    assert_eq!((feed.head(), seqs(&feed, 0, 9)), (Seq(1), Some(vec![1])));
}

#[test]
fn the_frames_of_a_commit_are_encoded_once() {
    let (feed, commit) = (LiveFeed::new(Seq::ZERO), commit(7, 10));
    let (first, second) = (&feed.encoded(&commit).frames, &feed.encoded(&commit).frames);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].bytes().as_ptr(), second[0].bytes().as_ptr());
}
