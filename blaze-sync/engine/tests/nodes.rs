//! Nodes over a transport in memory: catching up, following, reconnecting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use blaze_codec::message::{Hello, Message, Resume};
use blaze_codec::{Incarnation, Mode, Name, NodeId, Record, RecordKey, Role, Seq, record};
use blaze_db_adapter::{Durability, Write, WriteKind};
use blaze_db_adapter_memory::{MemoryDatabase, MemoryOptions};
use blaze_sync_engine::{Backoff, CREDIT_BYTES_MAX, Link, LinkState, Node, NodeOptions};
use blaze_transport::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
};
use blaze_transport_memory::MemoryTransport;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

const MODES: [Mode; 3] = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
const DEADLINE: Duration = Duration::from_secs(60);

fn node(name: &str) -> Node {
    with_database(name, MemoryDatabase::new())
}

fn with_database(name: &str, database: MemoryDatabase) -> Node {
    let (first, max) = (Duration::from_millis(1), Duration::from_millis(20));
    let backoff = Backoff { first, max, ..Backoff::default() };
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

/// A commit too large for the ring, which is read back in pieces, and a record that
/// changed before it and after it.
#[tokio::test]
async fn the_ring_goes_on_where_the_last_piece_of_the_database_ends() {
    let (a, b, transport) = (node("a"), node("b"), MemoryTransport::new());
    let fields = |fields| Write {
        collection: Name::new("numbers").unwrap(),
        key: RecordKey::Int(1),
        kind: fields,
    };
    let first = record! { "kept" => 1, "changed" => 1 };
    a.database().commit(vec![fields(WriteKind::Insert(first))]).await.unwrap();
    let large = |key| Write {
        collection: Name::new("numbers").unwrap(),
        key: RecordKey::Int(key),
        kind: WriteKind::Insert(record! { "text" => "x".repeat(1_000_000) }),
    };
    a.database().commit((10..20).map(large).collect()).await.unwrap();
    let change = [(Name::new("changed").unwrap(), Some(2.into()))].into();
    a.database().commit(vec![fields(WriteKind::Update(change))]).await.unwrap();
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport, "a", Mode::Bidirectional).await;
    link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
    assert_eq!(records(&b).await.len(), 11);
    assert!(records(&a).await == records(&b).await, "the replicas differ");
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
async fn a_write_only_link_becomes_live() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::WriteOnly).await;
    let live = link.wait_for(|status| status.state == LinkState::Live);
    tokio::time::timeout(DEADLINE, live).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_received_is_told() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::ReadOnly).await;
    for key in 0..10 {
        put(&a, key, 1).await;
    }
    let received = link.wait_for(|status| status.received == Some(Seq(10)));
    tokio::time::timeout(DEADLINE, received).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_acknowledgement_waits_for_links_that_are_being_connected() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &transport, "a").await;
    connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    let seq = put(&b, 1, 1).await;
    assert_eq!(b.acknowledged(seq).await.len(), 1);
    assert_eq!(records(&a).await.len(), 1);
}

/// A session whose other side never says anything more.
async fn ghost(transport: &MemoryTransport, name: &str, node: NodeId) -> Connection {
    let mut connection = transport.connect(&endpoint(name)).await.unwrap();
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        node,
        incarnation: Incarnation(1),
        database: "main".into(),
        name: "ghost".into(),
        role: Role::Client,
        mode: Mode::ReadOnly,
        head: Seq::ZERO,
        wall_ms: 0,
    };
    let resume = Resume { incarnation: None, after: Seq::ZERO, credit: u64::MAX };
    for message in [Message::Hello(hello), Message::Resume(resume)] {
        connection.sender.feed(message.encode()).unwrap();
    }
    connection.sender.flush().await.unwrap();
    connection
}

