//! The adapter: writes go to the writer, reads to the pool.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use blaze_codec::{History, Name, NodeId, Record, RecordKey, Role, Seq};
use blaze_db_adapter::{
    Audience, ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, Committed, DatabaseAdapter,
    DatabaseError, Identity, Incoming, LiveFeed, Merged, Purged, RegisteredPeer, Write,
};

use crate::SqliteOptions;
use crate::commit::{Done, Request, Writing};
use crate::committer::{Committer, Shared};
use crate::fault::Fault;
use crate::open::{self, Opened, Opener};
use crate::peers::Purge;
use crate::reader::{Readers, Reading};
use crate::writer::Writer;

/// A database in one SQLite file. Opened by [`SqliteOptions`].
///
/// Close it with [`close`](DatabaseAdapter::close) to have its log written back
/// into the file. Dropping it loses nothing; the next opening reads the log.
#[derive(Debug)]
pub struct SqliteDatabase {
    /// Before the rest, so that nothing is written when the readers go.
    writer: Option<Writer>,
    readers: Readers,
    shared: Arc<Shared>,
    opener: Arc<Opener>,
}

impl SqliteDatabase {
    pub(crate) async fn open(options: SqliteOptions) -> Result<Self, DatabaseError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&options)).await;
        match opened {
            Ok(opened) => opened,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(DatabaseError::Closed),
        }
    }

    fn open_blocking(options: &SqliteOptions) -> Result<Self, DatabaseError> {
        let Opened { opener, identity, lock } = open::open(options)?;
        let failed = |fault: Fault| fault.into_error("open its file", opener.path());
        let writing = match &lock {
            Some(_) => {
                let clock = options.clock.clone();
                Some(Writing::open(&opener, identity.clone(), clock).map_err(failed)?)
            }
            None => None,
        };
        let head = match &writing {
            Some(writing) => writing.seq(),
            None => {
                Reading::open(&opener).and_then(|mut reading| reading.head()).map_err(failed)?
            }
        };
        let opener = Arc::new(opener);
        let shared = Arc::new(Shared::new(LiveFeed::new(head), identity, lock));
        let start = |writing| {
            let (clock, shared) = (options.clock.clone(), shared.clone());
            let committer = Committer::new(writing, opener.clone(), clock, shared);
            Writer::start(committer, options.durability)
        };
        let writer = writing.map(start).transpose()?;
        let readers = Readers::new(opener.clone());
        Ok(Self { writer, readers, shared, opener })
    }

    /// The file, without symbolic links.
    pub fn path(&self) -> &Path {
        self.opener.path()
    }

    async fn ask(&self, request: Request) -> Result<Done, DatabaseError> {
        match &self.writer {
            Some(writer) => writer.ask(request).await,
            None if self.readers.is_closed() => Err(DatabaseError::Closed),
            None => Err(DatabaseError::ReadOnly { path: self.path().to_owned() }),
        }
    }

    #[cfg(test)]
    pub(crate) fn transactions(&self) -> u64 {
        self.shared.transactions.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn by_callers(&self) -> u64 {
        self.shared.by_callers.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[async_trait]
impl DatabaseAdapter for SqliteDatabase {
    fn identity(&self) -> Identity {
        self.shared.identity()
    }

    fn feed(&self) -> &LiveFeed {
        &self.shared.feed
    }

    async fn announce(&self) -> Result<History, DatabaseError> {
        match self.ask(Request::Announce).await? {
            Done::Announce(history) => Ok(history),
            other => unreachable!("an announcement was answered by {other:?}"),
        }
    }

    async fn renew(&self, node: NodeId) -> Result<(), DatabaseError> {
        self.ask(Request::Renew(node)).await.map(drop)
    }

    async fn set_role(&self, role: Role) -> Result<(), DatabaseError> {
        self.ask(Request::SetRole(role)).await.map(drop)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Arc<Committed>, DatabaseError> {
        match self.ask(Request::Commit(writes)).await? {
            Done::Commit(committed) => Ok(committed),
            other => unreachable!("a commit was answered by {other:?}"),
        }
    }

    async fn merge(&self, incoming: Incoming) -> Result<Merged, DatabaseError> {
        match self.ask(Request::Merge(incoming)).await? {
            Done::Merge(merged) => Ok(merged),
            other => unreachable!("a merge was answered by {other:?}"),
        }
    }

    async fn changes(&self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, DatabaseError> {
        self.readers.run(move |reading| reading.changes(after, limit)).await
    }

    async fn checkpoints(&self, peer: NodeId) -> Result<Vec<Checkpoint>, DatabaseError> {
        self.readers.run(move |reading| reading.checkpoints(peer)).await
    }

    async fn register(&self, peer: NodeId, name: &str, holds: Seq) -> Result<Seq, DatabaseError> {
        match self.ask(Request::Register(peer, name.to_owned(), holds)).await? {
            Done::Register(purged) => Ok(purged),
            other => unreachable!("a registration was answered by {other:?}"),
        }
    }

    async fn settle(&self, settled: &[(NodeId, Seq)]) -> Result<(), DatabaseError> {
        self.ask(Request::Settle(settled.to_vec())).await.map(drop)
    }

    async fn peers(&self) -> Result<Vec<RegisteredPeer>, DatabaseError> {
        self.readers.run(Reading::peers).await
    }

    async fn unregister(&self, peer: NodeId) -> Result<bool, DatabaseError> {
        match self.ask(Request::Unregister(peer)).await? {
            Done::Unregister(found) => Ok(found),
            other => unreachable!("taking a peer out was answered by {other:?}"),
        }
    }

    async fn shared(
        &self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, DatabaseError> {
        let (audience, records) = (audience.clone(), records.to_vec());
        self.readers.run(move |reading| reading.shared(&audience, &records)).await
    }

    async fn share(
        &self,
        audience: &Audience,
        records: Vec<(Name, RecordKey)>,
        withdrawn: Option<Seq>,
    ) -> Result<(), DatabaseError> {
        let withdrawn = withdrawn.unwrap_or_default();
        match self.ask(Request::Share(audience.clone(), records, withdrawn)).await? {
            Done::Share => Ok(()),
            other => unreachable!("sharing records was answered by {other:?}"),
        }
    }

    async fn purge(&self, silent_since_ms: u64) -> Result<Purged, DatabaseError> {
        // Not what is deleted meanwhile, so that it comes to an end.
        let head = self.feed().head();
        let mut removed = 0;
        loop {
            // Each is asked for alone, so that commits get in between.
            let Purge { purged, more, .. } =
                match self.ask(Request::Purge(head, silent_since_ms)).await? {
                    Done::Purge(purge) => purge,
                    other => unreachable!("a purge was answered by {other:?}"),
                };
            removed += purged.removed;
            if !more {
                return Ok(Purged { removed, ..purged });
            }
        }
    }

    async fn roll(
        &self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, DatabaseError> {
        self.readers.run(move |reading| reading.roll(after, through, count)).await
    }

    async fn read(
        &self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<Option<Record>, DatabaseError> {
        let (collection, key) = (collection.clone(), key.clone());
        self.readers.run(move |reading| reading.record(&collection, &key)).await
    }

    async fn scan(
        &self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, DatabaseError> {
        let (collection, after) = (collection.clone(), after.cloned());
        self.readers.run(move |reading| reading.scan(&collection, after.as_ref(), count)).await
    }

    async fn collections(&self) -> Result<Vec<CollectionInfo>, DatabaseError> {
        self.readers.run(Reading::collections).await
    }

    async fn close(&self) -> Result<(), DatabaseError> {
        self.readers.close().await;
        let closed = match &self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        };
        // No connection is left, whatever became of the writer.
        self.shared.feed.close();
        self.shared.unlock();
        self.opener.release();
        closed
    }
}
