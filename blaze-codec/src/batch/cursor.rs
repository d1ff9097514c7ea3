//! Goes through the operations of a batch: the one parser under decoding and views.

use super::Common;
use super::columns::are_columns;
use super::shape::{ChangeKind, FirstUses, KeyKind, Shape};
use super::stamp::Stamp;
use crate::binary::{REMOVED, read_value_to};
use crate::limits::{
    self, BATCH_OPERATIONS_MAX, BATCH_VALUES_MAX, KEY_BYTES_MAX, RECORD_BYTES_MAX, what,
};
use crate::nodes::Node;
use crate::reader::{Reader, capacity};
use crate::values::{RecordValues, put};
use crate::view::KeyRef;
use crate::{Change, DecodeError, Operation, Record, Uuid};

/// The smallest operation: shape, flags and a key.
const OPERATION_BYTES_MIN: usize = 3;

/// A place among the operations of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'c, 'a> {
    common: &'c Common<'a>,
    reader: Reader<'a>,
    left: usize,
    shapes: FirstUses,
    nodes: FirstUses,
    previous: Option<Stamp>,
    count: usize,
    /// Of the shapes, if they come from a dictionary and their number matters.
    numbers: Vec<u32>,
}

/// An operation whose values were not yet read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'c, 'a> {
    /// Its index in the table of shapes, or its number in the dictionary.
    pub(crate) number: u32,
    pub(crate) shape: &'c Shape,
    pub(crate) key: KeyRef<'a>,
    pub(crate) stamp: Stamp,
    /// The values of the shape's fields.
    pub(crate) values: Reader<'a>,
}

impl<'c, 'a> Cursor<'c, 'a> {
    /// A place before the first operation, given a reader that is behind the tables.
    pub(crate) fn new(common: &'c Common<'a>, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.at();
        let left = reader.count(OPERATION_BYTES_MIN)?;
        limits::check(what::BATCH_OPERATIONS, left, BATCH_OPERATIONS_MAX)?;
        let (shapes, nodes) = match common {
            Common::Told(tables) => (tables.shapes.len(), tables.nodes.len()),
            Common::Defined(_) => (0, 0),
        };
        let is_other = match common {
            Common::Told(_) => left > 0 && are_columns(left, shapes),
            // How many shapes they have is seen at the end.
            Common::Defined(_) => left == 0,
        };
        if is_other {
            return Reader::malformed("layout of so many operations", at);
        }
        Ok(Self {
            common,
            reader,
            left,
            shapes: FirstUses::new("use of shapes", shapes),
            nodes: FirstUses::new("use of nodes", nodes),
            previous: None,
            count: left,
            numbers: Vec::new(),
        })
    }

    /// How many of the operations left to reserve memory for.
    pub(crate) const fn capacity<T>(&self) -> usize {
        capacity::<T>(self.left)
    }

    /// Reads the next operation up to its values, which are left unread. After
    /// the last one, checks that the batch is complete.
    #[expect(
        clippy::inline_always,
        reason = "measured: walking single operations took a quarter longer"
    )]
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<Head<'c, 'a>>, DecodeError> {
        if self.left == 0 {
            self.numbers.sort_unstable();
            self.numbers.dedup();
            if !self.numbers.is_empty() && are_columns(self.count, self.numbers.len()) {
                return Reader::malformed("layout of so many operations", self.reader.at());
            }
            self.shapes.finish(&self.reader)?;
            self.nodes.finish(&self.reader)?;
            return self.reader.finish().map(|()| None);
        }
        self.left -= 1;
        let previous = self.previous.as_ref();
        let (number, stamp) = match self.common {
            Common::Told(tables) => {
                let shape = self.shapes.read(&mut self.reader)?;
                let nodes = &mut self.nodes;
                let node = |reader: &mut Reader<'a>| Ok(tables.nodes[nodes.read(reader)?]);
                let stamp = Stamp::read(&mut self.reader, previous, node)?;
                (u32::try_from(shape).unwrap_or(u32::MAX), stamp)
            }
            Common::Defined(definitions) => {
                let number = definitions.shape(&mut self.reader)?;
                if are_columns(self.count, 1) {
                    self.numbers.push(number);
                }
                let node = |reader: &mut Reader<'a>| definitions.node(reader);
                (number, Stamp::read(&mut self.reader, previous, node)?)
            }
        };
        let shape = self.common.shape(number);
        self.previous = Some(stamp);
        let key = read_key(&mut self.reader, shape.key)?;
        let bytes = if shape.names.is_empty() {
            0
        } else {
            self.reader.bounded(what::RECORD_BYTES, RECORD_BYTES_MAX)?
        };
        Ok(Some(Head { number, shape, key, stamp, values: self.reader.split(bytes)? }))
    }
}

