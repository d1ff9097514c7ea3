//! What a peer has told of its dictionary: as the codec keeps it, and as it is read once
//! more here, so that an encoder can be made that gives the same numbers.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use blaze_codec::batch::{self, Definitions, Encoder};
use blaze_codec::binary::decode_varint;
use blaze_codec::limits::DEFINITIONS_MAX;
use blaze_codec::{Change, DecodeError, Name, NodeId, Operation, RecordKey, Uuid, Value, Version};

use crate::bound::Bound;
use crate::heap;

/// What a peer's definitions may take, all of them together: a field of two bytes is 24 in a
/// list. Beside that there is a place for each number up to the greatest, in lists that
/// double, while the old ones are still there: 40 bytes of a shape and 17 of a node.
pub(super) const DEFINITIONS: Bound = Bound {
    what: "the definitions of a dictionary",
    per_byte: 12,
    fixed: 3 * DEFINITIONS_MAX * (40 + 17),
};

/// A peer's dictionary.
#[derive(Debug, Default)]
pub(super) struct Known {
    definitions: Definitions,
    shapes: BTreeMap<u64, Shape>,
    nodes: BTreeMap<u64, NodeId>,
    /// An encoder with the same numbers, once it is needed; `None` within if there is none.
    encoder: OnceCell<Option<Encoder>>,
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
        self.encoder = OnceCell::new();
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
    /// if those were. `None` if that has two numbers for the same; then it is checked that
    /// they come back in a batch that stands for itself.
    pub(super) fn encode_as(&mut self, bytes: &[u8], operations: &[Operation]) -> Option<Vec<u8>> {
        let mut again = Vec::new();
        let defined = [batch::ROWS_DEFINED, batch::COLUMNS_DEFINED].map(Some);
        if !defined.contains(&bytes.first().copied()) {
            batch::encode(operations, &mut again);
            return Some(again);
        }
        if let Some(encoder) = self.encoder() {
            encoder.encode(operations, &mut again);
            return Some(again);
        }
        batch::encode(operations, &mut again);
        assert_eq!(batch::decode(&again).as_deref(), Ok(operations));
        None
    }

    /// An encoder with the same numbers; `None` if two of them stand for the same.
    pub(super) fn encoder(&mut self) -> Option<&mut Encoder> {
        self.encoder.get_or_init(|| primed(&self.shapes, &self.nodes));
        self.encoder.get_mut()?.as_mut()
    }
}

/// Lets an encoder see shapes and nodes in the order of their numbers, with others in the
/// place of those that aren't defined.
fn primed(shapes: &BTreeMap<u64, Shape>, nodes: &BTreeMap<u64, NodeId>) -> Option<Encoder> {
    let (last_shape, last_node) = (*shapes.keys().last()?, *nodes.keys().last()?);
    let operation = |at: u64| {
        let (shape, node) = (at.min(last_shape), at.min(last_node));
        let unused_node = NodeId::from_bytes((u128::MAX - u128::from(node)).to_be_bytes());
        let node = nodes.get(&node).copied().unwrap_or(unused_node);
        let mut operation = shapes.get(&shape).map_or_else(|| unused(shape), Shape::operation);
        operation.version.node = node;
        operation
    };
    let operations: Vec<_> = (0..=last_shape.max(last_node)).map(operation).collect();
    let mut encoder = Encoder::with_dictionary();
    encoder.encode(&operations, &mut Vec::new());
    let needs = encoder.needs().len() as u64;
    (needs == last_shape + last_node + 2).then_some(encoder)
}

/// An operation of a shape that nobody defines.
fn unused(number: u64) -> Operation {
    let collection = Name::new(&format!("\u{1}{number}")).expect("a short name");
    Shape { kinds: 2, collection, fields: Vec::new() }.operation()
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
