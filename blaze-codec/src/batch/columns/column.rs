//! Gathers columns of values, each as its values allow.

use super::bits::pack;
use super::cells::{
    ANY, BOOLS, BYTES, DECIMALS, DICTIONARY, FLOATS, INTS, NULLS, SOME_NULL, TEXTS, TIMESTAMPS,
    UUIDS, pays,
};
use super::floats::decimals;
use super::ints;
use super::numbering::Numbering;
use super::stamps::width_of_places;
use crate::binary::{REMOVED, encode_value, encode_varint};
use crate::{Name, Value};

/// So much memory is kept for the next batch: one that was large may be the only one.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Columns, and the texts in them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    heap: Vec<u8>,
    columns: Vec<u8>,
    ints: Vec<i64>,
    floats: Vec<f64>,
    bools: Vec<bool>,
    numbering: Numbering,
}

/// The values of an operation.
pub(super) trait Row<'o>: Copy {
    /// The value of a field; `None` if it is removed.
    fn cell(self, field: usize) -> Option<&'o Value>;
}

impl<'o> Row<'o> for &'o [Value] {
    #[inline]
    fn cell(self, field: usize) -> Option<&'o Value> {
        Some(&self[field])
    }
}

impl<'o> Row<'o> for &'o [(Name, Option<Value>)] {
    #[inline]
    fn cell(self, field: usize) -> Option<&'o Value> {
        self[field].1.as_ref()
    }
}

/// A value that was looked up already.
impl<'o> Row<'o> for &'o Value {
    #[inline]
    fn cell(self, _: usize) -> Option<&'o Value> {
        Some(self)
    }
}

