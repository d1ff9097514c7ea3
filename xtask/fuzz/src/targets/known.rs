//! What a peer has told of its dictionary: as the codec keeps it, and as it is read once
//! more here, so that an encoder can be made that gives the same numbers.

use std::collections::BTreeMap;

use blaze_codec::batch::{self, Definitions, Encoder};
use blaze_codec::binary::decode_varint;
use blaze_codec::limits::DEFINITIONS_MAX;
use blaze_codec::{Change, DecodeError, Name, NodeId, Operation, RecordKey, Uuid, Value, Version};

use crate::bound::Bound;
use crate::heap;

/// How many buckets a table has that tells what has a number already.
const BUCKETS: usize = (2 * DEFINITIONS_MAX * 8 / 7).next_power_of_two();

/// What a peer's definitions may take, all of them together: a field of two bytes is 24 in a
/// list, and each byte is kept to compare. Beside that there is a place for each number up to
/// the greatest, 40 bytes of a shape and 17 of a node, in lists that may have room for as many
/// again; and a table of the entries, 25 bytes each, whose old room counts as it grows.
pub(super) const DEFINITIONS: Bound = Bound {
    what: "the definitions of a dictionary",
    per_byte: 12 + 1,
    fixed: 2 * DEFINITIONS_MAX * (40 + 17) + BUCKETS * 25 * 3 / 2,
};

/// A peer's dictionary.
#[derive(Debug, Default)]
pub(super) struct Known {
    definitions: Definitions,
    shapes: BTreeMap<u64, Shape>,
    nodes: BTreeMap<u64, NodeId>,
    /// An encoder with the same numbers, once it is needed.
    encoder: Option<Encoder>,
    /// How many bytes were told, and what they have on the heap.
    bytes: usize,
    live: isize,
}

#[derive(Debug)]
struct Shape {
    kinds: u8,
    collection: Name,
    fields: Vec<Name>,
}

impl Known {
    pub(super) const fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Adds definitions. Where that fails, a session ends.
    pub(super) fn add(&mut self, definitions: &[u8]) -> Result<(), DecodeError> {
        let (added, used) = heap::used_by(|| self.definitions.add(definitions));
        self.bytes += definitions.len();
        let peak = usize::try_from(self.live + used.peak.cast_signed()).unwrap_or(0);
        DEFINITIONS.check(self.bytes, peak);
        self.live += used.left;
        added?;
        self.encoder = None;
        let mut reader = Reader(definitions);
        for _ in 0..reader.number() {
            let number = reader.number();
            let node = NodeId::from_bytes(reader.take(16).try_into().expect("16 bytes"));
            assert!(self.nodes.insert(number, node).is_none(), "{number} is defined twice");
        }
        for _ in 0..reader.number() {
            let (number, kinds) = (reader.number(), reader.take(1)[0]);
            let collection = reader.name();
            let fields: Vec<_> = (0..reader.number()).map(|_| reader.name()).collect();
            assert!(fields.is_sorted_by(|a, b| a < b), "{fields:?} aren't ascending");
            let shape = Shape { kinds, collection, fields };
            assert!(self.shapes.insert(number, shape).is_none(), "{number} is defined twice");
        }
        assert!(reader.0.is_empty(), "bytes behind definitions");
        let most = self.nodes.len().max(self.shapes.len());
        assert!(most <= DEFINITIONS_MAX, "{most} entries");
        Ok(())
    }

    /// Encodes operations that were decoded of some bytes in the same way: by the dictionary
    /// if those were.
    pub(super) fn encode_as(&mut self, bytes: &[u8], operations: &[Operation]) -> Vec<u8> {
        let mut again = Vec::new();
        match bytes.first() {
            Some(&(batch::ROWS_DEFINED | batch::COLUMNS_DEFINED)) => {
                self.encoder().encode(operations, &mut again);
            }
            _ => batch::encode(operations, &mut again),
        }
        again
    }

    /// An encoder with the same numbers.
    pub(super) fn encoder(&mut self) -> &mut Encoder {
        let Self { shapes, nodes, encoder, .. } = self;
        encoder.get_or_insert_with(|| primed(shapes, nodes))
    }
}

/// Lets an encoder see shapes and nodes in the order of their numbers, with others in the
/// place of those that aren't defined.
fn primed(shapes: &BTreeMap<u64, Shape>, nodes: &BTreeMap<u64, NodeId>) -> Encoder {
    let last = |last: Option<&u64>| *last.expect("what decoded needs a shape and a node");
    let (last_shape, last_node) = (last(shapes.keys().last()), last(nodes.keys().last()));
    let unused_shape = (1..=u32::from(char::MAX))
        .filter_map(char::from_u32)
        .find(|first| !shapes.values().any(|shape| shape.collection.as_str().starts_with(*first)));
    let unused_node = (0..=u64::MAX)
        .map(u64::to_be_bytes)
        .find(|first| !nodes.values().any(|node| node.as_bytes().starts_with(first)));
    let (unused_shape, unused_node) = (unused_shape.expect("one"), unused_node.expect("one"));
    let node = |number: u64| {
        let none = [unused_node, number.to_be_bytes()].concat();
        let none = NodeId::from_bytes(none.try_into().expect("16 bytes"));
        nodes.get(&number).copied().unwrap_or(none)
    };
    let operation = |number: u64| {
        let collection = Name::new(&format!("{unused_shape}{number}")).expect("a short name");
        let nothing = Shape { kinds: 2, collection, fields: Vec::new() };
        shapes.get(&number).unwrap_or(&nothing).operation()
    };
    let operations = (0..=last_shape.max(last_node)).map(|number| {
        let mut operation = operation(number.min(last_shape));
        operation.version.node = node(number.min(last_node));
        operation
    });
    let mut encoder = Encoder::with_dictionary();
    encoder.encode(&operations.collect::<Vec<_>>(), &mut Vec::new());
    let numbers = encoder.needs().len() as u64;
    assert_eq!(numbers, last_shape + last_node + 2, "two numbers stand for the same");
    encoder
}

impl Shape {
    fn operation(&self) -> Operation {
        let fields = || self.fields.iter().cloned();
        let change = match self.kinds & 3 {
            0 => Change::Insert(fields().map(|name| (name, Value::Null)).collect()),
            1 => Change::Update(fields().map(|name| (name, None)).collect()),
            _ => Change::Delete,
        };
        let key = match self.kinds >> 2 {
            0 => RecordKey::Uuid(Uuid::nil()),
            1 => RecordKey::Int(0),
            2 => RecordKey::from(""),
            _ => RecordKey::Bytes(Vec::new()),
        };
        let (version, base) = (Version::ZERO, Version::ZERO);
        Operation { collection: self.collection.clone(), key, version, base, change }
    }
}

/// Reads definitions that the codec took.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u64 {
        let (number, length) = decode_varint(self.0).expect("the codec took it");
        self.take(length);
        number
    }

    fn name(&mut self) -> Name {
        let length = self.take(1)[0];
        let text = std::str::from_utf8(self.take(length.into())).expect("the codec took it");
        Name::new(text).expect("the codec took it")
    }
}
