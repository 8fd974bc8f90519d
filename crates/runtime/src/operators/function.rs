//! What user functions see when they are opened.

use crate::element::Key;
use crate::state::{KeyedStates, StateAccess};
use crate::task::TaskContext;
use std::ops::{Deref, DerefMut};

/// What a function on a keyed stream sees when it is opened: its states by [`StateAccess`], and all that the
/// [`TaskContext`] has (subtask, parallelism, accumulators, metrics), to which this dereferences.
#[doc(alias("RuntimeContext", "getRuntimeContext"))]
pub struct FunctionContext<'a, K: Key> {
    states: &'a mut KeyedStates<K>,
    task: &'a mut TaskContext,
}

impl<'a, K: Key> FunctionContext<'a, K> {
    /// The context of a function with these states in this task.
    pub fn new(states: &'a mut KeyedStates<K>, task: &'a mut TaskContext) -> Self {
        FunctionContext { states, task }
    }
}

impl<K: Key> Deref for FunctionContext<'_, K> {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        self.task
    }
}

impl<K: Key> DerefMut for FunctionContext<'_, K> {
    fn deref_mut(&mut self) -> &mut TaskContext {
        self.task
    }
}

impl<K: Key> StateAccess<K> for FunctionContext<'_, K> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.states
    }
}
