//! What all tables of one operator share: the range of key groups, and what was restored for them.

use super::segments::Segments;
use super::store::SharedMemory;
use super::store::backend::{Opener, StoreBackend, StoreSettings, hand_over_tables, is_files};
use super::store::keys::{self, KeyBuffer};
use super::store::map::StoreMap;
use super::store::restore::FetchedStore;
use super::store::table::StoreTable;
use super::table::{Inner, Table};
use super::ttl::StateTtl;
use super::{Keyed, MapInner, MapTable, StateError};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::format::{MAP_KIND, TABLE_KIND};
use crate::snapshot::{
    EntryReader, OperatorSnapshot, StateReader, copy_part, restore_map_table, restore_table, schema_of,
};
use kvick_core::checkpoint::KeyedState;
pub use kvick_core::config::BackendKind;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::ops::Range;

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
    /// What a store must know; none in tests that have none.
    settings: Option<StoreSettings>,
    /// The store of the RocksDB backend, once a table needs it.
    store: Option<StoreBackend>,
    /// Stores that were restored though this backend has none.
    fetched: Vec<FetchedStore>,
    /// Whether snapshots are taken, from which what is kept must come back.
    snapshots: bool,
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
        KeyedBackend {
            groups,
            max_parallelism,
            kind,
            reader,
            restored: by_kind,
            opened,
            settings: None,
            store: None,
            fetched: Vec::new(),
            snapshots: true,
            types: PhantomData,
        }
    }

    /// The same with what a store must know: needed for [`BackendKind::RocksDb`], and to restore what it has written.
    #[must_use]
    pub fn with_store(mut self, settings: StoreSettings) -> KeyedBackend<K> {
        self.settings = Some(settings);
        self
    }

    /// The same where no snapshot is ever taken: in memory, values may be of types that could not be restored.
    #[must_use]
    pub fn without_snapshots(mut self) -> KeyedBackend<K> {
        self.snapshots = false;
        self
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
    /// The name is taken, what was restored cannot be read, or nothing of these types could ever be restored.
    pub fn table<N: Namespace, V: Data>(&mut self, spec: TableSpec) -> Result<Table<K, N, V>, StateError> {
        if self.kind != BackendKind::RocksDb {
            return self.memory_table(spec);
        }
        self.open(&spec.name)?;
        self.refuse(MAP_KIND, TABLE_KIND, &spec.name)?;
        let kind = format!("{TABLE_KIND}{}", spec.name);
        let parts = self.restored.remove(&kind).unwrap_or_default();
        let (max, name, mut buffer) = (self.max_parallelism, spec.name, KeyBuffer::default());
        let failed = |error| keys::encode_error::<(K, N, V)>(&name, error);
        let access = self.store()?.table(&kind, &name, |column, (key, namespace, value): (K, N, V)| {
            let key = buffer.key(column, &Keyed::new(key, max), &namespace).map_err(failed)?;
            Ok((key.to_vec(), postcard::to_stdvec(&value).map_err(failed)?))
        })?;
        let mut table = Table::new(name, Inner::Store(Box::new(StoreTable::new(access))));
        restore_table(&mut table, &parts, &self.reader, max)?;
        Ok(table)
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
        self.restorable::<(K, N, V)>(&spec.name)?;
        self.refuse(MAP_KIND, TABLE_KIND, &spec.name)?;
        let parts = self.restored.remove(&format!("{TABLE_KIND}{}", spec.name));
        let mut table = Table::new(spec.name, Inner::Memory(self.segments()));
        restore_table(&mut table, &parts.unwrap_or_default(), &self.reader, self.max_parallelism)?;
        let max = self.max_parallelism;
        let (kind, name) = (format!("{TABLE_KIND}{}", table.name()), table.name().to_string());
        self.each_fetched(&kind, &name, |(key, namespace, value): (K, N, V)| {
            table.put(&Keyed::new(key, max), &namespace, value)
        })?;
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
        self.restorable::<(K, N, UK, UV)>(&spec.name)?;
        self.refuse(TABLE_KIND, MAP_KIND, &spec.name)?;
        let (kind, name, max) = (format!("{MAP_KIND}{}", spec.name), spec.name, self.max_parallelism);
        let parts = self.restored.remove(&kind).unwrap_or_default();
        let inner = match self.kind {
            BackendKind::HashMap => MapInner::Memory(self.segments()),
            BackendKind::RocksDb => MapInner::Store(Box::new(self.stored_map(&kind, &name)?)),
        };
        let mut table = MapTable::new(name.clone(), inner);
        restore_map_table(&mut table, &parts, &self.reader, max)?;
        self.each_fetched(&kind, &name, |(key, namespace, user_key, value): (K, N, UK, UV)| {
            table.put(&Keyed::new(key, max), &namespace, user_key, value)
        })?;
        Ok(table)
    }

    fn stored_map<N: Namespace, UK: Namespace, UV: Data>(
        &mut self,
        kind: &str,
        name: &str,
    ) -> Result<StoreMap<K, N, UK, UV>, StateError> {
        let (max, mut buffer) = (self.max_parallelism, KeyBuffer::default());
        let failed = |error| keys::encode_error::<(K, N, UK, UV)>(name, error);
        let access = self.store()?.table(kind, name, |column, entry: (K, N, UK, UV)| {
            let (key, namespace, user_key, value) = entry;
            let key = Keyed::new(key, max);
            let key = buffer.user_key(column, &key, &namespace, &user_key).map_err(failed)?;
            Ok((key.to_vec(), postcard::to_stdvec(&value).map_err(failed)?))
        })?;
        Ok(StoreMap::new(access))
    }

    /// The memory that the store shares with others of its job; none where there is no store, or it has memory of its own.
    pub fn shared_memory(&self) -> Option<&SharedMemory> {
        self.store.as_ref().and_then(StoreBackend::shared_memory)
    }

    fn settings(&self) -> Result<&StoreSettings, StateError> {
        let missing = || StateError::Backend {
            act: "open its store",
            reason: "nobody has said where the store is to be".to_string(),
        };
        self.settings.as_ref().ok_or_else(missing)
    }

    /// The store, opened with what was restored when it is first needed.
    fn store(&mut self) -> Result<&mut StoreBackend, StateError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => {
                let parts = self.take_files();
                StoreBackend::open(self.settings()?, self.groups.clone(), parts, &self.reader)?
            }
        };
        Ok(self.store.insert(store))
    }

    fn take_files(&mut self) -> Vec<KeyedState> {
        let kinds: Vec<String> = self.restored.keys().filter(|kind| is_files(kind)).cloned().collect();
        kinds.iter().filter_map(|kind| self.restored.remove(kind)).flatten().collect()
    }

    /// Visits what was restored of a table as files of a store, where this backend keeps it in memory.
    fn each_fetched<E: serde::de::DeserializeOwned + 'static>(
        &mut self,
        kind: &str,
        name: &str,
        mut put: impl FnMut(E) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        if self.kind == BackendKind::RocksDb {
            return Ok(());
        }
        self.fetch()?;
        for fetched in &self.fetched {
            let Some(table) = fetched.registry.tables.get(kind) else { continue };
            let reader = EntryReader::<E>::new(name, Some(table.schema.clone()))?;
            let mut entry = Vec::new();
            fetched.each(kind, |key, value| {
                entry.clear();
                entry.extend_from_slice(keys::canonical(key).unwrap_or_default());
                entry.extend_from_slice(value);
                put(reader.read(&entry)?)
            })?;
        }
        Ok(())
    }

    /// Fetches stores that were restored, to be read.
    fn fetch(&mut self) -> Result<(), StateError> {
        let parts = self.take_files();
        if parts.is_empty() {
            return Ok(());
        }
        let opener = Opener::new(self.settings()?)?;
        self.fetched = parts.iter().map(|part| opener.fetch(part, &self.reader)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn segments<N: Namespace, V: Clone>(&self) -> Segments<K, N, V> {
        Segments::new(self.groups.clone(), self.max_parallelism)
    }

    fn open(&mut self, name: &str) -> Result<(), StateError> {
        if self.opened.insert(name.to_string()) {
            Ok(())
        } else {
            Err(StateError::OpenTwice(name.to_string()))
        }
    }

    /// A snapshot of entries that nobody can read must not come to be.
    fn restorable<E: serde::de::DeserializeOwned + 'static>(&self, name: &str) -> Result<(), StateError> {
        if self.snapshots { schema_of::<E>(name).map(drop) } else { Ok(()) }
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
        let files = self.restored.keys().any(|kind| is_files(kind));
        match self.kind {
            BackendKind::RocksDb if files || self.store.is_some() => self.store()?.hand_over(snapshot)?,
            BackendKind::RocksDb => {}
            BackendKind::HashMap => {
                self.fetch()?;
                let unclaimed = |kind: &str| !self.opened.contains(name_of(kind));
                for fetched in &self.fetched {
                    hand_over_tables(&fetched.saved, &fetched.registry, fetched.groups, &unclaimed, snapshot);
                }
            }
        }
        for part in self.restored.values().flatten() {
            snapshot.add(copy_part(part.clone(), self.reader.clone()));
        }
        Ok(())
    }
}

/// The name in a kind of table.
fn name_of(kind: &str) -> &str {
    kind.splitn(3, '/').nth(2).unwrap_or_default()
}
