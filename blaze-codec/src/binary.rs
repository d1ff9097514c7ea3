//! The building blocks of BlazeBinary: varints and values.
//!
//! A value has exactly one encoding: equal values are equal bytes, and bytes
//! that this module wouldn't write are refused.

use bytes::Bytes;
use uuid::Uuid;

use crate::limits::{self, DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::names::Gathered;
use crate::reader::{Reader, capacity};
use crate::values::{self, RecordValues};
use crate::{DecodeError, Record, Timestamp, Value};

/// The version of the format, of which this is the newest that is known.
pub const FORMAT_VERSION: u8 = 1;

const NULL: u8 = 0x00;
const FALSE: u8 = 0x01;
const TRUE: u8 = 0x02;
const INT: u8 = 0x03;
const FLOAT: u8 = 0x04;
const TEXT: u8 = 0x05;
const BYTES: u8 = 0x06;
const UUID: u8 = 0x07;
const TIMESTAMP: u8 = 0x08;
const ARRAY: u8 = 0x09;
const MAP: u8 = 0x0a;
/// A value that this version of the format doesn't have.
const LATER: u8 = 0x0b;
/// Stands in an update for the value of a field that is removed.
pub(crate) const REMOVED: u8 = 0x0f;

/// A tag that holds a length in its low bits, up to a greatest one.
#[derive(Clone, Copy)]
struct Short {
    tag: u8,
    max: u8,
    /// The tag of those that are longer, followed by a varint.
    long: u8,
}

const ARRAYS: Short = Short { tag: 0x10, max: 0x0f, long: ARRAY };
const MAPS: Short = Short { tag: 0x20, max: 0x0f, long: MAP };
const BLOBS: Short = Short { tag: 0x30, max: 0x0f, long: BYTES };
const TEXTS: Short = Short { tag: 0x40, max: 0x3f, long: TEXT };

/// The tag of the integer 0; those from -16 to 111 lie around it.
const INT_ZERO: u8 = 0x90;
const INT_MIN: i64 = -16;
const INT_MAX: i64 = 111;

/// The smallest field of a map: a name of one byte and a value of one.
const MAP_FIELD_BYTES_MIN: usize = 3;

/// Appends `value` to `out`.
///
/// Whatever passes [`Value::check`] can be decoded again.
///
/// ```
/// use blaze_codec::{Value, binary};
///
/// let mut bytes = Vec::new();
/// binary::encode_value(&Value::from("hi"), &mut bytes);
/// assert_eq!(bytes, b"\x42hi");
/// assert_eq!(binary::decode_value(&bytes)?, (Value::from("hi"), 3));
/// # Ok::<(), blaze_codec::DecodeError>(())
/// ```
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(bool) => out.push(if *bool { TRUE } else { FALSE }),
        Value::Int(int) => encode_int(*int, out),
        Value::Float(float) => encode_float(*float, out),
        Value::Text(text) => encode_text(text, out),
        Value::Bytes(bytes) => encode_bytes(bytes, out),
        Value::Uuid(uuid) => encode_uuid(*uuid, out),
        Value::Timestamp(timestamp) => encode_timestamp(*timestamp, out),
        Value::Array(values) => {
            encode_length(ARRAYS, values.len(), out);
            for value in values {
                encode_value(value, out);
            }
        }
        Value::Map(fields) => encode_fields(fields, out),
    }
}

/// Appends the map of `fields`.
pub(crate) fn encode_fields(fields: &Record, out: &mut Vec<u8>) {
    encode_length(MAPS, fields.len(), out);
    for (name, value) in fields {
        encode_name(name, out);
        encode_value(value, out);
    }
}

/// Decodes the value at the start of `bytes` and tells how many bytes it takes.
///
/// # Errors
///
/// [`DecodeError`] if there is no value, or one that breaks a limit.
pub fn decode_value(bytes: &[u8]) -> Result<(Value, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read_value(&mut reader, 0)?;
    limits::check(what::RECORD_BYTES, reader.at(), RECORD_BYTES_MAX)?;
    Ok((value, reader.at()))
}

/// Decodes a value that fills `bytes`.
pub(crate) fn decode_all(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read_value(&mut reader, 0)?;
    reader.finish()?;
    Ok(value)
}

/// Checks that a value fills `bytes` and keeps the limits.
pub(crate) fn check_all(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    skip_value(&mut reader, 0)?;
    limits::check(what::RECORD_BYTES, reader.at(), RECORD_BYTES_MAX)?;
    reader.finish()
}

