//! The entry to everything: where streams begin, and where a job is executed.

use crate::execute::{self, JobError};
use crate::graph::{
    Chaining, Defaults, Node, NodeKind, SHUFFLE_MODE, StreamGraph, batch_exchange, fan_out, generate, scope,
    unboxed,
};
use crate::job_client::JobClient;
use crate::job_client::remote::Target;
use crate::session::{self, session};
use crate::stream::DataStream;
use kvick_core::config::Configuration;
use kvick_core::graph::{Exchange, RuntimeMode};
use kvick_core::job::JobResult;
use kvick_runtime::element::Data;
use kvick_runtime::operator::{BoxStage, Chained};
use kvick_runtime::operators::AssignTimestamps;
use kvick_runtime::program::Program;
use kvick_runtime::sources::{
    CollectionSource, CsvFormat, DataGeneratorSource, FileFormat, FileSource, JsonLines, Lines,
    SequenceSource, SocketSource, SplitSource, Splits, TextLines,
};
use kvick_runtime::task::{OneInput, Source, SourceTask, Task};
use kvick_runtime::time::{SplitTurn, TimestampAssigner, WatermarkGenerator, WatermarkStrategy};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the program has said so far.
#[derive(Default)]
pub(crate) struct State {
    pub graph: StreamGraph,
    pub config: Configuration,
    pub parallelism: Option<u32>,
    pub max_parallelism: Option<u32>,
    pub mode: Option<RuntimeMode>,
    pub chaining_disabled: bool,
    /// Whether jobs run in this process, wherever the program runs.
    pub local: bool,
    /// The cluster to which a program that nobody hosts submits its jobs itself.
    pub remote: Option<Target>,
}

/// The state behind all clones of an environment and the streams made from it.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a node and returns its index.
    pub fn add(&self, node: Node) -> usize {
        let mut state = self.state();
        state.graph.nodes.push(node);
        state.graph.nodes.len() - 1
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        session::environment_dropped(self);
    }
}

/// The environment in which a program builds its streams.
#[derive(Clone)]
pub struct StreamExecutionEnvironment {
    pub(crate) shared: Arc<Shared>,
}

impl StreamExecutionEnvironment {
    /// The environment that fits where this program runs: on its own, in the `flink` command, on a cluster.
    pub fn get_execution_environment() -> StreamExecutionEnvironment {
        drop(session());
        StreamExecutionEnvironment { shared: Arc::default() }
    }

    /// An environment whose jobs run in this process, also where the `flink` command runs the program.
    pub fn create_local_environment() -> StreamExecutionEnvironment {
        let env = StreamExecutionEnvironment::get_execution_environment();
        env.shared.state().local = true;
        env
    }

    /// An environment whose jobs run on a cluster that is there already, such as a YARN session: `host` and `port` are those
    /// of its REST API, `jar` is the jar with this very program (`cargo kvick jar` makes it), which is uploaded with each
    /// job. What `execute()` prints, returns and fails with is what it does everywhere.
    ///
    /// Where the `flink` command or a cluster runs the program, jobs go where that sends them.
    ///
    /// ```no_run
    /// # use kvick::prelude::*;
    /// let env = StreamExecutionEnvironment::create_remote_environment("node1", 8081, "target/my-job.jar");
    /// env.from_sequence(1, 10).print(); // on the cluster: in taskmanager.out
    /// env.execute("numbers")?;
    /// # Ok::<(), JobError>(())
    /// ```
    pub fn create_remote_environment(
        host: &str,
        port: u16,
        jar: impl Into<PathBuf>,
    ) -> StreamExecutionEnvironment {
        let env = StreamExecutionEnvironment::get_execution_environment();
        env.shared.state().remote = Some(Target::new(host, port, jar.into()));
        env
    }

    /// The number of subtasks of operators that do not say otherwise; stronger than `-p` and `parallelism.default`.
    pub fn set_parallelism(&self, parallelism: u32) -> &Self {
        self.shared.state().parallelism = Some(parallelism);
        self
    }

    /// The number of subtasks of operators that do not say otherwise.
    pub fn parallelism(&self) -> u32 {
        let state = self.shared.state();
        let (own, is_remote) = (state.parallelism, state.remote.is_some());
        drop(state);
        own.unwrap_or_else(|| default_parallelism(&session(), is_remote))
    }

