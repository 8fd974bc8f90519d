//! State as bytes in a store on the local disk: keys and values of all tables of one operator in one subtask.
//!
//! [`ByteStore`] is what a store can do; [`plugin`] has the one that there is, behind a C interface. Tables turn keys and
//! values into bytes (`keys`, `table`, `map`); `backend` holds the store of an operator, what of it was uploaded, and
//! how it is restored.
//!
//! Reading order: this file → `keys` → `table` → `backend` → `files`, `canonical` → [`plugin`].

pub mod abi;
pub(crate) mod backend;
pub(crate) mod canonical;
pub(crate) mod directory;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod map;
pub mod memory;
pub mod options;
pub mod plugin;
pub(crate) mod registry;
pub(crate) mod restore;
pub(crate) mod table;

pub use backend::StoreSettings;
pub use memory::SharedMemory;
pub use plugin::StatePlugin;

use super::StateError;
use std::path::Path;

/// A sorted store of bytes on the local disk. Its content survives only in checkpoints.
///
/// Several threads may use it at once; an operator's thread alone writes.
pub trait ByteStore: Send + Sync {
    /// Puts the value of a key into `value`; whether there is one.
    ///
    /// # Errors
    /// The store cannot read.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StateError>;

    /// Sets the value of a key.
    ///
    /// # Errors
    /// The store cannot write.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// Adds elements to the list that is the value of a key, without reading it: as postcard writes a sequence.
    ///
    /// # Errors
    /// The store cannot write.
    fn append(&self, key: &[u8], elements: &[u8]) -> Result<(), StateError>;

    /// Removes a key.
    ///
    /// # Errors
    /// The store cannot write.
    fn delete(&self, key: &[u8]) -> Result<(), StateError>;

    /// Removes all keys from `from` up to, but not including, `to`.
    ///
    /// # Errors
    /// The store cannot write.
    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError>;

    /// Does several changes at once.
    ///
    /// # Errors
    /// The store cannot write.
    fn write(&self, changes: &Changes) -> Result<(), StateError>;

    /// Visits the entries from `from` up to, but not including, `to` in order of their keys, as they are when it begins,
    /// until `visit` answers `false`.
    ///
    /// # Errors
    /// The store cannot read.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError>;

    /// Makes a directory with all that is in the store now; quick: files that do not change are linked.
    ///
    /// # Errors
    /// The directory exists, or cannot be made.
    fn checkpoint(&self, directory: &Path) -> Result<(), StateError>;

    /// About how many keys there are.
    fn keys(&self) -> u64;

    /// Bytes of memory that it uses beside what stores share.
    fn memory(&self) -> u64;
}

/// Changes that are to be done at once.
#[derive(Debug, Default, Clone)]
pub struct Changes {
    /// As [`abi::Plugin::write`] wants them.
    bytes: Vec<u8>,
}

impl Changes {
    /// Sets the value of a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.add(1, key, value);
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.add(0, key, &[]);
    }

    fn add(&mut self, kind: u8, key: &[u8], value: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend((key.len() as u32).to_le_bytes());
        self.bytes.extend((value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Bytes gathered so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
