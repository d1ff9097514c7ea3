//! What a file would hold: everything of a database at one moment.

use blaze_codec::{Incarnation, NodeId, Seq};
use blaze_db_adapter::WallClock;

use crate::MemoryDatabase;
use crate::store::Store;

/// A copy of everything in a [`MemoryDatabase`] at one moment, taken between two
/// commits. Opening it is what opening a file is elsewhere: after a crash, from a
/// backup, or as a copy.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) database: String,
    pub(crate) head: Seq,
    pub(crate) store: Store,
}

impl Snapshot {
    /// A database that goes on from here. The snapshot can be opened again.
    pub fn open(&self, clock: WallClock) -> MemoryDatabase {
        MemoryDatabase::from_snapshot(self.clone(), clock)
    }

    /// The same, in another life of the feed: what an adapter makes of a file that may
    /// lack commits which peers hold.
    pub fn with_incarnation(self, incarnation: Incarnation) -> Self {
        Self { incarnation, ..self }
    }

    /// The head of the feed.
    pub const fn head(&self) -> Seq {
        self.head
    }
}
