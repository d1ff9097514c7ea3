//! What is stored of the records that a transaction touches.

use blaze_codec::{DecodeError, Name, RecordKey};
use blaze_db_adapter::{RecordState, Stored, WriteError};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::{schema, state};

/// Of how many records on it pays to ask first which key is the last: keys mostly ascend
/// with time, and what is beyond the last needs no search.
const MANY: usize = 16;

/// Where a record is in the table.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Its key, as stored.
    pub(super) key: Vec<u8>,
    pub(super) position: Option<i64>,
}

/// Finds one record after the other. Nothing is to be stored meanwhile.
pub(super) struct Lookup<'c> {
    conn: &'c Connection,
    dictionary: &'c mut Dictionary,
    select: CachedStatement<'c>,
    many: bool,
    last: Option<Collection>,
}

/// The collection that was asked for last.
struct Collection {
    name: Name,
    /// Its number, if it has any record.
    id: Option<i64>,
    /// Its last key, if that is known.
    greatest: Option<Vec<u8>>,
}

impl<'c> Lookup<'c> {
    /// For about so many records.
    pub(super) fn new(
        conn: &'c Connection,
        dictionary: &'c mut Dictionary,
        count: usize,
    ) -> rusqlite::Result<Self> {
        let select = "SELECT position, state FROM records WHERE collection = ?1 AND key = ?2";
        let select = conn.prepare_cached(select)?;
        Ok(Self { conn, dictionary, select, many: count >= MANY, last: None })
    }

    /// What is known of a record, and where it is.
    pub(super) fn find(
        &mut self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<(Stored<Place>, RecordState), Fault> {
        key.check().map_err(|source| WriteError::Key { collection: collection.clone(), source })?;
        let key = key.to_bytes();
        let last = match self.last.take().filter(|last| last.name == *collection) {
            Some(last) => last,
            None => self.collection(collection)?,
        };
        let Collection { id, greatest, .. } = self.last.insert(last);
        let beyond = greatest.as_ref().is_some_and(|greatest| key > *greatest);
        let Some(id) = id.filter(|_| !beyond) else { return Ok(unknown(key)) };
        let mut rows = self.select.query((id, &key))?;
        let Some(row) = rows.next()? else { return Ok(unknown(key)) };
        let malformed = |_| DecodeError::Malformed { what: "state", at: 0 };
        let bytes = row.get_ref(1)?.as_blob().map_err(malformed)?;
        let (position, state) = (row.get(0)?, state::decode(bytes, self.dictionary, self.conn)?);
        let place = Place { key, position: Some(position) };
        Ok((Stored { seq: Some(schema::seq_of(position)), place }, state))
    }

    fn collection(&self, name: &Name) -> rusqlite::Result<Collection> {
        let id = self.dictionary.names.cached(name).map(u64::cast_signed);
        let greatest = match id.filter(|_| self.many) {
            None => None,
            Some(id) => {
                let select =
                    "SELECT key FROM records WHERE collection = ?1 ORDER BY key DESC LIMIT 1";
                let mut select = self.conn.prepare_cached(select)?;
                // Every key is beyond none.
                Some(select.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default())
            }
        };
        Ok(Collection { name: name.clone(), id, greatest })
    }
}

fn unknown(key: Vec<u8>) -> (Stored<Place>, RecordState) {
    (Stored { seq: None, place: Place { key, position: None } }, RecordState::default())
}
