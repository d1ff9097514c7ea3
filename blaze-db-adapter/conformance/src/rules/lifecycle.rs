//! Ends: of a database, and of a future that nobody waits for.

use std::future::poll_fn;
use std::task::Poll;

use blaze_codec::{Incarnation, Role, Seq, record};
use blaze_db_adapter::{Audience, Checkpoint, DatabaseError, Incoming};

use crate::subject::{Subject, UNLIMITED, insert, name, peer, put};
use crate::{Harness, Settings};

/// After closing every call says so; closing twice does nothing.
pub async fn a_closed_database_says_so<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! {})]).await;
    let identity = database.identity();
    database.close().await.expect("a database closes");
    database.close().await.expect("closing twice does nothing");
    let notes = name("notes");
    let (audience, given) =
        (Audience { node: peer(1), principal: String::new() }, (notes.clone(), 1.into()));
    let checkpoint = Some(Checkpoint { incarnation: Incarnation(1), seq: Seq(1) });
    let incoming =
        Incoming { peer: peer(1), checkpoint, operations: vec![], ..Incoming::default() };
    let calls = [
        ("commit", database.commit(vec![insert("notes", 2, record! {})]).await.err()),
        ("an empty commit", database.commit(vec![]).await.err()),
        ("merge", database.merge(incoming).await.err()),
        ("changes", database.changes(Seq::ZERO, UNLIMITED).await.err()),
        ("checkpoints", database.checkpoints(peer(1)).await.err()),
        ("read", database.read(&notes, &1.into()).await.err()),
        ("scan", database.scan(&notes, None, 1).await.err()),
        ("collections", database.collections().await.err()),
        ("set_role", database.set_role(Role::Server).await.err()),
        ("announce", database.announce().await.err()),
        ("renew", database.renew(peer(9)).await.err()),
        ("register", database.register(peer(1), "one", Seq(1)).await.err()),
        ("settle", database.settle(&[(peer(1), Seq(1))]).await.err()),
        ("peers", database.peers().await.err()),
        ("unregister", database.unregister(peer(1)).await.err()),
        ("purge", database.purge(0).await.err()),
        ("share", database.share(&audience, vec![given.clone()], None).await.err()),
        ("shared", database.shared(&audience, &[given]).await.err()),
        ("roll", database.roll(Seq::ZERO, Seq(1), 1).await.err()),
    ];
    for (call, error) in calls {
        assert!(matches!(error, Some(DatabaseError::Closed)), "{call} gave {error:?}");
    }
    assert_eq!(database.identity(), identity);
    assert_eq!(database.feed().head(), Seq(1));
}

/// Closing ends the watches of the head, those that begin later too, so that
/// nobody waits for a commit that can't come.
pub async fn closing_ends_the_watches<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    database.write([insert("notes", 1, record! {})]).await;
    let watch = database.feed().watch();
    assert!(watch.has_changed().is_ok(), "the database is open");
    database.close().await.expect("a database closes");
    for watch in [watch, database.feed().watch()] {
        assert!(watch.has_changed().is_err(), "the database is closed");
        assert_eq!(*watch.borrow(), Seq(1));
    }
}

/// A commit whose future is dropped at any point happens whole or not at all, and
/// the commits after it work.
pub async fn a_dropped_commit_is_whole_or_nothing<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let both = |n: i64| [1, 2].map(|key| put("pair", key, record! { "n" => n })).to_vec();
    database.write(both(0)).await;
    for n in 1..=60 {
        let polls = n % 6;
        let mut commit = database.commit(both(n));
        for _ in 0..polls {
            let poll = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
            if poll.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
        if n % 10 == 0 {
            // Behind this one, whatever the dropped ones began is done.
            let head = database.write([put("other", n, record! {})]).await.seq();
            assert!(head <= database.feed().head(), "{head} is pushed");
        }
        let pair = database.all("pair").await;
        assert!(pair.len() == 2 && pair[0].1 == pair[1].1, "half a commit: {pair:?}");
    }
    let live = database.feed().after(Seq::ZERO, usize::MAX).expect("few commits stay in the ring");
    let seqs = live.iter().map(|commit| commit.seq().0);
    assert_eq!(seqs.collect::<Vec<_>>(), (1..=database.feed().head().0).collect::<Vec<_>>());
    let states = database.states().await;
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.states().await, states);
}

/// A merge whose future is dropped stores its checkpoint with its operations, or
/// neither.
pub async fn a_dropped_merge_is_whole_or_nothing<H: Harness>(harness: &H) {
    let (database, source) = (Subject::new(harness).await, Subject::new(harness).await);
    for n in 1..=40 {
        source.write([1, 2].map(|key| put("pair", key, record! { "n" => n }))).await;
        let checkpoint =
            Some(Checkpoint { incarnation: Incarnation(1), seq: source.feed().head() });
        let operations = source.whole_feed().await;
        let mut merge = database.merge(Incoming {
            peer: peer(1),
            checkpoint,
            operations,
            ..Incoming::default()
        });
        for _ in 0..n % 4 {
            if poll_fn(|context| Poll::Ready(merge.as_mut().poll(context))).await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(merge);
        // Behind this one, whatever the dropped one began is done.
        database.write([put("other", n, record! {})]).await;
        let stored = database.checkpoints(peer(1)).await.expect("checkpoints can be read");
        let merged = stored.first().map_or(0, |checkpoint| checkpoint.seq.0);
        let pair = database.all("pair").await;
        let expected = (merged > 0).then(|| record! { "n" => i64::try_from(merged).expect("few") });
        let found: Vec<_> = pair.into_iter().map(|(_, record)| record).collect();
        assert_eq!(found, expected.map_or(vec![], |record| vec![record.clone(), record]));
    }
    database.states().await;
}
