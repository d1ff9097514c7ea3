//! One `SQLite` file that two processes share, and a copy of it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use blaze_sync::Durability;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, params};

use super::catalogue::Alternative;
use super::harness::{Read, Write};
use super::rows::{KEY_BYTES, Received, Row, stamp_of};
use crate::floor::pipe::Pipe;
use crate::spec::{Spec, monotonic_ns};

const INSERT: &str = "INSERT INTO rows(key, value) VALUES (?1, ?2)";
const POLLED_EACH: Duration = Duration::from_millis(1);
/// A writer that checkpoints may lock for so long, but doesn't.
const BUSY: Duration = Duration::from_secs(10);
/// All pages at once, as the backup API takes it.
const ALL_PAGES: i32 = -1;

/// Inserts into the file.
pub(super) struct Writer {
    conn: Connection,
    waiting: Waiting,
}

/// How a reader learns that there is something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Spin,
    Poll,
    /// It doesn't: it copies everything.
    Copy,
}

/// Reads what is new in the file.
pub(super) struct Reader {
    conn: Connection,
    waiting: Waiting,
    version: i64,
    last: [u8; KEY_BYTES],
    /// The file, for what copies it.
    source: PathBuf,
}

/// Opens a file with a table of rows, as durable as the spec says.
pub(super) fn open(spec: &Spec, name: &str) -> Result<Connection> {
    let conn = Connection::open(spec.directory.join(name))?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match spec.case.store.durability() {
        Durability::Disk => "FULL",
        Durability::Process | Durability::Memory => "NORMAL",
    };
    // As the floor has it.
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 10000;
         CREATE TABLE IF NOT EXISTS rows(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
    ))?;
    Ok(conn)
}

/// Commits the rows as one transaction.
pub(super) fn insert(conn: &Connection, rows: &[Row]) -> Result<()> {
    let mut insert = conn.prepare_cached(INSERT)?;
    let mut each = |row: &Row| insert.execute(params![row.key, row.value]).map(drop);
    // A statement of its own is a transaction of its own.
    if let [row] = rows {
        return Ok(each(row)?);
    }
    let transaction = conn.unchecked_transaction()?;
    rows.iter().try_for_each(each)?;
    Ok(transaction.commit()?)
}

pub(super) fn count(conn: &Connection) -> Result<usize> {
    let count: i64 = conn.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
    usize::try_from(count).context("a count is not negative")
}

impl Writer {
    pub(super) fn open(spec: &Spec, waiting: Waiting) -> Result<Self> {
        Ok(Self { conn: open(spec, SHARED)?, waiting })
    }
}

impl Write for Writer {
    fn commit(&mut self, rows: &[Row], _pipe: &mut Pipe) -> Result<()> {
        insert(&self.conn, rows)
    }

    fn pause(&self) {
        if self.waiting == Waiting::Poll {
            // The reader's acknowledgement and its sleep begin at the same time.
            std::thread::sleep(POLLED_EACH.mul_f64(fastrand::f64()));
        }
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        insert(&self.conn, rows)
    }
}

impl Waiting {
    /// Of the alternatives that these are.
    pub(super) fn of(alternative: Alternative) -> Self {
        match alternative {
            Alternative::SqliteSpin => Self::Spin,
            Alternative::SqlitePoll => Self::Poll,
            _ => Self::Copy,
        }
    }
}

impl Reader {
    pub(super) fn open(spec: &Spec, waiting: Waiting) -> Result<Self> {
        let name = if waiting == Waiting::Copy { "copy.sqlite" } else { SHARED };
        let conn = open(spec, name)?;
        let version = data_version(&conn)?;
        let source = spec.directory.join(SHARED);
        Ok(Self { conn, waiting, version, last: [0; KEY_BYTES], source })
    }

    /// Reads the rows after the last one; they may come in any number.
    fn read_new(&mut self) -> Result<Option<Received>> {
        let mut select =
            self.conn.prepare_cached("SELECT key, value FROM rows WHERE key > ?1 ORDER BY key")?;
        let mut found = select.query([self.last])?;
        let mut received = None;
        while let Some(row) = found.next()? {
            self.last = row.get_ref(0)?.as_blob()?.try_into()?;
            let stamp = stamp_of(row.get_ref(1)?.as_blob()?)?;
            let rows = received.map_or(0, |received: Received| received.rows);
            received = Some(Received { rows: rows + 1, stamp });
        }
        Ok(received)
    }
}

impl Read for Reader {
    fn receive(&mut self, _pipe: &mut Pipe) -> Result<Received> {
        loop {
            // Asked for before the rows are: what comes meanwhile changes it again.
            let version = data_version(&self.conn)?;
            if version != self.version {
                self.version = version;
                if let Some(received) = self.read_new()? {
                    return Ok(received);
                }
            } else if self.waiting == Waiting::Poll {
                std::thread::sleep(POLLED_EACH);
            }
        }
    }

    fn sync(&mut self, _rows: usize, _pipe: &mut Pipe) -> Result<()> {
        let source = Connection::open(&self.source)?;
        let deadline = monotonic_ns() + u64::try_from(BUSY.as_nanos())?;
        let backup = Backup::new(&source, &mut self.conn)?;
        while backup.step(ALL_PAGES)? != StepResult::Done {
            if monotonic_ns() > deadline {
                bail!("the file stays locked for over {BUSY:?}");
            }
        }
        Ok(())
    }

    fn len(&mut self) -> Result<usize> {
        count(&self.conn)
    }
}

/// Changes when another connection has committed.
fn data_version(conn: &Connection) -> Result<i64> {
    let mut version = conn.prepare_cached("PRAGMA data_version")?;
    Ok(version.query_row([], |row| row.get(0))?)
}

const SHARED: &str = "shared.sqlite";
