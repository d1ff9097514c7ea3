//! Whose commits are whose, over openings, and over a change of the node id.

use blaze_codec::{NodeId, Seq, record};

use crate::subject::{Subject, fold, insert};
use crate::{Harness, Settings};

/// Each opening commits under an incarnation of its own, which a peer is told before
/// its first commit.
pub async fn an_opening_commits_under_an_incarnation_of_its_own<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let before = database.announce().await.expect("a feed can be announced");
    for key in 1..=3 {
        database.write([insert("notes", key, record! {})]).await;
    }
    let told = database.announce().await.expect("a feed can be announced");
    assert_eq!(before.latest(), told.latest(), "it is drawn once an opening");
    assert_eq!(before.place(Seq(3)), told.place(Seq(3)));
    let Some(database) = database.reopen(Settings::default()).await else { return };
    let reopened = database.announce().await.expect("a feed can be announced");
    assert_ne!(reopened.latest(), told.latest());
    assert!(reopened.covers(told.place(Seq(3)), Seq(3)), "what was told stays true");
    let seq = database.write([insert("notes", 4, record! {})]).await.seq();
    assert_eq!(reopened.place(seq).incarnation, reopened.latest());
    let after = database.announce().await.expect("a feed can be announced");
    assert_eq!((after.place(Seq(3)), after.place(seq)), (told.place(Seq(3)), reopened.place(seq)));
}

/// What was committed and told to no peer may get another incarnation, but what was
/// told keeps its own over any number of openings.
pub async fn what_a_peer_was_told_stays_true<H: Harness>(harness: &H) {
    let mut database = Subject::new(harness).await;
    let mut told = Vec::new();
    for key in 1..=6 {
        let seq = database.write([insert("notes", key, record! {})]).await.seq();
        if key % 2 == 0 {
            let history = database.announce().await.expect("a feed can be announced");
            told.push(history.place(seq));
        }
        let Some(reopened) = database.reopen(Settings::default()).await else { return };
        database = reopened;
        let head = database.feed().head();
        let history = database.announce().await.expect("a feed can be announced");
        for place in &told {
            assert!(history.covers(*place, head), "{place:?} is not in {history:?}");
        }
    }
}

/// A replica that takes another node id keeps its data and says who it was; what it
/// commits from then on is by the new one.
pub async fn another_node_id_is_kept_and_the_former_told<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let first = database.write([insert("notes", 1, record! {})]).await;
    let former = database.identity().node;
    let node = NodeId::from_bytes([0x77; 16]);
    database.renew(node).await.expect("a replica can take another id");
    let identity = database.identity();
    assert_eq!((identity.node, &identity.former[..]), (node, &[former][..]));
    let second = database.write([insert("notes", 2, record! {})]).await;
    assert_eq!(first.operations()[0].version.node, former);
    assert_eq!(second.operations()[0].version.node, node);
    let states = database.states().await;
    assert_eq!(fold(&[first.operations(), second.operations()].concat()), states);
    let Some(database) = database.reopen(Settings::default()).await else { return };
    assert_eq!(database.identity(), identity);
    assert_eq!(database.states().await, states);
}
