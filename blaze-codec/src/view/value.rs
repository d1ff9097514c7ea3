//! Values in place.

use uuid::Uuid;

use crate::binary::{Token, pass, read_token, read_value_to, skip_rest};
use crate::reader::Reader;
use crate::{DecodeError, Timestamp, Value};

/// Views are only made of bytes that the same parser found valid before.
pub(crate) const CHECKED: &str = "BatchRef::new checked these bytes";

/// A value in place.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
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
    Uuid(&'a Uuid),
    /// A moment.
    Timestamp(Timestamp),
    /// Values in an order.
    Array(ArrayRef<'a>),
    /// Values by name.
    Map(MapRef<'a>),
}

/// An array in place.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRef<'a>(&'a [u8]);

/// A map in place.
#[derive(Debug, Clone, Copy)]
pub struct MapRef<'a>(&'a [u8]);

impl<'a> ValueRef<'a> {
    /// The value that checked bytes are.
    #[inline]
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self::read(&mut Reader::new(bytes))
    }

    /// Reads a value that was checked before, and panics if it wasn't.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let start = *reader;
        let token = read_token(reader).expect(CHECKED);
        pass(&token, reader).expect(CHECKED);
        Self::of(token, start.up_to(reader))
    }

    /// Reads a value, and checks it as [`read_value`] does.
    pub(crate) fn check(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = *reader;
        let token = read_token(reader)?;
        skip_rest(&token, reader, 0)?;
        Ok(Self::of(token, start.up_to(reader)))
    }

    /// The value that begins with a token, and takes these bytes.
    #[inline]
    const fn of(token: Token<'a>, bytes: &'a [u8]) -> Self {
        match token {
            Token::Null => Self::Null,
            Token::Bool(bool) => Self::Bool(bool),
            Token::Int(int) => Self::Int(int),
            Token::Float(float) => Self::Float(float),
            Token::Text(text) => Self::Text(text),
            Token::Bytes(bytes) => Self::Bytes(bytes),
            Token::Uuid(uuid) => Self::Uuid(uuid),
            Token::Timestamp(timestamp) => Self::Timestamp(timestamp),
            Token::Array(_) => Self::Array(ArrayRef(bytes)),
            Token::Map(_) => Self::Map(MapRef(bytes)),
        }
    }

    /// The value, copied out.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn to_value(&self) -> Value {
        let mut copy = Value::Null;
        self.copy_to(|value| copy = value);
        copy
    }

    /// The same for whoever has a place for the value, as [`read_value_to`].
    #[inline]
    pub(crate) fn copy_to(&self, put: impl FnOnce(Value)) {
        match *self {
            Self::Null => put(Value::Null),
            Self::Bool(bool) => put(Value::Bool(bool)),
            Self::Int(int) => put(Value::Int(int)),
            Self::Float(float) => put(Value::Float(float)),
            Self::Text(text) => put(Value::Text(text.into())),
            Self::Bytes(bytes) => put(Value::Bytes(bytes::Bytes::copy_from_slice(bytes))),
            Self::Uuid(uuid) => put(Value::Uuid(*uuid)),
            Self::Timestamp(timestamp) => put(Value::Timestamp(timestamp)),
            Self::Array(ArrayRef(bytes)) | Self::Map(MapRef(bytes)) => {
                read_value_to(&mut Reader::new(bytes), 0, put).expect(CHECKED);
            }
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// How many values there are, and where they begin.
    fn open(&self) -> (usize, Reader<'a>) {
        let mut reader = Reader::new(self.0);
        match read_token(&mut reader) {
            Ok(Token::Array(count)) => (count, reader),
            _ => unreachable!("{CHECKED}"),
        }
    }

    /// The values in their order.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        let (count, mut values) = self.open();
        (0..count).map(move |_| ValueRef::read(&mut values))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.open().0
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> MapRef<'a> {
    /// How many fields there are, and where they begin.
    fn open(&self) -> (usize, Reader<'a>) {
        let mut reader = Reader::new(self.0);
        match read_token(&mut reader) {
            Ok(Token::Map(count)) => (count, reader),
            _ => unreachable!("{CHECKED}"),
        }
    }

    /// The names with their values, in the order of the names.
    ///
    /// # Panics
    ///
    /// Never: [`BatchRef::new`](super::BatchRef::new) checked the bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> {
        let (count, mut fields) = self.open();
        (0..count).map(move |_| {
            let name = fields.name().expect(CHECKED);
            (name, ValueRef::read(&mut fields))
        })
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.open().0
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> ValueRef<'a> {
    /// What the value begins with, and where what it holds lies.
    pub(crate) fn parts(self) -> (Token<'a>, Reader<'a>) {
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
            Self::Array(array) => {
                let (count, values) = array.open();
                (Token::Array(count), values)
            }
            Self::Map(map) => {
                let (count, fields) = map.open();
                (Token::Map(count), fields)
            }
        }
    }
}
