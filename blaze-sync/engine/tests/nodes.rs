//! Nodes over a transport in memory: catching up, following, reconnecting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use blaze_codec::{Mode, Name, Record, RecordKey, Seq, record};
use blaze_db_adapter::{Durability, Write, WriteKind};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions};
use blaze_sync_engine::{Backoff, Link, LinkState, Node, NodeOptions};
use blaze_transport::{Connection, Endpoint, FrameReceiver, Listener, Transport, TransportError};
use blaze_transport_memory::MemoryTransport;
use bytes::Bytes;

const MODES: [Mode; 3] = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
const DEADLINE: Duration = Duration::from_secs(60);

fn node(name: &str) -> Node {
    with_database(name, MemoryDatabase::new())
}

fn with_database(name: &str, database: MemoryDatabase) -> Node {
    let backoff = Backoff { first: Duration::from_millis(1), ..Backoff::default() };
    let options = NodeOptions { backoff, ..NodeOptions::default() };
    Node::new(Arc::new(database), name, options)
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint::memory(name).unwrap()
}

async fn listen(node: &Node, transport: &MemoryTransport, name: &str) {
    node.listen(Arc::new(transport.clone()), &endpoint(name), &MODES).await.unwrap();
}

async fn connect(node: &Node, transport: impl Transport, name: &str, mode: Mode) -> Link {
    node.connect(Arc::new(transport), endpoint(name), mode).await.unwrap()
}

async fn put(node: &Node, key: i64, value: i64) -> Seq {
    let write = Write {
        collection: Name::new("numbers").unwrap(),
        key: RecordKey::Int(key),
        kind: WriteKind::Put(record! { "value" => value }),
    };
    node.database().commit(vec![write]).await.unwrap().seq()
}

async fn records(node: &Node) -> BTreeMap<RecordKey, Record> {
    let name = Name::new("numbers").unwrap();
    node.database().scan(&name, None, usize::MAX).await.unwrap().into_iter().collect()
}

/// Waits until a node has so many records.
async fn reach(node: &Node, count: usize) {
    let mut head = node.database().feed().watch();
    let reached = async {
        while records(node).await.len() < count {
            head.changed().await.unwrap();
        }
    };
    let name = node.name();
    tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{name} is stuck"));
}

#[tokio::test]
async fn nodes_catch_up_and_follow_both_ways() {
    let (a, b, transport) = (node("a"), node("b"), MemoryTransport::new());
    for key in 0..10 {
        put(&a, key, 1).await;
        put(&b, 100 + key, 2).await;
    }
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let status = link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
    assert_eq!(status.peer.unwrap().name, "a");
    reach(&a, 20).await;
    put(&a, 50, 3).await;
    reach(&b, 21).await;
    assert_eq!(records(&a).await, records(&b).await);
}

#[tokio::test]
async fn an_acknowledged_commit_is_at_every_peer() {
    let (hub, transport) = (node("hub"), MemoryTransport::new());
    listen(&hub, &transport, "hub").await;
    assert!(hub.acknowledged(Seq(0)).await.is_empty(), "nobody is connected");
    let spokes = [node("x"), node("y"), node("z")];
    for spoke in &spokes {
        let mut link = connect(spoke, transport.clone(), "hub", Mode::Bidirectional).await;
        link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
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
    link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
    assert_eq!(records(&source).await.len(), 2);
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
async fn closing_a_link_ends_it_at_both_sides() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
    link.close().await;
    assert!(b.links().borrow().is_empty());
    let mut links = a.links();
    tokio::time::timeout(DEADLINE, links.wait_for(BTreeMap::is_empty)).await.unwrap().unwrap();
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

/// Cuts each connection after a number of frames that grows with each attempt.
#[derive(Debug, Clone)]
struct Cutting {
    inner: MemoryTransport,
    attempts: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CutReceiver {
    inner: Box<dyn FrameReceiver>,
    left: u64,
}

#[async_trait]
impl FrameReceiver for CutReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        let frame = self.inner.recv().await?;
        if self.left == 0 {
            return Err(TransportError::io("receive", std::io::ErrorKind::ConnectionReset.into()));
        }
        self.left -= 1;
        Ok(frame)
    }
}

#[async_trait]
impl Transport for Cutting {
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let mut connection = self.inner.connect(endpoint).await?;
        let left = self.attempts.fetch_add(1, Ordering::Relaxed);
        connection.receiver = Box::new(CutReceiver { inner: connection.receiver, left });
        Ok(connection)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        self.inner.listen(endpoint).await
    }
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_loses_nothing() {
    let inner = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &inner, "a").await;
    for key in 0..40 {
        put(&a, key, 1).await;
        put(&b, 100 + key, 2).await;
    }
    let transport = Cutting { inner, attempts: Arc::new(AtomicU64::new(0)) };
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    reach(&a, 80).await;
    reach(&b, 80).await;
    assert!(transport.attempts.load(Ordering::Relaxed) > 1, "no connection was cut");
    assert_eq!(records(&a).await, records(&b).await);
}

#[tokio::test]
async fn a_session_that_falls_out_of_the_ring_goes_back_to_the_feed() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    assert_eq!(a.database().identity().durability, Durability::Memory);
    // More than the ring holds, before anybody listens.
    let text = "x".repeat(1 << 20);
    for key in 0..40 {
        let write = Write {
            collection: Name::new("numbers").unwrap(),
            key: RecordKey::Int(key),
            kind: WriteKind::Put(record! { "text" => text.as_str() }),
        };
        a.database().commit(vec![write]).await.unwrap();
    }
    assert!(a.database().feed().after(Seq(0), 1).is_none(), "the ring kept everything");
    listen(&a, &transport, "a").await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    reach(&b, 40).await;
    assert_eq!(records(&a).await, records(&b).await);
}
