//! Names and node ids as small numbers: stored once, cached in memory.
//!
//! Numbers are handed out in order from 0 and never reused once committed, so a
//! cache only ever grows at its end. A connection whose transaction was rolled
//! back must drop its dictionary: numbers of that transaction may come to mean
//! something else.

use std::collections::HashMap;
use std::hash::Hash;

use blaze_codec::{DecodeError, Name, NodeId, Record, Value};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::fault::Fault;

/// What one connection knows of the tables `names` and `nodes`.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    pub(crate) names: Interned<Name>,
    pub(crate) nodes: Interned<NodeId>,
    /// The names that were asked for last, as the next record is likely to have them too.
    latest: (Vec<Name>, Vec<u64>),
    /// The numbers of the names that were read last, and a record that has these names.
    read: (Vec<u64>, Record),
}

impl Dictionary {
    /// A record of the names that have these numbers, with as many values. At `at` they were
    /// read.
    pub(crate) fn record_of(
        &mut self,
        conn: &Connection,
        ids: &[u64],
        values: Vec<Value>,
        at: usize,
    ) -> Result<Record, Fault> {
        if self.read.0 != ids {
            let names = ids.iter().map(|id| self.names.entry(conn, *id, at));
            let names = names.collect::<Result<Vec<_>, _>>()?;
            if !names.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError::Malformed { what: "order of fields", at }.into());
            }
            let record = names.into_iter().map(|name| (name, Value::Null)).collect();
            self.read = (ids.to_vec(), record);
        }
        let record = self.read.1.with_values(values);
        record.ok_or_else(|| DecodeError::Malformed { what: "fields", at }.into())
    }

    /// The numbers of a record's names, which are stored if they are new. Only for the
    /// writing connection.
    pub(crate) fn names_of(
        &mut self,
        conn: &Connection,
        names: &[Name],
    ) -> rusqlite::Result<&[u64]> {
        if self.latest.0 != names {
            let ids = names.iter().map(|name| self.names.intern(conn, name));
            self.latest = (names.to_vec(), ids.collect::<Result<_, _>>()?);
        }
        Ok(&self.latest.1)
    }
}

/// Something stored in a table of its own, by number.
pub(crate) trait Entry: Clone + Eq + Hash {
    const WHAT: &'static str;
    const SELECT: &'static str;
    const INSERT: &'static str;

    fn to_sql(&self) -> ToSqlOutput<'_>;
    fn from_sql(value: ValueRef<'_>) -> Option<Self>;
}

impl Entry for Name {
    const WHAT: &'static str = "name id";
    const SELECT: &'static str = "SELECT id, value FROM names WHERE id >= ?1 ORDER BY id";
    const INSERT: &'static str = "INSERT INTO names(id, value) VALUES (?1, ?2)";

    fn to_sql(&self) -> ToSqlOutput<'_> {
        self.as_str().into()
    }

    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        Self::new(value.as_str().ok()?).ok()
    }
}

impl Entry for NodeId {
    const WHAT: &'static str = "node id";
    const SELECT: &'static str = "SELECT id, value FROM nodes WHERE id >= ?1 ORDER BY id";
    const INSERT: &'static str = "INSERT INTO nodes(id, value) VALUES (?1, ?2)";

    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes()))
    }

    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok()?.try_into().ok().map(Self::from_bytes)
    }
}

/// One table's entries; the number of each is its place.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    entries: Vec<T>,
    ids: HashMap<T, u64>,
    /// The place of the one that was asked for last: the next is likely to be the same.
    latest: usize,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), ids: HashMap::new(), latest: 0 }
    }
}

impl<T: Entry> Interned<T> {
    /// The number of an entry that is stored.
    pub(crate) fn find(&mut self, conn: &Connection, entry: &T) -> Result<Option<u64>, Fault> {
        if let Some(&id) = self.ids.get(entry) {
            return Ok(Some(id));
        }
        self.extend(conn)?;
        Ok(self.ids.get(entry).copied())
    }

    /// The entry of a number that was read from the database.
    pub(crate) fn entry(&mut self, conn: &Connection, id: u64, at: usize) -> Result<T, Fault> {
        let place = usize::try_from(id).unwrap_or(usize::MAX);
        if place >= self.entries.len() {
            self.extend(conn)?;
        }
        let entry = self.entries.get(place).cloned();
        entry.ok_or_else(|| DecodeError::Malformed { what: T::WHAT, at }.into())
    }

    /// The number of an entry, which is stored if it is new. Only for the writing
    /// connection, whose dictionary is complete.
    pub(crate) fn intern(&mut self, conn: &Connection, entry: &T) -> rusqlite::Result<u64> {
        if self.entries.get(self.latest).is_some_and(|latest| latest == entry) {
            return Ok(self.latest as u64);
        }
        let next = self.entries.len();
        if let Some(&id) = self.ids.get(entry) {
            self.latest = usize::try_from(id).unwrap_or(next);
            return Ok(id);
        }
        let id = next as u64;
        conn.prepare_cached(T::INSERT)?.execute((id.cast_signed(), entry.to_sql()))?;
        self.push(entry.clone());
        Ok(id)
    }

    /// The number of an entry, if it is cached.
    pub(crate) fn cached(&self, entry: &T) -> Option<u64> {
        self.ids.get(entry).copied()
    }

    /// Reads what was added since.
    pub(crate) fn extend(&mut self, conn: &Connection) -> Result<(), Fault> {
        let mut statement = conn.prepare_cached(T::SELECT)?;
        let mut rows = statement.query([(self.entries.len() as u64).cast_signed()])?;
        while let Some(row) = rows.next()? {
            let at = self.entries.len();
            let next = row.get::<_, i64>(0)?.cast_unsigned() == at as u64;
            let entry = T::from_sql(row.get_ref(1)?).filter(|_| next);
            self.push(entry.ok_or(DecodeError::Malformed { what: T::WHAT, at })?);
        }
        Ok(())
    }

    fn push(&mut self, entry: T) {
        self.ids.insert(entry.clone(), self.entries.len() as u64);
        self.entries.push(entry);
    }
}