/// Decodes a map that fills `bytes`, as the fields of a record: their values
/// may be as deep as if the map weren't around them.
pub(crate) fn decode_fields(bytes: &[u8]) -> Result<Record, DecodeError> {
    let mut reader = Reader::new(bytes);
    let Token::Map(count) = read_token(&mut reader)? else {
        return Reader::malformed("record", 0);
    };
    // The record itself is none of its values.
    reader.values = 0;
    let fields = read_fields(&mut reader, count, 0)?;
    reader.finish()?;
    Ok(fields)
}

/// Appends an unsigned LEB128 number.
pub fn encode_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Decodes the varint at the start of `bytes` and tells how many bytes it takes.
///
/// # Errors
///
/// [`DecodeError`] if it is cut off, over 64 bits, or not the shortest form.
pub fn decode_varint(bytes: &[u8]) -> Result<(u64, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let number = reader.varint()?;
    Ok((number, reader.at()))
}

/// Appends a zigzag number: 0, -1, 1, -2, … are 0, 1, 2, 3, …
pub(crate) fn encode_signed(number: i64, out: &mut Vec<u8>) {
    encode_varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
}

/// Appends a name: a length byte, then UTF-8.
pub(crate) fn encode_name(name: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).expect("a name has at most 255 bytes"));
    out.extend_from_slice(name.as_bytes());
}

fn encode_int(int: i64, out: &mut Vec<u8>) {
    if (INT_MIN..=INT_MAX).contains(&int) {
        return out.push(INT_ZERO.wrapping_add(int.to_le_bytes()[0]));
    }
    out.push(INT);
    encode_signed(int, out);
}

fn encode_float(float: f64, out: &mut Vec<u8>) {
    out.push(FLOAT);
    out.extend_from_slice(&float.to_bits().to_le_bytes());
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    encode_length(TEXTS, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_length(BLOBS, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn encode_uuid(uuid: Uuid, out: &mut Vec<u8>) {
    out.push(UUID);
    out.extend_from_slice(uuid.as_bytes());
}

fn encode_timestamp(timestamp: Timestamp, out: &mut Vec<u8>) {
    out.push(TIMESTAMP);
    encode_signed(timestamp.0, out);
}

fn encode_length(short: Short, length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(length) if length <= short.max => out.push(short.tag | length),
        _ => {
            out.push(short.long);
            encode_varint(length as u64, out);
        }
    }
}

/// How many bytes a value's tag, and what follows it but its elements, take.
pub(crate) fn head_len(value: &Value) -> usize {
    let length = |short: Short, length: usize| {
        if length <= short.max.into() { 1 } else { 1 + varint_len(length as u64) }
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Int(INT_MIN..=INT_MAX) => 1,
        Value::Int(int) => 1 + signed_len(*int),
        Value::Float(_) => 9,
        Value::Text(text) => length(TEXTS, text.len()) + text.len(),
        Value::Bytes(bytes) => length(BLOBS, bytes.len()) + bytes.len(),
        Value::Uuid(_) => 17,
        Value::Timestamp(timestamp) => 1 + signed_len(timestamp.0),
        Value::Array(values) => length(ARRAYS, values.len()),
        Value::Map(fields) => length(MAPS, fields.len()),
    }
}

fn varint_len(number: u64) -> usize {
    (number | 1).ilog2() as usize / 7 + 1
}

fn signed_len(number: i64) -> usize {
    varint_len(((number << 1) ^ (number >> 63)).cast_unsigned())
}

/// A value up to, and without, what an array or map holds. `A` and `M` stand for that:
/// how many follow, or where that is.
///
/// With a whole word for its tag it moves in whole words: reading took a third longer when
/// it moved in pieces.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Token<'a, A = usize, M = usize> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Uuid(&'a Uuid),
    Timestamp(Timestamp),
    /// So many values follow.
    Array(A),
    /// So many names with their values follow.
    Map(M),
}

impl<'a, A, M> Token<'a, A, M> {
    /// The same with something else for what an array or a map holds.
    #[inline]
    pub(crate) fn map<B, N>(
        self,
        array: impl FnOnce(A) -> B,
        map: impl FnOnce(M) -> N,
    ) -> Token<'a, B, N> {
        match self {
            Self::Null => Token::Null,
            Self::Bool(bool) => Token::Bool(bool),
            Self::Int(int) => Token::Int(int),
            Self::Float(float) => Token::Float(float),
            Self::Text(text) => Token::Text(text),
            Self::Bytes(bytes) => Token::Bytes(bytes),
            Self::Uuid(uuid) => Token::Uuid(uuid),
            Self::Timestamp(timestamp) => Token::Timestamp(timestamp),
            Self::Array(values) => Token::Array(array(values)),
            Self::Map(fields) => Token::Map(map(fields)),
        }
    }

    /// What kind of value begins here, as [`Value::kind`] calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "uuid",
            Self::Timestamp(_) => "timestamp",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
        }
    }
}

