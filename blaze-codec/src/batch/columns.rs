//! Batches by columns: what the operations of one shape have in one field stands together.

mod bits;
mod cells;
mod floats;
mod ints;
mod stamps;
mod write;

use std::ops::Range;

pub(super) use write::write;

use self::bits::Packed;
use self::cells::{Column, Lists};
use self::ints::Ints;
use self::stamps::{Stamps, width_of_places};
use super::shape::{ChangeKind, FirstUses, KeyKind, Shape, Tables};
use crate::limits::{KEY_BYTES_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::reader::{Reader, utf8};
use crate::view::{KeyRef, ValueRef};
use crate::{Change, DecodeError, Name, Operation, Record, Text, Uuid, Value, ValueError, Version};

/// How many operations a shape has on average where they are written by columns.
const ROWS_MIN: usize = 4;

/// The limit of keys.
const KEY: (&str, usize) = (what::KEY_BYTES, KEY_BYTES_MAX);

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
    tables: Tables,
    count: u32,
    /// The shape of each operation.
    of: Packed<'a>,
    stamps: Stamps<'a>,
    shapes: Vec<ShapeColumns<'a>>,
    fields: Vec<Column<'a>>,
    lists: Lists<'a>,
}

/// The columns of one shape.
#[derive(Debug)]
struct ShapeColumns<'a> {
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
    /// Where they begin in that of bytes.
    Bytes(usize),
}

/// Where an operation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Among all.
    at: u32,
    shape: u32,
    /// Among those of its shape.
    row: u32,
    /// How many before it have a base.
    based: u32,
}

/// Goes through the places of all operations.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    next: u32,
    based: u32,
    /// The next row of each shape.
    rows: Vec<u32>,
}

impl<'a> Columns<'a> {
    /// Reads a batch, which began at `start`, from behind its tables to its end.
    pub(super) fn read(
        mut reader: Reader<'a>,
        start: usize,
        tables: Tables,
    ) -> Result<Self, DecodeError> {
        let whole = reader.at() - start + reader.remaining();
        let at = reader.at();
        let told = reader.varint()?;
        let Some(all) = u32::try_from(told).ok().filter(|told| *told as usize <= whole) else {
            let max = whole as u64;
            return Err(DecodeError::Limit { what: "number of operations", found: told, max });
        };
        let count = all as usize;
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
        let values = values.map(|(rows, shape)| rows.saturating_mul(shape.names.len()));
        let min = bytes_min(count, values.fold(0, usize::saturating_add));
        if min > whole {
            return Err(DecodeError::Truncated { at, needed: min - whole });
        }
        let mut lists = Lists::default();
        let stamps = Stamps::read(&mut reader, count, &tables.nodes, &mut lists.ints)?;
        let mut shapes = Vec::with_capacity(tables.shapes.len());
        for (shape, rows) in tables.shapes.iter().zip(&rows) {
            let keys = Keys::read(&mut reader, shape.key, *rows, &mut lists)?;
            shapes.push(ShapeColumns { keys, fields: 0..0 });
        }
        let bytes = reader.count(1)?;
        lists.heap = reader.text(bytes)?;
        let mut fields = Vec::new();
        for ((shape, rows), columns) in tables.shapes.iter().zip(&rows).zip(&mut shapes) {
            let first = fields.len();
            let updates = shape.change == ChangeKind::Update;
            for _ in shape.names.iter() {
                fields.push(Column::read(&mut reader, *rows, updates, &mut lists)?);
            }
            columns.fields = first..fields.len();
        }
        let end = reader.at();
        if !lists.heap.is_empty() {
            return Reader::malformed("text that belongs to nothing", end);
        }
        let fill = reader.take(min.saturating_sub(end - start))?;
        if fill.iter().any(|byte| *byte != 0) {
            return Reader::malformed("fill", end);
        }
        reader.finish()?;
        let batch = Self { tables, count: all, of, stamps, shapes, fields, lists };
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
            if large[place.shape as usize] {
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
        self.count as usize
    }

    #[inline]
    fn shape_of(&self, at: u32) -> u32 {
        u32::try_from(self.of.get(at as usize)).unwrap_or(0)
    }

    pub(crate) fn places(&self) -> Places {
        Places { next: 0, based: 0, rows: vec![0; self.shapes.len()] }
    }

    #[inline]
    pub(crate) fn shape(&self, place: Place) -> &Shape {
        &self.tables.shapes[place.shape as usize]
    }

    #[inline]
    pub(crate) fn version(&self, place: Place) -> Version {
        self.stamps.version(place.at as usize, &self.tables.nodes, &self.lists.ints)
    }

    #[inline]
    pub(crate) fn base(&self, place: Place) -> Version {
        let places = (place.at as usize, place.based as usize);
        self.stamps.base(places, &self.tables.nodes, &self.lists.ints)
    }

    #[inline]
    pub(crate) fn key(&self, place: Place) -> KeyRef<'a> {
        let row = place.row as usize;
        match &self.shapes[place.shape as usize].keys {
            Keys::Uuids(uuids) => KeyRef::Uuid(Uuid::from_bytes_ref(&uuids[row])),
            Keys::Ints(ints) => KeyRef::Int(ints.get(row, &self.lists.ints)),
            Keys::Texts(start) => KeyRef::Text(self.lists.texts[start + row]),
            Keys::Bytes(start) => KeyRef::Bytes(self.lists.blobs[start + row]),
        }
    }

