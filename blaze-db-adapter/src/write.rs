//! Local writes, and how they are stamped into operations.

use std::collections::BTreeMap;

use blaze_codec::{
    Change, Hlc, HlcClock, KeyError, Name, NodeId, Operation, Record, RecordKey, Role, Value,
    ValueError, Version,
};

use blaze_codec::message::TRANSACTION_BYTES_MAX;

use crate::{RecordState, size};

/// One local write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The record's collection.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// What to do.
    pub kind: WriteKind,
}

/// What a [`Write`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteKind {
    /// Makes a new record; refused if there is one.
    Insert(Record),
    /// Sets (`Some`) or removes (`None`) fields; refused if there is no record.
    Update(BTreeMap<Name, Option<Value>>),
    /// Makes the record equal to this one, whether it exists or not. Only fields
    /// that differ are written.
    Put(Record),
    /// Deletes the record; does nothing if there is none.
    Delete,
}

/// Why a write can't be done. Nothing of its transaction was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An insert under a key that is taken.
    #[error("{collection}/{key} exists already; update it, or put it to replace it")]
    Exists {
        /// The collection.
        collection: Name,
        /// The key.
        key: RecordKey,
    },
    /// An update of a record that doesn't exist.
    #[error("{collection}/{key} doesn't exist; insert it first")]
    NotFound {
        /// The collection.
        collection: Name,
        /// The key.
        key: RecordKey,
    },
    /// A key that is not allowed.
    #[error("the key of a record in {collection} is not allowed")]
    Key {
        /// The collection.
        collection: Name,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A value, or a record as a whole, that breaks a limit.
    #[error("{collection}/{key} can't be stored")]
    Value {
        /// The collection.
        collection: Name,
        /// The key.
        key: RecordKey,
        /// Which limit.
        #[source]
        source: ValueError,
    },
    /// More writes than one transaction may have.
    #[error("a transaction of {found} writes is too large, at most {max} are allowed; split it")]
    TooMany {
        /// Writes found.
        found: usize,
        /// Writes allowed.
        max: usize,
    },
    /// A transaction of more bytes than may cross a link.
    #[error("a transaction of {found} bytes is too large, at most {max} are allowed; split it")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// Gives the writes of one transaction their versions, inside the database's own
/// transaction. Every adapter's `commit` goes through it.
#[derive(Debug)]
pub struct Stamper<'a> {
    /// The database's clock.
    pub clock: &'a mut HlcClock,
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The database's node.
    pub node: NodeId,
    /// The database's role.
    pub role: Role,
    /// The greatest epoch of the tombstones that are gone ([`Hlc::ZERO`] if none is): a
    /// record that doesn't exist may have been one of them, and is still one at others.
    /// What is written anew must lie above that.
    pub forgotten: Hlc,
    /// An upper bound of the transaction's bytes so far; starts at 0.
    pub bytes: usize,
}

/// The most writes in one transaction.
pub const TRANSACTION_WRITES_MAX: usize = 1 << 20;

/// Checks a transaction's number of writes.
///
/// # Errors
///
/// [`WriteError::TooMany`] if there are more than [`TRANSACTION_WRITES_MAX`].
pub fn check_count(writes: &[Write]) -> Result<(), WriteError> {
    let (found, max) = (writes.len(), TRANSACTION_WRITES_MAX);
    if found > max {
        return Err(WriteError::TooMany { found, max });
    }
    Ok(())
}