    /// The number of key groups of operators that do not say otherwise.
    pub fn set_max_parallelism(&self, max_parallelism: u32) -> &Self {
        self.shared.state().max_parallelism = Some(max_parallelism);
        self
    }

    /// Streaming or batch; stronger than `execution.runtime-mode`.
    pub fn set_runtime_mode(&self, mode: RuntimeMode) -> &Self {
        self.shared.state().mode = Some(mode);
        self
    }

    /// How long records may wait for a buffer to fill, in milliseconds; 0: not at all, -1: for ever.
    pub fn set_buffer_timeout(&self, millis: i64) -> &Self {
        self.set_option("execution.buffer-timeout.interval", &millis.to_string())
    }

    /// Takes a checkpoint at this interval: short for `execution.checkpointing.interval`. What else is to be said of
    /// checkpoints (`execution.checkpointing.dir`, …) goes through [`StreamExecutionEnvironment::set_option`] or the
    /// configuration.
    pub fn enable_checkpointing(&self, interval: Duration) -> &Self {
        self.set_option("execution.checkpointing.interval", &format!("{} ms", interval.as_millis()))
    }

    /// Lets every operator be a task of its own.
    pub fn disable_operator_chaining(&self) -> &Self {
        self.shared.state().chaining_disabled = true;
        self
    }

    /// Sets a configuration key for the jobs of this program; stronger than the cluster's configuration.
    pub fn set_option(&self, key: &str, value: &str) -> &Self {
        self.shared.state().config.set(key, value);
        self
    }

    /// The effective configuration.
    pub fn config(&self) -> Configuration {
        let mut config = session().config.clone();
        config.overlay(&self.shared.state().config);
        config
    }

