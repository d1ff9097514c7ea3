//! Through records, values, views and bytes: one result, and one error.

use std::collections::BTreeMap;

use blaze_codec::typed::{TypedErrorKind, from_bytes, from_record_ref, from_value, to_bytes};
use blaze_codec::view::{BatchRef, ChangeRef};
use blaze_codec::{DecodeError, Name, Record, RecordKey, Timestamp, Uuid, Value, binary, record};
use proptest::prelude::*;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::{batch_of, common, encoded, made, read};

/// Writes a value by serde's own calls alone: the fields backwards, and lengths that are
/// true, false or not told.
struct Plain<'a>(&'a Value);

fn told(count: usize) -> Option<usize> {
    [Some(count), None, Some(count + 20), Some(0)][count % 4]
}

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Float(float) => serializer.serialize_f64(*float),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::Uuid(uuid) => uuid.serialize(serializer),
            Value::Timestamp(timestamp) => timestamp.serialize(serializer),
            Value::Array(values) => {
                let mut array = serializer.serialize_seq(told(values.len()))?;
                values.iter().try_for_each(|value| array.serialize_element(&Plain(value)))?;
                array.end()
            }
            Value::Map(fields) => {
                let mut map = serializer.serialize_map(told(fields.len()))?;
                let backwards = fields.names().iter().zip(fields.values()).rev();
                for (name, value) in backwards {
                    map.serialize_entry(name, &Plain(value))?;
                }
                map.end()
            }
        }
    }
}

/// A struct whose fields aren't in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mixed {
    title: String,
    done: bool,
    rating: Option<f64>,
    big: u64,
    author: Uuid,
    at: Timestamp,
    parts: Vec<Part>,
    any: Value,
    by_number: BTreeMap<i32, bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Part {
    Rule,
    Text(String),
    Place(i32, u8),
    Image { width: u16, alt: Option<String> },
}

impl Part {
    fn expected(&self) -> Value {
        let of = |name, content| Value::Map([(Name::new(name).unwrap(), content)].into());
        match self {
            Self::Rule => "Rule".into(),
            Self::Text(text) => of("Text", text.as_str().into()),
            Self::Place(x, y) => of("Place", vec![Value::from(*x), Value::from(*y)].into()),
            Self::Image { width, alt } => {
                of("Image", record! { "width" => *width, "alt" => alt.clone() }.into())
            }
        }
    }
}

impl Mixed {
    /// What it becomes, by hand.
    fn expected(&self) -> Value {
        let by_number: Record = (self.by_number.iter())
            .map(|(number, truth)| (Name::new(&number.to_string()).unwrap(), (*truth).into()))
            .collect();
        let parts: Vec<_> = self.parts.iter().map(Part::expected).collect();
        let record = record! {
            "any" => self.any.clone(),
            "at" => self.at,
            "author" => self.author,
            "big" => i64::try_from(self.big).unwrap(),
            "by_number" => by_number,
            "done" => self.done,
            "parts" => parts,
            "rating" => self.rating,
            "title" => self.title.as_str(),
        };
        record.into()
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Rule),
        common::text().prop_map(Part::Text),
        any::<(i32, u8)>().prop_map(|(x, y)| Part::Place(x, y)),
        (any::<u16>(), prop::option::of(common::text()))
            .prop_map(|(width, alt)| Part::Image { width, alt }),
    ]
}

prop_compose! {
    fn mixed()(
        (title, done, rating) in (common::text(), any::<bool>(), any::<Option<i32>>()),
        big in 0..=i64::MAX.cast_unsigned(),
        (author, at) in (any::<u128>(), any::<i64>()),
        parts in prop::collection::vec(part(), 0..20),
        any in common::value(),
        by_number in prop::collection::btree_map(any::<i32>(), any::<bool>(), 0..20),
    ) -> Mixed {
        let (author, at) = (Uuid::from_u128(author), Timestamp(at));
        let rating = rating.map(f64::from);
        Mixed { title, done, rating, big, author, at, parts, any, by_number }
    }
}

/// Reads a value on all ways as types that mostly don't fit it.
fn read_as_many_types(value: &Value) {
    assert_eq!(read::<Value>(value).as_ref(), Ok(value));
    assert_eq!(read::<IgnoredAny>(value), Ok(IgnoredAny));
    assert_eq!(read::<Unread>(value), Ok(Unread));
    let _ = read::<Mixed>(value);
    let _ = read::<Record>(value);
    let _ = read::<RecordKey>(value);
    let _ = read::<Vec<Option<Value>>>(value);
    let _ = read::<BTreeMap<String, Value>>(value);
    let _ = read::<BTreeMap<String, Vec<Unread>>>(value);
    let _ = read::<Vec<Unread>>(value);
    let _ = read::<Vec<u8>>(value);
    let _ = read::<(Value, Value)>(value);
    let _ = read::<Part>(value);
    let _ = read::<Forgiving>(value);
    let _ = read::<Early>(value);
    let _ = read::<Option<String>>(value);
    let _ = read::<Uuid>(value);
    let _ = read::<f32>(value);
    let _ = read::<i8>(value);
    let _ = read::<char>(value);
}

