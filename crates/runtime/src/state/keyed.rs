//! A key together with what is computed of it once per record.

use crate::element::Key;
use crate::hash::stable_hash;
use crate::key_group::key_group;

/// A key with its hash and key group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed<K> {
    /// The key.
    pub key: K,
    /// Its [`stable_hash`].
    pub hash: u64,
    /// Its key group.
    pub group: u32,
}

impl<K: Key> Keyed<K> {
    /// Computes hash and group of a key; `max_parallelism` is the number of key groups.
    #[inline]
    pub fn new(key: K, max_parallelism: u32) -> Keyed<K> {
        let hash = stable_hash(&key);
        Keyed { key, hash, group: key_group(hash, max_parallelism) }
    }
}
