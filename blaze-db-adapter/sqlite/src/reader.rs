//! Reading: a small pool of connections, and the queries.

use std::sync::{Arc, Mutex, PoisonError};

use blaze_codec::{DecodeError, Name, NodeId, Record, RecordKey, Seq};
use blaze_db_adapter::{
    Audience, ChangeSet, ChangesLimit, Checkpoint, CollectionInfo, DatabaseError, RegisteredPeer,
};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::Semaphore;

use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::open::Opener;
use crate::{peers, places, schema, shares, state};

/// Reads at one time.
const READERS_MAX: u32 = 4;

/// The records that exist, of a piece of the feed.
pub(crate) const ROLL: &str = "SELECT position, collection, key, state FROM records
    WHERE position > ?1 AND position <= ?2 AND live = 1 ORDER BY position";

/// The reading connections, opened as they are needed.
#[derive(Debug)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Reading>>>,
    permits: Arc<Semaphore>,
    opener: Arc<Opener>,
}

/// A connection that reads. Each call sees one snapshot.
#[derive(Debug)]
pub(crate) struct Reading {
    conn: Connection,
    dictionary: Dictionary,
}

impl Readers {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        let permits = Arc::new(Semaphore::new(READERS_MAX as usize));
        Self { idle: Arc::default(), permits, opener }
    }

    /// Runs `query` on a thread for blocking work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Reading) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| DatabaseError::Closed)?;
        let (idle, opener) = (self.idle.clone(), self.opener.clone());
        let task = tokio::task::spawn_blocking(move || {
            let failed = |fault: Fault| fault.into_error("read", opener.path());
            let reading = lock(&idle).pop();
            let mut reading = match reading {
                Some(reading) => reading,
                None => Reading::open(&opener).map_err(failed)?,
            };
            let result = query(&mut reading).map_err(failed);
            // After an error a new connection starts afresh.
            match result {
                Ok(_) => lock(&idle).push(reading),
                Err(_) => drop(reading),
            }
            // Who has all of them knows that no connection is left.
            drop(permit);
            result
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(DatabaseError::Closed),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Waits for the reads under way; later ones are refused.
    pub(crate) async fn close(&self) {
        let permits = self.permits.acquire_many(READERS_MAX).await;
        self.permits.close();
        drop(permits);
        lock(&self.idle).clear();
    }
}

impl Reading {
    pub(crate) fn open(opener: &Opener) -> Result<Self, Fault> {
        Ok(Self { conn: opener.reader()?, dictionary: Dictionary::default() })
    }

    /// The latest seq.
    pub(crate) fn head(&mut self) -> Result<Seq, Fault> {
        self.snapshot(|reading| Ok(schema::head(&reading.conn)?.0))
    }

    pub(crate) fn record(
        &mut self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<Option<Record>, Fault> {
        let Self { conn, dictionary } = self;
        let Some(collection) = dictionary.names.find(conn, collection)? else { return Ok(None) };
        let select = "SELECT state FROM records WHERE collection = ?1 AND key = ?2 AND live = 1";
        let mut select = conn.prepare_cached(select)?;
        let mut rows = select.query((collection.cast_signed(), key.to_bytes()))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let state = state::decode(blob(row.get_ref(0)?)?, dictionary, conn)?;
        Ok(state.into_record())
    }

    pub(crate) fn scan(
        &mut self,
        collection: &Name,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, Fault> {
        let Self { conn, dictionary } = self;
        let Some(collection) = dictionary.names.find(conn, collection)? else {
            return Ok(Vec::new());
        };
        let select = "SELECT key, state FROM records INDEXED BY records_by_key
            WHERE collection = ?1 AND key > ?2 AND live = 1 ORDER BY key LIMIT ?3";
        let mut select = conn.prepare_cached(select)?;
        // Every key has at least its kind's byte.
        let after = after.map(RecordKey::to_bytes).unwrap_or_default();
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let mut rows = select.query((collection.cast_signed(), after, limit))?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let state = state::decode(blob(row.get_ref(1)?)?, dictionary, conn)?;
            let key = key(row.get_ref(0)?)?;
            records.extend(state.into_record().map(|record| (key, record)));
        }
        Ok(records)
    }

    pub(crate) fn collections(&mut self) -> Result<Vec<CollectionInfo>, Fault> {
        let Self { conn, dictionary } = self;
        let select = "SELECT collection, count(*) FROM records INDEXED BY records_by_key
            WHERE live = 1 GROUP BY collection";
        let mut select = conn.prepare_cached(select)?;
        let mut rows = select.query([])?;
        let mut collections = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let name = dictionary.names.entry(conn, id.cast_unsigned(), 0)?;
            let records: i64 = row.get(1)?;
            collections.push(CollectionInfo { name, records: records.cast_unsigned() });
        }
        collections.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(collections)
    }

    pub(crate) fn checkpoints(&mut self, peer: NodeId) -> Result<Vec<Checkpoint>, Fault> {
        self.snapshot(|reading| {
            let (_, ending) = schema::head(&reading.conn)?;
            Ok(places::of(&reading.conn, peer, &ending.carried)?)
        })
    }

    pub(crate) fn changes(&mut self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, Fault> {
        self.snapshot(|reading| reading.read_changes(after, limit))
    }

    fn read_changes(&mut self, after: Seq, limit: ChangesLimit) -> Result<ChangeSet, Fault> {
        let (head, _) = schema::head(&self.conn)?;
        let Self { conn, dictionary } = self;
        let select = "SELECT position, collection, key, state, ending IS NOT NULL FROM records
            WHERE position > ?1 ORDER BY position";
        let mut select = conn.prepare_cached(select)?;
        let mut rows = select.query([schema::last_position(after)])?;
        let (mut records, mut bytes, mut through) = (0, 0, after);
        let (mut operations, mut gaps) = (Vec::new(), Gaps::after(after));
        while let Some(row) = rows.next()? {
            let position = row.get(0)?;
            let seq = schema::seq_of(position);
            let full = records >= limit.records.max(1) || bytes >= limit.bytes.max(1);
            if full && seq > through {
                let left_out = gaps.found();
                return Ok(ChangeSet { operations, through, more: true, left_out });
            }
            gaps.pass(position, row.get(4)?);
            let collection = row.get::<_, i64>(1)?.cast_unsigned();
            let collection = dictionary.names.entry(conn, collection, 0)?;
            let (stored_key, stored) = (row.get_ref(2)?, blob(row.get_ref(3)?)?);
            let state = state::decode(stored, dictionary, conn)?;
            state.into_operations(collection, key(stored_key)?, &mut operations);
            records += 1;
            bytes += blob(stored_key)?.len() + stored.len();
            through = seq;
        }
        Ok(ChangeSet { operations, through: head.max(after), more: false, left_out: false })
    }

    pub(crate) fn peers(&mut self) -> Result<Vec<RegisteredPeer>, Fault> {
        Ok(peers::all(&self.conn)?)
    }

    pub(crate) fn shared(
        &mut self,
        audience: &Audience,
        records: &[(Name, RecordKey)],
    ) -> Result<Vec<Option<Seq>>, Fault> {
        self.snapshot(|reading| Ok(shares::find(&reading.conn, audience, records)?))
    }

    pub(crate) fn roll(
        &mut self,
        after: Seq,
        through: Seq,
        count: usize,
    ) -> Result<ChangeSet, Fault> {
        let Self { conn, dictionary } = self;
        let mut select = conn.prepare_cached(ROLL)?;
        let mut rows =
            select.query((schema::last_position(after), schema::last_position(through)))?;
        let (mut operations, mut reached) = (Vec::new(), after);
        while let Some(row) = rows.next()? {
            let seq = schema::seq_of(row.get(0)?);
            if operations.len() >= count.max(1) && seq > reached {
                let through = reached;
                return Ok(ChangeSet { operations, through, more: true, left_out: false });
            }
            let collection = row.get::<_, i64>(1)?.cast_unsigned();
            let collection = dictionary.names.entry(conn, collection, 0)?;
            let key = key(row.get_ref(2)?)?;
            let state = state::decode(blob(row.get_ref(3)?)?, dictionary, conn)?;
            operations.extend(state.named(&collection, &key));
            reached = seq;
        }
        Ok(ChangeSet { operations, through: through.max(after), more: false, left_out: false })
    }

    /// Runs several statements on one state of the database.
    fn snapshot<T>(
        &mut self,
        query: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.conn.prepare_cached("BEGIN")?.execute([])?;
        // After an error the connection is dropped, and the transaction with it.
        let result = query(self)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(result)
    }
}

/// Finds out whether records are missing from a piece of the feed: those of a commit are
/// numbered from 0, and the last has the ending.
struct Gaps {
    /// Where the next record is, if none is missing.
    next: i64,
    /// Whether the last one ended its commit.
    ended: bool,
    any: bool,
}

impl Gaps {
    const fn after(seq: Seq) -> Self {
        Self { next: schema::last_position(seq).saturating_add(1), ended: true, any: false }
    }

    fn pass(&mut self, position: i64, ends: bool) {
        self.any |= position != self.next;
        let behind = if ends { schema::last_position(schema::seq_of(position)) } else { position };
        (self.next, self.ended) = (behind.saturating_add(1), ends);
    }

    const fn found(&self) -> bool {
        self.any || !self.ended
    }
}

fn key(value: ValueRef<'_>) -> Result<RecordKey, Fault> {
    let malformed = |_| DecodeError::Malformed { what: "key", at: 0 };
    Ok(RecordKey::from_bytes(blob(value)?).map_err(malformed)?)
}

fn blob(value: ValueRef<'_>) -> Result<&[u8], Fault> {
    let malformed = |_| DecodeError::Malformed { what: "column", at: 0 };
    Ok(value.as_blob().map_err(malformed)?)
}

fn lock(idle: &Mutex<Vec<Reading>>) -> std::sync::MutexGuard<'_, Vec<Reading>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
