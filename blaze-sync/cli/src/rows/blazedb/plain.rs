//! Values of plain JSON, in which no key is reserved.

use std::collections::BTreeMap;
use std::fmt;

use blaze_sync::{Name, Record, Value};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A record of a JSON object.
pub(super) struct PlainRecord(pub(super) Record);

impl<'de> Deserialize<'de> for PlainRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields(fields) = Fields::deserialize(deserializer)?;
        Ok(Self(fields.into_iter().collect()))
    }
}

struct Fields(BTreeMap<Name, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let name = Name::new(&key).map_err(A::Error::custom)?;
            let Plain(value) = map.next_value()?;
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom(format_args!("{key:?} is given twice")));
            }
        }
        Ok(Fields(fields))
    }
}

struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Plain, E> {
        Ok(Plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Plain, E> {
        Ok(Plain(Value::Bool(bool)))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Plain, E> {
        Ok(Plain(Value::Int(int)))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Plain, E> {
        i64::try_from(int).map(|int| Plain(Value::Int(int))).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<Plain, E> {
        Ok(Plain(Value::Float(float)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Plain, E> {
        Ok(Plain(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
        let mut values = Vec::new();
        while let Some(Plain(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Plain(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Plain, A::Error> {
        FieldsVisitor.visit_map(map).map(|Fields(fields)| Plain(Value::from(fields)))
    }
}
