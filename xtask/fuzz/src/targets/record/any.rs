//! A type of whatever there is, which borrows what can be borrowed.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What a user's type that takes anything would keep.
#[derive(Debug, PartialEq)]
pub(super) enum Any<'de> {
    Null,
    Bool(bool),
    Int(i64),
    /// Its bits.
    Float(u64),
    Text(&'de str),
    /// A UUID has no text that could be borrowed.
    Owned(String),
    Bytes(&'de [u8]),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl<'de> Deserialize<'de> for Any<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Any<'de>, E> {
        Ok(Any::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Any<'de>, E> {
        Ok(Any::Bool(bool))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Any<'de>, E> {
        Ok(Any::Int(int))
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<Any<'de>, E> {
        Ok(Any::Float(float.to_bits()))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Any<'de>, E> {
        Ok(Any::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Any<'de>, E> {
        Ok(Any::Owned(text.to_owned()))
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Any<'de>, E> {
        Ok(Any::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Any<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = values.next_element()? {
            all.push(value);
        }
        Ok(Any::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Any<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = fields.next_entry()? {
            all.push(field);
        }
        Ok(Any::Map(all))
    }
}

impl Any<'_> {
    /// Whether all texts and bytes but those of UUIDs lie within these bytes.
    pub(super) fn is_borrowed_from(&self, bytes: &[u8]) -> bool {
        let within = |part: &[u8]| {
            let (all, part) = (bytes.as_ptr_range(), part.as_ptr_range());
            part.is_empty() || (all.start <= part.start && part.end <= all.end)
        };
        match self {
            Self::Text(text) => within(text.as_bytes()),
            Self::Bytes(bytes) => within(bytes),
            Self::Array(values) => values.iter().all(|value| value.is_borrowed_from(bytes)),
            Self::Map(fields) => fields
                .iter()
                .all(|(name, value)| name.is_borrowed_from(bytes) && value.is_borrowed_from(bytes)),
            _ => true,
        }
    }
}
