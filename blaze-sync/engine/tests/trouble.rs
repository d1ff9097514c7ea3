//! Peers that fall silent or read nothing, and connections that break.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use blaze_codec::message::{CompressionSet, Hello, Message, Resume, Start};
use blaze_codec::{Incarnation, Mode, Name, NodeId, Role, Seq, record};
use blaze_db_adapter::{Write, WriteKind};
use blaze_db_adapter_memory::MemoryOptions;
use blaze_sync_engine::{CREDIT_BYTES_MAX, LinkState};
use blaze_transport::{
    Connection, Endpoint, FrameLimits, FrameReceiver, FrameSender, Listener, PeerInfo, Transport,
    TransportError, framed,
};
use blaze_transport_memory::MemoryTransport;
use bytes::Bytes;
use common::{
    DEADLINE, MODES, connect, endpoint, listen, live, node, put, put_large, reach, records,
    with_database,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

/// A session whose other side never says anything more.
async fn ghost(transport: &MemoryTransport, name: &str, node: NodeId) -> Connection {
    let mut connection = transport.connect(&endpoint(name)).await.unwrap();
    let hello = Hello {
        protocol_min: 1,
        protocol_max: 1,
        node,
        former: Vec::new(),
        history: Incarnation(1).into(),
        database: "main".into(),
        name: "ghost".into(),
        role: Role::Client,
        mode: Mode::ReadOnly,
        head: Seq::ZERO,
        wall_ms: 0,
        reads: CompressionSet::EMPTY,
        scope: 0,
    };
    let resume = Resume { after: Seq::ZERO, last: None, credit: u64::MAX };
    let start = Start { roll: None };
    for message in [Message::Hello(hello), Message::Resume(resume), Message::Start(start)] {
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
    live(&mut link).await;
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
    put_large(&a, 64).await;
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

/// Lets one client in after it has refused a number of them.
#[derive(Debug, Clone)]
struct Picky {
    inner: MemoryTransport,
    strangers: u32,
}

#[derive(Debug)]
struct PickyListener {
    inner: Box<dyn Listener>,
    strangers: u32,
}

#[async_trait]
impl Transport for Picky {
    fn scheme(&self) -> &'static str {
        self.inner.scheme()
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        self.inner.connect(endpoint).await
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let inner = self.inner.listen(endpoint).await?;
        Ok(Box::new(PickyListener { inner, strangers: self.strangers }))
    }
}

#[async_trait]
impl Listener for PickyListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        let Some(left) = self.strangers.checked_sub(1) else { return self.inner.accept().await };
        self.strangers = left;
        Err(TransportError::ClientRefused {
            endpoint: self.inner.endpoint().clone(),
            client: Box::new(PeerInfo::new(format!("stranger {left}"))),
            allowed: "nobody".to_owned(),
        })
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    async fn close(self: Box<Self>) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_is_told_of_but_not_without_end() {
    let inner = MemoryTransport::new();
    let (a, b) = (node("a"), node("b"));
    let mut ended = a.ended();
    let picky = Picky { inner: inner.clone(), strangers: 100 };
    a.listen(Arc::new(picky), &endpoint("a"), &MODES).await.unwrap();
    let mut link = connect(&b, inner, "a", Mode::Bidirectional).await;
    live(&mut link).await;
    let told = std::iter::from_fn(|| ended.try_recv().ok()).map(|status| match status.state {
        LinkState::Closed { reason } => reason.to_string(),
        state => panic!("{state:?}"),
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 8, "of a hundred within a second: {told:?}");
    assert!(told[0].contains("stranger 99, allowed is nobody"), "{}", told[0]);
}

/// Gives out one connection.
#[derive(Debug)]
struct Once(std::sync::Mutex<Option<Connection>>);

#[derive(Debug)]
struct OnceListener(Option<Connection>, Endpoint);

#[async_trait]
impl Transport for Once {
    fn scheme(&self) -> &'static str {
        "mem"
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        let connection = self.0.lock().unwrap().take();
        connection.ok_or(TransportError::NothingListens { endpoint: endpoint.clone() })
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let connection = self.0.lock().unwrap().take();
        Ok(Box::new(OnceListener(connection, endpoint.clone())))
    }
}

#[async_trait]
impl Listener for OnceListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        match self.0.take() {
            Some(connection) => Ok(connection),
            None => std::future::pending().await,
        }
    }

    fn endpoint(&self) -> &Endpoint {
        &self.1
    }
}

/// Two ends of a byte stream, on which so many bytes a second go from the first to the second.
fn slow(bytes_a_second: u64) -> (Connection, Connection) {
    const BUFFER: usize = 1024;
    let connection = |stream: DuplexStream| {
        let (read, write) = split(stream);
        let (sender, receiver) = framed(read, write, FrameLimits::default());
        Connection::new(sender, receiver, PeerInfo::new("slow"))
    };
    let ((near, first), (second, far)) = (duplex(BUFFER), duplex(BUFFER));
    let (mut from_first, mut to_first) = split(first);
    let (mut from_second, mut to_second) = split(second);
    tokio::spawn(async move { tokio::io::copy(&mut from_second, &mut to_first).await });
    tokio::spawn(async move {
        let mut bytes = [0; BUFFER];
        while let Ok(read @ 1..) = from_first.read(&mut bytes).await {
            let ms = 1_000 * read as u64 / bytes_a_second;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if to_second.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    });
    (connection(near), connection(far))
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_over_a_slow_link_is_no_silence_unless_it_is_too_slow() {
    for (bytes_a_second, arrives) in [(4_096, true), (512, false)] {
        let (a, b) = (node("a"), node("b"));
        let text = "x".repeat(400_000);
        let collection = Name::new("notes").unwrap();
        let kind = WriteKind::Insert(record! { "text" => text });
        b.database().commit(vec![Write { collection, key: 1.into(), kind }]).await.unwrap();
        let (near, far) = slow(bytes_a_second);
        let mut ended = a.ended();
        let once = |connection| Arc::new(Once(std::sync::Mutex::new(Some(connection))));
        a.listen(once(far), &endpoint("a"), &MODES).await.unwrap();
        b.connect(once(near), endpoint("a"), Mode::Bidirectional).await.unwrap();
        let head = a.database().feed().watch();
        let came = async { head.clone().wait_for(|head| *head > Seq::ZERO).await.map(drop) };
        tokio::select! {
            came = came => assert!(arrives && came.is_ok(), "{bytes_a_second} a second are enough"),
            status = ended.recv() => {
                let LinkState::Closed { reason } = status.unwrap().state else { unreachable!() };
                assert!(!arrives && reason.contains("nothing heard"), "{reason}");
            }
        }
    }
}
