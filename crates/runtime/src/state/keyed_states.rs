//! The states that a function has opened, and the key for which they are used.

use super::any_table::AnyTable;
use super::descriptors::{
    AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor,
    ValueStateDescriptor,
};
use super::expiring::{Expiring, ExpiringList, ExpiringMap};
use super::handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
use super::sweep::SWEEP_EVERY;
use super::ttl::{Lifetime, Stamped};
use super::windowed::{WindowState, Windowed};
use super::{Keyed, KeyedBackend, MapTable, StateError, StateTtlConfig, Table, TableSpec};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::OperatorSnapshot;
use crate::time::Clock;
use std::any::Any;

/// Which of the opened states a handle refers to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    index: Option<u32>,
    ttl: Option<StateTtlConfig>,
}

/// The keyed states of one function in one subtask.
pub struct KeyedStates<K> {
    backend: KeyedBackend<K>,
    clock: Clock,
    current: Option<Keyed<K>>,
    tables: Vec<Box<dyn AnyTable>>,
    expiring: bool,
    calls: u32,
}

impl<K: Key> KeyedStates<K> {
    /// No state is open, no key is current.
    pub fn new(backend: KeyedBackend<K>) -> KeyedStates<K> {
        let (clock, tables) = (Clock::system(), Vec::new());
        KeyedStates { backend, clock, current: None, tables, expiring: false, calls: 0 }
    }

