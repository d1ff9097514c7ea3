//! Writes batches by columns.

use hashbrown::HashMap;

use super::bits::pack;
use super::cells::{
    ANY, BOOLS, BYTES, DECIMALS, DICTIONARY, FLOATS, INTS, NULLS, SAMPLE, SOME_NULL, TEXTS,
    TIMESTAMPS, UUIDS, pays,
};
use super::floats::decimals;
use super::stamps::{self, width_of_places};
use super::{bytes_min, ints};
use crate::batch::grouped::Grouped;
use crate::binary::{REMOVED, encode_value, encode_varint};
use crate::{Change, Operation, RecordKey, Value};

/// What columns are gathered in.
#[derive(Default)]
struct Writer<'o> {
    cells: Vec<Option<&'o Value>>,
    ints: Vec<i64>,
    heap: Vec<u8>,
}

/// Appends a batch from behind its tables; it began at `start`.
pub(in crate::batch) fn write(
    operations: &[Operation],
    grouped: &Grouped,
    start: usize,
    out: &mut Vec<u8>,
) {
    let shapes = grouped.shapes().len();
    encode_varint(operations.len() as u64, out);
    let of = grouped.of().iter().map(|shape| u64::from(*shape));
    pack(of, width_of_places(shapes), out);
    let nodes = (grouped.nodes_of(), grouped.base_nodes_of());
    stamps::write(operations, nodes, grouped.nodes().len(), out);
    let mut writer = Writer::default();
    let rows: Vec<Vec<&Operation>> =
        (0..shapes).map(|shape| rows_of(operations, grouped, shape)).collect();
    for rows in &rows {
        writer.keys(rows, out);
    }
    let mut values = 0;
    let mut columns = Vec::new();
    for rows in &rows {
        let fields = field_count(rows[0]);
        values += fields * rows.len();
        for field in 0..fields {
            writer.cells.clear();
            writer.cells.extend(rows.iter().map(|operation| cell(operation, field)));
            writer.column(&mut columns);
        }
    }
    encode_varint(writer.heap.len() as u64, out);
    out.extend_from_slice(&writer.heap);
    out.extend_from_slice(&columns);
    let missing = bytes_min(operations.len(), values).saturating_sub(out.len() - start);
    out.resize(out.len() + missing, 0);
}

fn rows_of<'o>(operations: &'o [Operation], grouped: &Grouped, shape: usize) -> Vec<&'o Operation> {
    if grouped.shapes().len() == 1 {
        return operations.iter().collect();
    }
    let both = operations.iter().zip(grouped.of());
    both.filter(|(_, of)| **of as usize == shape).map(|(operation, _)| operation).collect()
}

fn field_count(operation: &Operation) -> usize {
    match &operation.change {
        Change::Insert(record) => record.len(),
        Change::Update(fields) => fields.len(),
        Change::Delete => 0,
    }
}

fn cell(operation: &Operation, field: usize) -> Option<&Value> {
    match &operation.change {
        Change::Insert(record) => Some(&record.values()[field]),
        Change::Update(fields) => fields[field].1.as_ref(),
        Change::Delete => None,
    }
}

/// The column of one kind of values; `None` if they need their tags.
fn tag_of(cells: &[Option<&Value>]) -> Option<(u8, bool)> {
    let (mut tag, mut nulls) = (NULLS, false);
    for cell in cells {
        let found = match cell {
            Some(Value::Null) => {
                nulls = true;
                continue;
            }
            Some(Value::Bool(_)) => BOOLS,
            Some(Value::Int(_)) => INTS,
            Some(Value::Float(_)) => FLOATS,
            Some(Value::Text(_)) => TEXTS,
            Some(Value::Bytes(_)) => BYTES,
            Some(Value::Uuid(_)) => UUIDS,
            Some(Value::Timestamp(_)) => TIMESTAMPS,
            Some(Value::Array(_) | Value::Map(_)) | None => return None,
        };
        if tag != NULLS && tag != found {
            return None;
        }
        tag = found;
    }
    Some((tag, nulls && tag != NULLS))
}

