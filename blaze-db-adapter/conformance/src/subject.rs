//! A database under test, and the short words in which rules speak of it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use blaze_codec::{Incarnation, Name, NodeId, Operation, Record, RecordKey, Seq, Value};
use blaze_db_adapter::{
    ChangesLimit, Checkpoint, Committed, DatabaseAdapter, Incoming, Merged, RecordState, Write,
    WriteKind,
};

use crate::{Harness, Settings};

/// Reads the feed to its end.
pub(crate) const UNLIMITED: ChangesLimit = ChangesLimit { records: usize::MAX, bytes: usize::MAX };

/// Everything that replicas agree on: the records' states.
pub(crate) type States = BTreeMap<(Name, RecordKey), RecordState>;

/// An open database and the place where it lives.
pub(crate) struct Subject<'a, H: Harness> {
    harness: &'a H,
    // Dropped before the storage, which may remove the database.
    database: Arc<dyn DatabaseAdapter>,
    storage: H::Storage,
}

impl<H: Harness> Deref for Subject<'_, H> {
    type Target = dyn DatabaseAdapter;

    fn deref(&self) -> &Self::Target {
        &*self.database
    }
}

impl<'a, H: Harness> Subject<'a, H> {
    pub(crate) async fn new(harness: &'a H) -> Self {
        Self::with(harness, Settings::default()).await
    }

    pub(crate) async fn with(harness: &'a H, settings: Settings) -> Self {
        let storage = harness.storage();
        let database = harness.open(&storage, settings).await;
        Self { harness, database, storage }
    }

    /// The database, for a task of its own.
    pub(crate) fn handle(&self) -> Arc<dyn DatabaseAdapter> {
        self.database.clone()
    }

    /// Closes the database and opens it again; `None` if the harness can't.
    pub(crate) async fn reopen(self, settings: Settings) -> Option<Self> {
        if !H::REOPENS {
            return None;
        }
        let Self { harness, database, storage } = self;
        database.close().await.expect("a database closes");
        drop(database);
        let database = harness.open(&storage, settings).await;
        Some(Self { harness, database, storage })
    }

    /// Drops the database without closing it, and opens it again.
    pub(crate) async fn crash(self, settings: Settings) -> Self {
        let Self { harness, database, storage } = self;
        drop(database);
        let database = harness.open(&storage, settings).await;
        Self { harness, database, storage }
    }

    /// Commits writes that must succeed.
    pub(crate) async fn write(&self, writes: impl Into<Vec<Write>>) -> Arc<Committed> {
        self.commit(writes.into()).await.expect("the writes are allowed")
    }

    /// Merges operations as the changes of `peer` up to `seq`.
    pub(crate) async fn take(&self, peer: NodeId, seq: u64, operations: &[Operation]) -> Merged {
        let checkpoint = Some(Checkpoint { incarnation: Incarnation(1), seq: Seq(seq) });
        let roots = checkpoint.into_iter().collect();
        let operations = operations.to_vec();
        self.merge(Incoming { peer, checkpoint, roots, operations, ..Incoming::default() })
            .await
            .expect("a merge succeeds")
    }

    /// Merges what `other` has and this database's checkpoint lacks.
    pub(crate) async fn pull(&self, other: &Self) -> Merged {
        let peer = other.identity().node;
        let history = other.announce().await.expect("a feed can be announced");
        let known = self.database.checkpoints(peer).await.expect("checkpoints can be read");
        let after = known.first().map_or(Seq::ZERO, |checkpoint| checkpoint.seq);
        let changes = other.changes(after, UNLIMITED).await.expect("changes can be read");
        let checkpoint = Some(history.place(changes.through));
        let operations = changes.operations;
        self.merge(Incoming { peer, checkpoint, operations, ..Incoming::default() })
            .await
            .expect("a merge succeeds")
    }

    pub(crate) async fn record(
        &self,
        collection: &str,
        key: impl Into<RecordKey>,
    ) -> Option<Record> {
        self.read(&name(collection), &key.into()).await.expect("a record can be read")
    }

    /// The keys and records of a collection, by one scan.
    pub(crate) async fn all(&self, collection: &str) -> Vec<(RecordKey, Record)> {
        self.scan(&name(collection), None, usize::MAX).await.expect("a collection can be read")
    }

    /// The operations of the whole feed.
    pub(crate) async fn whole_feed(&self) -> Vec<Operation> {
        let changes = self.changes(Seq::ZERO, UNLIMITED).await.expect("changes can be read");
        assert!(!changes.more, "nothing stopped the reading before the end");
        assert_eq!(changes.through, self.feed().head(), "the end of the feed is its head");
        changes.operations
    }

    /// The states that the whole feed describes. They must agree with what is read.
    pub(crate) async fn states(&self) -> States {
        let states = fold(&self.whole_feed().await);
        let described = states.iter();
        let described: BTreeMap<_, _> =
            described.filter_map(|(place, state)| Some((place.clone(), state.record()?))).collect();
        assert_eq!(self.records().await, described, "the feed describes what a reader sees");
        states
    }

    /// All records of all collections.
    async fn records(&self) -> BTreeMap<(Name, RecordKey), Record> {
        let mut records = BTreeMap::new();
        for collection in self.collections().await.expect("collections can be listed") {
            let scanned = self.all(&collection.name).await;
            assert_eq!(scanned.len() as u64, collection.records, "records in {}", collection.name);
            let places = scanned.into_iter();
            records.extend(places.map(|(key, record)| ((collection.name.clone(), key), record)));
        }
        records
    }
}

/// The states that operations make, by the merge rule alone.
pub(crate) fn fold(operations: &[Operation]) -> States {
    let mut states = States::new();
    for operation in operations {
        let place = (operation.collection.clone(), operation.key.clone());
        states.entry(place).or_default().merge(operation, &mut Vec::new());
    }
    // What only updates of no fields are known of is not in a feed, unless it was withdrawn.
    states.retain(|_, state| *state != RecordState::default());
    states
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name of the suite is allowed")
}

/// The node id of a peer that no database under test has.
pub(crate) const fn peer(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

pub(crate) fn insert(collection: &str, key: impl Into<RecordKey>, record: Record) -> Write {
    write(collection, key, WriteKind::Insert(record))
}

pub(crate) fn put(collection: &str, key: impl Into<RecordKey>, record: Record) -> Write {
    write(collection, key, WriteKind::Put(record))
}

pub(crate) fn delete(collection: &str, key: impl Into<RecordKey>) -> Write {
    write(collection, key, WriteKind::Delete)
}

/// Sets one field.
pub(crate) fn set(
    collection: &str,
    key: impl Into<RecordKey>,
    field: &str,
    value: impl Into<Value>,
) -> Write {
    let fields = BTreeMap::from([(name(field), Some(value.into()))]);
    write(collection, key, WriteKind::Update(fields))
}

/// Removes one field.
pub(crate) fn unset(collection: &str, key: impl Into<RecordKey>, field: &str) -> Write {
    write(collection, key, WriteKind::Update(BTreeMap::from([(name(field), None)])))
}

fn write(collection: &str, key: impl Into<RecordKey>, kind: WriteKind) -> Write {
    Write { collection: name(collection), key: key.into(), kind }
}
