//! Stores from the files of a checkpoint: opened as they are where they hold the right key groups, else put together.

use super::abi::StoreOptions;
use super::canonical::SavedStore;
use super::directory::LocalDirectory;
use super::files::{Files, download};
use super::keys;
use super::plugin::StatePlugin;
use super::registry::Registry;
use super::{ByteStore, Changes};
use crate::snapshot::StateReader;
use crate::state::StateError;
use kvick_core::checkpoint::{KeyGroups, KeyedData, KeyedState};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Bytes of changes gathered before they are done.
const BATCH: usize = 1 << 20;

/// The files of a part of restored state.
pub(crate) fn files_of(part: &KeyedState) -> Result<&Files, StateError> {
    match &part.data {
        KeyedData::Files { files } => Ok(files),
        KeyedData::Stream { .. } => Err(StateError::Unreadable {
            state: part.kind.clone(),
            reason: "it is a stream where files are expected: the checkpoint's metadata is damaged"
                .to_string(),
        }),
    }
}

/// A store that was fetched to be read.
pub(crate) struct FetchedStore {
    pub saved: Arc<SavedStore>,
    pub registry: Registry,
    /// The groups that are wanted of it.
    pub groups: KeyGroups,
}

impl FetchedStore {
    /// Fetches the files of a part to a directory of this name below another.
    pub fn fetch(
        part: &KeyedState,
        reader: &StateReader,
        plugin: StatePlugin,
        (parent, name): (&Path, &str),
        threads: usize,
    ) -> Result<FetchedStore, StateError> {
        let directory = LocalDirectory::make(parent, name)?;
        download(files_of(part)?, reader, directory.path(), threads)?;
        let saved = Arc::new(SavedStore::new(plugin, directory));
        let store = saved.open()?;
        let registry = Registry::load(&*store)?;
        Ok(FetchedStore { saved, registry, groups: part.key_groups })
    }

    /// Visits the entries of a table, of the groups that are wanted.
    pub fn each(
        &self,
        kind: &str,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let Some(table) = self.registry.tables.get(kind) else { return Ok(()) };
        let (from, to) = keys::range(table.column, &(self.groups.start..self.groups.end));
        let mut outcome = Ok(());
        self.saved.open()?.scan(&from, &to, &mut |key, value| {
            outcome = visit(key, value);
            outcome.is_ok()
        })?;
        outcome
    }

    /// Copies all its tables into another store.
    pub fn pour(&self, into: &dyn ByteStore, registry: &mut Registry) -> Result<(), StateError> {
        for (kind, table) in &self.registry.tables {
            let column = match registry.tables.get(kind) {
                Some(there) if there.schema != table.schema => {
                    let reason = "its parts were written with different schemas".to_string();
                    return Err(StateError::Unreadable { state: kind.clone(), reason });
                }
                Some(there) => there.column,
                None => registry.register(into, kind, table.schema.clone())?,
            };
            let (mut changes, mut target) = (Changes::default(), Vec::new());
            self.each(kind, |key, value| {
                target.clear();
                keys::begin(&mut target, column, keys::group_of(key));
                target.extend_from_slice(key.get(4..).unwrap_or_default());
                changes.put(&target, value);
                if changes.len() >= BATCH {
                    into.write(&changes)?;
                    changes.clear();
                }
                Ok(())
            })?;
            into.write(&changes)?;
        }
        Ok(())
    }
}

/// Removes from a store what belongs to other groups.
pub(crate) fn clip(
    store: &dyn ByteStore,
    registry: &mut Registry,
    groups: &Range<u32>,
) -> Result<(), StateError> {
    let wanted = KeyGroups { start: groups.start, end: groups.end };
    if registry.groups != Some(wanted) {
        for table in registry.tables.values() {
            for others in [0..groups.start, groups.end..u32::from(u16::MAX)] {
                let (from, to) = keys::range(table.column, &others);
                store.delete_range(&from, &to)?;
            }
        }
    }
    registry.keep_groups(store, wanted)
}

/// The part that becomes the store itself: the one that most of the groups are taken from. The others follow.
pub(crate) fn largest_first(mut parts: Vec<KeyedState>) -> Vec<KeyedState> {
    parts.sort_by_key(|part| std::cmp::Reverse(part.key_groups.len()));
    parts
}

/// Options of a store that is written.
pub(crate) fn writable(options: &StoreOptions) -> StoreOptions {
    StoreOptions { read_only: false, ..*options }
}
