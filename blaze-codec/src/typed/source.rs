//! Where the values are that a user's types are made of: a tree, or bytes.

use std::borrow::Cow;
use std::convert::Infallible;

use serde::de::DeserializeSeed;

use super::deserialize::Node;
use super::error::TypedError;
use crate::binary::{
    Token, deeper, encode_name, is_null_next, read_map_name, read_token, skip_value,
};
use crate::form::Form;
use crate::limits::VALUES_MAX;
use crate::reader::Reader;
use crate::view::{self, ArrayRef, MapRef, ValueRef};
use crate::{DecodeError, Record, RecordIter, Value};

type Result<T> = std::result::Result<T, TypedError>;

/// A value that is to be read.
pub(super) trait Source<'de>: Sized {
    /// What its token says of an array.
    type Array;
    /// What its token says of a map.
    type Map;
    type Values: Values<'de>;
    type Fields: Fields<'de>;

    fn is_null(&self) -> bool;
    /// Reads the token, once.
    fn token(&mut self) -> Result<Token<'de, Self::Array, Self::Map>>;
    /// The values of an array whose token was read.
    fn values(self, array: Self::Array) -> Result<Self::Values>;
    /// The fields of a map whose token was read.
    fn fields(self, map: Self::Map) -> Result<Self::Fields>;
    /// The value in BlazeBinary, in place of all that.
    fn encode(self) -> Result<Cow<'de, [u8]>>;
}

/// The values of an array.
pub(super) trait Values<'de> {
    /// How many weren't read.
    fn left(&self) -> usize;
    /// Reads the next one; there is one.
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value>;
}

/// The fields of a map.
pub(super) trait Fields<'de> {
    /// How many names weren't read.
    fn left(&self) -> usize;
    /// Reads the next name.
    fn name(&mut self) -> Result<Option<&'de str>>;
    /// Reads the value of the name that was read last, at most once.
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value>;
}

impl<'de> Source<'de> for Form<'de> {
    type Array = &'de [Value];
    type Map = &'de Record;
    type Values = std::slice::Iter<'de, Value>;
    type Fields = InTree<'de>;

    #[inline]
    fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'de, &'de [Value], &'de Record>> {
        let value = match *self {
            Self::Value(value) => value,
            Self::Fields(fields) => return Ok(Token::Map(fields)),
        };
        Ok(match value {
            Value::Null => Token::Null,
            Value::Bool(bool) => Token::Bool(*bool),
            Value::Int(int) => Token::Int(*int),
            Value::Float(float) => Token::Float(*float),
            Value::Text(text) => Token::Text(text),
            Value::Bytes(bytes) => Token::Bytes(bytes),
            Value::Uuid(uuid) => Token::Uuid(uuid),
            Value::Timestamp(timestamp) => Token::Timestamp(*timestamp),
            Value::Array(values) => Token::Array(values),
            Value::Map(fields) => Token::Map(fields),
        })
    }

    #[inline]
    fn values(self, values: &'de [Value]) -> Result<std::slice::Iter<'de, Value>> {
        Ok(values.iter())
    }

    #[inline]
    fn fields(self, fields: &'de Record) -> Result<InTree<'de>> {
        Ok(InTree { fields: fields.iter(), value: None })
    }

    fn encode(self) -> Result<Cow<'de, [u8]>> {
        Ok(Form::encode(self).into())
    }
}

impl<'de> Values<'de> for std::slice::Iter<'de, Value> {
    #[inline]
    fn left(&self) -> usize {
        self.len()
    }

    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let value = Iterator::next(self).expect("one is left");
        seed.deserialize(Node(Form::of(value)))
    }
}

/// The fields of a record in a tree.
pub(super) struct InTree<'de> {
    fields: RecordIter<'de>,
    value: Option<&'de Value>,
}

impl<'de> Fields<'de> for InTree<'de> {
    #[inline]
    fn left(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    fn name(&mut self) -> Result<Option<&'de str>> {
        let field = self.fields.next();
        self.value = field.map(|(_, value)| value);
        Ok(field.map(|(name, _)| name.as_str()))
    }

    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let value = self.value.take().expect(NAME_FIRST);
        seed.deserialize(Node(Form::of(value)))
    }
}

const NAME_FIRST: &str = "a name comes before its value, which is read once";

/// A value in bytes.
pub(super) struct InBytes<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// How many arrays and maps it lies within.
    depth: usize,
}

/// Reads a value within `depth` arrays and maps.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    reader: &mut Reader<'de>,
    depth: usize,
    seed: S,
) -> Result<S::Value> {
    let before = *reader;
    let made = seed.deserialize(Node(InBytes { reader, depth }));
    // A type may leave a value unread, or go on after an error.
    if made.is_err() || reader.at() == before.at() {
        *reader = before;
        step(reader, |reader| skip_value(reader, depth))?;
    }
    made
}

/// Steps on in the bytes, unless they are no value: then nothing more can be read, so that
/// no type hides it by going on. That is told by more values than there can be.
fn step<'de, T>(
    reader: &mut Reader<'de>,
    step: impl FnOnce(&mut Reader<'de>) -> std::result::Result<T, DecodeError>,
) -> Result<T> {
    step(reader).map_err(|error| {
        reader.values = VALUES_MAX + 1;
        error.into()
    })
}

