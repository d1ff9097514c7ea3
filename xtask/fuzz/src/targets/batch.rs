//! Bytes as a batch: decoding and reading in place agree, also of the heads alone, and what
//! decodes is canonical.

use blaze_codec::view::{BatchRef, ChangeRef, HeadsRef, KeyRef, OperationRef, ValueRef};
use blaze_codec::{Change, Name, Operation, RecordKey, Value, batch};

use super::known::Known;
use crate::bound::Bound;

/// What is reserved for elements before they are read: 4 KiB for each list that is open, of
/// which there are two in each of 64 maps within one another, and a few in the tables.
pub(crate) const RESERVED: usize = (2 * 64 + 8) * 4 * 1024;

/// What a field of an update takes, decoded.
const FIELD: usize = size_of::<(Name, Option<Value>)>();
/// What a column takes beside its values, in a list.
const COLUMN: usize = 88;

/// What `batch::decode` may take: four values may take a byte. An empty text that may be null
/// takes 16 in the list of texts and 4 in that of places, both of which may have room for as
/// many again, and then it is a field of an update. A column takes six bytes and so may have
/// 24 of those, if its shape is of a dictionary; its own list may have room for as many
/// again, and there is a number for each. A column of four nulls, which takes a byte, comes
/// near that, and an operation, of which each takes a byte, to less.
pub(crate) const DECODE: Bound = Bound {
    what: "decoding a batch",
    per_byte: (24 * (FIELD + 2 * 16 + 2 * 4) + 2 * COLUMN + 8).div_ceil(6),
    fixed: RESERVED,
};

/// What `BatchRef::new` may take: no operations, but a column of nulls takes a byte, and the
/// old room of the list counts as it grows. A value outside of columns takes a byte, too, but
/// no more than a third of a column's room.
const VIEW: Bound =
    Bound { what: "checking a batch in place", per_byte: 3 * COLUMN, fixed: RESERVED };

/// What `HeadsRef::new` may take: an operation takes a byte, and has four integers of 8 bytes
/// in its version and its base; its key is 16 bytes in one list and as many in another, whose
/// old room counts as it grows. The rest is the numbers of rows, of shapes and of nodes.
const HEADS: Bound =
    Bound { what: "reading heads", per_byte: 4 * 8 + 16 + 3 * 16 + 32, fixed: RESERVED };

pub(super) fn run(input: &[u8]) {
    decode(input, &mut Known::default());
}

/// Decodes in both ways and compares; then encodes what was decoded.
pub(super) fn decode(bytes: &[u8], known: &mut Known) -> Option<Vec<Operation>> {
    let definitions = known.definitions();
    let decoded = DECODE.hold(bytes.len(), || batch::decode_defined(bytes, definitions));
    let view = VIEW.hold(bytes.len(), || BatchRef::defined(bytes, definitions));
    let heads = HEADS.hold(bytes.len(), || HeadsRef::defined(bytes, definitions));
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
    // Of other bytes there may be heads, too: values aren't looked at.
    let heads = heads.expect("what decodes has heads");
    assert_eq!(heads.len(), operations.len());
    for (head, operation) in heads.iter().zip(&operations) {
        assert_eq!(*head.collection(), operation.collection);
        assert_eq!((head.version(), head.base()), (operation.version, operation.base));
        assert!(is_key(&head.key(), &operation.key), "{head:?} against {operation:?}");
    }
    let again = known.encode_as(bytes, &operations);
    assert!(again == bytes, "equal batches are other bytes: {operations:?}");
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
            let fields = agree([read.iter(), read.iter()], record, |(name, value), (other, is)| {
                name == other && is_value(&value, is)
            });
            let found = record.names().last().is_none_or(|last| read.get(last).is_some());
            fields && found && read.get("").is_none()
        }
        (ChangeRef::Update(read), Change::Update(fields)) => {
            agree([read.iter(), read.iter()], fields, |(name, value), (other, is)| {
                let same = match (value, is) {
                    (Some(value), Some(is)) => is_value(&value, is),
                    (value, is) => value.is_none() && is.is_none(),
                };
                name == other && same
            })
        }
        (ChangeRef::Delete, Change::Delete) => true,
        _ => false,
    };
    assert!(same, "{read:?} against {operation:?}");
    assert_eq!(read.to_operation(), *operation);
}

/// Whether fields are those that they should be: asked for one by one, and handed on.
fn agree<T, E: Copy + IntoIterator>(
    [mut asked, handed_on]: [impl ExactSizeIterator<Item = T>; 2],
    expected: E,
    same: impl Fn(T, E::Item) -> bool,
) -> bool {
    let count = asked.len();
    let mut all = 0;
    let mut asked_same = true;
    for is in expected {
        asked_same &= asked.next().is_some_and(|field| same(field, is));
        all += 1;
    }
    let (mut left, mut handed) = (expected.into_iter(), 0);
    handed_on.for_each(|field| {
        handed += usize::from(left.next().is_some_and(|is| same(field, is)));
    });
    asked_same && asked.next().is_none() && [count, handed] == [all; 2]
}

