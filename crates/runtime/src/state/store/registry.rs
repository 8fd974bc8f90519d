//! Which tables a store has: kept in the store itself, so that its files alone say what is in them.
//!
//! Column 0 holds an entry for each table: behind the head of a key stands the table's kind and name (as in
//! [`kvick_core::checkpoint::KeyedState::kind`]), its value is JSON. The entry without kind has the key groups of the store.

use super::ByteStore;
use super::keys::{self, Column};
use crate::state::StateError;
use crate::state::schema::Schema;
use kvick_core::checkpoint::KeyGroups;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const REGISTRY: Column = 0;

/// One table of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// Where its entries are.
    pub column: Column,
    /// How its entries were written.
    pub schema: Schema,
}

/// All tables of a store, by kind and name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    pub tables: BTreeMap<String, Registered>,
    /// The groups that the store was kept for; it may have no others.
    pub groups: Option<KeyGroups>,
    /// The last column that may not be used again.
    forgotten: Option<Column>,
}

fn key_of(kind: &str) -> Vec<u8> {
    let mut key = Vec::new();
    keys::begin(&mut key, REGISTRY, 0);
    key.extend_from_slice(kind.as_bytes());
    key
}

impl Registry {
    /// What a store says.
    pub fn load(store: &dyn ByteStore) -> Result<Registry, StateError> {
        let (from, to) = keys::whole(REGISTRY);
        let mut found = Registry::default();
        let mut failure = None;
        store.scan(&from, &to, &mut |key, value| {
            let kind = String::from_utf8_lossy(key.get(4..).unwrap_or_default()).into_owned();
            failure = found.add(kind, value).err();
            failure.is_none()
        })?;
        failure.map_or(Ok(found), Err)
    }

    fn add(&mut self, kind: String, value: &[u8]) -> Result<(), StateError> {
        let failed = |error| unreadable(kind.clone(), &error);
        if kind.is_empty() {
            self.groups = Some(serde_json::from_slice(value).map_err(failed)?);
        } else {
            let registered = serde_json::from_slice(value).map_err(failed)?;
            self.tables.insert(kind, registered);
        }
        Ok(())
    }

    /// Notes the groups that the store is kept for.
    pub fn keep_groups(&mut self, store: &dyn ByteStore, groups: KeyGroups) -> Result<(), StateError> {
        let value = serde_json::to_vec(&groups).map_err(|error| unreadable(String::new(), &error))?;
        store.put(&key_of(""), &value)?;
        self.groups = Some(groups);
        Ok(())
    }

    /// The column that the next new table gets.
    pub fn next_column(&self) -> Column {
        let used = self.tables.values().map(|registered| registered.column).chain(self.forgotten);
        used.max().unwrap_or(REGISTRY) + 1
    }

    /// The next [`Registry::register`] of a table gives it a new column.
    pub fn forget(&mut self, kind: &str) {
        let next = self.next_column();
        self.tables.remove(kind);
        self.forgotten = Some(next - 1);
    }

    /// The column of a table, made where there is none. Its schema becomes `schema`.
    pub fn register(
        &mut self,
        store: &dyn ByteStore,
        kind: &str,
        schema: Schema,
    ) -> Result<Column, StateError> {
        let column = match self.tables.get(kind) {
            Some(registered) => registered.column,
            None => self.next_column(),
        };
        let registered = Registered { column, schema };
        let value = serde_json::to_vec(&registered).map_err(|error| unreadable(kind.to_string(), &error))?;
        store.put(&key_of(kind), &value)?;
        self.tables.insert(kind.to_string(), registered);
        Ok(column)
    }
}

fn unreadable(state: String, error: &serde_json::Error) -> StateError {
    StateError::Unreadable { state, reason: format!("what the store says of it is not understood: {error}") }
}
