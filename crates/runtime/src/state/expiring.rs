//! Tables with a time to live: values, lists and maps whose parts expire, each by its own stamp.
//!
//! What has expired is not shown any more, as the state's configuration says, and leaves the table when the search for it
//! (`sweep`) comes by. Knows neither the clock nor which key is current: it is given both.

use super::any_table::AnyTable;
use super::sweep::{Perishable, Sweep};
use super::ttl::{Lifetime, Stamped, StateTtlConfig};
use super::{Keyed, MapTable, StateError, Table};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::OperatorSnapshot;
use std::any::Any;

/// A table of values; `S` is what it keeps for a key.
pub(super) struct Expiring<K, S> {
    table: Table<K, (), S>,
    ttl: StateTtlConfig,
    sweep: Sweep,
}

impl<K: Key, S: Data + Perishable> Expiring<K, S> {
    pub fn new(table: Table<K, (), S>, ttl: StateTtlConfig) -> Self {
        Expiring { table, ttl, sweep: Sweep::default() }
    }
}

impl<K: Key, S: Data + Perishable> AnyTable for Expiring<K, S> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.table(&mut self.table)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.table.clear_all()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.table.for_each(|key, (), _| visit(key))
    }

    fn sweep(&mut self, now: i64) -> Result<(), StateError> {
        let lifetime = Lifetime { config: self.ttl, now };
        if self.sweep.begin(lifetime) { self.table.sweep(&mut self.sweep, lifetime) } else { Ok(()) }
    }
}

impl<K: Key, V: Data> Expiring<K, Stamped<V>> {
    /// What is to be shown of a key's value.
    pub fn read(&mut self, key: &Keyed<K>, lifetime: Lifetime) -> Result<Option<&V>, StateError> {
        if lifetime.renews() {
            self.table
                .update(key, &(), |slot| slot.iter_mut().for_each(|stamped| lifetime.renew(stamped)))?;
        }
        let shown = self.table.get(key, &())?.filter(|stamped| lifetime.shows(stamped));
        Ok(shown.map(|stamped| &stamped.value))
    }

    /// Changes a key's value with one look-up.
    pub fn change<R>(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        self.sweep.wrote(1);
        self.table.update(key, &(), |slot| lifetime.change(slot, change))
    }
}

/// A table of lists whose elements expire one by one.
pub(super) struct ExpiringList<K, V> {
    lists: Expiring<K, Vec<Stamped<V>>>,
    /// What was lent out last: elements lie in the table with their stamps, and are shown without.
    lent: Vec<V>,
}

impl<K: Key, V: Data> ExpiringList<K, V> {
    pub fn new(table: Table<K, (), Vec<Stamped<V>>>, ttl: StateTtlConfig) -> Self {
        ExpiringList { lists: Expiring::new(table, ttl), lent: Vec::new() }
    }

    /// What is to be shown of a key's list.
    pub fn read(&mut self, key: &Keyed<K>, lifetime: Lifetime) -> Result<&[V], StateError> {
        let table = &mut self.lists.table;
        if lifetime.renews() {
            table.update(key, &(), |list| {
                list.iter_mut().flatten().for_each(|element| lifetime.renew(element))
            })?;
        }
        let elements = table.get(key, &())?.into_iter().flatten().filter(|element| lifetime.shows(element));
        self.lent.clear();
        self.lent.extend(elements.map(|element| element.value.clone()));
        Ok(&self.lent)
    }

    /// Adds elements at the end of a key's list.
    pub fn append(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<(), StateError> {
        let Expiring { table, sweep, .. } = &mut self.lists;
        let elements = elements.into_iter().inspect(|_| sweep.wrote(1));
        table.append(key, &(), elements.map(|element| lifetime.stamp(element)))
    }

    /// Replaces a key's list; an empty one removes it.
    pub fn replace(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        elements: Vec<V>,
    ) -> Result<(), StateError> {
        let Expiring { table, sweep, .. } = &mut self.lists;
        sweep.wrote(elements.len());
        if elements.is_empty() {
            return table.remove(key, &()).map(drop);
        }
        table.put(key, &(), elements.into_iter().map(|element| lifetime.stamp(element)).collect())
    }
}

impl<K: Key, V: Data> AnyTable for ExpiringList<K, V> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        self.lists.hand_over(snapshot)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.lists.clear()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.lists.each_key(visit)
    }

    fn sweep(&mut self, now: i64) -> Result<(), StateError> {
        self.lists.sweep(now)
    }
}

