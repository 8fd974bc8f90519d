//! A new application master takes over: it waits for the task executors of the one before, hears what they run, and has
//! every job adopt its tasks.

use super::{Effect, Master, MasterMode, PartEffect, SubmitError};
use crate::checkpoint::{CheckpointSettings, KeptCheckpoints, RestoreSource};
use crate::executor::{FromExecutor, Holdings, ToExecutor, WorkerStatus};
use crate::ids::{ExecutorId, JobId};
use crate::job::{JobResult, JobState, JobSubmission};
use crate::jobmaster::{JobEffect, JobMaster, JobSettings};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// A job that an earlier application master accepted and did not end.
#[derive(Debug, Clone)]
pub struct RecoveredJob {
    /// What was submitted.
    pub submission: JobSubmission,
    /// When.
    pub submitted: Millis,
    /// The checkpoint or savepoint that it was started from.
    pub source: Option<RestoreSource>,
    /// What is left of the checkpoints that it has taken.
    pub checkpoints: KeptCheckpoints,
    /// How often regions of it were started again.
    pub restarts: u32,
}

/// What an earlier application master left.
#[derive(Debug, Clone, Default)]
pub struct Legacy {
    /// The attempt that takes over.
    pub epoch: u64,
    /// Jobs that are to be run.
    pub jobs: Vec<RecoveredJob>,
    /// Jobs that have ended.
    pub results: Vec<JobResult>,
    /// Containers that still run.
    pub containers: Vec<ExecutorId>,
}

/// The time between taking over and knowing what runs.
#[derive(Debug)]
pub(super) struct Recovery {
    pub until: Millis,
    /// Containers whose task executor has not come forward.
    expected: BTreeSet<ExecutorId>,
    holdings: BTreeMap<ExecutorId, Holdings>,
}

impl Master {
    /// Input, before any other: takes over what an earlier application master left. Jobs that cannot be taken over are
    /// named, with the reason; the others are adopted once their task executors have come forward, or should have.
    pub fn recover(
        &mut self,
        now: Millis,
        legacy: Legacy,
        fx: &mut Vec<Effect>,
    ) -> Vec<(JobId, SubmitError)> {
        let mut refused = Vec::new();
        for result in legacy.results {
            self.lifecycle.job_submitted();
            self.lifecycle.job_ended(now, &result, None, self.settings.result_wait);
            // A program that is run anew must meet its jobs, however long ago they ended; in a session nobody does.
            if self.settings.mode == MasterMode::Session {
                self.agenda.set(result.job_id, Some(now.plus(self.settings.job_expiration)));
            }
        }
        for job in legacy.jobs {
            let id = job.submission.job_id;
            match self.recover_job(now, legacy.epoch, job) {
                Ok(()) => self.lifecycle.job_submitted(),
                Err(error) => refused.push((id, error)),
            }
        }
        self.resources.reconcile(now, legacy.containers.iter().cloned());
        self.recovery = Some(Recovery {
            until: now.plus(self.settings.resources.reconciliation_timeout),
            expected: legacy.containers.into_iter().collect(),
            holdings: BTreeMap::new(),
        });
        self.carry_on(now, fx);
        self.settle_if_known(now, fx);
        self.maybe_finish(now, fx);
        refused
    }

    fn recover_job(&mut self, now: Millis, epoch: u64, job: RecoveredJob) -> Result<(), SubmitError> {
        let RecoveredJob { submission, submitted, source, checkpoints, restarts } = job;
        let id = submission.job_id;
        let mut settings = JobSettings::from_config(&submission.graph.config, &submission.config)?;
        if !self.settings.checkpoints {
            settings.checkpoints = CheckpointSettings::default();
        }
        let mut job = JobMaster::recovered(now, submitted, epoch, submission, settings);
        job.recover_restarts(restarts);
        if let Some(source) = &source {
            job.start_from(source)?;
        }
        self.jobs.insert(id, job);
        self.tell_job(id, |job, e| {
            job.recover_checkpoints(now, checkpoints, e);
            e.push(JobEffect::StateChanged(JobState::Reconciling));
        });
        Ok(())
    }

    /// Input: YARN names a container of an earlier application master that it did not name at first (a ResourceManager that has
    /// just restarted hears of containers one node after the other). Says whether it stays: its task executor has come
    /// forward, or is waited for from now on.
    pub fn found_late(&mut self, now: Millis, executor: &ExecutorId) -> bool {
        if self.resources.executors().contains_key(executor) {
            return true;
        }
        let Some(recovery) = &mut self.recovery else { return false };
        recovery.expected.insert(executor.clone());
        self.resources.reconcile(now, [executor.clone()]);
        true
    }

