//! Bytes as a batch: decoding and reading in place agree, and what decodes is canonical.

use blaze_codec::view::{BatchRef, ChangeRef, KeyRef, OperationRef, ValueRef};
use blaze_codec::{Change, Operation, RecordKey, Value, batch};

use crate::bound::Bound;

/// What is reserved for elements before they are read: 4 KiB for each list that is open, of
/// which there are two in each of 64 maps within one another, and a few in the tables.
pub(crate) const RESERVED: usize = (2 * 64 + 8) * 4 * 1024;

/// What `batch::decode` may take: four values may take a byte, and a field of an update 80
/// decoded, if it is an integer of one bit that may be null: 24 of its name, 32 of its
/// value, 8 in the list of integers and 4 in that of places, both of which may have room for
/// as many again. An operation takes a byte at least, and less than four of those.
pub(crate) const DECODE: Bound =
    Bound { what: "decoding a batch", per_byte: 4 * 80, fixed: RESERVED };

/// What `BatchRef::new` may take: the same lists, whose old room counts as they grow (24 for
/// an integer of one bit, which takes an eighth of a byte), and no operations.
const VIEW: Bound = Bound { what: "checking a batch in place", per_byte: 8 * 24, fixed: RESERVED };

pub(super) fn run(input: &[u8]) {
    decode(input);
}

/// Decodes in both ways and compares; then encodes what was decoded.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Operation>> {
    let decoded = DECODE.hold(bytes.len(), || batch::decode(bytes));
    let view = VIEW.hold(bytes.len(), || BatchRef::new(bytes));
    let (operations, view) = match (decoded, view) {
        (Ok(operations), Ok(view)) => (operations, view),
        (Err(decoded), Err(view)) => {
            assert_eq!(decoded, view, "decoding and reading in place fail differently");
            return None;
        }
        (decoded, view) => panic!("decoded: {decoded:?}; read in place: {view:?}"),
    };
    assert_eq!(view.len(), operations.len());
    assert_eq!(view.iter().len(), operations.len());
    for (read, operation) in view.iter().zip(&operations) {
        assert_eq!(operation.check(), Ok(()), "what decodes can't be stored: {operation:?}");
        compare(&read, operation);
    }
    assert!(encode(&operations) == bytes, "equal batches are other bytes: {operations:?}");
    Some(operations)
}

pub(super) fn encode(operations: &[Operation]) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::encode(operations, &mut bytes);
    bytes
}

/// Reads an operation in place, down to each value.
fn compare(read: &OperationRef<'_>, operation: &Operation) {
    assert_eq!(*read.collection(), operation.collection);
    assert_eq!((read.version(), read.base()), (operation.version, operation.base));
    assert!(is_key(&read.key(), &operation.key), "{read:?} against {operation:?}");
    let same = match (read.change(), &operation.change) {
        (ChangeRef::Insert(read), Change::Insert(record)) => {
            let fields = read.iter().zip(record).all(|((name, value), (other, expected))| {
                name == other && is_value(&value, expected)
            });
            let found = record.names().last().is_none_or(|last| read.get(last).is_some());
            fields && found && read.iter().len() == record.len() && read.get("").is_none()
        }
        (ChangeRef::Update(read), Change::Update(fields)) => {
            let all = read.iter().zip(fields).all(|((name, value), (other, expected))| {
                let same = match (value, expected) {
                    (Some(value), Some(expected)) => is_value(&value, expected),
                    (value, expected) => value.is_none() && expected.is_none(),
                };
                name == other && same
            });
            all && read.iter().len() == fields.len()
        }
        (ChangeRef::Delete, Change::Delete) => true,
        _ => false,
    };
    assert!(same, "{read:?} against {operation:?}");
    assert_eq!(read.to_operation(), *operation);
}

fn is_key(read: &KeyRef<'_>, key: &RecordKey) -> bool {
    match (read, key) {
        (KeyRef::Uuid(read), RecordKey::Uuid(uuid)) => read == uuid,
        (KeyRef::Int(read), RecordKey::Int(int)) => read == int,
        (KeyRef::Text(read), RecordKey::Text(text)) => read == text,
        (KeyRef::Bytes(read), RecordKey::Bytes(bytes)) => read == bytes,
        _ => false,
    }
}

