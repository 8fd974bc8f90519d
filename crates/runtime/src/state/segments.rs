//! The hash table of keyed state in memory, in segments that a snapshot can share.
//!
//! A segment holds some hundred entries of one key group. It is found by a directory (extendible hashing): first the key
//! group, then further bits of the key's hash; a segment that is full is split in two, and nothing else moves. A snapshot
//! shares every segment (`segment`), which costs time per segment and not per entry.

mod load;

use super::segment::{Bucket, Segment};
use super::sweep::{Perishable, Sweep};
use super::ttl::Lifetime;
use super::{Keyed, StateError};
use crate::element::{Key, Namespace};
use crate::hash::stable_hash;
use crate::key_group::key_group;
use hashbrown::HashTable;
use kvick_core::checkpoint::KeyGroups;
use std::ops::Range;
use std::sync::Arc;

/// Entries that a segment may have: what hashbrown keeps in 512 buckets. More make a snapshot shorter, as it costs time for
/// each segment; fewer make it shorter to put in what was written meanwhile.
const SEGMENT_LIMIT: usize = 448;
/// The directory never has more places than this (16 MiB); segments grow without being split then.
const DIRECTORY_LIMIT: usize = 1 << 22;
/// Bits of the hash that neither choose the key group nor the segment: a namespace may change them.
const NAMESPACE_BITS: u64 = 0xfff0_0000_000f_ffff;

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
        let slot = |_| Slot { segment: Segment::new(), depth: 0 };
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
        if self.slots[slot].segment.len() < SEGMENT_LIMIT {
            return Ok(slot);
        }
        self.split(slot, hash);
        self.slot(hash)
    }

    /// Splits a segment until the place of this hash has room, or no further bit can be looked at.
    #[cold]
    #[inline(never)]
    fn split(&mut self, mut slot: usize, hash: u64) {
        while self.slots[slot].segment.len() >= SEGMENT_LIMIT {
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
            self.deepen();
        }
        !exhausted
    }

    /// The directory looks at one more bit.
    fn deepen(&mut self) {
        self.directory = self.directory.iter().flat_map(|slot| [*slot, *slot]).collect();
        self.depth += 1;
    }

    fn split_once(&mut self, slot: usize, hash: u64) {
        let depth = self.slots[slot].depth + 1;
        let entries = std::mem::take(self.slots[slot].segment.own());
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
        Ok(self.slots[self.slot(hash)?].segment.get(hash, &key.key, namespace))
    }

    pub fn put(&mut self, key: &Keyed<K>, namespace: &N, value: V) -> Result<(), StateError> {
        self.update(key, namespace, |slot| *slot = Some(value))
    }

    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<V>, StateError> {
        let hash = combined(key.hash, namespace);
        let slot = self.slot(hash)?;
        let segment = &mut self.slots[slot].segment;
        if segment.get(hash, &key.key, namespace).is_none() {
            return Ok(None);
        }
        self.len -= 1;
        Ok(segment.update(hash, &key.key, namespace, Option::take))
    }

    #[inline]
    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        let hash = combined(key.hash, namespace);
        let slot = self.roomy(hash)?;
        let segment = &mut self.slots[slot].segment;
        let before = segment.len();
        let result = segment.update(hash, &key.key, namespace, change);
        self.len = self.len + segment.len() - before;
        Ok(result)
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
        let hash = combined(key.hash, &namespace);
        let slot = self.roomy(hash)?;
        let mut added = false;
        let insert = |argument| {
            added = true;
            insert(argument)
        };
        let value = self.slots[slot].segment.upsert(hash, key.key, namespace, argument, update, insert);
        self.len += usize::from(added);
        Ok(value)
    }

    pub fn for_each(&self, mut visit: impl FnMut(&K, &N, &V)) {
        self.slots.iter().for_each(|slot| slot.segment.for_each(&mut visit));
    }

    /// Removes what has expired from the segments that a search comes to next. One that has nothing of the kind is not
    /// copied for it, where a snapshot shares it.
    pub(super) fn sweep(&mut self, sweep: &mut Sweep, lifetime: Lifetime)
    where
        V: Perishable,
    {
        while sweep.goes_on() {
            let Some(slot) = self.slots.get_mut(sweep.slot) else { return sweep.end_pass(lifetime) };
            sweep.pass_segment();
            let mut expired = false;
            slot.segment.for_each(|_, _, value| expired |= sweep.look(value, lifetime));
            if expired {
                let bucket = slot.segment.own();
                let before = bucket.len();
                bucket.retain(|entry| entry.value.as_mut().is_some_and(|value| value.purge(lifetime)));
                self.len -= before - bucket.len();
            }
        }
    }

    /// Takes everything out.
    pub fn drain(&mut self, mut visit: impl FnMut(K, N, V)) {
        for slot in &mut self.slots {
            for entry in std::mem::take(slot.segment.own()) {
                if let Some(value) = entry.value {
                    visit(entry.key, entry.namespace, value);
                }
            }
        }
        self.len = 0;
    }

    /// Shares all segments with a snapshot.
    pub fn share(&mut self) -> SharedSegments<K, N, V> {
        let mut shared = Vec::with_capacity(self.slots.len());
        let mut place = 0;
        while let Some(index) = self.directory.get(place) {
            let slot = &mut self.slots[*index as usize];
            if slot.segment.len() > 0 {
                let group = self.groups.start + (place >> self.depth) as u32;
                shared.push((group, slot.segment.share()));
            }
            place += 1 << (self.depth - slot.depth);
        }
        shared
    }
}
