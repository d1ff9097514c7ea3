//! What operations have in common: the tables at the front of a batch.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::limits::{FIELDS_MAX, what};
use crate::reader::{Reader, capacity, owned_name};
use crate::{Change, DecodeError, Name, NodeId, Operation, RecordKey, Value};

/// The smallest name: its length and one byte.
const NAME_BYTES_MIN: usize = 2;
/// The smallest shape: its kinds, a collection and a count of fields.
const SHAPE_BYTES_MIN: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChangeKind {
    Insert = 0,
    Update = 1,
    Delete = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeyKind {
    Uuid = 0,
    Int = 1,
    Text = 2,
    Bytes = 3,
}

/// A collection, a kind of change, a kind of key, and fields.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) change: ChangeKind,
    pub(crate) key: KeyKind,
    pub(crate) collection: Name,
    /// The fields, which all records of this shape share.
    pub(crate) names: Arc<Vec<Name>>,
}

/// A shape where it is told by an operation, or in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShapeRef<'a> {
    change: ChangeKind,
    key: KeyKind,
    pub(super) collection: &'a Name,
    fields: Fields<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Fields<'a> {
    Names(&'a Arc<Vec<Name>>),
    Update(&'a [(Name, Option<Value>)]),
    None,
}

impl<'a> ShapeRef<'a> {
    pub(super) fn of(operation: &'a Operation) -> Self {
        let key = match &operation.key {
            RecordKey::Uuid(_) => KeyKind::Uuid,
            RecordKey::Int(_) => KeyKind::Int,
            RecordKey::Text(_) => KeyKind::Text,
            RecordKey::Bytes(_) => KeyKind::Bytes,
        };
        let (change, fields) = match &operation.change {
            Change::Insert(record) => (ChangeKind::Insert, Fields::Names(record.shared_names())),
            Change::Update(fields) => (ChangeKind::Update, Fields::Update(fields)),
            Change::Delete => (ChangeKind::Delete, Fields::None),
        };
        Self { change, key, collection: &operation.collection, fields }
    }

    pub(super) const fn kinds(self) -> u8 {
        self.change.with_key(self.key)
    }

    pub(super) fn fields(self) -> impl ExactSizeIterator<Item = &'a Name> {
        let count = match self.fields {
            Fields::Names(names) => names.len(),
            Fields::Update(fields) => fields.len(),
            Fields::None => 0,
        };
        (0..count).map(move |at| match self.fields {
            Fields::Names(names) => &names[at],
            Fields::Update(fields) => &fields[at].0,
            Fields::None => unreachable!("there are none"),
        })
    }

    /// The shape for its own.
    pub(super) fn to_shape(self) -> Shape {
        let names = match self.fields {
            Fields::Names(names) => names.clone(),
            _ => Arc::new(self.fields().cloned().collect()),
        };
        Shape { change: self.change, key: self.key, collection: self.collection.clone(), names }
    }
}

impl<'a> From<&'a Shape> for ShapeRef<'a> {
    fn from(shape: &'a Shape) -> Self {
        let Shape { change, key, collection, names } = shape;
        Self { change: *change, key: *key, collection, fields: Fields::Names(names) }
    }
}

impl PartialEq for ShapeRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        // What tells most shapes apart comes first.
        let fields = || match (self.fields, other.fields) {
            (Fields::Names(one), Fields::Names(other)) => Arc::ptr_eq(one, other) || one == other,
            (Fields::Update(one), Fields::Update(other)) => {
                let same = |((one, _), (other, _)): (&(Name, _), &(Name, _))| one == other;
                one.len() == other.len() && one.iter().zip(other).all(same)
            }
            _ => self.fields().eq(other.fields()),
        };
        self.kinds() == other.kinds() && fields() && self.collection == other.collection
    }
}

impl Hash for ShapeRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kinds().hash(state);
        self.collection.hash(state);
        self.fields().for_each(|name| name.hash(state));
    }
}

/// Nodes and shapes: each once, in the order of their first use.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) shapes: Vec<Shape>,
    pub(super) nodes: Vec<NodeId>,
}

/// Sees to it that entries of a table are used in their order, and all of them.
#[derive(Debug, Clone)]
pub(super) struct FirstUses {
    what: &'static str,
    used: usize,
    count: usize,
}

impl ChangeKind {
    /// The byte that stands for a kind of change and a kind of key.
    const fn with_key(self, key: KeyKind) -> u8 {
        self as u8 | (key as u8) << 2
    }
}

impl Shape {
    /// Reads a shape, and adds the indices of its names to `indices`.
    fn read(
        reader: &mut Reader<'_>,
        names: &[Name],
        uses: &mut FirstUses,
        indices: &mut Vec<usize>,
    ) -> Result<Self, DecodeError> {
        let at = reader.at();
        let (change, key) = read_kinds(reader)?;
        let collection = uses.read(reader)?;
        indices.push(collection);
        let fields_at = reader.at();
        let count = reader.bounded(what::FIELDS, FIELDS_MAX)?;
        reader.proven(count, 1)?;
        if change == ChangeKind::Delete && count > 0 {
            return Reader::malformed("delete with fields", fields_at);
        }
        let start = indices.len();
        for _ in 0..count {
            indices.push(uses.read(reader)?);
        }
        let fields: Vec<Name> = indices[start..].iter().map(|at| names[*at].clone()).collect();
        if !fields.is_sorted_by(|a, b| a < b) {
            return Reader::malformed("order of fields", at);
        }
        Ok(Self { change, key, collection: names[collection].clone(), names: Arc::new(fields) })
    }
}

