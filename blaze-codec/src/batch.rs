//! Batches of operations in BlazeBinary.
//!
//! What operations have in common is written once: names, nodes, and *shapes*,
//! that is, a collection with a kind of change, a kind of key and a list of
//! fields. [`BatchRef`](crate::view::BatchRef) reads a batch in place.

mod columns;
mod cursor;
mod dictionary;
mod grouped;
mod shape;
mod stamp;
mod writer;

pub(crate) use columns::{CellOf, CellsOf, Columns, Heads, Place, Places};
pub(crate) use cursor::{Cursor, Head};
pub(crate) use shape::Tables;
pub(crate) use shape::{ChangeKind, Shape};
pub(crate) use stamp::Stamp;

pub use dictionary::{Definitions, Entry};
pub use writer::Encoder;

use crate::reader::Reader;
use crate::{DecodeError, Operation};

/// The first byte of a batch that is written operation by operation.
pub const ROWS: u8 = 1;
/// The first byte of a batch that is written by columns: what the operations of one shape
/// have in one field stands together. So are batches of at least four operations a shape.
pub const COLUMNS: u8 = 2;
/// As [`ROWS`], with numbers of a dictionary in place of tables.
pub const ROWS_DEFINED: u8 = 3;
/// As [`COLUMNS`], with numbers of a dictionary in place of tables.
pub const COLUMNS_DEFINED: u8 = 4;

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
    Encoder::new().encode(operations, out);
}

/// Decodes a batch that fills `bytes`.
///
/// # Errors
///
/// [`DecodeError`] if `bytes` are not a batch or break a limit.
pub fn decode(bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    decode_defined(bytes, Definitions::none())
}

/// Decodes a batch that fills `bytes`, and may have numbers of a dictionary; see [`Encoder`].
///
/// # Errors
///
/// [`DecodeError`] if `bytes` are not a batch, break a limit, or have a number that isn't
/// defined.
pub fn decode_defined(
    bytes: &[u8],
    definitions: &Definitions,
) -> Result<Vec<Operation>, DecodeError> {
    Ok(read(Reader::new(bytes), definitions)?.0)
}

/// Decodes a batch that fills the rest of what is read, and tells how many values it has.
pub(crate) fn read(
    reader: Reader<'_>,
    definitions: &Definitions,
) -> Result<(Vec<Operation>, usize), DecodeError> {
    let (common, reader) = match Layout::read(reader, definitions)? {
        Layout::Columns(tables, reader, start) => {
            let columns = Columns::read(reader, start, tables)?;
            return Ok((columns.operations(), columns.values()));
        }
        Layout::Rows(common, reader) => (common, reader),
    };
    let mut cursor = Cursor::new(&common, reader)?;
    let mut operations = Vec::with_capacity(cursor.capacity::<Operation>());
    let mut values = 0;
    while let Some(head) = cursor.next()? {
        operations.push(head.decode(&mut values)?);
    }
    Ok((operations, values))
}

/// A batch in one of its layouts: what its operations have in common, and what is behind
/// that, which isn't checked yet.
#[derive(Debug)]
pub(crate) enum Layout<'a> {
    Rows(Common<'a>, Reader<'a>),
    /// The third is where the batch begins.
    Columns(Tables, Reader<'a>, usize),
}

/// What operations in rows have in common.
#[derive(Debug)]
pub(crate) enum Common<'a> {
    Told(Tables),
    Defined(&'a Definitions),
}

impl Common<'_> {
    /// The shape of an index or a number that was found valid before.
    #[inline]
    pub(crate) fn shape(&self, number: u32) -> &Shape {
        match self {
            Self::Told(tables) => &tables.shapes[number as usize],
            Self::Defined(definitions) => definitions.numbered(number),
        }
    }
}

impl<'a> Layout<'a> {
    /// Reads the beginning of a batch that fills the rest of what is read.
    pub(crate) fn read(
        mut reader: Reader<'a>,
        definitions: &'a Definitions,
    ) -> Result<Self, DecodeError> {
        let start = reader.at();
        let tables = match reader.byte()? {
            ROWS => {
                let tables = Tables::read(&mut reader)?;
                return Ok(Self::Rows(Common::Told(tables), reader));
            }
            ROWS_DEFINED => return Ok(Self::Rows(Common::Defined(definitions), reader)),
            COLUMNS => Tables::read(&mut reader)?,
            COLUMNS_DEFINED => definitions.read_tables(&mut reader)?,
            found => return Err(DecodeError::UnknownVersion { found, known: COLUMNS_DEFINED }),
        };
        Ok(Self::Columns(tables, reader, start))
    }
}
