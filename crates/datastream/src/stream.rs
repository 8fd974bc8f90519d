//! A stream of records, and what can be made of it.

use crate::environment::StreamExecutionEnvironment;
use crate::execute::JobError;
use crate::graph::{
    Chaining, Edge, EdgeWriter, Erased, FanOut, Node, NodeKind, SideEdge, boxed, fan_out, scope,
    side_fan_out, unboxed,
};
use crate::keyed::KeyedStream;
use crate::sink::DataStreamSink;
use crate::windowed::{
    AllWindowedStream, CountWindowedStream, SlidingCountWindowedStream, UnitKey, WindowedStream,
};
use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::error::BoxError;
use kvick_runtime::exchange::writer::{ByRecord, ExchangeWriter, OutputPort, ToAll, ToFirst};
use kvick_runtime::operator::{BoxStage, Chained, KeyedOperator, Operator, Output};
use kvick_runtime::operators::window::{
    CountEvictor, CountTrigger, GlobalWindows, PurgingTrigger, WindowAssigner,
};
use kvick_runtime::operators::{
    AssignTimestamps, Filter, FlatMap, Map, OneKeyAtATime, ProcessFunction, ProcessOperator, RichFlatMap,
    TryMap,
};
use kvick_runtime::partition::{CustomPartitioner, RebalancePartitioner, ShufflePartitioner};
use kvick_runtime::side::OutputTag;
use kvick_runtime::sinks::{
    BucketAssigner, Encoder, FileSink, PrintSink, PrintTarget, Sink, SocketSink, TextFileSink, TwoPhase,
    TwoPhaseSink, stage,
};
use kvick_runtime::task::{OneInput, TaskContext};
use kvick_runtime::time::{TimestampAssigner, WatermarkGenerator, WatermarkStrategy};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// A stream of records of type `T`. Cheap to clone; may have any number of consumers.
#[derive(Clone)]
pub struct DataStream<T> {
    pub(crate) env: StreamExecutionEnvironment,
    pub(crate) origins: Vec<Edge>,
    types: PhantomData<fn() -> T>,
}

/// The writer of an edge whose partitioning needs nothing from the program.
fn plain_writer<T: Data>() -> EdgeWriter {
    Arc::new(Mutex::new(|partitioning, _, port| boxed(plain_stage::<T>(partitioning, port))))
}

fn plain_stage<T: Data>(partitioning: Partitioning, port: OutputPort) -> BoxStage<T> {
    match partitioning {
        Partitioning::Forward | Partitioning::Global => ExchangeWriter::stage(port, ToFirst),
        Partitioning::Broadcast => ExchangeWriter::stage(port, ToAll),
        Partitioning::Shuffle => ExchangeWriter::stage(port, ByRecord(ShufflePartitioner::default())),
        // Rescale differs from rebalance in the channels that it has. Hash and custom have writers of their own.
        Partitioning::Rebalance | Partitioning::Rescale | Partitioning::Hash | Partitioning::Custom => {
            ExchangeWriter::stage(port, ByRecord(RebalancePartitioner::default()))
        }
    }
}

/// An operator with keyed state in front of a stage: in batch mode it is given one key after the other.
pub(crate) fn keyed_stage<O, K, F>(mode: RuntimeMode, key: F, operator: O, next: Erased) -> Erased
where
    O: KeyedOperator,
    O::In: Data,
    O::Out: Data,
    K: Key,
    F: FnMut(&O::In) -> Option<K> + Send + 'static,
{
    let next = unboxed::<O::Out>(next);
    boxed(match mode {
        // A key of no size has one value: there is nothing to sort by.
        RuntimeMode::Batch if size_of::<K>() > 0 => Chained::before(OneKeyAtATime::new(operator, key), next),
        _ => Chained::before(operator, next),
    })
}

