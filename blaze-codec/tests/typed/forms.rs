//! What serde's own types, and those of others, become.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use blaze_codec::typed::{TypedErrorKind, from_bytes, to_bytes};
use blaze_codec::{Record, Timestamp, Uuid, Value, record};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{comes_back, made, read};

fn becomes<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &T, value: impl Into<Value>) {
    assert_eq!(comes_back(data), value.into());
}

fn values<T: Into<Value>, const N: usize>(values: [T; N]) -> Value {
    Value::Array(values.map(Into::into).to_vec())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: Option<i32>,
}

const POINT: Point = Point { x: 1, y: None };

fn point() -> Record {
    record! { "x" => 1, "y" => Value::Null }
}

#[test]
fn numbers() {
    becomes(&i8::MIN, -128);
    becomes(&u32::MAX, u32::MAX);
    becomes(&i64::MIN, i64::MIN);
    becomes(&i64::MAX.cast_unsigned(), i64::MAX);
    becomes(&i128::from(i64::MIN), i64::MIN);
    becomes(&u128::from(7_u8), 7);
    becomes(&1.5_f32, 1.5);
    for bits in [0, 1 << 63, 1, 0x7ff0_0000_0000_0000, 0xfff8_0000_0000_0001, 0x7ff0_0000_0000_0001]
    {
        let value = made(&f64::from_bits(bits)).unwrap();
        assert_eq!(value, Value::Float(f64::from_bits(bits)));
        assert_eq!(read::<F64>(&value), Ok(F64(bits)));
    }
    let beyond = [
        made(&u64::MAX),
        made(&(i64::MAX.cast_unsigned() + 1)),
        made(&i128::MIN),
        made(&(i128::from(i64::MIN) - 1)),
        made(&u128::MAX),
    ];
    for result in beyond {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), TypedErrorKind::Integer { .. }), "{error}");
    }
    for error in [read::<u8>(&256.into()).err(), read::<u64>(&(-1).into()).err()] {
        assert!(matches!(error.unwrap().kind(), TypedErrorKind::Message(_)));
    }
}

/// A float by its bits, for a NaN equals nothing.
#[derive(Debug, PartialEq)]
struct F64(u64);

impl<'de> Deserialize<'de> for F64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(|float| Self(float.to_bits()))
    }
}

