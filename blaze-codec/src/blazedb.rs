//! What BlazeDB, the embedded database for Swift, writes: its records, decoded.
//!
//! The layout is that of BlazeDB's public specification and encoder, commit
//! 585d031. It is only read here. All integers are big-endian. A record is
//! `BLAZE`, a version (1, or 2 with a CRC-32 of all before it at the end), a
//! count of fields, and the fields; several records are a count, and the length
//! before each. [`Decoder`] takes both.
//!
//! | tag | BlazeDB | becomes |
//! |---|---|---|
//! | `01`, `11`, `20`–`2f` | string, in each of its forms | text |
//! | `02`, `12` | int, in both of its forms | int |
//! | `03` | double | float, of the same bits |
//! | `04` | bool | bool |
//! | `05` | uuid | uuid |
//! | `06` | date: seconds since 2001, a double | timestamp, to the nearest ms |
//! | `07` | data | bytes |
//! | `08`, `18` | array | array |
//! | `09`, `19` | dictionary | map |
//! | `0a` | vector of 32-bit floats | array of floats |
//! | `0b` | null | null |
//!
//! Whatever can be kept without loss is taken: fields in any order, and a long
//! form where there is a short one. What can't be is an error that says where.
//!
//! ```
//! use blaze_codec::{Value, blazedb};
//!
//! let bytes = b"BLAZE\x01\x00\x02\x06\x25hello\xff\x00\x05stars\x12\x03";
//! let record = blazedb::decode_record(bytes)?;
//! assert_eq!(record.get("title"), Some(&Value::from("hello")));
//! assert_eq!(record.get("stars"), Some(&Value::Int(3)));
//! # Ok::<(), blazedb::BlazeDbError>(())
//! ```

mod checksum;
mod cursor;
mod decoder;
mod error;
mod names;
mod value;

pub use self::decoder::Decoder;
pub use self::error::{BlazeDbError, BlazeDbErrorKind};

use self::cursor::Cursor;
use crate::Record;
use crate::limits::RECORD_BYTES_MAX;

/// What a record begins with.
const MAGIC: [u8; 5] = *b"BLAZE";
/// The version of records without a checksum.
const PLAIN: u8 = 1;
/// The version of records that end with a checksum.
const CHECKED: u8 = 2;
/// The length of a checksum, in bytes.
const CHECKSUM_BYTES: usize = 4;
/// The smallest field: a key of the table, and a tag.
const FIELD_BYTES_MIN: usize = 2;

/// The longest record that is read, in bytes as BlazeDB writes it: 32 MiB.
///
/// No record within [`limits`](crate::limits) is longer: a value takes at most 8
/// bytes more than in BlazeBinary, and a name 2.
pub const INPUT_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// Decodes a record that fills `bytes`.
///
/// Its depth and its number of values are within [`limits`](crate::limits); its
/// size may exceed them, which [`Record::check`] tells.
///
/// # Errors
///
/// [`BlazeDbError`] with the place of the first thing that is wrong. A checksum
/// is verified before the fields are looked at.
pub fn decode_record(bytes: &[u8]) -> Result<Record, BlazeDbError> {
    let limit = BlazeDbErrorKind::limit("record bytes", bytes.len(), INPUT_BYTES_MAX);
    limit.map_err(|kind| kind.at(0))?;
    if !may_begin(bytes) {
        return Err(BlazeDbErrorKind::Magic.at(0));
    }
    let mut cursor = Cursor::new(bytes);
    cursor.take(MAGIC.len())?;
    let at = cursor.at();
    match cursor.byte()? {
        PLAIN => {}
        CHECKED => cursor = cursor.without_checksum()?,
        found => return Err(BlazeDbErrorKind::UnknownVersion { found }.at(at)),
    }
    let count = cursor.u16()?.into();
    cursor.proven(count, FIELD_BYTES_MIN)?;
    let fields = value::read_fields(&mut cursor, count, 0, names::read_key)?;
    cursor.finish()?;
    Ok(Record::from(fields))
}

/// Whether a record may begin with these bytes, as far as there are any.
fn may_begin(bytes: &[u8]) -> bool {
    MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())])
}
