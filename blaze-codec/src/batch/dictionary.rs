//! What batches have in common over time: shapes and nodes by numbers.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::grouped::Grouped;
use super::shape::{ChangeKind, Shape, ShapeRef, Tables, all_differ, read_kinds};
use crate::binary::{encode_name, encode_varint};
use crate::limits::{self, DEFINITION_BYTES_MAX, DEFINITIONS_MAX, FIELDS_MAX, what};
use crate::reader::{Reader, owned_name};
use crate::{DecodeError, NodeId, Operation};

/// The smallest definition of a shape: its number, kinds, a name and a count of fields.
const SHAPE_BYTES_MIN: usize = 5;
/// The smallest definition of a node: its number, and the node.
const NODE_BYTES_MIN: usize = 17;
/// What definitions take beside names and nodes at most, even if each is told by itself:
/// numbers, kinds, lengths and counts.
const SHAPE_HEAD_BYTES_MAX: usize = 9;
const NODE_HEAD_BYTES_MAX: usize = 4;

/// An entry of the dictionary of an [`Encoder`](super::Encoder).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Node(u32),
    Shape(u32),
}

impl Entry {
    pub(super) const fn number(self) -> u32 {
        match self.0 {
            Kind::Node(number) | Kind::Shape(number) => number,
        }
    }
}

/// Numbers shapes and nodes, for good.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    shapes: Vec<Shape>,
    nodes: Vec<NodeId>,
    shape_table: HashTable<u32>,
    node_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// How much it takes to define all of them.
    bytes: usize,
    /// What was looked up last: in most batches, the next one too.
    last_shape: u32,
    last_node: u32,
}

impl Dictionary {
    /// Gives numbers to the shapes and then the nodes of a batch, and tells them in their
    /// order; tells none if there is no room for all.
    pub(super) fn number(
        &mut self,
        grouped: &Grouped,
        operations: &[Operation],
        needs: &mut Vec<Entry>,
    ) {
        for first in grouped.shapes() {
            let Some(number) = self.shape(ShapeRef::of(&operations[*first as usize])) else {
                return needs.clear();
            };
            needs.push(Entry(Kind::Shape(number)));
        }
        for node in grouped.nodes() {
            let Some(number) = self.node(*node) else { return needs.clear() };
            needs.push(Entry(Kind::Node(number)));
        }
    }

    fn shape(&mut self, shape: ShapeRef<'_>) -> Option<u32> {
        let is = |shapes: &[Shape], number: u32| {
            shapes.get(number as usize).is_some_and(|known| ShapeRef::from(known) == shape)
        };
        if is(&self.shapes, self.last_shape) {
            return Some(self.last_shape);
        }
        let Self { shapes, shape_table, hasher, .. } = self;
        let hash = hasher.hash_one(shape);
        if let Some(number) = shape_table.find(hash, |number| is(shapes, *number)) {
            self.last_shape = *number;
            return Some(*number);
        }
        let names = shape.fields().map(|name| 1 + name.len());
        let bytes = SHAPE_HEAD_BYTES_MAX + shape.collection.len() + names.sum::<usize>();
        let number = self.room(self.shapes.len(), bytes)?;
        let Self { shapes, shape_table, hasher, .. } = self;
        shape_table.insert_unique(hash, number, |number| {
            hasher.hash_one(ShapeRef::from(&shapes[*number as usize]))
        });
        shapes.push(shape.to_shape());
        self.last_shape = number;
        Some(number)
    }

    fn node(&mut self, node: NodeId) -> Option<u32> {
        if self.nodes.get(self.last_node as usize) == Some(&node) {
            return Some(self.last_node);
        }
        let Self { nodes, node_table, hasher, .. } = self;
        let hash = hasher.hash_one(node);
        if let Some(number) = node_table.find(hash, |number| nodes[*number as usize] == node) {
            self.last_node = *number;
            return Some(*number);
        }
        let number = self.room(self.nodes.len(), NODE_HEAD_BYTES_MAX + size_of::<NodeId>())?;
        let Self { nodes, node_table, hasher, .. } = self;
        node_table.insert_unique(hash, number, |number| hasher.hash_one(nodes[*number as usize]));
        nodes.push(node);
        self.last_node = number;
        Some(number)
    }

    /// The next number, if there is room for an entry that takes so many bytes.
    fn room(&mut self, count: usize, bytes: usize) -> Option<u32> {
        if count == DEFINITIONS_MAX || self.bytes + bytes > DEFINITION_BYTES_MAX {
            return None;
        }
        self.bytes += bytes;
        u32::try_from(count).ok()
    }

    pub(super) fn define(&self, entries: &[Entry], out: &mut Vec<u8>) {
        let nodes = entries.iter().filter_map(|entry| match entry.0 {
            Kind::Node(number) => Some(number),
            Kind::Shape(_) => None,
        });
        let shapes = entries.iter().filter_map(|entry| match entry.0 {
            Kind::Shape(number) => Some(number),
            Kind::Node(_) => None,
        });
        encode_varint(nodes.clone().count() as u64, out);
        for number in nodes {
            encode_varint(number.into(), out);
            out.extend_from_slice(self.nodes[number as usize].as_bytes());
        }
        encode_varint(shapes.clone().count() as u64, out);
        for number in shapes {
            let shape = ShapeRef::from(&self.shapes[number as usize]);
            encode_varint(number.into(), out);
            out.push(shape.kinds());
            encode_name(shape.collection, out);
            encode_varint(shape.fields().len() as u64, out);
            shape.fields().for_each(|name| encode_name(name, out));
        }
    }
}