    /// The fields of an operation.
    #[inline]
    pub(crate) fn cells(&self, place: Place) -> CellsOf<'_> {
        let columns = &self.fields[self.shapes[place.shape as usize].fields.clone()];
        let names = &self.shape(place).names;
        CellsOf { names, columns, row: place.row, lists: &self.lists }
    }

    /// The operation at a place, copied out.
    pub(crate) fn operation(&self, place: Place) -> Operation {
        self.copy_out(place, |column| self.value(place, column).to_value())
    }

    #[inline]
    fn value(&self, place: Place, column: usize) -> ValueRef<'_> {
        self.fields[column].get(place.row as usize, &self.lists)
    }

    fn copy_out(&self, place: Place, value: impl Fn(usize) -> Value) -> Operation {
        let Shape { change, names, .. } = self.shape(place);
        let columns = self.shapes[place.shape as usize].fields.clone();
        let change = match change {
            ChangeKind::Insert => {
                let mut values = Vec::with_capacity(columns.len());
                values.extend(columns.map(value));
                Change::Insert(Record::of_sorted(names.clone(), values))
            }
            ChangeKind::Update => {
                let cell = |column: usize| {
                    let removed = self.fields[column].is_removed(place.row as usize, &self.lists);
                    (!removed).then(|| value(column))
                };
                let cells = columns.map(cell);
                Change::Update(names.iter().cloned().zip(cells).collect())
            }
            ChangeKind::Delete => Change::Delete,
        };
        Operation {
            collection: self.shape(place).collection.clone(),
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
                let entries = &self.lists.texts[start..start + entries];
                texts.extend(entries.iter().map(|text| Text::from(*text)));
            }
            first
        });
        let entries: Vec<usize> = entries.collect();
        let mut operations = Vec::with_capacity(self.len());
        let mut places = self.places();
        while let Some(place) = places.next(self) {
            operations.push(self.copy_out(place, |column| {
                match self.fields[column].entry(place.row as usize, &self.lists) {
                    Some(entry) => Value::Text(texts[entries[column] + entry].clone()),
                    None => self.value(place, column).to_value(),
                }
            }));
        }
        operations
    }
}

impl<'a> Keys<'a> {
    fn read(
        reader: &mut Reader<'a>,
        kind: KeyKind,
        rows: usize,
        lists: &mut Lists<'a>,
    ) -> Result<Self, DecodeError> {
        Ok(match kind {
            KeyKind::Uuid => Self::Uuids(cells::read_uuids(reader, rows)?),
            KeyKind::Int => Self::Ints(Ints::read(reader, rows, &mut lists.ints)?),
            KeyKind::Text => {
                let start = lists.texts.len();
                let (at, first) = (reader.at(), lists.blobs.len());
                cells::read_bytes(reader, rows, KEY, lists)?;
                for bytes in lists.blobs.drain(first..) {
                    lists.texts.push(utf8(bytes, at)?);
                }
                Self::Texts(start)
            }
            KeyKind::Bytes => {
                let start = lists.blobs.len();
                cells::read_bytes(reader, rows, KEY, lists)?;
                Self::Bytes(start)
            }
        })
    }
}

/// The names and values of one operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellsOf<'a> {
    names: &'a [Name],
    columns: &'a [Column<'a>],
    row: u32,
    lists: &'a Lists<'a>,
}

impl<'a> CellsOf<'a> {
    pub(crate) const fn names(self) -> &'a [Name] {
        self.names
    }

    /// One of them, if there are so many.
    #[inline]
    pub(crate) fn get(self, field: usize) -> Option<CellOf<'a>> {
        let column = self.columns.get(field)?;
        Some(CellOf { column, row: self.row as usize, lists: self.lists })
    }
}

/// A field of one operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellOf<'a> {
    column: &'a Column<'a>,
    row: usize,
    lists: &'a Lists<'a>,
}

impl<'a> CellOf<'a> {
    #[inline]
    pub(crate) fn is_removed(self) -> bool {
        self.column.is_removed(self.row, self.lists)
    }

    #[inline(always)]
    pub(crate) fn value(self) -> ValueRef<'a> {
        self.column.get(self.row, self.lists)
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
        let shape = columns.shape_of(at);
        let row = self.rows[shape as usize];
        self.rows[shape as usize] += 1;
        let based = self.based;
        self.based += u32::from(columns.stamps.has_base(at as usize));
        Some(Place { at, shape, row, based })
    }

    pub(crate) const fn left(&self, columns: &Columns<'_>) -> usize {
        (columns.count - self.next) as usize
    }
}
