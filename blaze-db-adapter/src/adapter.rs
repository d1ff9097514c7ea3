//! The trait that a database implements to take part.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use blaze_codec::message::Hello;
use blaze_codec::{Checkpoint, History, Name, NodeId, Operation, Record, RecordKey, Role, Seq};

use crate::{
    Committed, Conflict, DatabaseError, Incoming, LiveFeed, Purged, RegisteredPeer, Write,
};

/// A database that Blaze keeps in sync.
///
/// # Contract
///
/// The crate `blaze-db-adapter-conformance` checks each of these:
///
/// - **Commits are atomic and numbered.** Each commit or merge that changes
///   something takes the next [`Seq`]; a reader sees all of it or nothing.
/// - **The feed** is the records in the order of the seq at which each last
///   changed. [`changes`](Self::changes) gives whole seqs, ascending, and
///   describes a record's state completely: merging the feed from
///   [`Seq::ZERO`] into an empty database makes an equal one.
/// - **Merging follows [`merge`](crate::merge)** and nothing else. The checkpoint
///   of the peer is stored in the same transaction as what was merged.
/// - **What is returned is durable** at the database's [`Durability`], and is
///   pushed to [`feed`](Self::feed) after that, in the order of seqs.
/// - **A tombstone stays** until every registered peer has it for good.
/// - **The clock never goes back**, over restarts too, and stays above every
///   version merged.
/// - **Dropping a future** that this trait returned leaves the database whole:
///   the commit happens or it doesn't.
#[async_trait]
pub trait DatabaseAdapter: Send + Sync + fmt::Debug + 'static {
    /// Who this replica is.
    fn identity(&self) -> Identity;

    /// What was just committed, and the head of the feed as a watch.
    fn feed(&self) -> &LiveFeed;

    /// The history of the feed, to tell a peer. Commits of this opening belong to
    /// its last incarnation, and from here on those of no other opening of this
    /// file, nor of a copy or a backup of it, do: see [`Lineage`](crate::Lineage).
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store that it was told.
    async fn announce(&self) -> Result<History, DatabaseError>;

    /// Takes another node id, which must be new and random; the one before goes to
    /// [`Identity::former`]. For a replica that is found to be a copy.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn renew(&self, node: NodeId) -> Result<(), DatabaseError>;

    /// Sets the role by which later commits are stamped; it is kept in the database.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn set_role(&self, role: Role) -> Result<(), DatabaseError>;

    /// Commits local writes as one transaction, each stamped with a version.
    ///
    /// Writes that change nothing (an update to the values already there) are
    /// left out; if none is left, the commit has the seq of the head and no
    /// operations.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::Write`] if a write can't be done as asked (the key is
    /// taken, or there is no record); nothing of the transaction was committed.
    async fn commit(&self, writes: Vec<Write>) -> Result<Arc<Committed>, DatabaseError>;

    /// Merges a peer's operations and stores how far its feed is merged, in one
    /// transaction. Operations that this database knew change nothing.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database fails; unless its variant says otherwise,
    /// nothing was merged and the checkpoint stands where it stood.
    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError>;

    /// What changed after a seq, in the order of the feed: whole seqs, and at
    /// least one if there is any.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn changes(&self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, DatabaseError>;

    /// How far a peer's feed is merged here: the last place that was reached of each
    /// of its latest incarnations, [`HISTORY_SPANS_MAX`](blaze_codec::HISTORY_SPANS_MAX),
    /// the latest that was merged first; none of a peer never heard of. (If the
    /// peer's file goes back to a backup, an older one is still true.)
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn checkpoints(&self, peer: NodeId) -> Result<Vec<Checkpoint>, DatabaseError>;

    /// Notes that a session with a peer begins, which holds this feed up to a seq
    /// ([`Seq::ZERO`] if it receives nothing): from here on no tombstone goes before
    /// the peer has it for good. Returns the seq up to which tombstones are gone. A
    /// peer that holds less has missed some.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn register(&self, peer: NodeId, name: &str, holds: Seq) -> Result<Seq, DatabaseError>;

    /// Notes that peers are there, and up to which seq each has this feed for good.
    /// Peers that aren't registered are left out.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn settle(&self, settled: &[(NodeId, Seq)]) -> Result<(), DatabaseError>;

    /// The peers that are registered, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn peers(&self) -> Result<Vec<RegisteredPeer>, DatabaseError>;

    /// Takes a peer out that won't be back, so that tombstones don't wait for it.
    /// Returns whether it was registered.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn unregister(&self, peer: NodeId) -> Result<bool, DatabaseError>;

    /// Which of these records an audience was given, one after the other.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn shared(
        &self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<bool>, DatabaseError>;

    /// Notes that an audience is given these records, so that they can be withdrawn from it.
    /// It is forgotten of records that are deleted, once their tombstones go, and of a peer
    /// that is [unregistered](Self::unregister).
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it.
    async fn share(
        &self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
    ) -> Result<(), DatabaseError>;

    /// Removes the tombstones that no registered peer needs (see
    /// [`settled`](crate::settled)), but for peers of which nothing was heard since a
    /// time, in milliseconds since 1970. That takes no seq: nothing that exists changes.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't store it. Tombstones that it had removed
    /// until then stay so.
    async fn purge(&self, silent_since_ms: u64) -> Result<Purged, DatabaseError>;

    /// The records that exist and last changed after one seq and at or before another,
    /// in the order of the feed, each as [`RecordState::named`](crate::RecordState::named)
    /// names it: at most about `count`, in whole seqs. A peer that has merged all of them
    /// buries what it doesn't know any more.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn roll(
        &self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, DatabaseError>;

    /// A record, or `None` if it doesn't exist.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn read(
        &self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<Option<Record>, DatabaseError>;

    /// At most `count` records of a collection after a key, in the order of
    /// their keys. Fewer than `count` are given only at the end.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn scan(
        &self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, DatabaseError>;

    /// The collections that have records, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the database can't be read.
    async fn collections(&self) -> Result<Vec<CollectionInfo>, DatabaseError>;

    /// Finishes what was begun and closes; later calls give
    /// [`DatabaseError::Closed`]. Closing twice does nothing.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the last writes could not be finished.
    async fn close(&self) -> Result<(), DatabaseError>;
}

