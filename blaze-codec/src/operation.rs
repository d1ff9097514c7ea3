//! Operations: the unit of replication.

use crate::{Hlc, Name, NodeId, Record, RecordKey, Value, Version};

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
/// ```
/// use blaze_codec::{Change, Hlc, Name, NodeId, Operation, RecordKey, Version};
///
/// let node = NodeId::from_bytes([7; 16]);
/// let operation = Operation {
///     collection: Name::new("notes")?,
///     key: RecordKey::from(7),
///     version: Version { epoch: Hlc::ZERO, hlc: Hlc::from_millis(1_000), node },
///     base: Version::ZERO,
///     change: Change::Update(vec![(Name::new("done")?, Some(true.into()))]),
/// };
/// operation.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `base` is what the writer knew of others: the greatest version of another
/// author that it had seen in what it changes. Another author's version between
/// `base` and `version` is one that the writer didn't know of, and so a true
/// conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The collection of the record.
    pub collection: Name,
    /// The record.
    pub key: RecordKey,
    /// When and by whom it was written.
    pub version: Version,
    /// The greatest version of another author that it replaced;
    /// [`Version::ZERO`] if there was none.
    pub base: Version,
    /// What it does.
    pub change: Change,
}

impl Operation {
    /// The version of all withdrawals: below any that a writer makes.
    pub const WITHDRAWN: Version =
        Version { epoch: Hlc::ZERO, hlc: Hlc::from_bits(1), node: NodeId::ZERO };

    /// Says that the reader may not see a record any more, which isn't deleted: an update of no
    /// field. It tells nothing else of the record, neither when nor by whom it was changed.
    pub const fn withdrawal(collection: Name, key: RecordKey) -> Self {
        let change = Change::Update(Vec::new());
        Self { collection, key, version: Self::WITHDRAWN, base: Version::ZERO, change }
    }

    /// Whether it is a [withdrawal](Self::withdrawal).
    pub const fn is_withdrawal(&self) -> bool {
        matches!(&self.change, Change::Update(fields) if fields.is_empty())
    }
}