    /// The same by another clock: values expire by it.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> KeyedStates<K> {
        self.clock = clock;
        self
    }

    /// What the states have in common.
    pub fn backend(&mut self) -> &mut KeyedBackend<K> {
        &mut self.backend
    }

    /// A key with its hash and group.
    #[inline]
    pub fn keyed(&self, key: K) -> Keyed<K> {
        self.backend.keyed(key)
    }

    /// From now on states are those of this key.
    ///
    /// # Errors
    /// What the backend fails with, where this call looks for values that have expired.
    #[inline]
    pub fn set_current(&mut self, key: Keyed<K>) -> Result<(), StateError> {
        self.current = Some(key);
        if self.expiring { self.sweep_sometimes() } else { Ok(()) }
    }

    /// The current key.
    ///
    /// # Errors
    /// [`StateError::NoKey`].
    #[inline]
    pub fn current(&self) -> Result<&Keyed<K>, StateError> {
        match &self.current {
            Some(key) => Ok(key),
            None => Err(StateError::NoKey),
        }
    }

    /// The current key is taken away: no state can be used until there is another.
    #[inline]
    pub fn take_current(&mut self) -> Option<Keyed<K>> {
        self.current.take()
    }

    /// Drops the state of all keys: batch mode, where there is one at a time.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn clear(&mut self) -> Result<(), StateError> {
        self.current = None;
        self.tables.iter_mut().try_for_each(|table| table.clear())
    }

    /// Hands everything over to a snapshot: the states and what the backend itself has.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        self.tables.iter_mut().try_for_each(|table| table.hand_over(snapshot))?;
        snapshot.backend(&mut self.backend)
    }

    /// Whether a state by window was opened.
    pub fn has_window_state(&self) -> bool {
        self.tables.iter().any(|table| table.is_by_window())
    }

    /// Removes what is kept of a window that is over.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn end_window<W: Namespace>(&mut self, key: &Keyed<K>, window: &W) -> Result<(), StateError> {
        self.tables.iter_mut().try_for_each(|table| table.end_window(key, window))
    }

    fn open_window_state<W: Namespace, V: Data>(&mut self, spec: TableSpec) -> Result<Place, StateError> {
        let table: MapTable<K, (), W, V> = self.backend.map_table(TableSpec::new(spec.name))?;
        Ok(self.add(Windowed(table)))
    }

    fn sweep_sometimes(&mut self) -> Result<(), StateError> {
        self.calls += 1;
        if self.calls < SWEEP_EVERY {
            return Ok(());
        }
        self.calls = 0;
        let now = self.clock.now();
        self.tables.iter_mut().try_for_each(|table| table.sweep(now))
    }

    /// A table that a handle refers to, and the current key.
    #[inline]
    pub(super) fn table<T: Any>(&mut self, place: Place) -> Result<(&mut T, &Keyed<K>), StateError> {
        // Not by `ok_or`: the error that it is given would be dropped at each record, which is a call.
        let Some(index) = place.index else { return Err(StateError::NotOpened) };
        let Some(key) = &self.current else { return Err(StateError::NoKey) };
        match self.tables.get_mut(index as usize).and_then(|table| table.as_any().downcast_mut()) {
            Some(table) => Ok((table, key)),
            None => Err(StateError::ForeignHandle),
        }
    }

    /// The state's lifetime now, where it has one.
    pub(super) fn lifetime(&self, place: Place) -> Option<Lifetime> {
        place.ttl.map(|config| Lifetime { config, now: self.clock.now() })
    }

    /// The current key's value.
    #[inline]
    pub(super) fn read<V: Data>(&mut self, place: Place) -> Result<Option<&V>, StateError> {
        match self.lifetime(place) {
            None => {
                let (table, key) = self.table::<Table<K, (), V>>(place)?;
                table.get(key, &())
            }
            Some(lifetime) => {
                let (table, key) = self.table::<Expiring<K, Stamped<V>>>(place)?;
                table.read(key, lifetime)
            }
        }
    }

    /// Changes the current key's value with one look-up.
    #[inline]
    pub(super) fn change<V: Data, R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        let Some(lifetime) = self.lifetime(place) else {
            let (table, key) = self.table::<Table<K, (), V>>(place)?;
            return table.update(key, &(), change);
        };
        let (table, key) = self.table::<Expiring<K, Stamped<V>>>(place)?;
        table.change(key, lifetime, change)
    }

    /// The elements of the current key's list.
    pub(super) fn list<V: Data>(&mut self, place: Place) -> Result<&[V], StateError> {
        let Some(lifetime) = self.lifetime(place) else {
            return Ok(self.read::<Vec<V>>(place)?.map_or(&[], Vec::as_slice));
        };
        let (table, key) = self.table::<ExpiringList<K, V>>(place)?;
        table.read(key, lifetime)
    }

    /// Replaces the current key's list; an empty one removes it.
    pub(super) fn replace<V: Data>(&mut self, place: Place, elements: Vec<V>) -> Result<(), StateError> {
        let Some(lifetime) = self.lifetime(place) else {
            let list = Some(elements).filter(|elements| !elements.is_empty());
            return self.change(place, |slot| *slot = list);
        };
        let (table, key) = self.table::<ExpiringList<K, V>>(place)?;
        table.replace(key, lifetime, elements)
    }

    /// Adds elements to the current key's list.
    pub(super) fn append<V: Data>(
        &mut self,
        place: Place,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<(), StateError> {
        let Some(lifetime) = self.lifetime(place) else {
            let (table, key) = self.table::<Table<K, (), Vec<V>>>(place)?;
            return table.append(key, &(), elements);
        };
        let (table, key) = self.table::<ExpiringList<K, V>>(place)?;
        table.append(key, lifetime, elements)
    }

    /// The keys for which a state has something, each once.
    pub(super) fn keys_of(&mut self, place: Place) -> Result<Vec<K>, StateError> {
        let Some(index) = place.index else { return Err(StateError::NotOpened) };
        let Some(table) = self.tables.get_mut(index as usize) else { return Err(StateError::ForeignHandle) };
        let mut keys: Vec<K> = Vec::new();
        table.each_key(&mut |key| match key.downcast_ref::<K>() {
            // The entries of a map come one behind the other.
            Some(key) if keys.last() != Some(key) => keys.push(key.clone()),
            _ => {}
        })?;
        Ok(keys)
    }

    fn open<V: Data>(&mut self, spec: TableSpec) -> Result<Place, StateError> {
        let Some(ttl) = spec.ttl else {
            let table: Table<K, (), V> = self.backend.table(spec)?;
            return Ok(self.add(table));
        };
        let table = self.backend.table(spec)?;
        Ok(self.add_expiring(Expiring::<K, Stamped<V>>::new(table, ttl), ttl))
    }

    fn open_list<V: Data>(&mut self, spec: TableSpec) -> Result<Place, StateError> {
        let Some(ttl) = spec.ttl else { return self.open::<Vec<V>>(spec) };
        let table = self.backend.table(spec)?;
        Ok(self.add_expiring(ExpiringList::<K, V>::new(table, ttl), ttl))
    }

    fn open_map<UK: Namespace, UV: Data>(&mut self, spec: TableSpec) -> Result<Place, StateError> {
        let Some(ttl) = spec.ttl else {
            let table: MapTable<K, (), UK, UV> = self.backend.map_table(spec)?;
            return Ok(self.add(table));
        };
        let table = self.backend.map_table(spec)?;
        Ok(self.add_expiring(ExpiringMap::<K, UK, UV>::new(table, ttl), ttl))
    }

    fn add(&mut self, table: impl AnyTable) -> Place {
        self.tables.push(Box::new(table));
        Place { index: Some(self.tables.len() as u32 - 1), ttl: None }
    }

    fn add_expiring(&mut self, table: impl AnyTable, ttl: StateTtlConfig) -> Place {
        self.expiring = true;
        Place { ttl: Some(ttl), ..self.add(table) }
    }
}

