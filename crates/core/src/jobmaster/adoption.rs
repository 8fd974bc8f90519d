//! What the task executors of an earlier application master run of a job, put in order. Pure.

use super::{JobMaster, SlotPool};
use crate::executor::{TaskStatus, WorkerStatus};
use crate::graph::{JobGraph, TaskRef};
use crate::ids::{ExecutionId, ExecutorId};
use std::collections::BTreeMap;

/// The latest attempt that is known of each task, and where tasks have their slots.
#[derive(Debug, Default)]
pub struct Adoption {
    /// By task: where its latest attempt is or was, and what it says of itself.
    pub(super) latest: BTreeMap<TaskRef, (ExecutorId, TaskStatus)>,
    /// By shared slot: the executor that has it.
    pub(super) places: BTreeMap<usize, ExecutorId>,
    /// Attempts that run though there are later ones: they are to stop.
    pub(super) stale: BTreeMap<ExecutorId, Vec<ExecutionId>>,
    /// The workers, by executor.
    pub(super) workers: BTreeMap<ExecutorId, WorkerStatus>,
}

impl JobMaster {
    /// Recovery, before [`JobMaster::adopt`]: puts in order what task executors say that they run of this job.
    pub fn adoption(&self, workers: BTreeMap<ExecutorId, WorkerStatus>) -> Adoption {
        let mut adoption = Adoption::default();
        for (executor, worker) in &workers {
            for status in &worker.tasks {
                match self.task_of(status.report.execution) {
                    Some(task) => adoption.take(task, executor, status),
                    None => adoption.stop(executor, status),
                }
            }
        }
        adoption.workers = workers;
        adoption.find_places(&self.submission.graph, &self.pool, self.stages.is_some());
        adoption
    }

    fn task_of(&self, id: ExecutionId) -> Option<TaskRef> {
        let vertex = *self.vertex_index.get(&id.vertex)?;
        let known = (id.subtask as usize) < self.executions[vertex].len();
        known.then_some(TaskRef { vertex, subtask: id.subtask })
    }
}

impl Adoption {
    /// The executors that have a worker of the job.
    pub fn executors(&self) -> impl Iterator<Item = &ExecutorId> {
        self.workers.keys()
    }

    /// How many slots each executor has in use for the job: those shared slots, in order.
    pub fn claims(&self) -> BTreeMap<ExecutorId, Vec<usize>> {
        let mut claims: BTreeMap<ExecutorId, Vec<usize>> = BTreeMap::new();
        for (slot, executor) in &self.places {
            claims.entry(executor.clone()).or_default().push(*slot);
        }
        claims
    }

    /// The newest checkpoint that any task has heard of.
    pub(super) fn newest_checkpoint(&self) -> u64 {
        self.latest.values().map(|(_, status)| status.checkpoint).max().unwrap_or(0)
    }

    fn take(&mut self, task: TaskRef, executor: &ExecutorId, status: &TaskStatus) {
        let attempt = status.report.execution.attempt;
        match self.latest.get(&task) {
            Some((_, known)) if known.report.execution.attempt >= attempt => self.stop(executor, status),
            _ => {
                let before = self.latest.insert(task, (executor.clone(), status.clone()));
                if let Some((executor, status)) = before {
                    self.stop(&executor, &status);
                }
            }
        }
    }

    fn stop(&mut self, executor: &ExecutorId, status: &TaskStatus) {
        if !status.report.state.is_terminal() {
            self.stale.entry(executor.clone()).or_default().push(status.report.execution);
        }
    }

    /// Tasks that run decide where a shared slot is; those that have finished only where nothing runs, and not in a job whose
    /// regions give their slots back.
    fn find_places(&mut self, graph: &JobGraph, pool: &SlotPool, by_stage: bool) {
        let mut misplaced = Vec::new();
        for running in [true, false].into_iter().filter(|running| *running || !by_stage) {
            for (task, (executor, status)) in &self.latest {
                let state = status.report.state;
                let counts =
                    if running { !state.is_terminal() } else { state == crate::task::TaskState::Finished };
                if !counts {
                    continue;
                }
                let place =
                    self.places.entry(pool.index_of(graph, *task)).or_insert_with(|| executor.clone());
                if running && place != executor {
                    misplaced.push(*task);
                }
            }
        }
        for task in misplaced {
            if let Some((executor, status)) = self.latest.remove(&task) {
                self.stop(&executor, &status);
            }
        }
    }
}
