//! One segment of keyed state in memory: a small hash table that a snapshot can share.
//!
//! While a snapshot shares a segment, what is written lies beside it, entry by entry; once the writer of the snapshot has let
//! go, it is put in. So neither the snapshot nor the first write after it copies a segment.

use crate::element::{Key, Namespace};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use std::sync::Arc;

/// A value with its key and namespace.
#[derive(Debug, Clone)]
pub(crate) struct Entry<K, N, V> {
    pub(super) hash: u64,
    pub key: K,
    pub namespace: N,
    /// Optional, so that it can be changed and removed where it lies. In a segment of its own it is always there; beside a
    /// snapshot's, none stands for what was removed.
    pub value: Option<V>,
}

pub(crate) type Bucket<K, N, V> = HashTable<Entry<K, N, V>>;

/// A segment that a snapshot has, or had.
pub(super) struct Shared<K, N, V> {
    base: Arc<Bucket<K, N, V>>,
    /// What was written since, and what was removed.
    changed: Bucket<K, N, V>,
    len: usize,
}

pub(super) enum Segment<K, N, V> {
    Owned(Bucket<K, N, V>),
    Shared(Box<Shared<K, N, V>>),
}

#[inline]
fn is<K: Key, N: Namespace, V>(entry: &Entry<K, N, V>, hash: u64, key: &K, namespace: &N) -> bool {
    entry.hash == hash && entry.key == *key && entry.namespace == *namespace
}

/// Changes a value where it lies, or puts one there; returns it after that.
#[inline]
fn upsert_in<V, A>(
    slot: &mut Option<V>,
    argument: A,
    update: impl FnOnce(&mut V, A),
    insert: impl FnOnce(A) -> V,
) -> &V {
    match slot {
        Some(value) => {
            update(value, argument);
            value
        }
        None => slot.insert(insert(argument)),
    }
}

impl<K: Key, N: Namespace, V: Clone> Shared<K, N, V> {
    fn get(&self, hash: u64, key: &K, namespace: &N) -> Option<&V> {
        let entry = self.changed.find(hash, |e| is(e, hash, key, namespace));
        let entry = entry.or_else(|| self.base.find(hash, |e| is(e, hash, key, namespace)));
        entry.and_then(|entry| entry.value.as_ref())
    }

