//! Functions that are made when their subtask starts: they can see its context, for metrics or whatever they open.

use super::{after_open, transform::for_each};
use crate::element::{Batch, Data};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{Operator, Output};
use crate::task::TaskContext;
use std::marker::PhantomData;

/// Any number of records for each record, by a function that `make` returns once the task's context is known.
pub struct RichFlatMap<I, O, M, F> {
    make: M,
    function: Option<F>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O, M, F> RichFlatMap<I, O, M, F> {
    /// The operator of the function that `make` makes.
    pub fn new(make: M) -> Self {
        RichFlatMap { make, function: None, types: PhantomData }
    }
}

impl<I, O, M, F> Operator for RichFlatMap<I, O, M, F>
where
    I: Data,
    O: Data,
    M: FnMut(&mut TaskContext) -> Result<F, BoxError> + Send + 'static,
    F: FnMut(I, &mut Output<O>) -> Result<(), BoxError> + Send + 'static,
{
    type In = I;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.function = Some((self.make)(context).map_err(TaskError::from)?);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        let function = after_open(&mut self.function)?;
        for_each(batch, out, |record, out| function(record, out).map_err(TaskError::from))
    }
}
