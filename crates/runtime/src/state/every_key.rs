//! The keys for which a state has something: for functions that go over all keys of their subtask.

use super::handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
use super::{StateAccess, StateError};
use crate::element::Key;

/// A state by key of any kind, as a whole.
pub trait EveryKey {
    /// All keys of this subtask for which the state has something, in no particular order. With a time to live, keys may be
    /// among them whose state has expired and is not removed yet.
    ///
    /// # Errors
    /// The state was not opened here, or what the backend fails with.
    fn every_key<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Vec<K>, StateError>;
}

macro_rules! every_key {
    ($($name:ident<$($type:ident),+>),+) => {
        $(impl<$($type),+> EveryKey for $name<$($type),+> {
            fn every_key<K: Key>(&self, context: &mut impl StateAccess<K>) -> Result<Vec<K>, StateError> {
                context.states().keys_of(self.place)
            }
        })+
    };
}

every_key! { ValueState<V>, ListState<V>, MapState<UK, UV>, ReducingState<V>, AggregatingState<IN, ACC, OUT> }
