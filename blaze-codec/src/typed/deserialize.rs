//! Values to a user's types.

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use uuid::Uuid;

use super::error::TypedError;
use crate::form::{Form, RECORD, VALUE};
use crate::{Name, RecordIter, Value};

type Result<T> = std::result::Result<T, TypedError>;

impl Form<'_> {
    const fn kind(self) -> &'static str {
        match self {
            Self::Value(value) => value.kind(),
            Self::Fields(_) => "map",
        }
    }
}

impl<'de> Deserializer<'de> for Form<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let value = match self {
            Self::Value(value) => value,
            Self::Fields(fields) => return visitor.visit_map(Fields::new(fields.iter())),
        };
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(*bool),
            Value::Int(int) => visitor.visit_i64(*int),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Uuid(uuid) => {
                visitor.visit_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            // As in formats for people, which is what serde's own copies pose as.
            Value::Timestamp(timestamp) => {
                visitor.visit_map(MapDeserializer::new([("$timestamp", timestamp.0)].into_iter()))
            }
            Value::Array(values) => visit_array(values, visitor),
            Value::Map(fields) => visitor.visit_map(Fields::new(fields.iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Value(Value::Null) => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match (name, self) {
            (VALUE, _) | (RECORD, Self::Fields(_)) => {
                visitor.visit_newtype_struct(Encoded(self.encode()))
            }
            (RECORD, other) => {
                Err(Error::custom(format_args!("expected a record, found {}", other.kind())))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Value(Value::Bytes(bytes)) => {
                visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        if let Self::Value(Value::Bytes(bytes)) = self
            && bytes.len() != len
        {
            return Err(Error::invalid_length(bytes.len(), &visitor));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self {
            Self::Value(Value::Text(name)) => visitor.visit_enum(Variant { name, content: None }),
            Self::Fields(fields) => match fields.iter().next() {
                Some((name, content)) if fields.len() == 1 => {
                    visitor.visit_enum(Variant { name, content: Some(content) })
                }
                _ => Err(Error::custom(format_args!(
                    "expected a map with the variant's name alone, found {} fields",
                    fields.len()
                ))),
            },
            Self::Value(other) => {
                let expected = "a variant's name, or a map with it alone";
                Err(Error::custom(format_args!("expected {expected}, found {}", other.kind())))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct map struct identifier ignored_any
    }
}

fn visit_array<'de, V: Visitor<'de>>(values: &'de [Value], visitor: V) -> Result<V::Value> {
    let mut elements = Elements { values: values.iter(), index: 0 };
    let made = visitor.visit_seq(&mut elements)?;
    if elements.values.len() > 0 {
        return Err(Error::custom(format_args!(
            "expected {} elements, found {}",
            elements.index,
            values.len()
        )));
    }
    Ok(made)
}

struct Elements<'de> {
    values: std::slice::Iter<'de, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Elements<'de> {
    type Error = TypedError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Form::of(value)).map(Some).map_err(|error| error.in_element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Fields<'de> {
    fields: RecordIter<'de>,
    /// The field whose name was asked for.
    field: Option<(&'de Name, &'de Value)>,
}

impl<'de> Fields<'de> {
    const fn new(fields: RecordIter<'de>) -> Self {
        Self { fields, field: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = TypedError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.field = self.fields.next();
        let Some((name, _)) = self.field else { return Ok(None) };
        seed.deserialize(Key(name)).map(Some).map_err(|error| error.in_field(name))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let (name, value) = self.field.take().expect("serde asks for a key before its value");
        seed.deserialize(Form::of(value)).map_err(|error| error.in_field(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// A map's key: a text that may have been a number or a boolean.
struct Key<'de>(&'de Name);

/// Reads a key back as what it was, or lets the visitor refuse the text.
macro_rules! parsed_keys {
    ($($deserialize:ident => $visit:ident),*) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => Err(Error::invalid_value(Unexpected::Str(self.0), &visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed_keys! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i8, deserialize_i16 => visit_i16, deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64, deserialize_i128 => visit_i128, deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16, deserialize_u32 => visit_u32, deserialize_u64 => visit_u64,
        deserialize_u128 => visit_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<Form<'de>> {
        let missing = || Error::custom(format_args!("the variant {:?} has no content", self.name));
        self.content.map(Form::of).ok_or_else(missing)
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let name: StrDeserializer<'_, TypedError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<()> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Error::custom(format_args!(
                "the variant {:?} is written without content",
                self.name
            ))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        let name = self.name;
        seed.deserialize(self.content()?).map_err(|error| error.in_field(name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        let name = self.name;
        self.content()?.deserialize_seq(visitor).map_err(|error| error.in_field(name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let name = self.name;
        self.content()?.deserialize_map(visitor).map_err(|error| error.in_field(name))
    }
}

/// A value of our own as its BlazeBinary.
struct Encoded(Vec<u8>);

impl<'de> Deserializer<'de> for Encoded {
    type Error = TypedError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_byte_buf(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}
