//! An office, and a phone that sees a part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use blaze_codec::{Condition, Mode, Name, Record, RecordKey, Rule, Scope, Value, record};
use blaze_db_adapter::{ChangesLimit, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_sync_engine::{Admission, Link, Node};
use blaze_transport_memory::MemoryTransport;

use super::{DEADLINE, connect, endpoint, live, with_adapter};

pub(crate) const UNLIMITED: ChangesLimit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The notes of an owner, without what the office says of them.
pub(crate) fn notes_of(owner: &str) -> Scope {
    let rule = Rule::all().only([name("text"), name("owner")]);
    Scope::new().with(name("notes"), rule.when(Condition::is(name("owner"), owner)))
}

pub(crate) async fn write(node: &Node, collection: &str, key: i64, kind: WriteKind) {
    let write = Write { collection: name(collection), key: RecordKey::Int(key), kind };
    node.database().commit(vec![write]).await.unwrap();
}

pub(crate) async fn insert(node: &Node, collection: &str, key: i64, record: Record) {
    write(node, collection, key, WriteKind::Insert(record)).await;
}

pub(crate) async fn set(node: &Node, key: i64, field: &str, value: impl Into<Value>) {
    let fields = [(name(field), Some(value.into()))].into_iter().collect();
    write(node, "notes", key, WriteKind::Update(fields)).await;
}

pub(crate) async fn records(node: &Node, collection: &str) -> BTreeMap<RecordKey, Record> {
    let records = node.database().scan(&name(collection), None, usize::MAX).await.unwrap();
    records.into_iter().collect()
}

pub(crate) async fn keys(node: &Node, collection: &str) -> Vec<i64> {
    let keys = records(node, collection).await.into_keys();
    keys.map(|key| if let RecordKey::Int(key) = key { key } else { panic!("{key:?}") }).collect()
}

pub(crate) async fn note(node: &Node, key: i64) -> Option<Record> {
    node.database().read(&name("notes"), &RecordKey::Int(key)).await.unwrap()
}

/// Waits until what is committed at either is at the other, as far as it goes there.
pub(crate) async fn settle(nodes: &[&Node]) {
    loop {
        let heads = || nodes.iter().map(|node| node.database().feed().head()).collect::<Vec<_>>();
        let before = heads();
        for (node, head) in nodes.iter().zip(&before) {
            let acknowledged = tokio::time::timeout(DEADLINE, node.acknowledged(*head)).await;
            assert!(!acknowledged.expect("a link is stuck").is_empty(), "nobody is there");
        }
        if heads() == before {
            return;
        }
    }
}

pub(crate) fn told(text: &str, owner: &str) -> Record {
    record! { "text" => text, "owner" => owner, "rating" => 5 }
}

pub(crate) fn seen(text: &str, owner: &str) -> Record {
    record! { "text" => text, "owner" => owner }
}

pub(crate) struct Shop {
    pub(crate) office: Node,
    pub(crate) phone: Node,
    pub(crate) transport: MemoryTransport,
}

impl Shop {
    /// An office, and a phone that sees the notes of Anna.
    pub(crate) async fn open() -> Self {
        Self::of(Arc::default(), Arc::default()).await
    }

    /// The same, of these databases.
    pub(crate) async fn of(office: Arc<MemoryDatabase>, phone: Arc<MemoryDatabase>) -> Self {
        let (office, phone) = (with_adapter("office", office), with_adapter("phone", phone));
        let transport = MemoryTransport::new();
        let admission = Admission::new(Mode::ALL).with_scope(notes_of("anna"));
        let listened = Arc::new(transport.clone());
        office.listen(listened, &endpoint("office"), admission).await.unwrap();
        Self { office, phone, transport }
    }

    pub(crate) async fn link(&self) -> Link {
        let transport = self.transport.clone();
        let mut link = connect(&self.phone, transport, "office", Mode::Bidirectional).await;
        live(&mut link).await;
        link
    }

    pub(crate) async fn settle(&self) {
        settle(&[&self.office, &self.phone]).await;
    }

    /// Ends the link and waits until both sides know.
    pub(crate) async fn unlink(&self, link: Link) {
        link.close().await;
        let mut links = self.office.links();
        let gone = links.wait_for(BTreeMap::is_empty);
        tokio::time::timeout(DEADLINE, gone).await.expect("the link stays").unwrap();
    }
}
