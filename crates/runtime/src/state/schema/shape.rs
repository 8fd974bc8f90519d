//! What a schema consists of: the shapes of values as `serde` sees them, and their form for a person.
//!
//! A shape says exactly how postcard lays a value out, and what its parts are called. Knows nothing of how it was found.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The shape of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `()`, and structs without fields.
    Unit,
    /// `bool`.
    Bool,
    /// `i8`.
    I8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64` and `isize`.
    I64,
    /// `i128`.
    I128,
    /// `u8`.
    U8,
    /// `u16`.
    U16,
    /// `u32`.
    U32,
    /// `u64` and `usize`.
    U64,
    /// `u128`.
    U128,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// Text.
    String,
    /// Bytes, where a type asks for them as such (`serde_bytes`).
    Bytes,
    /// A value or none.
    Option(Box<Shape>),
    /// Any number of values.
    Seq(Box<Shape>),
    /// Any number of keys with values.
    Map(Box<Shape>, Box<Shape>),
    /// A fixed number of values: tuples and arrays.
    Tuple(Vec<Shape>),
    /// A type with a name: see [`super::Schema::types`].
    Type(String),
    /// A type whose shape cannot be found, by its Rust name: it is restored only as exactly the same type.
    Opaque(String),
    /// Not found yet; no finished schema has it.
    #[serde(skip)]
    Unknown,
}

/// What a type with a name consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// An enum, its variants by index.
    Enum(Vec<Variant>),
    /// A struct.
    #[serde(untagged)]
    Struct(Body),
}

/// The content of a struct or of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Nothing.
    Unit,
    /// One value, laid out as that value alone.
    Newtype(Shape),
    /// Values without names.
    Tuple(Vec<Shape>),
    /// Values with names.
    #[serde(rename = "struct")]
    Fields(Vec<Field>),
}

/// A field of a struct.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, and its aliases.
    pub names: Vec<String>,
    /// Its shape.
    pub shape: Shape,
    /// Whether it may be missing (`#[serde(default)]`, or an `Option`).
    #[serde(default)]
    pub default: bool,
}

impl PartialEq for Field {
    /// Whether a field may be missing says nothing of how it is laid out.
    fn eq(&self, other: &Field) -> bool {
        self.names == other.names && self.shape == other.shape
    }
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name, and its aliases.
    pub names: Vec<String>,
    /// Its content.
    pub body: Body,
}

impl Shape {
    /// Calls `visit` for the names of all types that this shape refers to directly.
    pub(super) fn each_type<'a>(&'a self, visit: &mut dyn FnMut(&'a String)) {
        match self {
            Shape::Type(name) => visit(name),
            Shape::Option(inner) | Shape::Seq(inner) => inner.each_type(visit),
            Shape::Map(key, value) => {
                key.each_type(visit);
                value.each_type(visit);
            }
            Shape::Tuple(parts) => parts.iter().for_each(|part| part.each_type(visit)),
            _ => {}
        }
    }

    /// Replaces the names of types.
    pub(super) fn rename(&mut self, name: &dyn Fn(&str) -> String) {
        match self {
            Shape::Type(old) => *old = name(old),
            Shape::Option(inner) | Shape::Seq(inner) => inner.rename(name),
            Shape::Map(key, value) => {
                key.rename(name);
                value.rename(name);
            }
            Shape::Tuple(parts) => parts.iter_mut().for_each(|part| part.rename(name)),
            _ => {}
        }
    }
}

impl Body {
    /// The shapes in it, in order.
    pub(super) fn shapes(&self) -> Vec<&Shape> {
        match self {
            Body::Unit => Vec::new(),
            Body::Newtype(shape) => vec![shape],
            Body::Tuple(shapes) => shapes.iter().collect(),
            Body::Fields(fields) => fields.iter().map(|field| &field.shape).collect(),
        }
    }

    /// The shapes in it, in order, to change them.
    pub(super) fn shapes_mut(&mut self) -> Vec<&mut Shape> {
        match self {
            Body::Unit => Vec::new(),
            Body::Newtype(shape) => vec![shape],
            Body::Tuple(shapes) => shapes.iter_mut().collect(),
            Body::Fields(fields) => fields.iter_mut().map(|field| &mut field.shape).collect(),
        }
    }
}

impl Definition {
    /// All shapes in it, in order.
    pub(super) fn shapes(&self) -> Vec<&Shape> {
        match self {
            Definition::Struct(body) => body.shapes(),
            Definition::Enum(variants) => variants.iter().flat_map(|variant| variant.body.shapes()).collect(),
        }
    }

    /// All shapes in it, in order, to change them.
    pub(super) fn shapes_mut(&mut self) -> Vec<&mut Shape> {
        match self {
            Definition::Struct(body) => body.shapes_mut(),
            Definition::Enum(variants) => variants.iter_mut().flat_map(|v| v.body.shapes_mut()).collect(),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Shape {
    /// As one would write it in Rust.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Unit => f.write_str("()"),
            Shape::Option(inner) => write!(f, "Option<{inner}>"),
            Shape::Seq(inner) => write!(f, "Vec<{inner}>"),
            Shape::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Shape::Tuple(parts) => write!(f, "({})", list(parts)),
            Shape::Type(name) => f.write_str(name),
            Shape::Opaque(name) => write!(f, "{name} (opaque)"),
            Shape::Unknown => f.write_str("?"),
            Shape::String => f.write_str("String"),
            Shape::Bytes => f.write_str("Bytes"),
            primitive => f.write_str(&format!("{primitive:?}").to_lowercase()),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.names.join(" or "), self.shape)?;
        f.write_str(if self.default { " = default" } else { "" })
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Unit => Ok(()),
            Body::Newtype(shape) => write!(f, "({shape})"),
            Body::Tuple(shapes) => write!(f, "({})", list(shapes)),
            Body::Fields(fields) => write!(f, " {{ {} }}", list(fields)),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.names.join(" or "), self.body)
    }
}
