//! The stages, each a function that prepares what it works on.

use anyhow::Result;
use blaze_bench::issues::Generator;
use blaze_codec::message::{Changes, FeedEncoder, Message, Range};
use blaze_codec::{Change, Checkpoint, Incarnation, NodeId, Operation, Seq};
use blaze_db_adapter::{ChangesLimit, DatabaseAdapter, Durability, Incoming, Write, WriteKind};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_db_adapter_sqlite::SqliteOptions;
use blaze_sync::{Database, LinkState, Mode, Role, Topology};

/// Operations of a round.
pub(crate) const OPERATIONS: usize = 1_000;

/// A stage, by its name.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    prepare: fn(Source) -> Result<Work>,
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
    Stage { name: "encode-1000", prepare: |source| encode(source, OPERATIONS) },
    Stage { name: "encode-1", prepare: |source| encode(source, 1) },
    Stage { name: "decode-1000", prepare: |source| decode(source, OPERATIONS) },
    Stage { name: "decode-1", prepare: |source| decode(source, 1) },
    Stage { name: "commit-memory-1000", prepare: |source| commit(source, memory()?, OPERATIONS) },
    Stage { name: "commit-memory-1", prepare: |source| commit(source, memory()?, 1) },
    Stage { name: "merge-memory-1000", prepare: |source| merge(source, memory()?, OPERATIONS) },
    Stage { name: "merge-memory-1", prepare: |source| merge(source, memory()?, 1) },
    Stage { name: "update-memory-1000", prepare: |source| update(source, memory()?, OPERATIONS) },
    Stage { name: "read-back-memory", prepare: |source| read_back(source, memory()?) },
    Stage { name: "hop", prepare: hop },
    Stage { name: "commit-sqlite-1000", prepare: |source| commit(source, sqlite()?, OPERATIONS) },
    Stage { name: "commit-sqlite-1", prepare: |source| commit(source, sqlite()?, 1) },
    Stage { name: "merge-sqlite-1000", prepare: |source| merge(source, sqlite()?, OPERATIONS) },
    Stage { name: "merge-sqlite-1", prepare: |source| merge(source, sqlite()?, 1) },
    Stage { name: "update-sqlite-1000", prepare: |source| update(source, sqlite()?, OPERATIONS) },
    Stage { name: "read-back-sqlite", prepare: |source| read_back(source, sqlite()?) },
];

/// Where the operations come from.
struct Source(Generator);

impl Source {
    fn inserts(&mut self) -> Vec<Operation> {
        self.0.inserts(OPERATIONS)
    }
}

/// A database, with what it is to be dropped with.
struct Store {
    database: Box<dyn DatabaseAdapter>,
    runtime: tokio::runtime::Runtime,
    _directory: Option<tempfile::TempDir>,
}

fn memory() -> Result<Store> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(Store { database: Box::new(MemoryDatabase::new()), runtime, _directory: None })
}

fn sqlite() -> Result<Store> {
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

fn encode(mut source: Source, at_once: usize) -> Result<Work> {
    let operations = source.inserts();
    let mut encoder = FeedEncoder::default();
    encoder.encode(&Range::new(Seq(0), Seq(1)), &operations[..1]);
    Ok(Work(Box::new(move || {
        for (operations, seq) in operations.chunks(at_once).zip(1..) {
            std::hint::black_box(encoder.encode(&Range::new(Seq(seq), Seq(seq + 1)), operations));
        }
    })))
}

/// Each stands for itself: a session's dictionary is the receiver's affair.
fn decode(mut source: Source, at_once: usize) -> Result<Work> {
    let operations = source.inserts();
    let range = Range::new(Seq(0), Seq(1));
    let frames: Vec<_> =
        operations.chunks(at_once).map(|operations| range.encode(operations)).collect();
    let mut decoded = Vec::with_capacity(frames.len());
    Ok(Work(Box::new(move || {
        for bodies in &frames {
            let mut payload = Vec::new();
            for body in bodies {
                let message = Message::decode(body.clone()).expect("it was just encoded");
                let Message::Changes(frame) = message else { unreachable!("{message:?}") };
                payload.extend_from_slice(&frame.payload);
            }
            decoded.push(Changes::decode(&payload).expect("it was just encoded"));
        }
    })))
}

fn commit(mut source: Source, store: Store, at_once: usize) -> Result<Work> {
    let operations = source.inserts();
    let mut transactions: Vec<_> = operations.chunks(at_once).map(writes).collect();
    Ok(Work(Box::new(move || transactions.drain(..).for_each(|writes| store.commit(writes)))))
}

fn merge(mut source: Source, store: Store, at_once: usize) -> Result<Work> {
    let operations = source.inserts();
    let batches = operations.chunks(at_once).zip(1..);
    let mut batches: Vec<_> =
        batches.map(|(operations, seq)| incoming(operations, seq)).collect();
    Ok(Work(Box::new(move || batches.drain(..).for_each(|incoming| store.merge(incoming)))))
}

/// Merges one field's change of each record that is there.
fn update(mut source: Source, store: Store, at_once: usize) -> Result<Work> {
    let inserts = source.inserts();
    let updates = source.0.updates(&inserts);
    store.merge(incoming(&inserts, 1));
    let batches = updates.chunks(at_once).zip(2..);
    let mut batches: Vec<_> =
        batches.map(|(operations, seq)| incoming(operations, seq)).collect();
    Ok(Work(Box::new(move || batches.drain(..).for_each(|incoming| store.merge(incoming)))))
}

/// One in flight: from an insert into one database until an observer of another, in the
/// same app and on the same thread, has it.
fn hop(mut source: Source) -> Result<Work> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (from, to) = (Database::in_memory(), Database::in_memory());
    let topology = Topology::new();
    let link = runtime.block_on(async {
        let one = topology.register(from.clone(), "one", Role::Client).await?;
        let other = topology.register(to.clone(), "other", Role::Client).await?;
        let endpoint = topology.listen(one, "mem:stages").await?;
        let endpoint = endpoint.to_string();
        let mut link = topology.connect(other, &endpoint, Mode::Bidirectional).await?;
        link.wait_for(|link| link.state == LinkState::Live).await;
        anyhow::Ok(link)
    })?;
    let mut observer = to.observe_all(to.head());
    let mut records: Vec<_> = (0..OPERATIONS).map(|_| source.0.issue()).collect();
    Ok(Work(Box::new(move || {
        runtime.block_on(async {
            let _kept = (&link, &topology);
            for record in records.drain(..) {
                from.collection("issues").insert(record).await.expect("keys are new");
                observer.next().await.expect("it is told");
            }
        });
    })))
}

fn read_back(mut source: Source, store: Store) -> Result<Work> {
    store.merge(incoming(&source.inserts(), 1));
    let limit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };
    let read = move || {
        let changes = store.runtime.block_on(store.database.changes(Seq::ZERO, limit));
        assert_eq!(changes.expect("it can be read").operations.len(), OPERATIONS);
    };
    read();
    Ok(Work(Box::new(read)))
}
