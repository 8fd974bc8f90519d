//! The store of one operator in one subtask: opened from what was restored, asked for tables, handed over at barriers.

use super::canonical::{CanonicalPart, SavedStore};
use super::directory::LocalDirectory;
use super::files::{FILES_KIND, FilesPart, Uploads, download};
use super::keys::{self, Column};
use super::memory::{MemoryUse, SharedMemory};
use super::options::RocksDbOptions;
use super::plugin::{PluginStore, StatePlugin};
use super::registry::Registry;
use super::restore::{FetchedStore, clip, files_of, largest_first, writable};
use super::table::Access;
use super::{ByteStore, Changes};
use crate::snapshot::format::Head;
use crate::snapshot::{OperatorSnapshot, StateReader};
use crate::state::schema::{Migration, Schema, SchemaError, decode_with};
use crate::state::{StateError, schema_failed};
use kvick_core::checkpoint::{KeyGroups, KeyedState, SavepointFormat};
use kvick_core::config::Configuration;
use kvick_core::ids::JobId;
use kvick_core::local_files::owner;
use serde::de::DeserializeOwned;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

/// What a store must know of the task that it belongs to.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The job.
    pub job: JobId,
    /// The effective configuration.
    pub config: Arc<Configuration>,
    /// Directories for temporary files.
    pub tmp_dirs: Vec<String>,
    /// Unique among the operators and attempts of the job: the beginning of a directory's name.
    pub name: String,
    /// The subtask's index.
    pub subtask: u32,
    /// The checkpoint that is restored.
    pub restored: Option<u64>,
}

impl StoreSettings {
    /// The directory below which this task's stores are: those that are listed are used in turn.
    fn parent(&self, options: &RocksDbOptions) -> PathBuf {
        let dirs = if options.local_dirs.is_empty() { &self.tmp_dirs } else { &options.local_dirs };
        match dirs.get(self.subtask as usize % dirs.len().max(1)) {
            Some(dir) => PathBuf::from(dir),
            None => std::env::temp_dir(),
        }
    }
}

/// An open store with its directory; closed before that is removed.
pub(crate) struct OpenStore {
    store: PluginStore,
    memory: Option<MemoryUse>,
    directory: LocalDirectory,
}

impl Deref for OpenStore {
    type Target = dyn ByteStore;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

/// Opens stores as the configuration wants them.
pub(crate) struct Opener {
    settings: StoreSettings,
    options: RocksDbOptions,
    plugin: StatePlugin,
}

impl Opener {
    pub fn new(settings: &StoreSettings) -> Result<Opener, StateError> {
        let (options, plugin) = (RocksDbOptions::of(&settings.config)?, StatePlugin::rocksdb()?);
        Ok(Opener { settings: settings.clone(), options, plugin })
    }

    /// Fetches a part, to be read.
    pub fn fetch(&self, part: &KeyedState, reader: &StateReader) -> Result<FetchedStore, StateError> {
        let parent = self.settings.parent(&self.options);
        let name = owner("rocksdb", self.settings.job, "restored");
        FetchedStore::fetch(part, reader, self.plugin, (&parent, &name), self.options.transfer_threads)
    }