/// What the numbers in a peer's batches mean.
///
/// Its size is bounded: [`DEFINITIONS_MAX`] shapes and as many nodes, which together take
/// [`DEFINITION_BYTES_MAX`] bytes to define.
#[derive(Debug, Default)]
pub struct Definitions {
    shapes: Vec<Option<Shape>>,
    nodes: Vec<Option<NodeId>>,
    /// The bytes of what has a number, so that nothing gets two; and whether it is a shape.
    numbered: HashSet<(bool, Box<[u8]>)>,
    bytes: usize,
}

impl Definitions {
    /// Those of nothing.
    pub(crate) fn none() -> &'static Self {
        static NONE: LazyLock<Definitions> = LazyLock::new(Definitions::default);
        &NONE
    }

    /// Adds definitions.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if they are malformed, define a number twice or the same by two
    /// numbers, or exceed a limit. What came before it is kept: no batch that follows is to
    /// be decoded by them.
    pub fn add(&mut self, definitions: &[u8]) -> Result<(), DecodeError> {
        self.bytes = self.bytes.saturating_add(definitions.len());
        limits::check(what::DEFINITION_BYTES, self.bytes, DEFINITION_BYTES_MAX)?;
        let mut reader = Reader::new(definitions);
        for _ in 0..reader.count(NODE_BYTES_MIN)? {
            let (place, start) = (free_place(&mut reader, &mut self.nodes)?, reader);
            *place = Some(NodeId::from_bytes(reader.array()?));
            note(&mut self.numbered, false, &start, &reader)?;
        }
        for _ in 0..reader.count(SHAPE_BYTES_MIN)? {
            let (place, start) = (free_place(&mut reader, &mut self.shapes)?, reader);
            *place = Some(read_shape(&mut reader)?);
            note(&mut self.numbered, true, &start, &reader)?;
        }
        reader.finish()
    }

    /// Reads the number of a shape.
    #[inline]
    pub(super) fn shape(&self, reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
        let at = reader.at();
        let number = reader.varint()?;
        find(number, &self.shapes, "shape that isn't defined", at)?;
        u32::try_from(number).or(Reader::malformed("shape that isn't defined", at))
    }

    /// The shape of a number that was read.
    #[inline]
    pub(super) fn numbered(&self, number: u32) -> &Shape {
        self.shapes[number as usize].as_ref().expect("it was found when it was read")
    }

    /// Reads the number of a node.
    #[inline]
    pub(super) fn node(&self, reader: &mut Reader<'_>) -> Result<NodeId, DecodeError> {
        let at = reader.at();
        find(reader.varint()?, &self.nodes, "node that isn't defined", at).copied()
    }

    /// Reads the numbers of what a batch by columns uses.
    pub(super) fn read_tables(&self, reader: &mut Reader<'_>) -> Result<Tables, DecodeError> {
        let at = reader.at();
        let shapes = numbers(reader)?;
        let nodes = numbers(reader)?;
        if !all_differ(&shapes, |number| *number) || !all_differ(&nodes, |number| *number) {
            return Reader::malformed("entry used twice", at);
        }
        let shape = |number: &u64| find(*number, &self.shapes, "shape that isn't defined", at);
        let node = |number: &u64| find(*number, &self.nodes, "node that isn't defined", at);
        Ok(Tables {
            shapes: shapes.iter().map(|number| shape(number).cloned()).collect::<Result<_, _>>()?,
            nodes: nodes.iter().map(|number| node(number).copied()).collect::<Result<_, _>>()?,
        })
    }
}

/// Notes what was read between two places, and refuses what was noted before.
fn note(
    numbered: &mut HashSet<(bool, Box<[u8]>)>,
    is_shape: bool,
    start: &Reader<'_>,
    end: &Reader<'_>,
) -> Result<(), DecodeError> {
    if !numbered.insert((is_shape, start.up_to(end).into())) {
        return Reader::malformed("second number of what has one", start.at());
    }
    Ok(())
}

fn numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, DecodeError> {
    let count = reader.count(1)?;
    limits::check(what::DEFINITIONS, count, DEFINITIONS_MAX)?;
    (0..count).map(|_| reader.varint()).collect()
}

#[inline]
fn find<'d, T>(
    number: u64,
    entries: &'d [Option<T>],
    what: &'static str,
    at: usize,
) -> Result<&'d T, DecodeError> {
    let entry = usize::try_from(number).ok().and_then(|number| entries.get(number)?.as_ref());
    entry.ok_or(DecodeError::Malformed { what, at })
}

/// Reads the number of an entry that isn't defined yet.
fn free_place<'d, T>(
    reader: &mut Reader<'_>,
    entries: &'d mut Vec<Option<T>>,
) -> Result<&'d mut Option<T>, DecodeError> {
    let at = reader.at();
    let number = reader.bounded(what::DEFINITIONS, DEFINITIONS_MAX - 1)?;
    if number >= entries.len() {
        entries.resize_with(number + 1, || None);
    }
    let place = &mut entries[number];
    if place.is_some() {
        return Reader::malformed("number that is defined already", at);
    }
    Ok(place)
}

fn read_shape(reader: &mut Reader<'_>) -> Result<Shape, DecodeError> {
    let at = reader.at();
    let (change, key) = read_kinds(reader)?;
    let collection = owned_name(reader.name()?)?;
    let count = reader.bounded(what::FIELDS, FIELDS_MAX)?;
    if change == ChangeKind::Delete && count > 0 {
        return Reader::malformed("delete with fields", at);
    }
    let mut names = Vec::with_capacity(reader.proven(count, 2)?);
    for _ in 0..count {
        names.push(owned_name(reader.name()?)?);
    }
    if !names.is_sorted_by(|a, b| a < b) {
        return Reader::malformed("order of fields", at);
    }
    Ok(Shape { change, key, collection, names: names.into() })
}
