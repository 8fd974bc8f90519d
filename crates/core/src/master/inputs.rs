//! The master's inputs.

use super::{Effect, FinalStatus, Master, SubmitError};
use crate::checkpoint::{CheckpointSettings, RestoreSource};
use crate::config::options;
use crate::executor::{ExecutorInfo, FromExecutor};
use crate::failure::Failure;
use crate::graph::{JobGraph, least_slots};
use crate::ids::{ExecutorId, JobId};
use crate::job::JobSubmission;
use crate::jobmaster::{JobMaster, JobSettings};
use crate::time::Millis;

/// How long the word of a client holds where the job's configuration has no such time: the default of
/// `client.heartbeat.timeout`.
const CLIENT_TERM: Millis = Millis(180_000);

impl Master {
    /// Input: a job is submitted.
    ///
    /// # Errors
    /// If it is not accepted; nothing has changed then.
    pub fn submit(
        &mut self,
        now: Millis,
        submission: JobSubmission,
        fx: &mut Vec<Effect>,
    ) -> Result<(), SubmitError> {
        self.submit_restored(now, submission, None, fx)
    }

    /// Input: a job is submitted that starts from a checkpoint or savepoint, where one is given.
    ///
    /// # Errors
    /// If it is not accepted; nothing has changed then.
    pub fn submit_restored(
        &mut self,
        now: Millis,
        submission: JobSubmission,
        source: Option<&RestoreSource>,
        fx: &mut Vec<Effect>,
    ) -> Result<(), SubmitError> {
        let id = submission.job_id;
        self.check(&submission)?;
        let mut settings = JobSettings::from_config(&submission.graph.config, &submission.config)?;
        if !self.settings.checkpoints {
            settings.checkpoints = CheckpointSettings::default();
        }
        let mut job = JobMaster::new(now, submission, settings);
        if let Some(source) = source {
            job.start_from(source)?;
        }
        self.jobs.insert(id, job);
        self.lifecycle.job_submitted();
        self.with_job(now, id, fx, |job, e| job.start(now, e));
        Ok(())
    }

    fn check(&self, submission: &JobSubmission) -> Result<(), SubmitError> {
        if self.lifecycle.is_stopping() {
            return Err(SubmitError::ShuttingDown);
        }
        if self.jobs.contains_key(&submission.job_id) {
            return Err(SubmitError::Duplicate(submission.job_id));
        }
        self.check_graph(&submission.graph)
    }

    /// Whether a graph can be run, and there may ever be slots enough for it.
    pub(super) fn check_graph(&self, graph: &JobGraph) -> Result<(), SubmitError> {
        graph.validate()?;
        let needed = least_slots(graph);
        match self.settings.resources.max_slots {
            Some(max) if needed > max => Err(SubmitError::TooManySlots { needed, max }),
            _ => Ok(()),
        }
    }

    /// Input: a person wants a job cancelled. Says whether there is such a job.
    pub fn cancel(&mut self, now: Millis, id: JobId, fx: &mut Vec<Effect>) -> bool {
        self.with_job(now, id, fx, |job, e| job.cancel(now, e));
        self.jobs.contains_key(&id)
    }

