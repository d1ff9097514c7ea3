//! Values from other formats.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};
use uuid::Uuid;

use super::{FLOAT, HEX, RECORD, RESERVED, TIMESTAMP, UUID, VALUE};
use crate::binary::{decode_all, decode_fields};
use crate::limits::{self, DEPTH_MAX, what};
use crate::{DecodeError, Name, Record, RecordKey, Timestamp, Value};

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Within(VALUE_LEVEL).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RECORD, RecordVisitor)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Timestamp(timestamp) => Ok(timestamp),
            other => Err(expected("a timestamp", &other)),
        }
    }
}

impl<'de> Deserialize<'de> for RecordKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = match Value::deserialize(deserializer)? {
            Value::Uuid(uuid) => Self::Uuid(uuid),
            Value::Int(int) => Self::Int(int),
            Value::Text(text) => Self::Text(text.into()),
            Value::Bytes(bytes) => Self::Bytes(bytes.into()),
            other => return Err(expected("a uuid, int, text or bytes", &other)),
        };
        key.check().map_err(Error::custom)?;
        Ok(key)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

fn expected<E: Error>(what: &str, found: &Value) -> E {
    E::custom(format_args!("expected {what}, found {}", found.kind()))
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name of 1 to 255 bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        Name::new(text).map_err(E::custom)
    }
}

/// Reads a value within as many arrays and maps, a record included.
struct Within(usize);

const RECORD_LEVEL: usize = 0;
const VALUE_LEVEL: usize = 1;

impl<'de> DeserializeSeed<'de> for Within {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE, ValueVisitor { level: self.0 })
    }
}

struct ValueVisitor {
    level: usize,
}

impl ValueVisitor {
    /// What an array or map here holds.
    fn inside<E: Error>(&self) -> Result<Within, E> {
        limits::check(what::DEPTH, self.level, DEPTH_MAX).map_err(E::custom)?;
        Ok(Within(self.level + 1))
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        if inner.is_human_readable() {
            return inner.deserialize_any(self);
        }
        inner.deserialize_bytes(BinaryVisitor(decode_all))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Value, E> {
        i64::try_from(int).map(Value::Int).map_err(|_| beyond_64_bits(int))
    }

    fn visit_i128<E: Error>(self, int: i128) -> Result<Value, E> {
        i64::try_from(int).map(Value::Int).map_err(|_| beyond_64_bits(int))
    }

    fn visit_u128<E: Error>(self, int: u128) -> Result<Value, E> {
        i64::try_from(int).map(Value::Int).map_err(|_| beyond_64_bits(int))
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::from(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self.inside()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let name = match key.strip_prefix(RESERVED) {
                None => &key,
                Some(name) if name.starts_with(RESERVED) => name,
                Some(_) => {
                    let value = read_reserved(&key, &mut map)?;
                    if !fields.is_empty() || map.next_key::<String>()?.is_some() {
                        return Err(A::Error::custom(format_args!(
                            "the reserved key {key:?} must be the only one of its object; {ESCAPE}"
                        )));
                    }
                    return Ok(value);
                }
            };
            let field = Name::new(name).map_err(A::Error::custom)?;
            let value = map.next_value_seed(self.inside()?)?;
            if fields.insert(field, value).is_some() {
                return Err(A::Error::custom(format_args!("field {name:?} is given twice")));
            }
        }
        // An empty map is one, too.
        self.inside()?;
        Ok(Value::from(fields))
    }
}

/// What to do with a name that looks like a reserved key.
const ESCAPE: &str = "write a name that begins with $ with another $ in front";

fn beyond_64_bits<E: Error>(int: impl fmt::Display) -> E {
    E::custom(format_args!("integer {int} doesn't fit into 64 signed bits; write it as a text"))
}

fn read_reserved<'de, A: MapAccess<'de>>(key: &str, map: &mut A) -> Result<Value, A::Error> {
    let invalid = |text: &str, expected| A::Error::invalid_value(Unexpected::Str(text), expected);
    match key {
        FLOAT => {
            let text: String = map.next_value()?;
            let float = read_float(&text);
            let expected = &"inf, -inf, NaN, or nan: and 16 hexadecimal digits";
            float.map(Value::Float).ok_or_else(|| invalid(&text, expected))
        }
        HEX => {
            let text: String = map.next_value()?;
            let bytes = read_hex(&text);
            let expected = &"an even number of hexadecimal digits";
            bytes.map(Value::from).ok_or_else(|| invalid(&text, expected))
        }
        UUID => {
            let text: String = map.next_value()?;
            Uuid::try_parse(&text).map(Value::Uuid).map_err(A::Error::custom)
        }
        TIMESTAMP => Ok(Value::Timestamp(Timestamp(map.next_value()?))),
        _ => Err(A::Error::custom(format_args!("the key {key:?} is reserved; {ESCAPE}"))),
    }
}

fn read_float(text: &str) -> Option<f64> {
    match text {
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => {
            let bits: [u8; 8] = read_hex(text.strip_prefix("nan:")?)?.try_into().ok()?;
            Some(f64::from_be_bytes(bits)).filter(|float| float.is_nan())
        }
    }
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks() else { return None };
    let bytes =
        pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    bytes.collect()
}

/// As the visitor of a map that isn't within another.
const RECORD_VISITOR: ValueVisitor = ValueVisitor { level: RECORD_LEVEL };

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Record, D::Error> {
        if inner.is_human_readable() {
            return inner.deserialize_any(RECORD_VISITOR).and_then(record_of);
        }
        inner.deserialize_bytes(BinaryVisitor(decode_fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record, A::Error> {
        RECORD_VISITOR.visit_map(map).and_then(record_of)
    }
}

fn record_of<E: Error>(value: Value) -> Result<Record, E> {
    match value {
        Value::Map(record) => Ok(record),
        other => Err(expected("a record", &other)),
    }
}

/// Takes bytes and decodes them.
struct BinaryVisitor<T>(fn(&[u8]) -> Result<T, DecodeError>);

impl<T> Visitor<'_> for BinaryVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlazeBinary")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        self.0(bytes).map_err(E::custom)
    }
}