impl Gathered {
    /// Appends the texts, then the columns, and is empty again.
    pub(super) fn append_to(&mut self, out: &mut Vec<u8>) {
        encode_varint(self.heap.len() as u64, out);
        out.reserve(self.heap.len() + self.columns.len());
        for bytes in [&mut self.heap, &mut self.columns] {
            out.extend_from_slice(bytes);
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Gathers the columns of so many fields of some rows.
    pub(super) fn columns<'o, R: Row<'o>>(&mut self, rows: &[R], fields: usize) {
        let mut texts = Vec::new();
        for field in 0..fields {
            let part = Part { rows, field, is_there: &[] };
            if self.of_one_kind(part, &mut texts).is_none() {
                self.of_kinds(part, &mut texts);
            }
        }
    }

    /// Gathers a column of several kinds, or with nulls.
    fn of_kinds<'o, R: Row<'o>>(&mut self, part: Part<'_, R>, texts: &mut Vec<&'o str>) {
        let Part { rows, field, .. } = part;
        let cells: Option<Vec<&Value>> = rows.iter().map(|row| row.cell(field)).collect();
        if let Some(mut cells) = cells {
            let is_there: Vec<bool> = cells.iter().map(|cell| **cell != Value::Null).collect();
            cells.retain(|cell| **cell != Value::Null);
            if cells.is_empty() {
                return self.columns.push(NULLS);
            }
            let others = Part { rows: &cells, field, is_there: &is_there };
            if cells.len() < rows.len() && self.of_one_kind(others, texts).is_some() {
                return;
            }
        }
        self.columns.push(ANY);
        for row in rows {
            match row.cell(field) {
                Some(value) => encode_value(value, &mut self.columns),
                None => self.columns.push(REMOVED),
            }
        }
    }

    /// Gathers a column if its values are of one kind, and none is null; nothing, if not.
    fn of_one_kind<'o, R: Row<'o>>(
        &mut self,
        part: Part<'_, R>,
        texts: &mut Vec<&'o str>,
    ) -> Option<()> {
        let Self { columns, heap, ints, floats, bools, numbering } = self;
        match part.rows[0].cell(part.field)? {
            Value::Bool(_) => {
                part.gather(bools, bool_of)?;
                part.head(BOOLS, columns);
                pack(bools, 1, u64::from, columns);
            }
            Value::Int(_) => {
                part.gather(ints, int_of)?;
                part.head(INTS, columns);
                ints::write(ints, columns);
            }
            Value::Timestamp(_) => {
                part.gather(ints, timestamp_of)?;
                part.head(TIMESTAMPS, columns);
                ints::write(ints, columns);
            }
            Value::Float(_) => {
                part.gather(floats, float_of)?;
                if let Some(scale) = decimals(&floats.iter().copied(), ints) {
                    part.head(DECIMALS, columns);
                    columns.push(u8::try_from(scale).expect("at most 9"));
                    ints::write(ints, columns);
                } else {
                    part.head(FLOATS, columns);
                    for float in floats {
                        columns.extend_from_slice(&float.to_bits().to_le_bytes());
                    }
                }
            }
            Value::Text(_) => {
                part.gather(texts, text_of)?;
                if pays(texts.iter().copied()) {
                    part.head(DICTIONARY, columns);
                    numbering.fill(texts);
                    let (numbers, count) = (numbering.numbers(), numbering.count());
                    encode_varint(count as u64, columns);
                    write_texts(numbering.entries(texts), ints, heap, columns);
                    pack(numbers, width_of_places(count), u64::from, columns);
                } else {
                    part.head(TEXTS, columns);
                    write_texts(texts.iter().copied(), ints, heap, columns);
                }
            }
            Value::Bytes(_) => {
                let mut all: Vec<&[u8]> = Vec::new();
                part.gather(&mut all, bytes_of)?;
                part.head(BYTES, columns);
                ints::write_lengths(all.iter().map(|bytes| bytes.len()), ints, columns);
                for bytes in all {
                    columns.extend_from_slice(bytes);
                }
            }
            Value::Uuid(_) => {
                let mut all: Vec<uuid::Bytes> = Vec::new();
                part.gather(&mut all, uuid_of)?;
                part.head(UUIDS, columns);
                columns.extend_from_slice(all.as_flattened());
            }
            Value::Null | Value::Array(_) | Value::Map(_) => return None,
        }
        Some(())
    }
}

/// Appends lengths to a column, and texts to the heap.
fn write_texts<'t>(
    texts: impl Iterator<Item = &'t str> + Clone,
    ints: &mut Vec<i64>,
    heap: &mut Vec<u8>,
    column: &mut Vec<u8>,
) {
    ints::write_lengths(texts.clone().map(str::len), ints, column);
    texts.for_each(|text| heap.extend_from_slice(text.as_bytes()));
}

/// Some rows of one field.
#[derive(Clone, Copy)]
struct Part<'r, R> {
    rows: &'r [R],
    field: usize,
    /// Of all rows, which are among these; nothing, if all are.
    is_there: &'r [bool],
}

impl<'o, R: Row<'o>> Part<'_, R> {
    /// Looks the values up, as long as they are of a kind.
    #[inline]
    fn gather<T: Copy + Default>(
        &self,
        into: &mut Vec<T>,
        of: impl Fn(&'o Value) -> Option<T>,
    ) -> Option<()> {
        into.resize(self.rows.len(), T::default());
        for (row, place) in self.rows.iter().zip(into) {
            *place = row.cell(self.field).and_then(&of)?;
        }
        Some(())
    }

    fn head(&self, tag: u8, columns: &mut Vec<u8>) {
        if self.is_there.is_empty() {
            return columns.push(tag);
        }
        columns.push(tag | SOME_NULL);
        pack(self.is_there, 1, u64::from, columns);
    }
}

macro_rules! of {
    ($($of:ident: $kind:ident($value:ident) -> $type:ty = $make:expr;)*) => {
        $(#[inline]
        fn $of(value: &Value) -> Option<$type> {
            match value {
                Value::$kind($value) => Some($make),
                _ => None,
            }
        })*
    };
}

of! {
    bool_of: Bool(bool) -> bool = *bool;
    int_of: Int(int) -> i64 = *int;
    timestamp_of: Timestamp(timestamp) -> i64 = timestamp.0;
    float_of: Float(float) -> f64 = *float;
    text_of: Text(text) -> &str = text;
    bytes_of: Bytes(bytes) -> &[u8] = bytes;
    uuid_of: Uuid(uuid) -> uuid::Bytes = uuid.into_bytes();
}
