//! What keeps values of one schema from being read as values of another. Pure.
//!
//! Allowed: fields that are new and may be missing, or gone; names that have become aliases; integers and floats that have
//! become wider without loss; a value that has become optional; variants that are new; types that have another name, or are
//! wrapped in a struct of their own.

use super::Schema;
use super::shape::{Body, Definition, Field, Shape, Variant};
use std::collections::BTreeSet;

/// Every difference that cannot be bridged, one line each.
pub(super) fn differences(written: &Schema, current: &Schema) -> Vec<String> {
    let mut comparison = Comparison { written, current, seen: BTreeSet::new(), found: Vec::new() };
    comparison.shapes("", &written.root, &current.root);
    comparison.found
}

struct Comparison<'a> {
    written: &'a Schema,
    current: &'a Schema,
    seen: BTreeSet<(&'a str, &'a str)>,
    found: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn differ(&mut self, path: &str, what: impl std::fmt::Display) {
        let place = if path.is_empty() { "the value itself" } else { path };
        self.found.push(format!("{place}: {what}"));
    }

    fn shapes(&mut self, path: &str, written: &'a Shape, current: &'a Shape) {
        let (written, current) = (unwrapped(self.written, written), unwrapped(self.current, current));
        match (written, current) {
            (Shape::Opaque(_), _) | (_, Shape::Opaque(_)) => {
                if written != current {
                    self.differ(
                        path,
                        format!("written as {written}, now {current}: an opaque type cannot change"),
                    );
                }
            }
            (Shape::Option(written), Shape::Option(current)) => self.shapes(path, written, current),
            (written, Shape::Option(current)) => self.shapes(path, written, current),
            (Shape::Seq(written), Shape::Seq(current)) => self.shapes(&format!("{path}[]"), written, current),
            (Shape::Map(key, value), Shape::Map(new_key, new_value)) => {
                self.shapes(&format!("{path}[key]"), key, new_key);
                self.shapes(&format!("{path}[value]"), value, new_value);
            }
            (Shape::Tuple(written), Shape::Tuple(current)) => self.tuples(path, written, current),
            (Shape::Type(written), Shape::Type(current)) => self.types(path, written, current),
            (written, current) if widens(written, current) => {}
            (written, current) => self.differ(path, format!("written as {written}, now {current}")),
        }
    }

    fn tuples(&mut self, path: &str, written: &'a [Shape], current: &'a [Shape]) {
        if written.len() != current.len() {
            return self.differ(path, format!("written as {} values, now {}", written.len(), current.len()));
        }
        for (index, (written, current)) in written.iter().zip(current).enumerate() {
            self.shapes(&join(path, &index.to_string()), written, current);
        }
    }

    fn types(&mut self, path: &str, written: &'a str, current: &'a str) {
        if !self.seen.insert((written, current)) {
            return;
        }
        let path = if path.is_empty() { written } else { path };
        match (self.written.types.get(written), self.current.types.get(current)) {
            (Some(Definition::Struct(written)), Some(Definition::Struct(current))) => {
                self.bodies(path, written, current);
            }
            (Some(Definition::Enum(written)), Some(Definition::Enum(current))) => {
                self.enums(path, written, current);
            }
            _ => {
                self.differ(path, format!("{written} was a struct and {current} is an enum, or the reverse"))
            }
        }
    }

    fn bodies(&mut self, path: &str, written: &'a Body, current: &'a Body) {
        match (written, current) {
            (_, Body::Unit) => {}
            (Body::Newtype(written), Body::Newtype(current)) => self.shapes(path, written, current),
            (Body::Tuple(written), Body::Tuple(current)) => self.tuples(path, written, current),
            (Body::Fields(written), Body::Fields(current)) => self.fields(path, written, current),
            _ => self.differ(path, format!("written with the content \"{written}\", now \"{current}\"")),
        }
    }

    fn fields(&mut self, path: &str, written: &'a [Field], current: &'a [Field]) {
        for field in current {
            let same: Vec<&Field> = written.iter().filter(|old| share(&old.names, &field.names)).collect();
            let name = field.names.first().map_or("", String::as_str);
            match same.as_slice() {
                [] if field.default => {}
                [] => self.differ(
                    &join(path, name),
                    "the field is new: give it #[serde(default)], or, if it was renamed, #[serde(alias = \"old name\")]",
                ),
                [old] => self.shapes(&join(path, name), &old.shape, &field.shape),
                _ => self.differ(&join(path, name), "several fields that were written have its names"),
            }
        }
    }

    fn enums(&mut self, path: &str, written: &'a [Variant], current: &'a [Variant]) {
        for variant in written {
            let name = variant.names.first().map_or("", String::as_str);
            match current.iter().find(|new| share(&variant.names, &new.names)) {
                Some(new) => self.bodies(&format!("{path}::{name}"), &variant.body, &new.body),
                None => self.differ(
                    &format!("{path}::{name}"),
                    "the variant is gone: keep it, or, if it was renamed, give its successor #[serde(alias = \"old name\")]",
                ),
            }
        }
    }
}

fn share(some: &[String], others: &[String]) -> bool {
    some.iter().any(|name| others.contains(name))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// A shape without the structs of one value around it.
fn unwrapped<'a>(schema: &'a Schema, shape: &'a Shape) -> &'a Shape {
    let mut shape = shape;
    // No type holds itself alone, but a schema from a file might say so.
    for _ in 0..schema.types.len() {
        let Shape::Type(name) = shape else { break };
        let Some(Definition::Struct(Body::Newtype(inner))) = schema.types.get(name) else { break };
        shape = inner;
    }
    shape
}

/// Whether every value of one primitive is a value of the other.
fn widens(written: &Shape, current: &Shape) -> bool {
    if written == current {
        return true;
    }
    match (integer(written), integer(current), current) {
        // A signed type needs one bit more than an unsigned one with the same values.
        (Some((from_signed, from)), Some((to_signed, to)), _) => match (from_signed, to_signed) {
            (true, false) => false,
            (false, true) => from < to,
            _ => from <= to,
        },
        (Some((_, bits)), None, Shape::F64) => bits <= 32,
        (Some((_, bits)), None, Shape::F32) => bits <= 16,
        _ => matches!((written, current), (Shape::F32, Shape::F64) | (Shape::Char, Shape::String)),
    }
}

/// Whether an integer is signed, and how many bits it has.
fn integer(shape: &Shape) -> Option<(bool, u32)> {
    Some(match shape {
        Shape::I8 => (true, 8),
        Shape::I16 => (true, 16),
        Shape::I32 => (true, 32),
        Shape::I64 => (true, 64),
        Shape::I128 => (true, 128),
        Shape::U8 => (false, 8),
        Shape::U16 => (false, 16),
        Shape::U32 => (false, 32),
        Shape::U64 => (false, 64),
        Shape::U128 => (false, 128),
        _ => return None,
    })
}
