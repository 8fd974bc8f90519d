//! What functions keep of the states they opened: small handles. The state itself lives in the context that every call is
//! given, so no lock is needed. All calls are about the current key.

use super::descriptors::{Aggregation, ReduceFn};
use super::expiring::ExpiringMap;
use super::keyed_states::Place;
use super::{MapTable, StateAccess, StateError};
use crate::element::{Data, Key, Namespace};
use std::marker::PhantomData;
use std::sync::Arc;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($type:ident),+>) => {
        $(#[$doc])*
        pub struct $name<$($type),+> {
            pub(super) place: Place,
            types: PhantomData<fn() -> ($($type,)+)>,
        }

        impl<$($type),+> $name<$($type),+> {
            pub(super) fn at(place: Place) -> Self {
                $name { place, types: PhantomData }
            }
        }

        impl<$($type),+> Clone for $name<$($type),+> {
            fn clone(&self) -> Self {
                Self::at(self.place)
            }
        }

        impl<$($type),+> Default for $name<$($type),+> {
            fn default() -> Self {
                Self::at(Place::default())
            }
        }
    };
}

handle! {
    /// One value for each key.
    ValueState<V>
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<V: Data> ValueState<V> {
    /// The value, where there is one.
    #[inline]
    pub fn value<'a, K: Key>(
        &self,
        context: &'a mut impl StateAccess<K>,
    ) -> Result<Option<&'a V>, StateError> {
        context.states().read(self.place)
    }

    /// Sets the value.
    #[inline]
    pub fn update<K: Key>(&self, context: &mut impl StateAccess<K>, value: V) -> Result<(), StateError> {
        context.states().change(self.place, |slot| *slot = Some(value))
    }

    /// Changes the value in place, with one look-up; leaving `None` removes it.
    #[inline]
    pub fn modify<K: Key, R>(
        &self,
        context: &mut impl StateAccess<K>,
        change: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R, StateError> {
        context.states().change(self.place, change)
    }

    /// Removes the value.
    pub fn clear<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<(), StateError> {
        context.states().change(self.place, |slot: &mut Option<V>| *slot = None)
    }
}

handle! {
    /// A list for each key.
    ListState<V>
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<V: Data> ListState<V> {
    /// The elements; none where there is no list.
    pub fn get<'a, K: Key>(&self, context: &'a mut impl StateAccess<K>) -> Result<&'a [V], StateError> {
        context.states().list(self.place)
    }

    /// Adds an element at the end.
    pub fn add<K: Key>(&self, context: &mut impl StateAccess<K>, element: V) -> Result<(), StateError> {
        context.states().append(self.place, std::iter::once(element))
    }

    /// Adds elements at the end.
    pub fn add_all<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        elements: impl IntoIterator<Item = V>,
    ) -> Result<(), StateError> {
        context.states().append(self.place, elements)
    }

    /// Replaces the list; an empty one removes it.
    pub fn update<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        elements: Vec<V>,
    ) -> Result<(), StateError> {
        context.states().replace(self.place, elements)
    }

    /// Removes the list.
    pub fn clear<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<(), StateError> {
        self.update(context, Vec::new())
    }
}

handle! {
    /// A map for each key. Its entries come in no particular order.
    MapState<UK, UV>
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<UK: Namespace, UV: Data> MapState<UK, UV> {
    /// The value of a user key.
    pub fn get<'a, K: Key>(
        &self,
        context: &'a mut impl StateAccess<K>,
        user_key: &UK,
    ) -> Result<Option<&'a UV>, StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.get(key, &(), user_key);
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.get(key, lifetime, user_key)
    }

    /// Sets the value of a user key.
    pub fn put<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.put(key, &(), user_key, value);
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.put(key, lifetime, user_key, value)
    }

    /// Sets the values of several user keys.
    pub fn put_all<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        entries.into_iter().try_for_each(|(user_key, value)| self.put(context, user_key, value))
    }

    /// Changes the value of a user key with one look-up; leaving `None` removes the user key.
    #[inline]
    pub fn modify<K: Key, R>(
        &self,
        context: &mut impl StateAccess<K>,
        user_key: UK,
        change: impl FnOnce(&mut Option<UV>) -> R,
    ) -> Result<R, StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.update(key, &(), user_key, change);
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.change(key, lifetime, user_key, change)
    }

    /// Removes a user key and returns its value.
    pub fn remove<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        user_key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.remove(key, &(), user_key);
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.remove(key, lifetime, user_key)
    }

    /// Whether there is a user key.
    pub fn contains<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        user_key: &UK,
    ) -> Result<bool, StateError> {
        Ok(self.get(context, user_key)?.is_some())
    }

    /// Visits the entries without copying them. With a time to live, those that are not to be shown any more are removed.
    pub fn for_each<K: Key>(
        &self,
        context: &mut impl StateAccess<K>,
        visit: impl FnMut(&UK, &UV),
    ) -> Result<(), StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.for_each_of(key, &(), visit);
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.for_each(key, lifetime, visit)
    }

    /// Copies of the entries.
    pub fn entries<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Vec<(UK, UV)>, StateError> {
        let mut all = Vec::new();
        self.for_each(context, |k, v| all.push((k.clone(), v.clone())))?;
        Ok(all)
    }

    /// Copies of the user keys.
    pub fn keys<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Vec<UK>, StateError> {
        let mut all = Vec::new();
        self.for_each(context, |k, _| all.push(k.clone()))?;
        Ok(all)
    }

    /// Copies of the values.
    pub fn values<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Vec<UV>, StateError> {
        let mut all = Vec::new();
        self.for_each(context, |_, v| all.push(v.clone()))?;
        Ok(all)
    }

    /// Whether the map has no entries.
    pub fn is_empty<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<bool, StateError> {
        let states = context.states();
        let Some(lifetime) = states.lifetime(self.place) else {
            let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
            return table.is_empty_for(key, &());
        };
        let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
        table.is_empty(key, lifetime)
    }

    /// Removes all entries.
    pub fn clear<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<(), StateError> {
        let states = context.states();
        if states.lifetime(self.place).is_some() {
            let (table, key) = states.table::<ExpiringMap<K, UK, UV>>(self.place)?;
            return table.clear(key);
        }
        let (table, key) = states.table::<MapTable<K, (), UK, UV>>(self.place)?;
        table.clear(key, &())
    }
}

