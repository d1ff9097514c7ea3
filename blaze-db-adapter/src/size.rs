//! How large an operation can be, at most, when it is encoded.

use blaze_codec::{Change, Name, Operation, Record, RecordKey, Value};

use crate::{Write, WriteKind};

/// Tag and length of a value, or a reference to a name.
const OVERHEAD_BYTES: usize = 11;
/// Two versions, spelled out, and the kind of change.
const HEADER_BYTES: usize = 80;

/// An upper bound of an operation's bytes: no encoding of it has more.
pub fn bytes_max(operation: &Operation) -> usize {
    let change = match &operation.change {
        Change::Insert(record) => record_bytes_max(record),
        Change::Update(fields) => {
            fields.iter().map(|(name, value)| field_bytes_max(name, value.as_ref())).sum()
        }
        Change::Delete => 0,
    };
    header_bytes_max(&operation.collection, &operation.key) + change
}

/// An upper bound of the bytes of what a write holds.
pub fn write_bytes_max(write: &Write) -> usize {
    let fields = match &write.kind {
        WriteKind::Insert(record) | WriteKind::Put(record) => record_bytes_max(record),
        WriteKind::Update(fields) => {
            fields.iter().map(|(name, value)| field_bytes_max(name, value.as_ref())).sum()
        }
        WriteKind::Delete => 0,
    };
    header_bytes_max(&write.collection, &write.key) + fields
}

fn header_bytes_max(collection: &Name, key: &RecordKey) -> usize {
    let key = match key {
        RecordKey::Uuid(_) => 16,
        RecordKey::Int(_) => 10,
        RecordKey::Text(text) => text.len(),
        RecordKey::Bytes(bytes) => bytes.len(),
    };
    HEADER_BYTES + named(collection) + OVERHEAD_BYTES + key
}

fn record_bytes_max(record: &Record) -> usize {
    record.iter().map(|(name, value)| field_bytes_max(name, Some(value))).sum()
}

fn field_bytes_max(name: &Name, value: Option<&Value>) -> usize {
    named(name) + value.map_or(OVERHEAD_BYTES, value_bytes_max)
}

fn value_bytes_max(value: &Value) -> usize {
    let content = match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Int(_) | Value::Float(_) | Value::Timestamp(_) => 10,
        Value::Uuid(_) => 16,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) => values.iter().map(value_bytes_max).sum(),
        Value::Map(fields) => {
            fields.iter().map(|(name, value)| named(name) + value_bytes_max(value)).sum()
        }
    };
    OVERHEAD_BYTES + content
}

fn named(name: &Name) -> usize {
    OVERHEAD_BYTES + name.len()
}
