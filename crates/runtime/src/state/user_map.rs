//! The map that one key has in a state of maps in memory: a hash table by the stable hash of its own keys.

use crate::hash::stable_hash;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use serde::Serialize;

/// A map of a user's own. Its entries come in no particular order, but in the same one wherever the same was done to it.
#[derive(Debug, Clone)]
pub(crate) struct UserMap<UK, UV>(HashTable<(UK, UV)>);

impl<UK: Eq + Serialize, UV> UserMap<UK, UV> {
    pub fn new() -> UserMap<UK, UV> {
        UserMap(HashTable::new())
    }

    #[inline]
    pub fn get(&self, key: &UK) -> Option<&UV> {
        self.0.find(stable_hash(key), |(known, _)| known == key).map(|(_, value)| value)
    }

    #[inline]
    pub fn insert(&mut self, key: UK, value: UV) {
        let hash = stable_hash(&key);
        match self.0.entry(hash, |(known, _)| *known == key, |(known, _)| stable_hash(known)) {
            Occupied(entry) => entry.into_mut().1 = value,
            Vacant(entry) => drop(entry.insert((key, value))),
        }
    }

    /// Reads, changes and writes with one look-up. Leaving `None` removes the entry.
    #[inline]
    pub fn update<R>(&mut self, key: UK, change: impl FnOnce(&mut Option<UV>) -> R) -> R {
        let hash = stable_hash(&key);
        let (key, mut value, place) =
            match self.0.entry(hash, |(known, _)| *known == key, |(known, _)| stable_hash(known)) {
                Occupied(entry) => {
                    let ((known, value), place) = entry.remove();
                    (known, Some(value), place)
                }
                Vacant(place) => (key, None, place),
            };
        let result = change(&mut value);
        if let Some(value) = value {
            place.insert((key, value));
        }
        result
    }

    pub fn remove(&mut self, key: &UK) -> Option<UV> {
        let found = self.0.find_entry(stable_hash(key), |(known, _)| known == key);
        found.ok().map(|entry| entry.remove().0.1)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&UV) -> bool) {
        self.0.retain(|(_, value)| keep(value));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&UK, &UV)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}
