//! A model of a task executor: its workers and the tasks that live in them.

use kvick_core::executor::{FromExecutor, Holdings};
use kvick_core::ids::{ExecutionId, JobId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A container with a task executor in it.
#[derive(Debug, Default)]
pub struct ModelExecutor {
    /// Whether the application master has welcomed it.
    pub registered: bool,
    /// Its end of a connection to the application master.
    pub connection: Option<u64>,
    /// Until when nothing gets through between them.
    pub cut_off_until: u64,
    /// What tasks have said of checkpoints while there was no connection.
    pub kept: Vec<FromExecutor>,
    /// When the last message arrives there that was sent.
    pub to_master_at: u64,
    /// When the last message arrives here that was sent.
    pub to_executor_at: u64,
    /// When heartbeats were sent that were not answered yet.
    pub asked: VecDeque<u64>,
    /// When the last heartbeat was sent that was answered.
    pub lease_from: u64,
    /// What it will tell at its next registration.
    pub holdings: Holdings,
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
    pub live: BTreeMap<ExecutionId, ModelTask>,
    /// What tasks that have finished keep for their consumers.
    pub results: BTreeSet<ExecutionId>,
}

/// A task, as far as checkpoints go.
#[derive(Debug, Default)]
pub struct ModelTask {
    /// It was restored as finished: it has no state.
    pub was_finished: bool,
    /// It has read all its input and waits for a checkpoint that contains this.
    pub ended: bool,
    /// The first such checkpoint of which it took a snapshot.
    pub ended_in: Option<u64>,
    /// It has taken the snapshot of the savepoint with which the job stops, and waits for its completion.
    pub stopped_in: Option<u64>,
    /// The checkpoint for which it waited is complete.
    pub released: bool,
    /// The newest checkpoint of which it took a snapshot.
    pub newest: u64,
    /// Checkpoints of which it was told that they will not be; their barriers may still come.
    pub aborted: BTreeSet<u64>,
    /// Its state: local files by number.
    pub files: Vec<u64>,
    /// Where each of them lies in shared storage, by the checkpoint for which it was written or referred to.
    pub written: BTreeMap<u64, BTreeMap<u64, String>>,
}