#[tokio::test]
async fn a_dead_session_of_a_peer_that_is_back_holds_nothing_up() {
    let transport = MemoryTransport::new();
    let id = NodeId::from_bytes([7; 16]);
    let (a, b) = (node("a"), with_database("b", MemoryOptions::new().node(id).build()));
    listen(&a, &transport, "a").await;
    let _ghost = ghost(&transport, "a", id).await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
    let mut links = a.links();
    let both =
        links.wait_for(|links| links.values().filter(|link| link.is_connected()).count() == 2);
    tokio::time::timeout(DEADLINE, both).await.unwrap().unwrap();
    let seq = put(&a, 1, 1).await;
    // Far below the 45 s after which the ghost would be found dead.
    let acknowledged = tokio::time::timeout(Duration::from_secs(20), a.acknowledged(seq)).await;
    assert_eq!(acknowledged.unwrap().len(), 1);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_bounded_memory_whatever_it_grants() {
    let transport = MemoryTransport::new();
    let a = node("a");
    let text = "x".repeat(1 << 20);
    for key in 0..64 {
        let write = Write {
            collection: Name::new("numbers").unwrap(),
            key: RecordKey::Int(key),
            kind: WriteKind::Put(record! { "text" => text.as_str() }),
        };
        a.database().commit(vec![write]).await.unwrap();
    }
    let (fed, most) = (Arc::new(AtomicU64::new(0)), CREDIT_BYTES_MAX + (1 << 20));
    let counting = Counting { inner: transport.clone(), fed: Arc::clone(&fed) };
    a.listen(Arc::new(counting), &endpoint("a"), &MODES).await.unwrap();
    let mut ghost = ghost(&transport, "a", NodeId::from_bytes([7; 16])).await;
    // Once it answers a ping, it has queued all that it will.
    ghost.sender.feed(Message::Ping(7).encode()).unwrap();
    ghost.sender.flush().await.unwrap();
    let filled = async {
        while fed.load(Ordering::SeqCst) < CREDIT_BYTES_MAX / 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, filled).await.unwrap();
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(fed.load(Ordering::SeqCst) <= most, "{} bytes fed", fed.load(Ordering::SeqCst));
}

/// Counts the bytes that are fed to the senders of accepted connections.
#[derive(Debug)]
struct Counting {
    inner: MemoryTransport,
    fed: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingListener(Box<dyn Listener>, Arc<AtomicU64>);

#[derive(Debug)]
struct CountingSender(Box<dyn FrameSender>, Arc<AtomicU64>);

#[async_trait]
impl Transport for Counting {
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        self.inner.connect(endpoint).await
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let listener = self.inner.listen(endpoint).await?;
        Ok(Box::new(CountingListener(listener, Arc::clone(&self.fed))))
    }
}

#[async_trait]
impl Listener for CountingListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let mut connection = self.0.accept().await?;
        connection.sender = Box::new(CountingSender(connection.sender, Arc::clone(&self.1)));
        Ok(connection)
    }

    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        self.0.close().await
    }
}

#[async_trait]
impl FrameSender for CountingSender {
    fn feed(&mut self, frame: Bytes) -> Result<(), TransportError> {
        self.1.fetch_add(frame.len() as u64, Ordering::SeqCst);
        self.0.feed(frame)
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        self.0.flush().await
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        self.0.finish().await
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_link_under_writes_is_not_taken_for_a_backup() {
    let transport = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    listen(&a, &transport, "a").await;
    let mut link = connect(&b, transport.clone(), "a", Mode::Bidirectional).await;
    link.wait_for(|status| status.state == LinkState::Live).await.unwrap();
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
    let mut ended = a.ended();
    for _ in 0..100 {
        let mut second = connect(&b, transport.clone(), "a", Mode::ReadOnly).await;
        let live = second.wait_for(|status| status.state == LinkState::Live);
        tokio::time::timeout(DEADLINE, live).await.unwrap().unwrap();
        second.close().await;
    }
    stop.cancel();
    writer.await.unwrap();
    while let Ok(status) = ended.try_recv() {
        let LinkState::Closed { reason } = status.state else { continue };
        assert!(!reason.contains("you hold seq"), "{reason}");
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

impl CutReceiver {
    fn count(&mut self, frame: Option<Bytes>) -> Result<Option<Bytes>, TransportError> {
        if frame.is_some() && self.left == 0 {
            return Err(TransportError::io("receive", std::io::ErrorKind::ConnectionReset.into()));
        }
        self.left -= u64::from(frame.is_some());
        Ok(frame)
    }
}

#[async_trait]
impl FrameReceiver for CutReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        let frame = self.inner.recv().await?;
        self.count(frame)
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, TransportError> {
        let frame = self.inner.buffered()?;
        self.count(frame)
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
