//! A stream partitioned by key, and its aggregations.

use crate::graph::{EdgeWriter, boxed};
use crate::stream::DataStream;
use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::exchange::writer::{ByRecord, ExchangeWriter, OutputPort};
use kvick_runtime::operator::{BoxStage, Chained};
use kvick_runtime::operators::{Combine, KeyedAggregate, ProcessFunction, Reduce, Reducer};
use kvick_runtime::partition::HashPartitioner;
use std::marker::PhantomData;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

/// A stream in which records with equal keys reach one subtask.
pub struct KeyedStream<T, K, F> {
    input: DataStream<T>,
    key: F,
    types: PhantomData<fn() -> K>,
}

/// Adds one field.
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

/// Keeps the record, or the field, that is preferred to the one known.
#[derive(Clone)]
struct Pick<F, P> {
    field: F,
    prefer: P,
}

impl<T, F, P> Reducer<T> for Pick<F, P>
where
    F: FnMut(&mut T, T, &mut P) + Clone + Send + 'static,
    P: Clone + Send + 'static,
{
    #[inline]
    fn reduce(&mut self, aggregate: &mut T, record: T) {
        (self.field)(aggregate, record, &mut self.prefer);
    }
}

impl<T, K, F> KeyedStream<T, K, F>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
{
    pub(crate) fn new(input: DataStream<T>, key: F) -> Self {
        KeyedStream { input, key, types: PhantomData }
    }

    /// The stream whose edge to its consumer is partitioned by key.
    fn partitioned(&self) -> DataStream<T> {
        let key = self.key.clone();
        let writer: EdgeWriter = Arc::new(Mutex::new(move |_, _, port| boxed(hash_stage(key.clone(), port))));
        self.input.partitioned(Partitioning::Hash, &writer)
    }

    fn aggregate<R: Reducer<T>>(&self, name: &str, reducer: R) -> DataStream<T> {
        let (key, combiner) = (self.key.clone(), reducer.clone());
        let writer: EdgeWriter = Arc::new(Mutex::new(move |_, mode, port| {
            let send = hash_stage(key.clone(), port);
            boxed(match mode {
                RuntimeMode::Streaming => send,
                RuntimeMode::Batch => Chained::before(Combine::new(key.clone(), combiner.clone()), send),
            })
        }));
        let key = self.key.clone();
        self.input.partitioned(Partitioning::Hash, &writer).transform_in_mode(name, move |mode| {
            KeyedAggregate::new(key.clone(), reducer.clone(), mode == RuntimeMode::Streaming)
        })
    }

    /// Combines the records of each key by a function of two. In streaming mode every update is emitted.
    pub fn reduce(&self, function: impl FnMut(T, T) -> T + Clone + Send + 'static) -> DataStream<T> {
        self.aggregate("Keyed Reduce", Reduce(function))
    }

    /// Adds up one field, which the function selects: `.sum(|(_, count)| count)`. Other fields are those of the first
    /// record of the key.
    pub fn sum<N: AddAssign + Clone + 'static>(
        &self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.aggregate("Keyed Aggregation", Sum { field, types: PhantomData })
    }

    /// The smallest value of one field, which the function selects. Other fields are those of the first record.
    pub fn min<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.extreme(field, |new: &N, known: &N| new < known)
    }

    /// The largest value of one field, which the function selects. Other fields are those of the first record.
    pub fn max<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.extreme(field, |new: &N, known: &N| new > known)
    }

    fn extreme<N: Clone + 'static>(
        &self,
        mut field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
        prefer: fn(&N, &N) -> bool,
    ) -> DataStream<T> {
        let choose = move |aggregate: &mut T, mut record: T, prefer: &mut fn(&N, &N) -> bool| {
            let new = field(&mut record).clone();
            let known = field(aggregate);
            if prefer(&new, known) {
                *known = new;
            }
        };
        self.aggregate("Keyed Aggregation", Pick { field: choose, prefer })
    }

    /// The record with the smallest value; of equal ones the first.
    pub fn min_by<N: PartialOrd + 'static>(
        &self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.extreme_by(value, |new: &N, known: &N| new < known)
    }

    /// The record with the largest value; of equal ones the first.
    pub fn max_by<N: PartialOrd + 'static>(
        &self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.extreme_by(value, |new: &N, known: &N| new > known)
    }

    fn extreme_by<N: 'static>(
        &self,
        mut value: impl FnMut(&T) -> N + Clone + Send + 'static,
        prefer: fn(&N, &N) -> bool,
    ) -> DataStream<T> {
        let choose = move |aggregate: &mut T, record: T, prefer: &mut fn(&N, &N) -> bool| {
            if prefer(&value(&record), &value(aggregate)) {
                *aggregate = record;
            }
        };
        self.aggregate("Keyed Aggregation", Pick { field: choose, prefer })
    }

    /// User code with a life cycle and timers; records of one key reach one clone of it.
    pub fn process<U: Data, P: ProcessFunction<T, U>>(&self, function: P) -> DataStream<U> {
        self.partitioned().process(function).name("KeyedProcess")
    }

    /// The same records, partitioned by key, as a plain stream.
    pub fn as_stream(&self) -> DataStream<T> {
        self.partitioned()
    }
}

fn hash_stage<T: Data, K: Key, F: FnMut(&T) -> K + Send + 'static>(key: F, port: OutputPort) -> BoxStage<T> {
    let groups = port.consumer_max_parallelism;
    ExchangeWriter::stage(port, ByRecord(HashPartitioner::new(key, groups)))
}
