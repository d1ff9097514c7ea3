//! What is read: both versions, every tag, every form, alone and in sequences.

use blaze_codec::blazedb::decode_record;
use blaze_codec::{Name, Record, Timestamp, Uuid, Value, record};
use proptest::prelude::*;

use crate::common;
use crate::written::{checked, crc32, decode, fields, long, plain, sequence};

const ID: &[u8; 16] = b"0123456789abcdef";

fn bug() -> Record {
    record! {
        "id" => Uuid::from_bytes(*ID), "title" => "Bug in login", "priority" => 5,
        "completed" => false,
    }
}

/// The value of a record's only field, which has this tag and body.
fn value(body: &[u8]) -> Value {
    let record = decode_record(&plain(1, &[b"\x2e", body].concat())).unwrap();
    record.get("value").unwrap().clone()
}

#[test]
fn a_record_is_read_in_its_short_and_in_its_long_forms() {
    let short =
        [b"\x01\x05", &ID[..], b"\x06\x2cBug in login\x09\x12\x05\xff\0\x09completed\x04\0"];
    let long = [
        &b"\xff\0\x02id\x05"[..],
        ID,
        b"\xff\0\x05title\x01\0\0\0\x0cBug in login\xff\0\x08priority\x02\0\0\0\0\0\0\0\x05",
        b"\xff\0\x09completed\x04\0",
    ];
    for body in [short.concat(), long.concat()] {
        assert_eq!(decode_record(&plain(4, &body)), Ok(bug()));
        assert_eq!(decode_record(&checked(4, &body)), Ok(bug()));
    }
    assert_eq!(decode_record(&plain(0, b"")), Ok(Record::new()));
}

#[test]
fn the_checksum_is_the_one_that_others_compute() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the catalogue's check value");
    // As zlib computes it.
    assert_eq!(decode_record(b"BLAZE\x02\0\0\x94\xd8\x77\x36"), Ok(Record::new()));
}

