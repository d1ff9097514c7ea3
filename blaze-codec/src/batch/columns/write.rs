//! Writes batches by columns.

use std::borrow::Borrow;

use super::bits::pack;
use super::column::Gathered;
use super::stamps::{self, width_of_places};
use super::{bytes_min, ints};
use crate::batch::grouped::Grouped;
use crate::binary::encode_varint;
use crate::{Change, Operation, RecordKey};

/// After batches of more operations, nothing is kept: one that was large may be the only one.
const KEPT_OPERATIONS_MAX: usize = 64 * 1024;

/// What batches are gathered in, kept from one to the next.
#[derive(Debug, Default)]
pub(in crate::batch) struct Scratch {
    ints: Vec<i64>,
    stamps: stamps::Scratch,
    gathered: Gathered,
}

/// Appends a batch from behind its tables; it began at `start`.
pub(in crate::batch) fn write(
    operations: &[Operation],
    grouped: &Grouped,
    start: usize,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let Scratch { ints, stamps, gathered } = scratch;
    let shapes = grouped.shapes().len();
    encode_varint(operations.len() as u64, out);
    pack(grouped.of(), width_of_places(shapes), u64::from, out);
    let nodes = (grouped.nodes_of(), grouped.base_nodes_of());
    stamps::write(operations, nodes, grouped.nodes().len(), stamps, out);
    let values = if shapes == 1 {
        write_keys(operations, ints, out);
        write_fields(operations, gathered)
    } else {
        let rows = grouped.by_shape(operations);
        for rows in &rows {
            write_keys(rows, ints, out);
        }
        rows.iter().map(|rows| write_fields(rows, gathered)).sum()
    };
    gathered.append_to(out);
    let missing = bytes_min(operations.len(), values).saturating_sub(out.len() - start);
    out.resize(out.len() + missing, 0);
    if operations.len() > KEPT_OPERATIONS_MAX {
        *scratch = Scratch::default();
    }
}

/// Appends the keys of operations of one shape.
fn write_keys<O: Borrow<Operation>>(rows: &[O], ints: &mut Vec<i64>, out: &mut Vec<u8>) {
    let keys = rows.iter().map(|operation| &operation.borrow().key);
    match rows[0].borrow().key {
        RecordKey::Uuid(_) => {
            let start = out.len();
            out.resize(start + rows.len() * size_of::<uuid::Bytes>(), 0);
            for (place, key) in out[start..].as_chunks_mut().0.iter_mut().zip(keys) {
                if let RecordKey::Uuid(uuid) = key {
                    *place = *uuid.as_bytes();
                }
            }
        }
        RecordKey::Int(_) => {
            ints.clear();
            ints.extend(keys.map(|key| match key {
                RecordKey::Int(int) => *int,
                _ => 0,
            }));
            ints::write(ints, out);
        }
        RecordKey::Text(_) | RecordKey::Bytes(_) => {
            let all = keys.map(|key| match key {
                RecordKey::Text(text) => text.as_bytes(),
                RecordKey::Bytes(bytes) => bytes.as_slice(),
                _ => &[],
            });
            ints::write_lengths(all.clone().map(<[u8]>::len), ints, out);
            all.for_each(|bytes| out.extend_from_slice(bytes));
        }
    }
}

/// Gathers the columns of operations of one shape; returns how many values they have.
fn write_fields<O: Borrow<Operation>>(rows: &[O], gathered: &mut Gathered) -> usize {
    let fields = match &rows[0].borrow().change {
        Change::Insert(record) => {
            let rows = rows.iter().map(|operation| match &operation.borrow().change {
                Change::Insert(record) => record.values(),
                _ => &[],
            });
            gathered.columns(&rows.collect::<Vec<_>>(), record.len());
            record.len()
        }
        Change::Update(fields) => {
            let rows = rows.iter().map(|operation| match &operation.borrow().change {
                Change::Update(fields) => fields.as_slice(),
                _ => &[],
            });
            gathered.columns(&rows.collect::<Vec<_>>(), fields.len());
            fields.len()
        }
        Change::Delete => 0,
    };
    fields * rows.len()
}
