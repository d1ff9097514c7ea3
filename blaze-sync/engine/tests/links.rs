//! How links begin, are refused, come back and end.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use blaze_codec::Mode;
use blaze_db_adapter_memory::MemoryOptions;
use blaze_sync_engine::{Backoff, LinkState, Node, NodeOptions};
use blaze_transport_memory::MemoryTransport;
use common::{
    DEADLINE, MODES, connect, endpoint, listen, live, node, pair, put, reach, with_database,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_write_only_link_becomes_live() {
    let (_a, b, transport) = pair().await;
    let mut link = connect(&b, transport.clone(), "a", Mode::WriteOnly).await;
    live(&mut link).await;
}

#[tokio::test]
async fn another_database_is_refused_and_both_say_why() {
    let transport = MemoryTransport::new();
    let a = node("a");
    let b = with_database("b", MemoryOptions::new().database("other").build());
    listen(&a, &transport, "a").await;
    let mut ended = a.ended();
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let refused = |state: &LinkState| matches!(state, LinkState::Waiting { refused: true, .. });
    let status = link.wait_for(|status| refused(&status.state)).await.unwrap();
    let LinkState::Waiting { reason, .. } = status.state else { unreachable!() };
    assert!(reason.contains("\"other\" is not served here"), "{reason}");
    let LinkState::Closed { reason } = ended.recv().await.unwrap().state else { unreachable!() };
    assert!(reason.contains("\"other\", this side \"main\""), "{reason}");
}

#[tokio::test]
async fn a_listener_that_comes_later_and_goes_and_returns_is_found() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    link.wait_for(|status| matches!(status.state, LinkState::Waiting { .. })).await.unwrap();
    put(&b, 1, 1).await;
    listen(&a, &transport, "a").await;
    reach(&a, 1).await;

    a.close().await;
    link.wait_for(|status| !status.is_connected()).await.unwrap();
    put(&b, 2, 2).await;
    let again = Node::new(Arc::clone(a.database()), "a", NodeOptions::default());
    listen(&again, &transport, "a").await;
    reach(&again, 2).await;
}

#[tokio::test]
async fn a_link_that_waits_for_long_tries_again_when_it_is_asked_to() {
    let transport = MemoryTransport::new();
    let a = node("a");
    let hours = std::time::Duration::from_secs(1_000 * 60 * 60);
    let backoff = Backoff { first: hours, max: hours, ..Backoff::default() };
    let options = NodeOptions { backoff, ..NodeOptions::default() };
    let b = Node::new(Arc::clone(node("b").database()), "b", options);
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    link.wait_for(|status| matches!(status.state, LinkState::Waiting { .. })).await.unwrap();
    listen(&a, &transport, "a").await;
    link.retry();
    live(&mut link).await;
    // Whoever doesn't wait isn't disturbed.
    link.retry();
    put(&b, 1, 1).await;
    reach(&a, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_link_under_writes_is_not_taken_for_a_backup() {
    let (a, b, transport) = pair().await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    live(&mut link).await;
    let stop = CancellationToken::new();
    let writer = tokio::spawn({
        let (a, stop) = (a.clone(), stop.clone());
        async move {
            for value in 0.. {
                if stop.is_cancelled() {
                    return;
                }
                put(&a, value % 100, value).await;
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 0..100 {
        let mut second = connect(&b, transport.clone(), "a", Mode::ReadOnly).await;
        assert_eq!(live(&mut second).await.went_back, None);
        for (_, status) in a.links().borrow().iter() {
            assert_eq!(status.went_back, None);
        }
        second.close().await;
    }
    stop.cancel();
    writer.await.unwrap();
}

#[tokio::test]
async fn closing_a_link_ends_it_at_both_sides() {
    let (a, b, transport) = pair().await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    live(&mut link).await;
    link.close().await;
    assert!(b.links().borrow().is_empty());
    let mut links = a.links();
    tokio::time::timeout(DEADLINE, links.wait_for(BTreeMap::is_empty)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_closed_node_refuses_and_a_dropped_one_lets_go_of_its_database() {
    let transport = MemoryTransport::new();
    let a = node("a");
    a.close().await;
    assert!(a.listen(Arc::new(transport.clone()), &endpoint("a"), &MODES).await.is_err());

    let b = node("b");
    listen(&b, &transport, "b").await;
    let database = Arc::downgrade(b.database());
    drop(b);
    let gone = async {
        while database.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("the acceptor keeps the database");
}
