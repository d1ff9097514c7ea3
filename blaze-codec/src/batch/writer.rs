//! Writes batches: gathers the tables, then the operations.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::columns::{self, are_columns};
use super::dictionary::{Dictionary, Entry};
use super::grouped::{Grouped, find};
use super::shape::ShapeRef;
use super::stamp::Stamp;
use super::{COLUMNS, COLUMNS_DEFINED, ROWS, ROWS_DEFINED};
use crate::binary::{REMOVED, encode_name, encode_signed, encode_value, encode_varint};
use crate::{Change, Name, Operation, RecordKey, Version};

/// What to reserve for an operation's version, key and values.
const OPERATION_BYTES_GUESS: usize = 64;

/// Room for the names of a batch, of which there are seldom more.
const FEW_NAMES: usize = 32;

/// Encodes batches, one after the other.
///
/// With a dictionary, what operations have in common (names and nodes) is given numbers
/// once, and batches have these numbers instead. Whoever is to decode such a batch must
/// have been told what they mean: see [`Self::needs`] and [`Self::define`]. One dictionary
/// does for all receivers, so that a batch is encoded once.
///
/// ```
/// use blaze_codec::batch::{Definitions, Encoder, decode_defined};
/// use blaze_codec::{Change, Name, Operation, RecordKey, Version, record};
///
/// let operation = Operation {
///     collection: Name::new("notes")?,
///     key: RecordKey::from(7),
///     version: Version::ZERO,
///     base: Version::ZERO,
///     change: Change::Insert(record! { "title" => "hello" }),
/// };
/// let mut encoder = Encoder::with_dictionary();
/// let (mut batch, mut definitions) = (Vec::new(), Vec::new());
/// encoder.encode(std::slice::from_ref(&operation), &mut batch);
/// encoder.define(encoder.needs(), &mut definitions);
///
/// let mut known = Definitions::default();
/// known.add(&definitions)?;
/// assert_eq!(decode_defined(&batch, &known)?, [operation]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    grouped: Grouped,
    dictionary: Option<Dictionary>,
    needs: Vec<Entry>,
    scratch: columns::Scratch,
}

impl Encoder {
    /// An encoder of batches that stand for themselves.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder with a dictionary, in which nothing is yet.
    pub fn with_dictionary() -> Self {
        Self { dictionary: Some(Dictionary::default()), ..Self::default() }
    }

    /// Appends the batch of `operations` to `out`; see [`encode`](super::encode).
    ///
    /// A batch whose names and nodes have no room in the dictionary stands for itself.
    pub fn encode(&mut self, operations: &[Operation], out: &mut Vec<u8>) {
        let Self { grouped, dictionary, needs, scratch } = self;
        grouped.fill(operations);
        needs.clear();
        if let Some(dictionary) = dictionary {
            dictionary.number(grouped, operations, needs);
        }
        // A batch that needs something is by the dictionary: its shapes first, then its nodes.
        let numbers = needs.split_at_checked(grouped.shapes().len());
        let numbers = numbers.filter(|_| !needs.is_empty());
        let start = out.len();
        let by_columns =
            !operations.is_empty() && are_columns(operations.len(), grouped.shapes().len());
        match (by_columns, numbers) {
            (true, Some((shapes, nodes))) => {
                out.push(COLUMNS_DEFINED);
                write_numbers(shapes, out);
                write_numbers(nodes, out);
            }
            (true, None) => {
                out.push(COLUMNS);
                write_tables(operations, grouped, out);
            }
            (false, Some(_)) => out.push(ROWS_DEFINED),
            (false, None) => {
                out.push(ROWS);
                write_tables(operations, grouped, out);
            }
        }
        if by_columns {
            return columns::write(operations, grouped, start, scratch, out);
        }
        write_rows(operations, grouped, numbers, out);
    }

