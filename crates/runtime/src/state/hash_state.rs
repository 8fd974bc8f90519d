//! A typed hash table by key, for what never becomes part of a snapshot: pre-aggregation in batch mode.

use crate::hash::stable_hash;
use hashbrown::HashTable;
use serde::Serialize;

/// One typed hash table.
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

    /// Takes everything out and frees its memory: hashes with keys and values.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, K, V)> + use<K, V> {
        std::mem::take(&mut self.table).into_iter()
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
