//! A user's types to bytes.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use uuid::Uuid;

use super::error::{TypedError, TypedErrorKind};
use super::writer::{Level, Mark, Open, RECORD, Writer};
use crate::binary::Token;
use crate::form;

type Result<T> = std::result::Result<T, TypedError>;

/// Writes what is serialised.
pub(super) struct ValueSerializer<'w, 'o> {
    writer: &'w mut Writer<'o>,
    level: Level,
    /// Whether a value of our own is to write its BlazeBinary.
    encoded: bool,
    /// Whether the type asked if the format is for people, as a UUID does.
    asked: Cell<bool>,
}

impl<'w, 'o> ValueSerializer<'w, 'o> {
    pub(super) const fn new(writer: &'w mut Writer<'o>, level: Level) -> Self {
        Self { writer, level, encoded: false, asked: Cell::new(false) }
    }

    fn write(self, token: &Token<'_>) -> Result<()> {
        self.writer.write(self.level, token)
    }

    fn int(self, number: impl TryInto<i64> + Display + Copy) -> Result<()> {
        let too_large = |_| TypedErrorKind::Integer { number: number.to_string() };
        self.write(&Token::Int(number.try_into().map_err(too_large)?))
    }

    /// Begins the map of a variant's name to its content.
    fn variant(self, name: &'static str) -> Result<Self> {
        let open = self.writer.open(self.level, Some(1), Token::Map)?;
        self.writer.begin_field(&open, name)?;
        let level = open.inside();
        self.writer.leave(&open);
        Ok(Self::new(self.writer, level))
    }

    fn array(
        self,
        count: Option<usize>,
        variant: Option<&'static str>,
    ) -> Result<ArraySerializer<'w, 'o>> {
        let open = self.writer.open(self.level, count, Token::Array)?;
        Ok(ArraySerializer { writer: self.writer, open, count: 0, variant })
    }

    fn map(
        self,
        count: Option<usize>,
        variant: Option<&'static str>,
    ) -> Result<MapSerializer<'w, 'o>> {
        let open = self.writer.open(self.level, count, Token::Map)?;
        Ok(MapSerializer { writer: self.writer, open, variant, key: None })
    }
}

/// The error, one variant further out.
fn within(variant: Option<&'static str>, error: TypedError) -> TypedError {
    match variant {
        Some(variant) => error.in_field(variant),
        None => error,
    }
}

impl<'w, 'o> Serializer for ValueSerializer<'w, 'o> {
    type Ok = ();
    type Error = TypedError;
    type SerializeSeq = ArraySerializer<'w, 'o>;
    type SerializeTuple = ArraySerializer<'w, 'o>;
    type SerializeTupleStruct = ArraySerializer<'w, 'o>;
    type SerializeTupleVariant = ArraySerializer<'w, 'o>;
    type SerializeMap = MapSerializer<'w, 'o>;
    type SerializeStruct = MapSerializer<'w, 'o>;
    type SerializeStructVariant = MapSerializer<'w, 'o>;

    fn is_human_readable(&self) -> bool {
        self.asked.set(true);
        !self.encoded
    }

    fn serialize_bool(self, bool: bool) -> Result<()> {
        self.write(&Token::Bool(bool))
    }

    fn serialize_i8(self, number: i8) -> Result<()> {
        self.int(number)
    }

    fn serialize_i16(self, number: i16) -> Result<()> {
        self.int(number)
    }

    fn serialize_i32(self, number: i32) -> Result<()> {
        self.int(number)
    }

    fn serialize_i64(self, number: i64) -> Result<()> {
        self.int(number)
    }

    fn serialize_i128(self, number: i128) -> Result<()> {
        self.int(number)
    }

    fn serialize_u8(self, number: u8) -> Result<()> {
        self.int(number)
    }

    fn serialize_u16(self, number: u16) -> Result<()> {
        self.int(number)
    }

    fn serialize_u32(self, number: u32) -> Result<()> {
        self.int(number)
    }

    fn serialize_u64(self, number: u64) -> Result<()> {
        self.int(number)
    }

    fn serialize_u128(self, number: u128) -> Result<()> {
        self.int(number)
    }

    fn serialize_f32(self, float: f32) -> Result<()> {
        self.write(&Token::Float(float.into()))
    }

    fn serialize_f64(self, float: f64) -> Result<()> {
        self.write(&Token::Float(float))
    }

