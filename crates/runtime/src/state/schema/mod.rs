//! Schemas of state: what a type looked like when its values were written, so that a later program can read them.
//!
//! State is written with postcard, which holds no names; the schema beside it does. It is found by letting the type read
//! itself from a `trace` of made-up values, kept as JSON in the head of a state file (`docs/state-format.md`), compared with
//! the schema of the program that restores ([`Schema::migration_to`]), and where they differ in ways that can be bridged,
//! values are read by the written schema ([`decode_with`]): fields are then found by name.
//!
//! Knows nothing of tables, files or backends.

mod compatible;
mod input;
mod reader;
mod reader_access;
mod shape;
#[cfg(test)]
mod tests;
mod trace;

pub use reader::Reader;
pub use shape::{Body, Definition, Field, Shape, Variant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The form of the JSON that this engine writes, and the newest that it reads.
pub const SCHEMA_FORMAT: u32 = 1;

/// What the values of a type look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// [`SCHEMA_FORMAT`] of the engine that wrote it.
    pub format: u32,
    /// The shape of the type itself.
    pub root: Shape,
    /// The types with names that it refers to. Where two have the same name, the later one met has `#2` behind it.
    pub types: BTreeMap<String, Definition>,
}

/// A schema that cannot be found, read or followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The type asks the format what comes next, and the format of state does not know.
    #[error(
        "{type_name} cannot be kept as state: its Deserialize asks the format what a value is, as serde_json::Value and types \
         with #[serde(untagged)], #[serde(tag = ..)] or #[serde(flatten)] do; state holds no such hints. Use a plain struct or enum"
    )]
    SelfDescribing {
        /// The type.
        type_name: String,
    },
    /// The text is no schema.
    #[error("the schema cannot be understood: {0}")]
    Parse(String),
    /// A later engine wrote it.
    #[error(
        "the schema is of format {found}, this engine reads up to format {SCHEMA_FORMAT}: use a newer engine"
    )]
    TooNew {
        /// Its format.
        found: u32,
    },
    /// Values of the one schema cannot be read as values of the other.
    #[error(
        "the state's type has changed in a way that cannot be bridged:\n  {}\nas it was written:\n{}\nas the program has it:\n{}",
        differences.join("\n  "), indent(written), indent(current)
    )]
    Incompatible {
        /// What stands in the way, each in one line.
        differences: Vec<String>,
        /// The schema in the snapshot.
        written: String,
        /// The schema of the program.
        current: String,
    },
    /// A value does not follow its schema, or the type refuses it.
    #[error("cannot read a value of {type_name}: {reason}; it was written as\n{}", indent(written))]
    Decode {
        /// The type to be read.
        type_name: String,
        /// Why, and where.
        reason: String,
        /// The schema in the snapshot.
        written: String,
    },
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// How values of a written schema are read by the present program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// The same layout and names: plain postcard.
    Same,
    /// By the written schema: [`take_with`].
    Read,
}

impl Schema {
    /// The schema of a type.
    ///
    /// A type that refuses all made-up values (a date that parses text its own way, say) gets an opaque schema, which fits
    /// only itself: such state is restored as it is, but cannot evolve.
    ///
    /// # Errors
    /// [`SchemaError::SelfDescribing`].
    pub fn of<T: DeserializeOwned>() -> Result<Schema, SchemaError> {
        trace::trace::<T>()
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        // Only maps whose keys are no strings, and types that refuse, can fail; a schema has neither.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Schema::to_json`] of this engine or an older one wrote.
    ///
    /// # Errors
    /// The text is no schema, or a later engine's.
    pub fn from_json(text: &str) -> Result<Schema, SchemaError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let parse_error = |error: serde_json::Error| SchemaError::Parse(error.to_string());
        let head: Head = serde_json::from_str(text).map_err(parse_error)?;
        if head.format > SCHEMA_FORMAT {
            return Err(SchemaError::TooNew { found: head.format });
        }
        let schema: Schema = serde_json::from_str(text).map_err(parse_error)?;
        schema.check_references()?;
        Ok(schema)
    }

    fn check_references(&self) -> Result<(), SchemaError> {
        let mut missing = None;
        let shapes = self.types.values().flat_map(Definition::shapes).chain([&self.root]);
        shapes.for_each(|shape| {
            shape.each_type(&mut |name| {
                if !self.types.contains_key(name) {
                    missing = Some(name.clone());
                }
            });
        });
        match missing {
            Some(name) => Err(SchemaError::Parse(format!("the type {name} is referred to, but not there"))),
            None => Ok(()),
        }
    }

    /// Whether the shape of the type could not be found.
    pub fn is_opaque(&self) -> bool {
        matches!(self.root, Shape::Opaque(_))
    }

    /// How values that were written by this schema are read by a program whose schema is `current`.
    ///
    /// # Errors
    /// [`SchemaError::Incompatible`], with both schemas.
    pub fn migration_to(&self, current: &Schema) -> Result<Migration, SchemaError> {
        if self == current {
            return Ok(Migration::Same);
        }
        let differences = compatible::differences(self, current);
        if differences.is_empty() {
            return Ok(Migration::Read);
        }
        let (written, current) = (self.to_string(), current.to_string());
        Err(SchemaError::Incompatible { differences, written, current })
    }

    /// Whether values that were written by this schema can be read by a program whose schema is `current`.
    ///
    /// # Errors
    /// [`SchemaError::Incompatible`], with both schemas.
    pub fn compatible(&self, current: &Schema) -> Result<(), SchemaError> {
        self.migration_to(current).map(|_| ())
    }

    /// A deserializer over postcard bytes that this schema describes.
    pub fn reader<'a, 'de>(&'a self, bytes: &'de [u8]) -> Reader<'a, 'de> {
        Reader::new(self, bytes)
    }
}

/// Reads one value that was written by a schema; the bytes must end with it.
///
/// # Errors
/// [`SchemaError::Decode`].
pub fn decode_with<T: DeserializeOwned>(written: &Schema, bytes: &[u8]) -> Result<T, SchemaError> {
    let (value, rest) = take_with(written, bytes)?;
    if rest.is_empty() {
        return Ok(value);
    }
    Err(decode_error::<T>(written, format!("{} bytes follow it", rest.len())))
}

/// Reads one value that was written by a schema from the beginning of `bytes`, and returns what follows it.
///
/// # Errors
/// [`SchemaError::Decode`].
pub fn take_with<'de, T: DeserializeOwned>(
    written: &Schema,
    bytes: &'de [u8],
) -> Result<(T, &'de [u8]), SchemaError> {
    if written.is_opaque() {
        return postcard::take_from_bytes(bytes)
            .map_err(|error| decode_error::<T>(written, error.to_string()));
    }
    let mut reader = written.reader(bytes);
    let value =
        T::deserialize(reader.value()).map_err(|error| decode_error::<T>(written, error.to_string()))?;
    Ok((value, reader.rest()))
}

fn decode_error<T>(written: &Schema, reason: String) -> SchemaError {
    SchemaError::Decode {
        type_name: std::any::type_name::<T>().to_string(),
        reason,
        written: written.to_string(),
    }
}

impl fmt::Display for Schema {
    /// As one would write it in Rust: the type, then what its parts are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)?;
        for (name, definition) in &self.types {
            match definition {
                Definition::Struct(body) => write!(f, "\nstruct {name}{body}")?,
                Definition::Enum(variants) => {
                    let variants: Vec<String> = variants.iter().map(ToString::to_string).collect();
                    write!(f, "\nenum {name} {{ {} }}", variants.join(", "))?;
                }
            }
        }
        Ok(())
    }
}
