//! Records, values and BlazeBinary from and to a user's own types, by serde.
//!
//! | | from a type | to a type |
//! |---|---|---|
//! | [`Record`] | [`to_record`] | [`from_record`] |
//! | [`RecordRef`], in a batch | – | [`from_record_ref`] |
//! | [`Value`] | [`to_value`] | [`from_value`] |
//! | [`ValueRef`], in a batch | – | [`from_value_ref`] |
//! | BlazeBinary of one value | [`to_bytes`] | [`from_bytes`] |
//!
//! All of them agree on what a type becomes and on what is an error. Whatever is read may
//! be borrowed, as a `&str` or `&[u8]`, but for the text of a UUID.
//!
//! | Rust | value |
//! |---|---|
//! | struct, map | map; a map's integer, boolean and UUID keys become text |
//! | integers | int; beyond 64 signed bits an error |
//! | `f32`, `f64` | float |
//! | `String`, `char` | text |
//! | [`Uuid`](crate::Uuid) | uuid |
//! | [`Timestamp`](crate::Timestamp), [`Value`], [`Record`] | as they are |
//! | `Bytes` and whatever serialises as bytes | bytes; also read as a `Vec<u8>` |
//! | sequence, tuple, `Vec<u8>` | array |
//! | `None`, `()`, unit struct | null |
//! | newtype struct, `Some` | its content |
//! | enum | text (unit variants), else a map of the variant's name to its content |
//! | types with a form for people and another one | the one for people: dates and addresses are texts |
//!
//! What would come back as something else is an error instead: an integer that
//! doesn't fit (keep a large `u64` as a text, as bytes, or by its bits as an `i64`),
//! `Some(None)`, a field that is given twice. So is what breaks a limit of
//! [`limits`], while it is written.
//!
//! A UUID is known by what it does: it asks whether the format is for people
//! and then writes 36 characters.
//!
//! Where serde itself goes through a self-describing copy (`#[serde(flatten)]`,
//! `untagged`, `tag`), a UUID is read as a text: fine for a field of type `Uuid`, but a
//! `Value` there becomes text. Nor has a `Value` there a place for names that begin with
//! `$`, which it takes for the forms of values in JSON.

mod deserialize;
mod error;
mod serialize;
mod source;
mod writer;

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use self::deserialize::Node;
pub use self::error::{TypedError, TypedErrorKind};
use self::serialize::ValueSerializer;
use self::source::InView;
use self::writer::{Level, RECORD, VALUE, Writer};
use crate::binary::{Token, check_all, decode_all, decode_fields, read_token};
use crate::form::Form;
use crate::limits::{self, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::reader::Reader;
use crate::view::{RecordRef, ValueRef};
use crate::{Record, Value};

/// Makes a record of a struct or map.
///
/// ```
/// use blaze_codec::{Uuid, Value, typed};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Note {
///     title: String,
///     stars: Option<u8>,
///     author: Uuid,
/// }
///
/// let note = Note { title: "hello".into(), stars: None, author: Uuid::from_u128(7) };
/// let record = typed::to_record(&note)?;
/// assert_eq!(record.get("author"), Some(&Value::Uuid(Uuid::from_u128(7))));
/// assert_eq!(typed::from_record::<Note>(&record)?, note);
/// # Ok::<(), blaze_codec::typed::TypedError>(())
/// ```
///
/// # Errors
///
/// [`TypedError`] with the path of the field that has no place in a record, or
/// if `data` isn't a struct or map, or breaks a limit.
pub fn to_record<T: Serialize + ?Sized>(data: &T) -> Result<Record, TypedError> {
    let mut bytes = Vec::new();
    write(data, RECORD, &mut bytes)?;
    match read_token(&mut Reader::new(&bytes))? {
        Token::Map(_) => Ok(decode_fields(&bytes)?),
        other => Err(TypedErrorKind::NotRecord { found: other.kind() }.into()),
    }
}

/// Makes a `T` of a record. It may borrow texts and bytes of that.
///
/// # Errors
///
/// [`TypedError`] with the path of the field that doesn't fit the type.
pub fn from_record<'de, T: Deserialize<'de>>(record: &'de Record) -> Result<T, TypedError> {
    T::deserialize(Node(Form::Fields(record)))
}

/// Makes a `T` of a record in place: nothing is copied but what the type owns.
///
/// ```
/// use blaze_codec::view::{BatchRef, ChangeRef};
/// use blaze_codec::{Change, Name, Operation, RecordKey, Version, batch, record, typed};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Note<'a> {
///     title: &'a str,
/// }
///
/// let operation = Operation {
///     collection: Name::new("notes")?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello", "stars" => 3 }),
/// };
/// let mut bytes = Vec::new();
/// batch::encode(&[operation], &mut bytes);
///
/// let batch = BatchRef::new(&bytes)?;
/// for operation in &batch {
///     let ChangeRef::Insert(record) = operation.change() else { continue };
///     let note: Note<'_> = typed::from_record_ref(record)?;
///     assert_eq!(note.title, "hello");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TypedError`], exactly where [`from_record`] fails.
pub fn from_record_ref<'de, T: Deserialize<'de>>(record: RecordRef<'de>) -> Result<T, TypedError> {
    T::deserialize(Node(InView::new(record.iter().map(|(name, value)| (name.as_str(), value)))))
}

/// Makes a value of anything.
///
/// # Errors
///
/// [`TypedError`] with the path of the part that has no place in a value, or that
/// breaks a limit.
pub fn to_value<T: Serialize + ?Sized>(data: &T) -> Result<Value, TypedError> {
    let mut bytes = Vec::new();
    to_bytes(data, &mut bytes)?;
    Ok(decode_all(&bytes)?)
}

/// Makes a `T` of a value. It may borrow texts and bytes of that.
///
/// # Errors
///
/// [`TypedError`] with the path of the part that doesn't fit the type.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, TypedError> {
    T::deserialize(Node(Form::of(value)))
}