    /// What the last batch needs to be defined where it is decoded: nothing, if it stands
    /// for itself.
    pub fn needs(&self) -> &[Entry] {
        &self.needs
    }

    /// Appends the definitions of entries to `out`, for
    /// [`Definitions::add`](super::Definitions::add).
    ///
    /// # Panics
    ///
    /// If an entry is of another encoder.
    pub fn define(&self, entries: &[Entry], out: &mut Vec<u8>) {
        let dictionary = self.dictionary.as_ref();
        dictionary.expect("entries come from a dictionary").define(entries, out);
    }
}

/// Appends rows, by the numbers of shapes and nodes if there are such.
fn write_rows(
    operations: &[Operation],
    grouped: &Grouped,
    numbers: Option<(&[Entry], &[Entry])>,
    out: &mut Vec<u8>,
) {
    encode_varint(operations.len() as u64, out);
    out.reserve(operations.len() * OPERATION_BYTES_GUESS);
    let shape = |place: u32| numbers.map_or(place, |(shapes, _)| shapes[place as usize].number());
    let node = |place: Option<&u32>| {
        let place = place.copied()?;
        Some(numbers.map_or(place, |(_, nodes)| nodes[place as usize].number()))
    };
    let mut base_nodes = grouped.base_nodes_of().iter();
    let mut previous = None;
    for (at, operation) in operations.iter().enumerate() {
        encode_varint(shape(grouped.of()[at]).into(), out);
        let stamp = Stamp { version: operation.version, base: operation.base };
        let base_node = if stamp.base == Version::ZERO { None } else { base_nodes.next() };
        let nodes = [grouped.nodes_of().get(at), base_node];
        let nodes = nodes.map(|place| node(place).unwrap_or_default());
        stamp.write(previous.as_ref(), nodes, out);
        previous = Some(stamp);
        write_key(&operation.key, out);
        write_values(&operation.change, out);
    }
}

fn write_numbers(entries: &[Entry], out: &mut Vec<u8>) {
    encode_varint(entries.len() as u64, out);
    for entry in entries {
        encode_varint(entry.number().into(), out);
    }
}

fn write_tables(operations: &[Operation], grouped: &Grouped, out: &mut Vec<u8>) {
    let mut names: Vec<&Name> = Vec::with_capacity(FEW_NAMES);
    let (mut table, hasher) = (HashTable::new(), DefaultHashBuilder::default());
    let mut body = Vec::with_capacity(2 * FEW_NAMES);
    for first in grouped.shapes() {
        let shape = ShapeRef::of(&operations[*first as usize]);
        let mut write = |name, body: &mut Vec<u8>| {
            let number = find(
                names.len(),
                &mut table,
                |number| hasher.hash_one(names[*number as usize]),
                || hasher.hash_one(name),
                |number| names[number as usize] == name,
            );
            if number as usize == names.len() {
                names.push(name);
            }
            encode_varint(number.into(), body);
        };
        body.push(shape.kinds());
        write(shape.collection, &mut body);
        encode_varint(shape.fields().len() as u64, &mut body);
        for field in shape.fields() {
            write(field, &mut body);
        }
    }
    encode_varint(names.len() as u64, out);
    for name in names {
        encode_name(name, out);
    }
    encode_varint(grouped.nodes().len() as u64, out);
    for node in grouped.nodes() {
        out.extend_from_slice(node.as_bytes());
    }
    encode_varint(grouped.shapes().len() as u64, out);
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
    // The length is known after the values; for most, a byte is enough.
    out.push(0);
    match change {
        Change::Insert(record) => {
            for value in record.values() {
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
    let bytes = out.len() - start - 1;
    match u8::try_from(bytes) {
        Ok(0) => out.truncate(start),
        Ok(short @ ..0x80) => out[start] = short,
        _ => {
            out.remove(start);
            encode_varint(bytes as u64, out);
            let length_bytes = out.len() - start - bytes;
            out[start..].rotate_right(length_bytes);
        }
    }
}
