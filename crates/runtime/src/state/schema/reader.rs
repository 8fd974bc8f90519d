//! A deserializer over postcard's bytes that is driven by the schema they were written by, not by the type that reads.
//!
//! It tells the reading type what each field is called, so that the type finds what it knows and ignores what it does not.

use super::Schema;
use super::input::{Input, ReadError};
use super::reader_access::{Choice, Fields, Parts, Repeated};
use super::shape::{Body, Definition, Shape};
use serde::de::{self, Deserializer, Visitor};

/// Reads values from bytes that a schema describes. See [`Schema::reader`].
pub struct Reader<'a, 'de> {
    schema: &'a Schema,
    input: Input<'de>,
}

impl<'a, 'de> Reader<'a, 'de> {
    pub(super) fn new(schema: &'a Schema, bytes: &'de [u8]) -> Reader<'a, 'de> {
        Reader { schema, input: Input(bytes) }
    }

    /// A deserializer for the next value.
    pub fn value(&mut self) -> ValueReader<'_, 'de> {
        let shape = &self.schema.root;
        ValueReader { schema: self.schema, input: &mut self.input, shape }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'de [u8] {
        self.input.0
    }
}

/// Reads one value of one shape.
pub struct ValueReader<'a, 'de> {
    pub(super) schema: &'a Schema,
    pub(super) input: &'a mut Input<'de>,
    pub(super) shape: &'a Shape,
}

