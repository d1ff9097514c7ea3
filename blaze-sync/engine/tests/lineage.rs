//! Databases that went back to a backup, and copies that are open beside the original.

mod common;

use blaze_codec::{Incarnation, Mode, NodeId, Seq};
use blaze_db_adapter::WallClock;
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions, Snapshot};
use blaze_sync_engine::{Link, LinkState, Node, WentBack};
use common::{DEADLINE, connect, listen, live, node, put, reach, records, with_database};

const BOTH: Mode = Mode::Bidirectional;

fn opened(snapshot: &Snapshot, drawn: u64) -> MemoryDatabase {
    snapshot.open(Incarnation(drawn), WallClock::system())
}

/// A node whose database can be backed up, since it isn't the node's alone.
fn backed(name: &str, byte: u8) -> (Node, std::sync::Arc<MemoryDatabase>) {
    let id = NodeId::from_bytes([byte; 16]);
    let database = std::sync::Arc::new(MemoryOptions::new().node(id).build());
    (common::with_adapter(name, database.clone()), database)
}

async fn acknowledged(node: &Node, seq: Seq) {
    acknowledged_by(node, seq, 1).await;
}

async fn acknowledged_by(node: &Node, seq: Seq, peers: usize) {
    let acknowledged = tokio::time::timeout(DEADLINE, node.acknowledged(seq)).await;
    assert_eq!(acknowledged.expect("a peer acknowledges").len(), peers);
}

async fn link(from: &Node, transport: &blaze_transport_memory::MemoryTransport, to: &str) -> Link {
    let mut link = connect(from, transport.clone(), to, BOTH).await;
    live(&mut link).await;
    link
}

#[tokio::test]
async fn a_restored_database_gets_back_what_it_lost_and_both_sides_are_told() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let (a, (b, database)) = (node("a"), backed("b", 7));
    listen(&a, &transport, "a").await;
    let first = link(&b, &transport, "a").await;
    acknowledged(&b, put(&b, 1, 1).await).await;
    let backup = database.snapshot();
    for key in 2..=9 {
        put(&b, key, key).await;
    }
    acknowledged(&b, Seq(9)).await;
    first.close().await;
    b.close().await;

    let restored = with_database("b", opened(&backup, 2));
    // More than it lost, so that the number alone shows nothing.
    for key in 20..40 {
        put(&restored, key, key).await;
    }
    let again = link(&restored, &transport, "a").await;
    reach(&restored, 29).await;
    reach(&a, 29).await;
    assert_eq!(records(&a).await, records(&restored).await);
    let told = |here| Some(WentBack { here, held: Seq(9), common: Seq(1) });
    assert_eq!(again.status().unwrap().went_back, told(true));
    let links = a.links().borrow().clone();
    assert_eq!(links.values().next().unwrap().went_back, told(false));
}

#[tokio::test]
async fn a_copy_that_meets_the_original_takes_an_id_of_its_own() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let (original, database) = backed("original", 7);
    put(&original, 1, 1).await;
    let copy = with_database("copy", opened(&database.snapshot(), 2));
    put(&original, 2, 2).await;
    put(&copy, 3, 3).await;
    listen(&original, &transport, "original").await;
    link(&copy, &transport, "original").await;
    reach(&copy, 3).await;
    reach(&original, 3).await;
    assert_eq!(records(&copy).await, records(&original).await);
    let (kept, taken) = (original.database().identity(), copy.database().identity());
    assert_eq!((kept.node, kept.former.len()), (NodeId::from_bytes([7; 16]), 0));
    assert_eq!((taken.node == kept.node, taken.former), (false, vec![kept.node]));
}

#[tokio::test]
async fn a_copy_beside_the_original_at_a_third_node_takes_an_id_of_its_own() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let (hub, (original, database)) = (node("hub"), backed("original", 7));
    listen(&hub, &transport, "hub").await;
    put(&original, 1, 1).await;
    let snapshot = database.snapshot();
    link(&original, &transport, "hub").await;
    put(&original, 2, 2).await;
    reach(&hub, 2).await;
    let copy = with_database("copy", opened(&snapshot, 2));
    put(&copy, 3, 3).await;
    link(&copy, &transport, "hub").await;
    for node in [&hub, &original, &copy] {
        reach(node, 3).await;
    }
    // The hub can tell only once both have committed by themselves; then it says so.
    let kept = original.database().identity().node;
    let mut links = copy.links();
    let renewed = links.wait_for(|_| copy.database().identity().node != kept);
    tokio::time::timeout(DEADLINE, renewed).await.expect("the copy is told").unwrap();
    assert_eq!(copy.database().identity().former, [kept]);
    let seq = put(&copy, 4, 4).await;
    acknowledged(&copy, seq).await;
    reach(&original, 4).await;
}

#[tokio::test]
async fn a_link_to_itself_is_refused_and_nobody_takes_another_id() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let a = node("a");
    let before = a.database().identity();
    listen(&a, &transport, "a").await;
    let mut link = connect(&a, transport, "a", BOTH).await;
    let refused = link.wait_for(|link| matches!(link.state, LinkState::Waiting { .. }));
    let status = tokio::time::timeout(DEADLINE, refused).await.unwrap().unwrap();
    let LinkState::Waiting { reason, refused, .. } = status.state else { unreachable!() };
    assert!(refused && reason.contains("one open database"), "{reason}");
    assert_eq!(a.database().identity(), before);
}

/// A commit of more than fits into a transaction on the wire comes in parts; what came
/// from one peer is passed on to another all the same.
#[tokio::test]
async fn parts_of_a_large_commit_are_passed_on() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let (origin, hub, third) = (node("origin"), node("hub"), node("third"));
    for key in 0..100 {
        put(&origin, key, key).await;
    }
    common::put_very_large(&origin, 1_000, 20).await;
    listen(&hub, &transport, "hub").await;
    link(&third, &transport, "hub").await;
    link(&origin, &transport, "hub").await;
    reach(&hub, 120).await;
    reach(&third, 120).await;
    assert_eq!(records(&third).await, records(&origin).await);
}

/// Who is connected to must not be able to make a node change its id again and again,
/// and who connects without saying who it is not at all.
#[tokio::test]
async fn only_a_peer_makes_a_node_take_another_id_and_once_only() {
    let transport = blaze_transport_memory::MemoryTransport::new();
    let (a, database) = backed("a", 7);
    listen(&a, &transport, "a").await;
    let goodbye = || {
        let (reason, message) = (blaze_codec::message::Reason::SameNode, String::new());
        blaze_codec::message::Message::Goodbye(blaze_codec::message::Goodbye { reason, message })
    };
    for _ in 0..5 {
        let mut stranger =
            blaze_transport::Transport::connect(&transport, &common::endpoint("a")).await.unwrap();
        stranger.sender.feed(goodbye().encode()).unwrap();
        stranger.sender.finish().await.unwrap();
        while let Ok(Some(_)) = stranger.receiver.recv().await {}
    }
    assert_eq!(a.database().identity().node, NodeId::from_bytes([7; 16]));
    // Copies at two links are told twice, and take one id each.
    let snapshot = database.snapshot();
    let (copy, second) = (with_database("copy", opened(&snapshot, 2)), node("second"));
    listen(&second, &transport, "second").await;
    put(&copy, 1, 1).await;
    for at in ["a", "a", "second"] {
        link(&copy, &transport, at).await;
    }
    acknowledged_by(&copy, put(&copy, 2, 2).await, 2).await;
    assert_eq!(copy.database().identity().former, [NodeId::from_bytes([7; 16])]);
}
