//! A typed hash table by key, for what never becomes part of a snapshot: aggregation in batch mode.
//!
//! Entries lie one behind the other in the order in which their keys came first; the table itself has only their numbers.
//! Keys that come often come early, so most look-ups touch few lines of the cache.

use crate::hash::stable_hash;
use hashbrown::HashTable;
use serde::Serialize;

/// One typed hash table. It has room for 2^32 keys.
pub struct HashState<K, V> {
    numbers: HashTable<u32>,
    entries: Vec<(u64, K, V)>,
}

impl<K: Eq + Serialize, V> HashState<K, V> {
    /// An empty state.
    pub fn new() -> HashState<K, V> {
        HashState { numbers: HashTable::new(), entries: Vec::new() }
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
        let entries = &mut self.entries;
        let same = |number: &u32| {
            let entry = &entries[*number as usize];
            entry.0 == hash && entry.1 == key
        };
        match self.numbers.find(hash, same).copied() {
            Some(number) => {
                let value = &mut entries[number as usize].2;
                update(value, argument);
                value
            }
            None => {
                let number = entries.len();
                self.numbers.insert_unique(hash, number as u32, |number| entries[*number as usize].0);
                entries.push((hash, key, insert(argument)));
                &mut entries[number].2
            }
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes everything out and frees its memory: hashes with keys and values.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, K, V)> + use<K, V> {
        self.numbers = HashTable::new();
        std::mem::take(&mut self.entries).into_iter()
    }

    /// Takes everything out, keys with values.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> + '_ {
        self.numbers.clear();
        self.entries.drain(..).map(|(_, key, value)| (key, value))
    }
}

impl<K: Eq + Serialize, V> Default for HashState<K, V> {
    fn default() -> Self {
        HashState::new()
    }
}
