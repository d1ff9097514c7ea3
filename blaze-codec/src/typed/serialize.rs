//! A user's types to values.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use uuid::Uuid;

use super::error::{TypedError, TypedErrorKind};
use crate::binary::{decode_all, decode_fields};
use crate::form::{RECORD, VALUE};
use crate::limits::{DEPTH_MAX, what};
use crate::{Name, Value, ValueError};

type Result<T> = std::result::Result<T, TypedError>;

/// Makes a value of what is serialised.
pub(super) struct ValueSerializer {
    /// How many arrays and maps this lies within, the record itself included.
    depth: usize,
    readable: bool,
    /// Whether the type asked if the format is for people, as a UUID does.
    asked: Cell<bool>,
}

impl ValueSerializer {
    pub(super) const fn root() -> Self {
        Self::within(0)
    }

    const fn within(depth: usize) -> Self {
        Self { depth, readable: true, asked: Cell::new(false) }
    }

    /// Has a value of our own write its BlazeBinary.
    fn bytes_of<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
        value.serialize(Self { depth: 0, readable: false, asked: Cell::new(false) })
    }

    /// The depth of what an array or map here holds.
    fn deeper(&self) -> Result<usize> {
        // One more than values may have, for the record around them.
        let (found, max) = (self.depth + 1, DEPTH_MAX + 1);
        if found > max {
            let limit = ValueError::Limit { what: what::DEPTH, found: found - 1, max: DEPTH_MAX };
            return Err(TypedErrorKind::from(limit).into());
        }
        Ok(found)
    }

    fn array(&self, variant: Option<&'static str>) -> Result<ArraySerializer> {
        Ok(ArraySerializer { depth: self.deeper()?, variant, values: Vec::new() })
    }

    fn map(&self, variant: Option<&'static str>) -> Result<MapSerializer> {
        Ok(MapSerializer { depth: self.deeper()?, variant, key: None, fields: BTreeMap::new() })
    }
}

fn int(number: impl TryInto<i64> + Display + Copy) -> Result<Value> {
    let too_large = |_| TypedErrorKind::Integer { number: number.to_string() }.into();
    number.try_into().map(Value::Int).map_err(too_large)
}

