//! The stages, each a function that prepares what it works on.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use blaze_codec::batch::Definitions;
use blaze_codec::message::{Changes, FeedEncoder, Message, Range};
use blaze_codec::{Change, Checkpoint, Incarnation, Mode, NodeId, Operation, Seq};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, Incoming, Observer, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_sync_engine::{LinkState, Node, NodeOptions};
use blaze_transport::Endpoint;
use blaze_transport_memory::MemoryTransport;

use crate::issues::Generator;

/// Operations of a round.
pub(crate) const OPERATIONS: u32 = 1_000;
const ALL: usize = OPERATIONS as usize;

/// A stage, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// Whether other threads do some of it.
    pub(crate) threads: bool,
    prepare: fn(Source) -> Result<Work>,
}

const fn stage(name: &'static str, prepare: fn(Source) -> Result<Work>) -> Stage {
    Stage { name, threads: false, prepare }
}

#[cfg(feature = "sqlite")]
const fn with_threads(stage: Stage) -> Stage {
    Stage { threads: true, ..stage }
}

/// A round that is ready to run.
pub(crate) struct Work(Box<dyn FnMut()>);

impl Work {
    pub(crate) fn run(&mut self) {
        self.0();
    }
}

impl Stage {
    pub(crate) fn prepare(&self, seed: u64) -> Result<Work> {
        (self.prepare)(Source(Generator::new(seed)))
    }
}

pub(crate) const STAGES: &[Stage] = &[
    stage("encode-1000", |source| Ok(encode(source, ALL))),
    stage("encode-1", |source| Ok(encode(source, 1))),
    stage("decode-1000", |source| Ok(decode(source, ALL))),
    stage("decode-1", |source| Ok(decode(source, 1))),
    stage("commit-memory-1000", |source| Ok(commit(source, memory()?, ALL))),
    stage("commit-memory-1", |source| Ok(commit(source, memory()?, 1))),
    stage("merge-memory-1000", |source| Ok(merge(source, memory()?, ALL))),
    stage("merge-memory-1", |source| Ok(merge(source, memory()?, 1))),
    stage("update-memory-1000", |source| Ok(update(source, memory()?, ALL))),
    stage("read-back-memory", |source| Ok(read_back(source, memory()?))),
    stage("hop", hop),
    #[cfg(feature = "sqlite")]
    with_threads(stage("commit-sqlite-1000", |source| Ok(commit(source, sqlite()?, ALL)))),
    #[cfg(feature = "sqlite")]
    stage("commit-sqlite-1", |source| Ok(commit(source, sqlite()?, 1))),
    #[cfg(feature = "sqlite")]
    with_threads(stage("merge-sqlite-1000", |source| Ok(merge(source, sqlite()?, ALL)))),
    #[cfg(feature = "sqlite")]
    stage("merge-sqlite-1", |source| Ok(merge(source, sqlite()?, 1))),
    #[cfg(feature = "sqlite")]
    with_threads(stage("update-sqlite-1000", |source| Ok(update(source, sqlite()?, ALL)))),
    #[cfg(feature = "sqlite")]
    with_threads(stage("read-back-sqlite", |source| Ok(read_back(source, sqlite()?)))),
];

/// Where the operations come from.
struct Source(Generator);

impl Source {
    fn inserts(&mut self) -> Vec<Operation> {
        self.0.inserts(ALL)
    }
}

/// A database, and a runtime to ask it by.
struct Store {
    database: Box<dyn DatabaseAdapter>,
    runtime: tokio::runtime::Runtime,
    #[cfg(feature = "sqlite")]
    _directory: Option<tempfile::TempDir>,
}

fn memory() -> Result<Store> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(Store {
        database: Box::new(MemoryDatabase::new()),
        runtime,
        #[cfg(feature = "sqlite")]
        _directory: None,
    })
}

#[cfg(feature = "sqlite")]
fn sqlite() -> Result<Store> {
    use blaze_db_adapter::Durability;
    use blaze_db_adapter_sqlite::SqliteOptions;

    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = SqliteOptions::new(directory.path().join("stage.blaze"));
    let database = runtime.block_on(options.durability(Durability::Process).open())?;
    Ok(Store { database: Box::new(database), runtime, _directory: Some(directory) })
}

impl Store {
    fn commit(&self, writes: Vec<Write>) {
        self.runtime.block_on(self.database.commit(writes)).expect("keys are new");
    }

    fn merge(&self, incoming: Incoming) {
        let merged = self.runtime.block_on(self.database.merge(incoming)).expect("it merges");
        assert!(merged.committed.is_some() && merged.conflicts.is_empty(), "nothing was known");
    }
}

fn writes(operations: &[Operation]) -> Vec<Write> {
    let write = |operation: &Operation| {
        let kind = match &operation.change {
            Change::Insert(record) => WriteKind::Insert(record.clone()),
            Change::Update(fields) => WriteKind::Update(fields.iter().cloned().collect()),
            Change::Delete => WriteKind::Delete,
        };
        let Operation { collection, key, .. } = operation;
        Write { collection: collection.clone(), key: key.clone(), kind }
    };
    operations.iter().map(write).collect()
}

