//! Keyed state: a value for each key. This file has the interface and the backend in memory.

use crate::hash::stable_hash;
use hashbrown::HashTable;
use serde::Serialize;

/// A value for each key. The hash of a key is computed once, by the caller, with [`stable_hash`].
pub trait KeyedState<K, V>: Send {
    /// The value of a key.
    fn get(&mut self, hash: u64, key: &K) -> Option<&V>;
    /// Sets the value of a key.
    fn put(&mut self, hash: u64, key: K, value: V);
    /// Removes a key and returns its value.
    fn remove(&mut self, hash: u64, key: &K) -> Option<V>;
    /// Number of keys.
    fn len(&self) -> usize;
    /// Whether there is no key.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The backend in memory: one typed hash table.
pub struct HashState<K, V> {
    table: HashTable<(u64, K, V)>,
}

impl<K: Eq + Serialize, V> HashState<K, V> {
    /// An empty state.
    pub fn new() -> HashState<K, V> {
        HashState { table: HashTable::new() }
    }

    /// Updates the value of a key in place, or inserts one; returns the value.
    #[inline]
    pub fn upsert<A>(
        &mut self,
        key: K,
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> &mut V {
        let hash = stable_hash(&key);
        match self.table.entry(hash, |entry| entry.0 == hash && entry.1 == key, |entry| entry.0) {
            hashbrown::hash_table::Entry::Occupied(entry) => {
                let value = &mut entry.into_mut().2;
                update(value, argument);
                value
            }
            hashbrown::hash_table::Entry::Vacant(entry) => {
                &mut entry.insert((hash, key, insert(argument))).into_mut().2
            }
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Takes everything out, keys with values.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> + '_ {
        self.table.drain().map(|(_, key, value)| (key, value))
    }
}

impl<K: Eq + Serialize, V> Default for HashState<K, V> {
    fn default() -> Self {
        HashState::new()
    }
}

impl<K: Eq + Serialize + Send, V: Send> KeyedState<K, V> for HashState<K, V> {
    fn get(&mut self, hash: u64, key: &K) -> Option<&V> {
        self.table.find(hash, |entry| entry.1 == *key).map(|entry| &entry.2)
    }

    fn put(&mut self, hash: u64, key: K, value: V) {
        match self.table.find_mut(hash, |entry| entry.1 == key) {
            Some(entry) => entry.2 = value,
            None => {
                self.table.insert_unique(hash, (hash, key, value), |entry| entry.0);
            }
        }
    }

    fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let entry = self.table.find_entry(hash, |entry| entry.1 == *key).ok()?;
        Some(entry.remove().0.2)
    }

    fn len(&self) -> usize {
        self.table.len()
    }
}
