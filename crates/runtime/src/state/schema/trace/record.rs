//! The fields of a struct: their names, aliases and shapes, and which of them may be missing.
//!
//! `serde` hands a deserializer the names of all fields and all their aliases in one list. Which of them belong together
//! shows when the type refuses the second one of a field, whose identifier is then found equal to an earlier one's.

use super::probe::{Probe, TraceError, hash_of};
use super::types::{Types, merge};
use crate::state::schema::shape::{Field, Shape};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::cell::RefCell;

/// One name of the list.
#[derive(Debug, Clone, Default)]
struct Name {
    /// The hash of the identifier that it is read as.
    hash: Option<u64>,
    /// Another name for an earlier field.
    alias_of: Option<usize>,
    shape: Option<Shape>,
    /// Whether the field may be missing, once that was tried.
    default: Option<bool>,
}

/// The fields of one struct or variant, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    list: &'static [&'static str],
    names: Vec<Name>,
    /// The type reads its fields only in order, without names.
    by_position: bool,
}

impl Record {
    pub fn new(list: &'static [&'static str]) -> Record {
        Record { list, names: vec![Name::default(); list.len()], by_position: false }
    }

    fn primary(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate().filter(|(_, name)| name.alias_of.is_none())
    }

    /// Whether each field is known, apart from what its shape refers to.
    pub fn is_known(&self) -> bool {
        self.primary().all(|(_, name)| name.shape.is_some() && name.default.is_some())
    }

    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.primary().filter_map(|(_, name)| name.shape.as_ref())
    }

    /// The fields, in the order in which they are laid out.
    pub fn fields(&self) -> Vec<Field> {
        let names_of = |index: usize| {
            let same = |(other, name): &(usize, &Name)| *other == index || name.alias_of == Some(index);
            self.names
                .iter()
                .enumerate()
                .filter(same)
                .map(|(other, _)| self.list[other].to_string())
                .collect()
        };
        let field = |(index, name): (usize, &Name)| Field {
            names: names_of(index),
            shape: name.shape.clone().unwrap_or(Shape::Unit),
            default: name.default == Some(true),
        };
        self.primary().map(field).collect()
    }

    /// Lets a type read the fields, and notes what it does.
    pub fn read<'de, V: Visitor<'de>>(
        &mut self,
        types: &RefCell<Types>,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        if self.by_position {
            return self.read_by_position(types, visitor);
        }
        let omitted = self.omitted(types.borrow().is_short());
        let mut access =
            Access { record: self, types, omitted, next: 0, pending: None, ended: false, taken: 0 };
        let outcome = visitor.visit_map(&mut access);
        let (pending, ended, taken) = (access.pending, access.ended, access.taken);
        match outcome {
            Ok(value) => {
                self.omission(omitted, true, types);
                Ok(value)
            }
            Err(error) => {
                match pending {
                    Some(index) => self.refused(index, types),
                    None if ended => self.omission(omitted, false, types),
                    None if taken == 0 => {
                        self.by_position = true;
                        types.borrow_mut().progress = true;
                    }
                    None => {}
                }
                Err(error)
            }
        }
    }

    /// The field that is left out in this reading, to see whether it may be missing. Only once all are known.
    fn omitted(&self, short: bool) -> Option<usize> {
        let known = self.primary().all(|(_, name)| name.shape.is_some());
        self.primary().find(|(_, name)| !short && known && name.default.is_none()).map(|(index, _)| index)
    }

    fn omission(&mut self, omitted: Option<usize>, accepted: bool, types: &RefCell<Types>) {
        let Some(index) = omitted else { return };
        self.names[index].default = Some(accepted);
        types.borrow_mut().progress = true;
    }

    /// The type did not take the value of a name: it has seen the field already.
    fn refused(&mut self, index: usize, types: &RefCell<Types>) {
        let hash = self.names[index].hash;
        let earlier = self.names[..index].iter().position(|n| n.alias_of.is_none() && n.hash == hash);
        if let Some(earlier) = earlier {
            self.names[index].alias_of = Some(earlier);
            types.borrow_mut().progress = true;
        }
    }

    fn read_by_position<'de, V: Visitor<'de>>(
        &mut self,
        types: &RefCell<Types>,
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let mut shapes = Vec::new();
        let value =
            visitor.visit_seq(super::access::Parts { types, shapes: &mut shapes, left: self.list.len() })?;
        for (name, shape) in self.names.iter_mut().zip(shapes) {
            merge(name.shape.get_or_insert(Shape::Unknown), shape);
            name.default = Some(false);
        }
        Ok(value)
    }
}

/// Hands out the names with made-up values.
struct Access<'a> {
    record: &'a mut Record,
    types: &'a RefCell<Types>,
    omitted: Option<usize>,
    next: usize,
    /// The name whose value has not been asked for.
    pending: Option<usize>,
    /// All names were handed out.
    ended: bool,
    taken: usize,
}

impl<'de> de::MapAccess<'de> for &mut Access<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        let wanted =
            |index: &usize| self.record.names[*index].alias_of.is_none() && Some(*index) != self.omitted;
        let Some(index) = (self.next..self.record.list.len()).find(wanted) else {
            self.ended = true;
            return Ok(None);
        };
        let name: StrDeserializer<'_, TraceError> = self.record.list[index].into_deserializer();
        let identifier = seed.deserialize(name)?;
        self.record.names[index].hash = Some(hash_of(&identifier));
        (self.next, self.pending, self.taken) = (index + 1, Some(index), self.taken + 1);
        Ok(Some(identifier))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        let mut shape = Shape::Unknown;
        let index = self.pending.take();
        let value = seed.deserialize(Probe { types: self.types, out: &mut shape })?;
        if let Some(index) = index {
            merge(self.record.names[index].shape.get_or_insert(Shape::Unknown), shape);
        }
        Ok(value)
    }
}