    /// Computes a value once, where `main()` really runs; workers and later attempts get the recorded value. Everything
    /// that `main()` learns from outside itself and its arguments, and that shapes the graph, must go through here.
    ///
    /// # Errors
    /// The value cannot be recorded or read back.
    pub fn once<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        compute: impl FnOnce() -> T,
    ) -> Result<T, JobError> {
        let bad = |source| JobError::Once { name: name.to_string(), source };
        if let Some(recorded) = session().once.get(name) {
            return serde_json::from_str(recorded).map_err(bad);
        }
        let value = compute();
        let text = serde_json::to_string(&value).map_err(bad)?;
        session().once.insert(name.to_string(), text);
        Ok(value)
    }

    /// A stream of the records of a source. `bounded` says whether it ends by itself.
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
        self.add_source(name, bounded, move |mode, next| {
            let turn = SplitTurn::default();
            let strategy = strategy.clone().per_split(turn.clone());
            let stamped = Chained::before(AssignTimestamps::new(strategy, mode == RuntimeMode::Batch), next);
            SourceTask::boxed(Splits::of(source.clone()).telling(turn), stamped)
        })
    }

    /// The records of a collection, in order, from one subtask.
    pub fn from_collection<T: Data>(&self, records: impl IntoIterator<Item = T>) -> DataStream<T> {
        let records = Arc::new(records.into_iter().collect::<Vec<T>>());
        self.from_split_source("Collection Source", true, CollectionSource::new(records)).fixed_parallelism(1)
    }

    /// The numbers from `first` to `last`, both included, in parallel.
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
    pub fn from_files<F: FileFormat>(&self, name: &str, source: FileSource<F>) -> DataStream<F::Out>
    where
        F::Out: Data,
    {
        self.from_split_source(name, source.discovery_interval().is_none(), source)
    }

    /// The lines of a file, or of all files in a directory, in parallel.
    pub fn read_text_file(&self, path: impl Into<String>) -> DataStream<String> {
        self.from_files("file-input", FileSource::new(Lines(TextLines), path))
    }

    /// The records of files of comma-separated values, one subtask for each file. A record that is no `T` fails the job,
    /// unless the format says otherwise.
    pub fn read_csv_file<T: Data>(&self, path: impl Into<String>, format: CsvFormat<T>) -> DataStream<T> {
        self.from_files("csv-input", FileSource::new(format, path))
    }

    /// The JSON values on the lines of files, in parallel. A line that is no `T` fails the job.
    pub fn read_json_lines<T: Data>(&self, path: impl Into<String>) -> DataStream<T> {
        self.from_files("json-input", FileSource::new(Lines(JsonLines::default()), path))
    }

    /// Text from a TCP server, cut at a delimiter. `retries`: how often a lost or refused connection is tried again,
    /// every 500 ms; -1: for ever; 0: its end is the end of the stream. What was received is lost in a failure: at most once.
    pub fn socket_text_stream(
        &self,
        host: &str,
        port: u16,
        delimiter: &str,
        retries: i64,
    ) -> DataStream<String> {
        let (host, delimiter) = (host.to_string(), delimiter.to_string());
        let make = move || SocketSource::new(host.clone(), port, delimiter.clone(), retries);
        self.from_source("Socket Stream", false, make).fixed_parallelism(1)
    }

    /// Runs what was built as a job, and waits for its end.
    ///
    /// # Errors
    /// The job failed, was cancelled or rejected; the message holds the root cause.
    pub fn execute(&self, name: &str) -> Result<JobResult, JobError> {
        let program = self.take_program(name)?;
        if self.shared.state().local {
            return execute::execute_here(program, &self.config());
        }
        let remote = self.shared.state().remote.clone();
        execute::execute(program, &self.config(), remote.as_ref())
    }

    /// Runs what was built as a job, and does not wait for it.
    ///
    /// # Errors
    /// The job was rejected.
    pub fn execute_async(&self, name: &str) -> Result<JobClient, JobError> {
        let program = self.take_program(name)?;
        if self.shared.state().local {
            return execute::start_here(program, &self.config());
        }
        let remote = self.shared.state().remote.clone();
        execute::execute_async(program, &self.config(), remote.as_ref())
    }

    pub(crate) fn take_program(&self, name: &str) -> Result<Program, JobError> {
        let defaults = self.defaults()?;
        let graph = std::mem::take(&mut self.shared.state().graph);
        generate(graph, name, &defaults)
    }

    fn defaults(&self) -> Result<Defaults, JobError> {
        let config = self.config();
        let parallelism = self.parallelism();
        // Where a lost process takes the whole job with it, nothing is gained by keeping results.
        let embedded = matches!(session().link, session::Link::Embedded);
        let state = self.shared.state();
        let embedded = embedded || state.local;
        let batch_exchange = match config.raw(SHUFFLE_MODE) {
            Some(text) => batch_exchange(text)?,
            None if embedded => Exchange::PipelinedBounded,
            None => Exchange::Blocking,
        };
        let mode = match state.mode {
            Some(mode) => Some(mode),
            None => configured_mode(config.raw("execution.runtime-mode"))?,
        };
        let chaining = config.raw("pipeline.operator-chaining.enabled") != Some("false");
        let max_parallelism = config.raw("pipeline.max-parallelism").and_then(|t| t.trim().parse().ok());
        Ok(Defaults {
            parallelism,
            max_parallelism: state.max_parallelism.or(max_parallelism.filter(|max| *max > 0)),
            mode,
            chaining: chaining && !state.chaining_disabled,
            batch_exchange,
            config: state.config.clone(),
        })
    }
}

/// `None` for `AUTOMATIC`.
fn configured_mode(text: Option<&str>) -> Result<Option<RuntimeMode>, JobError> {
    match text.map(|t| t.trim().to_ascii_uppercase()).as_deref() {
        None | Some("STREAMING") => Ok(Some(RuntimeMode::Streaming)),
        Some("BATCH") => Ok(Some(RuntimeMode::Batch)),
        Some("AUTOMATIC") => Ok(None),
        Some(other) => Err(JobError::BadOption {
            key: "execution.runtime-mode".to_string(),
            value: other.to_string(),
            expected: "STREAMING, BATCH or AUTOMATIC",
        }),
    }
}

/// `parallelism.default`; without one, an embedded job uses the machine's cores.
fn default_parallelism(session: &session::Session, is_remote: bool) -> u32 {
    let configured = session.config.raw("parallelism.default").and_then(|text| text.trim().parse().ok());
    configured.unwrap_or_else(|| match session.link {
        session::Link::Embedded if !is_remote => {
            std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
        }
        _ => 1,
    })
}
