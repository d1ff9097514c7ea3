//! The records that a transaction touches, each read once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use blaze_codec::{Name, Operation, RecordKey};
use blaze_db_adapter::{RecordState, WriteError};

use super::Writing;
use crate::fault::Fault;

/// What a merge's commit has of an operation.
#[derive(Debug)]
pub(super) enum Part {
    Nothing,
    Operation,
    /// All of the record instead.
    Record(Vec<Operation>),
}

/// A record that a transaction touches.
pub(super) struct Touched<'a> {
    pub(super) collection: &'a Name,
    pub(super) key: Vec<u8>,
    pub(super) position: Option<i64>,
    pub(super) state: RecordState,
    pub(super) changed: bool,
    /// Whether a merge's commit has all of it.
    pub(super) whole: bool,
}

/// The records that a transaction touches, and those it changes in that order.
#[derive(Default)]
pub(super) struct Staged<'a> {
    places: HashMap<(&'a Name, &'a RecordKey), usize>,
    pub(super) records: Vec<Touched<'a>>,
    pub(super) changed: Vec<usize>,
}

impl<'a> Staged<'a> {
    /// The place of a record, which is read if the transaction meets it first.
    pub(super) fn place(
        &mut self,
        writing: &mut Writing,
        collection: &'a Name,
        key: &'a RecordKey,
    ) -> Result<usize, Fault> {
        let entry = match self.places.entry((collection, key)) {
            Entry::Occupied(entry) => return Ok(*entry.get()),
            Entry::Vacant(entry) => entry,
        };
        key.check().map_err(|source| WriteError::Key { collection: collection.clone(), source })?;
        let key = key.to_bytes();
        let (position, state) = writing.load(collection, &key)?;
        self.records.push(Touched {
            collection,
            key,
            position,
            state,
            changed: false,
            whole: false,
        });
        Ok(*entry.insert(self.records.len() - 1))
    }

    /// What a merge's commit has of an operation to the record in a place.
    pub(super) fn part(&mut self, operation: &Operation, place: Option<usize>) -> Part {
        let Some(record) = place.map(|place| &mut self.records[place]) else {
            return Part::Nothing;
        };
        match (record.whole, std::mem::take(&mut record.changed)) {
            (false, _) => Part::Operation,
            (true, true) => {
                Part::Record(record.state.operations(&operation.collection, &operation.key))
            }
            (true, false) => Part::Nothing,
        }
    }

    pub(super) fn mark(&mut self, place: usize, changed: bool) {
        if changed && !std::mem::replace(&mut self.records[place].changed, true) {
            self.changed.push(place);
        }
    }
}