impl<'a> Head<'_, 'a> {
    /// Reads the values into an operation, and adds how many they are.
    pub(crate) fn decode(&self, all: &mut usize) -> Result<Operation, DecodeError> {
        let (mut values, mut removed) = (self.values, 0);
        let names = &self.shape.names;
        let count = values.proven(names.len(), 1)?;
        let change = match self.shape.change {
            ChangeKind::Insert => {
                let mut fields = RecordValues::nulls(count);
                for place in fields.places() {
                    read_value_to(&mut values, 0, |value| put(place, value))?;
                }
                Change::Insert(Record::of_sorted(names.clone(), fields))
            }
            ChangeKind::Update => {
                let mut fields = Vec::with_capacity(count);
                for name in names.iter() {
                    if values.skip_byte(REMOVED) {
                        fields.push((name.clone(), None));
                        removed += 1;
                        continue;
                    }
                    let put = |value| fields.push((name.clone(), Some(value)));
                    read_value_to(&mut values, 0, put)?;
                }
                Change::Update(fields)
            }
            ChangeKind::Delete => Change::Delete,
        };
        values.finish()?;
        add_values(all, values.values + removed)?;
        let Stamp { version, base } = self.stamp;
        let collection = self.shape.collection.clone();
        Ok(Operation { collection, key: self.key.to_key(), version, base, change })
    }

    /// Adds the values in place.
    /// Their number goes to `all`, with those within arrays and maps.
    pub(crate) fn nodes(
        &self,
        nodes: &mut Vec<Node<'a>>,
        all: &mut usize,
    ) -> Result<(), DecodeError> {
        let (mut values, mut gone) = (self.values, 0);
        let updates = self.shape.change == ChangeKind::Update;
        let count = values.proven(self.shape.names.len(), 1)?;
        nodes.reserve(count);
        for _ in 0..count {
            if updates && values.skip_byte(REMOVED) {
                gone += 1;
                nodes.push(Node::Removed);
            } else {
                Node::read(&mut values, 0, nodes)?;
            }
        }
        values.finish()?;
        add_values(all, values.values + gone)
    }
}

/// Adds the values of an operation to those of its batch.
fn add_values(all: &mut usize, values: usize) -> Result<(), DecodeError> {
    *all += values;
    limits::check(what::BATCH_VALUES, *all, BATCH_VALUES_MAX)
}

fn read_key<'a>(reader: &mut Reader<'a>, kind: KeyKind) -> Result<KeyRef<'a>, DecodeError> {
    Ok(match kind {
        KeyKind::Uuid => KeyRef::Uuid(Uuid::from_bytes_ref(reader.array_ref()?)),
        KeyKind::Int => KeyRef::Int(reader.signed()?),
        KeyKind::Text => {
            let bytes = reader.bounded(what::KEY_BYTES, KEY_BYTES_MAX)?;
            KeyRef::Text(reader.text(bytes)?)
        }
        KeyKind::Bytes => {
            let bytes = reader.bounded(what::KEY_BYTES, KEY_BYTES_MAX)?;
            KeyRef::Bytes(reader.take(bytes)?)
        }
    })
}
