//! Batches by columns: what the operations of one shape have in one field stands together.

mod bits;
mod cells;
mod column;
mod floats;
mod heads;
mod ints;
mod numbering;
mod run;
mod stamps;
mod write;

use std::ops::Range;

pub(crate) use heads::{Heads, Place, Places};
pub(super) use write::{Scratch, write};

use self::cells::{Column, Lists};
use super::shape::{ChangeKind, Shape, Tables};
use crate::limits::{self, BATCH_VALUES_MAX, RECORD_BYTES_MAX, VALUES_MAX, what};
use crate::reader::Reader;
use crate::values::{self, RecordValues};
use crate::view::ValueRef;
use crate::{Change, DecodeError, Name, Operation, Record, Text, Value, ValueError};

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
    pub(crate) heads: Heads<'a>,
    /// The columns of each shape, among all.
    shapes: Vec<Range<usize>>,
    fields: Vec<Column<'a>>,
}

impl<'a> Columns<'a> {
    /// Reads a batch, which began at `start`, from behind its tables to its end.
    pub(crate) fn read(
        mut reader: Reader<'a>,
        start: usize,
        tables: Tables,
    ) -> Result<Self, DecodeError> {
        let (mut heads, min) = Heads::read(&mut reader, start, tables)?;
        let lists = &mut heads.lists;
        let bytes = reader.count(1)?;
        lists.heap = reader.text(bytes)?;
        let all = heads.tables.shapes.iter().map(|shape| shape.names.len()).sum();
        let (mut fields, mut shapes) =
            (Vec::with_capacity(all), Vec::with_capacity(heads.rows.len()));
        for (shape, rows) in heads.tables.shapes.iter().zip(&heads.rows) {
            let first = fields.len();
            let updates = shape.change == ChangeKind::Update;
            for _ in shape.names.iter() {
                fields.push(Column::read(&mut reader, *rows as usize, updates, lists)?);
            }
            shapes.push(first..fields.len());
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
        let batch = Self { heads, shapes, fields };
        batch.check_records()?;
        limits::check(what::BATCH_VALUES, batch.values(), BATCH_VALUES_MAX)?;
        Ok(batch)
    }

    /// How many values the operations have, those within arrays and maps included.
    pub(super) const fn values(&self) -> usize {
        self.heads.values + self.heads.lists.nested
    }

    /// Checks the limits of records, one by one only where one could break them.
    fn check_records(&self) -> Result<(), DecodeError> {
        let large = |fields: &Range<usize>| {
            let columns = &self.fields[fields.clone()];
            let bytes = columns.iter().map(|column| column.bytes_max);
            let values = columns.iter().map(|column| column.values_max);
            bytes.fold(0, usize::saturating_add) > RECORD_BYTES_MAX
                || values.fold(0, usize::saturating_add) > VALUES_MAX
        };
        let large: Vec<bool> = self.shapes.iter().map(large).collect();
        if !large.contains(&true) {
            return Ok(());
        }
        let mut places = self.heads.places();
        while let Some(place) = places.next(&self.heads) {
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

    /// The fields of an operation.
    #[inline]
    pub(crate) fn cells(&self, place: Place) -> CellsOf<'_> {
        let columns = &self.fields[self.shapes[place.shape as usize].clone()];
        let names = &self.heads.shape(place).names;
        CellsOf { names, columns, row: place.row, lists: &self.heads.lists }
    }

    /// The operation at a place, copied out.
    pub(crate) fn operation(&self, place: Place) -> Operation {
        self.copy_out(place, &[], &[])
    }

    /// Copies a value out: a text of a dictionary from those of its column, which begin at
    /// an index of `texts`, if they were copied before.
    #[inline]
    fn copy_to(
        &self,
        place: Place,
        column: usize,
        (texts, firsts): (&[Text], &[usize]),
        put: impl FnOnce(Value),
    ) {
        let (row, lists) = (place.row as usize, &self.heads.lists);
        let cells = &self.fields[column];
        if let Some(first) = firsts.get(column)
            && let Some(entry) = cells.entry(row, lists)
        {
            return put(Value::Text(texts[first + entry].clone()));
        }
        cells.get(row, lists).copy_to(put);
    }

    fn copy_out(&self, place: Place, texts: &[Text], firsts: &[usize]) -> Operation {
        let Shape { change, names, .. } = self.heads.shape(place);
        let columns = self.shapes[place.shape as usize].clone();
        let known = (texts, firsts);
        let change = match change {
            ChangeKind::Insert => {
                let mut values = RecordValues::nulls(columns.len());
                for (value, column) in values.places().iter_mut().zip(columns) {
                    self.copy_to(place, column, known, |copied| values::put(value, copied));
                }
                Change::Insert(Record::of_sorted(names.clone(), values))
            }
            ChangeKind::Update => {
                let mut fields = Vec::with_capacity(columns.len());
                for (name, column) in names.iter().zip(columns) {
                    if self.fields[column].is_removed(place.row as usize, &self.heads.lists) {
                        fields.push((name.clone(), None));
                        continue;
                    }
                    let put = |value| fields.push((name.clone(), Some(value)));
                    self.copy_to(place, column, known, put);
                }
                Change::Update(fields)
            }
            ChangeKind::Delete => Change::Delete,
        };
        Operation {
            collection: self.heads.shape(place).collection.clone(),
            key: self.heads.key(place).to_key(),
            version: self.heads.version(place),
            base: self.heads.base(place),
            change,
        }
    }

    /// All operations, copied out: those of a shape share their names, and equal texts of
    /// a column with a dictionary share theirs.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut texts: Vec<Text> = Vec::new();
        let firsts = self.fields.iter().map(|column| {
            let first = texts.len();
            if let Some((start, entries)) = column.dictionary() {
                let entries = &self.heads.lists.texts[start..start + entries];
                texts.extend(entries.iter().map(|text| Text::from(*text)));
            }
            first
        });
        let firsts: Vec<usize> = firsts.collect();
        let mut operations = Vec::with_capacity(self.heads.len());
        let mut places = self.heads.places();
        while let Some(place) = places.next(&self.heads) {
            operations.push(self.copy_out(place, &texts, &firsts));
        }
        operations
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

    /// The first that is left.
    #[inline]
    pub(crate) fn first(&self) -> Option<CellOf<'a>> {
        let column = self.columns.first()?;
        Some(CellOf { column, row: self.row as usize, lists: self.lists })
    }

    /// The first that is left, which isn't any more.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<CellOf<'a>> {
        let column = self.columns.split_off_first()?;
        Some(CellOf { column, row: self.row as usize, lists: self.lists })
    }

    /// What is left, one by one.
    #[inline]
    pub(crate) fn cells(self) -> impl Iterator<Item = CellOf<'a>> {
        let Self { columns, row, lists, .. } = self;
        columns.iter().map(move |column| CellOf { column, row: row as usize, lists })
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

    #[expect(clippy::inline_always, reason = "measured: else values go through memory in pieces")]
    #[inline(always)]
    pub(crate) fn value(self) -> ValueRef<'a> {
        self.column.get(self.row, self.lists)
    }

    /// Hands the value on, where its kind is known.
    #[expect(clippy::inline_always, reason = "measured: that is what it is for")]
    #[inline(always)]
    pub(crate) fn visit<T>(self, visit: impl FnOnce(ValueRef<'a>) -> T) -> T {
        self.column.visit(self.row, self.lists, visit)
    }
}
