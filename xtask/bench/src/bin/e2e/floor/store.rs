//! Rows in a B-tree, in memory or in `SQLite`'s file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use blaze_sync::Durability;
use rusqlite::Connection;

use super::{KEY_BYTES, ROW_BYTES};
use crate::spec::{Spec, Store};

const INSERT: &str = "INSERT INTO rows(key, value) VALUES (?1, ?2)";
const UPDATE: &str = "UPDATE rows SET value = ?2 WHERE key = ?1";
/// Rows that are larger would leave pages of their keys' tree for others, one by one,
/// so that they are faster in a table beside it.
const CLUSTERED_BYTES_MAX: usize = 512;

pub(super) enum RowStore {
    Nothing,
    Memory(BTreeMap<[u8; KEY_BYTES], Vec<u8>>),
    Sqlite(Connection),
}

impl RowStore {
    pub(super) fn open(spec: &Spec, name: &str) -> Result<Self> {
        Self::at(spec.case.store, &spec.directory, name, ROW_BYTES)
    }

    /// A store for rows of about this size.
    pub(super) fn at(store: Store, directory: &Path, name: &str, row_bytes: usize) -> Result<Self> {
        match store {
            Store::Nothing => return Ok(Self::Nothing),
            Store::Memory => return Ok(Self::Memory(BTreeMap::new())),
            _ => {}
        }
        let conn = Connection::open(directory.join(format!("{name}.sqlite")))?;
        if store.encrypted() {
            // The key itself: deriving one from a password is no part of a commit.
            conn.execute_batch(&format!("PRAGMA key = \"x'{}'\"", "5a".repeat(32)))?;
        }
        conn.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match store.durability() {
            Durability::Disk => "FULL",
            Durability::Process | Durability::Memory => "NORMAL",
        };
        let layout = if row_bytes <= CLUSTERED_BYTES_MAX { "WITHOUT ROWID" } else { "" };
        // The log and the cache have the sizes that Blaze gives them.
        conn.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 10000;
             CREATE TABLE rows(key BLOB PRIMARY KEY, value BLOB) {layout}"
        ))?;
        Ok(Self::Sqlite(conn))
    }

    /// Commits the rows of a frame as one transaction.
    pub(super) fn insert(&mut self, frame: &[u8]) -> Result<()> {
        self.insert_sized(frame, ROW_BYTES)
    }

    /// As [`insert`](Self::insert), with rows of another size.
    pub(super) fn insert_sized(&mut self, frame: &[u8], row_bytes: usize) -> Result<()> {
        self.write(INSERT, frame, row_bytes)
    }

    /// Replaces the values of rows that are there, as one transaction.
    pub(super) fn update_sized(&mut self, frame: &[u8], row_bytes: usize) -> Result<()> {
        self.write(UPDATE, frame, row_bytes)
    }

    fn write(&mut self, statement: &str, frame: &[u8], row_bytes: usize) -> Result<()> {
        let rows = frame.chunks_exact(row_bytes).map(|row| row.split_at(KEY_BYTES));
        match self {
            Self::Nothing => {}
            Self::Memory(map) => {
                for (key, value) in rows {
                    map.insert(key.try_into()?, value.to_vec());
                }
            }
            // A statement of its own is a transaction of its own.
            Self::Sqlite(conn) if rows.len() == 1 => {
                let mut write = conn.prepare_cached(statement)?;
                rows.into_iter().try_for_each(|row| write.execute(row).map(drop))?;
            }
            Self::Sqlite(conn) => {
                let transaction = conn.transaction()?;
                {
                    let mut write = transaction.prepare_cached(statement)?;
                    rows.into_iter().try_for_each(|row| write.execute(row).map(drop))?;
                }
                transaction.commit()?;
            }
        }
        Ok(())
    }

    /// Reads all rows in the order of their keys, in frames of so many bytes.
    pub(super) fn read(
        &self,
        frame_bytes: usize,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut frame = Vec::with_capacity(frame_bytes);
        let mut row = |key: &[u8], value: &[u8]| {
            frame.extend_from_slice(key);
            frame.extend_from_slice(value);
            if frame.len() >= frame_bytes {
                each(&frame)?;
                frame.clear();
            }
            anyhow::Ok(())
        };
        match self {
            Self::Nothing => {}
            Self::Memory(map) => map.iter().try_for_each(|(key, value)| row(key, value))?,
            Self::Sqlite(conn) => {
                let mut select = conn.prepare_cached("SELECT key, value FROM rows ORDER BY key")?;
                let mut rows = select.query([])?;
                while let Some(found) = rows.next()? {
                    row(found.get_ref(0)?.as_blob()?, found.get_ref(1)?.as_blob()?)?;
                }
            }
        }
        if frame.is_empty() { Ok(()) } else { each(&frame) }
    }

    pub(super) fn len(&self) -> Result<usize> {
        match self {
            Self::Nothing => Ok(0),
            Self::Memory(map) => Ok(map.len()),
            Self::Sqlite(conn) => {
                let count: i64 =
                    conn.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
                usize::try_from(count).context("a count is not negative")
            }
        }
    }
}