/// One value for each key, into which others are reduced.
pub struct ReducingState<V> {
    pub(super) place: Place,
    reduce: Option<ReduceFn<V>>,
}

impl<V> Clone for ReducingState<V> {
    fn clone(&self) -> Self {
        ReducingState { place: self.place, reduce: self.reduce.clone() }
    }
}

impl<V> Default for ReducingState<V> {
    fn default() -> Self {
        ReducingState { place: Place::default(), reduce: None }
    }
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<V: Data> ReducingState<V> {
    pub(super) fn at(place: Place, reduce: ReduceFn<V>) -> Self {
        ReducingState { place, reduce: Some(reduce) }
    }

    /// The value, where one was added.
    pub fn get<'a, K: Key>(&self, context: &'a mut impl StateAccess<K>) -> Result<Option<&'a V>, StateError> {
        context.states().read(self.place)
    }

    /// Reduces a value into the one that is there.
    pub fn add<K: Key>(&self, context: &mut impl StateAccess<K>, value: V) -> Result<(), StateError> {
        let Some(reduce) = &self.reduce else { return Err(StateError::NotOpened) };
        context.states().change(self.place, |slot: &mut Option<V>| {
            *slot = Some(match slot.take() {
                Some(known) => reduce(known, value),
                None => value,
            });
        })
    }

    /// Removes the value.
    pub fn clear<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<(), StateError> {
        context.states().change(self.place, |slot: &mut Option<V>| *slot = None)
    }
}

/// One accumulator for each key.
pub struct AggregatingState<IN, ACC, OUT> {
    pub(super) place: Place,
    aggregation: Option<Arc<Aggregation<IN, ACC, OUT>>>,
}

impl<IN, ACC, OUT> Clone for AggregatingState<IN, ACC, OUT> {
    fn clone(&self) -> Self {
        AggregatingState { place: self.place, aggregation: self.aggregation.clone() }
    }
}

impl<IN, ACC, OUT> Default for AggregatingState<IN, ACC, OUT> {
    fn default() -> Self {
        AggregatingState { place: Place::default(), aggregation: None }
    }
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<IN: 'static, ACC: Data, OUT: 'static> AggregatingState<IN, ACC, OUT> {
    pub(super) fn at(place: Place, aggregation: Arc<Aggregation<IN, ACC, OUT>>) -> Self {
        AggregatingState { place, aggregation: Some(aggregation) }
    }

    /// The result of what was added, where something was.
    pub fn get<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Option<OUT>, StateError> {
        let Some(aggregation) = &self.aggregation else { return Err(StateError::NotOpened) };
        let accumulator = context.states().read::<ACC>(self.place)?;
        Ok(accumulator.map(|accumulator| (aggregation.result)(accumulator)))
    }

    /// Adds a value.
    pub fn add<K: Key>(&self, context: &mut impl StateAccess<K>, value: IN) -> Result<(), StateError> {
        let Some(aggregation) = &self.aggregation else { return Err(StateError::NotOpened) };
        context.states().change(self.place, |slot: &mut Option<ACC>| {
            (aggregation.add)(slot.get_or_insert_with(|| (aggregation.create)()), value);
        })
    }

    /// Removes the accumulator.
    pub fn clear<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<(), StateError> {
        context.states().change(self.place, |slot: &mut Option<ACC>| *slot = None)
    }
}