impl Stamper<'_> {
    /// Adds the operations of a write, given the record's state, and joins them into that
    /// state. If there is none, nothing changes.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if the write can't be done, or if the transaction's bytes
    /// exceed [`TRANSACTION_BYTES_MAX`]; neither `state` nor `operations` are to be stored
    /// then.
    pub fn stamp(
        &mut self,
        write: &Write,
        state: &mut RecordState,
        operations: &mut Vec<Operation>,
    ) -> Result<(), WriteError> {
        let before = operations.len();
        self.add(write, state, operations)?;
        for operation in &operations[before..] {
            operation.check().map_err(|source| WriteError::Value {
                collection: write.collection.clone(),
                key: write.key.clone(),
                source,
            })?;
            self.bytes += size::bytes_max(operation);
        }
        let (found, max) = (self.bytes, TRANSACTION_BYTES_MAX);
        if found > max {
            return Err(WriteError::TooLarge { found, max });
        }
        Ok(())
    }

    fn add(
        &mut self,
        write: &Write,
        state: &mut RecordState,
        operations: &mut Vec<Operation>,
    ) -> Result<(), WriteError> {
        let Write { collection, key, kind } = write;
        key.check().map_err(|source| WriteError::Key { collection: collection.clone(), source })?;
        match kind {
            WriteKind::Insert(_) if state.exists() => {
                return Err(WriteError::Exists {
                    collection: collection.clone(),
                    key: key.clone(),
                });
            }
            WriteKind::Update(_) if !state.exists() => {
                return Err(WriteError::NotFound {
                    collection: collection.clone(),
                    key: key.clone(),
                });
            }
            WriteKind::Put(record) if state.exists() => {
                self.update(write, state, difference(state, record), operations);
            }
            WriteKind::Insert(record) | WriteKind::Put(record) => {
                let change = Change::Insert(record.clone());
                operations.push(self.operation(write, state, state.base(self.node), change));
            }
            WriteKind::Update(fields) => {
                let differs = |(name, value): &(&Name, &Option<Value>)| {
                    state.visible_field(name) != value.as_ref()
                };
                let fields = fields.iter().filter(differs);
                let fields = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
                self.update(write, state, fields, operations);
            }
            WriteKind::Delete if state.exists() => {
                let base = state.base(self.node);
                operations.push(self.operation(write, state, base, Change::Delete));
            }
            WriteKind::Delete => {}
        }
        Ok(())
    }

    /// One operation for each base: fields that were last written together share it.
    fn update(
        &mut self,
        write: &Write,
        state: &mut RecordState,
        fields: Vec<(Name, Option<Value>)>,
        operations: &mut Vec<Operation>,
    ) {
        let mut by_base: BTreeMap<Version, Vec<(Name, Option<Value>)>> = BTreeMap::new();
        for (name, value) in fields {
            by_base.entry(state.field_base(&name, self.node)).or_default().push((name, value));
        }
        for (base, fields) in by_base {
            operations.push(self.operation(write, state, base, Change::Update(fields)));
        }
    }

    fn operation(
        &mut self,
        write: &Write,
        state: &mut RecordState,
        base: Version,
        change: Change,
    ) -> Operation {
        let seen = state.version();
        // What was seen may come from a peer whose clock is ahead.
        self.clock.observe(seen.hlc.max(seen.epoch));
        let hlc = self.clock.tick(self.wall_ms);
        #[cfg(feature = "canary")]
        let hlc = if crate::canary::is(crate::canary::Canary::ClockFromWall) {
            *self.clock = HlcClock::default();
            self.clock.tick(self.wall_ms)
        } else {
            hlc
        };
        let role = self.role;
        #[cfg(feature = "canary")]
        let role = if crate::canary::is(crate::canary::Canary::ServerLikeClient) {
            Role::Client
        } else {
            role
        };
        let forgotten = if state.exists() { Hlc::ZERO } else { self.forgotten };
        let epoch = match role {
            Role::Server => hlc,
            Role::Client => seen.epoch.max(forgotten),
        };
        let operation = Operation {
            collection: write.collection.clone(),
            key: write.key.clone(),
            version: Version { epoch, hlc, node: self.node },
            base,
            change,
        };
        let mut conflicts = Vec::new();
        state.merge(&operation, &mut conflicts);
        debug_assert!(conflicts.is_empty(), "a local write knows what it replaces: {conflicts:?}");
        operation
    }
}

fn difference(state: &RecordState, record: &Record) -> Vec<(Name, Option<Value>)> {
    let mut fields: BTreeMap<Name, Option<Value>> = BTreeMap::new();
    for (name, _) in state.visible().filter(|(name, _)| record.get(name).is_none()) {
        fields.insert(name.clone(), None);
    }
    for (name, value) in
        record.iter().filter(|(name, value)| state.visible_field(name) != Some(value))
    {
        fields.insert(name.clone(), Some(value.clone()));
    }
    fields.into_iter().collect()
}
