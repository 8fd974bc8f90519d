//! What a reading type is handed of a value's parts: elements, entries, fields by name, variants by name.

use super::input::ReadError;
use super::reader::{ValueReader, choose, no_variant};
use super::shape::{Body, Definition, Field, Shape};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

/// A fixed number of values without names.
pub(super) struct Parts<'r, 'a, 'de> {
    pub reader: &'r mut ValueReader<'a, 'de>,
    pub shapes: std::slice::Iter<'a, Shape>,
    pub index: usize,
}

impl<'r, 'a, 'de> Parts<'r, 'a, 'de> {
    pub fn new(reader: &'r mut ValueReader<'a, 'de>, shapes: &'a [Shape]) -> Parts<'r, 'a, 'de> {
        Parts { reader, shapes: shapes.iter(), index: 0 }
    }
}

impl<'de> de::SeqAccess<'de> for Parts<'_, '_, 'de> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some(shape) = self.shapes.next() else { return Ok(None) };
        let value = seed.deserialize(self.reader.of(shape)).map_err(|e| e.within(&self.index.to_string()))?;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.shapes.len())
    }
}

/// Values with names.
pub(super) struct Fields<'r, 'a, 'de> {
    pub reader: &'r mut ValueReader<'a, 'de>,
    pub fields: std::slice::Iter<'a, Field>,
    pub known: &'static [&'static str],
    pub value: Option<&'a Field>,
}

impl<'de> de::MapAccess<'de> for Fields<'_, '_, 'de> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        self.value = self.fields.next();
        let Some(field) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, ReadError> = choose(&field.names, self.known).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let field = self.value.take().ok_or_else(|| no_variant(0))?;
        seed.deserialize(self.reader.of(&field.shape)).map_err(|e| e.within(choose(&field.names, self.known)))
    }
}

/// Any number of values, or of keys with values.
pub(super) struct Repeated<'r, 'a, 'de> {
    pub reader: &'r mut ValueReader<'a, 'de>,
    pub key: &'a Shape,
    pub value: &'a Shape,
    pub left: usize,
}

impl Repeated<'_, '_, '_> {
    /// No more than could be there: a damaged length must not reserve memory.
    fn hint(&self) -> usize {
        self.left.min(self.reader.input.0.len())
    }
}

impl<'de> de::SeqAccess<'de> for Repeated<'_, '_, 'de> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.reader.of(self.value)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint())
    }
}

impl<'de> de::MapAccess<'de> for Repeated<'_, '_, 'de> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.reader.of(self.key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(self.reader.of(self.value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint())
    }
}

/// One of several variants.
pub(super) struct Choice<'a, 'de> {
    pub reader: ValueReader<'a, 'de>,
    pub known: &'static [&'static str],
}

impl<'a, 'de> de::EnumAccess<'de> for Choice<'a, 'de> {
    type Error = ReadError;
    type Variant = Content<'a, 'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<'a, 'de>), ReadError> {
        let index = self.reader.input.unsigned(32)? as usize;
        let variants = match self.reader.definition()? {
            Some(Definition::Enum(variants)) => variants.as_slice(),
            _ => &[],
        };
        let variant = variants.get(index).ok_or_else(|| no_variant(index))?;
        let name: StrDeserializer<'_, ReadError> = choose(&variant.names, self.known).into_deserializer();
        Ok((seed.deserialize(name)?, Content { reader: self.reader, body: &variant.body }))
    }
}

/// The content of a variant.
pub(super) struct Content<'a, 'de> {
    pub reader: ValueReader<'a, 'de>,
    pub body: &'a Body,
}

impl<'de> de::VariantAccess<'de> for Content<'_, 'de> {
    type Error = ReadError;

    fn unit_variant(mut self) -> Result<(), ReadError> {
        // It has lost its content since.
        self.body.shapes().into_iter().try_for_each(|shape| self.reader.of(shape).skip())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        let Body::Newtype(shape) = self.body else {
            return Err(de::Error::custom("the variant does not hold exactly one value"));
        };
        seed.deserialize(ValueReader { schema: self.reader.schema, input: self.reader.input, shape })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.reader.body(self.body, &[], visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.reader.body(self.body, known, visitor)
    }
}