/// A table of maps whose entries expire one by one.
pub(super) struct ExpiringMap<K, UK, UV> {
    table: MapTable<K, (), UK, Stamped<UV>>,
    ttl: StateTtlConfig,
    sweep: Sweep,
}

impl<K: Key, UK: Namespace, UV: Data> ExpiringMap<K, UK, UV> {
    pub fn new(table: MapTable<K, (), UK, Stamped<UV>>, ttl: StateTtlConfig) -> Self {
        ExpiringMap { table, ttl, sweep: Sweep::default() }
    }

    /// What is to be shown of the value of a user key.
    pub fn get(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        user_key: &UK,
    ) -> Result<Option<&UV>, StateError> {
        if lifetime.renews() {
            self.renew(key, lifetime, user_key.clone())?;
        }
        let shown = self.table.get(key, &(), user_key)?.filter(|stamped| lifetime.shows(stamped));
        Ok(shown.map(|stamped| &stamped.value))
    }

    fn renew(&mut self, key: &Keyed<K>, lifetime: Lifetime, user_key: UK) -> Result<(), StateError> {
        let renew =
            |slot: &mut Option<Stamped<UV>>| slot.iter_mut().for_each(|stamped| lifetime.renew(stamped));
        self.table.update(key, &(), user_key, renew)
    }

    /// Sets the value of a user key.
    pub fn put(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.sweep.wrote(1);
        self.table.put(key, &(), user_key, lifetime.stamp(value))
    }

    /// Changes the value of a user key with one look-up.
    pub fn change<R>(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        user_key: UK,
        change: impl FnOnce(&mut Option<UV>) -> R,
    ) -> Result<R, StateError> {
        self.sweep.wrote(1);
        self.table.update(key, &(), user_key, |slot| lifetime.change(slot, change))
    }

    /// Removes a user key; returns what was to be shown of its value.
    pub fn remove(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        user_key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let removed = self.table.remove(key, &(), user_key)?.filter(|stamped| lifetime.shows(stamped));
        Ok(removed.map(|stamped| stamped.value))
    }

    /// Visits the entries that are to be shown, which is a use of each, and removes the others.
    pub fn for_each(
        &mut self,
        key: &Keyed<K>,
        lifetime: Lifetime,
        mut visit: impl FnMut(&UK, &UV),
    ) -> Result<(), StateError> {
        let (mut used, mut hidden) = (Vec::new(), Vec::new());
        self.table.for_each_of(key, &(), |user_key, stamped| {
            if !lifetime.shows(stamped) {
                return hidden.push(user_key.clone());
            }
            visit(user_key, &stamped.value);
            if lifetime.renews() {
                used.push(user_key.clone());
            }
        })?;
        used.into_iter().try_for_each(|user_key| self.renew(key, lifetime, user_key))?;
        hidden.iter().try_for_each(|user_key| self.table.remove(key, &(), user_key).map(drop))
    }

    /// Whether a key has no entry that is to be shown. To ask is no use of the entries.
    pub fn is_empty(&mut self, key: &Keyed<K>, lifetime: Lifetime) -> Result<bool, StateError> {
        let mut empty = true;
        self.table.for_each_of(key, &(), |_, stamped| empty &= !lifetime.shows(stamped))?;
        Ok(empty)
    }

    /// Removes a key's entries.
    pub fn clear(&mut self, key: &Keyed<K>) -> Result<(), StateError> {
        self.table.clear(key, &())
    }
}

impl<K: Key, UK: Namespace, UV: Data> AnyTable for ExpiringMap<K, UK, UV> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.map_table(&mut self.table)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.table.clear_all()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.table.for_each(|key, (), _, _| visit(key))
    }

    fn sweep(&mut self, now: i64) -> Result<(), StateError> {
        let lifetime = Lifetime { config: self.ttl, now };
        if self.sweep.begin(lifetime) { self.table.sweep(&mut self.sweep, lifetime) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