/// Who a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The replica.
    pub node: NodeId,
    /// Ids that its file had before it was copied, the latest last, at most
    /// [`Self::FORMER_MAX`].
    pub former: Vec<NodeId>,
    /// Whether this opening found the file to be a copy: of a live one, from a
    /// backup, or moved to another disk. Then it has a node id of its own since.
    pub copied: bool,
    /// The database that it is a replica of; only equal ones sync.
    pub database: String,
    /// The role by which its commits are stamped.
    pub role: Role,
    /// What its commits survive.
    pub durability: Durability,
}

impl Identity {
    /// The most former ids that are kept.
    pub const FORMER_MAX: usize = Hello::FORMER_MAX;

    /// The identity with another id.
    #[must_use]
    pub fn renewed(mut self, node: NodeId) -> Self {
        self.former.push(std::mem::replace(&mut self.node, node));
        let surplus = self.former.len().saturating_sub(Self::FORMER_MAX);
        self.former.drain(..surplus);
        self
    }
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// Nothing: gone when the process ends.
    Memory,
    /// The end of the process, by kill -9 too. A power cut may cost the last
    /// commits, never the file.
    Process,
    /// A power cut.
    #[default]
    Disk,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Disk => "disk",
        })
    }
}

/// What a merge did.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// The commit it made; `None` if everything was known.
    pub committed: Option<Arc<Committed>>,
    /// The losers of true conflicts. They are told once, here, and not stored: a
    /// process that ends between the commit and this has not been told of them.
    pub conflicts: Vec<Conflict>,
    /// The records that the peer may not change as it did, by [`Incoming::scope`]: one that it
    /// may not see, or a new one. They are as they were, and the checkpoint isn't stored: they
    /// are to come again, should the peer not hear of it. Told once, too.
    pub refused: Vec<(Name, RecordKey)>,
    /// The records that existed and were withdrawn by the peer, with all that was known of
    /// them. Told once, too.
    pub withdrawn: Vec<Withdrawn>,
}

/// A record that this replica may not see any more: it doesn't exist here, and it wasn't
/// deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Its collection.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// What it was here, with what was written here and not sent yet.
    pub record: Record,
}

/// Whom a replica limits to a scope: a peer, as somebody whom its transport vouches for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience {
    /// The peer.
    pub node: NodeId,
    /// Who it is; empty if nobody vouches for that.
    pub principal: String,
}

/// How much [`DatabaseAdapter::changes`] reads, but for finishing a seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangesLimit {
    /// Records after which it stops.
    pub records: usize,
    /// Bytes, as stored, after which it stops.
    pub bytes: usize,
}

/// A piece of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// The operations that make the records' states.
    pub operations: Vec<Operation>,
    /// The seq up to which the feed was read.
    pub through: Seq,
    /// Whether there was more when it was read.
    pub more: bool,
    /// Whether records may be left out that had changed up to there, and again later. If
    /// not, the operations are all that the commits up to there did. Not where no record
    /// changed twice: what leaves something out has to be kept back by who receives it,
    /// until the rest is there.
    pub left_out: bool,
}

/// A collection and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: Name,
    /// How many records exist in it.
    pub records: u64,
}
