//! What a failure means: which tasks stop, whether the job goes on, and how it ends when it does not.

use super::{Decision, ExceptionEntry, JobEffect, JobMaster, Phase, RestartStrategy};
use crate::checkpoint::{CheckpointFailureReason, Fallback};
use crate::failure::{Failure, FailureKind};
use crate::graph::{TaskRef, all_tasks};
use crate::ids::{ExecutionId, ExecutorId};
use crate::job::JobState;
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

impl JobMaster {
    /// A task reported that it failed.
    pub(super) fn task_failed(
        &mut self,
        now: Millis,
        task: TaskRef,
        executor: Option<&ExecutorId>,
        failure: Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        let regions = BTreeSet::from([self.region_of[&task]]);
        if failure.has_kind(FailureKind::ResultLost) {
            self.distrust_inputs(task, fx);
        }
        let lost = self.execution(task).restored_from.filter(|_| failure.has_kind(FailureKind::StateDamaged));
        if let Some(checkpoint) = lost
            && self.fall_back(now, checkpoint, fx) == Fallback::Nothing
            && !self.ending()
        {
            let text = format!(
                "the job was to be restored from checkpoint {checkpoint}, which is damaged, and no earlier one is kept \
                 (execution.checkpointing.num-retained)"
            );
            return self.fail_for_good(now, task, executor, failure, text, fx);
        }
        if let Some(text) = self.cannot_begin(task, &failure) {
            return self.fail_for_good(now, task, executor, failure, text, fx);
        }
        self.fail_regions(now, regions, Some(task), executor, failure, fx);
    }

    /// Why a task would fail again in the same way, where its state and its program do not go together. A job that is being
    /// rescaled goes back to what it was.
    fn cannot_begin(&self, task: TaskRef, failure: &Failure) -> Option<String> {
        if !failure.has_kind(FailureKind::StateIncompatible) || self.ending() || self.rescale.is_some() {
            return None;
        }
        let execution = self.execution(task);
        match execution.restored_from {
            Some(checkpoint) => Some(format!(
                "the job was to be restored from checkpoint {checkpoint}, whose state its program cannot read: it is not started \
                 again"
            )),
            None if execution.entered.contains_key(&TaskState::Running) => None,
            None => {
                Some("the job's program has state that cannot be kept: it is not started again".to_string())
            }
        }
    }

    /// Ends the job, whatever the restart strategy says: `why` says what starting again would not change.
    fn fail_for_good(
        &mut self,
        now: Millis,
        task: TaskRef,
        executor: Option<&ExecutorId>,
        failure: Failure,
        why: String,
        fx: &mut Vec<JobEffect>,
    ) {
        self.record(now, Some(task), executor, &failure);
        self.fail(now, failure.wrapped(FailureKind::RestartSuppressed, why), fx);
    }

    fn fall_back(&mut self, now: Millis, checkpoint: u64, fx: &mut Vec<JobEffect>) -> Fallback {
        let mut fallback = Fallback::Already;
        self.with_checkpoints(now, fx, |c, e| fallback = c.damaged(checkpoint, e));
        fallback
    }

    /// Tasks ended without a report: their worker or executor is gone, and with it the results that these regions kept.
    pub(super) fn tasks_lost(
        &mut self,
        now: Millis,
        tasks: Vec<TaskRef>,
        results: BTreeSet<usize>,
        executor: Option<&ExecutorId>,
        failure: Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        let mut regions = results;
        let mut first = None;
        for task in tasks {
            let region = self.region_of[&task];
            if self.waits_for_results(task) {
                continue;
            }
            let execution = self.execution_mut(task);
            if execution.state.is_terminal() {
                continue;
            }
            execution.failure = Some(failure.clone());
            let end =
                if execution.state == TaskState::Canceling { TaskState::Canceled } else { TaskState::Failed };
            execution.enter(now, end);
            first.get_or_insert(task);
            regions.insert(region);
        }
        self.fail_regions(now, regions, first, executor, failure, fx);
    }

