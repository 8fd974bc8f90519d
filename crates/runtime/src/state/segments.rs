//! The hash table of keyed state in memory, in segments that a snapshot can share.
//!
//! A segment holds about a thousand entries of one key group. It is found by a directory (extendible hashing): first the key
//! group, then further bits of the key's hash; a segment that is full is split in two, and nothing else moves. A snapshot
//! marks every segment as shared, which costs time per segment and not per entry; the first write to a shared segment copies
//! that one, unless the writer of the snapshot has let go of it by then.

use super::{Keyed, StateError};
use crate::element::{Key, Namespace};
use crate::hash::stable_hash;
use crate::key_group::key_group;
use hashbrown::HashTable;
use kvick_core::checkpoint::KeyGroups;
use std::ops::Range;
use std::sync::Arc;

/// Entries that a segment may have: what hashbrown keeps in 1024 buckets.
const SEGMENT_LIMIT: usize = 896;
/// The directory never has more places than this (16 MiB); segments grow without being split then.
const DIRECTORY_LIMIT: usize = 1 << 22;
/// Bits of the hash that neither choose the key group nor the segment: a namespace may change them.
const NAMESPACE_BITS: u64 = 0xfff0_0000_000f_ffff;

/// A value with its key and namespace.
#[derive(Debug, Clone)]
pub(crate) struct Entry<K, N, V> {
    hash: u64,
    pub key: K,
    pub namespace: N,
    pub value: V,
}

pub(crate) type Bucket<K, N, V> = HashTable<Entry<K, N, V>>;

enum Segment<K, N, V> {
    Owned(Bucket<K, N, V>),
    Shared(Arc<Bucket<K, N, V>>),
}

impl<K: Clone, N: Clone, V: Clone> Segment<K, N, V> {
    #[inline]
    fn read(&self) -> &Bucket<K, N, V> {
        match self {
            Segment::Owned(bucket) => bucket,
            Segment::Shared(bucket) => bucket,
        }
    }

