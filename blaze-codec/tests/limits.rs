//! Values at the limits come back bit by bit, and what is one beyond is refused: alone, in
//! rows and in columns.

mod common;

use blaze_codec::limits::{
    BATCH_OPERATIONS_MAX, BATCH_VALUES_MAX, DEPTH_MAX, FIELDS_MAX, RECORD_BYTES_MAX, VALUES_MAX,
};
use blaze_codec::view::{BatchRef, ChangeRef};
use blaze_codec::{
    Change, DecodeError, Name, Operation, Record, RecordKey, Text, Timestamp, Uuid, Value,
    ValueError, Version, batch, binary, record,
};
use proptest::prelude::*;

/// As many as make a batch have columns.
const COLUMNS: usize = 4;

fn operation(fields: Vec<(Name, Value)>) -> Operation {
    Operation {
        collection: Name::new("c").unwrap(),
        key: RecordKey::Int(1),
        version: Version::ZERO,
        base: Version::ZERO,
        change: Change::Insert(fields.into_iter().collect()),
    }
}

fn encoded(operations: &[Operation]) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::encode(operations, &mut bytes);
    let layout = if operations.len() < COLUMNS { batch::ROWS } else { batch::COLUMNS };
    assert_eq!(bytes[0], layout);
    bytes
}

/// The field of the first record, copied and in place.
fn first_field(bytes: &[u8]) -> Result<Value, DecodeError> {
    let operations = batch::decode(bytes);
    let views = BatchRef::new(bytes);
    assert_eq!(operations.as_ref().err(), views.as_ref().err());
    let (operations, views) = (operations?, views?);
    let Change::Insert(record) = &operations[0].change else { panic!("it is an insert") };
    let ChangeRef::Insert(view) = views.iter().next().unwrap().change() else {
        panic!("it is an insert")
    };
    let value = record.get("f").unwrap();
    assert!(view.get("f").unwrap().to_value() == *value, "another value in place");
    Ok(value.clone())
}

/// The value alone, in rows, and in columns beside others.
fn back(value: &Value, others: &Value) -> [Result<Value, DecodeError>; 3] {
    let field = |value: &Value| operation(vec![(Name::new("f").unwrap(), value.clone())]);
    let mut alone = Vec::new();
    binary::encode_value(value, &mut alone);
    let alone = binary::decode_value(&alone).map(|(value, end)| {
        assert_eq!(end, alone.len());
        value
    });
    let mut many = vec![field(value)];
    many.resize(COLUMNS, field(others));
    [alone, first_field(&encoded(&[field(value)])), first_field(&encoded(&many))]
}

#[track_caller]
fn comes_back(value: &Value, others: &Value) {
    assert_eq!(value.check(), Ok(()));
    for back in back(value, others) {
        // Not by `assert_eq`, which would print 16 MiB.
        assert!(back.as_ref() == Ok(value), "another value, or {:?}", back.err());
    }
}

/// All ways name the same limit as the check does.
#[track_caller]
fn is_beyond(value: &Value, others: &Value, limit: &str) {
    let Err(ValueError::Limit { what, .. }) = value.check() else { panic!("the check passes") };
    assert_eq!(what, limit);
    for back in back(value, others) {
        let Err(DecodeError::Limit { what, found, max }) = back else { panic!("it decodes") };
        assert_eq!(what, limit);
        assert!(found > max, "{found} {max}");
    }
}

/// Floats at the edges of all their kinds, and any others.
fn float() -> impl Strategy<Value = f64> {
    let edges = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::MIN_POSITIVE / 2.0,
        f64::from_bits(1),
        f64::MAX,
        f64::MIN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::EPSILON,
        0.1 + 0.2,
        1e15,
        1e15 + 1.0,
        9_007_199_254_740_993.0,
    ];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        any::<u64>().prop_map(f64::from_bits),
        // Not a number, with any payload, quiet or signalling, of either sign.
        (1_u64..1 << 52, any::<bool>()).prop_map(|(payload, negative)| {
            f64::from_bits(payload | 0x7ff << 52 | u64::from(negative) << 63)
        }),
    ]
}

