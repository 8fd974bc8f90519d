//! The deserializer that answers every question with a made-up value and notes what was asked.

use super::access::{Choice, Parts, Repeated};
use super::choice::Choices;
use super::record::Record;
use super::types::{Content, Types, id_of};
use crate::state::schema::shape::Shape;
use serde::de::{self, Deserializer, Visitor};
use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

/// Why a reading ended early.
#[derive(Debug)]
pub(super) struct TraceError(String);

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TraceError {}

impl de::Error for TraceError {
    fn custom<T: fmt::Display>(reason: T) -> TraceError {
        TraceError(reason.to_string())
    }
}

/// Identifiers of fields and variants are enums: equal ones have equal hashes.
pub(super) fn hash_of<T>(identifier: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    discriminant(identifier).hash(&mut hasher);
    hasher.finish()
}

/// Reads one made-up value and notes its shape.
pub(super) struct Probe<'a> {
    pub types: &'a RefCell<Types>,
    pub out: &'a mut Shape,
}

impl Probe<'_> {
    fn leaf<T>(
        self,
        shape: Shape,
        rust_name: &'static str,
        visit: impl FnOnce() -> Result<T, TraceError>,
    ) -> Result<T, TraceError> {
        *self.out = shape;
        visit().inspect_err(|_| self.types.borrow_mut().refuse(rust_name))
    }

    fn number<'de, V: Visitor<'de>>(
        self,
        shape: Shape,
        visit: impl FnOnce(u8) -> Result<V::Value, TraceError>,
    ) -> Result<V::Value, TraceError> {
        let name = type_name::<V::Value>();
        let number = self.types.borrow().samples.number(name);
        self.leaf(shape, name, || visit(number))
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let name = type_name::<V::Value>();
        let text = self.types.borrow().samples.text(name);
        self.leaf(Shape::String, name, || visitor.visit_str(text))
    }

    fn some_bytes<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let name = type_name::<V::Value>();
        let bytes = self.types.borrow().samples.bytes(name);
        self.leaf(Shape::Bytes, name, || visitor.visit_byte_buf(bytes))
    }

    fn refuse<'de, V: Visitor<'de>>(self) -> Result<V::Value, TraceError> {
        self.types.borrow_mut().self_describing = Some(type_name::<V::Value>().to_string());
        Err(TraceError("the type asks what comes next".to_string()))
    }

    /// Reads a type with a name: `read` gets its index, and whether it is to be kept short.
    fn named<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        read: impl FnOnce(usize, bool) -> Result<V::Value, TraceError>,
    ) -> Result<V::Value, TraceError> {
        let entered = self.types.borrow_mut().enter(name, type_name::<V::Value>());
        let (index, short) =
            entered.map_err(|()| TraceError("types lie too deep within each other".into()))?;
        *self.out = Shape::Type(id_of(index));
        let outcome = read(index, short);
        self.types.borrow_mut().leave();
        outcome
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $shape:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
            self.number::<V>(Shape::$shape, |number| visitor.$visit(number.into()))
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = TraceError;

    numbers! {
        deserialize_i16 visit_i16 I16;
        deserialize_i32 visit_i32 I32;
        deserialize_i64 visit_i64 I64;
        deserialize_i128 visit_i128 I128;
        deserialize_u8 visit_u8 U8;
        deserialize_u16 visit_u16 U16;
        deserialize_u32 visit_u32 U32;
        deserialize_u64 visit_u64 U64;
        deserialize_u128 visit_u128 U128;
        deserialize_f32 visit_f32 F32;
        deserialize_f64 visit_f64 F64;
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.number::<V>(Shape::I8, |number| visitor.visit_i8(number as i8))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.number::<V>(Shape::Bool, |number| visitor.visit_bool(number == 1))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.number::<V>(Shape::Char, |number| visitor.visit_char(char::from(b'a' + number % 26)))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.some_bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.some_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        self.leaf(Shape::Unit, type_name::<V::Value>(), || visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let types = self.types;
        self.named::<V>(name, |index, _| {
            types.borrow_mut().get(index).content.merge(Content::Unit);
            visitor.visit_unit()
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut inner = Shape::Unknown;
        let outcome = if self.types.borrow().is_short() {
            None
        } else {
            Some(Probe { types: self.types, out: &mut inner })
        };
        let outcome = match outcome {
            None => visitor.visit_none(),
            Some(probe) => visitor.visit_some(probe),
        };
        *self.out = Shape::Option(Box::new(inner));
        outcome
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut repeated = Repeated::new(self.types);
        let outcome = visitor.visit_seq(&mut repeated);
        *self.out = Shape::Seq(Box::new(repeated.value));
        outcome
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TraceError> {
        let mut repeated = Repeated::new(self.types);
        let outcome = visitor.visit_map(&mut repeated);
        *self.out = Shape::Map(Box::new(repeated.key), Box::new(repeated.value));
        outcome
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TraceError> {
        let mut shapes = Vec::new();
        let outcome = visitor.visit_seq(Parts { types: self.types, shapes: &mut shapes, left: len });
        shapes.resize(len, Shape::Unknown);
        *self.out = Shape::Tuple(shapes);
        outcome
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let types = self.types;
        self.named::<V>(name, |index, _| {
            let mut inner = Shape::Unknown;
            let outcome = visitor.visit_newtype_struct(Probe { types, out: &mut inner });
            types.borrow_mut().get(index).content.merge(Content::Newtype(inner));
            outcome
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let types = self.types;
        self.named::<V>(name, |index, _| {
            let mut content = Content::Unknown;
            let outcome = read_tuple(types, len, visitor, &mut content);
            types.borrow_mut().get(index).content.merge(content);
            outcome
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let types = self.types;
        self.named::<V>(name, |index, _| {
            let mut record = record_of(&types.borrow_mut().get(index).content, fields);
            let outcome = record.read(types, visitor);
            types.borrow_mut().get(index).content = Content::Fields(record);
            outcome
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let types = self.types;
        self.named::<V>(name, |index, short| {
            types.borrow_mut().get(index).choices.get_or_insert_with(|| Choices::new(variants));
            visitor.visit_enum(Choice { types, index, short })
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TraceError> {
        self.refuse::<V>()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TraceError> {
        self.refuse::<V>()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TraceError> {
        self.refuse::<V>()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// What is known of the fields, in a copy that is put back after the reading: the type may be met within itself.
pub(super) fn record_of(content: &Content, fields: &'static [&'static str]) -> Record {
    match content {
        Content::Fields(record) => record.clone(),
        _ => Record::new(fields),
    }
}

pub(super) fn read_tuple<'de, V: Visitor<'de>>(
    types: &RefCell<Types>,
    len: usize,
    visitor: V,
    content: &mut Content,
) -> Result<V::Value, TraceError> {
    let mut shapes = Vec::new();
    let outcome = visitor.visit_seq(Parts { types, shapes: &mut shapes, left: len });
    shapes.resize(len, Shape::Unknown);
    *content = Content::Tuple(shapes);
    outcome
}
