//! Where the values are that a user's types are made of: a tree, or bytes.

use serde::de::DeserializeSeed;

use super::deserialize::Node;
use super::error::TypedError;
use crate::binary::{
    Token, deeper, encode_name, read_map_name, read_token, skip_fields, skip_value, skip_values,
};
use crate::form::Form;
use crate::reader::Reader;
use crate::view::ValueRef;
use crate::{Name, Record, RecordIter, Value};

type Result<T> = std::result::Result<T, TypedError>;

/// A value that is to be read.
pub(super) trait Source<'de>: Sized {
    /// What an array holds.
    type Array: Values<'de>;
    /// What a map holds.
    type Map: Fields<'de>;

    fn is_null(&self) -> bool;
    fn kind(&self) -> &'static str;
    fn open(self) -> Result<Token<'de, Self::Array, Self::Map>>;
    /// The value in BlazeBinary.
    fn encode(self) -> Result<Vec<u8>>;
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
    type Array = std::slice::Iter<'de, Value>;
    type Map = InTree<'de>;

    #[inline]
    fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }

    #[inline]
    fn kind(&self) -> &'static str {
        match self {
            Self::Value(value) => value.kind(),
            Self::Fields(_) => "map",
        }
    }

    #[inline]
    fn open(self) -> Result<Token<'de, Self::Array, Self::Map>> {
        let value = match self {
            Self::Value(value) => value,
            Self::Fields(fields) => return Ok(Token::Map(InTree::new(fields))),
        };
        Ok(match value {
            Value::Null => Token::Null,
            Value::Bool(bool) => Token::Bool(*bool),
            Value::Int(int) => Token::Int(*int),
            Value::Float(float) => Token::Float(*float),
            Value::Text(text) => Token::Text(text),
            Value::Bytes(bytes) => Token::Bytes(bytes),
            Value::Uuid(uuid) => Token::Uuid(*uuid),
            Value::Timestamp(timestamp) => Token::Timestamp(*timestamp),
            Value::Array(values) => Token::Array(values.iter()),
            Value::Map(fields) => Token::Map(InTree::new(fields)),
        })
    }

    fn encode(self) -> Result<Vec<u8>> {
        Ok(Form::encode(self))
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

impl<'de> InTree<'de> {
    fn new(fields: &'de Record) -> Self {
        Self { fields: fields.iter(), value: None }
    }
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

/// A value in bytes, whose token was read.
pub(super) struct InBytes<'r, 'de> {
    token: Token<'de>,
    /// Where its contents begin.
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
    let token = read_token(reader)?;
    let holds = matches!(token, Token::Array(1..) | Token::Map(1..));
    let inside = reader.at();
    let made = seed.deserialize(Node(InBytes { token, reader, depth }));
    // A type may do without what a value holds, or go on after an error.
    if made.is_err() || (holds && reader.at() == inside) {
        *reader = before;
        skip_value(reader, depth)?;
    }
    made
}

/// Reads a value in place.
pub(super) fn read_ref<'de, S: DeserializeSeed<'de>>(
    value: ValueRef<'de>,
    seed: S,
) -> Result<S::Value> {
    let (token, mut reader) = value.parts();
    seed.deserialize(Node(InBytes { token, reader: &mut reader, depth: 0 }))
}

impl<'r, 'de> Source<'de> for InBytes<'r, 'de> {
    type Array = Contents<'r, 'de>;
    type Map = Contents<'r, 'de>;

    #[inline]
    fn is_null(&self) -> bool {
        matches!(self.token, Token::Null)
    }

    #[inline]
    fn kind(&self) -> &'static str {
        self.token.kind()
    }

    #[inline]
    fn open(self) -> Result<Token<'de, Self::Array, Self::Map>> {
        let Self { token, reader, depth } = self;
        Ok(match token {
            Token::Null => Token::Null,
            Token::Bool(bool) => Token::Bool(bool),
            Token::Int(int) => Token::Int(int),
            Token::Float(float) => Token::Float(float),
            Token::Text(text) => Token::Text(text),
            Token::Bytes(bytes) => Token::Bytes(bytes),
            Token::Uuid(uuid) => Token::Uuid(uuid),
            Token::Timestamp(timestamp) => Token::Timestamp(timestamp),
            Token::Array(count) => Token::Array(Contents::new(count, reader, depth)?),
            Token::Map(count) => Token::Map(Contents::new(count, reader, depth)?),
        })
    }

    fn encode(self) -> Result<Vec<u8>> {
        let Self { token, reader, depth } = self;
        let mut bytes = Vec::new();
        token.encode(&mut bytes);
        let (rest, start) = (reader.rest(), reader.at());
        match token {
            Token::Array(count) => skip_values(reader, count, deeper(depth)?)?,
            Token::Map(count) => skip_fields(reader, count, deeper(depth)?)?,
            _ => {}
        }
        bytes.extend_from_slice(&rest[..reader.at() - start]);
        Ok(bytes)
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
            skip_value(self.reader, self.depth)?;
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.unread = true;
        Ok(Some(read_map_name(self.reader, &mut self.previous)?))
    }

    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        assert!(std::mem::take(&mut self.unread), "{NAME_FIRST}");
        read(self.reader, self.depth, seed)
    }
}

/// The fields of a record in place.
pub(super) struct InRecord<'de, I> {
    fields: I,
    value: Option<ValueRef<'de>>,
}

impl<'de, I: ExactSizeIterator<Item = (&'de Name, ValueRef<'de>)>> InRecord<'de, I> {
    pub(super) const fn new(fields: I) -> Self {
        Self { fields, value: None }
    }
}

impl<'de, I> Source<'de> for InRecord<'de, I>
where
    I: ExactSizeIterator<Item = (&'de Name, ValueRef<'de>)>,
{
    /// A record is no array.
    type Array = Contents<'de, 'de>;
    type Map = Self;

    #[inline]
    fn is_null(&self) -> bool {
        false
    }

    #[inline]
    fn kind(&self) -> &'static str {
        "map"
    }

    #[inline]
    fn open(self) -> Result<Token<'de, Self::Array, Self>> {
        Ok(Token::Map(self))
    }

    fn encode(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Token::Map(self.fields.len()).encode(&mut bytes);
        for (name, value) in self.fields {
            encode_name(name, &mut bytes);
            let (token, mut reader) = value.parts();
            bytes.extend(InBytes { token, reader: &mut reader, depth: 0 }.encode()?);
        }
        Ok(bytes)
    }
}

impl<'de, I> Fields<'de> for InRecord<'de, I>
where
    I: ExactSizeIterator<Item = (&'de Name, ValueRef<'de>)>,
{
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
        read_ref(self.value.take().expect(NAME_FIRST), seed)
    }
}
