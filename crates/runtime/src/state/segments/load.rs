//! Putting the entries of a snapshot in: room is made before, and key groups that were filled elsewhere are taken over whole.

use super::{DIRECTORY_LIMIT, Segments, Slot};
use crate::element::{Key, Namespace};
use crate::state::segment::Segment;
use crate::state::{Keyed, StateError};
use hashbrown::HashTable;
use std::ops::Range;

/// Entries that a segment is meant to have when it is filled: fewer than it may, as hashes are not spread evenly.
const FILLED: usize = 400;

impl<K: Key, N: Namespace, V: Clone> Segments<K, N, V> {
    /// The key groups of this table.
    pub fn groups(&self) -> &Range<u32> {
        &self.groups
    }

    /// An empty table for some of these key groups.
    pub fn empty_for(&self, groups: Range<u32>) -> Segments<K, N, V> {
        Segments::new(groups, self.max_parallelism)
    }

    /// A key with its hash and group.
    pub fn keyed(&self, key: K) -> Keyed<K> {
        Keyed::new(key, self.max_parallelism)
    }

    /// Lays an empty table out for about so many entries, so that no segment is split while they come. Returns how many
    /// will be in a segment.
    pub fn lay_out(&mut self, entries: usize) -> usize {
        let groups = self.groups.len();
        if self.len > 0 || self.depth > 0 || groups == 0 {
            return 0;
        }
        while entries / self.directory.len() > FILLED && self.directory.len() * 2 <= DIRECTORY_LIMIT {
            self.deepen();
        }
        let (places, depth) = (self.directory.len() as u32, self.depth);
        self.directory = (0..places).collect();
        self.slots = (0..places).map(|_| Slot { segment: Segment::new(), depth }).collect();
        entries / places as usize
    }

    /// As [`Segments::upsert`] does, for an entry that is one of `room` in its segment.
    pub fn load<A>(
        &mut self,
        key: Keyed<K>,
        namespace: N,
        argument: A,
        room: usize,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> Result<(), StateError> {
        let slot = self.slot(super::combined(key.hash, &namespace))?;
        if let Segment::Owned(bucket) = &mut self.slots[slot].segment
            && bucket.capacity() == 0
        {
            *bucket = HashTable::with_capacity(room);
        }
        self.upsert(key, namespace, argument, update, insert).map(drop)
    }

    /// Takes over a table of some of these key groups, of which this one has nothing yet.
    pub fn absorb(&mut self, mut other: Segments<K, N, V>) {
        while self.depth < other.depth {
            self.deepen();
        }
        while other.depth < self.depth {
            other.deepen();
        }
        let first = ((other.groups.start - self.groups.start) as usize) << self.depth;
        let moved = self.slots.len() as u32;
        self.slots.append(&mut other.slots);
        for (place, slot) in self.directory[first..].iter_mut().zip(other.directory) {
            *place = slot + moved;
        }
        self.len += other.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const GROUPS: u32 = 16;

    fn filled(groups: Range<u32>, keys: u64) -> Segments<u64, (), u64> {
        let mut table = Segments::new(groups.clone(), GROUPS);
        let own = (0..keys).map(|key| Keyed::new(key, GROUPS)).filter(|key| groups.contains(&key.group));
        let own: Vec<_> = own.collect();
        let room = table.lay_out(own.len());
        for key in own {
            let value = key.key * 3;
            table.load(key, (), value, room, |old, new| *old = new, |new| new).unwrap();
        }
        table
    }

    fn content(table: &Segments<u64, (), u64>) -> BTreeMap<u64, u64> {
        let mut all = BTreeMap::new();
        table.for_each(|key, (), value| assert_eq!(all.insert(*key, *value), None));
        all
    }

    #[test]
    fn tables_filled_apart_become_one() {
        // Of very different sizes, so that their directories differ.
        let mut whole = Segments::new(0..GROUPS, GROUPS);
        whole.absorb(filled(0..3, 50_000));
        whole.absorb(filled(3..12, 200));
        whole.absorb(filled(12..GROUPS, 20_000));
        let mut expected: BTreeMap<u64, u64> = content(&filled(0..3, 50_000));
        expected.extend(content(&filled(3..12, 200)));
        expected.extend(content(&filled(12..GROUPS, 20_000)));
        assert_eq!((content(&whole), whole.len()), (expected.clone(), expected.len()));
        for (key, value) in &mut expected {
            let keyed = Keyed::new(*key, GROUPS);
            assert_eq!(whole.get(&keyed, &()).unwrap(), Some(&*value));
            whole.put(&keyed, &(), 7).unwrap();
            *value = 7;
        }
        // It grows as any other.
        for key in 1_000_000..1_050_000 {
            whole.put(&Keyed::new(key, GROUPS), &(), key).unwrap();
            expected.insert(key, key);
        }
        assert_eq!((content(&whole), whole.len()), (expected.clone(), expected.len()));
        let mut shared = BTreeMap::new();
        for (group, bucket) in whole.share() {
            for entry in bucket.iter() {
                assert_eq!(Keyed::new(entry.key, GROUPS).group, group);
                shared.insert(entry.key, entry.value.unwrap());
            }
        }
        assert_eq!(shared, expected);
    }

    #[test]
    fn a_table_that_was_laid_out_for_too_few_still_takes_all() {
        let mut table: Segments<u64, (), u64> = Segments::new(0..2, 2);
        let room = table.lay_out(10);
        for key in 0..30_000 {
            table.load(Keyed::new(key, 2), (), key, room, |old, new| *old = new, |new| new).unwrap();
        }
        assert_eq!((table.len(), content(&table).len()), (30_000, 30_000));
    }
}