    fn fail_regions(
        &mut self,
        now: Millis,
        regions: BTreeSet<usize>,
        task: Option<TaskRef>,
        executor: Option<&ExecutorId>,
        failure: Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        let goes_on = |r: &usize| !matches!(self.regions[*r].phase, Phase::Restarting(_));
        let mut fresh: BTreeSet<usize> = self.with_neighbours(regions).into_iter().filter(goes_on).collect();
        // What restarts already fails no more by failing again, so that the rest is not restarted twice for one failure.
        if self.settings.restarts_all && !fresh.is_empty() {
            fresh.extend((0..self.regions.len()).filter(goes_on));
        }
        if fresh.is_empty() || self.ending() {
            return self.advance(now, fx);
        }
        self.record(now, task, executor, &failure);
        if self.undo_rescale(now, &failure, fx) {
            return;
        }
        match self.decide_on(now, &failure) {
            Decision::RestartAfter(delay) => {
                self.restart_regions(now, &fresh, now.plus(delay), &failure, fx);
            }
            Decision::Suppress(why) => {
                self.fail(now, failure.wrapped(FailureKind::RestartSuppressed, why), fx);
            }
        }
    }

    /// What the restart strategy says. A job that may be restarted is not charged with what the cluster did.
    fn decide_on(&mut self, now: Millis, failure: &Failure) -> Decision {
        if let Some(why) = self.cannot_restore() {
            return Decision::Suppress(why);
        }
        let restarts = !matches!(self.restart, RestartStrategy::None);
        if restarts && failure.has_kind(FailureKind::Withdrawn) {
            return Decision::RestartAfter(Millis(0));
        }
        self.restart.on_failure(now)
    }

    fn restart_regions(
        &mut self,
        now: Millis,
        regions: &BTreeSet<usize>,
        at: Millis,
        failure: &Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        self.count_restart(now, fx);
        let mut tasks = Vec::new();
        for &region in regions {
            self.regions[region].phase = Phase::Restarting(at);
            self.pending_regions.insert(region);
            tasks.extend(self.regions[region].tasks.iter().copied());
        }
        self.with_checkpoints(now, fx, |c, e| c.tasks_lost(now, &tasks, failure, e));
        self.stop(now, &tasks, fx);
        self.advance(now, fx);
    }

    pub(super) fn count_restart(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.restarts += 1;
        fx.push(JobEffect::Restarted(self.restarts));
        self.enter(now, JobState::Restarting, fx);
    }

    /// Restarts everything that runs, or ends the job, as the restart strategy says.
    pub(super) fn fail_globally(&mut self, now: Millis, failure: Failure, fx: &mut Vec<JobEffect>) {
        let runs =
            |region: &usize| self.regions[*region].phase == Phase::Deployed && !self.region_stopped(*region);
        let running: BTreeSet<usize> = (0..self.regions.len()).filter(runs).collect();
        self.fail_regions(now, running, None, None, failure, fx);
    }

    /// Begins the next attempt of a region whose tasks have all stopped.
    pub(super) fn restart_region(&mut self, now: Millis, region: usize, fx: &mut Vec<JobEffect>) {
        for task in self.regions[region].tasks.clone() {
            self.release_result(task, fx);
            if self.execution(task).state == TaskState::Finished {
                self.unfinished += 1;
            }
            let first = self.first_attempt;
            self.execution_mut(task).restart(now, first);
        }
        self.regions[region].phase = Phase::Waiting;
        self.await_slots(now);
    }

    /// Ends the job as failed, once its tasks have stopped.
    pub(super) fn fail(&mut self, now: Millis, failure: Failure, fx: &mut Vec<JobEffect>) {
        self.failure = Some(failure);
        self.enter(now, JobState::Failing, fx);
        self.abandon_rescale(fx);
        self.with_checkpoints(now, fx, |c, e| c.shut_down(now, CheckpointFailureReason::JobFailure, e));
        self.stop_all(now, fx);
        self.advance(now, fx);
    }

