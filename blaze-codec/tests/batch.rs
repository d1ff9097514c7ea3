//! Batches come back as they were, and nothing else decodes.

mod common;

use blaze_codec::view::{BatchRef, ChangeRef, OperationRef, ValueRef};
use blaze_codec::{
    Change, DecodeError, Name, Operation, RecordKey, Value, Version, batch, binary, record,
};
use proptest::prelude::*;

fn encode(operations: &[Operation]) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::encode(operations, &mut bytes);
    bytes
}

/// Reads a batch in place, down to each value, one after the other.
fn read_in_place(bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    Ok(BatchRef::new(bytes)?.iter().map(|operation| copy_out(operation, usize::MAX)).collect())
}

/// Reads a batch in place like [`read_in_place`]; but only `first` operations, and as many
/// fields of each, one after the other, and the others as `for_each` hands them on.
fn hand_on(bytes: &[u8], first: usize) -> Result<Vec<Operation>, DecodeError> {
    let batch = BatchRef::new(bytes)?;
    Ok(in_two_ways(batch.iter(), first, |operation| copy_out(operation, first)))
}

fn copy_out(operation: OperationRef<'_>, first: usize) -> Operation {
    let change = match operation.change() {
        ChangeRef::Insert(record) => {
            let field = |(name, value): (&Name, ValueRef<'_>)| (name.clone(), value.to_value());
            Change::Insert(in_two_ways(record.iter(), first, field).into_iter().collect())
        }
        ChangeRef::Update(update) => {
            Change::Update(in_two_ways(update.iter(), first, |(name, value)| {
                (name.clone(), value.map(|value| value.to_value()))
            }))
        }
        ChangeRef::Delete => Change::Delete,
    };
    Operation {
        collection: operation.collection().clone(),
        key: operation.key().to_key(),
        version: operation.version(),
        base: operation.base(),
        change,
    }
}

fn in_two_ways<T, U>(
    mut all: impl ExactSizeIterator<Item = T>,
    first: usize,
    copy: impl Fn(T) -> U,
) -> Vec<U> {
    let count = all.len();
    let mut copies = Vec::new();
    while copies.len() < first
        && let Some(item) = all.next()
    {
        copies.push(copy(item));
    }
    assert_eq!(all.len(), count - copies.len());
    all.for_each(|item| copies.push(copy(item)));
    assert_eq!(copies.len(), count);
    copies
}

proptest! {
    #[test]
    fn operations_come_back(operations in common::operations(), first in 0..4_usize) {
        let bytes = encode(&operations);
        prop_assert_eq!(&batch::decode(&bytes).unwrap(), &operations);
        prop_assert_eq!(&read_in_place(&bytes).unwrap(), &operations);
        prop_assert_eq!(&hand_on(&bytes, first).unwrap(), &operations);
        let batch = BatchRef::new(&bytes).unwrap();
        prop_assert_eq!(batch.len(), operations.len());
        let copied: Vec<_> = batch.iter().map(|operation| operation.to_operation()).collect();
        prop_assert_eq!(copied, operations);
    }

    #[test]
    fn bytes_behind_a_batch_are_refused(operations in common::operations(), byte in any::<u8>()) {
        let mut bytes = encode(&operations);
        bytes.push(byte);
        prop_assert_eq!(batch::decode(&bytes), Err(DecodeError::Trailing { count: 1 }));
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Most random bytes fail at the first one; this gets further.
        if let Some(layout) = bytes.first_mut() {
            *layout = batch::ROWS + *layout % 2;
        }
        if let Ok(decoded) = batch::decode(&bytes) {
            prop_assert_eq!(encode(&decoded), bytes);
        }
    }

    #[test]
    fn what_passes_the_check_can_be_decoded(operation in common::operation()) {
        prop_assert_eq!(operation.check(), Ok(()));
    }
}

proptest! {
    // Each case decodes once for every byte or bit.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_beginning_of_a_batch_is_a_batch(operations in common::few_operations()) {
        let bytes = encode(&operations);
        for end in 0..bytes.len() {
            prop_assert!(batch::decode(&bytes[..end]).is_err(), "cut to {} bytes", end);
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_or_another_batch(operations in common::few_operations()) {
        let mut bytes = encode(&operations);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decoded = batch::decode(&bytes);
            prop_assert_eq!(&decoded, &read_in_place(&bytes));
            if let Ok(decoded) = decoded {
                prop_assert_ne!(&decoded, &operations);
                prop_assert_eq!(encode(&decoded), &bytes[..], "bit {}", bit);
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

fn insert(collection: &str, key: i64) -> Operation {
    Operation {
        collection: Name::new(collection).unwrap(),
        key: RecordKey::Int(key),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(record! { "done" => false, "title" => "a title of 20 bytes." }),
    }
}

#[test]
fn an_operation_more_costs_its_values_and_five_bytes() {
    let one = encode(&[insert("notes", 1)]).len();
    let two = encode(&[insert("notes", 1), insert("notes", 2)]).len();
    // Shape, flags, key, length; a bool; a text and its tag.
    assert_eq!(two - one, 1 + 1 + 1 + 1 + 1 + 21);
}

#[test]
fn an_unknown_version_is_named() {
    let mut bytes = encode(&[insert("notes", 1)]);
    bytes[0] = 5;
    let unknown = DecodeError::UnknownVersion { found: 5, known: batch::COLUMNS_DEFINED };
    assert_eq!(batch::decode(&bytes), Err(unknown));
}

#[test]
fn a_value_of_a_later_format_is_named() {
    let later = DecodeError::LaterFormat { needed: 9, known: binary::FORMAT_VERSION };
    // In rows, and in a column of anything.
    for count in [1, 4] {
        let mut operations: Vec<_> = (0..count).map(|key| insert("notes", key)).collect();
        let list = vec![Value::from(1), Value::from(-1), Value::from(2)];
        operations[0].change = Change::Insert(record! { "done" => false, "title" => list });
        let mut bytes = encode(&operations);
        assert_eq!(batch::decode(&bytes).as_ref(), Ok(&operations));
        let array = bytes.windows(4).position(|bytes| bytes == [0x13, 0x91, 0x8f, 0x92]).unwrap();
        bytes[array..array + 4].copy_from_slice(&[0x0b, 9, 1, 0xff]);
        assert_eq!(batch::decode(&bytes), Err(later.clone()));
        assert_eq!(read_in_place(&bytes), Err(later.clone()));
    }
}

/// What a huge count would reserve exceeds every address space, so reserving it
/// aborts the test.
#[test]
fn a_count_reserves_nothing_that_the_bytes_do_not_prove() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let tables: [&[u8]; 4] = [&[], &[0], &[0, 0], &[0, 0, 0]];
    for table in tables {
        let mut bytes = vec![batch::ROWS];
        bytes.extend_from_slice(table);
        bytes.extend_from_slice(&huge);
        bytes.resize(20, 0);
        let error = batch::decode(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. }), "{error}");
    }
}

/// What is amiss, then names, shapes and operations.
type Case<'a> = (&'a str, &'a [u8], &'a [u8], &'a [u8]);

/// Each is a batch of one insert, `n { a: 1 }` with key 0, with one thing amiss.
#[test]
fn what_is_not_canonical_is_refused() {
    let node = [0_u8; 16];
    let batch = |names: &[u8], shapes: &[u8], rest: &[u8]| {
        let bytes = [&[batch::ROWS][..], names, &[1], &node, shapes, rest].concat();
        batch::decode(&bytes)
    };
    let names = b"\x02\x01n\x01a";
    let shapes = [1, 0b0100, 0, 1, 1];
    let operation = [1, 0, 0b1000, 0, 0, 1, 0x91];
    assert!(batch(names, &shapes, &operation).is_ok());

    let nodes = [&[batch::ROWS][..], names, &[2], &node, &[1; 16], &shapes, &operation].concat();
    assert!(matches!(
        batch::decode(&nodes),
        Err(DecodeError::Malformed { what: "use of nodes", .. })
    ));
    let nodes = [&[batch::ROWS][..], names, &[2], &node, &node, &shapes, &operation].concat();
    assert!(matches!(
        batch::decode(&nodes),
        Err(DecodeError::Malformed { what: "node used twice", .. })
    ));

    // Only an update removes fields.
    let removed = batch(names, &shapes, &[1, 0, 0b1000, 0, 0, 1, 0x0f]);
    assert!(matches!(removed, Err(DecodeError::UnknownTag { tag: 0x0f, .. })));

    let cases: [Case<'_>; 13] = [
        ("name used twice", b"\x02\x01n\x01n", &shapes, &operation),
        ("use of names", b"\x03\x01n\x01a\x01b", &shapes, &operation),
        ("use of names", names, &[1, 0b0100, 1, 1, 0], &operation),
        ("order of fields", names, &[1, 0b0100, 0, 2, 1, 1], &operation),
        ("order of fields", b"\x03\x01n\x01b\x01a", &[1, 0b0100, 0, 2, 1, 2], &operation),
        ("delete with fields", names, &[1, 0b0110, 0, 1, 1], &operation),
        ("kind of change", names, &[1, 0b0111, 0, 1, 1], &operation),
        ("kind of key", names, &[1, 0b1_0000, 0, 1, 1], &operation),
        ("shape used twice", names, &[2, 0b0100, 0, 1, 1, 0b0100, 0, 1, 1], &operation),
        ("use of shapes", names, &[2, 0b0100, 0, 1, 1, 0b0110, 0, 0], &operation),
        ("flags", names, &shapes, &[1, 0, 0b1001, 0, 0, 0, 1, 0x91]),
        ("flags", names, &shapes, &[1, 0, 0b1_1000, 0, 0, 1, 0x91]),
        ("varint", names, &shapes, &[1, 0, 0b1000, 0, 0x80, 0, 1, 0x91]),
    ];
    for (expected, names, shapes, operation) in cases {
        match batch(names, shapes, operation) {
            Err(DecodeError::Malformed { what, .. }) if what == expected => {}
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// Columns of each kind, of which some are one bit from another way to say the same: a
/// decimal more than is needed, a wider width, a dictionary that doesn't pay.
fn columns() -> Vec<Vec<Value>> {
    let floats = |floats: &[f64]| floats.iter().map(|float| Value::from(*float)).collect();
    let texts = |texts: &[&str]| texts.iter().map(|text| Value::from(*text)).collect();
    vec![
        floats(&[4.51, 1.5, 2.5, 3.5, 1.5, 2.5, 3.5, 4.5]),
        floats(&[4.1, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0]),
        floats(&[0.1 + 0.2, 1e300, -0.0, f64::NAN, 2.5, 3.5, 4.5, 5.5]),
        (0..8).map(|int| Value::from(int * int)).collect(),
        [0, 1, 2, 3, 4, 5, 6, 9].map(|int| Value::from(1_000 + 7 * int)).to_vec(),
        texts(&["open", "closed", "open", "open", "closed", "open", "closed", "open"]),
        texts(&["a", "b", "c", "d", "e", "f", "g", "h"]),
        [true, false, true, true, false, true, true, false].map(Value::from).to_vec(),
        vec![
            1.into(),
            Value::Null,
            "text".into(),
            2.5.into(),
            1.into(),
            2.into(),
            3.into(),
            true.into(),
        ],
    ]
}

#[test]
fn a_flipped_bit_is_refused_or_says_something_else() {
    for column in columns() {
        let operation = |(key, value): (i64, &Value)| Operation {
            collection: Name::new("c").unwrap(),
            key: RecordKey::Int(key),
            version: Version::ZERO,
            base: Version::ZERO,
            change: Change::Insert(record! { "f" => value.clone() }),
        };
        let operations: Vec<_> = (0..).zip(&column).map(operation).collect();
        let mut bytes = Vec::new();
        batch::encode(&operations, &mut bytes);
        assert_eq!(batch::decode(&bytes).as_ref(), Ok(&operations));
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(decoded) = batch::decode(&flipped) else { continue };
            assert_ne!(decoded, operations, "bit {bit} of {column:?}");
            let mut again = Vec::new();
            batch::encode(&decoded, &mut again);
            assert_eq!(again, flipped, "bit {bit} of {column:?}");
        }
    }
}
