//! A table whose values are in a store: each access reads and writes bytes.

use super::Changes;
use super::backend::OpenStore;
use super::keys::{self, Column, KeyBuffer};
use crate::element::{Data, Key, Namespace};
use crate::state::sweep::{Perishable, Sweep};
use crate::state::ttl::Lifetime;
use crate::state::{Keyed, StateError};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// Entries gathered before they are handed on while a table is emptied.
const DRAIN: usize = 1024;

/// What tables and tables of maps have in common.
pub(crate) struct Access {
    pub store: Arc<OpenStore>,
    pub column: Column,
    pub groups: Range<u32>,
    pub name: String,
}

impl Access {
    /// A key of another subtask must not come to be.
    #[inline]
    pub fn check<K>(&self, key: &Keyed<K>) -> Result<(), StateError> {
        if self.groups.contains(&key.group) {
            return Ok(());
        }
        let Range { start, end } = self.groups;
        Err(StateError::ForeignKey { group: key.group, start, end })
    }

    /// Visits entries whose visitor may fail.
    pub fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut outcome = Ok(());
        self.store.scan(from, to, &mut |key, value| {
            outcome = visit(key, value);
            outcome.is_ok()
        })?;
        outcome
    }

    /// Whether there is an entry between two keys.
    pub fn any(&self, from: &[u8], to: &[u8]) -> Result<bool, StateError> {
        let mut found = false;
        self.store.scan(from, to, &mut |_, _| {
            found = true;
            false
        })?;
        Ok(found)
    }

    /// Removes what has expired from the entries that a search comes to next; `V` is what their values are.
    pub(in crate::state) fn sweep<V: Data + Perishable>(
        &self,
        sweep: &mut Sweep,
        lifetime: Lifetime,
    ) -> Result<(), StateError> {
        let (start, end) = keys::range(self.column, &self.groups);
        let from = if sweep.key.is_empty() { start } else { std::mem::take(&mut sweep.key) };
        let (mut changes, mut outcome) = (Changes::default(), Ok(()));
        self.store.scan(&from, &end, &mut |key, value| {
            if !sweep.goes_on() {
                sweep.key = key.to_vec();
                return false;
            }
            outcome = keys::value(value, &self.name).and_then(|mut value: V| {
                let expired = sweep.look(&value, lifetime);
                if expired { self.purge(key, &mut value, lifetime, &mut changes) } else { Ok(()) }
            });
            outcome.is_ok()
        })?;
        outcome?;
        if sweep.key.is_empty() {
            sweep.end_pass(lifetime);
        }
        self.store.write(&changes)
    }

    /// Notes what becomes of an entry that has values which have expired.
    fn purge<V: Data + Perishable>(
        &self,
        key: &[u8],
        value: &mut V,
        lifetime: Lifetime,
        changes: &mut Changes,
    ) -> Result<(), StateError> {
        if !value.purge(lifetime) {
            changes.delete(key);
            return Ok(());
        }
        let mut bytes = Vec::new();
        keys::extend(&mut bytes, value).map_err(|error| keys::encode_error::<V>(&self.name, error))?;
        changes.put(key, &bytes);
        Ok(())
    }

    pub fn len(&self) -> usize {
        let (from, to) = keys::whole(self.column);
        // The store's estimate is of all tables together: one of them is never larger, but may be empty.
        let any = self.any(&from, &to).unwrap_or(true);
        if any { usize::try_from(self.store.keys()).unwrap_or(usize::MAX).max(1) } else { 0 }
    }
}

/// One named keyed state in a store.
pub(crate) struct StoreTable<K, N, V> {
    access: Access,
    key: KeyBuffer,
    bytes: Vec<u8>,
    /// The value that was lent out last.
    value: Option<V>,
    types: PhantomData<fn() -> (K, N)>,
}