    /// Slots did not come within `slot.request.timeout`.
    pub(super) fn slots_timed_out(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let stuck = self.stuck_stages();
        let need = stuck.iter().map(|(_, slots)| *slots).min().unwrap_or(self.pool.len());
        let have = self.pool.held();
        let text = format!(
            "could not acquire the slots that the job needs: {have} of {need} within {} ms (slot.request.timeout); \
             the queue or the cluster may have no room, or the task executors do not start",
            self.settings.slot_request_timeout.0
        );
        let failure = Failure::new(FailureKind::NoResources, text);
        let waiting: BTreeSet<usize> = if self.stages.is_some() {
            stuck.into_iter().map(|(region, _)| region).collect()
        } else {
            let waits = |region: &usize| self.regions[*region].phase == Phase::Waiting;
            self.pending_regions.iter().copied().filter(waits).collect()
        };
        self.fail_regions(now, waiting, None, None, failure, fx);
        self.await_slots(now);
    }

    /// Tasks did not stop within `task.cancellation.timeout`: their workers are ended.
    pub(super) fn force_stop(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let stuck: BTreeSet<ExecutorId> = all_tasks(&self.submission.graph)
            .filter(|t| self.execution(*t).state == TaskState::Canceling)
            .filter_map(|t| self.place_of(t).cloned())
            .collect();
        for executor in stuck {
            self.workers.remove(&executor);
            fx.push(JobEffect::StopWorker(executor.clone()));
            let text = "a task did not stop within task.cancellation.timeout; its worker was ended";
            let tasks = self.tasks_on(&executor);
            let results = self.lose_results(&executor);
            let failure = Failure::new(FailureKind::WorkerLost, text);
            self.tasks_lost(now, tasks, results, Some(&executor), failure, fx);
        }
    }

    /// Stops every task of the job.
    pub(super) fn stop_all(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.slots_deadline = None;
        // Slots that were asked for and have not come are not needed any more.
        fx.push(JobEffect::RequireSlots(self.pool.held() as u32));
        let tasks: Vec<TaskRef> = all_tasks(&self.submission.graph).collect();
        self.stop(now, &tasks, fx);
    }

    pub(super) fn stop(&mut self, now: Millis, tasks: &[TaskRef], fx: &mut Vec<JobEffect>) {
        let mut running: BTreeMap<ExecutorId, Vec<ExecutionId>> = BTreeMap::new();
        for &task in tasks {
            let id = self.execution_id(task);
            let executor = self.place_of(task).cloned();
            let execution = self.execution_mut(task);
            match (execution.deployed, executor) {
                (true, Some(executor)) => {
                    if execution.enter(now, TaskState::Canceling) {
                        running.entry(executor).or_default().push(id);
                    }
                }
                _ => {
                    execution.enter(now, TaskState::Canceled);
                }
            }
        }
        if !running.is_empty() {
            self.cancel_deadline = Some(now.plus(self.settings.cancellation_timeout));
        }
        fx.extend(running.into_iter().map(|(executor, tasks)| JobEffect::Cancel(executor, tasks)));
    }

    /// Whether no task of a region runs any more.
    pub(super) fn region_stopped(&self, region: usize) -> bool {
        self.regions[region].tasks.iter().all(|t| self.execution(*t).state.is_terminal())
    }

    /// Ends a job that is being cancelled or failed, once all its tasks have stopped.
    pub(super) fn end_when_stopped(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let stopped = self.executions.iter().flatten().all(|e| e.state.is_terminal());
        match self.state {
            JobState::Cancelling if stopped => self.end(now, JobState::Canceled, fx),
            JobState::Failing if stopped => self.end(now, JobState::Failed, fx),
            _ => {}
        }
    }

    fn record(
        &mut self,
        now: Millis,
        task: Option<TaskRef>,
        executor: Option<&ExecutorId>,
        failure: &Failure,
    ) {
        let name = task.map(|t| {
            let vertex = &self.submission.graph.vertices[t.vertex];
            format!("{} ({}/{})", vertex.name, t.subtask + 1, vertex.parallelism)
        });
        let entry =
            ExceptionEntry { at: now, failure: failure.clone(), task: name, executor: executor.cloned() };
        self.exceptions.insert(0, entry);
        self.exceptions.truncate(self.settings.exception_history);
    }
}
