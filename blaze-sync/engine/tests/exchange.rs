//! What nodes exchange: changes, both ways or one, acknowledgements and conflicts.

mod common;

use blaze_codec::{Mode, RecordKey, Seq};
use blaze_db_adapter::Durability;
use blaze_transport_memory::MemoryTransport;
use common::{DEADLINE, connect, listen, live, node, pair, put, put_large, reach, records};

#[tokio::test]
async fn nodes_catch_up_and_follow_both_ways() {
    let (a, b, transport) = (node("a"), node("b"), MemoryTransport::new());
    for key in 0..10 {
        put(&a, key, 1).await;
        put(&b, 100 + key, 2).await;
    }
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let status = live(&mut link).await;
    assert_eq!(status.peer.unwrap().name, "a");
    reach(&a, 20).await;
    put(&a, 50, 3).await;
    reach(&b, 21).await;
    assert_eq!(records(&a).await, records(&b).await);
}

#[tokio::test]
async fn modes_carry_one_way() {
    let transport = MemoryTransport::new();
    let (source, sink) = (node("source"), node("sink"));
    listen(&source, &transport, "source").await;
    put(&source, 1, 1).await;
    put(&sink, 2, 2).await;
    let mut link = connect(&sink, transport.clone(), "source", Mode::ReadOnly).await;
    reach(&sink, 2).await;
    // A later change that arrives shows that nothing is still on its way back.
    put(&source, 3, 3).await;
    reach(&sink, 3).await;
    live(&mut link).await;
    assert_eq!(records(&source).await.len(), 2);
}

#[tokio::test]
async fn a_chain_of_five_carries_from_end_to_end() {
    let transport = MemoryTransport::new();
    let names = ["n0", "n1", "n2", "n3", "n4"];
    let nodes = names.map(node);
    for (index, next) in nodes.iter().enumerate().skip(1) {
        let before = names[index - 1];
        listen(&nodes[index - 1], &transport, before).await;
        connect(next, transport.clone(), before, Mode::Bidirectional).await;
    }
    put(&nodes[0], 0, 1).await;
    put(&nodes[4], 4, 1).await;
    for node in &nodes {
        reach(node, 2).await;
    }
}

#[tokio::test]
async fn what_was_received_is_told() {
    let (a, b, transport) = pair().await;
    let mut link = connect(&b, transport.clone(), "a", Mode::ReadOnly).await;
    for key in 0..10 {
        put(&a, key, 1).await;
    }
    let received = link.wait_for(|status| status.received == Some(Seq(10)));
    tokio::time::timeout(DEADLINE, received).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_acknowledged_commit_is_at_every_peer() {
    let (hub, transport) = (node("hub"), MemoryTransport::new());
    listen(&hub, &transport, "hub").await;
    assert!(hub.acknowledged(Seq(0)).await.is_empty(), "nobody is connected");
    let spokes = [node("x"), node("y"), node("z")];
    for spoke in &spokes {
        let mut link = connect(spoke, transport.clone(), "hub", Mode::Bidirectional).await;
        live(&mut link).await;
    }
    let seq = put(&hub, 1, 1).await;
    let peers = hub.acknowledged(seq).await;
    assert_eq!(peers.len(), 3);
    for (spoke, peer) in spokes.iter().zip(&peers) {
        assert_eq!(records(spoke).await.len(), 1);
        assert!(peer.through >= seq);
    }
}

#[tokio::test]
async fn an_acknowledgement_waits_for_links_that_are_being_connected() {
    let (a, b, transport) = pair().await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let seq = put(&b, 1, 1).await;
    assert_eq!(b.acknowledged(seq).await.len(), 1);
    assert_eq!(records(&a).await.len(), 1);
}

#[tokio::test]
async fn conflicts_are_reported_with_both_values() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    put(&a, 1, 10).await;
    put(&b, 1, 20).await;
    let mut conflicts = a.conflicts();
    listen(&a, &transport, "a").await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let conflict = tokio::time::timeout(DEADLINE, conflicts.recv()).await.unwrap().unwrap();
    let (won, lost) = (conflict.winner.value.unwrap(), conflict.loser.value.unwrap());
    assert!(conflict.winner.version > conflict.loser.version);
    assert_eq!(records(&a).await[&RecordKey::Int(1)].get("value"), Some(&won));
    let values = [won, lost].map(|value| value.as_int().unwrap());
    assert_eq!(values.iter().sum::<i64>(), 30, "both values are told");
}

#[tokio::test]
async fn a_session_that_falls_out_of_the_ring_goes_back_to_the_feed() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    assert_eq!(a.database().identity().durability, Durability::Memory);
    // More than the ring holds, before anybody listens.
    put_large(&a, 40).await;
    assert!(a.database().feed().after(Seq(0), 1).is_none(), "the ring kept everything");
    listen(&a, &transport, "a").await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    reach(&b, 40).await;
    assert_eq!(records(&a).await, records(&b).await);
}
