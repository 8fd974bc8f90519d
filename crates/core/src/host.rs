//! The conversation between a job program and whoever spawned it.
//!
//! The spawner (the client, the application master, a task executor) listens on a Unix socket and starts the program with
//! [`HOST_ENV`]`=<role>:<path of the socket>`. Both sides send frames: a 4-byte big-endian length, then one JSON value.
//! The program speaks first, with [`FromProgram::Hello`]. Unknown fields are ignored, so that either side may be newer.

use crate::accumulator::Accumulators;
use crate::alignment::{GroupBound, GroupReport};
use crate::checkpoint::{CheckpointCommand, CheckpointReport};
use crate::config::Configuration;
use crate::graph::JobGraph;
use crate::ids::{ExecutionId, JobId};
use crate::job::{JobResult, JobState};
use crate::task::{TaskDeployment, TaskMetrics, TaskReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The environment variable that tells a program its role and where its host listens.
pub const HOST_ENV: &str = "KVICK_HOST";

/// The environment variable that configures a program which runs its jobs in its own process (`flink run -t local`): the
/// effective configuration as a JSON object.
pub const LOCAL_CONFIG_ENV: &str = "KVICK_LOCAL_CONFIG";

/// The longest frame that either side accepts, in bytes.
pub const MAX_FRAME: usize = 256 * 1024 * 1024;

/// What a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// In the CLI: `execute()` hands the graph over and waits as told.
    Client,
    /// The same, spawned by the application master.
    Application,
    /// `main()` runs up to the `execute()` of the job, then subtasks run as told.
    Worker,
}

impl Role {
    /// The text before the colon in [`HOST_ENV`].
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Application => "application",
            Role::Worker => "worker",
        }
    }
}

/// What the program says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromProgram {
    /// First, always.
    Hello {
        /// The version of the engine that the program was built with.
        engine_version: String,
    },
    /// `execute()` was called (client and application roles).
    Execute {
        /// Which `execute()` of this run, from 0.
        ordinal: u32,
        /// The graph.
        graph: JobGraph,
        /// What `once` recorded so far.
        once: BTreeMap<String, String>,
        /// Whether the program waits for the result (`execute`) or not (`execute_async`).
        attached: bool,
    },
    /// A job that was submitted by this program shall be cancelled.
    CancelJob {
        /// The job.
        job_id: JobId,
    },
    /// Something is asked about a job that was submitted by this program; answered with [`ToProgram::JobAnswer`].
    AskJob {
        /// To find the answer by.
        request: u64,
        /// The job.
        job_id: JobId,
        /// What.
        question: JobQuestion,
    },
    /// The worker has built the graph, found it equal to the deployed one, and listens for exchanges.
    WorkerReady {
        /// The port of its data listener.
        data_port: u16,
    },
    /// The worker cannot run this job; it ends itself after this.
    WorkerFailed {
        /// Why.
        failure: crate::failure::Failure,
    },
    /// A task changed its state.
    Task {
        /// The report.
        report: TaskReport,
    },
    /// Counters of running tasks, about once a second.
    Metrics {
        /// By execution.
        tasks: Vec<(ExecutionId, TaskMetrics)>,
        /// Accumulators of running tasks.
        accumulators: Vec<(ExecutionId, Accumulators)>,
    },
    /// How far the streams of this worker are that are aligned with others: every update interval.
    Alignment {
        /// By group.
        groups: Vec<GroupReport>,
    },
    /// A task has something to say about a checkpoint.
    Checkpoint {
        /// What.
        report: CheckpointReport,
    },
}

/// What the host says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToProgram {
    /// The answer to `Hello`, to a client or application program.
    Welcome {
        /// The effective configuration: `parallelism.default`, `execution.runtime-mode`, ….
        config: Configuration,
        /// What an earlier run of `main()` recorded with `once`.
        once: BTreeMap<String, String>,
    },
    /// The answer to `Hello`, to a worker.
    Work {
        /// All that it needs to know of its job.
        spec: Box<WorkerSpec>,
    },
    /// The job was accepted.
    Submitted {
        /// Which `execute()`.
        ordinal: u32,
        /// The job's id.
        job_id: JobId,
    },
    /// The job was not accepted; `execute()` returns this as its error.
    Rejected {
        /// Which `execute()`.
        ordinal: u32,
        /// Why.
        reason: String,
    },
    /// The job ended.
    Ended {
        /// Which `execute()`.
        ordinal: u32,
        /// How.
        result: JobResult,
    },
    /// The answer to [`FromProgram::AskJob`].
    JobAnswer {
        /// Which question.
        request: u64,
        /// The answer, or why there is none.
        answer: Result<JobAnswer, String>,
    },
    /// The graph was all that was wanted (`flink info`, `/jars/:id/plan`): the program ends with exit code 0.
    PlanTaken,
    /// Tasks to run in this worker.
    Deploy {
        /// The tasks.
        tasks: Vec<TaskDeployment>,
    },
    /// Tasks to cancel; each is reported `CANCELED` when it has ended.
    Cancel {
        /// The attempts.
        executions: Vec<ExecutionId>,
    },
    /// Checkpoint orders for tasks; those that are not there any more are left out.
    Checkpoint {
        /// To whom.
        executions: Vec<ExecutionId>,
        /// What.
        command: CheckpointCommand,
    },
    /// The answer to [`FromProgram::Alignment`].
    Alignment {
        /// By group; those of which too little is known are left out.
        groups: Vec<GroupBound>,
    },
    /// The worker shall end: its job has.
    Shutdown,
}

/// What a program asks about a job of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum JobQuestion {
    /// Where it is in its life.
    State,
    /// What its subtasks have counted so far.
    Accumulators,
    /// How it ended; answered within about a second, with nothing while it runs.
    Result,
    /// A savepoint; the job goes on.
    Savepoint {
        /// The directory below which it is made; the configured one otherwise.
        target: Option<String>,
    },
    /// A savepoint with which the job ends.
    Stop {
        /// The directory below which it is made; the configured one otherwise.
        target: Option<String>,
        /// Whether the input counts as ended.
        drain: bool,
    },
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "value", rename_all = "snake_case")]
pub enum JobAnswer {
    /// Where it is in its life.
    State(JobState),
    /// What its subtasks have counted so far.
    Accumulators(Accumulators),
    /// How it ended; nothing while it runs.
    Result(Option<JobResult>),
    /// The directory of the savepoint.
    Savepoint(String),
}

/// What a worker needs to know of its job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// The job.
    pub job_id: JobId,
    /// Which `execute()` of the program, from 0.
    pub ordinal: u32,
    /// The graph that was deployed; the worker's own must equal it.
    pub graph: JobGraph,
    /// The effective configuration of the job.
    pub config: Configuration,
    /// What `once` recorded.
    pub once: BTreeMap<String, String>,
    /// Results of the `execute()` calls before this one.
    pub earlier: Vec<JobResult>,
    /// The host name or address under which other workers reach this one.
    pub host: String,
    /// The address to listen on for exchanges.
    pub bind_address: String,
    /// The ports to listen on (`taskmanager.data.port`: `0`, a port, a list or a range).
    pub data_ports: String,
    /// Shared by the workers of one job; the first thing that a connection between them presents.
    pub secret: String,
    /// The task executor's id, for logs and metrics.
    pub executor: String,
    /// Directories for temporary files.
    pub tmp_dirs: Vec<String>,
    /// Resolved Hadoop properties for `hdfs://` (empty outside Hadoop), and the user to act as.
    pub hadoop: BTreeMap<String, String>,
    /// The user to act as on file systems that do not authenticate.
    pub user: String,
}
