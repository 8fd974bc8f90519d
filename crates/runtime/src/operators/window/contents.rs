//! What is kept of a window's records: one that was combined from all, an accumulator, or all of them.

use crate::element::Data;
use crate::operators::Reducer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// Computes one value from many records, step by step.
///
/// ```
/// use kvick_runtime::operators::window::AggregateFunction;
///
/// #[derive(Clone)]
/// struct Average;
///
/// impl AggregateFunction<f64> for Average {
///     type Accumulator = (f64, u64);
///     type Output = f64;
///
///     fn create_accumulator(&mut self) -> (f64, u64) {
///         (0.0, 0)
///     }
///
///     fn add(&mut self, value: f64, sum: &mut (f64, u64)) {
///         *sum = (sum.0 + value, sum.1 + 1);
///     }
///
///     fn get_result(&mut self, sum: &(f64, u64)) -> f64 {
///         sum.0 / sum.1 as f64
///     }
///
///     fn merge(&mut self, sum: &mut (f64, u64), other: (f64, u64)) {
///         *sum = (sum.0 + other.0, sum.1 + other.1);
///     }
/// }
/// ```
pub trait AggregateFunction<T>: Clone + Send + 'static {
    /// What is known of the records so far.
    type Accumulator: Data;
    /// The result.
    type Output: Data;

    /// What is known before the first record.
    fn create_accumulator(&mut self) -> Self::Accumulator;

    /// Takes in a record.
    fn add(&mut self, value: T, accumulator: &mut Self::Accumulator);

    /// The result for what is known.
    fn get_result(&mut self, accumulator: &Self::Accumulator) -> Self::Output;

    /// Takes in what is known of later records: for windows that merge, for windows that share slices, and for windows over a
    /// whole stream, of which each producer knows a part.
    fn merge(&mut self, accumulator: &mut Self::Accumulator, other: Self::Accumulator);
}

/// How the records of a window are kept.
pub trait WindowContents<T>: Clone + Send + 'static {
    /// What is kept.
    type Kept: Data;

    /// Whether what is kept is serialised as a sequence with an element for each record, in order: then a store adds to it
    /// without reading it.
    const IS_LIST: bool = false;

    /// What is kept of the first record.
    fn first(&mut self, record: T, timestamp: i64) -> Self::Kept;

    /// Takes in a further record.
    fn add(&mut self, kept: &mut Self::Kept, record: T, timestamp: i64);

    /// Takes in what is kept of other records.
    fn merge(&mut self, kept: &mut Self::Kept, other: Self::Kept);
}

/// One record, combined from all.
#[derive(Clone)]
pub struct Reduced<R>(pub R);

impl<T: Data, R: Reducer<T>> WindowContents<T> for Reduced<R> {
    type Kept = T;

    #[inline]
    fn first(&mut self, record: T, _timestamp: i64) -> T {
        record
    }

    #[inline]
    fn add(&mut self, kept: &mut T, record: T, _timestamp: i64) {
        self.0.reduce(kept, record);
    }

    #[inline]
    fn merge(&mut self, kept: &mut T, other: T) {
        self.0.reduce(kept, other);
    }
}

/// The accumulator of an aggregate function.
#[derive(Clone)]
pub struct Aggregated<A>(pub A);

impl<T, A: AggregateFunction<T>> WindowContents<T> for Aggregated<A> {
    type Kept = A::Accumulator;

    #[inline]
    fn first(&mut self, record: T, _timestamp: i64) -> A::Accumulator {
        let mut accumulator = self.0.create_accumulator();
        self.0.add(record, &mut accumulator);
        accumulator
    }

    #[inline]
    fn add(&mut self, kept: &mut A::Accumulator, record: T, _timestamp: i64) {
        self.0.add(record, kept);
    }

    #[inline]
    fn merge(&mut self, kept: &mut A::Accumulator, other: A::Accumulator) {
        self.0.merge(kept, other);
    }
}

/// All records of a window with their timestamps, in order of arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct Elements<T> {
    /// The records.
    pub records: Vec<T>,
    /// Their event times, or times of arrival where they have none, in epoch milliseconds.
    pub timestamps: Vec<i64>,
}

/// A sequence of records with their times.
impl<T: Serialize> Serialize for Elements<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.records.iter().zip(&self.timestamps))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Elements<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (records, timestamps) = Vec::<(T, i64)>::deserialize(deserializer)?.into_iter().unzip();
        Ok(Elements { records, timestamps })
    }
}

impl<T> Elements<T> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Keeps the records for which `keep(index, record, timestamp)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &T, i64) -> bool) {
        let kept: Vec<bool> =
            (0..self.len()).map(|i| keep(i, &self.records[i], self.timestamps[i])).collect();
        let mut next = kept.iter();
        self.records.retain(|_| next.next() == Some(&true));
        let mut next = kept.iter();
        self.timestamps.retain(|_| next.next() == Some(&true));
    }
}

/// All records.
pub struct Listed<T>(PhantomData<fn() -> T>);

impl<T> Listed<T> {
    /// Keeps all records.
    pub fn new() -> Self {
        Listed(PhantomData)
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed::new()
    }
}

impl<T> Clone for Listed<T> {
    fn clone(&self) -> Self {
        Listed::new()
    }
}

impl<T: Data> WindowContents<T> for Listed<T> {
    type Kept = Elements<T>;
    const IS_LIST: bool = true;

    fn first(&mut self, record: T, timestamp: i64) -> Elements<T> {
        Elements { records: vec![record], timestamps: vec![timestamp] }
    }

    #[inline]
    fn add(&mut self, kept: &mut Elements<T>, record: T, timestamp: i64) {
        kept.records.push(record);
        kept.timestamps.push(timestamp);
    }

    fn merge(&mut self, kept: &mut Elements<T>, other: Elements<T>) {
        kept.records.extend(other.records);
        kept.timestamps.extend(other.timestamps);
    }
}
