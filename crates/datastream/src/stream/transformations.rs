//! What can be made of a stream: other streams, streams by key, windows.

use super::DataStream;
use super::partitioning::plain_writer;
use crate::graph::{Edge, SideEdge, side_fan_out};
use crate::keyed::KeyedStream;
use crate::windowed::{
    AllWindowedStream, CountWindowedStream, SlidingCountWindowedStream, UnitKey, WindowedStream,
};
use kvick_core::graph::RuntimeMode;
use kvick_runtime::element::{Data, Key};
use kvick_runtime::error::BoxError;
use kvick_runtime::operator::Output;
use kvick_runtime::operators::window::{
    CountEvictor, CountTrigger, GlobalWindows, PurgingTrigger, WindowAssigner,
};
use kvick_runtime::operators::{
    AssignTimestamps, Filter, FlatMap, Map, ProcessFunction, ProcessOperator, RichFlatMap, TryMap,
};
use kvick_runtime::side::OutputTag;
use kvick_runtime::task::TaskContext;
use kvick_runtime::time::{TimestampAssigner, WatermarkGenerator, WatermarkStrategy};
use std::marker::PhantomData;

impl<T: Data> DataStream<T> {
    /// One record for each record.
    #[doc(alias = "MapFunction")]
    pub fn map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T) -> U + Clone + Send + 'static,
    {
        self.transform("Map", move || Map::new(function.clone()))
    }

    /// One record for each record; an error fails the task.
    pub fn try_map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T) -> Result<U, BoxError> + Clone + Send + 'static,
    {
        self.transform("Map", move || TryMap::new(function.clone()))
    }

    /// The records for which the function holds.
    #[doc(alias = "FilterFunction")]
    pub fn filter<F>(&self, function: F) -> DataStream<T>
    where
        F: FnMut(&T) -> bool + Clone + Send + 'static,
    {
        self.transform("Filter", move || Filter::new(function.clone()))
    }

    /// Any number of records for each record: the function pushes them.
    #[doc(alias = "flatMap")]
    pub fn flat_map<U: Data, F>(&self, function: F) -> DataStream<U>
    where
        F: FnMut(T, &mut Output<U>) + Clone + Send + 'static,
    {
        self.transform("Flat Map", move || FlatMap::new(function.clone()))
    }

    /// One record for each record, by a function that is made when its subtask starts and sees the task's context: what a
    /// `RichMapFunction` opens. An error fails the task.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let numbers = env.from_collection([3_i64, -4]);
    /// let positive = numbers.rich_map(|context| {
    ///     let negative = context.metric_group().counter("negative");
    ///     Ok(move |number: i64| {
    ///         if number < 0 {
    ///             negative.inc();
    ///         }
    ///         Ok(number.abs())
    ///     })
    /// });
    /// # assert_eq!(positive.execute_and_collect("positive").unwrap(), [3, 4]);
    /// ```
    #[doc(alias = "RichMapFunction")]
    pub fn rich_map<U: Data, M, F>(&self, make: M) -> DataStream<U>
    where
        M: FnMut(&mut TaskContext) -> Result<F, BoxError> + Clone + Send + 'static,
        F: FnMut(T) -> Result<U, BoxError> + Send + 'static,
    {
        self.transform("Map", move || {
            let mut make = make.clone();
            RichFlatMap::new(move |context: &mut TaskContext| {
                let mut function = make(context)?;
                Ok(move |record, out: &mut Output<U>| {
                    out.push(function(record)?);
                    Ok(())
                })
            })
        })
    }

    /// Any number of records for each record, by a function that is made when its subtask starts, as [`DataStream::rich_map`].
    #[doc(alias = "RichFlatMapFunction")]
    pub fn rich_flat_map<U: Data, M, F>(&self, make: M) -> DataStream<U>
    where
        M: FnMut(&mut TaskContext) -> Result<F, BoxError> + Clone + Send + 'static,
        F: FnMut(T, &mut Output<U>) -> Result<(), BoxError> + Send + 'static,
    {
        self.transform("Flat Map", move || RichFlatMap::new(make.clone()))
    }

    /// User code with a life cycle, timers and the task's context; each subtask has its own clone.
    pub fn process<U: Data, F: ProcessFunction<T, U>>(&self, function: F) -> DataStream<U> {
        // The mutex makes the clone source shareable without asking authors for `Sync`.
        self.transform("Process", move || ProcessOperator::new(function.clone()))
    }

    /// Sends records with equal keys to one subtask.
    #[doc(alias = "keyBy")]
    pub fn key_by<K: Key, F>(&self, key: F) -> KeyedStream<T, K, F>
    where
        F: FnMut(&T) -> K + Clone + Send + 'static,
    {
        KeyedStream::new(self.clone(), key)
    }

    /// Windows over all records of the stream, in one subtask. Where they keep one value (`reduce`, `aggregate` and the like) of
    /// tumbling or sliding windows of event time, each producer combines its own records first, so functions must be associative.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::window::TumblingEventTimeWindows;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let clicks = env.from_collection([(1_u64, 12_i64)]).assign_ascending_timestamps(|click| click.1);
    /// clicks.window_all(TumblingEventTimeWindows::of(Duration::from_secs(60))).sum(|click| &mut click.0);
    /// ```
    #[doc(alias("windowAll", "timeWindowAll"))]
    pub fn window_all<A: WindowAssigner<T>>(&self, assigner: A) -> AllWindowedStream<T, A> {
        WindowedStream::over_all(self.global(), assigner)
    }

    /// Windows of so many records each, over the whole stream.
    #[doc(alias = "countWindowAll")]
    pub fn count_window_all(&self, size: u64) -> CountWindowedStream<T, (), UnitKey<T>> {
        self.window_all(GlobalWindows).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// The last `size` records of the whole stream, after each `slide` records.
    #[doc(alias = "countWindowAll")]
    pub fn count_window_all_sliding(
        &self,
        size: usize,
        slide: u64,
    ) -> SlidingCountWindowedStream<T, (), UnitKey<T>> {
        self.window_all(GlobalWindows).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
    }

    /// The records of this stream and others, in no particular order.
    pub fn union(&self, others: &[&DataStream<T>]) -> DataStream<T> {
        let all = std::iter::once(self).chain(others.iter().copied());
        let origins = all.flat_map(|stream| stream.origins.iter().cloned()).collect();
        DataStream { env: self.env.clone(), origins, types: PhantomData }
    }

    /// The records that the operator of this stream emitted to a side output.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::OutputTag;
    /// # #[derive(Clone)] struct Parse;
    /// # impl ProcessFunction<String, i64> for Parse {
    /// #     fn process(&mut self, text: String, _: &mut Process, out: &mut Collector<i64>) -> Result<(), BoxError> {
    /// #         match text.parse() {
    /// #             Ok(number) => out.push(number),
    /// #             Err(_) => out.emit_to(&REJECTED, text),
    /// #         }
    /// #         Ok(())
    /// #     }
    /// # }
    /// const REJECTED: OutputTag<String> = OutputTag::named("rejected");
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let lines = env.from_collection(["1".to_string(), "x".to_string()]);
    /// let numbers = lines.process(Parse); // Parse calls out.emit_to(&REJECTED, text) for what is no number
    /// let rejected = numbers.side_output(&REJECTED);
    /// # assert_eq!(rejected.execute_and_collect("rejected").unwrap(), ["x"]);
    /// ```
    #[doc(alias("getSideOutput", "split"))]
    pub fn side_output<U: Data>(&self, tag: &OutputTag<U>) -> DataStream<U> {
        let side = SideEdge { tag: tag.name().to_string(), fan_out: side_fan_out::<U> };
        let origin = |edge: &Edge| Edge {
            from: edge.from,
            partitioning: None,
            writer: plain_writer::<U>(),
            side: Some(side.clone()),
        };
        let origins = self.origins.iter().map(origin).collect();
        DataStream { env: self.env.clone(), origins, types: PhantomData }
    }

    /// [`DataStream::side_output`] by its name in Flink.
    #[doc(alias = "getSideOutput")]
    pub fn get_side_output<U: Data>(&self, tag: &OutputTag<U>) -> DataStream<U> {
        self.side_output(tag)
    }

    /// Gives records their event time and makes watermarks, by a strategy.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let readings = env.from_collection([("a".to_string(), 12_i64)]);
    /// readings.assign_timestamps_and_watermarks(
    ///     WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
    ///         .with_timestamp_assigner(|reading: &(String, i64)| reading.1),
    /// );
    /// ```
    #[doc(alias = "assignTimestampsAndWatermarks")]
    pub fn assign_timestamps_and_watermarks<G, A>(&self, strategy: WatermarkStrategy<G, A>) -> DataStream<T>
    where
        G: WatermarkGenerator<T>,
        A: TimestampAssigner<T>,
    {
        let group = strategy.alignment_group().map(str::to_string);
        let stream = self.transform_in_mode("Timestamps/Watermarks", move |mode| {
            AssignTimestamps::new(strategy.clone(), mode == RuntimeMode::Batch)
        });
        stream.aligned_in(group)
    }

    /// Event time from a function of the record, for records that come in order.
    #[doc(alias = "AscendingTimestampExtractor")]
    pub fn assign_ascending_timestamps(
        &self,
        timestamp: impl FnMut(&T) -> i64 + Clone + Send + 'static,
    ) -> DataStream<T> {
        let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(timestamp);
        self.assign_timestamps_and_watermarks(strategy)
    }
}
