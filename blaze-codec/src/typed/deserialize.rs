//! Values to a user's types.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use uuid::Uuid;

use super::error::TypedError;
use super::source::{Fields, Source, Values};
use crate::binary::{Token, read_token};
use crate::form::{RECORD, VALUE};
use crate::reader::Reader;

type Result<T> = std::result::Result<T, TypedError>;

/// A value, wherever it is.
pub(super) struct Node<S>(pub(super) S);

impl<'de, S: Source<'de>> Deserializer<'de> for Node<S> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let token = self.0.token()?;
        self.visit(token, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.is_null() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name != VALUE && name != RECORD {
            return visitor.visit_newtype_struct(self);
        }
        let bytes = self.0.encode()?;
        if name == RECORD {
            let token = read_token(&mut Reader::new(&bytes))?;
            if !matches!(token, Token::Map(_)) {
                return Err(Error::custom(format_args!(
                    "expected a record, found {}",
                    token.kind()
                )));
            }
        }
        visitor.visit_newtype_struct(Encoded(bytes))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.0.token()? {
            Token::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            other => self.visit(other, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value> {
        match self.0.token()? {
            Token::Bytes(bytes) if bytes.len() != len => {
                Err(Error::invalid_length(bytes.len(), &visitor))
            }
            Token::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            other => self.visit(other, visitor),
        }
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
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0.token()? {
            Token::Text(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            Token::Map(map) => visit_variant(self.0.fields(map)?, visitor),
            other => {
                let expected = "a variant's name, or a map with it alone";
                Err(Error::custom(format_args!("expected {expected}, found {}", other.kind())))
            }
        }
    }

    /// Nothing is read: who holds the source steps over it.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct map struct identifier
    }
}

impl<'de, S: Source<'de>> Node<S> {
    /// Hands on what the token says.
    fn visit<V: Visitor<'de>>(
        self,
        token: Token<'de, S::Array, S::Map>,
        visitor: V,
    ) -> Result<V::Value> {
        match token {
            Token::Null => visitor.visit_unit(),
            Token::Bool(bool) => visitor.visit_bool(bool),
            Token::Int(int) => visitor.visit_i64(int),
            Token::Float(float) => visitor.visit_f64(float),
            Token::Text(text) => visitor.visit_borrowed_str(text),
            Token::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Uuid(uuid) => {
                visitor.visit_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            // As in formats for people, which is what serde's own copies pose as.
            Token::Timestamp(timestamp) => {
                visitor.visit_map(MapDeserializer::new([("$timestamp", timestamp.0)].into_iter()))
            }
            Token::Array(array) => visit_array(self.0.values(array)?, visitor),
            Token::Map(map) => visit_map(self.0.fields(map)?, visitor),
        }
    }
}

fn visit_array<'de, V: Visitor<'de>>(values: impl Values<'de>, visitor: V) -> Result<V::Value> {
    let found = values.left();
    let mut elements = Elements { values, index: 0 };
    let made = visitor.visit_seq(&mut elements)?;
    if elements.values.left() > 0 {
        let expected = elements.index;
        return Err(Error::custom(format_args!("expected {expected} elements, found {found}")));
    }
    Ok(made)
}

fn visit_map<'de, V: Visitor<'de>>(mut fields: impl Fields<'de>, visitor: V) -> Result<V::Value> {
    let made = visitor.visit_map(Pairs { fields: &mut fields, name: None })?;
    while fields.name()?.is_some() {}
    Ok(made)
}

fn visit_variant<'de, V: Visitor<'de>>(
    mut fields: impl Fields<'de>,
    visitor: V,
) -> Result<V::Value> {
    let count = fields.left();
    let Some(name) = fields.name()?.filter(|_| count == 1) else {
        return Err(Error::custom(format_args!(
            "expected a map with the variant's name alone, found {count} fields"
        )));
    };
    let made = visitor.visit_enum(Variant { name, fields: &mut fields })?;
    while fields.name()?.is_some() {}
    Ok(made)
}

struct Elements<F> {
    values: F,
    index: usize,
}

impl<'de, F: Values<'de>> SeqAccess<'de> for &mut Elements<F> {
    type Error = TypedError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.values.left() == 0 {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        self.values.next(seed).map(Some).map_err(|error| error.in_element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.left())
    }
}

struct Pairs<'f, 'de, F> {
    fields: &'f mut F,
    /// The name that was read last.
    name: Option<&'de str>,
}

impl<'de, F: Fields<'de>> MapAccess<'de> for Pairs<'_, 'de, F> {
    type Error = TypedError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.name = self.fields.name()?;
        let Some(name) = self.name else { return Ok(None) };
        seed.deserialize(Key(name)).map(Some).map_err(|error| error.in_field(name))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let name = self.name.take().expect("serde asks for a key before its value");
        self.fields.value(seed).map_err(|error| error.in_field(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.left())
    }
}

/// A map's key: a text that may have been a number or a boolean.
struct Key<'de>(&'de str);

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
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// A variant with content.
struct Variant<'f, 'de, F> {
    name: &'de str,
    fields: &'f mut F,
}

impl<'de, F: Fields<'de>> Variant<'_, 'de, F> {
    fn content<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.fields.value(seed).map_err(|error| error.in_field(self.name))
    }
}

impl<'de, F: Fields<'de>> EnumAccess<'de> for Variant<'_, 'de, F> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let name = BorrowedStrDeserializer::<TypedError>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, F: Fields<'de>> VariantAccess<'de> for Variant<'_, 'de, F> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<()> {
        let name = self.name;
        Err(Error::custom(format_args!("the variant {name:?} is written without content")))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.content(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.content(Content::Tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.content(Content::Struct(visitor))
    }
}

/// What a variant holds, for its visitor.
enum Content<V> {
    Tuple(usize, V),
    Struct(V),
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Content<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<V::Value, D::Error> {
        match self {
            Self::Tuple(len, visitor) => deserializer.deserialize_tuple(len, visitor),
            Self::Struct(visitor) => deserializer.deserialize_map(visitor),
        }
    }
}

/// A value of our own as its BlazeBinary.
struct Encoded<'de>(Cow<'de, [u8]>);

impl<'de> Deserializer<'de> for Encoded<'de> {
    type Error = TypedError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}
