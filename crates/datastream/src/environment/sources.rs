//! Where streams begin: the sources of an environment.

use super::StreamExecutionEnvironment;
use crate::graph::{Chaining, Node, NodeKind, fan_out, scope, unboxed};
use crate::stream::DataStream;
use kvick_core::graph::RuntimeMode;
use kvick_runtime::element::Data;
use kvick_runtime::operator::{BoxStage, Chained};
use kvick_runtime::operators::AssignTimestamps;
use kvick_runtime::sources::{
    CollectionSource, CsvFormat, DataGeneratorSource, FileFormat, FileSource, JsonLines, Lines,
    SequenceSource, SocketSource, SplitSource, Splits, TextLines,
};
use kvick_runtime::task::{OneInput, Source, SourceTask, Task};
use kvick_runtime::time::{SplitTurn, TimestampAssigner, WatermarkGenerator, WatermarkStrategy};
use std::sync::Arc;

impl StreamExecutionEnvironment {
    /// A stream of the records of a source. `bounded` says whether it ends by itself.
    #[doc(alias("addSource", "fromSource"))]
    pub fn from_source<S: Source>(
        &self,
        name: &str,
        bounded: bool,
        make: impl Fn() -> S + Send + 'static,
    ) -> DataStream<S::Out>
    where
        S::Out: Data,
    {
        self.add_source(name, bounded, move |_, next| SourceTask::boxed(make(), next))
    }

    fn add_source<T: Data>(
        &self,
        name: &str,
        bounded: bool,
        task: impl Fn(RuntimeMode, BoxStage<T>) -> Box<dyn Task> + Send + 'static,
    ) -> DataStream<T> {
        let node = Node {
            name: name.to_string(),
            uid: None,
            kind: NodeKind::Source(Box::new(move |mode, next| task(mode, unboxed::<T>(next)))),
            inputs: Vec::new(),
            parallelism: None,
            max_parallelism: None,
            buffer_timeout: None,
            slot_sharing_group: None,
            alignment_group: None,
            chaining: Chaining::Always,
            bounded,
            scope: scope::<T>,
            fan_out: fan_out::<T>,
            head: Box::new(|stage| OneInput::boxed(unboxed::<T>(stage))),
        };
        DataStream::from_node(self.clone(), self.shared.add(node))
    }

    /// A stream of the records of a source whose input is cut into splits: after a failure each split goes on where the
    /// last checkpoint left it, and at another parallelism the unfinished ones are dealt out again. `bounded` says whether
    /// it ends by itself.
    #[doc(alias("addSource", "fromSource"))]
    pub fn from_split_source<S: SplitSource + Clone>(
        &self,
        name: &str,
        bounded: bool,
        source: S,
    ) -> DataStream<S::Out>
    where
        S::Out: Data,
    {
        self.from_source(name, bounded, move || Splits::of(source.clone()))
    }

    /// The same with event time: each split has watermarks of its own, and the slowest one counts, so that splits which are
    /// read by turns do not make each other's records late.
    pub fn from_split_source_with<S, G, A>(
        &self,
        name: &str,
        bounded: bool,
        source: S,
        strategy: WatermarkStrategy<G, A>,
    ) -> DataStream<S::Out>
    where
        S: SplitSource + Clone,
        S::Out: Data,
        G: WatermarkGenerator<S::Out>,
        A: TimestampAssigner<S::Out>,
    {
        let group = strategy.alignment_group().map(str::to_string);
        let stream = self.add_source(name, bounded, move |mode, next| {
            let turn = SplitTurn::default();
            let strategy = strategy.clone().per_split(turn.clone());
            let stamped = Chained::before(AssignTimestamps::new(strategy, mode == RuntimeMode::Batch), next);
            SourceTask::boxed(Splits::of(source.clone()).telling(turn), stamped)
        });
        stream.aligned_in(group)
    }

