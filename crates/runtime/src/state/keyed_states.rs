//! The states that a function has opened, and the key for which they are used.

use super::descriptors::{
    AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor,
    ValueStateDescriptor,
};
use super::handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
use super::{Keyed, KeyedBackend, MapTable, StateError, Table};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::OperatorSnapshot;
use std::any::Any;

/// A table of any type.
pub(super) trait AnyTable: Any + Send {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<K: Key, V: Data> AnyTable for Table<K, (), V> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.table(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<K: Key, UK: Namespace, UV: Data> AnyTable for MapTable<K, (), UK, UV> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.map_table(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The keyed states of one function in one subtask.
pub struct KeyedStates<K> {
    backend: KeyedBackend<K>,
    current: Option<Keyed<K>>,
    tables: Vec<Box<dyn AnyTable>>,
}

impl<K: Key> KeyedStates<K> {
    /// No state is open, no key is current.
    pub fn new(backend: KeyedBackend<K>) -> KeyedStates<K> {
        KeyedStates { backend, current: None, tables: Vec::new() }
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
    #[inline]
    pub fn set_current(&mut self, key: Keyed<K>) {
        self.current = Some(key);
    }

    /// The current key.
    ///
    /// # Errors
    /// [`StateError::NoKey`].
    #[inline]
    pub fn current(&self) -> Result<&Keyed<K>, StateError> {
        self.current.as_ref().ok_or(StateError::NoKey)
    }

    /// The current key is taken away: no state can be used until there is another.
    #[inline]
    pub fn take_current(&mut self) -> Option<Keyed<K>> {
        self.current.take()
    }

    /// Hands everything over to a snapshot: the states and what the backend itself has.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        self.tables.iter_mut().try_for_each(|table| table.hand_over(snapshot))?;
        snapshot.backend(&mut self.backend)
    }

    /// A table that a handle refers to, and the current key.
    #[inline]
    pub(super) fn table<T: Any>(&mut self, index: Option<u32>) -> Result<(&mut T, &Keyed<K>), StateError> {
        let index = index.ok_or(StateError::NotOpened)? as usize;
        let table = self.tables.get_mut(index).ok_or(StateError::ForeignHandle)?;
        let key = self.current.as_ref().ok_or(StateError::NoKey)?;
        let table = table.as_any().downcast_mut().ok_or(StateError::ForeignHandle)?;
        Ok((table, key))
    }

    fn add(&mut self, table: impl AnyTable) -> Option<u32> {
        self.tables.push(Box::new(table));
        Some(self.tables.len() as u32 - 1)
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
    fn value_state<V: Data>(
        &mut self,
        descriptor: ValueStateDescriptor<V>,
    ) -> Result<ValueState<V>, StateError> {
        let states = self.states();
        let table: Table<K, (), V> = states.backend.table(descriptor.spec)?;
        Ok(ValueState::at(states.add(table)))
    }

    /// Opens a state of a list for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    fn list_state<V: Data>(
        &mut self,
        descriptor: ListStateDescriptor<V>,
    ) -> Result<ListState<V>, StateError> {
        let states = self.states();
        let table: Table<K, (), Vec<V>> = states.backend.table(descriptor.spec)?;
        Ok(ListState::at(states.add(table)))
    }

    /// Opens a state of a map for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    fn map_state<UK: Namespace, UV: Data>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV>,
    ) -> Result<MapState<UK, UV>, StateError> {
        let states = self.states();
        let table: MapTable<K, (), UK, UV> = states.backend.map_table(descriptor.spec)?;
        Ok(MapState::at(states.add(table)))
    }

    /// Opens a state of one value for each key into which others are reduced.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    fn reducing_state<V: Data>(
        &mut self,
        descriptor: ReducingStateDescriptor<V>,
    ) -> Result<ReducingState<V>, StateError> {
        let states = self.states();
        let table: Table<K, (), V> = states.backend.table(descriptor.spec)?;
        Ok(ReducingState::at(states.add(table), descriptor.reduce))
    }

    /// Opens a state of one accumulator for each key.
    ///
    /// # Errors
    /// As [`StateAccess::value_state`].
    fn aggregating_state<IN: 'static, ACC: Data, OUT: 'static>(
        &mut self,
        descriptor: AggregatingStateDescriptor<IN, ACC, OUT>,
    ) -> Result<AggregatingState<IN, ACC, OUT>, StateError> {
        let states = self.states();
        let table: Table<K, (), ACC> = states.backend.table(descriptor.spec)?;
        Ok(AggregatingState::at(states.add(table), descriptor.aggregation))
    }
}

impl<K: Key> StateAccess<K> for KeyedStates<K> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self
    }
}