/// Leaves its value unread.
#[derive(Debug, PartialEq)]
struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

/// Goes on after values that don't fit.
#[derive(Debug, PartialEq)]
struct Forgiving(Vec<Option<Vec<Vec<i64>>>>);

impl<'de> Deserialize<'de> for Forgiving {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Forgiving;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array or a map")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Forgiving, A::Error> {
                let mut made = Vec::new();
                while seq.size_hint() > Some(0) {
                    made.push(seq.next_element().unwrap_or_default());
                }
                Ok(Forgiving(made))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Forgiving, A::Error> {
                let mut made = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    // Every other value isn't asked for.
                    if key.len() % 2 == 1 {
                        made.push(map.next_value().ok());
                    }
                }
                Ok(Forgiving(made))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Reads the first name of a map only.
#[derive(Debug, PartialEq)]
struct Early(Option<String>);

impl<'de> Deserialize<'de> for Early {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Early;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Early, A::Error> {
                map.next_key().map(Early)
            }
        }
        deserializer.deserialize_map(First)
    }
}

proptest! {
    // Each case goes many ways.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_is_written_alike(value in common::value()) {
        prop_assert_eq!(made(&Plain(&value)), Ok(value.clone()));
        prop_assert_eq!(made(&value), Ok(value));
    }

    #[test]
    fn a_struct_is_what_its_table_says(mixed in mixed()) {
        prop_assert_eq!(made(&mixed), Ok(mixed.expected()));
        prop_assert_eq!(read::<Mixed>(&mixed.expected()), Ok(mixed));
    }

    #[test]
    fn any_value_is_read_alike(value in common::value()) {
        read_as_many_types(&value);
    }

    #[test]
    fn what_almost_fits_is_read_alike(mixed in mixed(), at in any::<prop::sample::Index>(), value in common::value()) {
        let Value::Map(mut fields) = mixed.expected() else { unreachable!("it is a map") };
        let name = fields.names()[at.index(fields.len())].clone();
        fields.insert(name, value);
        read_as_many_types(&fields.into());
    }

    #[test]
    fn bytes_that_are_no_value_are_told_first(
        value in common::value(),
        cut in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let bytes = encoded(&value);
        let mut flipped = bytes.clone();
        let bit = bit.index(8 * bytes.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
        let longer = [&bytes[..], &[0]].concat();
        for bytes in [&bytes[..cut.index(bytes.len())], &flipped, &longer] {
            let through_value = |bytes| {
                let (value, end) = binary::decode_value(bytes)?;
                let count = bytes.len() - end;
                if count > 0 { Err(DecodeError::Trailing { count }) } else { Ok(value) }
            };
            let expected = through_value(bytes).map_err(Into::into);
            let mixed = expected.clone().and_then(|value| from_value::<Mixed>(&value));
            prop_assert_eq!(from_bytes::<Mixed>(bytes), mixed);
            let forgiving = expected.clone().and_then(|value| from_value::<Forgiving>(&value));
            prop_assert_eq!(from_bytes::<Forgiving>(bytes), forgiving);
            let unread = expected.clone().map(|_| Unread);
            prop_assert_eq!(from_bytes::<Unread>(bytes), unread);
            prop_assert_eq!(from_bytes::<Value>(bytes), expected);
        }
    }
}

#[test]
fn what_is_no_value_is_not_hidden_by_a_type_that_goes_on() {
    let cases: [&[u8]; 4] = [
        // A text that isn't UTF-8, with values behind it and at the end.
        &[0x13, 0x41, 0xff, 0x00, 0x00],
        &[0x11, 0x11, 0x41, 0xff],
        // An array of two that has one.
        &[0x12, 0x12, 0x00, 0x00],
        // Names that don't ascend, and whose values aren't asked for.
        &[0x22, 2, b'b', b'b', 0, 2, b'a', b'a', 0],
    ];
    for bytes in cases {
        let expected = binary::decode_value(bytes).unwrap_err();
        assert_eq!(from_bytes::<Forgiving>(bytes), Err(expected.into()));
    }
}

