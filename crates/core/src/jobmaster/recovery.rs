//! A job under a new application master: tasks that run are adopted, and only regions of which something is missing start
//! again.

use super::adoption::Adoption;
use super::{JobEffect, JobMaster, JobSettings, Phase, Worker};
use crate::checkpoint::{CheckpointReport, KeptCheckpoints};
use crate::executor::TaskStatus;
use crate::failure::{Failure, FailureKind};
use crate::graph::TaskRef;
use crate::ids::{ExecutorId, SlotId};
use crate::job::{JobState, JobSubmission};
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::BTreeMap;

/// Distance between the first attempts' numbers under one application master and the next: greater than the number of times
/// that any region restarts under one, so that an attempt of which nobody has told is never numbered again.
const ATTEMPTS_PER_EPOCH: u64 = 10_000;

impl JobMaster {
    /// A job that was accepted by an earlier application master, which may have deployed it. Nothing is begun before
    /// [`JobMaster::adopt`].
    pub fn recovered(
        now: Millis,
        submitted: Millis,
        epoch: u64,
        submission: JobSubmission,
        settings: JobSettings,
    ) -> JobMaster {
        let mut job = JobMaster::new(now, submission, settings);
        job.submitted = submitted;
        job.state = JobState::Reconciling;
        job.entered.insert(JobState::Reconciling, now);
        let first = epoch.saturating_sub(1).saturating_mul(ATTEMPTS_PER_EPOCH);
        job.first_attempt = u32::try_from(first).unwrap_or(u32::MAX / 2);
        for execution in job.executions.iter_mut().flatten() {
            execution.attempt = job.first_attempt;
        }
        job
    }

    /// Set-up: how often regions of the job were started again before.
    pub fn recover_restarts(&mut self, restarts: u32) {
        self.restarts = restarts;
    }

    /// Set-up: what is left of the checkpoints that were taken before.
    pub fn recover_checkpoints(&mut self, now: Millis, kept: KeptCheckpoints, fx: &mut Vec<JobEffect>) {
        self.with_checkpoints(now, fx, |c, e| c.recover_kept(kept, e));
    }

    /// Input: what runs of this job is known, and these are its slots. Ends the reconciliation.
    pub fn adopt(
        &mut self,
        now: Millis,
        adoption: &Adoption,
        slots: Vec<(usize, SlotId)>,
        fx: &mut Vec<JobEffect>,
    ) {
        slots.into_iter().for_each(|(index, slot)| self.pool.bind(index, slot));
        self.adopt_workers(adoption, fx);
        let mut lost = Vec::new();
        for region in 0..self.regions.len() {
            if self.is_whole(region, adoption) {
                self.adopt_region(now, region, adoption);
            } else if self.was_deployed(region, adoption) {
                self.take_remains(now, region, adoption);
                lost.extend(self.regions[region].tasks.iter().copied());
            } else {
                self.await_region(now, region);
            }
        }
        lost.extend(self.restart_neighbours(now));
        self.enter(now, JobState::Running, fx);
        if self.stages.is_none() {
            fx.push(JobEffect::RequireSlots(self.pool.len() as u32));
        }
        fx.extend(adoption.stale.iter().map(|(e, ids)| JobEffect::Cancel(e.clone(), ids.clone())));
        if let Some(why) = self.cannot_restore().filter(|_| !self.pending_regions.is_empty()) {
            let text = "the job could not be recovered under a new application master";
            let lost = Failure::new(FailureKind::Error, why).wrapped(FailureKind::RestartSuppressed, text);
            return self.fail(now, lost, fx);
        }
        if !lost.is_empty() {
            self.count_restart(now, fx);
        }
        self.adopt_checkpoints(now, adoption, fx);
        self.release_all_read_results(fx);
        self.stop(now, &lost, fx);
        self.await_slots(now);
        if self.unfinished == 0 { self.end(now, JobState::Finished, fx) } else { self.advance(now, fx) }
    }

    /// Workers under adopted tasks stay, and where regions run after one another those that may keep results; others are of no
    /// use.
    fn adopt_workers(&mut self, adoption: &Adoption, fx: &mut Vec<JobEffect>) {
        let used = self.pool.executors();
        for (executor, worker) in &adoption.workers {
            if used.contains(executor) || self.stages.is_some() {
                let state = worker.address.clone().map_or(Worker::Starting, Worker::Ready);
                self.workers.insert(executor.clone(), state);
            } else {
                fx.push(JobEffect::StopWorker(executor.clone()));
            }
        }
    }