    /// The records of a collection, in order, from one subtask.
    #[doc(alias("fromElements", "fromCollection", "fromData"))]
    pub fn from_collection<T: Data>(&self, records: impl IntoIterator<Item = T>) -> DataStream<T> {
        let records = Arc::new(records.into_iter().collect::<Vec<T>>());
        self.from_split_source("Collection Source", true, CollectionSource::new(records)).set_parallelism(1)
    }

    /// The numbers from `first` to `last`, both included, in parallel.
    #[doc(alias("fromSequence", "generateSequence"))]
    pub fn from_sequence(&self, first: i64, last: i64) -> DataStream<i64> {
        self.from_split_source("Sequence Source", true, SequenceSource::new(first, last))
    }

    /// Records made from the numbers from 0 on, as many a second as the generator is told.
    ///
    /// ```no_run
    /// # use kvick::prelude::*;
    /// use kvick::sources::DataGeneratorSource;
    ///
    /// let env = StreamExecutionEnvironment::get_execution_environment();
    /// let source = DataGeneratorSource::new(|n| format!("Number: {n}"), u64::MAX).rate_limited(100.0);
    /// env.from_data_generator(source).print();
    /// ```
    #[doc(alias("DataGeneratorSource", "DataGenSource"))]
    pub fn from_data_generator<T, F>(&self, source: DataGeneratorSource<F>) -> DataStream<T>
    where
        T: Data,
        F: FnMut(u64) -> T + Clone + Send + 'static,
    {
        self.from_split_source("Data Generator Source", source.is_bounded(), source)
    }

    /// The records of files, read once or watched for: see [`FileSource`].
    ///
    /// ```no_run
    /// # use kvick::prelude::*;
    /// use kvick::sources::{FileSource, Lines, TextLines};
    /// use std::time::Duration;
    ///
    /// let env = StreamExecutionEnvironment::get_execution_environment();
    /// let source = FileSource::new(Lines(TextLines), "hdfs:///incoming");
    /// env.from_files("incoming", source.monitor_continuously(Duration::from_secs(10))).print();
    /// ```
    #[doc(alias("readFile", "FileSource"))]
    pub fn from_files<F: FileFormat>(&self, name: &str, source: FileSource<F>) -> DataStream<F::Out>
    where
        F::Out: Data,
    {
        self.from_split_source(name, source.discovery_interval().is_none(), source)
    }

    /// The lines of a file, or of all files in a directory, in parallel.
    #[doc(alias = "readTextFile")]
    pub fn read_text_file(&self, path: impl Into<String>) -> DataStream<String> {
        self.from_files("file-input", FileSource::new(Lines(TextLines), path))
    }

    /// The records of files of comma-separated values, one subtask for each file. A record that is no `T` fails the job,
    /// unless the format says otherwise.
    #[doc(alias = "CsvReaderFormat")]
    pub fn read_csv_file<T: Data>(&self, path: impl Into<String>, format: CsvFormat<T>) -> DataStream<T> {
        self.from_files("csv-input", FileSource::new(format, path))
    }

    /// The JSON values on the lines of files, in parallel. A line that is no `T` fails the job.
    pub fn read_json_lines<T: Data>(&self, path: impl Into<String>) -> DataStream<T> {
        self.from_files("json-input", FileSource::new(Lines(JsonLines::default()), path))
    }

    /// Text from a TCP server, cut at a delimiter. `retries`: how often a lost or refused connection is tried again,
    /// every 500 ms; -1: for ever; 0: its end is the end of the stream. What was received is lost in a failure: at most once.
    #[doc(alias = "socketTextStream")]
    pub fn socket_text_stream(
        &self,
        host: &str,
        port: u16,
        delimiter: &str,
        retries: i64,
    ) -> DataStream<String> {
        let (host, delimiter) = (host.to_string(), delimiter.to_string());
        let make = move || SocketSource::new(host.clone(), port, delimiter.clone(), retries);
        self.from_source("Socket Stream", false, make).set_parallelism(1)
    }
}