impl<T: Data> DataStream<T> {
    pub(crate) fn from_node(env: StreamExecutionEnvironment, node: usize) -> DataStream<T> {
        let origin = Edge { from: node, partitioning: None, writer: plain_writer::<T>(), side: None };
        DataStream { env, origins: vec![origin], types: PhantomData }
    }

    pub(crate) fn fixed_parallelism(self, parallelism: u32) -> Self {
        self.configure(|node| node.parallelism = Some(parallelism))
    }

    fn configure(self, set: impl Fn(&mut Node)) -> Self {
        let mut state = self.env.shared.state();
        if let [origin] = self.origins.as_slice()
            && origin.side.is_none()
            && let Some(node) = state.graph.nodes.get_mut(origin.from)
        {
            set(node);
        }
        drop(state);
        self
    }

    /// Names the operator that makes this stream. (A union or a side output has no operator of its own: this and the
    /// following settings do not change it.)
    pub fn name(self, name: &str) -> Self {
        self.configure(|node| node.name = name.to_string())
    }

    /// Gives the operator an id that stays the same when the program changes; state is found by it.
    pub fn uid(self, uid: &str) -> Self {
        self.configure(|node| node.uid = Some(uid.to_string()))
    }

    /// The number of subtasks of the operator.
    pub fn set_parallelism(self, parallelism: u32) -> Self {
        self.configure(|node| node.parallelism = Some(parallelism))
    }

    /// The number of key groups of the operator.
    pub fn set_max_parallelism(self, max_parallelism: u32) -> Self {
        self.configure(|node| node.max_parallelism = Some(max_parallelism))
    }

    /// How long records of the operator may wait for a buffer to fill, in milliseconds; 0: not at all, -1: for ever. Stronger
    /// than the environment's setting.
    pub fn set_buffer_timeout(self, millis: i64) -> Self {
        self.configure(|node| node.buffer_timeout = Some(millis))
    }

