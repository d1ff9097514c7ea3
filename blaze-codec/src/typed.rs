//! Records from and to a user's own types, by serde.
//!
//! | Rust | record |
//! |---|---|
//! | struct, map | map; a map's integer, boolean and UUID keys become text |
//! | integers | int; beyond 64 signed bits an error |
//! | `f32`, `f64` | float |
//! | `String`, `char` | text |
//! | [`Uuid`](crate::Uuid) | uuid |
//! | [`Timestamp`](crate::Timestamp), [`Value`], [`Record`] | as they are |
//! | `Bytes` and whatever serialises as bytes | bytes; also read as a `Vec<u8>` |
//! | sequence, tuple, `Vec<u8>` | array |
//! | `None`, `()` | null |
//! | enum | text (unit variants), else a map of the variant's name to its content |
//!
//! What would come back as something else is an error instead: an integer that
//! doesn't fit, `Some(None)`, a field that is given twice.
//!
//! A UUID is known by what it does: it asks whether the format is for people
//! and then writes 36 characters. Where serde itself goes through a
//! self-describing copy (`#[serde(flatten)]`, `#[serde(untagged)]`), it is read
//! as a text: fine for a field of type `Uuid`, but a `Value` there becomes text.

mod deserialize;
mod error;
mod serialize;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::{TypedError, TypedErrorKind};
use self::serialize::ValueSerializer;
use crate::form::Form;
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
    let record = match data.serialize(ValueSerializer::root())? {
        Value::Map(record) => record,
        other => return Err(TypedErrorKind::NotRecord { found: other.kind() }.into()),
    };
    record.check().map_err(TypedErrorKind::from)?;
    Ok(record)
}

/// Makes a `T` of a record.
///
/// # Errors
///
/// [`TypedError`] with the path of the field that doesn't fit the type.
pub fn from_record<T: DeserializeOwned>(record: &Record) -> Result<T, TypedError> {
    T::deserialize(Form::Fields(record))
}
