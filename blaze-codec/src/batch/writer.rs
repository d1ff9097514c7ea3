//! Writes batches: gathers the tables while the operations are written.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::columns::{self, are_columns};
use super::shape::{ChangeKind, KeyKind};
use super::stamp::Stamp;
use super::{COLUMNS, ROWS};
use crate::binary::{REMOVED, encode_name, encode_signed, encode_value, encode_varint};
use crate::{Change, Name, NodeId, Operation, Record, RecordKey, Version};

/// What to reserve for an operation's version, key and values.
const OPERATION_BYTES_GUESS: usize = 64;

pub(super) fn write(operations: &[Operation], out: &mut Vec<u8>) {
    let grouped = Grouped::of(operations);
    let start = out.len();
    if are_columns(operations.len(), grouped.shapes.len()) && !operations.is_empty() {
        out.push(COLUMNS);
        write_tables(&grouped.shapes, &grouped.nodes, out);
        return columns::write(operations, &grouped, start, out);
    }
    out.push(ROWS);
    write_tables(&grouped.shapes, &grouped.nodes, out);
    encode_varint(operations.len() as u64, out);
    out.reserve(operations.len() * OPERATION_BYTES_GUESS);
    let (mut nodes, mut base_nodes) = (grouped.nodes_of.iter(), grouped.base_nodes_of.iter());
    let mut previous = None;
    for (operation, shape) in operations.iter().zip(&grouped.of) {
        encode_varint(u64::from(*shape), out);
        let stamp = Stamp { version: operation.version, base: operation.base };
        let (node, base_node) = (nodes.next(), base_nodes.as_slice().first());
        if stamp.base != Version::ZERO {
            base_nodes.next();
        }
        let places = [node, base_node].map(|place| place.copied().unwrap_or_default());
        stamp.write(previous.as_ref(), places, out);
        previous = Some(stamp);
        write_key(&operation.key, out);
        write_values(&operation.change, out);
    }
}

/// The tables of a batch, and which entries the operations use.
pub(super) struct Grouped<'o> {
    pub(super) shapes: Vec<Shaped<'o>>,
    pub(super) nodes: Vec<NodeId>,
    /// The shape of each operation.
    pub(super) of: Vec<u32>,
    /// The node of each version.
    pub(super) nodes_of: Vec<u32>,
    /// The node of each base that isn't zero.
    pub(super) base_nodes_of: Vec<u32>,
}

impl<'o> Grouped<'o> {
    fn of(operations: &'o [Operation]) -> Self {
        let (mut shapes, mut nodes) = (Index::default(), Index::default());
        let mut of = Vec::with_capacity(operations.len());
        let mut nodes_of = Vec::with_capacity(operations.len());
        let mut base_nodes_of = Vec::new();
        for operation in operations {
            of.push(shapes.of(Shaped(operation)));
            nodes_of.push(nodes.of(operation.version.node));
            if operation.base != Version::ZERO {
                base_nodes_of.push(nodes.of(operation.base.node));
            }
        }
        let (shapes, nodes) = (shapes.entries, nodes.entries);
        Self { shapes, nodes, of, nodes_of, base_nodes_of }
    }
}

/// Numbers entries in the order of their first use.
struct Index<T> {
    entries: Vec<T>,
    numbers: HashMap<T, u32>,
    /// The entry used last: in most batches, the next one too.
    last: u32,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), numbers: HashMap::new(), last: 0 }
    }
}

impl<T: Copy + Eq + Hash> Index<T> {
    fn of(&mut self, entry: T) -> u32 {
        if self.entries.get(self.last as usize) != Some(&entry) {
            let next = u32::try_from(self.entries.len()).expect("memory holds fewer operations");
            self.last = *self.numbers.entry(entry).or_insert(next);
            if self.last == next {
                self.entries.push(entry);
            }
        }
        self.last
    }
}

/// An operation in the place of its shape: equal if the shapes are.
#[derive(Clone, Copy)]
pub(super) struct Shaped<'a>(&'a Operation);

impl<'a> Shaped<'a> {
    fn kinds(self) -> u8 {
        ChangeKind::of(&self.0.change).with_key(KeyKind::of(&self.0.key))
    }

    fn fields(self) -> impl Iterator<Item = &'a Name> {
        let (record, update) = match &self.0.change {
            Change::Insert(record) => (Some(record), None),
            Change::Update(fields) => (None, Some(fields)),
            Change::Delete => (None, None),
        };
        let record = record.into_iter().flat_map(Record::iter).map(|(name, _)| name);
        record.chain(update.into_iter().flatten().map(|(name, _)| name))
    }

    fn shares_names(self, other: Self) -> bool {
        match (&self.0.change, &other.0.change) {
            (Change::Insert(one), Change::Insert(other)) => one.shares_names(other),
            _ => false,
        }
    }

    fn field_count(self) -> usize {
        match &self.0.change {
            Change::Insert(record) => record.len(),
            Change::Update(fields) => fields.len(),
            Change::Delete => 0,
        }
    }
}

impl PartialEq for Shaped<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.kinds() == other.kinds()
            && self.field_count() == other.field_count()
            && self.0.collection == other.0.collection
            && (self.shares_names(*other) || self.fields().eq(other.fields()))
    }
}

impl Eq for Shaped<'_> {}

impl Hash for Shaped<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kinds().hash(state);
        self.0.collection.hash(state);
        self.fields().for_each(|name| name.hash(state));
    }
}

fn write_tables(shapes: &[Shaped<'_>], nodes: &[NodeId], out: &mut Vec<u8>) {
    let mut names = Index::default();
    let mut body = Vec::new();
    for shape in shapes {
        body.push(shape.kinds());
        encode_varint(names.of(&shape.0.collection).into(), &mut body);
        encode_varint(shape.field_count() as u64, &mut body);
        for field in shape.fields() {
            encode_varint(names.of(field).into(), &mut body);
        }
    }
    encode_varint(names.entries.len() as u64, out);
    for name in names.entries {
        encode_name(name, out);
    }
    encode_varint(nodes.len() as u64, out);
    for node in nodes {
        out.extend_from_slice(node.as_bytes());
    }
    encode_varint(shapes.len() as u64, out);
    out.extend_from_slice(&body);
}

fn write_key(key: &RecordKey, out: &mut Vec<u8>) {
    match key {
        RecordKey::Uuid(uuid) => out.extend_from_slice(uuid.as_bytes()),
        RecordKey::Int(int) => encode_signed(*int, out),
        RecordKey::Text(text) => {
            encode_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        RecordKey::Bytes(bytes) => {
            encode_varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends the length of the values in bytes, then the values. Nothing, if
/// there are no fields.
fn write_values(change: &Change, out: &mut Vec<u8>) {
    let start = out.len();
    match change {
        Change::Insert(record) => {
            for (_, value) in record {
                encode_value(value, out);
            }
        }
        Change::Update(fields) => {
            for (_, value) in fields {
                match value {
                    Some(value) => encode_value(value, out),
                    None => out.push(REMOVED),
                }
            }
        }
        Change::Delete => {}
    }
    let bytes = out.len() - start;
    if bytes == 0 {
        return;
    }
    // The length stands before the values but is known after them: write it
    // behind them and turn it to the front, which costs one move of the values.
    encode_varint(bytes as u64, out);
    let length_bytes = out.len() - start - bytes;
    out[start..].rotate_right(length_bytes);
}
