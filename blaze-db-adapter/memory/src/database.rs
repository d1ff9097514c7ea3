//! The adapter: each call runs to its end under one lock, without a wait inside.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blaze_codec::{History, Incarnation, Name, NodeId, Operation, Record, RecordKey, Role, Seq};
use blaze_db_adapter::{
    ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Committed, DatabaseAdapter, DatabaseError,
    Durability, Identity, Incoming, Joined, LiveFeed, Merged, Origin, Purged, RegisteredPeer,
    Stamper, WallClock, Write, check_count, reach,
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
        let node = node.unwrap_or_else(|| NodeId::from_bytes(random()));
        let incarnation = incarnation.unwrap_or_else(|| Incarnation(u64::from_ne_bytes(random())));
        let store = Mutex::new(Store::new(node, incarnation, role));
        Self { database, clock, feed: LiveFeed::new(Seq::ZERO), store }
    }

    /// A copy of everything, as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let store = self.lock();
        Snapshot { database: self.database.clone(), head: self.feed.head(), store: store.clone() }
    }

    pub(crate) fn from_snapshot(snapshot: Snapshot, clock: WallClock) -> Self {
        let Snapshot { database, head, mut store } = snapshot;
        store.closed = false;
        Self { database, clock, feed: LiveFeed::new(head), store: Mutex::new(store) }
    }

    fn identity_in(&self, store: &Store) -> Identity {
        Identity {
            node: store.node,
            former: store.former.clone(),
            copied: false,
            database: self.database.clone(),
            role: store.role,
            durability: Durability::Memory,
        }
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
        (origin, roots): (Origin, Vec<Checkpoint>),
        operations: Vec<Operation>,
        staged: Staged<'_>,
    ) -> Arc<Committed> {
        let seq = self.feed.head().next();
        store.install(seq, &operations, staged);
        let committed = Arc::new(Committed::new(seq, origin, operations).with_roots(roots));
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
        self.identity_in(&self.lock())
    }

    fn feed(&self) -> &LiveFeed {
        &self.feed
    }

    async fn announce(&self) -> Result<History, DatabaseError> {
        let mut store = self.open()?;
        if let Some(change) = store.lineage.announce() {
            store.lineage.apply(change);
        }
        Ok(store.lineage.history(self.feed.head()))
    }

    async fn renew(&self, node: NodeId) -> Result<(), DatabaseError> {
        let mut store = self.open()?;
        let renewed = self.identity_in(&store).renewed(node);
        (store.node, store.former) = (renewed.node, renewed.former);
        Ok(())
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
        let (node, role, forgotten) = (store.node, store.role, store.forgotten.epoch);
        let mut stamper = Stamper { clock: &mut clock, wall_ms, node, role, forgotten, bytes: 0 };
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
        Ok(self.install(&mut store, (Origin::Local, Vec::new()), operations, staged))
    }

    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        let mut store = self.open()?;
        let (mut staged, mut conflicts) = (Staged::new(), Vec::new());
        let (mut effective, mut changed) = (Vec::new(), BTreeSet::new());
        let (mut whole, mut most) = (BTreeSet::new(), Joined::Nothing);
        for operation in &incoming.operations {
            store.clock.observe(operation.version.hlc.max(operation.version.epoch));
            let place = (&operation.collection, &operation.key);
            let state = staged.entry(place).or_insert_with(|| store.state(place.0, place.1));
            let stored = store.changed(place.0, place.1).filter(|_| !changed.contains(&place));
            let joined = incoming.join(operation, state, stored, store.forgotten, &mut conflicts);
            most = most.max(joined);
            match joined {
                Joined::Nothing => continue,
                Joined::Changed | Joined::Anew => {}
                Joined::Whole => {
                    whole.insert(place);
                }
            }
            changed.insert(place);
            effective.push(operation);
        }
        if let Some(reached) = incoming.checkpoint {
            reach(store.checkpoints.entry(incoming.peer).or_default(), reached);
        }
        if effective.is_empty() {
            return Ok(Merged { committed: None, conflicts });
        }
        let operations = effective.into_iter().flat_map(|operation| {
            let place = (&operation.collection, &operation.key);
            match (whole.contains(&place), changed.remove(&place)) {
                (false, _) => vec![operation.clone()],
                (true, true) => staged[&place].operations(place.0, place.1),
                (true, false) => Vec::new(),
            }
        });
        let operations: Vec<_> = operations.collect();
        let source = incoming.source(most);
        let committed = self.install(&mut store, source, operations, staged);
        Ok(Merged { committed: Some(committed), conflicts })
    }

    async fn changes(&self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, DatabaseError> {
        let store = self.open()?;
        Ok(store.changes(after, limit, self.feed.head()))
    }

    async fn checkpoints(&self, peer: NodeId) -> Result<Vec<Checkpoint>, DatabaseError> {
        Ok(self.open()?.checkpoints.get(&peer).cloned().unwrap_or_default())
    }

    async fn register(&self, peer: NodeId, name: &str, holds: Seq) -> Result<Seq, DatabaseError> {
        let now_ms = self.clock.now_ms();
        Ok(self.open()?.register(peer, name, holds, now_ms))
    }

    async fn settle(&self, settled: &[(NodeId, Seq)]) -> Result<(), DatabaseError> {
        let (now_ms, mut store) = (self.clock.now_ms(), self.open()?);
        for &(peer, seq) in settled {
            store.settle(peer, seq, now_ms);
        }
        Ok(())
    }

    async fn peers(&self) -> Result<Vec<RegisteredPeer>, DatabaseError> {
        Ok(self.open()?.peers.values().cloned().collect())
    }

    async fn unregister(&self, peer: NodeId) -> Result<bool, DatabaseError> {
        Ok(self.open()?.peers.remove(&peer).is_some())
    }

    async fn purge(&self, silent_since_ms: u64) -> Result<Purged, DatabaseError> {
        Ok(self.open()?.purge(self.feed.head(), silent_since_ms))
    }

    async fn roll(
        &self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, DatabaseError> {
        Ok(self.open()?.roll(after, through, count))
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
