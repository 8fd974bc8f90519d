//! A stream partitioned by key, and its aggregations.

use crate::graph::{EdgeWriter, boxed};
use crate::reducers;
use crate::stream::DataStream;
use crate::windowed::{CountWindowedStream, SlidingCountWindowedStream, WindowedStream};
use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::exchange::writer::{ByRecord, ExchangeWriter, OutputPort};
use kvick_runtime::operator::{BoxStage, Chained};
use kvick_runtime::operators::window::{
    CountEvictor, CountTrigger, GlobalWindows, PurgingTrigger, WindowAssigner,
};
use kvick_runtime::operators::{
    Combine, GroupedAggregate, KeyedAggregate, KeyedProcessFunction, KeyedProcessOperator, Reduce, Reducer,
};
use kvick_runtime::partition::HashPartitioner;
use std::marker::PhantomData;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

/// A stream in which records with equal keys reach one subtask.
#[derive(Clone)]
pub struct KeyedStream<T, K, F> {
    pub(crate) input: DataStream<T>,
    pub(crate) key: F,
    types: PhantomData<fn() -> K>,
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

    /// The key of a record, as those are told it whose records may have none.
    fn optional_key(&self) -> impl FnMut(&T) -> Option<K> + Clone + Send + 'static + use<T, K, F> {
        let mut key = self.key.clone();
        move |record: &T| Some(key(record))
    }

    /// The stream whose edge to its consumer is partitioned by key.
    pub(crate) fn partitioned(&self) -> DataStream<T> {
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
        self.input.partitioned(Partitioning::Hash, &writer).transform_staged(name, move |mode, next| {
            match mode {
                RuntimeMode::Streaming => {
                    Chained::before(KeyedAggregate::new(key.clone(), reducer.clone()), next)
                }
                RuntimeMode::Batch => {
                    Chained::before(GroupedAggregate::new(key.clone(), reducer.clone()), next)
                }
            }
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
        self.aggregate("Keyed Aggregation", reducers::sum(field))
    }

    /// The smallest value of one field, which the function selects. Other fields are those of the first record.
    pub fn min<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.aggregate("Keyed Aggregation", reducers::extreme(field, reducers::smaller))
    }

    /// The largest value of one field, which the function selects. Other fields are those of the first record.
    pub fn max<N: PartialOrd + Clone + 'static>(
        &self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.aggregate("Keyed Aggregation", reducers::extreme(field, reducers::larger))
    }

    /// The record with the smallest value; of equal ones the first.
    #[doc(alias = "minBy")]
    pub fn min_by<N: PartialOrd + 'static>(
        &self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.aggregate("Keyed Aggregation", reducers::extreme_by(value, reducers::smaller))
    }

    /// The record with the largest value; of equal ones the first.
    #[doc(alias = "maxBy")]
    pub fn max_by<N: PartialOrd + 'static>(
        &self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.aggregate("Keyed Aggregation", reducers::extreme_by(value, reducers::larger))
    }

    /// User code with a life cycle, and with state and timers by key.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// /// Counts the records of each key.
    /// #[derive(Clone, Default)]
    /// struct Count {
    ///     count: ValueState<u64>,
    /// }
    ///
    /// impl KeyedProcessFunction<Str, (Str, f64), (Str, u64)> for Count {
    ///     fn open(&mut self, context: &mut FunctionContext<'_, Str>) -> Result<(), BoxError> {
    ///         self.count = context.value_state(ValueStateDescriptor::new("count"))?;
    ///         Ok(())
    ///     }
    ///
    ///     fn process(
    ///         &mut self,
    ///         value: (Str, f64),
    ///         context: &mut KeyedContext<'_, Str>,
    ///         out: &mut Collector<(Str, u64)>,
    ///     ) -> Result<(), BoxError> {
    ///         let count = self.count.value(context)?.copied().unwrap_or(0) + 1;
    ///         self.count.update(context, count)?;
    ///         out.push((value.0, count));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let readings = env.from_collection([(Str::from("a"), 1.5), (Str::from("a"), 2.5)]);
    /// let counts = readings.key_by(|reading| reading.0.clone()).process(Count::default());
    /// # assert_eq!(counts.execute_and_collect("counts").unwrap(), [("a".into(), 1), ("a".into(), 2)]);
    /// ```
    pub fn process<U: Data, P: KeyedProcessFunction<K, T, U>>(&self, function: P) -> DataStream<U> {
        let key = self.key.clone();
        self.partitioned().transform_keyed("KeyedProcess", self.optional_key(), move |mode| {
            KeyedProcessOperator::new(key.clone(), function.clone(), mode == RuntimeMode::Batch)
        })
    }

    /// Windows over the records of each key.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::window::TumblingEventTimeWindows;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let clicks = env.from_collection([(Str::from("a"), 12_i64, 1_u64)]).assign_ascending_timestamps(|click| click.1);
    /// clicks
    ///     .key_by(|(user, _, _)| user.clone())
    ///     .window(TumblingEventTimeWindows::of(Duration::from_secs(60)))
    ///     .sum(|(_, _, count)| count);
    /// ```
    #[doc(alias = "timeWindow")]
    pub fn window<A: WindowAssigner<T>>(&self, assigner: A) -> WindowedStream<T, K, F, A> {
        WindowedStream::over(self.partitioned(), self.key.clone(), assigner)
    }

    /// Windows of so many records of a key each. Records that do not fill a window are not emitted.
    #[doc(alias = "countWindow")]
    pub fn count_window(&self, size: u64) -> CountWindowedStream<T, K, F> {
        self.window(GlobalWindows).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// The last `size` records of a key, after each `slide` records.
    #[doc(alias = "countWindow")]
    pub fn count_window_sliding(&self, size: usize, slide: u64) -> SlidingCountWindowedStream<T, K, F> {
        self.window(GlobalWindows).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
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