/// Whatever has keyed states: the contexts in which functions are called.
pub trait StateAccess<K: Key> {
    /// The states.
    fn states(&mut self) -> &mut KeyedStates<K>;

    /// Opens a state of one value for each key.
    ///
    /// # Errors
    /// The name is taken, or what was restored cannot be read.
    #[doc(alias = "getState")]
    fn value_state<V: Data>(
        &mut self,
        descriptor: ValueStateDescriptor<V>,
    ) -> Result<ValueState<V>, StateError> {
        Ok(ValueState::at(self.states().open::<V>(descriptor.spec)?))
    }

    /// Opens a state of a list for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    #[doc(alias = "getListState")]
    fn list_state<V: Data>(
        &mut self,
        descriptor: ListStateDescriptor<V>,
    ) -> Result<ListState<V>, StateError> {
        Ok(ListState::at(self.states().open_list::<V>(descriptor.spec)?))
    }

    /// Opens a state of a map for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    #[doc(alias = "getMapState")]
    fn map_state<UK: Namespace, UV: Data>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV>,
    ) -> Result<MapState<UK, UV>, StateError> {
        Ok(MapState::at(self.states().open_map::<UK, UV>(descriptor.spec)?))
    }

    /// Opens a state of one value for each key into which others are reduced.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    #[doc(alias = "getReducingState")]
    fn reducing_state<V: Data>(
        &mut self,
        descriptor: ReducingStateDescriptor<V>,
    ) -> Result<ReducingState<V>, StateError> {
        Ok(ReducingState::at(self.states().open::<V>(descriptor.spec)?, descriptor.reduce))
    }

    /// Opens a state of one value for each key and window, in the `open` of a window function that says
    /// `const WINDOW_STATE: bool = true`. A window's value goes with the window; a time to live has no meaning for it.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    #[doc(alias = "windowState")]
    fn window_state<W: Namespace, V: Data>(
        &mut self,
        descriptor: ValueStateDescriptor<V>,
    ) -> Result<WindowState<W, V>, StateError> {
        Ok(WindowState::at(self.states().open_window_state::<W, V>(descriptor.spec)?))
    }

    /// Opens a state of one accumulator for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    #[doc(alias = "getAggregatingState")]
    fn aggregating_state<IN: 'static, ACC: Data, OUT: 'static>(
        &mut self,
        descriptor: AggregatingStateDescriptor<IN, ACC, OUT>,
    ) -> Result<AggregatingState<IN, ACC, OUT>, StateError> {
        Ok(AggregatingState::at(self.states().open::<ACC>(descriptor.spec)?, descriptor.aggregation))
    }
}

impl<K: Key> StateAccess<K> for KeyedStates<K> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self
    }
}