    /// The latest attempt of any task of a region: they are numbered together.
    fn latest_attempt(&self, region: usize, adoption: &Adoption) -> Option<u32> {
        let tasks = self.regions[region].tasks.iter();
        tasks.filter_map(|t| Some(adoption.latest.get(t)?.1.report.execution.attempt)).max()
    }

    fn was_deployed(&self, region: usize, adoption: &Adoption) -> bool {
        self.latest_attempt(region, adoption).is_some()
    }

    /// Whether every task of a region runs, or has finished, in the same attempt, in a slot that the job has.
    fn is_whole(&self, region: usize, adoption: &Adoption) -> bool {
        let Some(attempt) = self.latest_attempt(region, adoption) else { return false };
        self.regions[region].tasks.iter().all(|task| {
            adoption.latest.get(task).is_some_and(|(executor, status)| {
                let state = status.report.state;
                let well =
                    state == TaskState::Finished || !state.is_terminal() && state != TaskState::Canceling;
                status.report.execution.attempt == attempt && well && self.has_place(*task, executor, status)
            })
        })
    }

    /// Whether a task's shared slot is where the task runs. One that has finished needs none.
    fn has_place(&self, task: TaskRef, executor: &ExecutorId, status: &TaskStatus) -> bool {
        status.report.state.is_terminal() || self.pool.executor(self.execution(task).slot) == Some(executor)
    }

    fn adopt_region(&mut self, now: Millis, region: usize, adoption: &Adoption) {
        for task in self.regions[region].tasks.clone() {
            if let Some((executor, status)) = adoption.latest.get(&task) {
                self.adopt_task(now, task, executor, status);
            }
        }
        self.regions[region].phase = Phase::Deployed;
        self.pending_regions.remove(&region);
    }

    fn adopt_task(&mut self, now: Millis, task: TaskRef, executor: &ExecutorId, status: &TaskStatus) {
        // Its worker may be of no other use and have been ended: what it had kept is lost then.
        let kept = self.has_blocking_output(task) && self.workers.contains_key(executor);
        let result = kept.then(|| executor.clone());
        let execution = self.execution_mut(task);
        execution.attempt = status.report.execution.attempt;
        execution.deployed = true;
        execution.result = result;
        execution.enter(now, TaskState::Scheduled);
        execution.enter(now, TaskState::Deploying);
        execution.report(now, &status.report);
        execution.failure.clone_from(&status.report.failure);
        if status.report.state == TaskState::Finished {
            self.unfinished -= 1;
        }
    }

    /// Part of a region is gone: what is left of it is stopped, then it starts again.
    fn take_remains(&mut self, now: Millis, region: usize, adoption: &Adoption) {
        let attempt = self.latest_attempt(region, adoption).unwrap_or_default();
        for task in self.regions[region].tasks.clone() {
            let left = adoption.latest.get(&task).filter(|(executor, status)| {
                status.report.execution.attempt == attempt && self.has_place(task, executor, status)
            });
            match left {
                Some((executor, status)) => self.adopt_task(now, task, executor, status),
                None => {
                    let execution = self.execution_mut(task);
                    execution.attempt = attempt;
                    execution.enter(now, TaskState::Canceled);
                }
            }
        }
        self.regions[region].phase = Phase::Restarting(now);
        self.pending_regions.insert(region);
    }

    fn await_region(&mut self, now: Millis, region: usize) {
        for task in self.regions[region].tasks.clone() {
            self.execution_mut(task).enter(now, TaskState::Scheduled);
        }
    }

    /// Tells the coordinator which tasks run, and has it settle what was under way.
    fn adopt_checkpoints(&mut self, now: Millis, adoption: &Adoption, fx: &mut Vec<JobEffect>) {
        let adopted: BTreeMap<&TaskRef, &TaskStatus> = adoption
            .latest
            .iter()
            .filter(|(task, _)| self.regions[self.region_of[task]].phase == Phase::Deployed)
            .map(|(task, (_, status))| (task, status))
            .collect();
        self.with_checkpoints(now, fx, |c, e| {
            let running = adopted.values().filter(|status| status.report.state == TaskState::Running);
            let finished = adopted.values().filter(|status| status.report.state == TaskState::Finished);
            c.adopt_tasks(
                running.map(|status| status.report.execution),
                finished.map(|status| status.report.execution),
            );
            c.adopted(adoption.newest_checkpoint(), e);
            for status in adopted.values().filter(|status| status.end_of_data) {
                c.report(now, CheckpointReport::EndOfData { execution: status.report.execution }, e);
            }
            c.tick(now, e);
        });
    }
}
