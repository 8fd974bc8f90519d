//! A model of a task executor: its workers and the tasks that live in them.

use kvick_core::ids::{ExecutionId, JobId};
use std::collections::{BTreeMap, BTreeSet};

/// A container with a task executor in it.
#[derive(Debug, Default)]
pub struct ModelExecutor {
    /// Whether the application master has welcomed it.
    pub registered: bool,
    /// Live tasks by job, for each worker that runs.
    pub workers: BTreeMap<JobId, ModelWorker>,
}

/// A worker.
#[derive(Debug, Default)]
pub struct ModelWorker {
    /// Tells this worker from an earlier one of the job.
    pub serial: u64,
    /// Whether it was reported ready.
    pub ready: bool,
    /// Tasks that have not ended.
    pub live: BTreeSet<ExecutionId>,
}
