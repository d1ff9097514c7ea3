//! The adapter: each call runs to its end under one lock, without a wait inside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blaze_codec::{History, Incarnation, Name, NodeId, Operation, Record, RecordKey, Role, Seq};
use blaze_db_adapter::{
    Audience, ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Committed, DatabaseAdapter,
    DatabaseError, Durability, Heard, Identity, Incoming, LiveFeed, Merged, Merging, Origin,
    Purged, RegisteredPeer, Staged, Stamper, WallClock, Write, WriteError, check_count, reach,
};

use crate::store::Store;
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
        let incarnation =
            incarnation.unwrap_or_else(|| Incarnation::drawn(u64::from_ne_bytes(random())));
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

    /// Makes a commit visible, under the next seq. The store is locked, so that seqs are
    /// pushed in their order.
    fn push(
        &self,
        origin: Origin,
        roots: Vec<Checkpoint>,
        operations: Vec<Operation>,
    ) -> Arc<Committed> {
        let seq = self.feed.head().next();
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
        let mut staged = Staged::new(writes.len());
        let mut operations = Vec::with_capacity(writes.len());
        let load = |collection: &_, key: &_| Ok::<_, WriteError>(store.load(collection, key));
        for write in &writes {
            staged.write(write, &mut stamper, &mut operations, load)?;
        }
        store.clock = clock;
        if operations.is_empty() {
            return Ok(Arc::new(Committed::new(self.feed.head(), Origin::Local, operations)));
        }
        store.install(self.feed.head().next(), staged.into_changed());
        Ok(self.push(Origin::Local, Vec::new(), operations))
    }

    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        let mut store = self.open()?;
        let mut staged = Staged::new(incoming.operations.len());
        let (mut merging, mut clock) = (Merging::default(), store.clock.clone());
        if let Some((audience, names)) = incoming.shared() {
            let withdrawn = names.iter().map(|name| store.withdrawn(audience, name));
            let withdrawn = withdrawn.collect::<Vec<_>>();
            merging.heard = Heard::new(names, withdrawn, incoming.holds);
            store.share(audience, merging.heard.anew(), Seq::ZERO);
        }
        let load = |collection: &_, key: &_| Ok::<_, DatabaseError>(store.load(collection, key));
        for operation in &incoming.operations {
            clock.observe(operation.version.hlc.max(operation.version.epoch));
            staged.join(&incoming, operation, store.forgotten, &mut merging, load)?;
        }
        staged.judge(&incoming, &mut merging);
        store.clock = clock;
        if let Some(reached) = incoming.checkpoint {
            reach(store.checkpoints.entry(incoming.peer).or_default(), reached);
        }
        let parts = staged.parts(&merging);
        let Merging { conflicts, refused, withdrawn, most, .. } = merging;
        let mut merged = Merged { committed: None, conflicts, refused, withdrawn };
        if staged.is_empty() {
            return Ok(merged);
        }
        let seq = self.feed.head().next();
        if let Some(limit) = &incoming.limit {
            store.share(&limit.audience, merged.refused.clone(), seq);
        }
        store.install(seq, staged.into_changed());
        let (origin, roots) = incoming.source(most);
        merged.committed = Some(self.push(origin, roots, parts.of(incoming.operations)));
        Ok(merged)
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
        let mut store = self.open()?;
        for audiences in store.shared.values_mut() {
            audiences.retain(|audience, _| audience.node != peer);
        }
        Ok(store.peers.remove(&peer).is_some())
    }

    async fn shared(
        &self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, DatabaseError> {
        let store = self.open()?;
        Ok(records.iter().map(|record| store.withdrawn(audience, record)).collect())
    }

    async fn share(
        &self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Option<Seq>,
    ) -> Result<(), DatabaseError> {
        self.open()?.share(audience, records, withdrawn.unwrap_or_default());
        Ok(())
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