    /// Subtasks of operators in different groups do not share slots.
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.configure(|node| node.slot_sharing_group = Some(group.to_string()))
    }

    /// Lets the operator be a task of its own.
    pub fn disable_chaining(self) -> Self {
        self.configure(|node| node.chaining = Chaining::Never)
    }

    /// Lets the operator start a task.
    pub fn start_new_chain(self) -> Self {
        self.configure(|node| node.chaining = Chaining::Head)
    }

    /// Adds an operator of one's own.
    pub fn transform<O: Operator<In = T>>(
        &self,
        name: &str,
        make: impl Fn() -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O::Out: Data,
    {
        self.transform_in_mode(name, move |_| make())
    }

    pub(crate) fn transform_in_mode<O: Operator<In = T>>(
        &self,
        name: &str,
        make: impl Fn(kvick_core::graph::RuntimeMode) -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O::Out: Data,
    {
        let kind = NodeKind::Operator(Box::new(move |mode, next| {
            boxed(Chained::before(make(mode), unboxed::<O::Out>(next)))
        }));
        let node = self.consumer(name, kind, fan_out::<O::Out>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    /// An operator that is another one in batch mode.
    pub(crate) fn transform_staged<O: Data>(
        &self,
        name: &str,
        chain: impl Fn(RuntimeMode, BoxStage<O>) -> BoxStage<T> + Send + 'static,
    ) -> DataStream<O> {
        let kind = NodeKind::Operator(Box::new(move |mode, next| boxed(chain(mode, unboxed::<O>(next)))));
        let node = self.consumer(name, kind, fan_out::<O>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    /// An operator with keyed state: in batch mode it is given one key after the other, where `key` says which.
    pub(crate) fn transform_keyed<O, K, F>(
        &self,
        name: &str,
        key: F,
        make: impl Fn(RuntimeMode) -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O: KeyedOperator<In = T>,
        O::Out: Data,
        K: Key,
        F: FnMut(&T) -> Option<K> + Clone + Send + 'static,
    {
        let chain = move |mode, next| keyed_stage(mode, key.clone(), make(mode), next);
        let node = self.consumer(name, NodeKind::Operator(Box::new(chain)), fan_out::<O::Out>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    fn consumer(&self, name: &str, kind: NodeKind, fan_out: FanOut) -> Node {
        Node {
            name: name.to_string(),
            uid: None,
            kind,
            inputs: self.origins.clone(),
            parallelism: None,
            max_parallelism: None,
            buffer_timeout: None,
            slot_sharing_group: None,
            chaining: Chaining::Always,
            bounded: true,
            scope: scope::<T>,
            fan_out,
            head: Box::new(|stage| OneInput::boxed(unboxed::<T>(stage))),
        }
    }

    /// One record for each record.
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
    pub fn filter<F>(&self, function: F) -> DataStream<T>
    where
        F: FnMut(&T) -> bool + Clone + Send + 'static,
    {
        self.transform("Filter", move || Filter::new(function.clone()))
    }

    /// Any number of records for each record: the function pushes them.
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
    pub fn key_by<K: Key, F>(&self, key: F) -> KeyedStream<T, K, F>
    where
        F: FnMut(&T) -> K + Clone + Send + 'static,
    {
        KeyedStream::new(self.clone(), key)
    }

    /// Windows over all records of the stream, in one subtask.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::window::TumblingEventTimeWindows;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let clicks = env.from_collection([(1_u64, 12_i64)]).assign_ascending_timestamps(|click| click.1);
    /// clicks.window_all(TumblingEventTimeWindows::of(Duration::from_secs(60))).sum(|click| &mut click.0);
    /// ```
    pub fn window_all<A: WindowAssigner<T>>(&self, assigner: A) -> AllWindowedStream<T, A> {
        WindowedStream::over_all(self.global(), assigner)
    }

    /// Windows of so many records each, over the whole stream.
    pub fn count_window_all(&self, size: u64) -> CountWindowedStream<T, (), UnitKey<T>> {
        self.window_all(GlobalWindows).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// The last `size` records of the whole stream, after each `slide` records.
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
    pub fn assign_timestamps_and_watermarks<G, A>(&self, strategy: WatermarkStrategy<G, A>) -> DataStream<T>
    where
        G: WatermarkGenerator<T>,
        A: TimestampAssigner<T>,
    {
        self.transform_in_mode("Timestamps/Watermarks", move |mode| {
            AssignTimestamps::new(strategy.clone(), mode == RuntimeMode::Batch)
        })
    }

    /// Event time from a function of the record, for records that come in order.
    pub fn assign_ascending_timestamps(
        &self,
        timestamp: impl FnMut(&T) -> i64 + Clone + Send + 'static,
    ) -> DataStream<T> {
        let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(timestamp);
        self.assign_timestamps_and_watermarks(strategy)
    }

    pub(crate) fn partitioned(&self, partitioning: Partitioning, writer: &EdgeWriter) -> DataStream<T> {
        let origin = |edge: &Edge| Edge {
            from: edge.from,
            partitioning: Some(partitioning),
            writer: writer.clone(),
            side: edge.side.clone(),
        };
        let origins = self.origins.iter().map(origin).collect();
        DataStream { env: self.env.clone(), origins, types: PhantomData }
    }

    /// Subtask i to subtask i; both sides must have the same parallelism.
    pub fn forward(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Forward, &plain_writer::<T>())
    }

    /// Round robin over all consumers.
    pub fn rebalance(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Rebalance, &plain_writer::<T>())
    }

    /// Round robin over the consumers nearest by index.
    pub fn rescale(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Rescale, &plain_writer::<T>())
    }

    /// A random consumer for each record.
    pub fn shuffle(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Shuffle, &plain_writer::<T>())
    }

    /// Every consumer gets every record.
    pub fn broadcast(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Broadcast, &plain_writer::<T>())
    }

    /// Everything to the first consumer.
    pub fn global(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Global, &plain_writer::<T>())
    }

    /// To the consumer that the function chooses from the record and the number of consumers.
    pub fn partition_custom<F>(&self, choose: F) -> DataStream<T>
    where
        F: FnMut(&T, usize) -> usize + Clone + Send + 'static,
    {
        let writer: EdgeWriter = Arc::new(Mutex::new(move |_, _, port| {
            boxed(ExchangeWriter::<T, _>::stage(port, ByRecord(CustomPartitioner::new(choose.clone()))))
        }));
        self.partitioned(Partitioning::Custom, &writer)
    }

    /// Writes the records to a sink of one's own.
    pub fn sink_to<S: Sink<T>>(&self, name: &str, make: impl Fn() -> S + Send + 'static) -> DataStreamSink {
        let kind = NodeKind::Sink(Box::new(move || boxed(stage::<T, S>(make()))));
        let node = self.consumer(name, kind, fan_out::<T>);
        DataStreamSink { env: self.env.clone(), node: self.env.shared.add(node) }
    }

    /// Writes the records to a sink of one's own that commits in two phases: see [`TwoPhaseSink`].
    pub fn sink_to_two_phase<S: TwoPhaseSink<T>>(
        &self,
        name: &str,
        make: impl Fn() -> S + Send + 'static,
    ) -> DataStreamSink {
        self.sink_to(name, move || TwoPhase::of(make()))
    }

    /// Writes the records into part files, exactly once where checkpoints are taken: see [`FileSink`].
    ///
    /// ```no_run
    /// # use kvick::prelude::*;
    /// use kvick::sinks::{FileSink, RollingPolicy, TextEncoder};
    ///
    /// let env = StreamExecutionEnvironment::get_execution_environment();
    /// env.set_option("execution.checkpointing.interval", "10 s");
    /// let sink = FileSink::for_row_format("hdfs:///out", TextEncoder).with_rolling_policy(RollingPolicy::on_checkpoint());
    /// env.from_sequence(1, 100).sink_to_files(sink);
    /// ```
    pub fn sink_to_files<E: Encoder<T>, B: BucketAssigner<T>>(&self, sink: FileSink<E, B>) -> DataStreamSink {
        self.sink_to_two_phase("file-sink", move || sink.clone().writer())
    }

    /// Sends the records to a TCP server, from one subtask. After a failure records may be sent again or be lost.
    pub fn write_to_socket<E: Encoder<T>>(&self, host: &str, port: u16, encoder: E) -> DataStreamSink {
        let host = host.to_string();
        let make = move || SocketSink::new(host.clone(), port, encoder.clone(), 0);
        self.sink_to("Socket Sink", make).set_parallelism(1)
    }

    /// Prints each record to standard output: on a cluster to `taskmanager.out`.
    pub fn print(&self) -> DataStreamSink {
        self.sink_to("Print to Std. Out", || PrintSink::new(PrintTarget::Out, None))
    }

    /// The same, with a name before each line.
    pub fn print_with_identifier(&self, identifier: &str) -> DataStreamSink {
        let identifier = identifier.to_string();
        self.sink_to("Print to Std. Out", move || PrintSink::new(PrintTarget::Out, Some(identifier.clone())))
    }

    /// Prints each record to standard error.
    pub fn print_to_err(&self) -> DataStreamSink {
        self.sink_to("Print to Std. Err", || PrintSink::new(PrintTarget::Err, None))
    }

    /// Writes each record as a line into part files of a directory.
    pub fn write_as_text(&self, directory: impl Into<String>) -> DataStreamSink {
        let directory = directory.into();
        self.sink_to("file-sink", move || TextFileSink::new(directory.clone()))
    }

    /// Runs the job and returns the records of this stream, wherever the job ran. They travel with the job's result and must
    /// fit in memory; records of one subtask are in order.
    ///
    /// # Errors
    /// The job failed, or was submitted detached.
    pub fn execute_and_collect(&self, name: &str) -> Result<Vec<T>, JobError> {
        crate::execute::execute_and_collect(self, name)
    }
}