    #[inline]
    fn write(&mut self) -> &mut Bucket<K, N, V> {
        if matches!(self, Segment::Shared(_)) {
            self.take_back();
        }
        match self {
            Segment::Owned(bucket) => bucket,
            Segment::Shared(bucket) => Arc::make_mut(bucket),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&mut self) {
        if let Segment::Shared(shared) = std::mem::replace(self, Segment::Owned(HashTable::new())) {
            let own = Arc::try_unwrap(shared).unwrap_or_else(|shared| Bucket::clone(&shared));
            *self = Segment::Owned(own);
        }
    }

    fn share(&mut self) -> Arc<Bucket<K, N, V>> {
        match std::mem::replace(self, Segment::Owned(HashTable::new())) {
            Segment::Owned(bucket) => {
                let shared = Arc::new(bucket);
                *self = Segment::Shared(Arc::clone(&shared));
                shared
            }
            Segment::Shared(shared) => {
                *self = Segment::Shared(Arc::clone(&shared));
                shared
            }
        }
    }
}

struct Slot<K, N, V> {
    segment: Segment<K, N, V>,
    /// How many bits behind the key group all of its entries have in common.
    depth: u32,
}

/// All entries of one table in one subtask.
pub(crate) struct Segments<K, N, V> {
    groups: Range<u32>,
    max_parallelism: u32,
    /// How many bits behind the key group the directory looks at.
    depth: u32,
    /// For each group `2^depth` places, each the index of a slot.
    directory: Vec<u32>,
    slots: Vec<Slot<K, N, V>>,
    len: usize,
}

/// What a snapshot takes of a table: the segments that are not empty, with their key groups, in order of these.
pub(crate) type SharedSegments<K, N, V> = Vec<(u32, Arc<Bucket<K, N, V>>)>;

/// The hash by which an entry is found: the key's own, changed by the namespace where it decides nothing else.
#[inline]
fn combined<N: Namespace>(hash: u64, namespace: &N) -> u64 {
    if size_of::<N>() == 0 { hash } else { hash ^ (stable_hash(namespace) & NAMESPACE_BITS) }
}

impl<K: Key, N: Namespace, V: Clone> Segments<K, N, V> {
    pub fn new(groups: Range<u32>, max_parallelism: u32) -> Segments<K, N, V> {
        let slot = |_| Slot { segment: Segment::Owned(HashTable::new()), depth: 0 };
        let (directory, slots) = ((0..groups.len() as u32).collect(), groups.clone().map(slot).collect());
        Segments { groups, max_parallelism, depth: 0, directory, slots, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn key_groups(&self) -> KeyGroups {
        KeyGroups { start: self.groups.start, end: self.groups.end }
    }

    /// The key group and the bits behind it as one number; its upper half is the group.
    #[inline]
    fn position(&self, hash: u64) -> u64 {
        u64::from((hash >> 20) as u32) * u64::from(self.max_parallelism)
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        let from_first = self.position(hash).wrapping_sub(u64::from(self.groups.start) << 32);
        (from_first >> (32 - self.depth)) as usize
    }

    #[inline]
    fn slot(&self, hash: u64) -> Result<usize, StateError> {
        match self.directory.get(self.place(hash)) {
            Some(slot) => Ok(*slot as usize),
            None => Err(self.foreign(hash)),
        }
    }

    #[cold]
    fn foreign(&self, hash: u64) -> StateError {
        let group = key_group(hash, self.max_parallelism);
        StateError::ForeignKey { group, start: self.groups.start, end: self.groups.end }
    }

    /// The slot to which an entry of this hash may be added.
    #[inline]
    fn roomy(&mut self, hash: u64) -> Result<usize, StateError> {
        let slot = self.slot(hash)?;
        if self.slots[slot].segment.read().len() < SEGMENT_LIMIT {
            return Ok(slot);
        }
        self.split(slot, hash);
        self.slot(hash)
    }

    /// Splits a segment until the place of this hash has room, or no further bit can be looked at.
    #[cold]
    #[inline(never)]
    fn split(&mut self, mut slot: usize, hash: u64) {
        while self.slots[slot].segment.read().len() >= SEGMENT_LIMIT {
            if self.slots[slot].depth == self.depth && !self.double_directory() {
                return;
            }
            self.split_once(slot, hash);
            slot = self.directory[self.place(hash)] as usize;
        }
    }

    /// One key with many namespaces cannot be split: the directory stays in proportion to the segments.
    fn double_directory(&mut self) -> bool {
        let wanted = self.directory.len() * 2;
        let exhausted = self.depth >= 20 || wanted > DIRECTORY_LIMIT || wanted > 16 * self.slots.len();
        if !exhausted {
            self.directory = self.directory.iter().flat_map(|slot| [*slot, *slot]).collect();
            self.depth += 1;
        }
        !exhausted
    }

    fn split_once(&mut self, slot: usize, hash: u64) {
        let depth = self.slots[slot].depth + 1;
        let entries = std::mem::take(self.slots[slot].segment.write());
        let half = |capacity: usize| HashTable::with_capacity(capacity / 2 + capacity / 8);
        let mut halves = [half(entries.len()), half(entries.len())];
        for entry in entries {
            let bit = (self.position(entry.hash) >> (32 - depth)) & 1;
            halves[bit as usize].insert_unique(entry.hash, entry, |known| known.hash);
        }
        let [lower, upper] = halves;
        self.slots[slot] = Slot { segment: Segment::Owned(lower), depth };
        let new = self.slots.len() as u32;
        self.slots.push(Slot { segment: Segment::Owned(upper), depth });
        self.redirect(hash, depth, new);
    }

    /// Points the upper half of the places that a segment had to another one.
    fn redirect(&mut self, hash: u64, depth: u32, new: u32) {
        let (count, place) = (1_usize << (self.depth - depth), self.place(hash));
        let first = place & !(2 * count - 1);
        self.directory[first + count..first + 2 * count].fill(new);
    }

    #[inline]
    pub fn get(&self, key: &Keyed<K>, namespace: &N) -> Result<Option<&V>, StateError> {
        let hash = combined(key.hash, namespace);
        let bucket = self.slots[self.slot(hash)?].segment.read();
        Ok(bucket.find(hash, |e| is(e, hash, &key.key, namespace)).map(|entry| &entry.value))
    }

    pub fn put(&mut self, key: &Keyed<K>, namespace: &N, value: V) -> Result<(), StateError> {
        self.update(key, namespace, |slot| *slot = Some(value))
    }

    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<V>, StateError> {
        let hash = combined(key.hash, namespace);
        let slot = self.slot(hash)?;
        let found = |e: &Entry<K, N, V>| is(e, hash, &key.key, namespace);
        if self.slots[slot].segment.read().find(hash, found).is_none() {
            return Ok(None);
        }
        let Ok(entry) = self.slots[slot].segment.write().find_entry(hash, found) else { return Ok(None) };
        self.len -= 1;
        Ok(Some(entry.remove().0.value))
    }

    #[inline]
    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        use hashbrown::hash_table::Entry::{Occupied, Vacant};
        let hash = combined(key.hash, namespace);
        let slot = self.roomy(hash)?;
        let bucket = self.slots[slot].segment.write();
        match bucket.entry(hash, |e| is(e, hash, &key.key, namespace), |e| e.hash) {
            Occupied(entry) => {
                let (Entry { key, namespace, value, .. }, vacant) = entry.remove();
                let mut value = Some(value);
                let result = change(&mut value);
                if let Some(value) = value {
                    vacant.insert(Entry { hash, key, namespace, value });
                } else {
                    self.len -= 1;
                }
                Ok(result)
            }
            Vacant(vacant) => {
                let mut value = None;
                let result = change(&mut value);
                if let Some(value) = value {
                    let (key, namespace) = (key.key.clone(), namespace.clone());
                    vacant.insert(Entry { hash, key, namespace, value });
                    self.len += 1;
                }
                Ok(result)
            }
        }
    }

    #[inline]
    pub fn upsert<A>(
        &mut self,
        key: Keyed<K>,
        namespace: N,
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> Result<&V, StateError> {
        use hashbrown::hash_table::Entry::{Occupied, Vacant};
        let hash = combined(key.hash, &namespace);
        let slot = self.roomy(hash)?;
        let bucket = self.slots[slot].segment.write();
        match bucket.entry(hash, |e| is(e, hash, &key.key, &namespace), |e| e.hash) {
            Occupied(entry) => {
                let value = &mut entry.into_mut().value;
                update(value, argument);
                Ok(value)
            }
            Vacant(vacant) => {
                self.len += 1;
                let entry = Entry { hash, key: key.key, namespace, value: insert(argument) };
                Ok(&vacant.insert(entry).into_mut().value)
            }
        }
    }

    pub fn for_each(&self, mut visit: impl FnMut(&K, &N, &V)) {
        let entries = self.slots.iter().flat_map(|slot| slot.segment.read().iter());
        entries.for_each(|entry| visit(&entry.key, &entry.namespace, &entry.value));
    }

    /// Looks at the entries of one segment, the one after `cursor`, and removes those that are not to be kept. A segment
    /// that nothing is to be removed from is not copied for it.
    pub fn retain_some(&mut self, cursor: &mut usize, mut keep: impl FnMut(&V) -> bool) {
        *cursor = if *cursor + 1 < self.slots.len() { *cursor + 1 } else { 0 };
        let Some(slot) = self.slots.get_mut(*cursor) else { return };
        if slot.segment.read().iter().any(|entry| !keep(&entry.value)) {
            let bucket = slot.segment.write();
            let before = bucket.len();
            bucket.retain(|entry| keep(&entry.value));
            self.len -= before - bucket.len();
        }
    }

    /// Takes everything out.
    pub fn drain(&mut self, mut visit: impl FnMut(K, N, V)) {
        for slot in &mut self.slots {
            let entries = std::mem::take(slot.segment.write());
            entries.into_iter().for_each(|entry| visit(entry.key, entry.namespace, entry.value));
        }
        self.len = 0;
    }

    /// Shares all segments with a snapshot.
    pub fn share(&mut self) -> SharedSegments<K, N, V> {
        let mut shared = Vec::with_capacity(self.slots.len());
        let mut place = 0;
        while let Some(index) = self.directory.get(place) {
            let slot = &mut self.slots[*index as usize];
            if !slot.segment.read().is_empty() {
                let group = self.groups.start + (place >> self.depth) as u32;
                shared.push((group, slot.segment.share()));
            }
            place += 1 << (self.depth - slot.depth);
        }
        shared
    }
}

#[inline]
fn is<K: Key, N: Namespace, V>(entry: &Entry<K, N, V>, hash: u64, key: &K, namespace: &N) -> bool {
    entry.hash == hash && entry.key == *key && entry.namespace == *namespace
}