impl<'a, 'de> ValueReader<'a, 'de> {
    pub(super) fn of<'b>(&'b mut self, shape: &'b Shape) -> ValueReader<'b, 'de> {
        ValueReader { schema: self.schema, input: self.input, shape }
    }

    pub(super) fn definition(&self) -> Result<Option<&'a Definition>, ReadError> {
        let Shape::Type(name) = self.shape else { return Ok(None) };
        let missing = || de::Error::custom(format!("the type {name} is not in the schema"));
        self.schema.types.get(name).map(Some).ok_or_else(missing)
    }

    /// The same value without the structs of one value around it, which do not show in the layout.
    fn unwrapped(mut self) -> Result<ValueReader<'a, 'de>, ReadError> {
        while let Some(Definition::Struct(Body::Newtype(inner))) = self.definition()? {
            self.shape = inner;
        }
        Ok(self)
    }

    /// Reads past a value.
    pub(super) fn skip(&mut self) -> Result<(), ReadError> {
        match self.shape {
            Shape::Option(inner) => {
                if self.input.bool()? {
                    self.of(inner).skip()?;
                }
                Ok(())
            }
            Shape::Seq(inner) => {
                let length = self.input.length()?;
                (0..length).try_for_each(|_| self.of(inner).skip())
            }
            Shape::Map(key, value) => {
                let length = self.input.length()?;
                (0..length).try_for_each(|_| {
                    self.of(key).skip()?;
                    self.of(value).skip()
                })
            }
            Shape::Tuple(parts) => parts.iter().try_for_each(|part| self.of(part).skip()),
            Shape::Type(_) => self.skip_type(),
            _ => self.leaf(de::IgnoredAny).map(|_| ()),
        }
    }

    fn skip_type(&mut self) -> Result<(), ReadError> {
        let body = match self.definition()? {
            Some(Definition::Struct(body)) => body,
            Some(Definition::Enum(variants)) => {
                let index = self.input.unsigned(32)? as usize;
                &variants.get(index).ok_or_else(|| no_variant(index))?.body
            }
            None => return Ok(()),
        };
        body.shapes().into_iter().try_for_each(|shape| self.of(shape).skip())
    }

    /// A value without parts.
    fn leaf<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, ReadError> {
        let input = &mut *self.input;
        match self.shape {
            Shape::Unit => visitor.visit_unit(),
            Shape::Bool => visitor.visit_bool(input.bool()?),
            Shape::I8 => visitor.visit_i8(input.byte()? as i8),
            Shape::I16 => visitor.visit_i16(input.signed(16)? as i16),
            Shape::I32 => visitor.visit_i32(input.signed(32)? as i32),
            Shape::I64 => visitor.visit_i64(input.signed(64)? as i64),
            Shape::I128 => visitor.visit_i128(input.signed(128)?),
            Shape::U8 => visitor.visit_u8(input.byte()?),
            Shape::U16 => visitor.visit_u16(input.unsigned(16)? as u16),
            Shape::U32 => visitor.visit_u32(input.unsigned(32)? as u32),
            Shape::U64 => visitor.visit_u64(input.unsigned(64)? as u64),
            Shape::U128 => visitor.visit_u128(input.unsigned(128)?),
            Shape::F32 => visitor.visit_f32(f32::from_le_bytes(input.array()?)),
            Shape::F64 => visitor.visit_f64(f64::from_le_bytes(input.array()?)),
            Shape::Char => visitor.visit_char(input.char()?),
            Shape::String => visitor.visit_borrowed_str(input.text()?),
            Shape::Bytes => visitor.visit_borrowed_bytes(input.bytes()?),
            other => Err(de::Error::custom(format!("a value of shape {other} has no known layout"))),
        }
    }

    pub(super) fn body<V: Visitor<'de>>(
        mut self,
        body: &'a Body,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match body {
            Body::Unit => visitor.visit_unit(),
            Body::Newtype(shape) => {
                ValueReader { schema: self.schema, input: self.input, shape }.deserialize_any(visitor)
            }
            Body::Tuple(shapes) => visitor.visit_seq(Parts::new(&mut self, shapes)),
            Body::Fields(fields) => {
                visitor.visit_map(Fields { reader: &mut self, fields: fields.iter(), known, value: None })
            }
        }
    }

    /// A value as its shape has it, whatever the type asked for. `known`: names of fields that the type knows.
    fn any<V: Visitor<'de>>(self, known: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        let mut this = self.unwrapped()?;
        match this.shape {
            Shape::Option(inner) => match this.input.bool()? {
                true => visitor.visit_some(this.of(inner)),
                false => visitor.visit_none(),
            },
            Shape::Seq(inner) => {
                let left = this.input.length()?;
                visitor.visit_seq(Repeated { reader: &mut this, key: inner, value: inner, left })
            }
            Shape::Map(key, value) => {
                let left = this.input.length()?;
                visitor.visit_map(Repeated { reader: &mut this, key, value, left })
            }
            Shape::Tuple(shapes) => visitor.visit_seq(Parts::new(&mut this, shapes)),
            Shape::Type(_) => match this.definition()? {
                Some(Definition::Struct(body)) => this.body(body, known, visitor),
                Some(Definition::Enum(_)) => visitor.visit_enum(Choice { reader: this, known }),
                None => this.leaf(visitor),
            },
            _ => this.leaf(visitor),
        }
    }
}

pub(super) fn no_variant(index: usize) -> ReadError {
    de::Error::custom(format!("there is no variant {index}"))
}

/// Of the names that a field had, the one that the reading type knows; the first where it knows none.
pub(super) fn choose<'a>(names: &'a [String], known: &[&str]) -> &'a str {
    let found = names.iter().find(|name| known.contains(&name.as_str())).or(names.first());
    found.map_or("", String::as_str)
}

macro_rules! by_shape {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, ReadError> {
            $(let _ = $argument;)*
            self.any(&[], visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for ValueReader<'_, 'de> {
    type Error = ReadError;

    by_shape! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_bytes() deserialize_byte_buf() deserialize_seq() deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_identifier()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // Whatever it held, it holds nothing any more.
        self.deserialize_ignored_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_ignored_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let this = self.unwrapped()?;
        match this.shape {
            Shape::Option(_) => this.any(&[], visitor),
            // It has become optional since.
            _ => visitor.visit_some(this),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self.unwrapped()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.any(known, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.any(known, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ReadError> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
