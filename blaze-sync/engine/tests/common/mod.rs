//! Nodes over a transport in memory, and how they are waited for.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod shop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blaze_codec::{Mode, Name, Record, RecordKey, Seq, record};
use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_sync_engine::{Backoff, Link, LinkState, LinkStatus, Node, NodeOptions};
use blaze_transport::{Endpoint, Transport};
use blaze_transport_memory::MemoryTransport;

pub(crate) const MODES: [Mode; 3] = [Mode::Bidirectional, Mode::ReadOnly, Mode::WriteOnly];
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn node(name: &str) -> Node {
    with_database(name, MemoryDatabase::new())
}

pub(crate) fn with_database(name: &str, database: MemoryDatabase) -> Node {
    with_adapter(name, Arc::new(database))
}

pub(crate) fn with_adapter(name: &str, database: Arc<dyn DatabaseAdapter>) -> Node {
    let (first, max) = (Duration::from_millis(1), Duration::from_millis(20));
    let backoff = Backoff { first, max, ..Backoff::default() };
    let options = NodeOptions { backoff, ..NodeOptions::default() };
    Node::new(database, name, options)
}

pub(crate) fn endpoint(name: &str) -> Endpoint {
    Endpoint::memory(name).unwrap()
}

pub(crate) async fn listen(node: &Node, transport: &MemoryTransport, name: &str) {
    node.listen(Arc::new(transport.clone()), &endpoint(name), &MODES).await.unwrap();
}

pub(crate) async fn connect(
    node: &Node,
    transport: impl Transport,
    name: &str,
    mode: Mode,
) -> Link {
    node.connect(Arc::new(transport), endpoint(name), mode).await.unwrap()
}

/// Two nodes, of which `a` listens by its name.
pub(crate) async fn pair() -> (Node, Node, MemoryTransport) {
    let (a, b, transport) = (node("a"), node("b"), MemoryTransport::new());
    listen(&a, &transport, "a").await;
    (a, b, transport)
}

/// Waits until a link has caught up.
pub(crate) async fn live(link: &mut Link) -> LinkStatus {
    let live = link.wait_for(|status| status.state == LinkState::Live);
    tokio::time::timeout(DEADLINE, live).await.expect("the link is stuck").unwrap()
}

pub(crate) async fn put(node: &Node, key: i64, value: i64) -> Seq {
    put_record(node, key, record! { "value" => value }).await
}

/// Makes so many commits of 1 MiB each.
pub(crate) async fn put_large(node: &Node, count: i64) {
    let text = "x".repeat(1 << 20);
    for key in 0..count {
        put_record(node, key, record! { "text" => text.as_str() }).await;
    }
}

/// Changes so many records, each larger than a frame, in one commit that is larger than
/// what a session sends as one transaction.
pub(crate) async fn put_very_large(node: &Node, first: i64, count: i64) {
    let field = |letter: &str| (Name::new(letter).unwrap(), Some("x".repeat(900_000).into()));
    let put = |key, kind| Write { collection: numbers(), key: RecordKey::Int(key), kind };
    for key in first..first + count {
        let record = WriteKind::Insert(record! {});
        node.database().commit(vec![put(key, record)]).await.unwrap();
        for letters in [["a", "b"], ["c", "d"]] {
            let fields = WriteKind::Update(letters.map(field).into_iter().collect());
            node.database().commit(vec![put(key, fields)]).await.unwrap();
        }
    }
    // One small field of each: the feed reads the records back whole.
    let small = |key| {
        let fields = [(Name::new("z").unwrap(), Some(1.into()))].into_iter().collect();
        put(key, WriteKind::Update(fields))
    };
    node.database().commit((first..first + count).map(small).collect()).await.unwrap();
}

async fn put_record(node: &Node, key: i64, record: Record) -> Seq {
    let (collection, key) = (numbers(), RecordKey::Int(key));
    let write = Write { collection, key, kind: WriteKind::Put(record) };
    node.database().commit(vec![write]).await.unwrap().seq()
}

/// The one collection.
fn numbers() -> Name {
    Name::new("numbers").unwrap()
}

pub(crate) async fn records(node: &Node) -> BTreeMap<RecordKey, Record> {
    node.database().scan(&numbers(), None, usize::MAX).await.unwrap().into_iter().collect()
}

/// Waits until a node has so many records.
pub(crate) async fn reach(node: &Node, count: usize) {
    let mut head = node.database().feed().watch();
    let reached = async {
        while records(node).await.len() < count {
            head.changed().await.unwrap();
        }
    };
    let name = node.name();
    tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{name} is stuck"));
}