fn int() -> impl Strategy<Value = i64> {
    let edges = [i64::MIN, i64::MIN + 1, -17, -16, -1, 0, 1, 111, 112, i64::MAX - 1, i64::MAX];
    prop_oneof![prop::sample::select(edges.to_vec()), any::<i64>()]
}

proptest! {
    #[test]
    fn floats_keep_each_bit(float in float(), other in float()) {
        comes_back(&float.into(), &other.into());
        comes_back(&float.into(), &float.into());
        comes_back(&vec![Value::from(float), other.into()].into(), &Value::Null);
    }

    #[test]
    fn ints_keep_each_bit(int in int(), other in int()) {
        comes_back(&int.into(), &other.into());
        comes_back(&Timestamp(int).into(), &Timestamp(other).into());
        comes_back(&int.into(), &Value::Null);
        comes_back(&int.into(), &"another kind".into());
    }

    #[test]
    fn any_value_comes_back(value in common::value(), others in common::value()) {
        comes_back(&value, &others);
    }
}

#[test]
fn what_is_empty_comes_back() {
    let empty = [
        "".into(),
        Vec::<u8>::new().into(),
        Value::Array(vec![]),
        Record::new().into(),
        Uuid::nil().into(),
        Value::Null,
    ];
    for value in &empty {
        for other in &empty {
            comes_back(value, other);
        }
    }
}

/// The length of a text or of bytes that takes so many bytes with its tag and length.
fn length(bytes: usize) -> usize {
    // Lengths up to 2 MiB take 3 bytes, and greater ones 4.
    bytes - 5
}

#[test]
fn the_longest_text_comes_back() {
    let text = |length| Value::from(Text::from("é".repeat(length / 2) + &"x".repeat(length % 2)));
    comes_back(&text(length(RECORD_BYTES_MAX)), &"short".into());
    is_beyond(&text(length(RECORD_BYTES_MAX + 1)), &"short".into(), "encoded record bytes");
}

#[test]
fn the_longest_bytes_come_back() {
    let bytes = |length| Value::from(vec![0xff_u8; length]);
    comes_back(&bytes(length(RECORD_BYTES_MAX)), &Value::Null);
    is_beyond(&bytes(length(RECORD_BYTES_MAX + 1)), &Value::Null, "encoded record bytes");
}

#[test]
fn the_longest_content_of_an_array_comes_back() {
    // The array's tag and a null take a byte each.
    let array = |length| Value::from(vec![Value::from("x".repeat(length)), Value::Null]);
    comes_back(&array(length(RECORD_BYTES_MAX - 2)), &Value::Null);
    is_beyond(&array(length(RECORD_BYTES_MAX - 1)), &Value::Null, "encoded record bytes");
}

#[test]
fn the_longest_record_comes_back() {
    let half = RECORD_BYTES_MAX / 2;
    for beyond in [0, 1] {
        let record = record! {
            "f" => "x".repeat(length(half)),
            "g" => vec![7_u8; length(half + beyond)],
        };
        assert_eq!(record.check().is_err(), beyond == 1);
        for count in [1, COLUMNS] {
            let fields: Vec<_> = record.clone().into_iter().collect();
            let mut operations = vec![operation(fields)];
            let small = record! { "f" => "x", "g" => vec![7_u8] };
            operations.resize(count, operation(small.into_iter().collect()));
            let decoded = batch::decode(&encoded(&operations));
            if beyond == 0 {
                assert!(decoded == Ok(operations), "another record");
                continue;
            }
            let Err(DecodeError::Limit { what, found, max }) = decoded else { panic!("decoded") };
            assert_eq!((what, max), ("encoded record bytes", RECORD_BYTES_MAX as u64));
            assert!(found > max);
        }
    }
}

fn nested(depth: usize, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, level| match level % 2 {
        0 => Value::Array(vec![inner]),
        _ => record! { "in" => inner }.into(),
    })
}

