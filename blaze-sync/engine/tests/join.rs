//! Nodes that join an endpoint without a server.

mod common;

use std::sync::Arc;

use blaze_codec::Mode;
use blaze_sync_engine::{Link, LinkState, Node, NodeOptions};
use blaze_transport::Endpoint;
use blaze_transport_memory::MemoryTransport;
use common::{DEADLINE, endpoint, live, node, put, reach};

async fn join(node: &Node, transport: &MemoryTransport, mode: Mode) -> Link {
    node.join(Arc::new(transport.clone()), endpoint("hub"), mode).await.unwrap()
}

/// Waits until it has a seat; whether that is the hub's.
async fn seated(link: &mut Link) -> bool {
    let seated = |state: &LinkState| matches!(state, LinkState::Hub | LinkState::Live);
    let status = link.wait_for(|status| seated(&status.state));
    let status = tokio::time::timeout(DEADLINE, status).await.expect("it gets no seat");
    status.expect("the link stands").state == LinkState::Hub
}

/// Which of them is the hub, once all have a seat.
async fn hub(links: &mut [Link]) -> usize {
    let mut hubs = Vec::new();
    for (number, link) in links.iter_mut().enumerate() {
        if seated(link).await {
            hubs.push(number);
        }
    }
    assert_eq!(hubs.len(), 1, "{hubs:?}");
    hubs[0]
}

#[tokio::test]
async fn the_first_listens_and_what_one_writes_reaches_all() {
    let transport = MemoryTransport::new();
    let nodes = ["a", "b", "c", "d"].map(node);
    let mut links = Vec::new();
    for node in &nodes {
        links.push(join(node, &transport, Mode::Bidirectional).await);
    }
    assert_eq!(hub(&mut links).await, 0);
    for (key, node) in (0..).zip(&nodes) {
        put(node, key, key).await;
    }
    for node in &nodes {
        reach(node, nodes.len()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_takes_the_place_of_a_hub_that_goes_and_nothing_is_lost() {
    let transport = MemoryTransport::new();
    let mut nodes: Vec<Node> = ["a", "b", "c", "d"].map(node).into();
    let mut links = Vec::new();
    for node in &nodes {
        links.push(join(node, &transport, Mode::Bidirectional).await);
    }
    for round in 0..20 {
        let hub = hub(&mut links).await;
        // What is written while there is none is exchanged with the next one.
        let gone = nodes.remove(hub);
        drop(links.remove(hub));
        put(&gone, 10 * round, round).await;
        gone.close().await;
        for (key, node) in (10 * round + 1..).zip(&nodes) {
            put(node, key, round).await;
        }
        let back = Node::new(Arc::clone(gone.database()), "back", NodeOptions::default());
        links.push(join(&back, &transport, Mode::Bidirectional).await);
        nodes.push(back);
        for node in &nodes {
            reach(node, 4 * (usize::try_from(round).unwrap() + 1)).await;
        }
    }
}

#[tokio::test]
async fn who_only_receives_or_sends_waits_for_a_hub() {
    let transport = MemoryTransport::new();
    let (reader, writer, whole) = (node("reader"), node("writer"), node("whole"));
    let mut links = Vec::new();
    for (node, mode) in [(&reader, Mode::ReadOnly), (&writer, Mode::WriteOnly)] {
        let mut link = join(node, &transport, mode).await;
        link.wait_for(|status| matches!(status.state, LinkState::Waiting { .. })).await.unwrap();
        links.push(link);
    }
    put(&writer, 1, 1).await;
    links.push(join(&whole, &transport, Mode::Bidirectional).await);
    assert_eq!(hub(&mut links).await, 2);
    reach(&whole, 1).await;
    reach(&reader, 1).await;
}

#[tokio::test]
async fn a_link_that_is_closed_leaves_the_seat() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    let mut first = join(&a, &transport, Mode::Bidirectional).await;
    assert!(seated(&mut first).await);
    let mut second = join(&b, &transport, Mode::Bidirectional).await;
    live(&mut second).await;
    first.close().await;
    second.wait_for(|status| status.state == LinkState::Hub).await.unwrap();
    // The other sessions of the hub ended with it.
    assert!(a.links().borrow().is_empty());
}

#[tokio::test]
async fn what_somebody_has_to_change_first_is_an_error_at_once() {
    let (node, transport) = (node("a"), MemoryTransport::new());
    let elsewhere: Endpoint = "tcp://127.0.0.1:7117".parse().unwrap();
    let transport = Arc::new(transport);
    let refused = node.join(transport.clone(), elsewhere, Mode::Bidirectional).await;
    assert!(refused.unwrap_err().to_string().contains("tcp"));
    let any_port: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let refused = node.join(transport, any_port, Mode::Bidirectional).await.unwrap_err();
    let reason = std::error::Error::source(&refused).unwrap().to_string();
    assert!(reason.contains("name a port"), "{reason}");
}
