//! What is known of the types so far, and what is being read at the moment.

use super::choice::Choices;
use super::record::Record;
use super::samples::Samples;
use crate::state::schema::shape::{Body, Definition, Shape, Variant};
use std::collections::{BTreeSet, HashMap};

/// Types that lie within each other beyond this do not end.
pub(super) const DEPTH: usize = 48;

/// The content of a struct or variant, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) enum Content {
    #[default]
    Unknown,
    Unit,
    Newtype(Shape),
    Tuple(Vec<Shape>),
    Fields(Record),
}

/// A type with a name.
pub(super) struct Type {
    name: &'static str,
    pub content: Content,
    /// For an enum, instead of the content.
    pub choices: Option<Choices>,
}

/// All types met so far.
#[derive(Default)]
pub(super) struct Types {
    types: Vec<Type>,
    /// The name that `serde` knows and the Rust type: several types may have one name, and one type several.
    by_identity: HashMap<(&'static str, &'static str), usize>,
    /// The types that are being read, the outermost first, and whether each was met within itself.
    path: Vec<(usize, bool)>,
    pub samples: Samples,
    /// Whether this pass has found something that makes another one worth while although it failed.
    pub progress: bool,
    /// Whether a value was refused that cannot be replaced.
    exhausted: bool,
    pub pass: usize,
    /// How many readings of variants came to their end.
    ended: usize,
    /// A type that asked what comes next.
    pub self_describing: Option<String>,
}

/// Adds what a later pass has found.
pub(super) fn merge(known: &mut Shape, found: Shape) {
    match (known, found) {
        (known @ Shape::Unknown, found) => *known = found,
        (Shape::Option(known), Shape::Option(found)) | (Shape::Seq(known), Shape::Seq(found)) => {
            merge(known, *found);
        }
        (Shape::Map(key, value), Shape::Map(found_key, found_value)) => {
            merge(key, *found_key);
            merge(value, *found_value);
        }
        (Shape::Tuple(known), Shape::Tuple(found)) => merge_all(known, found),
        _ => {}
    }
}

fn merge_all(known: &mut Vec<Shape>, found: Vec<Shape>) {
    known.resize(known.len().max(found.len()), Shape::Unknown);
    known.iter_mut().zip(found).for_each(|(known, found)| merge(known, found));
}

impl Content {
    /// Adds what a later pass has found.
    pub fn merge(&mut self, found: Content) {
        match (self, found) {
            (known @ Content::Unknown, found) => *known = found,
            (Content::Newtype(known), Content::Newtype(found)) => merge(known, found),
            (Content::Tuple(known), Content::Tuple(found)) => merge_all(known, found),
            _ => {}
        }
    }

    fn body(&self) -> Body {
        match self {
            Content::Unknown | Content::Unit => Body::Unit,
            Content::Newtype(shape) => Body::Newtype(shape.clone()),
            Content::Tuple(shapes) => Body::Tuple(shapes.clone()),
            Content::Fields(record) => Body::Fields(record.fields()),
        }
    }
}

impl Types {
    /// Begins to read a type: its index, and whether it is to be kept short.
    pub fn enter(&mut self, name: &'static str, rust_name: &'static str) -> Result<(usize, bool), ()> {
        if self.path.len() >= DEPTH {
            self.progress = true;
            return Err(());
        }
        let next = self.types.len();
        let index = *self.by_identity.entry((name, rust_name)).or_insert(next);
        if index == next {
            self.types.push(Type { name, content: Content::Unknown, choices: None });
        }
        let within_itself = self.path.iter().any(|(outer, _)| *outer == index);
        self.path.push((index, within_itself));
        Ok((index, self.is_short()))
    }

    /// Ends to read a type.
    pub fn leave(&mut self) {
        self.path.pop();
    }

    /// Whether what is read now is to be kept short.
    pub fn is_short(&self) -> bool {
        self.path.iter().any(|(_, within_itself)| *within_itself)
    }

    /// A type, to note what was found.
    pub fn get(&mut self, index: usize) -> &mut Type {
        &mut self.types[index]
    }

    /// Counts a reading of a variant that came to its end.
    pub fn count_end(&mut self) -> usize {
        self.ended += 1;
        self.ended
    }

    /// A value was refused by the type itself.
    pub fn refuse(&mut self, type_name: &'static str) {
        if self.samples.refuse(type_name) {
            self.progress = true;
        } else {
            self.exhausted = true;
        }
    }

    /// Prepares the next pass; `false` when there is no point in one.
    pub fn next_pass(&mut self, succeeded: bool) -> bool {
        self.pass += 1;
        self.path.clear();
        let progress = std::mem::take(&mut self.progress);
        succeeded || (!self.exhausted && (progress || self.samples.next_round()))
    }

    /// Whether all that a shape refers to is known.
    pub fn is_complete(&self, shape: &Shape) -> bool {
        self.complete(shape, &mut BTreeSet::new())
    }

    /// Whether all that a content refers to is known.
    pub fn is_content_complete(&self, content: &Content) -> bool {
        self.content_complete(content, &mut BTreeSet::new())
    }

    fn complete(&self, shape: &Shape, seen: &mut BTreeSet<usize>) -> bool {
        match shape {
            Shape::Unknown => false,
            Shape::Option(inner) | Shape::Seq(inner) => self.complete(inner, seen),
            Shape::Map(key, value) => self.complete(key, seen) && self.complete(value, seen),
            Shape::Tuple(parts) => parts.iter().all(|part| self.complete(part, seen)),
            Shape::Type(id) => self.type_complete(index_of(id), seen),
            _ => true,
        }
    }

    fn type_complete(&self, index: usize, seen: &mut BTreeSet<usize>) -> bool {
        if !seen.insert(index) {
            return true;
        }
        let Some(known) = self.types.get(index) else { return false };
        match &known.choices {
            Some(choices) => {
                choices.all_met() && choices.contents().all(|content| self.content_complete(content, seen))
            }
            None => self.content_complete(&known.content, seen),
        }
    }

    fn content_complete(&self, content: &Content, seen: &mut BTreeSet<usize>) -> bool {
        match content {
            Content::Unknown => false,
            Content::Unit => true,
            Content::Newtype(shape) => self.complete(shape, seen),
            Content::Tuple(shapes) => shapes.iter().all(|shape| self.complete(shape, seen)),
            Content::Fields(record) => {
                record.is_known() && record.shapes().all(|shape| self.complete(shape, seen))
            }
        }
    }

    /// The name of a type.
    pub fn name(&self, id: &str) -> &'static str {
        self.types.get(index_of(id)).map_or("", |known| known.name)
    }

    /// What a type consists of.
    pub fn definition(&self, id: &str) -> Definition {
        let Some(known) = self.types.get(index_of(id)) else { return Definition::Struct(Body::Unit) };
        match &known.choices {
            None => Definition::Struct(known.content.body()),
            Some(choices) => Definition::Enum(
                choices.named().map(|(names, content)| Variant { names, body: content.body() }).collect(),
            ),
        }
    }
}

/// While types are traced, their index stands for their name.
pub(super) fn id_of(index: usize) -> String {
    index.to_string()
}

fn index_of(id: &str) -> usize {
    id.parse().unwrap_or(usize::MAX)
}
