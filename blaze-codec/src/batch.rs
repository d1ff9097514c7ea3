//! Batches of operations in BlazeBinary.
//!
//! What operations have in common is written once: names, nodes, and *shapes*,
//! that is, a collection with a kind of change, a kind of key and a list of
//! fields. [`BatchRef`](crate::view::BatchRef) reads a batch in place.

mod columns;
mod cursor;
mod shape;
mod stamp;
mod writer;

pub(crate) use columns::{CellOf, CellsOf, Columns, Place, Places};
pub(crate) use cursor::{Cursor, Head};
pub(crate) use shape::{ChangeKind, KeyKind, Shape, Tables};

use crate::reader::Reader;
use crate::{Change, DecodeError, Operation, RecordKey};

/// The first byte of a batch that is written operation by operation.
pub const ROWS: u8 = 1;
/// The first byte of a batch that is written by columns: what the operations of one shape
/// have in one field stands together. So are batches of at least four operations a shape.
pub const COLUMNS: u8 = 2;

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
pub(crate) fn read(reader: Reader<'_>) -> Result<Vec<Operation>, DecodeError> {
    let (tables, reader) = match Layout::read(reader)? {
        Layout::Columns(columns) => return Ok(columns.operations()),
        Layout::Rows(tables, reader) => (tables, reader),
    };
    let mut cursor = Cursor::new(&tables, reader)?;
    let mut operations = Vec::with_capacity(cursor.capacity::<Operation>());
    while let Some(head) = cursor.next()? {
        operations.push(head.decode()?);
    }
    Ok(operations)
}

/// A batch in one of its layouts.
#[derive(Debug)]
pub(crate) enum Layout<'a> {
    /// The tables, and what is behind them: its operations aren't checked yet.
    Rows(Tables, Reader<'a>),
    Columns(Box<Columns<'a>>),
}

impl<'a> Layout<'a> {
    /// Reads a batch that fills the rest of what is read.
    pub(crate) fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.at();
        match reader.byte()? {
            ROWS => Ok(Self::Rows(Tables::read(&mut reader)?, reader)),
            COLUMNS => Ok(Self::Columns(Box::new(Columns::read(reader, start)?))),
            found => Err(DecodeError::UnknownVersion { found, known: COLUMNS }),
        }
    }
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