impl Token<'_> {
    /// Appends what [`read_token`] reads.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Null => out.push(NULL),
            Self::Bool(bool) => out.push(if bool { TRUE } else { FALSE }),
            Self::Int(int) => encode_int(int, out),
            Self::Float(float) => encode_float(float, out),
            Self::Text(text) => encode_text(text, out),
            Self::Bytes(bytes) => encode_bytes(bytes, out),
            Self::Uuid(uuid) => encode_uuid(*uuid, out),
            Self::Timestamp(timestamp) => encode_timestamp(timestamp, out),
            Self::Array(count) => encode_length(ARRAYS, count, out),
            Self::Map(count) => encode_length(MAPS, count, out),
        }
    }
}

/// Reads a tag and what belongs to it: the only place that knows the tags.
pub(crate) fn read_token<'a>(reader: &mut Reader<'a>) -> Result<Token<'a>, DecodeError> {
    reader.values += 1;
    limits::check(what::VALUES, reader.values, VALUES_MAX)?;
    let at = reader.at();
    let tag = reader.byte()?;
    Ok(match tag {
        NULL => Token::Null,
        FALSE => Token::Bool(false),
        TRUE => Token::Bool(true),
        0x80.. => Token::Int(i64::from(tag) - i64::from(INT_ZERO)),
        INT => match reader.signed()? {
            INT_MIN..=INT_MAX => return Reader::malformed("long form of a small integer", at),
            int => Token::Int(int),
        },
        FLOAT => Token::Float(f64::from_bits(u64::from_le_bytes(reader.array()?))),
        UUID => Token::Uuid(Uuid::from_bytes_ref(reader.array_ref()?)),
        TIMESTAMP => Token::Timestamp(Timestamp(reader.signed()?)),
        0x40..=0x7f => Token::Text(reader.text((tag & TEXTS.max).into())?),
        TEXT => {
            let length = read_length(TEXTS, reader, what::RECORD_BYTES, RECORD_BYTES_MAX)?;
            Token::Text(reader.text(length)?)
        }
        0x30..=0x3f => Token::Bytes(reader.take((tag & BLOBS.max).into())?),
        BYTES => {
            let length = read_length(BLOBS, reader, what::RECORD_BYTES, RECORD_BYTES_MAX)?;
            Token::Bytes(reader.take(length)?)
        }
        0x10..=0x1f => Token::Array(reader.proven((tag & ARRAYS.max).into(), 1)?),
        ARRAY => {
            let count = read_length(ARRAYS, reader, what::VALUES, VALUES_MAX)?;
            Token::Array(reader.proven(count, 1)?)
        }
        0x20..=0x2f => Token::Map(reader.proven((tag & MAPS.max).into(), MAP_FIELD_BYTES_MIN)?),
        MAP => {
            let count = read_length(MAPS, reader, what::FIELDS, FIELDS_MAX)?;
            Token::Map(reader.proven(count, MAP_FIELD_BYTES_MIN)?)
        }
        LATER => return read_later(reader, at),
        _ => return Err(DecodeError::UnknownTag { tag, at }),
    })
}

/// Reads a value of a later version to its end, for what is malformed is no reason to
/// update.
fn read_later<T>(reader: &mut Reader<'_>, at: usize) -> Result<T, DecodeError> {
    let needed = reader.byte()?;
    if needed <= FORMAT_VERSION {
        return Reader::malformed("version of a value", at);
    }
    let length = reader.bounded(what::RECORD_BYTES, RECORD_BYTES_MAX)?;
    reader.take(length)?;
    Err(DecodeError::LaterFormat { needed, known: FORMAT_VERSION })
}

/// Whether a null comes next.
pub(crate) fn is_null_next(reader: &Reader<'_>) -> bool {
    reader.rest().first() == Some(&NULL)
}

