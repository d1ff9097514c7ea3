//! Values in place.

use uuid::Uuid;

use crate::binary::{Token, read_fields, read_token, read_values, skip_fields, skip_values};
use crate::reader::Reader;
use crate::{Timestamp, Value};

/// Views are only made of bytes that the same parser found valid before.
pub(super) const CHECKED: &str = "BatchRef::new checked these bytes";

/// A value in place.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A UUID.
    Uuid(Uuid),
    /// A moment.
    Timestamp(Timestamp),
    /// Values in an order.
    Array(ArrayRef<'a>),
    /// Values by name.
    Map(MapRef<'a>),
}

/// An array in place.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRef<'a> {
    count: usize,
    values: Reader<'a>,
}

/// A map in place.
#[derive(Debug, Clone, Copy)]
pub struct MapRef<'a> {
    count: usize,
    fields: Reader<'a>,
}

impl<'a> ValueRef<'a> {
    /// Reads a value that was checked before, and panics if it wasn't.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let token = read_token(reader).expect(CHECKED);
        let inside = *reader;
        match token {
            Token::Null => Self::Null,
            Token::Bool(bool) => Self::Bool(bool),
            Token::Int(int) => Self::Int(int),
            Token::Float(float) => Self::Float(float),
            Token::Text(text) => Self::Text(text),
            Token::Bytes(bytes) => Self::Bytes(bytes),
            Token::Uuid(uuid) => Self::Uuid(uuid),
            Token::Timestamp(timestamp) => Self::Timestamp(timestamp),
            Token::Array(count) => {
                skip_values(reader, count, 0).expect(CHECKED);
                Self::Array(ArrayRef { count, values: inside })
            }
            Token::Map(count) => {
                skip_fields(reader, count, 0).expect(CHECKED);
                Self::Map(MapRef { count, fields: inside })
            }
        }
    }

    /// The value, copied out.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn to_value(&self) -> Value {
        match *self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(bool),
            Self::Int(int) => Value::Int(int),
            Self::Float(float) => Value::Float(float),
            Self::Text(text) => Value::from(text),
            Self::Bytes(bytes) => Value::from(bytes),
            Self::Uuid(uuid) => Value::Uuid(uuid),
            Self::Timestamp(timestamp) => Value::Timestamp(timestamp),
            Self::Array(ArrayRef { count, mut values }) => {
                Value::Array(read_values(&mut values, count, 1).expect(CHECKED))
            }
            Self::Map(MapRef { count, mut fields }) => {
                Value::Map(read_fields(&mut fields, count, 1).expect(CHECKED))
            }
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// The values in their order.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        let mut values = self.values;
        (0..self.count).map(move |_| ValueRef::read(&mut values))
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no value.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> MapRef<'a> {
    /// The names with their values, in the order of the names.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> {
        let mut fields = self.fields;
        (0..self.count).map(move |_| {
            let name = fields.name().expect(CHECKED);
            (name, ValueRef::read(&mut fields))
        })
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// How many names there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no name.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> ValueRef<'a> {
    /// What the value begins with, and where what it holds lies.
    pub(crate) const fn parts(self) -> (Token<'a>, Reader<'a>) {
        let nowhere = Reader::new(&[]);
        match self {
            Self::Null => (Token::Null, nowhere),
            Self::Bool(bool) => (Token::Bool(bool), nowhere),
            Self::Int(int) => (Token::Int(int), nowhere),
            Self::Float(float) => (Token::Float(float), nowhere),
            Self::Text(text) => (Token::Text(text), nowhere),
            Self::Bytes(bytes) => (Token::Bytes(bytes), nowhere),
            Self::Uuid(uuid) => (Token::Uuid(uuid), nowhere),
            Self::Timestamp(timestamp) => (Token::Timestamp(timestamp), nowhere),
            Self::Array(ArrayRef { count, values }) => (Token::Array(count), values),
            Self::Map(MapRef { count, fields }) => (Token::Map(count), fields),
        }
    }
}
