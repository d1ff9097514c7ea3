//! The peers that tombstones wait for.

use blaze_codec::{NodeId, Role, Seq, record};
use blaze_db_adapter::{Purged, RegisteredPeer};

use crate::subject::{Subject, delete, insert, peer};
use crate::{Harness, TestClock};

/// A tombstone stays in the feed until every registered peer has it for good; without
/// any it may go at once.
pub async fn a_tombstone_stays_until_every_peer_has_it<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    for node in [1, 2].map(peer) {
        register(&database, node, 0).await;
    }
    database.write([insert("notes", 1, record! {}), insert("notes", 2, record! {})]).await;
    database.write([delete("notes", 1)]).await;
    let feed = database.whole_feed().await;
    let settled = [(peer(1), 2), (peer(2), 1), (peer(1), 9)];
    for (node, seq) in settled {
        assert_eq!(purge(&database, 0).await, (0, Seq::ZERO), "{node} may not have it");
        assert_eq!(database.whole_feed().await, feed);
        settle(&database, node, seq).await;
    }
    assert_eq!(purge(&database, 0).await, (0, Seq::ZERO), "one has it, the other hasn't");
    settle(&database, peer(2), 2).await;
    assert_eq!(purge(&database, 0).await, (1, Seq(2)));
    assert_eq!(database.states().await.len(), 1);
    for node in [1, 2].map(peer) {
        database.unregister(node).await.expect("a peer can be taken out");
    }
    database.write([delete("notes", 2)]).await;
    assert_eq!(purge(&database, 0).await, (1, Seq(3)));
    assert_eq!(database.whole_feed().await, []);
}

/// Tombstones don't wait for a peer that was silent for too long; a session that begins
/// shows that it is there, and so does what it settles, even if that is nothing new.
pub async fn a_silent_peer_is_not_waited_for<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let deleted = async |key: i64| {
        database.write([insert("notes", key, record! {})]).await;
        database.write([delete("notes", key)]).await;
    };
    register(&database, peer(1), 0).await;
    deleted(1).await;
    assert_eq!(purge(&database, 10_000).await.0, 0, "it was heard of at that very time");
    assert_eq!(purge(&database, 10_001).await.0, 1);
    clock.set(20_000);
    register(&database, peer(1), 0).await;
    deleted(2).await;
    assert_eq!(purge(&database, 20_000).await.0, 0, "its session began");
    clock.set(20_001);
    settle(&database, peer(1), 0).await;
    assert_eq!(purge(&database, 20_001).await.0, 0, "it was heard of");
    assert_eq!(purge(&database, 20_002).await.0, 1);
}

/// What a peer has for good begins at nothing, is raised by what it settles, and falls
/// if it holds less when its next session begins.
pub async fn what_a_peer_has_for_good_is_kept<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    let check = async |settled, seen_ms| {
        let name = peer(1).to_string();
        let expected = RegisteredPeer { node: peer(1), name, settled: Seq(settled), seen_ms };
        assert_eq!(database.peers().await.expect("peers can be read"), [expected]);
    };
    register(&database, peer(1), 7).await;
    check(0, 10_000).await;
    clock.set(11_000);
    settle(&database, peer(1), 5).await;
    check(5, 11_000).await;
    clock.set(12_000);
    settle(&database, peer(1), 3).await;
    check(5, 12_000).await;
    register(&database, peer(1), 9).await;
    check(5, 12_000).await;
    clock.set(13_000);
    register(&database, peer(1), 2).await;
    check(2, 13_000).await;
    clock.set(14_000);
    settle(&database, peer(2), 5).await;
    check(2, 13_000).await;
    let all = [(peer(2), Seq(9)), (peer(1), Seq(4))];
    database.settle(&all).await.expect("what is settled can be stored");
    check(4, 14_000).await;
    settle(&database, peer(1), u64::MAX).await;
    check(u64::MAX, 14_000).await;
}