fn is_value(read: &ValueRef<'_>, value: &Value) -> bool {
    match (read, value) {
        (ValueRef::Null, Value::Null) => true,
        (ValueRef::Bool(read), Value::Bool(bool)) => read == bool,
        (ValueRef::Int(read), Value::Int(int)) => read == int,
        (ValueRef::Float(read), Value::Float(float)) => read.to_bits() == float.to_bits(),
        (ValueRef::Text(read), Value::Text(text)) => *text == **read,
        (ValueRef::Bytes(read), Value::Bytes(bytes)) => bytes == read,
        (ValueRef::Uuid(read), Value::Uuid(uuid)) => read == uuid,
        (ValueRef::Timestamp(read), Value::Timestamp(timestamp)) => read == timestamp,
        (ValueRef::Array(read), Value::Array(values)) => {
            read.len() == values.len()
                && read.iter().zip(values).all(|(read, value)| is_value(&read, value))
        }
        (ValueRef::Map(read), Value::Map(fields)) => {
            let mut pairs = read.iter().zip(fields);
            read.len() == fields.len()
                && fields.names().last().is_none_or(|last| read.get(last).is_some())
                && pairs.all(|((read, value), (name, expected))| {
                    *name == *read && is_value(&value, expected)
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use blaze_codec::{Hlc, Name, NodeId, Version};

    use super::*;
    use crate::bound::Seen;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn of(changes: impl Iterator<Item = Change>) -> Vec<u8> {
        let operation = |(key, change): (usize, Change)| Operation {
            collection: name("c"),
            key: RecordKey::Int(i64::from(key % 2 == 1)),
            version: Version { epoch: Hlc::ZERO, hlc: Hlc::ZERO, node: NodeId::ZERO },
            base: Version::ZERO,
            change,
        };
        encode(&changes.enumerate().map(operation).collect::<Vec<_>>())
    }

    fn fields(count: usize, row: usize, value: impl Fn(usize) -> Value) -> Vec<(Name, Value)> {
        let names = (0..count).map(|field| name(&format!("{field:05}")));
        names.enumerate().map(|(field, name)| (name, value(row * count + field))).collect()
    }

    fn insert(fields: Vec<(Name, Value)>) -> Change {
        Change::Insert(fields.into_iter().collect())
    }

    fn update(fields: Vec<(Name, Value)>) -> Change {
        Change::Update(fields.into_iter().map(|(name, value)| (name, Some(value))).collect())
    }

    /// The worst batches that are known.
    fn worst() -> Vec<(&'static str, Vec<u8>)> {
        let bit = |at: usize| Value::Int(i64::from(at / 7 % 2 == 1));
        let often =
            |at: usize| if at.is_multiple_of(1_000) { Value::Null } else { Value::from("") };
        let maybe = |at: usize| match at % 5 {
            0 => Value::Null,
            _ => Value::Int(i64::from(at / 7 % 2 == 1)),
        };
        let null = |_: usize| Value::Null;
        let rows = 2_000;
        vec![
            ("deletes", of((0..100_000).map(|_| Change::Delete))),
            ("updates of nulls", of((0..rows).map(|row| update(fields(64, row, null))))),
            ("updates of empty texts", of((0..rows).map(|row| update(fields(64, row, often))))),
            ("updates of bits", of((0..rows).map(|row| update(fields(64, row, bit))))),
            ("updates of bits and nulls", of((0..rows).map(|row| update(fields(64, row, maybe))))),
            ("inserts of bits and nulls", of((0..rows).map(|row| insert(fields(64, row, maybe))))),
            ("a wide update", of((0..4).map(|row| update(fields(20_000, row, bit))))),
            ("a wide insert", of((0..1).map(|row| insert(fields(60_000, row, null))))),
            ("rows", of((0..3).map(|row| insert(fields(10_000, row, null))))),
            (
                "an array",
                of((0..1)
                    .map(|_| insert(vec![(name("a"), Value::Array(vec![Value::Null; 600_000]))]))),
            ),
            (
                "small arrays",
                of((0..3).map(|_| {
                    insert(vec![(
                        name("a"),
                        Value::Array(vec![Value::Array(vec![Value::Null; 9]); 60_000]),
                    )])
                })),
            ),
        ]
    }

    #[test]
    fn the_worst_that_is_known_is_within_the_bound_and_not_far() {
        let mut most: f64 = 0.0;
        for (what, bytes) in worst() {
            Seen::take();
            assert!(decode(&bytes).is_some(), "{what}");
            let seen = Seen::take();
            eprintln!("{what}: {} bytes took {} times that", seen.input, seen.peak / seen.input);
            most = most.max(seen.share());
        }
        assert!(most > 0.5, "the bound could be as low as {most} of what it is");
    }
}
