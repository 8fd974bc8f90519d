//! A store's tables in the form that all backends have: read from a copy of the store, beside the processing of records.

use super::directory::LocalDirectory;
use super::keys::{self, Column};
use super::plugin::{PluginStore, StatePlugin};
use super::{ByteStore, abi::StoreOptions};
use crate::snapshot::format::{Head, put_varint};
use crate::snapshot::{PartWriter, SnapshotPart, WrittenPart};
use crate::state::StateError;
use crate::task::lock;
use kvick_core::checkpoint::{KeyGroups, KeyedData, KeyedState, Piece};
use std::sync::{Arc, Mutex};

/// A store as it was, opened when the first table of it is written, and removed after the last.
pub(crate) struct SavedStore {
    /// Before the directory, so that it is closed first.
    opened: Mutex<Option<Arc<PluginStore>>>,
    plugin: StatePlugin,
    directory: LocalDirectory,
}

impl SavedStore {
    pub fn new(plugin: StatePlugin, directory: LocalDirectory) -> SavedStore {
        SavedStore { opened: Mutex::new(None), plugin, directory }
    }

    /// The store, to be read.
    pub fn open(&self) -> Result<Arc<PluginStore>, StateError> {
        let mut opened = lock(&self.opened);
        if let Some(store) = opened.as_ref() {
            return Ok(Arc::clone(store));
        }
        let options = StoreOptions { read_only: true, ..StoreOptions::default() };
        let store = Arc::new(self.plugin.open(self.directory.path(), None, &options)?);
        Ok(Arc::clone(opened.insert(store)))
    }
}

/// One table of a store, to be written in the canonical form.
pub(crate) struct CanonicalPart {
    pub saved: Arc<SavedStore>,
    /// As in [`KeyedState::kind`].
    pub kind: String,
    pub head: Head,
    pub column: Column,
    pub key_groups: KeyGroups,
}

impl SnapshotPart for CanonicalPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        let store = self.saved.open()?;
        let KeyGroups { start, end } = self.key_groups;
        let (from, to) = keys::range(self.column, &(start..end));
        let mut groups = vec![Piece { offset: 0, length: 0 }; self.key_groups.len()];
        let mut outcome = Ok(());
        let head = self.head.encode();
        store.scan(&from, &to, &mut |key, value| {
            if out.position() == 0 {
                outcome = out.write(&head);
            }
            if outcome.is_ok() {
                let group = (keys::group_of(key) - start) as usize;
                outcome = add(out, key, value, &mut groups[group]);
            }
            outcome.is_ok()
        })?;
        outcome?;
        if out.position() == 0 {
            return Ok(WrittenPart::Nothing);
        }
        let data = KeyedData::Stream { handle: out.finish()?, groups };
        Ok(WrittenPart::Keyed(KeyedState { kind: self.kind, key_groups: self.key_groups, data }))
    }
}

/// Adds an entry: what the store has of key and value, one after the other, is what postcard writes of them together.
fn add(out: &mut PartWriter<'_>, key: &[u8], value: &[u8], piece: &mut Piece) -> Result<(), StateError> {
    let key = keys::canonical(key).unwrap_or_default();
    let before = out.position();
    out.fill::<StateError>(|bytes| {
        put_varint(bytes, (key.len() + value.len()) as u64);
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Ok(())
    })?;
    if piece.length == 0 {
        piece.offset = before;
    }
    piece.length += out.position() - before;
    Ok(())
}
