//! Values to other formats.

use std::borrow::Cow;
use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{FLOAT, Form, HEX, RECORD, RESERVED, TIMESTAMP, UUID, VALUE};
use crate::binary::{encode_fields, encode_value};
use crate::{Name, Record, RecordKey, Timestamp, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(VALUE, &Form::of(self))
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RECORD, &Form::Fields(self))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Timestamp(*self).serialize(serializer)
    }
}

impl Serialize for RecordKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self {
            Self::Uuid(uuid) => Value::from(*uuid),
            Self::Int(int) => Value::from(*int),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Bytes(bytes) => Value::from(bytes.as_slice()),
        };
        value.serialize(serializer)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl Form<'_> {
    /// The form in BlazeBinary.
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Value(value) => encode_value(value, &mut bytes),
            Self::Fields(fields) => encode_fields(fields, &mut bytes),
        }
        bytes
    }
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.encode());
        }
        match self {
            Self::Value(value) => serialize_value(value, serializer),
            Self::Fields(fields) => serialize_fields(fields, serializer),
        }
    }
}

fn serialize_value<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Value::Null => serializer.serialize_unit(),
        Value::Bool(bool) => serializer.serialize_bool(*bool),
        Value::Int(int) => serializer.serialize_i64(*int),
        Value::Float(float) if float.is_finite() => serializer.serialize_f64(*float),
        Value::Float(float) => serialize_reserved(FLOAT, &float_name(*float), serializer),
        Value::Text(text) => serializer.serialize_str(text),
        Value::Bytes(bytes) => serialize_reserved(HEX, &hex(bytes), serializer),
        Value::Uuid(uuid) => serialize_reserved(UUID, &uuid.to_string(), serializer),
        Value::Timestamp(timestamp) => serialize_reserved(TIMESTAMP, &timestamp.0, serializer),
        Value::Array(values) => serializer.collect_seq(values),
        Value::Map(fields) => serialize_fields(fields, serializer),
    }
}

fn serialize_fields<S: Serializer>(fields: &Record, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (key_of(name), value)))
}

/// The key of a name.
fn key_of(name: &Name) -> Cow<'_, str> {
    if name.starts_with(RESERVED) {
        return Cow::Owned(format!("{RESERVED}{name}"));
    }
    Cow::Borrowed(name)
}

fn serialize_reserved<S: Serializer, T: Serialize + ?Sized>(
    key: &str,
    content: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, content)?;
    map.end()
}

fn float_name(float: f64) -> String {
    if float.is_infinite() || float.to_bits() == f64::NAN.to_bits() {
        return float.to_string();
    }
    format!("nan:{:016x}", float.to_bits())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}
