//! Batches by columns: what the operations of one shape have in one field stands together.

mod bits;
mod cells;
mod floats;
mod ints;
mod stamps;
mod write;

use std::ops::Range;
use std::sync::Arc;

pub(super) use write::write;

use self::bits::Packed;
use self::cells::{Cell, Column, Lists};
use self::ints::Ints;
use self::stamps::{Stamps, width_of_places};
use super::shape::{ChangeKind, FirstUses, KeyKind, Shape, Tables};
use crate::limits::{KEY_BYTES_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::reader::Reader;
use crate::view::{KeyRef, ValueRef};
use crate::{Change, DecodeError, Name, Operation, Record, Text, Uuid, Value, ValueError, Version};

/// How many operations a shape has on average where they are written by columns.
const ROWS_MIN: usize = 4;

/// How many values may take a byte. With one byte an operation that bounds what decoding
/// a batch can take.
const VALUES_PER_BYTE: usize = 4;

/// Whether so many operations of so many shapes are written by columns.
pub(super) const fn are_columns(operations: usize, shapes: usize) -> bool {
    operations >= ROWS_MIN * shapes
}

/// How many bytes a batch takes at least.
const fn bytes_min(operations: usize, values: usize) -> usize {
    operations.saturating_add(values.div_ceil(VALUES_PER_BYTE))
}

/// A batch by columns, in place.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) tables: Tables,
    count: usize,
    /// The shape of each operation.
    of: Packed<'a>,
    stamps: Stamps<'a>,
    shapes: Vec<ShapeColumns<'a>>,
    fields: Vec<Column<'a>>,
    lists: Lists,
    heap: &'a str,
}

/// The columns of one shape.
#[derive(Debug)]
struct ShapeColumns<'a> {
    /// The fields' names, which all its operations share.
    names: Arc<Vec<Name>>,
    keys: Keys<'a>,
    /// Among all columns of values.
    fields: Range<usize>,
}

#[derive(Debug)]
enum Keys<'a> {
    Uuids(&'a [[u8; 16]]),
    Ints(Ints),
    /// Where they begin in the list of texts.
    Texts(usize),
    Bytes(&'a [u8], usize),
}

/// Where an operation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Among all.
    pub(crate) at: usize,
    pub(crate) shape: usize,
    /// Among those of its shape.
    pub(crate) row: usize,
    /// How many before it have a base.
    pub(crate) based: usize,
}

