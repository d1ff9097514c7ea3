//! Following a database's commits, local ones and merged ones.

use std::collections::VecDeque;
use std::sync::Arc;

use blaze_codec::{Change, Name, Operation, RecordKey, Seq, Version};
use tokio::sync::watch;

use crate::{ChangesLimit, DatabaseAdapter, DatabaseError, Origin};

/// Commits that are taken from the ring at once.
const COMMITS_MAX: usize = 256;
/// What is read from the database at once, if the ring has lost it.
const LIMIT: ChangesLimit = ChangesLimit { records: 1024, bytes: 1024 * 1024 };

/// Something that changed in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The commit that it belongs to.
    pub seq: Seq,
    /// Where it came from; `None` if it was read back from the database because
    /// the observer had fallen behind.
    pub origin: Option<Origin>,
    /// The record's collection.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// When and by whom it was written.
    pub version: Version,
    /// What was written. Where part of it had lost to another write already,
    /// reading the record tells what stands.
    pub change: Change,
}

/// Follows the commits of a database, in their order.
///
/// One that falls behind the [`LiveFeed`](crate::LiveFeed) goes on from the
/// database itself: it misses no record, but sees one that changed several times
/// meanwhile in its latest state only.
#[derive(Debug)]
pub struct Observer {
    database: Arc<dyn DatabaseAdapter>,
    collection: Option<Name>,
    head: watch::Receiver<Seq>,
    seen: Seq,
    /// Whether what was read from the database last left out records that changed again
    /// later: single commits tell of their last change only.
    behind: bool,
    ready: VecDeque<Observed>,
}

impl Observer {
    /// Follows one collection, or all, from now on.
    pub fn new(database: Arc<dyn DatabaseAdapter>, collection: Option<Name>) -> Self {
        let seen = database.feed().head();
        Self::after(database, collection, seen)
    }

    /// Follows one collection, or all, after a seq; what lies before the present
    /// is read from the database.
    pub fn after(database: Arc<dyn DatabaseAdapter>, collection: Option<Name>, seq: Seq) -> Self {
        let head = database.feed().watch();
        Self { database, collection, head, seen: seq, behind: false, ready: VecDeque::new() }
    }

    /// Waits for the next change. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if the observer had to read the database, and that failed.
    pub async fn next(&mut self) -> Result<Observed, DatabaseError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let seen = self.seen;
            if self.head.wait_for(|head| *head > seen).await.is_err() {
                return Err(DatabaseError::Closed);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), DatabaseError> {
        let at_hand = self.database.feed().after(self.seen, COMMITS_MAX);
        if let Some(commits) = at_hand.filter(|_| !self.behind) {
            for commit in commits {
                let origin = Some(commit.origin());
                self.take(commit.seq(), origin, commit.operations().iter().cloned());
            }
            return Ok(());
        }
        let changes = self.database.changes(self.seen, LIMIT).await?;
        self.behind = changes.more;
        self.take(changes.through, None, changes.operations.into_iter());
        Ok(())
    }

    fn take(
        &mut self,
        seq: Seq,
        origin: Option<Origin>,
        operations: impl Iterator<Item = Operation>,
    ) {
        let wanted = |operation: &Operation| {
            self.collection.as_ref().is_none_or(|name| *name == operation.collection)
        };
        let observed = operations.filter(wanted).map(|operation| Observed {
            seq,
            origin,
            collection: operation.collection,
            key: operation.key,
            version: operation.version,
            change: operation.change,
        });
        self.ready.extend(observed);
        self.seen = seq;
    }
}
