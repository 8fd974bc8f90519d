//! What a type is handed while it reads its parts: elements, entries, variants, each of them made up.

use super::choice::{Choices, Pick};
use super::probe::{Probe, TraceError, hash_of, read_tuple, record_of};
use super::types::{Content, Types};
use crate::state::schema::shape::Shape;
use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::cell::RefCell;

/// A fixed number of values without names.
pub(super) struct Parts<'a> {
    pub types: &'a RefCell<Types>,
    pub shapes: &'a mut Vec<Shape>,
    pub left: usize,
}

impl<'de> de::SeqAccess<'de> for Parts<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut shape = Shape::Unknown;
        let outcome = seed.deserialize(Probe { types: self.types, out: &mut shape });
        self.shapes.push(shape);
        outcome.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// One value, or one key with a value; none where things are kept short.
pub(super) struct Repeated<'a> {
    types: &'a RefCell<Types>,
    pub key: Shape,
    pub value: Shape,
    left: usize,
}

impl<'a> Repeated<'a> {
    pub fn new(types: &'a RefCell<Types>) -> Repeated<'a> {
        let left = usize::from(!types.borrow().is_short());
        Repeated { types, key: Shape::Unknown, value: Shape::Unknown, left }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Repeated<'_> {
    type Error = TraceError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Probe { types: self.types, out: &mut self.value }).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for &mut Repeated<'_> {
    type Error = TraceError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TraceError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Probe { types: self.types, out: &mut self.key }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TraceError> {
        seed.deserialize(Probe { types: self.types, out: &mut self.value })
    }
}

/// One of several variants.
pub(super) struct Choice<'a> {
    pub types: &'a RefCell<Types>,
    pub index: usize,
    pub short: bool,
}

impl Choice<'_> {
    fn choices<R>(&self, act: impl FnOnce(&mut Choices) -> R) -> R {
        let mut types = self.types.borrow_mut();
        let choices = types.get(self.index).choices.get_or_insert_with(|| Choices::new(&[]));
        act(choices)
    }

    fn pick(&self) -> Pick {
        let choices = self.choices(|choices| choices.clone());
        choices.pick(self.short, &self.types.borrow(), self.index)
    }
}

impl<'de, 'a> de::EnumAccess<'de> for Choice<'a> {
    type Error = TraceError;
    type Variant = Variant<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Variant<'a>), TraceError> {
        let pick = self.pick();
        let read = match pick {
            Pick::Name(position) => {
                let name: StrDeserializer<'_, TraceError> =
                    self.choices(|c| c.name(position)).into_deserializer();
                seed.deserialize(name)
            }
            Pick::Index(index) => {
                let number: U32Deserializer<TraceError> = (index as u32).into_deserializer();
                seed.deserialize(number)
            }
        };
        if let (Err(_), Pick::Index(index)) = (&read, pick) {
            self.choices(|choices| choices.end_at(index));
            self.types.borrow_mut().progress = true;
        }
        let identifier = read?;
        let variant = self.choices(|choices| choices.met(pick, hash_of(&identifier)));
        self.types.borrow_mut().progress |= matches!(pick, Pick::Name(_));
        Ok((identifier, Variant { choice: self, variant }))
    }
}

/// The content of a variant; of an unknown one where a name was read whose index is not known.
pub(super) struct Variant<'a> {
    choice: Choice<'a>,
    variant: Option<usize>,
}

impl Variant<'_> {
    fn finish<T>(self, content: Content, outcome: Result<T, TraceError>) -> Result<T, TraceError> {
        let Some(variant) = self.variant else { return outcome };
        let when = self.choice.types.borrow_mut().count_end();
        self.choice.choices(|choices| {
            match content {
                // A copy of what was known, with what was found.
                fields @ Content::Fields(_) => *choices.content(variant) = fields,
                other => choices.content(variant).merge(other),
            }
            if outcome.is_ok() {
                choices.ended(variant, when);
            }
        });
        outcome
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = TraceError;

    fn unit_variant(self) -> Result<(), TraceError> {
        self.finish(Content::Unit, Ok(()))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, TraceError> {
        let mut inner = Shape::Unknown;
        let outcome = seed.deserialize(Probe { types: self.choice.types, out: &mut inner });
        self.finish(Content::Newtype(inner), outcome)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, TraceError> {
        let mut content = Content::Unknown;
        let outcome = read_tuple(self.choice.types, len, visitor, &mut content);
        self.finish(content, outcome)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TraceError> {
        let known = self.variant.map(|variant| self.choice.choices(|c| c.content(variant).clone()));
        let mut record = record_of(&known.unwrap_or_default(), fields);
        let outcome = record.read(self.choice.types, visitor);
        self.finish(Content::Fields(record), outcome)
    }
}