impl<'r, 'de> Source<'de> for InBytes<'r, 'de> {
    type Array = usize;
    type Map = usize;
    type Values = Contents<'r, 'de>;
    type Fields = Contents<'r, 'de>;

    #[inline]
    fn is_null(&self) -> bool {
        is_null_next(self.reader)
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'de>> {
        Ok(read_token(self.reader)?)
    }

    #[inline]
    fn values(self, count: usize) -> Result<Contents<'r, 'de>> {
        Contents::new(count, self.reader, self.depth)
    }

    #[inline]
    fn fields(self, count: usize) -> Result<Contents<'r, 'de>> {
        Contents::new(count, self.reader, self.depth)
    }

    fn encode(self) -> Result<Cow<'de, [u8]>> {
        let (rest, start) = (self.reader.rest(), self.reader.at());
        skip_value(self.reader, self.depth)?;
        Ok(Cow::Borrowed(&rest[..self.reader.at() - start]))
    }
}

/// A value in place.
impl<'de> Source<'de> for ValueRef<'de> {
    type Array = ArrayRef<'de>;
    type Map = MapRef<'de>;
    type Values = view::Elements<'de>;
    type Fields = InView<'de, view::Fields<'de>>;

    #[inline]
    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'de, ArrayRef<'de>, MapRef<'de>>> {
        Ok(ValueRef::token(*self))
    }

    #[inline]
    fn values(self, array: ArrayRef<'de>) -> Result<view::Elements<'de>> {
        Ok(array.values())
    }

    #[inline]
    fn fields(self, map: MapRef<'de>) -> Result<InView<'de, view::Fields<'de>>> {
        Ok(InView::new(map.fields()))
    }

    fn encode(self) -> Result<Cow<'de, [u8]>> {
        let mut bytes = Vec::new();
        ValueRef::encode(self, &mut bytes);
        Ok(bytes.into())
    }
}

impl<'de> Values<'de> for view::Elements<'de> {
    #[inline]
    fn left(&self) -> usize {
        self.len()
    }

    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(Node(Iterator::next(self).expect("one is left")))
    }
}

/// What an array or a map in bytes holds.
pub(super) struct Contents<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    left: usize,
    /// The name that was read last.
    previous: Option<&'de str>,
    /// Whether its value wasn't read.
    unread: bool,
}

impl<'r, 'de> Contents<'r, 'de> {
    /// What an array or map at `depth` holds.
    fn new(left: usize, reader: &'r mut Reader<'de>, depth: usize) -> Result<Self> {
        Ok(Self { reader, depth: deeper(depth)?, left, previous: None, unread: false })
    }
}

impl<'de> Values<'de> for Contents<'_, 'de> {
    #[inline]
    fn left(&self) -> usize {
        self.left
    }

    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.left -= 1;
        read(self.reader, self.depth, seed)
    }
}

impl<'de> Fields<'de> for Contents<'_, 'de> {
    #[inline]
    fn left(&self) -> usize {
        self.left
    }

    #[inline]
    fn name(&mut self) -> Result<Option<&'de str>> {
        if std::mem::take(&mut self.unread) {
            step(self.reader, |reader| skip_value(reader, self.depth))?;
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.unread = true;
        step(self.reader, |reader| read_map_name(reader, &mut self.previous)).map(Some)
    }

    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        assert!(std::mem::take(&mut self.unread), "{NAME_FIRST}");
        read(self.reader, self.depth, seed)
    }
}

/// The fields of a record or a map in place.
pub(super) struct InView<'de, I> {
    fields: I,
    value: Option<ValueRef<'de>>,
}

impl<'de, I: ExactSizeIterator<Item = (&'de str, ValueRef<'de>)>> InView<'de, I> {
    pub(super) const fn new(fields: I) -> Self {
        Self { fields, value: None }
    }
}

/// A record, which is no array.
impl<'de, I: ExactSizeIterator<Item = (&'de str, ValueRef<'de>)>> Source<'de> for InView<'de, I> {
    type Array = Infallible;
    type Map = ();
    type Values = view::Elements<'de>;
    type Fields = Self;

    fn is_null(&self) -> bool {
        false
    }

    fn token(&mut self) -> Result<Token<'de, Infallible, ()>> {
        Ok(Token::Map(()))
    }

    fn values(self, array: Infallible) -> Result<view::Elements<'de>> {
        match array {}
    }

    fn fields(self, (): ()) -> Result<Self> {
        Ok(self)
    }

    fn encode(self) -> Result<Cow<'de, [u8]>> {
        let mut bytes = Vec::new();
        Token::Map(self.fields.len()).encode(&mut bytes);
        for (name, value) in self.fields {
            encode_name(name, &mut bytes);
            value.encode(&mut bytes);
        }
        Ok(bytes.into())
    }
}

impl<'de, I: ExactSizeIterator<Item = (&'de str, ValueRef<'de>)>> Fields<'de> for InView<'de, I> {
    #[inline]
    fn left(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    fn name(&mut self) -> Result<Option<&'de str>> {
        let field = self.fields.next();
        self.value = field.map(|(_, value)| value);
        Ok(field.map(|(name, _)| name))
    }

    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(Node(self.value.take().expect(NAME_FIRST)))
    }
}