fn incoming(operations: &[Operation], seq: u64) -> Incoming {
    let checkpoint = Some(Checkpoint { incarnation: Incarnation(1), seq: Seq(seq) });
    let (peer, operations) = (NodeId::from_bytes([9; 16]), operations.to_vec());
    Incoming { peer, checkpoint, operations, ..Incoming::default() }
}

fn encode(mut source: Source, at_once: usize) -> Work {
    let operations = source.inserts();
    let mut encoder = FeedEncoder::default();
    encoder.encode(&Range::new(Seq(0), Seq(1)), &operations[..1]);
    Work(Box::new(move || {
        for (operations, seq) in operations.chunks(at_once).zip(1..) {
            std::hint::black_box(encoder.encode(&Range::new(Seq(seq), Seq(seq + 1)), operations));
        }
    }))
}

/// As a session does it that was told what the feed's numbers mean.
fn decode(mut source: Source, at_once: usize) -> Work {
    let operations = source.inserts();
    let (mut encoder, mut definitions) = (FeedEncoder::default(), Definitions::default());
    let (range, mut told) = (Range::new(Seq(0), Seq(1)), HashSet::new());
    let mut encode = |operations: &[Operation]| {
        let sent = encoder.encode(&range, operations);
        for definition in sent.needs.iter().filter(|needed| told.insert(needed.entry)) {
            let message = Message::decode(definition.frame.clone());
            let Ok(Message::Definitions(payload)) = message else { unreachable!("{message:?}") };
            definitions.add(&payload).expect("it was just encoded");
        }
        sent.frames.iter().map(|body| body.bytes().clone()).collect()
    };
    let frames: Vec<Vec<_>> = operations.chunks(at_once).map(&mut encode).collect();
    let mut decoded = Vec::with_capacity(frames.len());
    Work(Box::new(move || {
        for bodies in &frames {
            let [body] = &bodies[..] else { unreachable!("a thousand issues fit a frame") };
            let message = Message::decode(body.clone()).expect("it was just encoded");
            let Message::Changes(frame) = message else { unreachable!("{message:?}") };
            let changes = Changes::decode_defined(&frame.payload, &definitions);
            decoded.push(changes.expect("it was just encoded"));
        }
    }))
}

fn commit(mut source: Source, store: Store, at_once: usize) -> Work {
    let operations = source.inserts();
    let mut transactions: Vec<_> = operations.chunks(at_once).map(writes).collect();
    Work(Box::new(move || transactions.drain(..).for_each(|writes| store.commit(writes))))
}

fn merge(mut source: Source, store: Store, at_once: usize) -> Work {
    let operations = source.inserts();
    let batches = operations.chunks(at_once).zip(1..);
    let mut batches: Vec<_> = batches.map(|(operations, seq)| incoming(operations, seq)).collect();
    Work(Box::new(move || batches.drain(..).for_each(|incoming| store.merge(incoming))))
}

/// Merges one field's change of each record that is there.
fn update(mut source: Source, store: Store, at_once: usize) -> Work {
    let inserts = source.inserts();
    let updates = source.0.updates(&inserts);
    store.merge(incoming(&inserts, 1));
    let batches = updates.chunks(at_once).zip(2..);
    let mut batches: Vec<_> = batches.map(|(operations, seq)| incoming(operations, seq)).collect();
    Work(Box::new(move || batches.drain(..).for_each(|incoming| store.merge(incoming))))
}

/// One in flight: from a commit into one database until an observer of another, in the
/// same app and on the same thread, has it.
fn hop(mut source: Source) -> Result<Work> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let node = |name| Node::new(Arc::new(MemoryDatabase::new()), name, NodeOptions::default());
    let (from, to, transport) = (node("one"), node("other"), Arc::new(MemoryTransport::new()));
    let mut link = runtime.block_on(async {
        let endpoint = Endpoint::memory("hop")?;
        from.listen(transport.clone(), &endpoint, &[Mode::Bidirectional]).await?;
        anyhow::Ok(to.connect(transport, endpoint, Mode::Bidirectional).await?)
    })?;
    runtime.block_on(link.wait_for(|link| link.state == LinkState::Live));
    let mut observer = Observer::new(to.database().clone(), None);
    let mut transactions: Vec<_> = source.inserts().chunks(1).map(writes).collect();
    Ok(Work(Box::new(move || {
        runtime.block_on(async {
            let _links = (&link, &to);
            for writes in transactions.drain(..) {
                from.database().commit(writes).await.expect("keys are new");
                observer.next().await.expect("it is told");
            }
        });
    })))
}

fn read_back(mut source: Source, store: Store) -> Work {
    store.merge(incoming(&source.inserts(), 1));
    let limit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
    let read = move || {
        let changes = store.runtime.block_on(store.database.changes(Seq::ZERO, limit));
        assert_eq!(changes.expect("it can be read").operations.len(), ALL);
    };
    read();
    Work(Box::new(read))
}
