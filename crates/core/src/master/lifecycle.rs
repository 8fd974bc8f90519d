//! How an application lives and ends: a session when told to, a per-job application with its job, an application-mode
//! application with its program.

use super::FinalStatus;
use crate::failure::Failure;
use crate::job::{JobResult, JobState};
use crate::time::Millis;

/// What the application is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterMode {
    /// Takes jobs until told to stop.
    Session,
    /// Ends with its one job; if attached, once the result was fetched.
    PerJob {
        /// Whether nobody waits for the result.
        detached: bool,
    },
    /// Ends with its program and all jobs of it.
    Application,
}

/// Where the application stands.
#[derive(Debug)]
pub struct Lifecycle {
    mode: MasterMode,
    /// The worst end of a job so far.
    outcome: Option<(FinalStatus, String)>,
    any_job: bool,
    program_ended: bool,
    /// Until when to wait for the result to be fetched.
    waiting_until: Option<Millis>,
    result_fetched: bool,
    stopping: bool,
    finished: bool,
}

impl Lifecycle {
    pub(super) fn new(mode: MasterMode) -> Lifecycle {
        Lifecycle {
            mode,
            outcome: None,
            any_job: false,
            program_ended: false,
            waiting_until: None,
            result_fetched: false,
            stopping: false,
            finished: false,
        }
    }

    /// What the application is there for.
    pub fn mode(&self) -> MasterMode {
        self.mode
    }

    /// Whether it takes no more jobs.
    pub fn is_stopping(&self) -> bool {
        self.stopping || self.finished
    }

    pub(super) fn job_submitted(&mut self) {
        self.any_job = true;
    }

    /// A job has ended; `kept` is the checkpoint of it that stays, where one does.
    pub(super) fn job_ended(&mut self, now: Millis, result: &JobResult, kept: Option<&str>, wait: Millis) {
        let outcome = outcome_of(result, kept);
        let better = |status| matches!(status, FinalStatus::Succeeded);
        // A session is not judged by its jobs, not even by those that its own end cancels.
        let judged = self.mode != MasterMode::Session;
        if judged && self.outcome.as_ref().is_none_or(|(status, _)| better(*status)) {
            self.outcome = Some(outcome);
        }
        if (self.mode == MasterMode::PerJob { detached: false }) && result.state != JobState::Canceled {
            self.waiting_until = Some(now.plus(wait));
        }
    }

    pub(super) fn result_fetched(&mut self) {
        self.result_fetched = true;
    }

    pub(super) fn program_ended(&mut self, failure: Option<Failure>) {
        self.program_ended = true;
        if let Some(failure) = failure
            && self.outcome.as_ref().is_none_or(|(status, _)| *status == FinalStatus::Succeeded)
        {
            self.outcome = Some((FinalStatus::Failed, failure.to_string()));
        }
    }

    pub(super) fn stop(&mut self, status: FinalStatus, why: &str) {
        self.stopping = true;
        if self.mode == MasterMode::Session || self.outcome.is_none() {
            self.outcome = Some((status, why.to_string()));
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.waiting_until.filter(|_| !self.finished)
    }

    /// The end, when it has come: once, and only with no job running.
    pub(super) fn take_end(&mut self, now: Millis, running_jobs: usize) -> Option<(FinalStatus, String)> {
        if self.finished || running_jobs > 0 || !self.is_over(now) {
            return None;
        }
        self.finished = true;
        Some(self.outcome.clone().unwrap_or((FinalStatus::Succeeded, String::new())))
    }

    fn is_over(&self, now: Millis) -> bool {
        if self.stopping {
            return true;
        }
        match self.mode {
            MasterMode::Session => false,
            MasterMode::PerJob { .. } => {
                self.any_job && (self.result_fetched || self.waiting_until.is_none_or(|until| until <= now))
            }
            MasterMode::Application => self.program_ended,
        }
    }
}

fn outcome_of(result: &JobResult, kept: Option<&str>) -> (FinalStatus, String) {
    match result.state {
        JobState::Failed => {
            let root = result.failure.as_ref().map_or_else(String::new, |f| f.root().to_string());
            let kept = kept.map(|path| {
                format!("\nIts last checkpoint is kept; to go on from it: flink run -s {path} …")
            });
            let kept = kept.unwrap_or_default();
            (FinalStatus::Failed, format!("Job {} failed: {root}{kept}", result.job_id))
        }
        JobState::Canceled => (FinalStatus::Killed, format!("Job {} was cancelled", result.job_id)),
        _ => (FinalStatus::Succeeded, String::new()),
    }
}
