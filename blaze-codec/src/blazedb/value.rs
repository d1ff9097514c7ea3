//! Values by their tags.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use uuid::Uuid;

use super::cursor::Cursor;
use super::names::read_name;
use super::{BlazeDbError, BlazeDbErrorKind};
use crate::limits::{DEPTH_MAX, what};
use crate::{Name, Timestamp, Value};

const STRING: u8 = 0x01;
const INT: u8 = 0x02;
const DOUBLE: u8 = 0x03;
const BOOL: u8 = 0x04;
const UUID: u8 = 0x05;
const DATE: u8 = 0x06;
const DATA: u8 = 0x07;
const ARRAY: u8 = 0x08;
const DICTIONARY: u8 = 0x09;
const VECTOR: u8 = 0x0a;
const NULL: u8 = 0x0b;
const EMPTY_STRING: u8 = 0x11;
const SMALL_INT: u8 = 0x12;
const EMPTY_ARRAY: u8 = 0x18;
const EMPTY_DICTIONARY: u8 = 0x19;
/// A string whose length is in the low 4 bits.
const SHORT_STRING: u8 = 0x20;
const SHORT_STRING_MAX: u8 = 0x2f;

/// The smallest value of an array: a tag.
const VALUE_BYTES_MIN: usize = 1;
/// The smallest pair of a dictionary: a length of 0, which is refused by its name, and a tag.
const PAIR_BYTES_MIN: usize = 3;
const FLOAT_BYTES: usize = 4;

/// 2001-01-01 00:00:00 UTC, in milliseconds since 1970.
const YEAR_2001_MS: i128 = 978_307_200_000;

/// How a name is written: in records by a table, in dictionaries without.
type ReadName = fn(&mut Cursor<'_>) -> Result<Name, BlazeDbError>;

/// Reads the names and values of a record or dictionary.
pub(super) fn read_fields(
    cursor: &mut Cursor<'_>,
    count: usize,
    depth: usize,
    read_name: ReadName,
) -> Result<BTreeMap<Name, Value>, BlazeDbError> {
    let mut fields = BTreeMap::new();
    for _ in 0..count {
        let at = cursor.at();
        match fields.entry(read_name(cursor)?) {
            Entry::Vacant(field) => field.insert(read_value(cursor, depth)?),
            Entry::Occupied(field) => {
                let name = field.key().clone();
                return Err(BlazeDbErrorKind::Twice { name }.at(at));
            }
        };
    }
    Ok(fields)
}

/// Reads a value within `depth` arrays and dictionaries.
fn read_value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, BlazeDbError> {
    cursor.count_values(1)?;
    let at = cursor.at();
    let tag = cursor.byte()?;
    Ok(match tag {
        STRING => {
            let length = cursor.length()?;
            cursor.text(length)?.into()
        }
        SHORT_STRING..=SHORT_STRING_MAX => cursor.text((tag - SHORT_STRING).into())?.into(),
        EMPTY_STRING => "".into(),
        INT => Value::Int(i64::from_be_bytes(cursor.array()?)),
        SMALL_INT => cursor.byte()?.into(),
        DOUBLE => Value::Float(cursor.float()?),
        BOOL => match cursor.byte()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            found => return Err(BlazeDbErrorKind::Bool { found }.at(at)),
        },
        UUID => Value::Uuid(Uuid::from_bytes(cursor.array()?)),
        DATE => {
            let seconds = cursor.float()?;
            let moment = timestamp(seconds);
            moment.ok_or_else(|| BlazeDbErrorKind::Date { seconds }.at(at))?.into()
        }
        DATA => {
            let length = cursor.length()?;
            Value::Bytes(Bytes::copy_from_slice(cursor.take(length)?))
        }
        ARRAY | EMPTY_ARRAY => {
            let depth = deeper(depth, at)?;
            let count = if tag == ARRAY { cursor.u16()?.into() } else { 0 };
            Value::Array(read_values(cursor, count, depth)?)
        }
        DICTIONARY | EMPTY_DICTIONARY => {
            let depth = deeper(depth, at)?;
            let count = if tag == DICTIONARY { cursor.u16()?.into() } else { 0 };
            cursor.proven(count, PAIR_BYTES_MIN)?;
            Value::from(read_fields(cursor, count, depth, read_name)?)
        }
        VECTOR => {
            deeper(depth, at)?;
            Value::Array(read_vector(cursor)?)
        }
        NULL => Value::Null,
        found => return Err(BlazeDbErrorKind::UnknownTag { found }.at(at)),
    })
}

/// Reads the values of an array. Claims can be nested, so that the bytes left
/// prove too little to reserve memory for all of them: it grows as they come.
fn read_values(
    cursor: &mut Cursor<'_>,
    count: usize,
    depth: usize,
) -> Result<Vec<Value>, BlazeDbError> {
    cursor.proven(count, VALUE_BYTES_MIN)?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(read_value(cursor, depth)?);
    }
    Ok(values)
}

fn read_vector(cursor: &mut Cursor<'_>) -> Result<Vec<Value>, BlazeDbError> {
    let count = cursor.length()?;
    cursor.count_values(count)?;
    let (floats, _) = cursor.take(count.saturating_mul(FLOAT_BYTES))?.as_chunks();
    Ok(floats.iter().map(|bytes| f32::from_be_bytes(*bytes).into()).collect())
}

/// The depth of what an array or dictionary at `depth` holds.
fn deeper(depth: usize, at: usize) -> Result<usize, BlazeDbError> {
    let limit = BlazeDbErrorKind::limit(what::DEPTH, depth + 1, DEPTH_MAX);
    limit.map_err(|kind| kind.at(at))?;
    Ok(depth + 1)
}

/// The nearest millisecond to so many seconds after 2001.
fn timestamp(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and 64 bits are checked")]
    let ms = (seconds * 1000.0).round() as i128;
    i64::try_from(ms.saturating_add(YEAR_2001_MS)).ok().map(Timestamp)
}