/// A peer that was taken out is not waited for; it begins anew if it comes back.
pub async fn a_peer_can_be_taken_out<H: Harness>(harness: &H) {
    let database = Subject::new(harness).await;
    let unregister = async |node| database.unregister(node).await.expect("a peer can be taken out");
    assert!(!unregister(peer(1)).await, "there was none");
    for node in [1, 2].map(peer) {
        register(&database, node, 0).await;
        settle(&database, node, 1).await;
    }
    database.write([insert("notes", 1, record! {})]).await;
    database.write([delete("notes", 1)]).await;
    settle(&database, peer(2), 2).await;
    assert_eq!(purge(&database, 0).await.0, 0, "one lacks it");
    assert!(unregister(peer(1)).await, "it was there");
    assert!(!unregister(peer(1)).await, "it is gone");
    assert_eq!(purge(&database, 0).await.0, 1);
    register(&database, peer(1), 2).await;
    let peers = database.peers().await.expect("peers can be read");
    let settled: Vec<_> = peers.into_iter().map(|peer| (peer.node, peer.settled)).collect();
    assert_eq!(settled, [(peer(1), Seq::ZERO), (peer(2), Seq(2))]);
}

/// Peers are still there when the database is opened again, in the order of their ids,
/// with names of any kind; so is the seq up to which tombstones are gone.
pub async fn peers_survive_reopening<H: Harness>(harness: &H) {
    let clock = TestClock::new(10_000);
    let database = Subject::with(harness, clock.settings(Role::Client)).await;
    database.write([insert("notes", 1, record! {})]).await;
    database.write([delete("notes", 1)]).await;
    assert_eq!(purge(&database, 0).await, (1, Seq(2)));
    for (node, name, seq) in [(9, "", 1), (1, "Zoë's 📱 \0 'x'", 2), (255, "laptop", 0)] {
        clock.set(10_000 + u64::from(node));
        database.register(peer(node), name, Seq(0)).await.expect("a peer can be registered");
        settle(&database, peer(node), seq).await;
    }
    let peers = database.peers().await.expect("peers can be read");
    let nodes: Vec<_> = peers.iter().map(|peer| peer.node).collect();
    assert_eq!(nodes, [1, 9, 255].map(peer));
    assert_eq!(peers[0].name, "Zoë's 📱 \0 'x'");
    assert_eq!(peers[0].settled, Seq(2));
    let Some(database) = database.reopen(clock.settings(Role::Client)).await else { return };
    assert_eq!(database.peers().await.expect("peers can be read"), peers);
    assert_eq!(register(&database, peer(4), 0).await, Seq(2));
    database.write([insert("notes", 2, record! {})]).await;
    database.write([delete("notes", 2)]).await;
    assert_eq!(purge(&database, 0).await, (0, Seq(2)), "they are waited for");
}

pub(super) async fn register<H: Harness>(
    database: &Subject<'_, H>,
    node: NodeId,
    holds: u64,
) -> Seq {
    let registered = database.register(node, &node.to_string(), Seq(holds)).await;
    registered.expect("a peer can be registered")
}

pub(super) async fn settle<H: Harness>(database: &Subject<'_, H>, node: NodeId, seq: u64) {
    database.settle(&[(node, Seq(seq))]).await.expect("what is settled can be stored");
}

/// How many tombstones are removed, and up to which seq they are gone.
pub(super) async fn purge<H: Harness>(
    database: &Subject<'_, H>,
    silent_since_ms: u64,
) -> (u64, Seq) {
    // Without any peer all would stay. This one is as far as can be.
    let (one, head) = (peer(200), database.feed().head());
    let alone = database.peers().await.expect("peers can be listed").is_empty();
    if alone {
        database.register(one, "settled", head).await.expect("a peer can be registered");
        database.settle(&[(one, head)]).await.expect("what has settled can be stored");
    }
    let purged = database.purge(silent_since_ms).await.expect("tombstones can be removed");
    if alone {
        assert!(database.unregister(one).await.expect("a peer can be taken out"));
    }
    let Purged { removed, through } = purged;
    (removed, through)
}
