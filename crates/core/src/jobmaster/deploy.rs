//! From slots to running tasks: workers first, then the tasks of a region, all at once.

use super::{JobEffect, JobMaster, Phase, Worker};
use crate::checkpoint::{CheckpointCoordinator, RestorePlan};
use crate::graph::TaskRef;
use crate::graph::pointwise::{consumers_of, producers_of};
use crate::ids::ExecutorId;
use crate::job::JobState;
use crate::task::{InputDeployment, OutputDeployment, ProducerLocation, TaskDeployment, TaskState};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

impl JobMaster {
    /// Moves every region that is not deployed as far as it can go, and the job with them.
    pub(super) fn advance(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        if self.ending() {
            return self.end_when_stopped(now, fx);
        }
        if self.rescale_stops(now, fx) {
            return;
        }
        self.vacate_further(now, fx);
        for region in self.pending_regions.clone() {
            if let Phase::Restarting(at) = self.regions[region].phase
                && at <= now
                && self.region_stopped(region)
                && !self.waits_to_vacate(region)
            {
                self.restart_region(now, region, fx);
            }
        }
        // Only now: what a region had kept is gone when it starts again.
        let whole = self.whole_results();
        self.give_slots_to_stages(now, &whole);
        for region in self.pending_regions.clone() {
            if self.regions[region].phase == Phase::Waiting && self.can_read(region, &whole) {
                self.try_deploy(now, region, fx);
            }
        }
        let restarting = self.regions.iter().any(|r| matches!(r.phase, Phase::Restarting(_)));
        if !restarting && self.state == JobState::Restarting {
            self.enter(now, JobState::Running, fx);
        }
        self.settle_stages(now, fx);
    }

    /// A worker is ready: says whether it may have been the last one that a region waits for.
    pub(super) fn was_awaited(&mut self, executor: &ExecutorId) -> bool {
        let (mut awaited, mut last) = (false, false);
        for missing in self.awaiting.values_mut() {
            awaited |= missing.remove(executor);
            last |= missing.is_empty();
        }
        last || !awaited
    }

    /// Deploys a region if all its slots are filled and all its workers ready; asks for the workers that are missing.
    fn try_deploy(&mut self, now: Millis, region: usize, fx: &mut Vec<JobEffect>) {
        let tasks: Vec<TaskRef> = self.regions[region].tasks.clone();
        self.awaiting.remove(&region);
        let Some(executors) = self.executors_of(&tasks) else { return };
        for executor in &executors {
            if !self.workers.contains_key(executor) {
                self.workers.insert(executor.clone(), Worker::Starting);
                fx.push(JobEffect::StartWorker(executor.clone()));
            }
        }
        for task in &tasks {
            self.execution_mut(*task).enter(now, TaskState::Deploying);
        }
        let starting = |e: &ExecutorId| self.workers.get(e) == Some(&Worker::Starting);
        let missing: BTreeSet<ExecutorId> = executors.into_iter().filter(starting).collect();
        if !missing.is_empty() {
            self.awaiting.insert(region, missing);
            return;
        }
        // What a restart begins with is open while a checkpoint is being stored; its answer brings us here again.
        if !self.checkpoints.as_ref().is_some_and(CheckpointCoordinator::store_in_doubt) {
            self.deploy(now, region, &tasks, fx);
        }
    }

    /// The executors under these tasks; `None` while a slot is missing.
    fn executors_of(&self, tasks: &[TaskRef]) -> Option<BTreeSet<ExecutorId>> {
        tasks.iter().map(|t| self.pool.executor(self.execution(*t).slot).cloned()).collect()
    }

    fn deploy(&mut self, now: Millis, region: usize, tasks: &[TaskRef], fx: &mut Vec<JobEffect>) {
        let restore = self.restore_plan(now);
        let mut by_executor: BTreeMap<ExecutorId, Vec<TaskDeployment>> = BTreeMap::new();
        for task in tasks {
            if let Some(executor) = self.pool.executor(self.execution(*task).slot).cloned() {
                by_executor
                    .entry(executor.clone())
                    .or_default()
                    .push(self.deployment(*task, restore.as_ref()));
                let result = self.has_blocking_output(*task).then(|| executor.clone());
                let left = restore.as_ref().map(|plan| plan.results(&self.submission.graph, *task));
                let execution = self.execution_mut(*task);
                execution.inherited = left.unwrap_or_default();
                execution.result = result;
                execution.deployed = true;
                execution.executor = Some(executor);
                execution.restored_from = restore.as_ref().map(RestorePlan::checkpoint);
            }
        }
        fx.extend(by_executor.into_iter().map(|(executor, tasks)| JobEffect::Deploy(executor, tasks)));
        self.regions[region].phase = Phase::Deployed;
        self.pending_regions.remove(&region);
    }

    pub(super) fn deployment(&self, task: TaskRef, restore: Option<&RestorePlan>) -> TaskDeployment {
        let graph = &self.submission.graph;
        let vertex = &graph.vertices[task.vertex];
        let inputs = graph.inputs(vertex.id).map(|edge| {
            let from = self.vertex_index[&edge.source];
            let width = graph.vertices[from].parallelism;
            let producers = producers_of(edge.partitioning, width, vertex.parallelism, task.subtask)
                .map(|subtask| self.producer(TaskRef { vertex: from, subtask }, edge.is_blocking()))
                .collect();
            InputDeployment { input: edge.input, output: edge.output, producers }
        });
        let outputs = graph.outputs(vertex.id).map(|edge| {
            let to = self.vertex_index[&edge.target];
            let width = graph.vertices[to].parallelism;
            let consumers = consumers_of(edge.partitioning, vertex.parallelism, width, task.subtask)
                .map(|subtask| self.execution_id(TaskRef { vertex: to, subtask }))
                .collect();
            OutputDeployment { output: edge.output, consumers }
        });
        TaskDeployment {
            execution: self.execution_id(task),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            restore: restore.map(|plan| plan.task(graph, task)),
        }
    }

    fn producer(&self, task: TaskRef, keeps_result: bool) -> ProducerLocation {
        // A task that has finished may have had another slot than the one that its next attempt would run in.
        let executor = match keeps_result {
            true => self.execution(task).result.as_ref(),
            false => self.pool.executor(self.execution(task).slot),
        };
        let address = match executor.and_then(|e| self.workers.get(e)) {
            Some(Worker::Ready(address)) => address.clone(),
            _ => String::new(),
        };
        ProducerLocation { execution: self.execution_id(task), address }
    }
}