/// Goes through the places of all operations.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    next: usize,
    based: usize,
    /// The next row of each shape.
    rows: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// Reads a batch from behind its version, which began at `start`, to its end.
    pub(crate) fn read(mut reader: Reader<'a>, start: usize) -> Result<Self, DecodeError> {
        let whole = reader.at() - start + reader.remaining();
        let tables = Tables::read(&mut reader)?;
        let at = reader.at();
        let count = reader.bounded("number of operations", whole)?;
        if count == 0 || !are_columns(count, tables.shapes.len()) {
            return Reader::malformed("layout of so few operations", at);
        }
        let of = Packed::read(&mut reader, count, width_of_places(tables.shapes.len()))?;
        let mut rows = vec![0_usize; tables.shapes.len()];
        let mut uses = FirstUses::new("use of shapes", rows.len());
        for place in 0..count {
            rows[uses.add(of.get(place), at)?] += 1;
        }
        uses.check(at)?;
        let values = rows.iter().zip(&tables.shapes);
        let values = values.map(|(rows, shape)| rows.saturating_mul(shape.field_count()));
        let min = bytes_min(count, values.fold(0, usize::saturating_add));
        if min > whole {
            return Err(DecodeError::Truncated { at, needed: min - whole });
        }
        let mut lists = Lists::default();
        let stamps = Stamps::read(&mut reader, count, &tables.nodes, &mut lists.ints)?;
        let mut fields = Vec::new();
        let mut shapes = Vec::with_capacity(tables.shapes.len());
        for (shape, rows) in tables.shapes.iter().zip(&rows) {
            let keys = Keys::read(&mut reader, shape.key, *rows, &mut lists)?;
            let first = fields.len();
            let updates = shape.change == ChangeKind::Update;
            for _ in 0..shape.field_count() {
                fields.push(Column::read(&mut reader, *rows, updates, &mut lists)?);
            }
            let names = Arc::new(tables.fields(shape).cloned().collect());
            shapes.push(ShapeColumns { names, keys, fields: first..fields.len() });
        }
        let heap_at = reader.at();
        let heap = reader.text(lists.heap)?;
        if !lists.texts.iter().all(|end| heap.is_char_boundary(*end as usize)) {
            return Reader::malformed("UTF-8", heap_at);
        }
        fields.iter().try_for_each(|column| column.check_texts(heap, &lists))?;
        let fill = reader.take(min.saturating_sub(reader.at() - start))?;
        if fill.iter().any(|byte| *byte != 0) {
            return Reader::malformed("fill", heap_at);
        }
        reader.finish()?;
        let batch = Self { tables, count, of, stamps, shapes, fields, lists, heap };
        batch.check_records()?;
        Ok(batch)
    }

    /// Checks the limits of records, one by one only where one could break them.
    fn check_records(&self) -> Result<(), DecodeError> {
        let large = |shape: &ShapeColumns<'_>| {
            let columns = &self.fields[shape.fields.clone()];
            let bytes = columns.iter().map(|column| column.bytes_max);
            let values = columns.iter().map(|column| column.values_max);
            bytes.fold(0, usize::saturating_add) > RECORD_BYTES_MAX
                || values.fold(0, usize::saturating_add) > VALUES_MAX
        };
        let large: Vec<bool> = self.shapes.iter().map(large).collect();
        if !large.contains(&true) {
            return Ok(());
        }
        let mut places = self.places();
        while let Some(place) = places.next(self) {
            if large[place.shape] {
                self.operation(place).check().map_err(|error| match error {
                    ValueError::Limit { what, found, max } => {
                        DecodeError::Limit { what, found: found as u64, max: max as u64 }
                    }
                    _ => DecodeError::Malformed { what: "operation", at: 0 },
                })?;
            }
        }
        Ok(())
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn places(&self) -> Places {
        Places { next: 0, based: 0, rows: vec![0; self.shapes.len()] }
    }

    pub(crate) fn shape(&self, place: Place) -> &Shape {
        &self.tables.shapes[place.shape]
    }

    #[inline]
    pub(crate) fn version(&self, place: Place) -> Version {
        self.stamps.version(place.at, &self.tables.nodes, &self.lists.ints)
    }

    pub(crate) fn base(&self, place: Place) -> Version {
        let Place { at, based, .. } = place;
        self.stamps.base((at, based), &self.tables.nodes, &self.lists.ints)
    }

    pub(crate) fn key(&self, place: Place) -> KeyRef<'a> {
        let row = place.row;
        match &self.shapes[place.shape].keys {
            Keys::Uuids(uuids) => KeyRef::Uuid(Uuid::from_bytes(uuids[row])),
            Keys::Ints(ints) => KeyRef::Int(ints.get(row, &self.lists.ints)),
            Keys::Texts(start) => {
                KeyRef::Text(&self.heap[cells::span(&self.lists.texts, start + row)])
            }
            Keys::Bytes(bytes, start) => {
                KeyRef::Bytes(&bytes[cells::span(&self.lists.places, start + row)])
            }
        }
    }

    /// The fields of an operation.
    #[inline]
    pub(crate) fn cells(&self, place: Place) -> CellsOf<'_> {
        let shape = &self.shapes[place.shape];
        let columns = self.fields[shape.fields.clone()].iter();
        let (heap, lists) = (self.heap, &self.lists);
        CellsOf { names: shape.names.iter(), columns, row: place.row, heap, lists }
    }

    /// The operation at a place, copied out.
    pub(crate) fn operation(&self, place: Place) -> Operation {
        let cells = self.cells(place);
        let cells = cells.map(|(name, cell)| (name, cell.map(|value| value.to_value())));
        let change = match self.shape(place).change {
            ChangeKind::Insert => {
                let values = cells.map(|(_, value)| value.unwrap_or_default()).collect();
                Change::Insert(Record::of_sorted(self.shapes[place.shape].names.clone(), values))
            }
            ChangeKind::Update => {
                Change::Update(cells.map(|(name, value)| (name.clone(), value)).collect())
            }
            ChangeKind::Delete => Change::Delete,
        };
        self.with_change(place, change)
    }

    fn with_change(&self, place: Place, change: Change) -> Operation {
        Operation {
            collection: self.tables.collection(self.shape(place)).clone(),
            key: self.key(place).to_key(),
            version: self.version(place),
            base: self.base(place),
            change,
        }
    }

    /// All operations, copied out: those of a shape share their names, and equal texts of
    /// a column with a dictionary share theirs.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut texts: Vec<Text> = Vec::new();
        let entries = self.fields.iter().map(|column| {
            let first = texts.len();
            if let Some((start, entries)) = column.dictionary() {
                let entry =
                    |place: usize| &self.heap[cells::span(&self.lists.texts, start + place)];
                texts.extend((0..entries).map(|place| Text::from(entry(place))));
            }
            first
        });
        let entries: Vec<usize> = entries.collect();
        let value = |place: Place, column: usize| -> Option<Value> {
            if let Some(entry) = self.fields[column].entry(place.row, &self.lists) {
                return Some(Value::Text(texts[entries[column] + entry].clone()));
            }
            let cell = self.fields[column].get(place.row, self.heap, &self.lists);
            cell.map(|value: ValueRef<'_>| value.to_value())
        };
        let mut operations = Vec::with_capacity(self.count);
        let mut places = self.places();
        while let Some(place) = places.next(self) {
            let ShapeColumns { names, fields, .. } = &self.shapes[place.shape];
            let fields = fields.clone();
            let change = match self.shape(place).change {
                ChangeKind::Insert => {
                    let mut values = Vec::with_capacity(fields.len());
                    for column in fields {
                        values.push(value(place, column).unwrap_or_default());
                    }
                    Change::Insert(Record::of_sorted(names.clone(), values))
                }
                ChangeKind::Update => {
                    let values = fields.map(|column| value(place, column));
                    Change::Update(names.iter().cloned().zip(values).collect())
                }
                ChangeKind::Delete => Change::Delete,
            };
            operations.push(self.with_change(place, change));
        }
        operations
    }
}

