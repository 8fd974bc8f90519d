//! How two records of one key become one, for `sum`, `min`, `max` and their kin: on keyed streams and in windows.

use kvick_runtime::operators::Reducer;
use std::marker::PhantomData;
use std::ops::AddAssign;

/// Which of two values is kept: whether the new one is preferred to the one known.
pub(crate) type Prefer<N> = fn(&N, &N) -> bool;

/// The smaller one; of equal ones the one known.
pub(crate) fn smaller<N: PartialOrd>(new: &N, known: &N) -> bool {
    new < known
}

/// The larger one; of equal ones the one known.
pub(crate) fn larger<N: PartialOrd>(new: &N, known: &N) -> bool {
    new > known
}

/// Adds up a field.
pub(crate) fn sum<T, N, F>(field: F) -> impl Reducer<T>
where
    N: AddAssign + Clone + 'static,
    F: FnMut(&mut T) -> &mut N + Clone + Send + 'static,
{
    Sum { field, types: PhantomData }
}

/// Keeps the preferred value of a field, in the first record.
pub(crate) fn extreme<T, N, F>(mut field: F, prefer: Prefer<N>) -> impl Reducer<T>
where
    N: Clone + 'static,
    F: FnMut(&mut T) -> &mut N + Clone + Send + 'static,
{
    Pick(move |aggregate: &mut T, mut record: T| {
        let new = field(&mut record).clone();
        let known = field(aggregate);
        if prefer(&new, known) {
            *known = new;
        }
    })
}

/// Keeps the record with the preferred value.
pub(crate) fn extreme_by<T, N, F>(mut value: F, prefer: Prefer<N>) -> impl Reducer<T>
where
    N: 'static,
    F: FnMut(&T) -> N + Clone + Send + 'static,
{
    Pick(move |aggregate: &mut T, record: T| {
        if prefer(&value(&record), &value(aggregate)) {
            *aggregate = record;
        }
    })
}

#[derive(Clone)]
struct Sum<F, N> {
    field: F,
    types: PhantomData<fn() -> N>,
}

impl<T, N: AddAssign + Clone + 'static, F: FnMut(&mut T) -> &mut N + Clone + Send + 'static> Reducer<T>
    for Sum<F, N>
{
    #[inline]
    fn reduce(&mut self, aggregate: &mut T, mut record: T) {
        let more = (self.field)(&mut record).clone();
        *(self.field)(aggregate) += more;
    }
}

#[derive(Clone)]
struct Pick<F>(F);

impl<T, F: FnMut(&mut T, T) + Clone + Send + 'static> Reducer<T> for Pick<F> {
    #[inline]
    fn reduce(&mut self, aggregate: &mut T, record: T) {
        (self.0)(aggregate, record);
    }
}