    /// Opens a store with the files of a part, or an empty one.
    fn open(&self, part: Option<&KeyedState>, reader: &StateReader) -> Result<OpenStore, StateError> {
        let Opener { settings, options, plugin } = self;
        let name = owner("rocksdb", settings.job, &settings.name);
        let directory = LocalDirectory::make(&settings.parent(options), &name)?;
        if let Some(part) = part {
            let db = directory.path().join("db");
            std::fs::create_dir_all(&db)
                .map_err(|e| super::directory::failed("make the directory", &db, e))?;
            download(files_of(part)?, reader, &db, options.transfer_threads)?;
        }
        let memory = SharedMemory::of(settings.job, *plugin, options)?;
        let memory = memory.map(|memory| MemoryUse::new(memory, settings.subtask));
        let shared = memory.as_ref().map(|used| used.memory().plugin_memory());
        let store = plugin.open(&directory.path().join("db"), shared, &writable(&options.store))?;
        Ok(OpenStore { store, memory, directory })
    }
}

/// The store of an operator.
pub(crate) struct StoreBackend {
    store: Arc<OpenStore>,
    registry: Registry,
    groups: Range<u32>,
    uploads: Uploads,
    opener: Opener,
}

impl StoreBackend {
    /// Opens the store with all that was restored for these groups.
    pub fn open(
        settings: &StoreSettings,
        groups: Range<u32>,
        restored: Vec<KeyedState>,
        reader: &StateReader,
    ) -> Result<StoreBackend, StateError> {
        let opener = Opener::new(settings)?;
        let parts = largest_first(restored);
        let (first, others) = match parts.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, parts.as_slice()),
        };
        let store = opener.open(first, reader)?;
        let mut registry = Registry::load(&*store)?;
        let uploads = Uploads::default();
        if let (Some(first), Some(checkpoint)) = (first, settings.restored) {
            uploads.record(checkpoint, files_of(first)?);
        }
        // Before more groups come in.
        clip(&*store, &mut registry, &groups)?;
        for part in others {
            opener.fetch(part, reader)?.pour(&*store, &mut registry)?;
        }
        Ok(StoreBackend { store: Arc::new(store), registry, groups, uploads, opener })
    }

    /// Opens a table. Where its entries were written with another schema they are rewritten: `rewrite` gives key and value
    /// of an entry in a column.
    pub fn table<E: DeserializeOwned>(
        &mut self,
        kind: &str,
        name: &str,
        rewrite: impl FnMut(Column, E) -> Result<(Vec<u8>, Vec<u8>), StateError>,
    ) -> Result<Access, StateError> {
        let failed = |source: SchemaError| schema_failed(name, source);
        let current = Schema::of::<E>().map_err(failed)?;
        if let Some(written) = self.registry.tables.get(kind).cloned()
            && written.schema.migration_to(&current).map_err(failed)? == Migration::Read
        {
            self.migrate(written.column, &written.schema, name, rewrite)?;
            self.registry.forget(kind);
            let (from, to) = keys::whole(written.column);
            self.store.delete_range(&from, &to)?;
        }
        let column = self.registry.register(&**self.store, kind, current)?;
        let (store, groups) = (Arc::clone(&self.store), self.groups.clone());
        Ok(Access { store, column, groups, name: name.to_string() })
    }

    fn migrate<E: DeserializeOwned>(
        &self,
        column: Column,
        written: &Schema,
        name: &str,
        mut rewrite: impl FnMut(Column, E) -> Result<(Vec<u8>, Vec<u8>), StateError>,
    ) -> Result<(), StateError> {
        let (from, to) = keys::range(column, &self.groups);
        // A new key may be another one's old key: they must not meet.
        let column = self.registry.next_column();
        let (mut outcome, mut changes, mut entry) = (Ok(()), Changes::default(), Vec::new());
        self.store.scan(&from, &to, &mut |key, value| {
            entry.clear();
            entry.extend_from_slice(keys::canonical(key).unwrap_or_default());
            entry.extend_from_slice(value);
            let decoded = decode_with::<E>(written, &entry);
            let decoded = decoded.map_err(|source| schema_failed(name, source));
            outcome = decoded.and_then(|entry| rewrite(column, entry)).and_then(|(new_key, new_value)| {
                check_group(name, key, &new_key)?;
                changes.put(&new_key, &new_value);
                if changes.len() >= 1 << 20 {
                    self.store.write(&changes)?;
                    changes.clear();
                }
                Ok(())
            });
            outcome.is_ok()
        })?;
        outcome?;
        self.store.write(&changes)
    }

    /// Hands the store over: as its files, or each of its tables in the canonical form.
    pub fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        let checkpoint = snapshot.checkpoint();
        let path = self.store.directory.path().join(format!("chk-{checkpoint}"));
        // One that was given up before it was written may have left it behind.
        drop(LocalDirectory::to_be(path.clone()));
        self.store.checkpoint(&path)?;
        let directory = LocalDirectory::to_be(path);
        let key_groups = KeyGroups { start: self.groups.start, end: self.groups.end };
        if snapshot.kind().format() == Some(SavepointFormat::Canonical) {
            let saved = Arc::new(SavedStore::new(self.opener.plugin, directory));
            hand_over_tables(&saved, &self.registry, key_groups, &|_| true, snapshot);
            return Ok(());
        }
        let (base, uploads) = (snapshot.barrier().base, self.uploads.clone());
        let threads = self.opener.options.transfer_threads;
        let savepoint = snapshot.kind().is_savepoint();
        let part = FilesPart { directory, key_groups, checkpoint, base, uploads, threads, savepoint };
        snapshot.add(Box::new(part));
        Ok(())
    }

    /// The memory that this store shares with others.
    pub fn shared_memory(&self) -> Option<&SharedMemory> {
        self.store.memory.as_ref().map(MemoryUse::memory)
    }
}

/// Hands over the tables of a store that `wanted` names, in the canonical form.
pub(crate) fn hand_over_tables(
    saved: &Arc<SavedStore>,
    registry: &Registry,
    key_groups: KeyGroups,
    wanted: &dyn Fn(&str) -> bool,
    snapshot: &mut OperatorSnapshot,
) {
    for (kind, table) in registry.tables.iter().filter(|(kind, _)| wanted(kind)) {
        let name = kind.splitn(3, '/').nth(2).unwrap_or_default().to_string();
        let head = Head { name, schema: serde_json::to_value(&table.schema).ok() };
        let (saved, kind, column) = (Arc::clone(saved), kind.clone(), table.column);
        snapshot.add(Box::new(CanonicalPart { saved, kind, head, column, key_groups }));
    }
}

fn check_group(name: &str, old: &[u8], new: &[u8]) -> Result<(), StateError> {
    if keys::group_of(old) == keys::group_of(new) {
        return Ok(());
    }
    let reason = "the type of its keys has changed so that keys belong to other key groups".to_string();
    Err(StateError::Unreadable { state: name.to_string(), reason })
}

/// Whether a kind of state is a store's files.
pub(crate) fn is_files(kind: &str) -> bool {
    kind == FILES_KIND
}