impl<'a> Keys<'a> {
    fn read(
        reader: &mut Reader<'a>,
        kind: KeyKind,
        rows: usize,
        lists: &mut Lists,
    ) -> Result<Self, DecodeError> {
        Ok(match kind {
            KeyKind::Uuid => Self::Uuids(cells::read_uuids(reader, rows)?),
            KeyKind::Int => Self::Ints(Ints::read(reader, rows, &mut lists.ints)?),
            KeyKind::Text => {
                let start = lists.texts.len();
                cells::read_texts(reader, rows, (what::KEY_BYTES, KEY_BYTES_MAX), lists)?;
                Self::Texts(start)
            }
            KeyKind::Bytes => {
                let start = lists.places.len();
                let limit = (what::KEY_BYTES, KEY_BYTES_MAX);
                Self::Bytes(cells::read_bytes(reader, rows, limit, lists)?.0, start)
            }
        })
    }
}

/// The names and values of one operation, `None` for a removed field.
#[derive(Debug, Clone)]
pub(crate) struct CellsOf<'a> {
    names: std::slice::Iter<'a, Name>,
    columns: std::slice::Iter<'a, Column<'a>>,
    row: usize,
    heap: &'a str,
    lists: &'a Lists,
}

impl<'a> Iterator for CellsOf<'a> {
    type Item = (&'a Name, Cell<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, column) = self.names.next().zip(self.columns.next())?;
        Some((name, column.get(self.row, self.heap, self.lists)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.names.size_hint()
    }
}

impl Places {
    #[inline]
    pub(crate) fn next(&mut self, columns: &Columns<'_>) -> Option<Place> {
        let at = self.next;
        if at == columns.count {
            return None;
        }
        self.next += 1;
        let shape = usize::try_from(columns.of.get(at)).unwrap_or(0);
        let row = self.rows[shape];
        self.rows[shape] += 1;
        let based = self.based;
        self.based += usize::from(columns.stamps.has_base(at));
        Some(Place { at, shape, row, based })
    }

    pub(crate) const fn left(&self, columns: &Columns<'_>) -> usize {
        columns.count - self.next
    }
}