/// Wraps the content of a variant with the variant's name.
fn variant_of(variant: Option<&'static str>, content: Value) -> Result<Value> {
    let Some(variant) = variant else { return Ok(content) };
    let name = Name::new(variant).map_err(TypedErrorKind::from)?;
    Ok(Value::Map([(name, content)].into()))
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = TypedError;
    type SerializeSeq = ArraySerializer;
    type SerializeTuple = ArraySerializer;
    type SerializeTupleStruct = ArraySerializer;
    type SerializeTupleVariant = ArraySerializer;
    type SerializeMap = MapSerializer;
    type SerializeStruct = MapSerializer;
    type SerializeStructVariant = MapSerializer;

    fn is_human_readable(&self) -> bool {
        self.asked.set(true);
        self.readable
    }

    fn serialize_bool(self, bool: bool) -> Result<Value> {
        Ok(Value::Bool(bool))
    }

    fn serialize_i8(self, number: i8) -> Result<Value> {
        int(number)
    }

    fn serialize_i16(self, number: i16) -> Result<Value> {
        int(number)
    }

    fn serialize_i32(self, number: i32) -> Result<Value> {
        int(number)
    }

    fn serialize_i64(self, number: i64) -> Result<Value> {
        int(number)
    }

    fn serialize_i128(self, number: i128) -> Result<Value> {
        int(number)
    }

    fn serialize_u8(self, number: u8) -> Result<Value> {
        int(number)
    }

    fn serialize_u16(self, number: u16) -> Result<Value> {
        int(number)
    }

    fn serialize_u32(self, number: u32) -> Result<Value> {
        int(number)
    }

    fn serialize_u64(self, number: u64) -> Result<Value> {
        int(number)
    }

    fn serialize_u128(self, number: u128) -> Result<Value> {
        int(number)
    }

    fn serialize_f32(self, float: f32) -> Result<Value> {
        Ok(Value::Float(float.into()))
    }

    fn serialize_f64(self, float: f64) -> Result<Value> {
        Ok(Value::Float(float))
    }

    fn serialize_char(self, char: char) -> Result<Value> {
        Ok(Value::from(char.to_string()))
    }

    fn serialize_str(self, text: &str) -> Result<Value> {
        if self.asked.get()
            && let Ok(uuid) = Uuid::try_parse(text)
            && uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text
        {
            return Ok(Value::Uuid(uuid));
        }
        Ok(Value::from(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value> {
        Ok(Value::from(bytes))
    }

    fn serialize_none(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        match value.serialize(self)? {
            Value::Null => Err(TypedErrorKind::NestedNone.into()),
            value => Ok(value),
        }
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Value> {
        Ok(Value::from(name))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        inner: &T,
    ) -> Result<Value> {
        let decode: fn(&[u8]) -> _ = match name {
            VALUE => decode_all,
            RECORD => |bytes| decode_fields(bytes).map(Value::Map),
            _ => return inner.serialize(self),
        };
        let bytes = Self::bytes_of(inner)?;
        let Value::Bytes(bytes) = bytes else { return Ok(bytes) };
        decode(&bytes).map_err(|error| TypedErrorKind::from(error).into())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<Value> {
        let content = content.serialize(Self::within(self.deeper()?));
        variant_of(Some(variant), content.map_err(|error| error.in_field(variant))?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ArraySerializer> {
        self.array(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<ArraySerializer> {
        self.array(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ArraySerializer> {
        self.array(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ArraySerializer> {
        self.array(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapSerializer> {
        self.map(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapSerializer> {
        self.map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapSerializer> {
        self.map(Some(variant))
    }
}

/// Gathers the elements of an array.
pub(super) struct ArraySerializer {
    depth: usize,
    variant: Option<&'static str>,
    values: Vec<Value>,
}

impl ArraySerializer {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<()> {
        let value = element.serialize(ValueSerializer::within(self.depth));
        self.values.push(value.map_err(|error| error.in_element(self.values.len()))?);
        Ok(())
    }

    fn finish(self) -> Result<Value> {
        variant_of(self.variant, Value::Array(self.values))
    }
}

/// Gathers the fields of a map.
pub(super) struct MapSerializer {
    depth: usize,
    variant: Option<&'static str>,
    key: Option<String>,
    fields: BTreeMap<Name, Value>,
}

impl MapSerializer {
    fn insert<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        let within = |error: TypedError| error.in_field(key);
        let name = Name::new(key).map_err(|error| within(TypedErrorKind::from(error).into()))?;
        let value = value.serialize(ValueSerializer::within(self.depth)).map_err(within)?;
        if self.fields.insert(name, value).is_some() {
            return Err(within(TypedErrorKind::Twice.into()));
        }
        Ok(())
    }

    fn finish(self) -> Result<Value> {
        variant_of(self.variant, Value::from(self.fields))
    }
}

/// The text that a map's key becomes.
fn key_text(key: Value) -> Result<String> {
    match key {
        Value::Text(text) => Ok(text.into()),
        Value::Int(int) => Ok(int.to_string()),
        Value::Bool(bool) => Ok(bool.to_string()),
        Value::Uuid(uuid) => Ok(uuid.to_string()),
        other => Err(TypedErrorKind::Key { found: other.kind() }.into()),
    }
}

impl SerializeMap for MapSerializer {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key_text(key.serialize(ValueSerializer::within(self.depth))?)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take().expect("serde gives a key before its value");
        self.insert(&key, value)
    }

    fn end(self) -> Result<Value> {
        self.finish()
    }
}

/// Implements traits that give one element after the other.
macro_rules! gather_elements {
    ($($trait:ident::$function:ident),*) => {
        $(impl $trait for ArraySerializer {
            type Ok = Value;
            type Error = TypedError;

            fn $function<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<()> {
                self.push(element)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        })*
    };
}

gather_elements! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field, SerializeTupleVariant::serialize_field
}

/// Implements traits that give one named field after the other.
macro_rules! gather_fields {
    ($($trait:ident),*) => {
        $(impl $trait for MapSerializer {
            type Ok = Value;
            type Error = TypedError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.insert(name, value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        })*
    };
}

gather_fields! { SerializeStruct, SerializeStructVariant }
