//! What all tables of one operator share: the range of key groups, and what was restored for them.

use super::segments::Segments;
use super::table::{Inner, Table};
use super::ttl::StateTtl;
use super::{Keyed, MapInner, MapTable, StateError};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::format::{MAP_KIND, TABLE_KIND};
use crate::snapshot::{OperatorSnapshot, StateReader, copy_part, restore_map_table, restore_table};
use kvick_core::checkpoint::KeyedState;
use kvick_core::config::Configuration;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::ops::Range;

/// Where keyed state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendKind {
    /// In memory.
    #[default]
    HashMap,
    /// In RocksDB, on the local disk.
    RocksDb,
}

impl BackendKind {
    /// `state.backend.type`, or the older `state.backend` with its older names. An unknown name counts as `hashmap`, with
    /// a warning.
    pub fn of(config: &Configuration) -> BackendKind {
        let keys = ["state.backend.type", "state.backend"];
        let Some(name) = keys.iter().find_map(|key| config.raw(key)) else { return BackendKind::HashMap };
        match name.trim().to_ascii_lowercase().as_str() {
            "rocksdb" => BackendKind::RocksDb,
            "hashmap" | "memory" | "jobmanager" | "filesystem" => BackendKind::HashMap,
            other => {
                crate::log::warn(&format!("state.backend.type: \"{other}\" is not known; using hashmap"));
                BackendKind::HashMap
            }
        }
    }
}

/// What a table is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// The state's name, unique within its operator.
    pub name: String,
    /// How long values live; for ever where none is given.
    pub ttl: Option<StateTtl>,
}

impl TableSpec {
    /// A table of this name whose values live for ever.
    pub fn new(name: impl Into<String>) -> TableSpec {
        TableSpec { name: name.into(), ttl: None }
    }

    /// The same with a time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: StateTtl) -> TableSpec {
        self.ttl = Some(ttl);
        self
    }
}

/// The keyed state of one operator in one subtask.
pub struct KeyedBackend<K> {
    groups: Range<u32>,
    max_parallelism: u32,
    kind: BackendKind,
    reader: StateReader,
    /// By kind and name: what no table has claimed yet.
    restored: BTreeMap<String, Vec<KeyedState>>,
    opened: BTreeSet<String>,
    types: PhantomData<fn() -> K>,
}

impl<K: Key> KeyedBackend<K> {
    /// The backend of an operator that owns `groups` of `max_parallelism` key groups and was given `restored`.
    pub fn new(
        groups: Range<u32>,
        max_parallelism: u32,
        kind: BackendKind,
        restored: Vec<KeyedState>,
        reader: StateReader,
    ) -> KeyedBackend<K> {
        let mut by_kind: BTreeMap<String, Vec<KeyedState>> = BTreeMap::new();
        for part in restored {
            by_kind.entry(part.kind.clone()).or_default().push(part);
        }
        let opened = BTreeSet::new();
        KeyedBackend { groups, max_parallelism, kind, reader, restored: by_kind, opened, types: PhantomData }
    }

    /// A backend that has nothing to restore and owns every key group; for tests and benchmarks.
    pub fn in_memory(max_parallelism: u32) -> KeyedBackend<K> {
        let context = kvick_filesystem::Context::new(BTreeMap::<String, String>::new());
        let files = std::sync::Arc::new(kvick_filesystem::blocking::FileSystems::new(context));
        let reader = StateReader::new(files, None);
        KeyedBackend::new(0..max_parallelism, max_parallelism, BackendKind::HashMap, Vec::new(), reader)
    }

    /// Which backend was configured.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// Number of key groups of the job.
    pub fn max_parallelism(&self) -> u32 {
        self.max_parallelism
    }

    /// A key with its hash and group.
    #[inline]
    pub fn keyed(&self, key: K) -> Keyed<K> {
        Keyed::new(key, self.max_parallelism)
    }

    /// Opens a table and fills it with what was restored for its name.
    ///
    /// # Errors
    /// The name is taken, or what was restored cannot be read.
    pub fn table<N: Namespace, V: Data>(&mut self, spec: TableSpec) -> Result<Table<K, N, V>, StateError> {
        self.memory_table(spec)
    }

    /// The same, in memory whatever backend is configured.
    ///
    /// # Errors
    /// As [`KeyedBackend::table`].
    pub fn memory_table<N: Namespace, V: Data>(
        &mut self,
        spec: TableSpec,
    ) -> Result<Table<K, N, V>, StateError> {
        self.open(&spec.name)?;
        self.refuse(MAP_KIND, TABLE_KIND, &spec.name)?;
        let parts = self.restored.remove(&format!("{TABLE_KIND}{}", spec.name));
        let mut table = Table::new(spec.name, self.segments());
        restore_table(&mut table, &parts.unwrap_or_default(), &self.reader, self.max_parallelism)?;
        Ok(table)
    }

    /// Opens a table of maps and fills it with what was restored for its name.
    ///
    /// # Errors
    /// As [`KeyedBackend::table`].
    pub fn map_table<N: Namespace, UK: Namespace, UV: Data>(
        &mut self,
        spec: TableSpec,
    ) -> Result<MapTable<K, N, UK, UV>, StateError> {
        self.open(&spec.name)?;
        self.refuse(TABLE_KIND, MAP_KIND, &spec.name)?;
        let parts = self.restored.remove(&format!("{MAP_KIND}{}", spec.name));
        let mut table = MapTable::new(MapInner::Memory(Table::new(spec.name, self.segments())));
        restore_map_table(&mut table, &parts.unwrap_or_default(), &self.reader, self.max_parallelism)?;
        Ok(table)
    }

    fn segments<N: Namespace, V: Data>(&self) -> Inner<K, N, V> {
        Inner::Memory(Segments::new(self.groups.clone(), self.max_parallelism))
    }

    fn open(&mut self, name: &str) -> Result<(), StateError> {
        if self.opened.insert(name.to_string()) {
            Ok(())
        } else {
            Err(StateError::OpenTwice(name.to_string()))
        }
    }

    /// State that was written as something else must not be taken for missing.
    fn refuse(&self, found: &str, wanted: &str, name: &str) -> Result<(), StateError> {
        if !self.restored.contains_key(&format!("{found}{name}")) {
            return Ok(());
        }
        let word = |kind| if kind == MAP_KIND { "a map" } else { "one value for each key" };
        Err(StateError::Unreadable {
            state: name.to_string(),
            reason: format!(
                "it was written as {}, the program now wants {}: give the new state another name",
                word(found),
                word(wanted)
            ),
        })
    }

    pub(crate) fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        for part in self.restored.values().flatten() {
            snapshot.add(copy_part(part.clone(), self.reader.clone()));
        }
        Ok(())
    }
}
