//! A table of maps: for each key and namespace a map of the user's own.

use super::segments::Segments;
use super::store::map::StoreMap;
use super::sweep::Sweep;
use super::ttl::{Lifetime, Stamped};
use super::user_map::UserMap;
use super::{Keyed, StateError};
use crate::element::{Data, Key, Namespace};

/// One named map state of one operator in one subtask. A map without entries does not exist.
pub struct MapTable<K, N, UK, UV> {
    name: String,
    inner: Inner<K, N, UK, UV>,
}

/// Where the maps are.
pub(crate) enum Inner<K, N, UK, UV> {
    /// In memory, each map in one piece.
    Memory(Segments<K, N, UserMap<UK, UV>>),
    /// In a store on the local disk, entry by entry.
    Store(Box<StoreMap<K, N, UK, UV>>),
}

impl<K: Key, N: Namespace, UK: Namespace, UV: Data> MapTable<K, N, UK, UV> {
    pub(crate) fn new(name: String, inner: Inner<K, N, UK, UV>) -> Self {
        MapTable { name, inner }
    }

    pub(crate) fn inner(&mut self) -> &mut Inner<K, N, UK, UV> {
        &mut self.inner
    }

    /// The state's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a user key.
    ///
    /// # Errors
    /// [`StateError::ForeignKey`], or what the backend fails with.
    pub fn get(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<Option<&UV>, StateError> {
        match &mut self.inner {
            Inner::Memory(table) => Ok(table.get(key, namespace)?.and_then(|map| map.get(user_key))),
            Inner::Store(map) => map.get(key, namespace, user_key),
        }
    }

    /// Sets the value of a user key.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn put(&mut self, key: &Keyed<K>, namespace: &N, user_key: UK, value: UV) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(table) => table.update(key, namespace, |map| {
                map.get_or_insert_with(UserMap::new).insert(user_key, value);
            }),
            Inner::Store(map) => map.put(key, namespace, &user_key, &value),
        }
    }

    /// Reads, changes and writes the value of a user key with one look-up. Leaving `None` removes the user key.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    #[inline]
    pub fn update<R>(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        user_key: UK,
        change: impl FnOnce(&mut Option<UV>) -> R,
    ) -> Result<R, StateError> {
        match &mut self.inner {
            Inner::Memory(table) => table.update(key, namespace, |slot| {
                let map = slot.get_or_insert_with(UserMap::new);
                let result = map.update(user_key, change);
                if map.is_empty() {
                    *slot = None;
                }
                result
            }),
            Inner::Store(map) => map.update(key, namespace, &user_key, change),
        }
    }

    /// Removes a user key and returns its value.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn remove(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<Option<UV>, StateError> {
        match &mut self.inner {
            Inner::Memory(table) => table.update(key, namespace, |slot| {
                let removed = slot.as_mut().and_then(|map| map.remove(user_key));
                if slot.as_ref().is_some_and(UserMap::is_empty) {
                    *slot = None;
                }
                removed
            }),
            Inner::Store(map) => map.remove(key, namespace, user_key),
        }
    }

    /// Whether there is a user key.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn contains(&mut self, key: &Keyed<K>, namespace: &N, user_key: &UK) -> Result<bool, StateError> {
        Ok(self.get(key, namespace, user_key)?.is_some())
    }

    /// Visits the entries of one key and namespace, in any order.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn for_each_of(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        mut visit: impl FnMut(&UK, &UV),
    ) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(table) => {
                table.get(key, namespace)?.into_iter().flat_map(UserMap::iter).for_each(|(k, v)| visit(k, v));
                Ok(())
            }
            Inner::Store(map) => map.for_each_of(key, namespace, visit),
        }
    }

    /// Removes all entries of one key and namespace.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn clear(&mut self, key: &Keyed<K>, namespace: &N) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(table) => table.remove(key, namespace).map(drop),
            Inner::Store(map) => map.clear(key, namespace),
        }
    }

    /// Removes the entries of all keys.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn clear_all(&mut self) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(table) if table.len() == 0 => Ok(()),
            Inner::Memory(table) => {
                table.drain(|_, _, _| {});
                Ok(())
            }
            Inner::Store(_) => Err(StateError::Backend {
                act: "remove the maps of all keys at once",
                reason: format!("the state \"{}\" is in a store, which only streaming mode uses", self.name),
            }),
        }
    }

    /// Whether one key and namespace has no entries.
    ///
    /// # Errors
    /// As [`MapTable::get`].
    pub fn is_empty_for(&mut self, key: &Keyed<K>, namespace: &N) -> Result<bool, StateError> {
        match &mut self.inner {
            Inner::Memory(table) => Ok(table.get(key, namespace)?.is_none()),
            Inner::Store(map) => map.is_empty_for(key, namespace),
        }
    }

    /// Visits all entries of this subtask, in any order.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn for_each(&mut self, mut visit: impl FnMut(&K, &N, &UK, &UV)) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(table) => {
                table.for_each(|k, n, map| map.iter().for_each(|(uk, uv)| visit(k, n, uk, uv)));
                Ok(())
            }
            Inner::Store(map) => map.for_each(visit),
        }
    }
}

impl<K: Key, N: Namespace, UK: Namespace, UV: Data> MapTable<K, N, UK, Stamped<UV>> {
    /// Removes what has expired from the entries that a search comes to next.
    ///
    /// # Errors
    /// What the backend fails with.
    pub(super) fn sweep(&mut self, sweep: &mut Sweep, lifetime: Lifetime) -> Result<(), StateError> {
        match &mut self.inner {
            Inner::Memory(segments) => segments.sweep(sweep, lifetime),
            Inner::Store(map) => return map.access().sweep::<Stamped<UV>>(sweep, lifetime),
        }
        Ok(())
    }
}