    /// Input: the client of a job says that it is there. That holds for the job's `client.heartbeat.timeout`, by this master's
    /// clock; without renewal the job is cancelled. Says whether there is such a job.
    pub fn client_heartbeat(&mut self, now: Millis, id: JobId) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        if !job.state().is_terminal() {
            let configured = job.submission().config.get(&options::CLIENT_HEARTBEAT_TIMEOUT);
            let term = configured.map_or(CLIENT_TERM, Millis::from);
            self.client_leases.insert(id, now.plus(term));
        }
        true
    }

    /// Getter: whether a job is cancelled when its client falls silent.
    pub fn has_client(&self, id: JobId) -> bool {
        self.client_leases.contains_key(&id)
    }

    /// Input: somebody fetched the result of an ended job.
    pub fn result_fetched(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        self.lifecycle.result_fetched();
        self.maybe_finish(now, fx);
    }

    /// Input: the program of an application-mode application has ended.
    pub fn program_ended(&mut self, now: Millis, failure: Option<Failure>, fx: &mut Vec<Effect>) {
        self.lifecycle.program_ended(failure);
        self.maybe_finish(now, fx);
    }

    /// Input: the application is to end. Running jobs are cancelled first.
    pub fn stop(&mut self, now: Millis, status: FinalStatus, why: &str, fx: &mut Vec<Effect>) {
        self.lifecycle.stop(status, why);
        for id in self.running_jobs() {
            self.cancel(now, id, fx);
        }
        self.maybe_finish(now, fx);
    }

    /// Input: the connection to a task executor broke.
    pub fn executor_disconnected(&mut self, now: Millis, executor: &ExecutorId) {
        self.resources.disconnected(now, executor);
    }

    /// Input: a task executor said something.
    pub fn from_executor(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        message: FromExecutor,
        fx: &mut Vec<Effect>,
    ) {
        self.resources.heard(now, executor);
        let registers = matches!(message, FromExecutor::Register { .. });
        if !registers && self.note_while_recovering(executor, &message) {
            return;
        }
        match message {
            FromExecutor::Register { info, holdings, connection } => {
                if self.register(now, executor, &info, fx) {
                    self.resources.connected(executor, connection);
                    self.came_forward(now, executor, holdings, fx);
                }
                self.carry_on(now, fx);
            }
            FromExecutor::WorkerReady { job_id, address, .. } => {
                self.with_job(now, job_id, fx, |job, e| job.worker_ready(now, executor, address, e));
            }
            FromExecutor::WorkerLost { job_id, failure } => {
                if let Some(jobs) = self.workers.get_mut(executor) {
                    jobs.remove(&job_id);
                }
                self.with_job(now, job_id, fx, |job, e| job.worker_lost(now, executor, failure, e));
            }
            FromExecutor::Task { job_id, report } => {
                self.with_job(now, job_id, fx, |job, e| job.task_report(now, &report, e));
            }
            FromExecutor::Checkpoint { job_id, report } => {
                self.with_job(now, job_id, fx, |job, e| job.checkpoint_report(now, report, e));
            }
            FromExecutor::Alignment { job_id, groups } => {
                self.with_job(now, job_id, fx, |job, e| job.alignment_report(executor, &groups, e));
            }
            FromExecutor::TaskMetrics { job_id, tasks, accumulators } => {
                if let Some(job) = self.jobs.get_mut(&job_id) {
                    job.task_metrics(&tasks, &accumulators);
                }
            }
            FromExecutor::Heartbeat { .. } | FromExecutor::Logs { .. } | FromExecutor::LogContent { .. } => {}
        }
    }

    /// Getter: whether a registration over this connection is older than one that was taken note of. It must not be given to
    /// [`Master::from_executor`], and its connection must not replace the newer one.
    pub fn is_overtaken(&self, executor: &ExecutorId, connection: u64) -> bool {
        self.resources.executors().get(executor).is_some_and(|known| connection < known.connection)
    }

    /// Answers a registration; says whether the executor is welcome.
    fn register(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        info: &ExecutorInfo,
        fx: &mut Vec<Effect>,
    ) -> bool {
        let mut welcome = false;
        self.tell_resources(|r, e| {
            welcome = r.registered(now, executor.clone(), &info.host, info.slots, e);
        });
        let message = Box::new(self.answer_registration(welcome));
        fx.push(Effect::Send { executor: executor.clone(), message });
        welcome
    }

    /// Input: time has passed.
    pub fn tick(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        self.with_resources(now, fx, |r, e| r.tick(now, e));
        self.settle_if_known(now, fx);
        for id in self.agenda.due(now) {
            if self.jobs.get(&id).is_some_and(|job| !job.state().is_terminal()) {
                self.with_job(now, id, fx, |job, e| job.tick(now, e));
            }
        }
        self.cancel_abandoned(now, fx);
        self.forget_expired(now, fx);
        self.maybe_finish(now, fx);
    }

    fn cancel_abandoned(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        let abandoned: Vec<JobId> =
            self.client_leases.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id).collect();
        for id in abandoned {
            self.client_leases.remove(&id);
            self.cancel(now, id, fx);
        }
    }

    fn forget_expired(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        let expires = |job: &JobMaster| Some(job.ended()?.plus(self.settings.job_expiration));
        // Of a job that ended under an earlier application master there is only the result, and when that goes.
        let expired = |id: &JobId| match self.jobs.get(id) {
            Some(job) => expires(job).is_some_and(|at| at <= now),
            None => true,
        };
        for id in self.agenda.due(now).into_iter().filter(expired).collect::<Vec<_>>() {
            self.jobs.remove(&id);
            self.agenda.set(id, None);
            fx.push(Effect::JobForgotten { job: id });
        }
    }

    pub(super) fn maybe_finish(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        let running = self.running_jobs().len();
        if let Some((status, diagnostics)) = self.lifecycle.take_end(now, running) {
            fx.push(Effect::Finish { status, diagnostics });
        }
    }
}
