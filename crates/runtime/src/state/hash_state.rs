//! A typed hash table by key, for what never becomes part of a snapshot: aggregation in batch mode.
//!
//! Entries lie one behind the other in the order in which their keys came first; the table itself has only their numbers.
//! Keys that come often come early, so most look-ups touch few lines of the cache.

use crate::hash::stable_hash;
use hashbrown::HashTable;
use serde::Serialize;

/// No entry is known for a key.
const NONE: u32 = u32::MAX;

/// The part of a hash that the table keeps beside an entry's number, so that a look-up needs no entry to know where it is.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// One typed hash table. It has room for 2^32 - 1 keys.
pub struct HashState<K, V> {
    numbers: HashTable<(u32, u32)>,
    entries: Vec<(u64, K, V)>,
    /// Of the batch at hand: keys, hashes, and the entries that are probably theirs.
    keys: Vec<K>,
    hashes: Vec<u64>,
    candidates: Vec<u32>,
}

impl<K: Eq + Serialize, V> HashState<K, V> {
    /// An empty state.
    pub fn new() -> HashState<K, V> {
        let (keys, hashes, candidates) = (Vec::new(), Vec::new(), Vec::new());
        HashState { numbers: HashTable::new(), entries: Vec::new(), keys, hashes, candidates }
    }

    /// Takes a batch of records in: each updates the value of its key in place, or becomes one.
    ///
    /// Hashes are computed first, then entries are looked for, then changed, each for the whole batch: a look-up waits for
    /// memory and for nothing else, and the processor lets many of them wait at the same time.
    pub fn upsert_all(
        &mut self,
        records: &mut Vec<V>,
        key: impl FnMut(&V) -> K,
        mut update: impl FnMut(&mut V, V),
        mut insert: impl FnMut(V) -> V,
    ) {
        self.keys.extend(records.iter().map(key));
        self.hashes.extend(self.keys.iter().map(stable_hash));
        let numbers = &self.numbers;
        self.candidates.extend(self.hashes.iter().map(|hash| {
            let found = numbers.find(*hash, |(known, _)| *known == tag(*hash));
            found.map_or(NONE, |(_, number)| *number)
        }));
        let (mut keys, mut hashes) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.hashes));
        let mut candidates = std::mem::take(&mut self.candidates);
        let found = keys.drain(..).zip(hashes.drain(..)).zip(candidates.drain(..));
        for (record, ((key, hash), candidate)) in records.drain(..).zip(found) {
            match self.entries.get_mut(candidate as usize) {
                Some(entry) if entry.1 == key => update(&mut entry.2, record),
                _ => self.upsert(hash, key, record, &mut update, &mut insert),
            }
        }
        (self.keys, self.hashes, self.candidates) = (keys, hashes, candidates);
    }

    fn upsert(
        &mut self,
        hash: u64,
        key: K,
        record: V,
        update: impl FnOnce(&mut V, V),
        insert: impl FnOnce(V) -> V,
    ) {
        let entries = &mut self.entries;
        let same = |(known, number): &(u32, u32)| *known == tag(hash) && entries[*number as usize].1 == key;
        if let Some((_, number)) = self.numbers.find(hash, same) {
            return update(&mut entries[*number as usize].2, record);
        }
        let number = entries.len() as u32;
        let rehash = |(_, number): &(u32, u32)| entries[*number as usize].0;
        self.numbers.insert_unique(hash, (tag(hash), number), rehash);
        entries.push((hash, key, insert(record)));
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
