//! The three maps: records, the feed's index, checkpoints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use blaze_codec::{HlcClock, Incarnation, Name, NodeId, Record, RecordKey, Role, Seq, Version};
use blaze_db_adapter::{
    Audience, ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Lineage, Purged, RecordState,
    RegisteredPeer, Stored, Touched, operation_bytes_max, settled,
};

/// A place in the feed: the seq, and the record's number within it.
pub(crate) type Position = (Seq, usize);

#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) node: NodeId,
    pub(crate) former: Vec<NodeId>,
    pub(crate) lineage: Lineage,
    pub(crate) clock: HlcClock,
    pub(crate) role: Role,
    pub(crate) closed: bool,
    pub(crate) checkpoints: BTreeMap<NodeId, Vec<Checkpoint>>,
    pub(crate) peers: BTreeMap<NodeId, RegisteredPeer>,
    /// The records that those were given who don't see all, and at which seq each was
    /// withdrawn last; zero if never.
    pub(crate) shared: BTreeMap<(Name, RecordKey), BTreeMap<Audience, Seq>>,
    /// The seq up to which tombstones are gone.
    purged: Seq,
    /// The greatest version of those.
    pub(crate) forgotten: Version,
    collections: BTreeMap<Name, BTreeMap<RecordKey, Held>>,
    /// Of each commit, the records that haven't changed since, each in its place.
    feed: BTreeMap<Seq, Commit>,
}

#[derive(Debug, Clone)]
struct Held {
    state: RecordState,
    changed: Position,
}

#[derive(Debug, Clone, Default)]
struct Commit {
    records: Vec<Option<(Name, RecordKey)>>,
    /// How many are left.
    left: usize,
}

impl Store {
    pub(crate) fn new(node: NodeId, incarnation: Incarnation, role: Role) -> Self {
        Self {
            node,
            former: Vec::new(),
            lineage: Lineage::open(Vec::new(), false, incarnation),
            clock: HlcClock::default(),
            role,
            closed: false,
            checkpoints: BTreeMap::new(),
            peers: BTreeMap::new(),
            shared: BTreeMap::new(),
            purged: Seq::ZERO,
            forgotten: Version::ZERO,
            collections: BTreeMap::new(),
            feed: BTreeMap::new(),
        }
    }

    /// Where a record is and what is known of it; nothing if it was never heard of.
    pub(crate) fn load(
        &self,
        collection: &Name,
        key: &RecordKey,
    ) -> (Stored<Option<Position>>, RecordState) {
        let Some(records) = self.collections.get(collection) else { return Default::default() };
        // Keys mostly ascend with time, and what is beyond the last needs no search.
        let beyond = records.last_key_value().is_some_and(|(last, _)| last < key);
        let held = if beyond { None } else { records.get(key) };
        let Some(Held { state, changed }) = held else { return Default::default() };
        (Stored { seq: Some(changed.0), place: Some(*changed) }, state.clone())
    }