    /// The value for being changed: copied from the snapshot's the first time.
    fn slot<'a>(
        changed: &'a mut Bucket<K, N, V>,
        base: &Bucket<K, N, V>,
        hash: u64,
        key: &K,
        namespace: &N,
    ) -> &'a mut Option<V> {
        match changed.entry(hash, |e| is(e, hash, key, namespace), |e| e.hash) {
            Occupied(entry) => &mut entry.into_mut().value,
            Vacant(vacant) => {
                let known = base.find(hash, |e| is(e, hash, key, namespace));
                let value = known.and_then(|entry| entry.value.clone());
                let (key, namespace) = (key.clone(), namespace.clone());
                &mut vacant.insert(Entry { hash, key, namespace, value }).into_mut().value
            }
        }
    }

    fn update<R>(
        &mut self,
        hash: u64,
        key: &K,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> R {
        let slot = Self::slot(&mut self.changed, &self.base, hash, key, namespace);
        let before = slot.is_some();
        let result = change(slot);
        self.len = self.len + usize::from(slot.is_some()) - usize::from(before);
        result
    }

    fn upsert<A>(
        &mut self,
        hash: u64,
        (key, namespace): (&K, &N),
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> &V {
        let slot = Self::slot(&mut self.changed, &self.base, hash, key, namespace);
        self.len += usize::from(slot.is_none());
        upsert_in(slot, argument, update, insert)
    }

    fn for_each(&self, mut visit: impl FnMut(&K, &N, &V)) {
        let changed =
            |e: &Entry<K, N, V>| self.changed.find(e.hash, |c| is(c, e.hash, &e.key, &e.namespace)).is_some();
        for e in self.base.iter().filter(|e| !changed(e)).chain(self.changed.iter()) {
            if let Some(value) = &e.value {
                visit(&e.key, &e.namespace, value);
            }
        }
    }

    /// One table of both; the snapshot's entries are copied only if it still needs them.
    fn merged(self) -> Bucket<K, N, V> {
        let mut bucket = Arc::try_unwrap(self.base).unwrap_or_else(|base| Bucket::clone(&base));
        for Entry { hash, key, namespace, value } in self.changed {
            match bucket.entry(hash, |e| is(e, hash, &key, &namespace), |e| e.hash) {
                Occupied(entry) if value.is_none() => drop(entry.remove()),
                Occupied(entry) => entry.into_mut().value = value,
                Vacant(vacant) if value.is_some() => {
                    vacant.insert(Entry { hash, key, namespace, value });
                }
                Vacant(_) => {}
            }
        }
        bucket
    }
}

impl<K: Key, N: Namespace, V: Clone> Segment<K, N, V> {
    pub fn new() -> Segment<K, N, V> {
        Segment::Owned(HashTable::new())
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Segment::Owned(bucket) => bucket.len(),
            Segment::Shared(shared) => shared.len,
        }
    }

    #[inline]
    pub fn get(&self, hash: u64, key: &K, namespace: &N) -> Option<&V> {
        match self {
            Segment::Owned(bucket) => {
                bucket.find(hash, |e| is(e, hash, key, namespace)).and_then(|entry| entry.value.as_ref())
            }
            Segment::Shared(shared) => shared.get(hash, key, namespace),
        }
    }

    /// Takes the table back once the snapshot has let go of it.
    #[inline]
    fn reclaim(&mut self) {
        if let Segment::Shared(shared) = self
            && Arc::strong_count(&shared.base) == 1
        {
            self.own();
        }
    }

    /// The table, whatever it takes.
    #[cold]
    #[inline(never)]
    pub fn own(&mut self) -> &mut Bucket<K, N, V> {
        if matches!(self, Segment::Shared(_))
            && let Segment::Shared(shared) = std::mem::replace(self, Segment::new())
        {
            *self = Segment::Owned(shared.merged());
        }
        match self {
            Segment::Owned(bucket) => bucket,
            Segment::Shared(_) => unreachable!("it was just replaced"),
        }
    }

    /// Shares the table with a snapshot.
    pub fn share(&mut self) -> Arc<Bucket<K, N, V>> {
        if let Segment::Shared(shared) = self
            && shared.changed.is_empty()
        {
            return Arc::clone(&shared.base);
        }
        let base = Arc::new(std::mem::take(self.own()));
        let len = base.len();
        *self = Segment::Shared(Box::new(Shared { base: Arc::clone(&base), changed: HashTable::new(), len }));
        base
    }

    #[inline]
    pub fn update<R>(
        &mut self,
        hash: u64,
        key: &K,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> R {
        self.reclaim();
        let bucket = match self {
            Segment::Owned(bucket) => bucket,
            Segment::Shared(shared) => return shared.update(hash, key, namespace, change),
        };
        match bucket.entry(hash, |e| is(e, hash, key, namespace), |e| e.hash) {
            Occupied(mut entry) => {
                let slot = &mut entry.get_mut().value;
                let result = change(slot);
                if slot.is_none() {
                    entry.remove();
                }
                result
            }
            Vacant(vacant) => {
                let mut value = None;
                let result = change(&mut value);
                if value.is_some() {
                    let (key, namespace) = (key.clone(), namespace.clone());
                    vacant.insert(Entry { hash, key, namespace, value });
                }
                result
            }
        }
    }

    /// The value after the change.
    #[inline]
    pub fn upsert<A>(
        &mut self,
        hash: u64,
        key: K,
        namespace: N,
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> &V {
        self.reclaim();
        match self {
            Segment::Owned(bucket) => {
                match bucket.entry(hash, |e| is(e, hash, &key, &namespace), |e| e.hash) {
                    Occupied(entry) => upsert_in(&mut entry.into_mut().value, argument, update, insert),
                    Vacant(vacant) => {
                        let value = insert(argument);
                        let entry = Entry { hash, key, namespace, value: None };
                        vacant.insert(entry).into_mut().value.insert(value)
                    }
                }
            }
            Segment::Shared(shared) => shared.upsert(hash, (&key, &namespace), argument, update, insert),
        }
    }

    pub fn for_each(&self, mut visit: impl FnMut(&K, &N, &V)) {
        match self {
            Segment::Owned(bucket) => {
                let all = bucket.iter().filter_map(|e| Some((e, e.value.as_ref()?)));
                all.for_each(|(e, value)| visit(&e.key, &e.namespace, value));
            }
            Segment::Shared(shared) => shared.for_each(visit),
        }
    }
}
