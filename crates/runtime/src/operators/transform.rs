//! Record by record: map, filter, flat map.

use crate::element::Batch;
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{Operator, Output};
use std::marker::PhantomData;

/// Calls `each` for every record of a batch, with the output's timestamp set to the record's.
#[inline]
pub(super) fn for_each<I, O>(
    batch: &mut Batch<I>,
    out: &mut Output<O>,
    mut each: impl FnMut(I, &mut Output<O>) -> TaskResult,
) -> TaskResult {
    match batch.timestamps.take() {
        None => {
            out.set_timestamp(None);
            batch.records.drain(..).try_for_each(|record| each(record, out))
        }
        Some(stamps) => batch.records.drain(..).zip(stamps).try_for_each(|(record, at)| {
            out.set_timestamp(Some(at));
            each(record, out)
        }),
    }
}

macro_rules! operator {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<I, O, F> {
            function: F,
            types: PhantomData<fn(I) -> O>,
        }

        impl<I, O, F> $name<I, O, F> {
            /// The operator of a function.
            pub fn new(function: F) -> Self {
                $name { function, types: PhantomData }
            }
        }
    };
}

operator! {
    /// One record out for each record in.
    Map
}
operator! {
    /// One record out for each record in, or an error that fails the task.
    TryMap
}
operator! {
    /// The records for which the function holds.
    Filter
}
operator! {
    /// Any number of records out for each record in.
    FlatMap
}

impl<I: Send + 'static, O: Send + 'static, F: FnMut(I) -> O + Send + 'static> Operator for Map<I, O, F> {
    type In = I;
    type Out = O;

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            out.push((self.function)(record));
            Ok(())
        })
    }
}

impl<I, O, F> Operator for TryMap<I, O, F>
where
    I: Send + 'static,
    O: Send + 'static,
    F: FnMut(I) -> Result<O, BoxError> + Send + 'static,
{
    type In = I;
    type Out = O;

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            out.push((self.function)(record).map_err(TaskError::from)?);
            Ok(())
        })
    }
}

impl<I: Send + 'static, F: FnMut(&I) -> bool + Send + 'static> Operator for Filter<I, I, F> {
    type In = I;
    type Out = I;

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<I>) -> TaskResult {
        for_each(batch, out, |record, out| {
            if (self.function)(&record) {
                out.push(record);
            }
            Ok(())
        })
    }
}

impl<I, O, F> Operator for FlatMap<I, O, F>
where
    I: Send + 'static,
    O: Send + 'static,
    F: FnMut(I, &mut Output<O>) + Send + 'static,
{
    type In = I;
    type Out = O;

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            (self.function)(record, out);
            Ok(())
        })
    }
}
