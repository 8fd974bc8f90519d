//! A table of maps in a store: each entry of a map is an entry of the store, so that large maps are never read whole.

use super::Changes;
use super::keys::{self, KeyBuffer};
use super::table::Access;
use crate::element::{Data, Key, Namespace};
use crate::state::{Keyed, StateError};
use std::marker::PhantomData;

/// Bytes of removals gathered before they are done.
const BATCH: usize = 64 << 10;

/// One named map state in a store. A map's entries come in order of what postcard writes of the user keys.
pub(crate) struct StoreMap<K, N, UK, UV> {
    access: Access,
    key: KeyBuffer,
    bytes: Vec<u8>,
    /// The value that was lent out last.
    value: Option<UV>,
    types: PhantomData<fn(K, N) -> UK>,
}

impl<K: Key, N: Namespace, UK: Namespace, UV: Data> StoreMap<K, N, UK, UV> {
    pub fn new(access: Access) -> Self {
        StoreMap { access, key: KeyBuffer::default(), bytes: Vec::new(), value: None, types: PhantomData }
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Builds the key of an entry.
    fn stored<'a>(
        buffer: &'a mut KeyBuffer,
        access: &Access,
        key: &Keyed<K>,
        namespace: &N,
        user_key: &UK,
    ) -> Result<&'a [u8], StateError> {
        access.check(key)?;
        let stored = buffer.user_key(access.column, key, namespace, user_key);
        stored.map_err(|error| keys::encode_error::<(K, N, UK)>(&access.name, error))
    }

    /// Where the map of a key begins and ends, and how long what its entries have in common is.
    fn map(&mut self, key: &Keyed<K>, namespace: &N) -> Result<(Vec<u8>, Vec<u8>), StateError> {
        self.access.check(key)?;
        let prefix = self.key.key(self.access.column, key, namespace);
        let prefix = prefix.map_err(|error| keys::encode_error::<(K, N)>(&self.access.name, error))?;
        Ok((prefix.to_vec(), keys::behind(prefix)))
    }

    fn read(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<Option<UV>, StateError> {
        let Access { store, name, .. } = &self.access;
        let stored = Self::stored(&mut self.key, &self.access, key, namespace, user_key)?;
        if store.get(stored, &mut self.bytes)? { keys::value(&self.bytes, name).map(Some) } else { Ok(None) }
    }

    pub fn get(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<Option<&UV>, StateError> {
        self.value = self.read(key, namespace, user_key)?;
        Ok(self.value.as_ref())
    }

    pub fn put(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        user_key: &UK,
        value: &UV,
    ) -> Result<(), StateError> {
        self.bytes.clear();
        let encoded = keys::extend(&mut self.bytes, value);
        encoded.map_err(|error| keys::encode_error::<UV>(&self.access.name, error))?;
        let stored = Self::stored(&mut self.key, &self.access, key, namespace, user_key)?;
        self.access.store.put(stored, &self.bytes)
    }

    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        user_key: &UK,
        change: impl FnOnce(&mut Option<UV>) -> R,
    ) -> Result<R, StateError> {
        let mut value = self.read(key, namespace, user_key)?;
        let was_there = value.is_some();
        let result = change(&mut value);
        match value {
            Some(value) => self.put(key, namespace, user_key, &value)?,
            None if was_there => drop(self.remove(key, namespace, user_key)?),
            None => {}
        }
        Ok(result)
    }

    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<Option<UV>, StateError> {
        let value = self.read(key, namespace, user_key)?;
        if value.is_some() {
            let stored = Self::stored(&mut self.key, &self.access, key, namespace, user_key)?;
            self.access.store.delete(stored)?;
        }
        Ok(value)
    }

    pub fn for_each_of(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        mut visit: impl FnMut(&UK, &UV),
    ) -> Result<(), StateError> {
        let (from, to) = self.map(key, namespace)?;
        let name = &self.access.name;
        self.access.scan(&from, &to, |stored, value| {
            let user_key = keys::value(&stored[from.len()..], name)?;
            visit(&user_key, &keys::value(value, name)?);
            Ok(())
        })
    }

    pub fn clear(&mut self, key: &Keyed<K>, namespace: &N) -> Result<(), StateError> {
        let (from, to) = self.map(key, namespace)?;
        let store = &self.access.store;
        let mut changes = Changes::default();
        // One by one: a store keeps a mark for each removed range, which slows every later scan.
        self.access.scan(&from, &to, |stored, _| {
            changes.delete(stored);
            if changes.len() >= BATCH {
                store.write(&changes)?;
                changes.clear();
            }
            Ok(())
        })?;
        store.write(&changes)
    }

    pub fn is_empty_for(&mut self, key: &Keyed<K>, namespace: &N) -> Result<bool, StateError> {
        let (from, to) = self.map(key, namespace)?;
        Ok(!self.access.any(&from, &to)?)
    }

    pub fn for_each(&mut self, mut visit: impl FnMut(&K, &N, &UK, &UV)) -> Result<(), StateError> {
        let name = &self.access.name;
        let (from, to) = keys::range(self.access.column, &self.access.groups);
        self.access.scan(&from, &to, |stored, value| {
            let (key, namespace, user_key): (K, N, UK) = keys::decode(stored, name)?;
            visit(&key, &namespace, &user_key, &keys::value(value, name)?);
            Ok(())
        })
    }
}