impl<'o> Writer<'o> {
    fn keys(&mut self, rows: &[&'o Operation], out: &mut Vec<u8>) {
        let keys = rows.iter().map(|operation| &operation.key);
        match rows[0].key {
            RecordKey::Uuid(_) => keys.for_each(|key| {
                if let RecordKey::Uuid(uuid) = key {
                    out.extend_from_slice(uuid.as_bytes());
                }
            }),
            RecordKey::Int(_) => {
                self.ints.clear();
                self.ints.extend(keys.filter_map(|key| match key {
                    RecordKey::Int(int) => Some(*int),
                    _ => None,
                }));
                ints::write(&self.ints, out);
            }
            RecordKey::Text(_) => {
                let texts = keys.map(|key| match key {
                    RecordKey::Text(text) => text.as_bytes(),
                    _ => &[],
                });
                lengths(texts.clone(), &mut self.ints, out);
                texts.for_each(|text| out.extend_from_slice(text));
            }
            RecordKey::Bytes(_) => {
                let all = keys.map(|key| match key {
                    RecordKey::Bytes(bytes) => bytes.as_slice(),
                    _ => &[],
                });
                lengths(all.clone(), &mut self.ints, out);
                all.for_each(|bytes| out.extend_from_slice(bytes));
            }
        }
    }

    /// Appends the column of the cells.
    fn column(&mut self, out: &mut Vec<u8>) {
        let Some((tag, nulls)) = tag_of(&self.cells) else {
            out.push(ANY);
            for cell in &self.cells {
                match cell {
                    Some(value) => encode_value(value, out),
                    None => out.push(REMOVED),
                }
            }
            return;
        };
        let at = out.len();
        out.push(tag | if nulls { SOME_NULL } else { 0 });
        if nulls {
            let is_there = self.cells.iter().map(|cell| u64::from(*cell != Some(&Value::Null)));
            pack(is_there, 1, out);
            self.cells.retain(|cell| *cell != Some(&Value::Null));
        }
        match tag {
            BOOLS => pack(self.all(bool_of).map(u64::from), 1, out),
            INTS => self.ints(int_of, out),
            TIMESTAMPS => self.ints(timestamp_of, out),
            FLOATS => {
                let floats = self.cells.iter().filter_map(|cell| float_of(*cell));
                if let Some(scale) = decimals(&floats, &mut self.ints) {
                    out[at] = out[at] - FLOATS + DECIMALS;
                    out.push(u8::try_from(scale).expect("at most 9"));
                    return ints::write(&self.ints, out);
                }
                floats.for_each(|float| out.extend_from_slice(&float.to_bits().to_le_bytes()));
            }
            TEXTS => self.texts(at, out),
            BYTES => {
                let all = self.cells.iter().filter_map(|cell| bytes_of(*cell));
                lengths(all.clone(), &mut self.ints, out);
                all.for_each(|bytes| out.extend_from_slice(bytes));
            }
            UUIDS => self.all(uuid_of).for_each(|uuid| out.extend_from_slice(uuid)),
            _ => {}
        }
    }

    fn all<T>(&self, of: impl Fn(Option<&'o Value>) -> Option<T>) -> impl Iterator<Item = T> {
        self.cells.iter().filter_map(move |cell| of(*cell))
    }

    fn ints(&mut self, of: impl Fn(Option<&'o Value>) -> Option<i64>, out: &mut Vec<u8>) {
        self.ints.clear();
        self.ints.extend(self.cells.iter().filter_map(|cell| of(*cell)));
        ints::write(&self.ints, out);
    }

    fn texts(&mut self, at: usize, out: &mut Vec<u8>) {
        let texts = self.cells.iter().filter_map(|cell| text_of(*cell));
        if !pays(texts.clone().take(SAMPLE)) {
            lengths(texts.clone().map(str::as_bytes), &mut self.ints, out);
            return texts.for_each(|text| self.heap.extend_from_slice(text.as_bytes()));
        }
        out[at] = out[at] - TEXTS + DICTIONARY;
        let (mut entries, mut numbers) = (Vec::new(), HashMap::new());
        let places: Vec<u64> = texts
            .map(|text| {
                *numbers.entry(text).or_insert_with(|| {
                    entries.push(text.as_bytes());
                    entries.len() as u64 - 1
                })
            })
            .collect();
        encode_varint(entries.len() as u64, out);
        lengths(entries.iter().copied(), &mut self.ints, out);
        pack(places.into_iter(), width_of_places(entries.len()), out);
        for text in entries {
            self.heap.extend_from_slice(text);
        }
    }
}

fn lengths<'t>(all: impl Iterator<Item = &'t [u8]>, ints: &mut Vec<i64>, out: &mut Vec<u8>) {
    ints.clear();
    ints.extend(all.map(|bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX)));
    ints::write(ints, out);
}

const fn bool_of(cell: Option<&Value>) -> Option<bool> {
    match cell {
        Some(Value::Bool(bool)) => Some(*bool),
        _ => None,
    }
}

const fn int_of(cell: Option<&Value>) -> Option<i64> {
    match cell {
        Some(Value::Int(int)) => Some(*int),
        _ => None,
    }
}

const fn timestamp_of(cell: Option<&Value>) -> Option<i64> {
    match cell {
        Some(Value::Timestamp(timestamp)) => Some(timestamp.0),
        _ => None,
    }
}

const fn float_of(cell: Option<&Value>) -> Option<f64> {
    match cell {
        Some(Value::Float(float)) => Some(*float),
        _ => None,
    }
}

fn text_of(cell: Option<&Value>) -> Option<&str> {
    match cell {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn bytes_of(cell: Option<&Value>) -> Option<&[u8]> {
    match cell {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

const fn uuid_of(cell: Option<&Value>) -> Option<&[u8; 16]> {
    match cell {
        Some(Value::Uuid(uuid)) => Some(uuid.as_bytes()),
        _ => None,
    }
}