#[test]
fn the_deepest_value_comes_back() {
    for innermost in [Value::Null, "x".into(), 1.5.into()] {
        comes_back(&nested(DEPTH_MAX, innermost.clone()), &innermost);
        is_beyond(&nested(DEPTH_MAX + 1, innermost.clone()), &innermost, "nesting depth");
    }
    // An empty one is as deep as a full one.
    for empty in [Value::Array(vec![]), Record::new().into()] {
        comes_back(&nested(DEPTH_MAX - 1, empty.clone()), &Value::Null);
        is_beyond(&nested(DEPTH_MAX, empty), &Value::Null, "nesting depth");
    }
}

#[test]
fn the_widest_map_and_record_come_back() {
    let fields = |count: usize| -> Record {
        let names = (0..count).map(|number| Name::new(&number.to_string()).unwrap());
        names.map(|name| (name, Value::Null)).collect()
    };
    comes_back(&fields(FIELDS_MAX).into(), &Value::Null);
    is_beyond(&fields(FIELDS_MAX + 1).into(), &Value::Null, "number of fields");
    for (count, error) in [(FIELDS_MAX, None), (FIELDS_MAX + 1, Some("number of fields"))] {
        assert_eq!(fields(count).check().is_err(), error.is_some());
        for operations in [1, COLUMNS] {
            let operations = vec![operation(fields(count).into_iter().collect()); operations];
            match (batch::decode(&encoded(&operations)), error) {
                (Ok(decoded), None) => assert!(decoded == operations, "another record"),
                (Err(DecodeError::Limit { what, .. }), Some(limit)) => assert_eq!(what, limit),
                (other, _) => panic!("{count} fields: {:?}", other.err()),
            }
        }
    }
}

/// The limit that a batch breaks, if it does, by both ways to read it.
fn limit_of(operations: &[Operation]) -> Option<(&'static str, u64, u64)> {
    let mut bytes = Vec::new();
    batch::encode(operations, &mut bytes);
    let (decoded, viewed) = (batch::decode(&bytes), BatchRef::new(&bytes));
    assert_eq!(decoded.as_ref().err(), viewed.as_ref().err());
    match decoded {
        // Not by `assert_eq`, which would print all of them.
        Ok(decoded) => assert!(decoded == operations),
        Err(DecodeError::Limit { what, found, max }) => return Some((what, found, max)),
        Err(error) => panic!("{error}"),
    }
    None
}

#[test]
fn values_of_a_batch_are_limited_whatever_they_take() {
    const FIELDS: usize = 1_024;
    let names = (0..FIELDS).map(|number| Name::new(&format!("{number:04}")).unwrap());
    let nulls = operation(names.map(|name| (name, Value::Null)).collect());
    let mut columns = vec![nulls; BATCH_VALUES_MAX / FIELDS];
    assert_eq!(limit_of(&columns), None);
    columns.push(operation(vec![]));
    columns.push(operation(vec![(Name::new("f").unwrap(), Value::Null)]));
    let (found, max) = (BATCH_VALUES_MAX as u64 + 1, BATCH_VALUES_MAX as u64);
    assert_eq!(limit_of(&columns), Some(("number of values in a batch", found, max)));

    // What lies within arrays counts, too: in rows, and in columns.
    let field = |name: &str| {
        let nulls = vec![Value::Null; VALUES_MAX - 1];
        operation(vec![(Name::new(name).unwrap(), Value::Array(nulls))])
    };
    let rows: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(field).to_vec();
    for whole in [rows, vec![field("a"); 8]] {
        assert_eq!(whole.iter().map(Operation::value_count).sum::<usize>(), BATCH_VALUES_MAX);
        assert_eq!(limit_of(&whole), None);
        let more =
            [&whole[..], &[operation(vec![(Name::new("f").unwrap(), Value::Null)])]].concat();
        assert_eq!(limit_of(&more), Some(("number of values in a batch", found, max)));
    }
}

#[test]
fn operations_of_a_batch_are_limited() {
    let delete = Operation { change: Change::Delete, ..operation(vec![]) };
    let mut all = vec![delete.clone(); BATCH_OPERATIONS_MAX];
    assert_eq!(limit_of(&all), None);
    all.push(delete);
    let (found, max) = (BATCH_OPERATIONS_MAX as u64 + 1, BATCH_OPERATIONS_MAX as u64);
    assert_eq!(limit_of(&all), Some(("number of operations in a batch", found, max)));
}
