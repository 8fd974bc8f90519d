//! Finding the schema of a type: it is made to read itself from made-up values, again and again, until every variant of
//! every enum in it was met, and what it asked for on the way is noted.
//!
//! A type that is met within itself is kept short there (options empty, sequences empty, a variant that is known to end), so
//! that recursive types come to an end.

mod access;
mod choice;
mod probe;
mod record;
mod samples;
mod types;

use super::shape::{Definition, Shape};
use super::{SCHEMA_FORMAT, Schema, SchemaError};
use probe::Probe;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use types::Types;

/// After so many readings a type counts as opaque: none that anybody writes needs as many.
const PASSES: usize = 20_000;

/// See [`Schema::of`].
pub(super) fn trace<T: DeserializeOwned>() -> Result<Schema, SchemaError> {
    let types = RefCell::new(Types::default());
    let mut root = Shape::Unknown;
    for _ in 0..PASSES {
        let mut shape = Shape::Unknown;
        let probe = Probe { types: &types, out: &mut shape };
        // A type that panics at what is made up is as opaque as one that refuses it.
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| T::deserialize(probe))) else { break };
        let mut found = types.borrow_mut();
        if let Some(type_name) = found.self_describing.take() {
            return Err(SchemaError::SelfDescribing { type_name });
        }
        types::merge(&mut root, shape);
        if outcome.is_ok() && found.is_complete(&root) {
            return Ok(finish(root, &found));
        }
        if !found.next_pass(outcome.is_ok()) {
            break;
        }
    }
    let name = std::any::type_name::<T>().to_string();
    Ok(Schema { format: SCHEMA_FORMAT, root: Shape::Opaque(name), types: BTreeMap::new() })
}

/// Gives the types that the root refers to their final names.
fn finish(mut root: Shape, found: &Types) -> Schema {
    let mut order: Vec<String> = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    root.each_type(&mut |name| waiting.push(name.clone()));
    waiting.reverse();
    let mut definitions: BTreeMap<String, Definition> = BTreeMap::new();
    while let Some(id) = waiting.pop() {
        if definitions.contains_key(&id) {
            continue;
        }
        let definition = found.definition(&id);
        let mut inner: Vec<String> = Vec::new();
        definition.shapes().iter().for_each(|s| s.each_type(&mut |name| inner.push(name.clone())));
        waiting.extend(inner.into_iter().rev());
        order.push(id.clone());
        definitions.insert(id, definition);
    }
    let names = final_names(&order, found);
    let rename = |id: &str| names.get(id).cloned().unwrap_or_default();
    root.rename(&rename);
    let types = definitions
        .into_iter()
        .map(|(id, mut definition)| {
            definition.shapes_mut().into_iter().for_each(|shape| shape.rename(&rename));
            (rename(&id), definition)
        })
        .collect();
    Schema { format: SCHEMA_FORMAT, root, types }
}

fn final_names(order: &[String], found: &Types) -> BTreeMap<String, String> {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for id in order {
        let name = found.name(id);
        let count = uses.entry(name).or_default();
        *count += 1;
        let unique = if *count == 1 { name.to_string() } else { format!("{name}#{count}") };
        names.insert(id.clone(), unique);
    }
    names
}