    /// Getter: whether a task executor comes forward whose container YARN has not named, while it may still do so. It may as well
    /// have been given back: what it tells must not be given to [`Master::from_executor`], which would have it end itself, and it
    /// is to come again.
    pub fn is_premature(&self, executor: &ExecutorId) -> bool {
        self.is_recovering() && !self.resources.is_welcome(executor)
    }

    /// Getter: whether it is still being found out what runs.
    pub fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// While nothing is decided, what task executors say is only noted. Says whether it was.
    pub(super) fn note_while_recovering(&mut self, executor: &ExecutorId, message: &FromExecutor) -> bool {
        let Some(recovery) = &mut self.recovery else { return false };
        if let Some(holdings) = recovery.holdings.get_mut(executor) {
            holdings.note(message);
        }
        true
    }

    /// A task executor has come forward, or come back.
    pub(super) fn came_forward(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        holdings: Holdings,
        fx: &mut Vec<Effect>,
    ) {
        match &mut self.recovery {
            Some(recovery) => {
                recovery.expected.remove(executor);
                recovery.holdings.insert(executor.clone(), holdings);
                self.settle_if_known(now, fx);
            }
            None => self.compare(now, executor, &holdings),
        }
    }

    /// Every job that has, or should have, a worker there compares what it knows with what is.
    fn compare(&mut self, now: Millis, executor: &ExecutorId, holdings: &Holdings) {
        let reported = holdings.workers.iter().map(|worker| worker.job_id);
        let known = self.workers.get(executor).into_iter().flatten().copied();
        for id in reported.chain(known).collect::<BTreeSet<JobId>>() {
            let status = holdings.workers.iter().find(|worker| worker.job_id == id);
            let lost = holdings.lost.iter().find(|(job, _)| *job == id).map(|(_, failure)| failure);
            if self.jobs.contains_key(&id) {
                self.tell_job(id, |job, e| job.reconnected(now, executor, status, lost, e));
            } else {
                self.queue.push_back(PartEffect::Job(id, JobEffect::StopWorker(executor.clone())));
            }
        }
    }

    /// A task executor that was to come forward, or has, is gone.
    pub(super) fn gone_while_recovering(&mut self, now: Millis, executor: &ExecutorId, fx: &mut Vec<Effect>) {
        if let Some(recovery) = &mut self.recovery {
            recovery.expected.remove(executor);
            recovery.holdings.remove(executor);
            self.settle_if_known(now, fx);
        }
    }

    /// Ends the reconciliation if all have come forward or their time is over.
    pub(super) fn settle_if_known(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        let over = |recovery: &Recovery| recovery.expected.is_empty() || recovery.until <= now;
        let Some(recovery) = self.recovery.take_if(|recovery| over(recovery)) else { return };
        let mut workers: BTreeMap<JobId, BTreeMap<ExecutorId, WorkerStatus>> = BTreeMap::new();
        for (executor, holdings) in recovery.holdings {
            for worker in holdings.workers {
                workers.entry(worker.job_id).or_default().insert(executor.clone(), worker);
            }
        }
        let open = self.jobs.iter().filter(|(_, job)| job.state() == JobState::Reconciling);
        for id in open.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.adopt(now, id, workers.remove(&id).unwrap_or_default());
        }
        // Jobs that have ended, or that nobody accepted.
        for (job, executors) in workers {
            for executor in executors.into_keys() {
                self.queue.push_back(PartEffect::Job(job, JobEffect::StopWorker(executor)));
            }
        }
        self.carry_on(now, fx);
        self.with_resources(now, fx, |r, e| r.reconciled(now, e));
    }

    fn adopt(&mut self, now: Millis, id: JobId, workers: BTreeMap<ExecutorId, WorkerStatus>) {
        let Some(adoption) = self.jobs.get(&id).map(|job| job.adoption(workers)) else { return };
        let mut slots = Vec::new();
        // The job ends those that it has no use for.
        for executor in adoption.executors() {
            self.workers.entry(executor.clone()).or_default().insert(id);
        }
        for (executor, shared) in adoption.claims() {
            let granted = self.resources.claim(&executor, id, shared.len() as u32);
            slots.extend(shared.into_iter().zip(granted));
        }
        self.tell_job(id, |job, e| job.adopt(now, &adoption, slots, e));
    }

    /// The answer to a registration.
    pub(super) fn answer_registration(&self, welcome: bool) -> ToExecutor {
        if welcome {
            ToExecutor::Registered {
                heartbeat_interval_ms: self.settings.heartbeat_interval.0,
                heartbeat_timeout_ms: self.settings.resources.heartbeat_timeout.0,
            }
        } else {
            let reason = "the application master did not ask for this task executor".to_string();
            ToExecutor::Refused { reason }
        }
    }
}
