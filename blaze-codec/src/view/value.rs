//! Values in place.

use uuid::Uuid;

use crate::binary::Token;
use crate::names::Gathered;
use crate::nodes::{Node, Size};
use crate::values::{self, RecordValues};
use crate::{Record, Timestamp, Value};

/// Views are only made of bytes that were found valid before.
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
pub struct ArrayRef<'a>(Contents<'a>);

/// A map in place.
#[derive(Debug, Clone, Copy)]
pub struct MapRef<'a>(Contents<'a>);

/// An array or a map, and what it holds.
type Contents<'a> = &'a [Node<'a>];

impl<'a> ValueRef<'a> {
    /// The first of values, which is taken from them.
    #[inline]
    pub(crate) fn take(nodes: &mut &'a [Node<'a>]) -> Self {
        let first = Self::first(nodes);
        *nodes = &nodes[first.contents().len().max(1)..];
        first
    }

    /// The first of values.
    #[inline]
    pub(crate) fn first(nodes: &'a [Node<'a>]) -> Self {
        let contents = |size: Size| &nodes[..=size.nodes as usize];
        match nodes[0].token().expect(CHECKED).map(contents, contents) {
            Token::Null => Self::Null,
            Token::Bool(bool) => Self::Bool(bool),
            Token::Int(int) => Self::Int(int),
            Token::Float(float) => Self::Float(float),
            Token::Text(text) => Self::Text(text),
            Token::Bytes(bytes) => Self::Bytes(bytes),
            Token::Uuid(uuid) => Self::Uuid(uuid),
            Token::Timestamp(timestamp) => Self::Timestamp(timestamp),
            Token::Array(contents) => Self::Array(ArrayRef(contents)),
            Token::Map(contents) => Self::Map(MapRef(contents)),
        }
    }

    /// What it is of an array or a map; nothing, if it is neither.
    const fn contents(&self) -> Contents<'a> {
        match self {
            Self::Array(ArrayRef(contents)) | Self::Map(MapRef(contents)) => contents,
            _ => &[],
        }
    }

    /// The value, with what an array or a map holds.
    pub(crate) const fn token(self) -> Token<'a, ArrayRef<'a>, MapRef<'a>> {
        match self {
            Self::Null => Token::Null,
            Self::Bool(bool) => Token::Bool(bool),
            Self::Int(int) => Token::Int(int),
            Self::Float(float) => Token::Float(float),
            Self::Text(text) => Token::Text(text),
            Self::Bytes(bytes) => Token::Bytes(bytes),
            Self::Uuid(uuid) => Token::Uuid(uuid),
            Self::Timestamp(timestamp) => Token::Timestamp(timestamp),
            Self::Array(array) => Token::Array(array),
            Self::Map(map) => Token::Map(map),
        }
    }

    /// Appends the value in BlazeBinary.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self.contents() {
            [] => self.token().map(|_| 0, |_| 0).encode(out),
            nodes => Node::encode_all(nodes, out),
        }
    }

    /// The value, copied out.
    pub fn to_value(&self) -> Value {
        let mut copy = Value::Null;
        self.copy_to(|value| copy = value);
        copy
    }

    /// The same for whoever has a place for the value, as
    /// [`read_value_to`](crate::binary::read_value_to).
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
            Self::Array(array) => put(Value::Array(array.to_values())),
            Self::Map(map) => put(Value::Map(map.to_record())),
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// The values in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> + use<'a> {
        self.values()
    }

    pub(crate) fn values(self) -> Elements<'a> {
        Elements { left: self.len(), nodes: &self.0[1..] }
    }

    fn to_values(self) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.len());
        for value in self.values() {
            value.copy_to(|value| values.push(value));
        }
        values
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        count(self.0)
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> MapRef<'a> {
    /// The names with their values, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        self.fields()
    }

    pub(crate) fn fields(self) -> Fields<'a> {
        Fields(Elements { left: self.len(), nodes: &self.0[1..] })
    }

    fn to_record(self) -> Record {
        let mut names = Gathered::new(self.len());
        let mut values = RecordValues::nulls(self.len());
        for (place, (name, value)) in values.places().iter_mut().zip(self.fields()) {
            names.push(name).expect(CHECKED);
            value.copy_to(|value| values::put(place, value));
        }
        Record::of_sorted(names.finish(), values)
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        count(self.0)
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many values an array or a map holds.
fn count(contents: Contents<'_>) -> usize {
    match contents[0].token() {
        Some(Token::Array(size) | Token::Map(size)) => size.count as usize,
        _ => unreachable!("{CHECKED}"),
    }
}

/// The values of an array.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    left: usize,
    nodes: &'a [Node<'a>],
}

impl<'a> Iterator for Elements<'a> {
    type Item = ValueRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<ValueRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(ValueRef::take(&mut self.nodes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// The fields of a map.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(Elements<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let [Node::Name(name), rest @ ..] = self.0.nodes else { return None };
        self.0.nodes = rest;
        Some((name, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}