impl<K: Key, N: Namespace, V: Data> StoreTable<K, N, V> {
    pub fn new(access: Access) -> Self {
        StoreTable { access, key: KeyBuffer::default(), bytes: Vec::new(), value: None, types: PhantomData }
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    fn read(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<V>, StateError> {
        let Access { store, column, name, .. } = &self.access;
        self.access.check(key)?;
        let stored = self.key.key(*column, key, namespace);
        let stored = stored.map_err(|error| keys::encode_error::<(K, N)>(name, error))?;
        if store.get(stored, &mut self.bytes)? { keys::value(&self.bytes, name).map(Some) } else { Ok(None) }
    }

    /// Writes to the key that was read last.
    fn write(&mut self, key: &Keyed<K>, namespace: &N, value: Option<&V>) -> Result<(), StateError> {
        let Access { store, column, name, .. } = &self.access;
        let stored = self.key.key(*column, key, namespace);
        let stored = stored.map_err(|error| keys::encode_error::<(K, N)>(name, error))?;
        let Some(value) = value else { return store.delete(stored) };
        self.bytes.clear();
        keys::extend(&mut self.bytes, value).map_err(|error| keys::encode_error::<V>(name, error))?;
        store.put(stored, &self.bytes)
    }

    pub fn get(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<&V>, StateError> {
        self.value = self.read(key, namespace)?;
        Ok(self.value.as_ref())
    }

    pub fn put(&mut self, key: &Keyed<K>, namespace: &N, value: &V) -> Result<(), StateError> {
        self.access.check(key)?;
        self.write(key, namespace, Some(value))
    }

    /// Adds elements, as postcard writes a sequence of them, to a value that is one.
    pub fn append(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        elements: &impl serde::Serialize,
    ) -> Result<(), StateError> {
        self.access.check(key)?;
        let Access { store, column, name, .. } = &self.access;
        let stored = self.key.key(*column, key, namespace);
        let stored = stored.map_err(|error| keys::encode_error::<(K, N)>(name, error))?;
        self.bytes.clear();
        keys::extend(&mut self.bytes, elements).map_err(|error| keys::encode_error::<V>(name, error))?;
        store.append(stored, &self.bytes)
    }

    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<V>, StateError> {
        let value = self.read(key, namespace)?;
        if value.is_some() {
            self.write(key, namespace, None)?;
        }
        Ok(value)
    }

    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        let mut value = self.read(key, namespace)?;
        let existed = value.is_some();
        let result = change(&mut value);
        if existed || value.is_some() {
            self.write(key, namespace, value.as_ref())?;
        }
        Ok(result)
    }

    pub fn upsert<A>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> Result<&V, StateError> {
        let value = match self.read(key, namespace)? {
            Some(mut value) => {
                update(&mut value, argument);
                value
            }
            None => insert(argument),
        };
        self.write(key, namespace, Some(&value))?;
        Ok(self.value.insert(value))
    }

    pub fn for_each(&mut self, mut visit: impl FnMut(&K, &N, &V)) -> Result<(), StateError> {
        let name = &self.access.name;
        let (from, to) = keys::range(self.access.column, &self.access.groups);
        self.access.scan(&from, &to, |key, value| {
            let (key, namespace): (K, N) = keys::decode(key, name)?;
            visit(&key, &namespace, &keys::value(value, name)?);
            Ok(())
        })
    }

    pub fn drain(&mut self, mut visit: impl FnMut(K, N, V)) -> Result<(), StateError> {
        let (from, to) = keys::range(self.access.column, &self.access.groups);
        let mut pending = Vec::with_capacity(DRAIN);
        let name = &self.access.name;
        self.access.scan(&from, &to, |key, value| {
            let (key, namespace): (K, N) = keys::decode(key, name)?;
            pending.push((key, namespace, keys::value::<V>(value, name)?));
            if pending.len() == DRAIN {
                pending.drain(..).for_each(|(key, namespace, value)| visit(key, namespace, value));
            }
            Ok(())
        })?;
        pending.into_iter().for_each(|(key, namespace, value)| visit(key, namespace, value));
        self.access.store.delete_range(&from, &to)
    }

    pub fn len(&self) -> usize {
        self.access.len()
    }
}
