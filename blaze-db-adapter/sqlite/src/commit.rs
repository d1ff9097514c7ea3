//! Transactions: the requests of a group, one after the other, in one commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use blaze_codec::{History, Hlc, HlcClock, Name, NodeId, Operation, RecordKey, Role, Seq, Version};
use blaze_db_adapter::{
    Audience, Committed, Conflict, DatabaseError, Durability, Heard, Identity, Incoming, Joined,
    Lineage, Merged, Merging, Origin, Parts, Staged, Stamper, TRANSACTION_WRITES_MAX, Touched,
    WallClock, Withdrawn, Write, WriteError, check_count,
};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::dictionary::Dictionary;
use crate::fault::{Fault, Undone};
use crate::log::{Reserve, Unsynced};
use crate::open::Opener;
use crate::peers::{self, Purge};
use crate::places::{Ending, Places};
use crate::{schema, shares, state};

mod lookup;

use lookup::{LastKeys, Lookup, Place, once};

/// Pages that the log grows by until it is written back. Ten times SQLite's default:
/// a page that changes often is written back once for many commits, which nearly
/// doubles the rate of random updates.
const CHECKPOINT_PAGES: u32 = 10_000;

/// What a record's state and a commit's ending mostly fit in.
const STATE_BYTES: usize = 512;
const ENDING_BYTES: usize = 32;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    Commit(Vec<Write>),
    Merge(Incoming),
    SetRole(Role),
    /// Takes another node id.
    Renew(NodeId),
    /// Notes that a peer is told of the feed.
    Announce,
    /// Notes that a peer's session begins, and where it holds the feed.
    Register(NodeId, String, Seq),
    /// Notes up to where peers have the feed for good.
    Settle(Vec<(NodeId, Seq)>),
    /// Takes a peer out.
    Unregister(NodeId),
    /// Notes that an audience is given records, and when they are withdrawn.
    Share(Audience, Vec<(Name, RecordKey)>, Seq),
    /// Removes some of the tombstones up to a seq, but for peers silent since then.
    Purge(Seq, u64),
}

/// What it did.
#[derive(Debug)]
pub(crate) enum Done {
    Commit(Arc<Committed>),
    Merge(Merged),
    Identify(Identity),
    Announce(History),
    /// The seq up to which tombstones are gone.
    Register(Seq),
    Settle,
    /// Whether it was registered.
    Unregister(bool),
    Share,
    Purge(Purge),
}

/// The writing connection and what it knows of the file. To be dropped after any
/// error of SQLite: it may be ahead of the file then.
#[derive(Debug)]
pub(crate) struct Writing {
    conn: Connection,
    dictionary: Dictionary,
    identity: Identity,
    lineage: Lineage,
    seq: Seq,
    /// The greatest version of the tombstones that are gone.
    forgotten: Version,
    clock: HlcClock,
    /// The clock as the file knows it.
    stored: Hlc,
    wall: WallClock,
    places: Places,
    last_keys: LastKeys,
    /// Pages in the log after the last commit, and when it was last written back.
    log_pages: Arc<AtomicU32>,
    written_back: u32,
    /// Room for the log, where commits wait for the disk.
    reserve: Option<Reserve>,
}

/// A request whose changes are written, but not yet committed.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The head of the feed after it.
    head: Seq,
    /// Whether it took a seq.
    changed: bool,
    /// A commit's operations.
    operations: Vec<Operation>,
    /// What the commit has of a merge's operations.
    parts: Parts,
    /// The greatest of what became of them.
    most: Joined,
    conflicts: Vec<Conflict>,
    /// What a merge refused, and what was withdrawn by it.
    refused: Vec<(Name, RecordKey)>,
    withdrawn: Vec<Withdrawn>,
    /// The answer to anything else.
    done: Option<Done>,
}

