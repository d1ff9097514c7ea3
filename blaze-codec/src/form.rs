//! Values in other formats, by serde.
//!
//! In formats for people, such as JSON, a value is what the format has for it,
//! and an object with one reserved key where it has nothing: the table is in
//! `FORMAT.md`. In binary formats, a value is bytes: its BlazeBinary.
//!
//! Both pass through a newtype of a private name, which most formats ignore and
//! by which [`typed`](crate::typed) knows values among a user's own types.

mod read;
mod write;

use crate::{Record, Value};

/// The newtype that tells a [`Value`].
pub(crate) const VALUE: &str = "$blaze::Value";
/// The newtype that tells a [`Record`](crate::Record).
pub(crate) const RECORD: &str = "$blaze::Record";

/// What reserved keys begin with. A name that begins so has one more.
const RESERVED: char = '$';
const FLOAT: &str = "$float";
const HEX: &str = "$hex";
const TIMESTAMP: &str = "$timestamp";
const UUID: &str = "$uuid";

/// A value, or the fields of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form<'a> {
    Value(&'a Value),
    Fields(&'a Record),
}

impl<'a> Form<'a> {
    /// The form of a value, with a map as its fields.
    pub(crate) const fn of(value: &'a Value) -> Self {
        match value {
            Value::Map(fields) => Self::Fields(fields),
            value => Self::Value(value),
        }
    }
}
