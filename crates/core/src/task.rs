//! Tasks as they are deployed: states, inputs, and what a subtask reports.

use crate::accumulator::Accumulators;
use crate::checkpoint::TaskRestore;
use crate::failure::Failure;
use crate::ids::ExecutionId;
use serde::{Deserialize, Serialize};

/// The life of one execution attempt. The names are those of Flink's REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskState {
    /// Known, nothing asked for yet.
    Created,
    /// Waiting for a slot.
    Scheduled,
    /// A slot is there; worker and task are being started.
    Deploying,
    /// The task is opening its operators and restoring state.
    Initializing,
    /// Records flow.
    Running,
    /// All input was read and all output written.
    Finished,
    /// Asked to stop.
    Canceling,
    /// Stopped because it was asked to.
    Canceled,
    /// Stopped by a failure.
    Failed,
}

impl TaskState {
    /// Whether nothing follows this state.
    pub fn is_terminal(self) -> bool {
        matches!(self, TaskState::Finished | TaskState::Canceled | TaskState::Failed)
    }
}

/// Where one producer of an input runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerLocation {
    /// The producing execution.
    pub execution: ExecutionId,
    /// `host:port` of its worker's data listener. A worker recognises its own address and connects within the process.
    pub address: String,
}

/// One input of a task: the edge, and who produces for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDeployment {
    /// [`crate::graph::JobEdge::input`].
    pub input: u32,
    /// [`crate::graph::JobEdge::output`] of the producing vertex.
    pub output: u32,
    /// Every producer subtask that sends to this task, in order of subtask index.
    pub producers: Vec<ProducerLocation>,
}

/// One output of a task: who consumes it, so that a producer knows when all its consumers are connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDeployment {
    /// [`crate::graph::JobEdge::output`].
    pub output: u32,
    /// The consuming executions, in order of subtask index: the channels of this output.
    pub consumers: Vec<ExecutionId>,
}

/// A task to run in a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDeployment {
    /// Which subtask, which attempt.
    pub execution: ExecutionId,
    /// By input index.
    pub inputs: Vec<InputDeployment>,
    /// By output index.
    pub outputs: Vec<OutputDeployment>,
    /// The state to begin with; none to begin from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<TaskRestore>,
}

/// Counters of one task, cumulative since the attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskMetrics {
    /// Records received over exchanges.
    pub records_in: u64,
    /// Records sent over exchanges.
    pub records_out: u64,
    /// Bytes received from other workers.
    pub bytes_in: u64,
    /// Bytes sent to other workers.
    pub bytes_out: u64,
    /// Milliseconds spent working.
    pub busy_ms: u64,
    /// Milliseconds spent waiting for input.
    pub idle_ms: u64,
    /// Milliseconds spent waiting for room downstream.
    pub backpressured_ms: u64,
    /// The input watermark in epoch milliseconds, where there is one.
    pub watermark: Option<i64>,
}

/// What a task says of itself when its state changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Which attempt.
    pub execution: ExecutionId,
    /// Its new state.
    pub state: TaskState,
    /// Why it failed, in state [`TaskState::Failed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its accumulators so far; final in a terminal state.
    #[serde(default)]
    pub accumulators: Accumulators,
    /// Its counters so far; final in a terminal state.
    #[serde(default)]
    pub metrics: TaskMetrics,
}