#[test]
fn a_large_u64_has_other_forms() {
    mod as_text {
        use super::{Deserialize, Deserializer, Serializer};

        #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
        pub(super) fn serialize<S: Serializer>(
            int: &u64,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_str(int)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<u64, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Hash {
        #[serde(with = "as_text")]
        text: u64,
        bytes: [u8; 8],
    }
    let hash = Hash { text: u64::MAX, bytes: u64::MAX.to_le_bytes() };
    becomes(&hash, record! { "text" => u64::MAX.to_string(), "bytes" => values([255; 8]) });
}

#[test]
fn texts_and_nothing() {
    becomes(&'é', "é");
    becomes(&String::new(), "");
    becomes(&Box::<str>::from("x"), "x");
    becomes(&(), Value::Null);
    becomes(&None::<u8>, Value::Null);
    becomes(&Some(7), 7);
    becomes(&Some(vec![None, Some(1)]), vec![Value::Null, 1.into()]);
    let nested = made(&Some(None::<u8>)).unwrap_err();
    assert_eq!(nested.kind(), &TypedErrorKind::NestedNone);
    assert_eq!(made(&Some(())).unwrap_err().kind(), &TypedErrorKind::NestedNone);
}

#[test]
fn structs_of_all_kinds() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(Point);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tuple(u8, String);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Transparent {
        inner: u8,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Partial {
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        list: Vec<u8>,
        #[serde(rename = "$name")]
        name: u8,
        #[serde(skip)]
        skipped: u8,
    }
    becomes(&Unit, Value::Null);
    becomes(&Newtype(POINT), point());
    becomes(&Tuple(1, "a".into()), vec![Value::from(1), "a".into()]);
    becomes(&Transparent { inner: 3 }, 3);
    becomes(&Partial { list: vec![], name: 1, skipped: 0 }, record! { "$name" => 1 });
    becomes(&POINT, point());
    becomes(&(1, 2.5, false), vec![Value::from(1), 2.5.into(), false.into()]);
    becomes(&[POINT, POINT], values([point(), point()]));
    assert!(read::<Tuple>(&values([1, 2, 3])).is_err());
    assert!(read::<Tuple>(&values([1])).is_err());
    assert!(read::<Unit>(&1.into()).is_err());
}

/// The same enum in serde's four representations.
macro_rules! shapes {
    ($($(#[$how:meta])? $name:ident;)*) => {
        $(
            #[derive(Debug, PartialEq, Serialize, Deserialize)]
            $(#[$how])?
            enum $name {
                Empty,
                Number(Point),
                Line { from: Point, id: Uuid, at: Timestamp },
            }
        )*
    };
}

shapes! {
    External;
    #[serde(tag = "t")] Internal;
    #[serde(tag = "t", content = "c")] Adjacent;
    #[serde(untagged)] Untagged;
}

#[test]
fn enums_in_all_representations() {
    let (id, at) = (Uuid::from_u128(5), Timestamp(-7));
    let line = || record! { "from" => point(), "id" => id, "at" => at };
    let tagged = |tag: &str, mut record: Record| {
        record.set("t", tag).unwrap();
        record
    };

    becomes(&External::Empty, "Empty");
    becomes(&External::Number(POINT), record! { "Number" => point() });
    becomes(&External::Line { from: POINT, id, at }, record! { "Line" => line() });

    becomes(&Internal::Empty, record! { "t" => "Empty" });
    becomes(&Internal::Number(POINT), tagged("Number", point()));
    becomes(&Internal::Line { from: POINT, id, at }, tagged("Line", line()));

    becomes(&Adjacent::Empty, record! { "t" => "Empty" });
    becomes(&Adjacent::Number(POINT), record! { "t" => "Number", "c" => point() });
    becomes(&Adjacent::Line { from: POINT, id, at }, record! { "t" => "Line", "c" => line() });

    becomes(&Untagged::Empty, Value::Null);
    becomes(&Untagged::Number(POINT), point());
    becomes(&Untagged::Line { from: POINT, id, at }, line());

    let unknown = read::<External>(&"Other".into()).unwrap_err();
    assert!(unknown.to_string().contains("unknown variant `Other`"), "{unknown}");
    for wrong in [record! {}, record! { "Empty" => 1 }, record! { "Empty" => 1, "Number" => 2 }] {
        assert!(read::<External>(&wrong.into()).is_err());
    }
    assert!(read::<External>(&"Number".into()).is_err());
    assert!(read::<External>(&7.into()).is_err());
}

#[test]
fn tuple_variants_have_their_length() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Box(u8, u8),
        Rest(),
    }
    becomes(&Shape::Box(1, 2), record! { "Box" => values([1, 2]) });
    becomes(&Shape::Rest(), record! { "Rest" => Value::Array(vec![]) });
    let blob = |bytes: &[u8]| Value::from(record! { "Box" => bytes });
    assert_eq!(read(&blob(&[1, 2])), Ok(Shape::Box(1, 2)));
    assert!(read::<Shape>(&blob(&[1, 2, 3])).is_err());
    assert!(read::<Shape>(&record! { "Box" => values([1, 2, 3]) }.into()).is_err());
}

#[test]
fn maps_by_keys_of_many_types() {
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Id(u16);
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    enum Day {
        Monday,
        Tuesday,
    }
    let uuid = Uuid::from_u128(9);
    becomes(&BTreeMap::from([(-3, 1), (20, 2)]), record! { "-3" => 1, "20" => 2 });
    becomes(&BTreeMap::from([(true, 1)]), record! { "true" => 1 });
    becomes(&BTreeMap::from([('x', 1)]), record! { "x" => 1 });
    becomes(&BTreeMap::from([(uuid, 1)]), record! { &uuid.to_string() => 1 });
    becomes(&BTreeMap::from([(Id(7), 1)]), record! { "7" => 1 });
    becomes(&BTreeMap::from([(Some("k".to_owned()), 1)]), record! { "k" => 1 });
    becomes(
        &BTreeMap::from([(Day::Tuesday, 1), (Day::Monday, 2)]),
        record! { "Tuesday" => 1, "Monday" => 2 },
    );
    becomes(&BTreeMap::from([(i128::from(i64::MIN), 1)]), record! { &i64::MIN.to_string() => 1 });

    let long = "x".repeat(256);
    let name = made(&BTreeMap::from([(&long, 1)])).unwrap_err();
    assert_eq!(name.path(), long);
    assert!(matches!(name.kind(), TypedErrorKind::Name(_)));
    let keys = [
        (made(&BTreeMap::from([(None::<u8>, 1)])), "null"),
        (made(&BTreeMap::from([(Timestamp(1), 1)])), "timestamp"),
        (made(&BTreeMap::from([([1], 1)])), "array"),
        (made(&BTreeMap::from([(BTreeMap::from([(1, 2)]), 1)])), "map"),
    ];
    for (result, kind) in keys {
        assert_eq!(result.unwrap_err().kind(), &TypedErrorKind::Key { found: kind });
    }
    assert!(read::<BTreeMap<u8, u8>>(&record! { "x" => 1 }.into()).is_err());
}

#[test]
fn collections_of_the_standard_library() {
    becomes(&VecDeque::from([1, 2]), values([1, 2]));
    becomes(&BTreeSet::from(["a".to_owned()]), values(["a"]));
    becomes(&Ok::<u8, String>(1), record! { "Ok" => 1 });
    becomes(&(1..3), record! { "start" => 1, "end" => 3 });
    becomes(&Duration::new(1, 5), record! { "secs" => 1, "nanos" => 5 });
    becomes(
        &(SystemTime::UNIX_EPOCH + Duration::from_secs(9)),
        record! { "secs_since_epoch" => 9, "nanos_since_epoch" => 0 },
    );
    becomes(&"127.0.0.1:80".parse::<SocketAddr>().unwrap(), "127.0.0.1:80");
    becomes(&vec![0_u8, 255], values([0, 255]));
}

/// Bytes as `serialize_bytes` writes them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[test]
fn bytes() {
    for length in [0, 15, 16, 300] {
        becomes(&Blob(vec![7; length]), vec![7_u8; length]);
    }
    assert_eq!(read(&vec![1_u8, 2].into()), Ok(vec![1_u8, 2]));
    assert_eq!(read(&vec![1_u8, 2].into()), Ok((1_u8, 2_u8)));
    assert_eq!(read(&vec![1_u8, 2].into()), Ok([1_u8, 2]));
    assert!(read::<Blob>(&"text".into()).is_err());
    let key = made(&BTreeMap::from([(Blob(vec![1]), 1)])).unwrap_err();
    assert_eq!(key.kind(), &TypedErrorKind::Key { found: "bytes" });
}

#[test]
fn uuids_in_all_their_forms() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ids {
        plain: Uuid,
        maybe: Option<Uuid>,
        #[serde(with = "uuid::serde::compact")]
        compact: Uuid,
        #[serde(with = "uuid::serde::simple")]
        simple: Uuid,
        #[serde(with = "uuid::serde::urn")]
        urn: Uuid,
    }
    let id = Uuid::from_u128(3);
    let ids = Ids { plain: id, maybe: Some(id), compact: id, simple: id, urn: id };
    let Value::Map(record) = comes_back(&ids) else { panic!("a struct is a map") };
    assert_eq!(record.get("plain"), Some(&Value::Uuid(id)));
    assert_eq!(record.get("maybe"), Some(&Value::Uuid(id)));
    assert_eq!(record.get("urn"), Some(&Value::from(id.urn().to_string())));
    // A text that looks like one stays a text.
    becomes(&id.to_string(), id.to_string());
}

/// What dates do: a text for people, or numbers.
#[derive(Debug, PartialEq)]
struct Date(u16, u8);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&format_args!("{}-{:02}", self.0, self.1));
        }
        (self.0, self.1).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <(u16, u8)>::deserialize(deserializer).map(|(year, month)| Self(year, month));
        }
        let text = String::deserialize(deserializer)?;
        let parts = text
            .split_once('-')
            .and_then(|(year, month)| Some(Self(year.parse().ok()?, month.parse().ok()?)));
        parts.ok_or_else(|| serde::de::Error::custom("not a date"))
    }
}

#[test]
fn types_with_two_forms_have_the_one_for_people() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Event {
        at: Date,
        others: Vec<Option<Date>>,
        by_name: BTreeMap<String, Date>,
        variant: Result<Date, Date>,
    }
    becomes(&Date(2024, 2), "2024-02");
    let event = Event {
        at: Date(2024, 2),
        others: vec![None, Some(Date(1999, 12))],
        by_name: [("x".to_owned(), Date(1, 1))].into(),
        variant: Err(Date(2, 2)),
    };
    becomes(
        &event,
        record! {
            "at" => "2024-02",
            "others" => vec![Value::Null, "1999-12".into()],
            "by_name" => record! { "x" => "1-01" },
            "variant" => record! { "Err" => "2-02" },
        },
    );
}

#[test]
fn a_value_in_bytes_may_stand_alone() {
    let mut bytes = vec![1, 2];
    to_bytes(&7, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 0x97]);
    assert_eq!(from_bytes(&bytes[2..]), Ok(7));
}
