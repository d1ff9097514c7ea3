//! What a file would hold: everything of a database at one moment.

use blaze_codec::{Incarnation, Seq};
use blaze_db_adapter::WallClock;

use crate::MemoryDatabase;
use crate::store::Store;

/// A copy of everything in a [`MemoryDatabase`] at one moment, taken between two
/// commits. Opening it is what opening a file is elsewhere: after a crash, from a
/// backup, or as a copy.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) database: String,
    pub(crate) head: Seq,
    pub(crate) store: Store,
}

impl Snapshot {
    /// A database that goes on from here; `drawn` is the incarnation of what it
    /// commits, and must be another one each time. The snapshot can be opened again.
    pub fn open(&self, drawn: Incarnation, clock: WallClock) -> MemoryDatabase {
        let mut opened = self.clone();
        opened.store.lineage = opened.store.lineage.reopened(drawn);
        MemoryDatabase::from_snapshot(opened, clock)
    }

    /// The head of the feed.
    pub const fn head(&self) -> Seq {
        self.head
    }
}
