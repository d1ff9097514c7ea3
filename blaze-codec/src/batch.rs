//! Batches of operations in BlazeBinary.
//!
//! What operations have in common is written once: names, nodes, and *shapes*,
//! that is, a collection with a kind of change, a kind of key and a list of
//! fields. [`BatchRef`](crate::view::BatchRef) reads a batch in place.

mod cursor;
mod shape;
mod stamp;
mod writer;

pub(crate) use cursor::{Cursor, Head};
pub(crate) use shape::{ChangeKind, KeyKind, Tables};

use crate::reader::Reader;
use crate::{Change, DecodeError, Operation, RecordKey};

/// The format version that this build writes, and the newest that it reads.
pub const VERSION: u8 = 1;

/// Appends the batch of `operations` to `out`.
///
/// Operations that pass [`Operation::check`] can be decoded again, and batches
/// of equal operations are equal bytes.
///
/// ```
/// use blaze_codec::{Change, Name, Operation, RecordKey, Version, batch, record};
///
/// let operation = Operation {
///     collection: Name::new("notes")?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello" }),
/// };
/// let mut bytes = Vec::new();
/// batch::encode(std::slice::from_ref(&operation), &mut bytes);
/// assert_eq!(batch::decode(&bytes)?, [operation]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode(operations: &[Operation], out: &mut Vec<u8>) {
    writer::write(operations, out);
}

/// Decodes a batch that fills `bytes`.
///
/// # Errors
///
/// [`DecodeError`] if `bytes` are not a batch or break a limit.
pub fn decode(bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    read(Reader::new(bytes))
}

/// Decodes a batch that fills the rest of what is read.
pub(crate) fn read(mut reader: Reader<'_>) -> Result<Vec<Operation>, DecodeError> {
    let tables = Tables::read(&mut reader)?;
    let mut cursor = Cursor::new(&tables, reader)?;
    let mut operations = Vec::with_capacity(cursor.capacity::<Operation>());
    while let Some(head) = cursor.next()? {
        operations.push(head.decode(&tables)?);
    }
    Ok(operations)
}

impl ChangeKind {
    fn of(change: &Change) -> Self {
        match change {
            Change::Insert(_) => Self::Insert,
            Change::Update(_) => Self::Update,
            Change::Delete => Self::Delete,
        }
    }
}

impl KeyKind {
    fn of(key: &RecordKey) -> Self {
        match key {
            RecordKey::Uuid(_) => Self::Uuid,
            RecordKey::Int(_) => Self::Int,
            RecordKey::Text(_) => Self::Text,
            RecordKey::Bytes(_) => Self::Bytes,
        }
    }
}