/// Makes a `T` of a value in place: nothing is copied but what the type owns.
///
/// # Errors
///
/// [`TypedError`], exactly where [`from_value`] fails.
pub fn from_value_ref<'de, T: Deserialize<'de>>(value: ValueRef<'de>) -> Result<T, TypedError> {
    T::deserialize(Node(value))
}

/// Appends anything as a value in BlazeBinary: the bytes of
/// [`encode_value`](crate::binary::encode_value), without a [`Value`] between.
///
/// ```
/// use blaze_codec::typed;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Note<'a> {
///     title: &'a str,
///     done: bool,
/// }
///
/// let note = Note { title: "hi", done: true };
/// let mut bytes = Vec::new();
/// typed::to_bytes(&note, &mut bytes)?;
/// assert_eq!(bytes, b"\x22\x04done\x02\x05title\x42hi");
/// assert_eq!(typed::from_bytes::<Note<'_>>(&bytes)?, note);
/// # Ok::<(), typed::TypedError>(())
/// ```
///
/// # Errors
///
/// [`TypedError`] as [`to_value`]; `out` is as it was.
pub fn to_bytes<T: Serialize + ?Sized>(data: &T, out: &mut Vec<u8>) -> Result<(), TypedError> {
    let start = out.len();
    write(data, VALUE, out).inspect_err(|_| out.truncate(start))
}

/// Makes a `T` of a value in BlazeBinary that fills `bytes`. It may borrow texts and
/// bytes of them.
///
/// # Errors
///
/// [`TypedError`] with a [`DecodeError`](crate::DecodeError) if the bytes aren't one value
/// or break a limit, else with the path of the part that doesn't fit the type.
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TypedError> {
    read(bytes).or_else(|error| {
        // What isn't a value at all is told first, wherever the type gave up.
        check_all(bytes)?;
        Err(error)
    })
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TypedError> {
    let mut reader = Reader::new(bytes);
    let made = source::read(&mut reader, 0, PhantomData)?;
    limits::check(what::VALUES, reader.values, VALUES_MAX)?;
    limits::check(what::RECORD_BYTES, reader.at(), RECORD_BYTES_MAX)?;
    reader.finish()?;
    Ok(made)
}

fn write<T: Serialize + ?Sized>(
    data: &T,
    level: Level,
    out: &mut Vec<u8>,
) -> Result<(), TypedError> {
    data.serialize(ValueSerializer::new(&mut Writer::new(out), level))
}
