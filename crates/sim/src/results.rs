//! Results that tasks keep in their workers for consumers which begin when they are whole: a model of them, and what must hold.

use crate::world::{Happening, World};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::{JobEdge, JobGraph};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::task::TaskDeployment;

impl World {
    fn graph(&self, job: JobId) -> Option<&JobGraph> {
        self.store.jobs.get(&job).map(|(submission, _)| &submission.graph)
    }

    fn reads_results(&self, job: JobId, task: &TaskDeployment) -> Vec<ExecutionId> {
        let Some(graph) = self.graph(job) else { return Vec::new() };
        let blocking = |edge: &&JobEdge| edge.is_blocking();
        let inputs: Vec<u32> =
            graph.inputs(task.execution.vertex).filter(blocking).map(|edge| edge.input).collect();
        let kept = task.inputs.iter().filter(|input| inputs.contains(&input.input));
        kept.flat_map(|input| input.producers.iter().map(|producer| producer.execution)).collect()
    }

    /// A task has finished: it keeps what consumers are to read.
    pub(crate) fn keep_result(&mut self, executor: &ExecutorId, job: JobId, task: ExecutionId) {
        let keeps = self.graph(job).is_some_and(|graph| graph.outputs(task.vertex).any(JobEdge::is_blocking));
        let model = self.executors.get_mut(executor);
        if let Some(worker) = model.and_then(|model| model.workers.get_mut(&job)).filter(|_| keeps) {
            worker.results.insert(task);
            self.store.kept.insert((job, task));
        }
    }

    /// Lets go of the results of tasks that have finished.
    pub(crate) fn release_results(&mut self, executor: &ExecutorId, job: JobId, tasks: &[ExecutionId]) {
        let model = self.executors.get_mut(executor);
        if let Some(worker) = model.and_then(|model| model.workers.get_mut(&job)) {
            worker.results.retain(|kept| !tasks.contains(kept));
        }
    }

    /// A task is deployed: what it reads must be whole. Returns whether it can read all of it now: a worker may have died of
    /// which the application master has not heard yet.
    pub(crate) fn check_results(&mut self, job: JobId, task: &TaskDeployment) -> bool {
        let reads = self.reads_results(job, task);
        self.outcome.results_read += u32::from(!reads.is_empty());
        if let Some(early) = reads.iter().find(|producer| !self.store.kept.contains(&(job, **producer))) {
            let text = format!("job {job}: {} begins before {early} has kept its result", task.execution);
            self.storage.broken.get_or_insert(text);
        }
        let id = task.execution;
        let earlier = |kept: &ExecutionId| {
            kept.vertex == id.vertex && kept.subtask == id.subtask && kept.attempt < id.attempt
        };
        self.outcome.results_made_again +=
            u32::from(self.store.kept.iter().any(|(of, kept)| *of == job && earlier(kept)));
        let kept = |producer: &ExecutionId| {
            let mut workers = self.executors.values().filter_map(|model| model.workers.get(&job));
            workers.any(|worker| worker.results.contains(producer))
        };
        reads.iter().all(kept)
    }

    /// A task cannot read what it was told to.
    pub(crate) fn miss_result(&mut self, executor: ExecutorId, job: JobId, serial: u64, task: ExecutionId) {
        // The connection breaks while the producer's worker lives; or it says that it has no such result.
        let kind = if self.random.chance(50) { FailureKind::Error } else { FailureKind::ResultLost };
        let failure =
            Failure::new(kind, "a result is not there").wrapped(FailureKind::Error, "the task failed");
        self.soon(200, Happening::Unreadable(executor, job, serial, task, failure));
    }
}
