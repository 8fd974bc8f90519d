//! The entry to everything: where a program's streams are kept, and where a job is executed.
//!
//! Where streams begin: `sources`; what holds where a program says nothing: `defaults`.

mod defaults;
mod sources;

use self::defaults::default_parallelism;
use crate::execute::{self, JobError};
use crate::graph::{Node, StreamGraph, generate};
use crate::job_client::JobClient;
use crate::job_client::remote::Target;
use crate::session::{self, session};
use kvick_core::config::{Configuration, options};
use kvick_core::graph::RuntimeMode;
use kvick_core::job::JobResult;
use kvick_runtime::program::Program;
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
    #[doc(alias = "getExecutionEnvironment")]
    pub fn get_execution_environment() -> StreamExecutionEnvironment {
        drop(session());
        StreamExecutionEnvironment { shared: Arc::default() }
    }

    /// An environment whose jobs run in this process, also where the `flink` command runs the program.
    #[doc(alias = "createLocalEnvironment")]
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
    #[doc(alias = "createRemoteEnvironment")]
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
    #[doc(alias = "setParallelism")]
    pub fn set_parallelism(&self, parallelism: u32) -> &Self {
        self.shared.state().parallelism = Some(parallelism);
        self
    }

    /// The number of subtasks of operators that do not say otherwise.
    #[doc(alias = "getParallelism")]
    pub fn parallelism(&self) -> u32 {
        let state = self.shared.state();
        let (own, is_remote) = (state.parallelism, state.remote.is_some());
        drop(state);
        own.unwrap_or_else(|| default_parallelism(&self.config(), is_remote))
    }

    /// The number of key groups of operators that do not say otherwise, from 1 to 32768: the most that their parallelism may
    /// ever be. Executing fails with another number.
    #[doc(alias = "setMaxParallelism")]
    pub fn set_max_parallelism(&self, max_parallelism: u32) -> &Self {
        self.shared.state().max_parallelism = Some(max_parallelism);
        self
    }

    /// Streaming or batch; stronger than `execution.runtime-mode`.
    #[doc(alias = "setRuntimeMode")]
    pub fn set_runtime_mode(&self, mode: RuntimeMode) -> &Self {
        self.shared.state().mode = Some(mode);
        self
    }

    /// How long records may wait for a buffer to fill, in milliseconds; 0: not at all, -1: for ever.
    #[doc(alias = "setBufferTimeout")]
    pub fn set_buffer_timeout(&self, millis: i64) -> &Self {
        match u64::try_from(millis) {
            Ok(millis) => self
                .set_option(options::BUFFER_TIMEOUT_ENABLED.key(), "true")
                .set_option(options::BUFFER_TIMEOUT.key(), &millis.to_string()),
            Err(_) => self.set_option(options::BUFFER_TIMEOUT_ENABLED.key(), "false"),
        }
    }

    /// Takes a checkpoint at this interval: short for `execution.checkpointing.interval`. What else is to be said of
    /// checkpoints (`execution.checkpointing.dir`, …) goes through [`StreamExecutionEnvironment::set_option`] or the
    /// configuration.
    #[doc(alias("enableCheckpointing", "setCheckpointInterval"))]
    pub fn enable_checkpointing(&self, interval: Duration) -> &Self {
        self.set_option("execution.checkpointing.interval", &format!("{} ms", interval.as_millis()))
    }

    /// Lets every operator be a task of its own.
    #[doc(alias = "disableOperatorChaining")]
    pub fn disable_operator_chaining(&self) -> &Self {
        self.shared.state().chaining_disabled = true;
        self
    }

    /// Sets a configuration key for the jobs of this program; stronger than the cluster's configuration.
    #[doc(alias(
        "configure",
        "getCheckpointConfig",
        "setStateBackend",
        "setRestartStrategy",
        "setDefaultSavepointDirectory",
        "setCheckpointStorage"
    ))]
    pub fn set_option(&self, key: &str, value: &str) -> &Self {
        let set = [(key, value)].into_iter().collect();
        self.shared.state().config.overlay(&set);
        self
    }

    /// The effective configuration.
    #[doc(alias("getConfiguration", "getConfig"))]
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

    /// Runs what was built as a job, and waits for its end. A job without a name (`""`) is called what `pipeline.name` says,
    /// else `Flink Streaming Job` or `Flink Batch Job`.
    ///
    /// # Errors
    /// An option has a value that is none; the job failed, was cancelled or rejected; the message holds the root cause.
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
    #[doc(alias = "executeAsync")]
    pub fn execute_async(&self, name: &str) -> Result<JobClient, JobError> {
        let program = self.take_program(name)?;
        if self.shared.state().local {
            return execute::start_here(program, &self.config());
        }
        let remote = self.shared.state().remote.clone();
        execute::execute_async(program, &self.config(), remote.as_ref())
    }

    pub(crate) fn take_program(&self, name: &str) -> Result<Program, JobError> {
        self.check_options()?;
        let defaults = self.defaults()?;
        let graph = std::mem::take(&mut self.shared.state().graph);
        generate(graph, name, &defaults)
    }
}
