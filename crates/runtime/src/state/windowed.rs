//! State by key and window: what a window function keeps from one firing of a window to the next.
//!
//! It is a map of the key from windows to values, whose entry goes with its window.

use super::any_table::AnyTable;
use super::keyed_states::Place;
use super::{Keyed, KeyedStates, MapTable, StateError};
use crate::element::{Data, Key, Namespace};
use crate::snapshot::OperatorSnapshot;
use std::any::Any;
use std::marker::PhantomData;

/// What has a current key and a current window: the context of a window function.
pub trait WindowStateAccess<K: Key, W: Namespace> {
    /// The states, and the window.
    fn states_and_window(&mut self) -> (&mut KeyedStates<K>, &W);
}

/// The table of one state.
pub(super) struct Windowed<K, W, V>(pub(super) MapTable<K, (), W, V>);

impl<K: Key, W: Namespace, V: Data> AnyTable for Windowed<K, W, V> {
    fn hand_over(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), StateError> {
        snapshot.map_table(&mut self.0)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn clear(&mut self) -> Result<(), StateError> {
        self.0.clear_all()
    }

    fn each_key(&mut self, visit: &mut dyn FnMut(&dyn Any)) -> Result<(), StateError> {
        self.0.for_each(|key, (), _, _| visit(key))
    }

    fn is_by_window(&self) -> bool {
        true
    }

    fn end_window(&mut self, key: &dyn Any, window: &dyn Any) -> Result<(), StateError> {
        let key = key.downcast_ref::<Keyed<K>>().ok_or(StateError::ForeignHandle)?;
        let window = window.downcast_ref::<W>().ok_or(StateError::ForeignHandle)?;
        self.0.remove(key, &(), window).map(drop)
    }
}

/// One value for each key and window, gone when the window is: opened with
/// [`StateAccess::window_state`](super::StateAccess::window_state).
pub struct WindowState<W, V> {
    place: Place,
    types: PhantomData<fn() -> (W, V)>,
}

impl<W, V> WindowState<W, V> {
    pub(super) fn at(place: Place) -> Self {
        WindowState { place, types: PhantomData }
    }
}

impl<W, V> Clone for WindowState<W, V> {
    fn clone(&self) -> Self {
        Self::at(self.place)
    }
}

impl<W, V> Default for WindowState<W, V> {
    fn default() -> Self {
        Self::at(Place::default())
    }
}

#[allow(
    clippy::missing_errors_doc,
    reason = "all fail alike: not opened, no current key, or what the backend says"
)]
impl<W: Namespace, V: Data> WindowState<W, V> {
    /// The value of the current window, where there is one.
    pub fn value<'a, K: Key>(
        &self,
        context: &'a mut impl WindowStateAccess<K, W>,
    ) -> Result<Option<&'a V>, StateError> {
        let (states, window) = context.states_and_window();
        let (Windowed(table), key) = states.table::<Windowed<K, W, V>>(self.place)?;
        table.get(key, &(), window)
    }

    /// Sets the value of the current window.
    pub fn update<K: Key>(
        &self,
        context: &mut impl WindowStateAccess<K, W>,
        value: V,
    ) -> Result<(), StateError> {
        let (states, window) = context.states_and_window();
        let (Windowed(table), key) = states.table::<Windowed<K, W, V>>(self.place)?;
        table.put(key, &(), window.clone(), value)
    }

    /// Removes the value of the current window before the window's end.
    pub fn clear<K: Key>(&self, context: &mut impl WindowStateAccess<K, W>) -> Result<(), StateError> {
        let (states, window) = context.states_and_window();
        let (Windowed(table), key) = states.table::<Windowed<K, W, V>>(self.place)?;
        table.remove(key, &(), window).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{StateAccess, ValueStateDescriptor};
    use crate::testing::context;
    use crate::time::Clock;

    /// A window of a function that evaluates it.
    struct At<'a>(&'a mut KeyedStates<u8>, i64);

    impl WindowStateAccess<u8, i64> for At<'_> {
        fn states_and_window(&mut self) -> (&mut KeyedStates<u8>, &i64) {
            (self.0, &self.1)
        }
    }

    #[test]
    fn a_value_belongs_to_key_and_window_and_goes_with_the_window() {
        let mut states = KeyedStates::<u8>::new(context(0, 1, Clock::system()).keyed_backend().unwrap());
        assert!(!states.has_window_state());
        let told: WindowState<i64, u32> = states.window_state(ValueStateDescriptor::new("told")).unwrap();
        assert!(states.has_window_state());
        for (key, window, value) in [(1, 10, 100), (1, 20, 200), (2, 10, 300)] {
            let key = states.keyed(key);
            states.set_current(key).unwrap();
            told.update(&mut At(&mut states, window), value).unwrap();
        }
        let first = states.keyed(1);
        states.end_window(&first, &10_i64).unwrap();
        let mut value = |key, window| {
            let key = states.keyed(key);
            states.set_current(key).unwrap();
            told.value(&mut At(&mut states, window)).unwrap().copied()
        };
        assert_eq!((value(1, 10), value(1, 20), value(2, 10)), (None, Some(200), Some(300)));
    }
}