#[test]
fn texts_and_bytes_are_borrowed() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Note<'a> {
        title: &'a str,
        #[serde(borrow)]
        tags: Vec<&'a str>,
        data: &'a [u8],
        #[serde(borrow)]
        by_name: BTreeMap<&'a str, Option<&'a str>>,
    }
    let by_name = record! { "a" => "x".repeat(100), "b" => Value::Null };
    let tags = vec![Value::from("one"), "two".into()];
    let fields =
        record! { "title" => "t", "tags" => tags, "data" => vec![1_u8; 20], "by_name" => by_name };
    let long = "x".repeat(100);
    let expected = Note {
        title: "t",
        tags: vec!["one", "two"],
        data: &[1; 20],
        by_name: [("a", Some(long.as_str())), ("b", None)].into(),
    };
    let bytes = encoded(&fields.clone().into());
    let note: Note<'_> = from_bytes(&bytes).unwrap();
    assert!(bytes.as_ptr_range().contains(&note.title.as_ptr()));
    assert_eq!(note, expected);
    for count in [1, 5] {
        let bytes = batch_of(&fields, count);
        let batch = BatchRef::new(&bytes).unwrap();
        for operation in &batch {
            let ChangeRef::Insert(record) = operation.change() else { panic!("it is an insert") };
            assert_eq!(from_record_ref::<Note<'_>>(record).as_ref(), Ok(&expected));
        }
    }
    // The text of a UUID is nowhere to be borrowed from.
    let uuid = Value::from(Uuid::nil());
    assert!(from_value::<&str>(&uuid).is_err());
    assert!(from_bytes::<&str>(&encoded(&uuid)).is_err());
}

#[test]
fn names_that_come_twice_are_an_error() {
    #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
    #[serde(untagged)]
    enum Key {
        Int(i8),
        Text(&'static str),
    }
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut fields = serializer.serialize_struct("Twice", 4)?;
            fields.serialize_field("b", &1)?;
            fields.serialize_field("a", &2)?;
            fields.serialize_field("c", &3)?;
            fields.serialize_field("a", &4)?;
            fields.end()
        }
    }
    let error = made(&vec![Twice]).unwrap_err();
    assert_eq!((error.path(), error.kind()), ("[0].a", &TypedErrorKind::Twice));
    // Keys of other types may become the same text.
    let error = made(&BTreeMap::from([(Key::Int(1), 1), (Key::Text("1"), 2)])).unwrap_err();
    assert_eq!((error.path(), error.kind()), ("1", &TypedErrorKind::Twice));
}

#[test]
fn what_fails_leaves_no_trace() {
    /// Leaves out what can't be written.
    struct Lenient;
    impl Serialize for Lenient {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            for name in ["c", "", "b", "a"] {
                let bad = BTreeMap::from([("x", Value::from(1)), ("", Value::Null)]);
                assert!(map.serialize_entry(name, &[(1, Some(&bad))]).is_err());
                let _ = map.serialize_entry(name, &name);
            }
            assert!(map.serialize_entry(&1.5, &1).is_err());
            map.serialize_entry("list", &LenientList)?;
            map.end()
        }
    }
    struct LenientList;
    impl Serialize for LenientList {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(Some(3))?;
            list.serialize_element(&1)?;
            assert!(list.serialize_element(&(1, u64::MAX)).is_err());
            list.serialize_element(&2)?;
            list.end()
        }
    }
    let list = vec![Value::from(1), 2.into()];
    let expected = record! { "a" => "a", "b" => "b", "c" => "c", "list" => list };
    assert_eq!(made(&Lenient), Ok(expected.into()));
}

#[test]
fn paths_of_writing_and_reading_are_alike() {
    #[derive(Serialize)]
    enum Big {
        Image { width: u64 },
        Place(u8, u64),
        Text(u64),
    }
    let cases = [
        (made(&[Big::Image { width: u64::MAX }]), "[0].Image.width"),
        (made(&[Big::Place(1, u64::MAX)]), "[0].Place[1]"),
        (made(&[Big::Text(u64::MAX)]), "[0].Text"),
    ];
    for (result, path) in cases {
        assert_eq!(result.unwrap_err().path(), path);
    }
    let Value::Map(mut fields) = Part::Image { width: 1, alt: None }.expected() else {
        unreachable!("it is a map")
    };
    fields.set("Image", record! { "width" => "wide" }).unwrap();
    let error = read::<Vec<Part>>(&vec![Value::from(fields)].into()).unwrap_err();
    assert_eq!(error.path(), "[0].Image.width");
}

#[test]
fn a_foreign_type_of_our_newtype_is_checked() {
    struct Forged(&'static [u8]);
    impl Serialize for Forged {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            struct Raw<'a>(&'a [u8]);
            impl Serialize for Raw<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    assert!(!serializer.is_human_readable());
                    serializer.serialize_bytes(self.0)
                }
            }
            serializer.serialize_newtype_struct("$blaze::Value", &Raw(self.0))
        }
    }
    assert_eq!(made(&Forged(b"\x42hi")), Ok("hi".into()));
    for bytes in [&b""[..], b"\x42h", b"\x42hi\x00", b"\x22\x01b\x00\x01a\x00"] {
        let error = made(&Forged(bytes)).unwrap_err();
        assert!(matches!(error.kind(), TypedErrorKind::Decode(_)), "{error}");
    }
    assert!(to_bytes(&Forged(b"\x0f"), &mut Vec::new()).is_err());
}