fn is_key(read: &KeyRef<'_>, key: &RecordKey) -> bool {
    match (read, key) {
        (KeyRef::Uuid(read), RecordKey::Uuid(uuid)) => *read == uuid,
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
        (ValueRef::Uuid(read), Value::Uuid(uuid)) => *read == uuid,
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
    use blaze_codec::batch::Encoder;
    use blaze_codec::{Hlc, NodeId, Version};

    use super::*;
    use crate::bound::Seen;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Columns in a list that has just doubled.
    const WIDE: usize = 32 * 1024 + 1;

    fn of(changes: impl Iterator<Item = Change>) -> Vec<Operation> {
        let operation = |(key, change): (usize, Change)| Operation {
            collection: name("c"),
            key: RecordKey::Int(i64::from(key % 2 == 1)),
            version: Version { epoch: Hlc::ZERO, hlc: Hlc::ZERO, node: NodeId::ZERO },
            base: Version::ZERO,
            change,
        };
        changes.enumerate().map(operation).collect()
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

    /// Those in rows and columns that take the most for their bytes, each in its way.
    fn worst() -> Vec<(&'static str, Vec<Operation>)> {
        let bit = |at: usize| Value::Int(i64::from(at / 7 % 2 == 1));
        let empty = |_: usize| Value::from("");
        let once_null = |at: usize| if at < WIDE { Value::Null } else { Value::from("") };
        let null = |_: usize| Value::Null;
        let or_null = |value: fn(usize) -> Value| {
            move |at: usize| if at.is_multiple_of(5) { Value::Null } else { value(at) }
        };
        let rows = 2_100;
        let narrow = |value: &dyn Fn(usize) -> Value| {
            of((0..rows).map(|row| update(fields(64, row, value))))
        };
        // A column more than a list of them grows to, and as many rows as its bytes allow.
        let wide = |rows: usize, value: &dyn Fn(usize) -> Value| {
            of((0..rows).map(|row| update(fields(WIDE, row, value))))
        };
        let array = |values| vec![(name("a"), Value::Array(values))];
        let nulls = Value::Array(vec![Value::Null; 9]);
        vec![
            ("deletes", of((0..100_000).map(|_| Change::Delete))),
            ("bits in versions", stamped(70_000)),
            ("updates of nulls", narrow(&null)),
            ("updates of bits", narrow(&bit)),
            ("updates of bits and nulls", narrow(&or_null(bit))),
            ("updates of empty texts", narrow(&empty)),
            ("updates of empty texts and nulls", narrow(&or_null(empty))),
            ("inserts of empty texts and nulls", {
                of((0..rows).map(|row| insert(fields(64, row, or_null(empty)))))
            }),
            ("wide updates of nulls", wide(4, &null)),
            ("wide updates of empty texts", wide(12, &empty)),
            ("wide updates of empty texts and nulls", wide(24, &once_null)),
            ("a wide insert", of((0..1).map(|row| insert(fields(60_000, row, null))))),
            ("rows", of((0..3).map(|row| insert(fields(10_000, row, null))))),
            ("an array", of((0..1).map(|_| insert(array(vec![Value::Null; 600_000]))))),
            ("small arrays", of((0..3).map(|_| insert(array(vec![nulls.clone(); 60_000]))))),
        ]
    }

    /// Updates of nothing by text keys, but for a few, with bits in all of their versions and
    /// bases.
    fn stamped(count: usize) -> Vec<Operation> {
        let mut operations = of((0..count).map(|_| Change::Update(Vec::new())));
        for (at, operation) in operations.iter_mut().enumerate() {
            let bit = |shift: usize| (at >> shift & 1) as u64;
            let hlc = |shift| Hlc::from_bits(bit(shift) << 16 | bit(shift + 1));
            if at >= 8 {
                operation.key = RecordKey::from("");
            }
            operation.version = Version { epoch: hlc(0), hlc: hlc(2), node: NodeId::ZERO };
            // None is zero.
            let base = Hlc::from_bits(hlc(4).to_bits() + (2 << 16));
            operation.base = Version { epoch: hlc(6), hlc: base, node: NodeId::ZERO };
        }
        operations
    }

    /// How near each of the calls comes to its bound.
    fn most(worst: impl Iterator<Item = (&'static str, Vec<u8>, Known)>) -> [f64; 3] {
        let mut most = [0.0; 3];
        for (what, bytes, known) in worst {
            let (known, all) = (known.definitions(), bytes.len());
            let call = |bound: Bound, call: &dyn Fn()| {
                Seen::take();
                bound.hold(all, call);
                Seen::take()
            };
            let seen = [
                call(DECODE, &|| drop(batch::decode_defined(&bytes, known).unwrap())),
                call(VIEW, &|| drop(BatchRef::defined(&bytes, known).unwrap())),
                call(HEADS, &|| drop(HeadsRef::defined(&bytes, known).unwrap())),
            ];
            let [decode, view, heads] = seen.map(|seen| seen.peak / all);
            eprintln!("{what}: {all} bytes; {decode}, {view}, {heads} times that");
            most = std::array::from_fn(|at| seen[at].share().max(most[at]));
        }
        most
    }

    #[test]
    fn the_worst_that_is_known_is_within_the_bounds_and_not_far() {
        let alone = worst().into_iter();
        let alone = alone.map(|(what, all)| (what, encode(&all), Known::default()));
        let defined = worst().into_iter().filter_map(|(what, operations)| {
            let (mut encoder, mut known) = (Encoder::with_dictionary(), Known::default());
            let (mut bytes, mut definitions) = (Vec::new(), Vec::new());
            encoder.encode(&operations, &mut bytes);
            encoder.define(encoder.needs(), &mut definitions);
            known.add(&definitions).unwrap();
            (!encoder.needs().is_empty()).then_some((what, bytes, known))
        });
        let most = most(alone.chain(defined));
        assert!(most.iter().all(|share| *share > 0.8), "{most:?}");
    }
}
