//! The adapter: each call runs to its end under one lock, without a wait inside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blaze_codec::{Incarnation, Name, NodeId, Operation, Record, RecordKey, Role, Seq};
use blaze_db_adapter::{
    ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Committed, DatabaseAdapter, DatabaseError,
    Durability, Identity, Incoming, LiveFeed, Merged, Origin, Stamper, WallClock, Write,
    check_count,
};

use crate::store::{Staged, Store};
use crate::{MemoryOptions, Snapshot};

/// A database in memory.
///
/// A commit is visible to readers and pushed to the [`LiveFeed`] before the
/// future of [`commit`](DatabaseAdapter::commit) is polled a second time: it
/// never waits for another task or thread.
#[derive(Debug)]
pub struct MemoryDatabase {
    node: NodeId,
    incarnation: Incarnation,
    database: String,
    clock: WallClock,
    feed: LiveFeed,
    store: Mutex<Store>,
}

impl MemoryDatabase {
    /// An empty replica of the database `main` with a random identity.
    ///
    /// # Panics
    ///
    /// If the system gives no random bytes.
    pub fn new() -> Self {
        MemoryOptions::new().build()
    }

    pub(crate) fn with_options(options: MemoryOptions) -> Self {
        let MemoryOptions { node, incarnation, database, role, clock } = options;
        Self {
            node: node.unwrap_or_else(|| NodeId::from_bytes(random())),
            incarnation: incarnation.unwrap_or_else(|| Incarnation(u64::from_ne_bytes(random()))),
            database,
            clock,
            feed: LiveFeed::new(Seq::ZERO),
            store: Mutex::new(Store::new(role)),
        }
    }

    /// A copy of everything, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let store = self.lock();
        Snapshot {
            node: self.node,
            incarnation: self.incarnation,
            database: self.database.clone(),
            head: self.feed.head(),
            store: store.clone(),
        }
    }

    pub(crate) fn from_snapshot(snapshot: Snapshot, clock: WallClock) -> Self {
        let Snapshot { node, incarnation, database, head, mut store } = snapshot;
        store.closed = false;
        let (feed, store) = (LiveFeed::new(head), Mutex::new(store));
        Self { node, incarnation, database, clock, feed, store }
    }

    /// The store, for one whole call.
    fn open(&self) -> Result<MutexGuard<'_, Store>, DatabaseError> {
        let store = self.lock();
        if store.closed {
            return Err(DatabaseError::Closed);
        }
        Ok(store)
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // A transaction is staged first, and what installs it doesn't panic.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next seq for the operations and makes them visible. The lock is
    /// held, so that seqs are pushed in their order.
    fn install(
        &self,
        store: &mut Store,
        origin: Origin,
        operations: Vec<Operation>,
        staged: Staged<'_>,
    ) -> Arc<Committed> {
        let seq = self.feed.head().next();
        store.install(seq, &operations, staged);
        let committed = Arc::new(Committed::new(seq, origin, operations));
        self.feed.push([committed.clone()]);
        committed
    }
}

impl Default for MemoryDatabase {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl DatabaseAdapter for MemoryDatabase {
    fn identity(&self) -> Identity {
        Identity {
            node: self.node,
            incarnation: self.incarnation,
            database: self.database.clone(),
            role: self.lock().role,
            durability: Durability::Memory,
        }
    }

    fn feed(&self) -> &LiveFeed {
        &self.feed
    }

    async fn set_role(&self, role: Role) -> Result<(), DatabaseError> {
        self.open()?.role = role;
        Ok(())
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Arc<Committed>, DatabaseError> {
        check_count(&writes)?;
        let wall_ms = self.clock.now_ms();
        let mut store = self.open()?;
        // A transaction that fails leaves the clock as it was, too.
        let mut clock = store.clock.clone();
        let mut stamper =
            Stamper { clock: &mut clock, wall_ms, node: self.node, role: store.role, bytes: 0 };
        let mut staged = Staged::new();
        let mut operations = Vec::with_capacity(writes.len());
        for write in &writes {
            let state = staged
                .entry((&write.collection, &write.key))
                .or_insert_with(|| store.state(&write.collection, &write.key));
            operations.extend(stamper.stamp(write, state)?);
        }
        store.clock = clock;
        if operations.is_empty() {
            return Ok(Arc::new(Committed::new(self.feed.head(), Origin::Local, operations)));
        }
        Ok(self.install(&mut store, Origin::Local, operations, staged))
    }

    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        let Incoming { peer, checkpoint, operations } = incoming;
        let mut store = self.open()?;
        let mut staged = Staged::new();
        let (mut effective, mut conflicts) = (Vec::new(), Vec::new());
        for operation in &operations {
            store.clock.observe(operation.version.hlc.max(operation.version.epoch));
            let state = staged
                .entry((&operation.collection, &operation.key))
                .or_insert_with(|| store.state(&operation.collection, &operation.key));
            if state.merge(operation, &mut conflicts) {
                effective.push(operation.clone());
            }
        }
        // A late merge of an earlier session doesn't take the checkpoint back.
        let goes_on = |held: &Checkpoint| {
            held.incarnation != checkpoint.incarnation || held.seq < checkpoint.seq
        };
        if store.checkpoints.get(&peer).is_none_or(goes_on) {
            store.checkpoints.insert(peer, checkpoint);
        }
        if effective.is_empty() {
            return Ok(Merged { committed: None, conflicts });
        }
        let origin = Origin::Peer { node: peer, checkpoint };
        let committed = self.install(&mut store, origin, effective, staged);
        Ok(Merged { committed: Some(committed), conflicts })
    }

    async fn changes(&self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, DatabaseError> {
        let store = self.open()?;
        Ok(store.changes(after, limit, self.feed.head()))
    }

    async fn checkpoint(&self, peer: NodeId) -> Result<Option<Checkpoint>, DatabaseError> {
        Ok(self.open()?.checkpoints.get(&peer).copied())
    }

    async fn read(
        &self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<Option<Record>, DatabaseError> {
        Ok(self.open()?.record(collection, key))
    }

    async fn scan(
        &self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, DatabaseError> {
        Ok(self.open()?.scan(collection, after, count))
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>, DatabaseError> {
        Ok(self.open()?.collections())
    }

    async fn close(&self) -> Result<(), DatabaseError> {
        self.lock().closed = true;
        self.feed.close();
        Ok(())
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
