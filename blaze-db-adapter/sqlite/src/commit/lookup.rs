//! What is stored of the records that a transaction touches.

use std::collections::BTreeMap;

use blaze_codec::{DecodeError, Name, RecordKey};
use blaze_db_adapter::{RecordState, Stored, WriteError};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::{schema, state};

/// Collections whose last key is remembered.
const COLLECTIONS_MAX: usize = 1024;

/// The last key of each collection that was asked for, by its number: keys mostly ascend
/// with time, and what is beyond the last needs no search. (Where that was removed since,
/// some are searched for in vain.)
#[derive(Debug, Default)]
pub(super) struct LastKeys(BTreeMap<i64, Vec<u8>>);

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
    last_keys: &'c mut LastKeys,
    select: Option<CachedStatement<'c>>,
    /// The collection that was asked for last, and its number, if it has any record.
    collection: Option<(Name, Option<i64>)>,
}

impl LastKeys {
    /// Whether a collection has nothing at a key or beyond.
    fn is_beyond(
        &mut self,
        conn: &Connection,
        collection: i64,
        key: &[u8],
    ) -> rusqlite::Result<bool> {
        if let Some(last) = self.0.get(&collection) {
            return Ok(key > &last[..]);
        }
        let select = "SELECT key FROM records WHERE collection = ?1 ORDER BY key DESC LIMIT 1";
        let last = conn.prepare_cached(select)?.query_row([collection], |row| row.get(0));
        // Every key is beyond none.
        let last: Vec<u8> = last.optional()?.unwrap_or_default();
        let is_beyond = key > &last[..];
        if self.0.len() >= COLLECTIONS_MAX {
            self.0.clear();
        }
        self.0.insert(collection, last);
        Ok(is_beyond)
    }

    /// Notes that a collection has a record at a key.
    pub(super) fn add(&mut self, collection: i64, key: &[u8]) {
        if let Some(last) = self.0.get_mut(&collection)
            && key > &last[..]
        {
            last.clear();
            last.extend_from_slice(key);
        }
    }
}

impl<'c> Lookup<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        dictionary: &'c mut Dictionary,
        last_keys: &'c mut LastKeys,
    ) -> Self {
        Self { conn, dictionary, last_keys, select: None, collection: None }
    }

    /// What is known of a record, and where it is.
    pub(super) fn find(
        &mut self,
        collection: &Name,
        key: &RecordKey,
    ) -> Result<(Stored<Place>, RecordState), Fault> {
        key.check().map_err(|source| WriteError::Key { collection: collection.clone(), source })?;
        let key = key.to_bytes();
        let number = match &self.collection {
            Some((name, number)) if name == collection => *number,
            _ => {
                let number = self.dictionary.names.cached(collection).map(u64::cast_signed);
                self.collection = Some((collection.clone(), number));
                number
            }
        };
        let Some(number) = number else { return Ok(unknown(key)) };
        if self.last_keys.is_beyond(self.conn, number, &key)? {
            return Ok(unknown(key));
        }
        let select = "SELECT position, state FROM records WHERE collection = ?1 AND key = ?2";
        let select = once(&mut self.select, self.conn, select)?;
        let mut rows = select.query((number, &key))?;
        let Some(row) = rows.next()? else { return Ok(unknown(key)) };
        let malformed = |_| DecodeError::Malformed { what: "state", at: 0 };
        let bytes = row.get_ref(1)?.as_blob().map_err(malformed)?;
        let (position, state) = (row.get(0)?, state::decode(bytes, self.dictionary, self.conn)?);
        let place = Place { key, position: Some(position) };
        Ok((Stored { seq: Some(schema::seq_of(position)), place }, state))
    }
}

/// A statement of a transaction, prepared when it is first needed.
pub(super) fn once<'s, 'c>(
    prepared: &'s mut Option<CachedStatement<'c>>,
    conn: &'c Connection,
    statement: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
    match prepared {
        Some(prepared) => Ok(prepared),
        none => Ok(none.insert(conn.prepare_cached(statement)?)),
    }
}

fn unknown(key: Vec<u8>) -> (Stored<Place>, RecordState) {
    (Stored { seq: None, place: Place { key, position: None } }, RecordState::default())
}