#[test]
fn every_tag_has_its_value() {
    let float = |float: f64| [&b"\x03"[..], &float.to_be_bytes()].concat();
    let text = "a text of 16 b..";
    let short = [b"\x2f", &text.as_bytes()[..15]].concat();
    let floats = vec![Value::from(0.1_f32), Value::from(-1.0)].into();
    let cases: [(&[u8], Value); 22] = [
        (b"\x01\0\0\0\x03\xc3\xbcx", "üx".into()),
        (b"\x01\0\0\0\0", "".into()),
        (b"\x11", "".into()),
        (b"\x20", "".into()),
        (b"\x22\xc3\xbc", "ü".into()),
        (&short, text[..15].into()),
        (b"\x02\xff\xff\xff\xff\xff\xff\xff\xfe", Value::Int(-2)),
        (b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff", Value::Int(i64::MAX)),
        (b"\x12\xff", Value::Int(255)),
        (&float(-0.0), Value::Float(-0.0)),
        (b"\x03\x7f\xf0\0\0\0\0\0\x01", Value::Float(f64::from_bits(0x7ff0_0000_0000_0001))),
        (b"\x04\0", Value::Bool(false)),
        (b"\x04\x01", Value::Bool(true)),
        (b"\x050123456789abcdef", Uuid::from_bytes(*ID).into()),
        (b"\x07\0\0\0\x02\0\xff", vec![0_u8, 255].into()),
        (b"\x08\0\x02\x0b\x12\x07", vec![Value::Null, Value::Int(7)].into()),
        (b"\x18", Value::Array(vec![])),
        (b"\x09\0\x02\0\x01b\x0b\0\x01a\x11", map(record! { "a" => "", "b" => Value::Null })),
        (b"\x19", map(Record::new())),
        (b"\x0a\0\0\0\x02\x3d\xcc\xcc\xcd\xbf\x80\0\0", floats),
        (b"\x0a\0\0\0\0", Value::Array(vec![])),
        (b"\x0b", Value::Null),
    ];
    for (body, expected) in cases {
        assert_eq!(value(body), expected, "{body:02x?}");
    }
}

fn map(record: Record) -> Value {
    Value::Map(record.into_iter().collect())
}

#[test]
fn a_date_is_the_nearest_millisecond() {
    for (seconds, ms) in [
        (0.0, 978_307_200_000),
        (-978_307_200.0, 0),
        (-978_307_200.001_5, -2),
        (0.0004, 978_307_200_000),
        (0.0006, 978_307_200_001),
        (-0.0006, 978_307_199_999),
        (773_331_200.123, 1_751_638_400_123),
        (-63_114_076_800.0, -62_135_769_600_000),
        (9.2e15, 9_200_000_978_307_200_000),
    ] {
        let body = [&b"\x06"[..], &f64::to_be_bytes(seconds)].concat();
        assert_eq!(value(&body), Timestamp(ms).into(), "{seconds}");
    }
}

#[test]
fn every_key_of_the_table_is_a_name() {
    let body: Vec<_> = (0x01..=0x3a).flat_map(|key| [key, 0x12, key]).collect();
    let record = decode_record(&plain(0x3a, &body)).unwrap();
    let rows = [
        (0x01, "id createdAt updatedAt userId teamId title description status"),
        (0x09, "priority assignedTo tags completedAt dueDate startDate category name"),
        (0x11, "email password username firstName lastName age phone address"),
        (0x19, "city state zip country organizationId projectId taskId bugId"),
        (0x21, "issueId commentId attachmentId versionId parentId childIds metadata config"),
        (0x29, "settings preferences type kind label value count total"),
        (0x31, "sum average min max isActive isDeleted isPublic isPrivate"),
        (0x39, "isArchived isFavorite"),
    ];
    let keys = rows.into_iter().flat_map(|(first, names)| (first..).zip(names.split(' ')));
    let expected = keys.map(|(key, name)| (Name::new(name).unwrap(), Value::Int(key)));
    assert_eq!(record, expected.collect());
}

#[test]
fn fields_come_in_any_order() {
    let sorted = decode_record(&plain(2, b"\xff\0\x01a\x12\x01\xff\0\x01b\x12\x02"));
    assert_eq!(sorted, decode_record(&plain(2, b"\xff\0\x01b\x12\x02\xff\0\x01a\x12\x01")));
    assert_eq!(sorted, Ok(record! { "a" => 1, "b" => 2 }));
}

#[test]
fn a_sequence_gives_its_records_and_their_places() {
    let records = [plain(1, b"\x10\x21a"), checked(0, b""), checked(1, b"\x10\x21b")];
    let bytes = sequence(&records);
    let expected =
        vec![(8, record! { "name" => "a" }), (23, Record::new()), (39, record! { "name" => "b" })];
    for piece in 1..=bytes.len() {
        assert_eq!(decode(&bytes, piece), Ok(expected.clone()));
    }
    assert_eq!(decode(&sequence(&[]), 1), Ok(vec![]));
    assert_eq!(decode(&records[0], 1), Ok(vec![(0, record! { "name" => "a" })]));
    assert_eq!(decode(&plain(0, b""), 3), Ok(vec![(0, Record::new())]));
}

/// Moments as far from now as doubles of seconds tell milliseconds apart.
fn with_moments_in_range(record: Record) -> Record {
    record.into_iter().map(|(name, value)| (name, in_range(value))).collect()
}

fn in_range(value: Value) -> Value {
    match value {
        Value::Timestamp(moment) => Timestamp(moment.0 >> 16).into(),
        Value::Array(values) => Value::Array(values.into_iter().map(in_range).collect()),
        Value::Map(fields) => {
            Value::Map(fields.into_iter().map(|(name, value)| (name, in_range(value))).collect())
        }
        value => value,
    }
}

proptest! {
    #[test]
    fn any_records_that_are_written_are_read(
        records in prop::collection::vec(common::record().prop_map(with_moments_in_range), 0..4),
        piece in 1_usize..200,
    ) {
        let write = |(index, record): (usize, &Record)| match index % 2 {
            0 => plain(fields(record), &long(record)),
            _ => checked(fields(record), &long(record)),
        };
        let written: Vec<_> = records.iter().enumerate().map(write).collect();
        let found = decode(&sequence(&written), piece);
        let found = found.map(|found| found.into_iter().map(|(_, record)| record).collect());
        prop_assert_eq!(found, Ok(records));
    }
}
