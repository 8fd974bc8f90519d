//! Getters: what REST and the logs show of a job.

use super::{ExceptionEntry, Execution, JobMaster, Worker};
use crate::failure::Failure;
use crate::ids::{ExecutorId, VertexId};
use crate::job::{JobState, JobSubmission};
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::BTreeMap;

impl JobMaster {
    /// What was submitted.
    pub fn submission(&self) -> &JobSubmission {
        &self.submission
    }

    /// The job's state.
    pub fn state(&self) -> JobState {
        self.state
    }

    /// When the job was submitted.
    pub fn submitted(&self) -> Millis {
        self.submitted
    }

    /// When each state was entered last.
    pub fn entered(&self) -> &BTreeMap<JobState, Millis> {
        &self.entered
    }

    /// When the job ended, if it has.
    pub fn ended(&self) -> Option<Millis> {
        self.state.is_terminal().then(|| self.entered.get(&self.state).copied()).flatten()
    }

    /// How often regions of the job were restarted.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How often tasks moved away from containers that had to be given back. These are no restarts.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// Why the job failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Where the checkpoint is that stays, though the job has ended.
    pub fn kept_checkpoint(&self) -> Option<&str> {
        let kept = self.checkpoints.as_ref().filter(|_| self.state.is_terminal())?.restore_point()?;
        kept.directory.is_some().then_some(kept.external_path.as_str())
    }

    /// The latest failures, newest first.
    pub fn exceptions(&self) -> &[ExceptionEntry] {
        &self.exceptions
    }

    /// The current attempts of a vertex by its index in the graph, in order of subtask.
    pub fn executions(&self, vertex: usize) -> &[Execution] {
        self.executions.get(vertex).map_or(&[], Vec::as_slice)
    }

    /// The index of a vertex in the graph.
    pub fn vertex_index(&self, id: VertexId) -> Option<usize> {
        self.vertex_index.get(&id).copied()
    }

    /// The executor on which an execution runs, ran, or will run.
    pub fn executor_of<'a>(&'a self, execution: &'a Execution) -> Option<&'a ExecutorId> {
        execution.executor.as_ref().or_else(|| self.pool.executor(execution.slot))
    }

    /// `host:port` of the data listener of this job's worker on an executor, once it is ready.
    pub fn worker_address(&self, executor: &ExecutorId) -> Option<&str> {
        match self.workers.get(executor)? {
            Worker::Ready(address) => Some(address),
            Worker::Starting => None,
        }
    }

    /// How many current attempts are in each state.
    pub fn task_counts(&self) -> BTreeMap<TaskState, u32> {
        let mut counts = BTreeMap::new();
        for execution in self.executions.iter().flatten() {
            *counts.entry(execution.state).or_default() += 1;
        }
        counts
    }

    /// Slots held and slots needed now. More are held than needed while a change of parallelism or a move is being prepared.
    pub fn slots(&self) -> (usize, usize) {
        let needed = self.stage_demand().unwrap_or(self.pool.len());
        (self.pool.held() + self.spare_slots() + self.slots_for_vacate(), needed)
    }
}