pub(super) fn read_kinds(reader: &mut Reader<'_>) -> Result<(ChangeKind, KeyKind), DecodeError> {
    let at = reader.at();
    let kinds = reader.byte()?;
    let change = match kinds & 0b11 {
        0 => ChangeKind::Insert,
        1 => ChangeKind::Update,
        2 => ChangeKind::Delete,
        _ => return Reader::malformed("kind of change", at),
    };
    let key = match kinds >> 2 {
        0 => KeyKind::Uuid,
        1 => KeyKind::Int,
        2 => KeyKind::Text,
        3 => KeyKind::Bytes,
        _ => return Reader::malformed("kind of key", at),
    };
    Ok((change, key))
}

impl Tables {
    /// Reads the tables.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let names = read_table(reader, "name used twice", NAME_BYTES_MIN, |reader| {
            owned_name(reader.name()?)
        })?;
        let nodes = read_table(reader, "node used twice", size_of::<NodeId>(), |reader| {
            reader.array().map(NodeId::from_bytes)
        })?;
        let shapes = read_shapes(reader, &names)?;
        Ok(Self { shapes, nodes })
    }
}

fn read_shapes(reader: &mut Reader<'_>, names: &[Name]) -> Result<Vec<Shape>, DecodeError> {
    let at = reader.at();
    let count = reader.count(SHAPE_BYTES_MIN)?;
    let mut uses = FirstUses::new("use of names", names.len());
    let mut shapes = Vec::with_capacity(capacity::<Shape>(count));
    // The indices of a shape's names tell it as well as the names do, in less time.
    let (mut indices, mut parts) =
        (Vec::new(), Vec::with_capacity(capacity::<Range<usize>>(count)));
    for _ in 0..count {
        let start = indices.len();
        shapes.push(Shape::read(reader, names, &mut uses, &mut indices)?);
        parts.push(start..indices.len());
    }
    uses.finish(reader)?;
    let shape = |(shape, part): &(&Shape, &Range<usize>)| {
        (shape.change, shape.key, &indices[Range::clone(part)])
    };
    let both: Vec<_> = shapes.iter().zip(&parts).collect();
    if !all_differ(&both, shape) {
        return Reader::malformed("shape used twice", at);
    }
    Ok(shapes)
}

fn read_table<'a, T: Ord>(
    reader: &mut Reader<'a>,
    twice: &'static str,
    entry_bytes_min: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let at = reader.at();
    let count = reader.count(entry_bytes_min)?;
    let mut entries = Vec::with_capacity(capacity::<T>(count));
    for _ in 0..count {
        entries.push(read(reader)?);
    }
    if !all_differ(&entries, |entry| entry) {
        return Reader::malformed(twice, at);
    }
    Ok(entries)
}

/// Whether no two entries have equal keys. A sort, and not a hash table, since
/// a peer chooses them.
pub(super) fn all_differ<'a, T, K: Ord>(entries: &'a [T], key: impl Fn(&'a T) -> K) -> bool {
    if entries.len() < 2 {
        return true;
    }
    let mut keys: Vec<K> = entries.iter().map(key).collect();
    keys.sort_unstable();
    keys.is_sorted_by(|a, b| a < b)
}

impl FirstUses {
    pub(super) const fn new(what: &'static str, count: usize) -> Self {
        Self { what, used: 0, count }
    }

    /// Reads an index: of an entry used before, or of the next one.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
        let at = reader.at();
        let index = reader.varint()?;
        self.add(index, at)
    }

    /// Takes an index that was read at a place.
    pub(super) fn add(&mut self, index: u64, at: usize) -> Result<usize, DecodeError> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index > self.used || index >= self.count {
            return Reader::malformed(self.what, at);
        }
        self.used = self.used.max(index + 1);
        Ok(index)
    }

    /// Takes indices that were read at a place.
    pub(super) fn add_all(&mut self, indices: &[u32], at: usize) -> Result<(), DecodeError> {
        // Without an early end, which would cost more than it saves.
        let (mut used, mut in_order) = (self.used, true);
        for index in indices {
            let index = *index as usize;
            in_order &= index <= used;
            used = used.max(index.saturating_add(1));
        }
        if !in_order || used > self.count {
            return Reader::malformed(self.what, at);
        }
        self.used = used;
        Ok(())
    }

    /// Refuses a table with entries that nothing used.
    pub(super) fn finish(&self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        self.check(reader.at())
    }

    /// Refuses a table with entries that nothing used, up to a place.
    pub(super) fn check(&self, at: usize) -> Result<(), DecodeError> {
        if self.used < self.count {
            return Reader::malformed(self.what, at);
        }
        Ok(())
    }
}
