//! How large an operation can be, at most, when it is encoded.

use blaze_codec::{Change, Name, Operation, RecordKey, Value};

/// Tag and length of a value, or a reference to a name.
const OVERHEAD_BYTES: usize = 11;
/// Two versions, spelled out, and the kind of change.
const HEADER_BYTES: usize = 80;

/// An upper bound of an operation's bytes: no encoding of it has more.
pub fn bytes_max(operation: &Operation) -> usize {
    let key = match &operation.key {
        RecordKey::Uuid(_) => 16,
        RecordKey::Int(_) => 10,
        RecordKey::Text(text) => text.len(),
        RecordKey::Bytes(bytes) => bytes.len(),
    };
    let field = |name: &Name, value: Option<&Value>| {
        named(name) + value.map_or(OVERHEAD_BYTES, value_bytes_max)
    };
    let change: usize = match &operation.change {
        Change::Insert(record) => record.iter().map(|(name, value)| field(name, Some(value))).sum(),
        Change::Update(fields) => {
            fields.iter().map(|(name, value)| field(name, value.as_ref())).sum()
        }
        Change::Delete => 0,
    };
    HEADER_BYTES + named(&operation.collection) + OVERHEAD_BYTES + key + change
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