fn read_length(
    short: Short,
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
) -> Result<usize, DecodeError> {
    let at = reader.at();
    let length = reader.bounded(what, max)?;
    if length <= short.max.into() {
        return Reader::malformed("long form of a short length", at);
    }
    Ok(length)
}

/// Reads a name of a map that must be above the one before.
pub(crate) fn read_map_name<'a>(
    reader: &mut Reader<'a>,
    previous: &mut Option<&'a str>,
) -> Result<&'a str, DecodeError> {
    let at = reader.at();
    let name = reader.name()?;
    if previous.replace(name).is_some_and(|previous| previous >= name) {
        return Reader::malformed("order of names", at);
    }
    Ok(name)
}

/// The depth of what an array or map at `depth` holds.
pub(crate) fn deeper(depth: usize) -> Result<usize, DecodeError> {
    limits::check(what::DEPTH, depth + 1, DEPTH_MAX)?;
    Ok(depth + 1)
}

/// Reads a value within `depth` arrays and maps.
pub(crate) fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    let mut read = Value::Null;
    read_value_to(reader, depth, |value| read = value)?;
    Ok(read)
}

/// The same for whoever has a place for the value: it is made there, and never moved, which
/// takes longer than to make it.
#[inline]
pub(crate) fn read_value_to(
    reader: &mut Reader<'_>,
    depth: usize,
    put: impl FnOnce(Value),
) -> Result<(), DecodeError> {
    match read_token(reader)? {
        Token::Null => put(Value::Null),
        Token::Bool(bool) => put(Value::Bool(bool)),
        Token::Int(int) => put(Value::Int(int)),
        Token::Float(float) => put(Value::Float(float)),
        Token::Text(text) => put(Value::Text(text.into())),
        Token::Bytes(bytes) => put(Value::Bytes(Bytes::copy_from_slice(bytes))),
        Token::Uuid(uuid) => put(Value::Uuid(*uuid)),
        Token::Timestamp(timestamp) => put(Value::Timestamp(timestamp)),
        Token::Array(count) => put(Value::Array(read_values(reader, count, deeper(depth)?)?)),
        Token::Map(count) => put(Value::Map(read_fields(reader, count, deeper(depth)?)?)),
    }
    Ok(())
}

/// Reads the values of an array.
pub(crate) fn read_values(
    reader: &mut Reader<'_>,
    count: usize,
    depth: usize,
) -> Result<Vec<Value>, DecodeError> {
    let mut values = Vec::with_capacity(capacity::<Value>(count));
    for _ in 0..count {
        read_value_to(reader, depth, |value| values.push(value))?;
    }
    Ok(values)
}

/// Reads the names and values of a map.
pub(crate) fn read_fields(
    reader: &mut Reader<'_>,
    count: usize,
    depth: usize,
) -> Result<Record, DecodeError> {
    let mut previous = None;
    let mut names = Gathered::new(count);
    let mut values = RecordValues::nulls(capacity::<Value>(count));
    for place in values.places() {
        names.push(read_map_name(reader, &mut previous)?)?;
        read_value_to(reader, depth, |value| values::put(place, value))?;
    }
    // More weren't proved by the bytes, and are made as they come.
    for _ in values.len()..count {
        names.push(read_map_name(reader, &mut previous)?)?;
        values.own().push(read_value(reader, depth)?);
    }
    Ok(Record::of_sorted(names.finish(), values))
}

/// Steps over a value within `depth` arrays and maps, and checks it as
/// [`read_value`] does.
pub(crate) fn skip_value(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    let token = read_token(reader)?;
    skip_rest(&token, reader, depth)
}

/// The same from behind its token.
pub(crate) fn skip_rest(
    token: &Token<'_>,
    reader: &mut Reader<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    match token {
        Token::Array(count) => skip_values(reader, *count, deeper(depth)?),
        Token::Map(count) => skip_fields(reader, *count, deeper(depth)?),
        _ => Ok(()),
    }
}

/// Steps over the values of an array.
pub(crate) fn skip_values(
    reader: &mut Reader<'_>,
    count: usize,
    depth: usize,
) -> Result<(), DecodeError> {
    (0..count).try_for_each(|_| skip_value(reader, depth))
}

/// Steps over the names and values of a map.
pub(crate) fn skip_fields(
    reader: &mut Reader<'_>,
    count: usize,
    depth: usize,
) -> Result<(), DecodeError> {
    let mut previous = None;
    (0..count).try_for_each(|_| {
        read_map_name(reader, &mut previous)?;
        skip_value(reader, depth)
    })
}