    fn serialize_char(self, char: char) -> Result<()> {
        self.write(&Token::Text(char.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        if self.asked.get()
            && let Ok(uuid) = Uuid::try_parse(text)
            && uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text
        {
            return self.write(&Token::Uuid(&uuid));
        }
        self.write(&Token::Text(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        if self.encoded {
            return self.writer.write_encoded(self.level, bytes);
        }
        self.write(&Token::Bytes(bytes))
    }

    fn serialize_none(self) -> Result<()> {
        self.write(&Token::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        let Self { writer, level, encoded, asked } = self;
        let mark = writer.mark();
        value.serialize(ValueSerializer { writer, level, encoded, asked })?;
        if writer.is_null(mark) {
            return Err(TypedErrorKind::NestedNone.into());
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<()> {
        self.write(&Token::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.write(&Token::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.write(&Token::Text(name))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        inner: &T,
    ) -> Result<()> {
        let encoded = name == form::VALUE || name == form::RECORD;
        inner.serialize(Self { encoded, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<()> {
        let inside = self.variant(variant)?;
        content.serialize(inside).map_err(|error| error.in_field(variant))
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<ArraySerializer<'w, 'o>> {
        self.array(count, None)
    }

    fn serialize_tuple(self, count: usize) -> Result<ArraySerializer<'w, 'o>> {
        self.array(Some(count), None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        count: usize,
    ) -> Result<ArraySerializer<'w, 'o>> {
        self.array(Some(count), None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<ArraySerializer<'w, 'o>> {
        self.variant(variant)?.array(Some(count), Some(variant))
    }

    fn serialize_map(self, count: Option<usize>) -> Result<MapSerializer<'w, 'o>> {
        self.map(count, None)
    }

    fn serialize_struct(self, _: &'static str, count: usize) -> Result<MapSerializer<'w, 'o>> {
        self.map(Some(count), None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<MapSerializer<'w, 'o>> {
        self.variant(variant)?.map(Some(count), Some(variant))
    }
}

/// Writes the elements of an array.
pub(super) struct ArraySerializer<'w, 'o> {
    writer: &'w mut Writer<'o>,
    open: Open,
    count: usize,
    variant: Option<&'static str>,
}

impl ArraySerializer<'_, '_> {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<()> {
        let mark = self.writer.mark();
        if let Err(error) = element.serialize(ValueSerializer::new(self.writer, self.open.inside()))
        {
            // A type may go on without what failed.
            self.writer.back_to(mark);
            return Err(within(self.variant, error.in_element(self.count)));
        }
        self.count += 1;
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let closed = self.writer.close(self.open, self.count);
        closed.map_err(|error| within(self.variant, error))
    }
}

/// Writes the fields of a map.
pub(super) struct MapSerializer<'w, 'o> {
    writer: &'w mut Writer<'o>,
    open: Open,
    variant: Option<&'static str>,
    /// Where the field begins whose name was written, but not its value.
    key: Option<Mark>,
}

impl MapSerializer<'_, '_> {
    fn name(&mut self, before: Mark, name: &str) -> Result<()> {
        self.key = Some(before);
        let begun = self.writer.begin_field(&self.open, name);
        begun.map_err(|error| self.failed(error.in_field(name)))
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let mark = self.key.expect("serde gives a key before its value");
        let level = self.open.inside();
        if let Err(error) = value.serialize(ValueSerializer::new(self.writer, level)) {
            let error = error.in_field(self.writer.field_name(mark));
            return Err(self.failed(error));
        }
        self.writer.end_field();
        self.key = None;
        Ok(())
    }

    /// Takes the field back: a type may go on without what failed.
    fn failed(&mut self, error: TypedError) -> TypedError {
        if let Some(mark) = self.key.take() {
            self.writer.back_to(mark);
        }
        within(self.variant, error)
    }

    fn finish(self) -> Result<()> {
        assert!(self.key.is_none(), "serde gives a value after its key");
        self.writer.close_map(self.open).map_err(|error| within(self.variant, error))
    }
}

impl SerializeMap for MapSerializer<'_, '_> {
    type Ok = ();
    type Error = TypedError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        assert!(self.key.is_none(), "serde gives a value after its key");
        let mark = self.writer.mark();
        let written = key.serialize(ValueSerializer::new(self.writer, RECORD));
        let text = written.and_then(|()| self.writer.key_text(mark));
        // A field's name is no value, and takes other bytes.
        self.writer.back_to(mark);
        let text = text.map_err(|error| within(self.variant, error))?;
        self.name(mark, &text)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

/// Implements traits that give one element after the other.
macro_rules! gather_elements {
    ($($trait:ident::$function:ident),*) => {
        $(impl $trait for ArraySerializer<'_, '_> {
            type Ok = ();
            type Error = TypedError;

            fn $function<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<()> {
                self.push(element)
            }

            fn end(self) -> Result<()> {
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
        $(impl $trait for MapSerializer<'_, '_> {
            type Ok = ();
            type Error = TypedError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.name(self.writer.mark(), name)?;
                self.value(value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        })*
    };
}

gather_fields! { SerializeStruct, SerializeStructVariant }