impl Writing {
    pub(crate) fn open(
        opener: &Opener,
        identity: Identity,
        wall: WallClock,
    ) -> Result<Self, Fault> {
        let mut conn = opener.writer()?;
        let log_pages = Arc::new(AtomicU32::new(0));
        let counted = log_pages.clone();
        conn.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            counted.store(pages.cast_unsigned(), Ordering::Relaxed);
            Ok(())
        }))?;
        schema::upgrade(&conn)?;
        conn.set_prepared_statement_cache_capacity(32);
        let mut dictionary = Dictionary::default();
        dictionary.names.extend(&conn)?;
        dictionary.nodes.extend(&conn)?;
        let lineage = schema::lineage(&conn, opener.drawn())?;
        let (seq, Ending { clock: stored, carried }) = schema::head(&conn)?;
        let (clock, forgotten) = (HlcClock::resume(stored), schema::forgotten(&conn)?);
        let written_back = 0;
        let waits = identity.durability == Durability::Disk;
        let reserve = waits.then(|| Reserve::new(opener, &conn, CHECKPOINT_PAGES)).transpose()?;
        Ok(Self {
            conn,
            dictionary,
            identity,
            lineage,
            seq,
            forgotten,
            clock,
            stored,
            wall,
            places: Places::resume(carried),
            last_keys: LastKeys::default(),
            log_pages,
            written_back,
            reserve,
        })
    }

    /// The head of the feed.
    pub(crate) const fn seq(&self) -> Seq {
        self.seq
    }

    /// Goes on with an opening that has told a peer of the feed.
    pub(crate) fn was_announced(&mut self) {
        // It is stored.
        let _ = self.lineage.announce();
    }

    /// The connection, when no transaction is left to be made.
    pub(crate) fn into_connection(self) -> Connection {
        self.conn
    }

    /// Begins a transaction of SQLite, and waits so long for another program's.
    pub(crate) fn begin(&self, wait: Duration) -> rusqlite::Result<()> {
        self.conn.busy_timeout(wait)?;
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
    }

    /// Does what is asked in the transaction that was begun, durable on return. A
    /// request that can't be done has an error of its own and changes nothing.
    ///
    /// # Errors
    ///
    /// If SQLite fails, so that none of them is done, or all or none of them.
    pub(crate) fn run<'a>(
        &mut self,
        requests: impl Iterator<Item = &'a Request>,
    ) -> Result<Vec<Result<Applied, DatabaseError>>, Undone> {
        let all = self.write(requests).map_err(|error| Undone::RolledBack(Arc::new(error)))?;
        let commit = self.conn.prepare_cached("COMMIT");
        commit.and_then(|mut commit| commit.execute([])).map_err(Undone::in_commit)?;
        Ok(all)
    }

    /// Whether room should be made for the log.
    pub(crate) fn log_is_short(&mut self) -> bool {
        let pages = self.log_pages.load(Ordering::Relaxed);
        self.reserve.as_mut().is_some_and(|reserve| reserve.is_short(pages))
    }

    /// Makes room for the log.
    pub(crate) fn extend_log(&mut self) -> Result<(), Unsynced> {
        self.reserve.as_mut().map_or(Ok(()), |reserve| reserve.extend(&self.conn))
    }

    /// Makes no room for the log any more.
    pub(crate) fn forgo_reserve(&mut self) {
        self.reserve = None;
    }

    /// Whether the log has grown so long that it should be written back.
    pub(crate) fn log_is_long(&mut self) -> bool {
        let pages = self.log_pages.load(Ordering::Relaxed);
        // It began anew.
        self.written_back = if pages < self.written_back { 0 } else { self.written_back };
        pages - self.written_back >= CHECKPOINT_PAGES
    }

    /// Writes the log back into the file, as far as no reader needs it.
    pub(crate) fn write_back(&mut self) -> rusqlite::Result<()> {
        // Whatever comes of it: if a reader holds on to the log, it isn't tried again
        // at every commit.
        self.written_back = self.log_pages.load(Ordering::Relaxed);
        self.conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
    }

    /// All of a group but its end.
    fn write<'a>(
        &mut self,
        requests: impl Iterator<Item = &'a Request>,
    ) -> rusqlite::Result<Vec<Result<Applied, DatabaseError>>> {
        let mut all = Vec::with_capacity(requests.size_hint().0);
        for request in requests {
            all.push(match self.apply(request) {
                Err(Fault::Sqlite(error)) => return Err(error),
                Err(Fault::Database(error)) => Err(error),
                Ok(applied) => Ok(applied),
            });
        }
        if self.clock.last() > self.stored {
            schema::store_floor(&self.conn, self.seq, self.clock.last())?;
            self.stored = self.clock.last();
        }
        Ok(all)
    }

    /// Gives [`Fault::Database`] only while nothing is written for the request, so
    /// that its neighbours in the group needn't be undone for it.
    fn apply(&mut self, request: &Request) -> Result<Applied, Fault> {
        match request {
            Request::Commit(writes) => self.commit(writes),
            Request::Merge(incoming) => self.merge(incoming),
            other => {
                let done = Some(self.note(other)?);
                Ok(Applied { done, ..Applied::nothing(self.seq) })
            }
        }
    }

    /// Stores what is neither a commit nor a merge.
    fn note(&mut self, request: &Request) -> Result<Done, Fault> {
        let Self { conn, dictionary, .. } = self;
        Ok(match request {
            Request::Commit(_) | Request::Merge(_) => unreachable!("they take a seq"),
            Request::SetRole(role) => {
                schema::store_role(conn, *role)?;
                self.identity.role = *role;
                Done::Identify(self.identity.clone())
            }
            Request::Renew(node) => {
                let identity = self.identity.clone().renewed(*node);
                schema::store_node(conn, &identity)?;
                self.identity = identity.clone();
                Done::Identify(identity)
            }
            Request::Announce => {
                if let Some(change) = self.lineage.announce() {
                    schema::store_span(conn, change)?;
                    self.lineage.apply(change);
                }
                Done::Announce(self.lineage.history(self.seq))
            }
            Request::Register(peer, name, holds) => {
                let purged = schema::purged(conn)?;
                peers::register(conn, *peer, name, *holds, self.wall.now_ms())?;
                Done::Register(purged)
            }
            Request::Settle(settled) => {
                peers::settle(conn, settled, self.wall.now_ms())?;
                Done::Settle
            }
            Request::Unregister(peer) => Done::Unregister(peers::unregister(conn, *peer)?),
            Request::Share(audience, records, withdrawn) => {
                shares::add(conn, dictionary, audience, records, *withdrawn)?;
                Done::Share
            }
            Request::Purge(through, silent_since_ms) => {
                let purge = peers::purge(conn, dictionary, *through, *silent_since_ms)?;
                self.forgotten = self.forgotten.max(purge.forgotten);
                if purge.purged.removed > 0 {
                    // The last row may have gone, and told the head, the clock and the places.
                    schema::store_floor(conn, self.seq, self.clock.last())?;
                    self.stored = self.clock.last();
                    self.places.store(conn)?;
                }
                Done::Purge(purge)
            }
        })
    }

    fn commit(&mut self, writes: &[Write]) -> Result<Applied, Fault> {
        check_count(writes)?;
        // A transaction that fails leaves the clock as it was.
        let mut clock = self.clock.clone();
        let (node, role, wall_ms) = (self.identity.node, self.identity.role, self.wall.now_ms());
        let (clock_now, forgotten) = (&mut clock, self.forgotten.epoch);
        let mut stamper = Stamper { clock: clock_now, wall_ms, node, role, forgotten, bytes: 0 };
        let mut staged = Staged::new(writes.len());
        let mut operations = Vec::with_capacity(writes.len());
        let mut lookup = Lookup::new(&self.conn, &mut self.dictionary, &mut self.last_keys);
        for write in writes {
            let load = |collection: &_, key: &_| lookup.find(collection, key);
            staged.write(write, &mut stamper, &mut operations, load)?;
        }
        drop(lookup);
        self.advance(clock)?;
        let changed = self.store(&staged)?;
        Ok(Applied { changed, operations, ..Applied::nothing(self.seq) })
    }

    fn merge(&mut self, incoming: &Incoming) -> Result<Applied, Fault> {
        let mut clock = self.clock.clone();
        let mut staged = Staged::new(incoming.operations.len());
        let (mut merging, forgotten) = (Merging::default(), self.forgotten);
        if let Some((audience, names)) = incoming.shared() {
            let withdrawn = shares::find(&self.conn, audience, &names)?;
            merging.heard = Heard::new(names, withdrawn, incoming.holds);
        }
        let mut lookup = Lookup::new(&self.conn, &mut self.dictionary, &mut self.last_keys);
        for operation in &incoming.operations {
            clock.observe(operation.version.hlc.max(operation.version.epoch));
            let load = |collection: &_, key: &_| lookup.find(collection, key);
            staged.join(incoming, operation, forgotten, &mut merging, load)?;
        }
        drop(lookup);
        staged.judge(incoming, &mut merging);
        let (found, max) = (staged.len(), TRANSACTION_WRITES_MAX);
        if found > max {
            return Err(WriteError::TooMany { found, max }.into());
        }
        self.advance(clock)?;
        if let Some(limit) = &incoming.limit {
            let audience = &limit.audience;
            let (conn, dictionary, next) = (&self.conn, &mut self.dictionary, self.seq.next());
            shares::add(conn, dictionary, audience, &merging.heard.anew(), Seq::ZERO)?;
            shares::add(conn, dictionary, audience, &merging.refused, next)?;
        }
        if let Some(reached) = incoming.checkpoint {
            self.places.reach(&self.conn, incoming.peer, reached)?;
        }
        let changed = self.store(&staged)?;
        if !changed && incoming.checkpoint.is_some() {
            self.places.store(&self.conn)?;
        }
        let parts = staged.parts(&merging);
        let Merging { conflicts, most, refused, withdrawn, .. } = merging;
        let merged = Applied { changed, parts, most, conflicts, ..Applied::nothing(self.seq) };
        Ok(Applied { refused, withdrawn, ..merged })
    }

    /// Sets the clock, but never to where the next opening would refuse it.
    fn advance(&mut self, clock: HlcClock) -> Result<(), DatabaseError> {
        let (found, max) = (clock.last(), schema::CLOCK_MAX);
        if found > max {
            return Err(DatabaseError::Failed {
                action: "stamp the transaction; set the clock that is wrong",
                source: format!("its clock is {found}, the greatest allowed {max}").into(),
            });
        }
        self.clock = clock;
        Ok(())
    }

    /// Moves the changed records to the end of the feed, under the next seq. The
    /// last of them keeps the clock, and how far feeds of peers are merged.
    fn store(&mut self, staged: &Staged<'_, Place>) -> rusqlite::Result<bool> {
        if staged.is_empty() {
            return Ok(false);
        }
        let seq = self.seq.next();
        if let Some(change) = self.lineage.commit(seq) {
            schema::store_span(&self.conn, change)?;
            self.lineage.apply(change);
        }
        self.places.tend(&self.conn)?;
        let Self { conn, dictionary, last_keys, .. } = self;
        let insert_sql = "INSERT INTO records(position, collection, live, ending, key, state)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let update_sql = "UPDATE records SET position = ?1, live = ?2, ending = ?3, state = ?4 WHERE position = ?5";
        let (mut insert, mut update) = (None, None);
        let mut bytes = Vec::with_capacity(STATE_BYTES);
        let mut ending = Vec::with_capacity(ENDING_BYTES);
        self.places.encode(self.clock.last(), &mut ending);
        for (number, Touched { collection, stored, state, .. }) in staged.changed().enumerate() {
            bytes.clear();
            state::encode(state, dictionary, conn, &mut bytes)?;
            let (position, live) = (schema::position(seq, number), schema::live(state));
            let is_last = number + 1 == staged.len();
            let ending = is_last.then_some(&ending);
            let Place { key, position: before } = &stored.place;
            if let Some(before) = before {
                let update = once(&mut update, conn, update_sql)?;
                update.execute((position, live, ending, &bytes, before))?;
            } else {
                let collection = dictionary.names.intern(conn, collection)?.cast_signed();
                let insert = once(&mut insert, conn, insert_sql)?;
                insert.execute((position, collection, live, ending, key, &bytes))?;
                last_keys.add(collection, key);
            }
        }
        self.seq = seq;
        self.stored = self.clock.last();
        Ok(true)
    }
}

impl Applied {
    fn nothing(head: Seq) -> Self {
        let (operations, parts, conflicts) = (Vec::new(), Parts::default(), Vec::new());
        let (refused, withdrawn) = (Vec::new(), Vec::new());
        let (changed, most, done) = (false, Joined::Nothing, None);
        Self { head, changed, operations, parts, most, conflicts, refused, withdrawn, done }
    }

    /// What to answer, once it is committed.
    pub(crate) fn done(self, request: Request) -> Done {
        match request {
            Request::Commit(_) => {
                let committed = Committed::new(self.head, Origin::Local, self.operations);
                Done::Commit(Arc::new(committed))
            }
            Request::Merge(incoming) => {
                let (origin, roots) = incoming.source(self.most);
                let committed = self.changed.then(|| {
                    let operations = self.parts.of(incoming.operations);
                    let committed = Committed::new(self.head, origin, operations);
                    Arc::new(committed.with_roots(roots))
                });
                let Self { conflicts, refused, withdrawn, .. } = self;
                Done::Merge(Merged { committed, conflicts, refused, withdrawn })
            }
            _ => self.done.expect("it was done"),
        }
    }

    /// Whether it took a seq.
    pub(crate) const fn changed(&self) -> bool {
        self.changed
    }
}
