//! A table: one named keyed state of one operator, a value for each key and namespace.

use super::segments::Segments;
use super::store::table::StoreTable;
use super::sweep::{Perishable, Sweep};
use super::ttl::Lifetime;
use super::{Keyed, StateError};
use crate::element::{Data, Key, Namespace};

/// One named keyed state of one operator in one subtask.
pub struct Table<K, N, V> {
    name: String,
    inner: Inner<K, N, V>,
}

/// Where the values are.
pub(crate) enum Inner<K, N, V> {
    /// In memory.
    Memory(Segments<K, N, V>),
    /// In a store on the local disk.
    Store(Box<StoreTable<K, N, V>>),
}

impl<K: Key, N: Namespace, T: Data> Table<K, N, Vec<T>> {
    /// Adds elements to the list of a key in a namespace; no store reads it for that.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn append(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.update(key, namespace, |list| extend(list, elements)),
            Inner::Store(table) => {
                let elements: Vec<T> = elements.into_iter().collect();
                if elements.is_empty() { Ok(()) } else { table.append(key, namespace, &elements) }
            }
        }
    }
}

/// Adds elements at the end of a list; one without elements does not come to be.
pub(super) fn extend<T>(list: &mut Option<Vec<T>>, elements: impl IntoIterator<Item = T>) {
    let all = list.get_or_insert_default();
    all.extend(elements);
    if all.is_empty() {
        *list = None;
    }
}

impl<K: Key, N: Namespace, V: Data> Table<K, N, V> {
    pub(crate) fn new(name: String, inner: Inner<K, N, V>) -> Table<K, N, V> {
        Table { name, inner }
    }

    /// The state's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn inner(&mut self) -> &mut Inner<K, N, V> {
        &mut self.inner
    }

    /// The value of a key in a namespace.
    ///
    /// # Errors
    /// [`StateError::ForeignKey`], or what the backend fails with.
    #[inline]
    pub fn get(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<&V>, StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.get(key, namespace),
            Inner::Store(table) => table.get(key, namespace),
        }
    }

    /// Sets the value of a key in a namespace.
    ///
    /// # Errors
    /// As [`Table::get`].
    #[inline]
    pub fn put(&mut self, key: &Keyed<K>, namespace: &N, value: V) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.put(key, namespace, value),
            Inner::Store(table) => table.put(key, namespace, &value),
        }
    }

    /// Removes the value of a key in a namespace and returns it.
    ///
    /// # Errors
    /// As [`Table::get`].
    #[inline]
    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N) -> Result<Option<V>, StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.remove(key, namespace),
            Inner::Store(table) => table.remove(key, namespace),
        }
    }

    /// Reads, changes and writes with one look-up. Leaving `None` removes the value.
    ///
    /// # Errors
    /// As [`Table::get`].
    #[inline]
    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.update(key, namespace, change),
            Inner::Store(table) => table.update(key, namespace, change),
        }
    }

    /// Changes a value in place, or inserts one; returns the value after that. The key moves in only when it is new.
    ///
    /// # Errors
    /// As [`Table::get`].
    #[inline]
    pub fn upsert<A>(
        &mut self,
        key: Keyed<K>,
        namespace: N,
        argument: A,
        update: impl FnOnce(&mut V, A),
        insert: impl FnOnce(A) -> V,
    ) -> Result<&V, StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.upsert(key, namespace, argument, update, insert),
            Inner::Store(table) => table.upsert(&key, &namespace, argument, update, insert),
        }
    }

    /// Whether the values are in a store.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.inner, Inner::Store(_))
    }

    /// Adds a value to the one that is there, where both are sequences to serde; the store does not read what is there.
    ///
    /// # Errors
    /// As [`Table::get`]; and the values are in memory.
    pub(crate) fn append_to_stored(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        value: &V,
    ) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Store(table) => table.append(key, namespace, value),
            Inner::Memory(_) => {
                let reason = "the values are in memory, and only a store does it unread".to_string();
                Err(StateError::Backend { act: "add to a value", reason })
            }
        }
    }

    /// Visits all entries of this subtask, in any order.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn for_each(&mut self, visit: impl FnMut(&K, &N, &V)) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.for_each(visit),
            Inner::Store(table) => return table.for_each(visit),
        }
        Ok(())
    }

    /// Takes all entries of this subtask out, in any order.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn drain(&mut self, visit: impl FnMut(K, N, V)) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.drain(visit),
            Inner::Store(table) => return table.drain(visit),
        }
        Ok(())
    }

    /// Removes all entries of this subtask.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn clear_all(&mut self) -> Result<(), StateError> {
        if self.is_empty() { Ok(()) } else { self.drain(|_, _, _| {}) }
    }

    /// Removes what has expired from the entries that a search comes to next.
    ///
    /// # Errors
    /// What the backend fails with.
    pub(super) fn sweep(&mut self, sweep: &mut Sweep, lifetime: Lifetime) -> Result<(), StateError>
    where
        V: Perishable,
    {
        match &mut self.inner {
            Inner::Memory(segments) => segments.sweep(sweep, lifetime),
            Inner::Store(table) => return table.access().sweep::<V>(sweep, lifetime),
        }
        Ok(())
    }

    /// Number of entries; an estimate where the values are not in memory.
    pub fn len(&self) -> usize {
        match &self.inner {
            Inner::Memory(segments) => segments.len(),
            Inner::Store(table) => table.len(),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