    /// Stores the states of a transaction, and moves their records to `seq` in the feed.
    pub(crate) fn install<'a>(
        &mut self,
        seq: Seq,
        records: impl Iterator<Item = Touched<'a, Option<Position>>>,
    ) {
        if let Some(change) = self.lineage.commit(seq) {
            self.lineage.apply(change);
        }
        let mut commit = Commit::default();
        for (number, Touched { collection, key, stored, state, .. }) in records.enumerate() {
            if let Some(before) = stored.place {
                self.leave(before);
            }
            commit.records.push(Some((collection.clone(), key.clone())));
            let held = Held { state, changed: (seq, number) };
            if let Some(records) = self.collections.get_mut(collection) {
                records.insert(key.clone(), held);
            } else {
                let records = BTreeMap::from([(key.clone(), held)]);
                self.collections.insert(collection.clone(), records);
            }
        }
        commit.left = commit.records.len();
        self.feed.insert(seq, commit);
    }

    /// Takes a record out of the feed.
    fn leave(&mut self, (seq, number): Position) {
        let Entry::Occupied(mut commit) = self.feed.entry(seq) else { return };
        commit.get_mut().records[number] = None;
        commit.get_mut().left -= 1;
        if commit.get().left == 0 {
            commit.remove();
        }
    }

    /// The feed after a seq: each record once, where it last changed.
    fn feed(&self, after: Seq) -> impl Iterator<Item = (Seq, &Name, &RecordKey, &RecordState)> {
        let commits = self.feed.range(after.next()..);
        commits.flat_map(move |(&seq, commit)| {
            commit.records.iter().flatten().map(move |(collection, key)| {
                (seq, collection, key, &self.collections[collection][key].state)
            })
        })
    }

    pub(crate) fn changes(&self, after: Seq, limit: ChangesLimit, head: Seq) -> ChangeSet {
        let whole = |through: Seq| {
            let mut commits = self.feed.range(after.next()..=through).map(|(_, commit)| commit);
            let count = through.0 - after.0;
            commits.clone().count() as u64 == count
                && commits.all(|commit| commit.left == commit.records.len())
        };
        let (mut records, mut bytes, mut through) = (0, 0, after);
        let mut operations = Vec::new();
        for (seq, collection, key, state) in self.feed(after) {
            let full = records >= limit.records.max(1) || bytes >= limit.bytes.max(1);
            if full && seq > through {
                let left_out = !whole(through);
                return ChangeSet { operations, through, more: true, left_out };
            }
            let described = state.operations(collection, key);
            records += 1;
            bytes += described.iter().map(operation_bytes_max).sum::<usize>();
            operations.extend(described);
            through = seq;
        }
        ChangeSet { operations, through: head.max(after), more: false, left_out: false }
    }

    /// Notes that a peer's session begins; returns the seq up to which tombstones are gone.
    pub(crate) fn register(&mut self, node: NodeId, name: &str, holds: Seq, now_ms: u64) -> Seq {
        let peer = self.peers.entry(node).or_insert_with(|| RegisteredPeer::new(node));
        peer.begin(name, holds, now_ms);
        self.purged
    }

    pub(crate) fn settle(&mut self, node: NodeId, seq: Seq, now_ms: u64) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.settle(seq, now_ms);
        }
    }

    /// When a record was withdrawn from an audience; `None` if it wasn't given it.
    pub(crate) fn withdrawn(&self, audience: &Audience, record: &(Name, RecordKey)) -> Option<Seq> {
        self.shared.get(record)?.get(audience).copied()
    }

    /// Notes that an audience is given records, and when they are withdrawn.
    pub(crate) fn share(
        &mut self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Seq,
    ) {
        for record in records {
            let last = self.shared.entry(record).or_default().entry(audience.clone()).or_default();
            *last = withdrawn.max(*last);
        }
    }

    pub(crate) fn purge(&mut self, head: Seq, silent_since_ms: u64) -> Purged {
        let peers: Vec<_> = self.peers.values().cloned().collect();
        let through = settled(&peers, head, silent_since_ms);
        let dead: Vec<_> = self
            .feed(Seq::ZERO)
            .take_while(|(seq, ..)| *seq <= through)
            .filter(|(.., state)| state.is_tombstone())
            .map(|(_, collection, key, _)| (collection.clone(), key.clone()))
            .collect();
        let removed = dead.len() as u64;
        for (collection, key) in dead {
            let records = self.collections.get_mut(&collection);
            let Some(Held { state, changed }) = records.and_then(|all| all.remove(&key)) else {
                continue;
            };
            self.forgotten = self.forgotten.max(state.version());
            self.purged = self.purged.max(changed.0);
            self.leave(changed);
            self.shared.remove(&(collection, key));
        }
        Purged { removed, through: self.purged }
    }

    pub(crate) fn roll(&self, after: Seq, through: Seq, count: usize) -> ChangeSet {
        let (mut operations, mut reached) = (Vec::new(), after);
        for (seq, collection, key, state) in self.feed(after) {
            if seq > through {
                break;
            }
            if !state.exists() {
                continue;
            }
            if operations.len() >= count.max(1) && seq > reached {
                return ChangeSet { operations, through: reached, more: true, left_out: false };
            }
            reached = seq;
            operations.extend(state.named(collection, key));
        }
        ChangeSet { operations, through: through.max(after), more: false, left_out: false }
    }

    pub(crate) fn record(&self, collection: &Name, key: &RecordKey) -> Option<Record> {
        self.collections.get(collection)?.get(key)?.state.record()
    }

    pub(crate) fn scan(
        &self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Vec<(RecordKey, Record)> {
        let Some(records) = self.collections.get(collection) else { return Vec::new() };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = records.range::<RecordKey, _>((start, Bound::Unbounded));
        let existing = records.filter_map(|(key, entry)| Some((key, entry.state.record()?)));
        existing.take(count).map(|(key, record)| (key.clone(), record)).collect()
    }

    pub(crate) fn collections(&self) -> Vec<CollectionInfo> {
        let counts = self.collections.iter().map(|(name, records)| {
            let existing = records.values().filter(|entry| entry.state.exists());
            CollectionInfo { name: name.clone(), records: existing.count() as u64 }
        });
        counts.filter(|collection| collection.records > 0).collect()
    }
}
