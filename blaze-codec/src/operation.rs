//! Operations: the unit of replication.

use crate::{Name, Record, RecordKey, Value, Version};

/// What an [`Operation`] does to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Starts a new life of the record with these fields.
    Insert(Record),
    /// Sets (`Some`) or removes (`None`) fields, in ascending order of their
    /// names, each name once.
    Update(Vec<(Name, Option<Value>)>),
    /// Ends the record's life.
    Delete,
}

/// One record's change at one version.
///
/// `base` is what the writer knew: the greatest version that the registers
/// which it changes had before. A version between `base` and `version` is one
/// that the writer didn't know of, and so a true conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The collection of the record.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// When and by whom it was written.
    pub version: Version,
    /// The version that it replaced; [`Version::ZERO`] if there was none.
    pub base: Version,
    /// What it does.
    pub change: Change,
}
