//! A job that runs in this process, on a thread of its own.

use crate::execute::JobError;
use kvick_core::checkpoint::{SavepointFormat, SnapshotRequest};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::host::{JobAnswer, JobQuestion};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};
use kvick_runtime::embedded::{self, EmbeddedControl};
use kvick_runtime::program::Program;
use kvick_runtime::task::JobInfo;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a question for the result may take while there is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// The end of a job, once it has come.
#[derive(Default)]
struct End {
    result: Mutex<Option<JobResult>>,
    came: Condvar,
}

impl End {
    fn result(&self) -> MutexGuard<'_, Option<JobResult>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the end of a job also where the thread that ran it panicked.
struct Teller {
    job_id: JobId,
    end: Arc<End>,
}

impl Teller {
    fn tell(&self, result: JobResult) {
        self.end.result().get_or_insert(result);
        self.end.came.notify_all();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell(lost(self.job_id));
    }
}

/// A result that is not known.
pub(crate) fn lost(job_id: JobId) -> JobResult {
    let failure = Some(Failure::new(FailureKind::Panic, "the thread that ran the job panicked"));
    JobResult { job_id, state: JobState::Failed, net_runtime_ms: 0, accumulators: BTreeMap::new(), failure }
}

/// A job in this process.
pub(crate) struct Embedded {
    control: EmbeddedControl,
    end: Arc<End>,
}

impl Embedded {
    /// Starts a job.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(job: JobInfo, program: Program) -> std::io::Result<Embedded> {
        let (control, end) = (EmbeddedControl::default(), Arc::new(End::default()));
        let (own, teller) = (control.clone(), Teller { job_id: job.job_id, end: Arc::clone(&end) });
        let thread = std::thread::Builder::new().name("embedded-job".to_string());
        thread.spawn(move || teller.tell(embedded::run(job, program, &own)))?;
        Ok(Embedded { control, end })
    }

    pub(super) fn cancel(&self) {
        self.control.cancel();
    }

    pub(super) fn ask(&self, question: JobQuestion) -> Result<JobAnswer, JobError> {
        let format = SavepointFormat::Canonical;
        match question {
            JobQuestion::State => Ok(JobAnswer::State(self.state())),
            JobQuestion::Accumulators => Ok(self.accumulators()),
            JobQuestion::Result => Ok(JobAnswer::Result(self.await_end())),
            JobQuestion::Savepoint { target } => {
                self.snapshot(SnapshotRequest::Savepoint { target, format, cancel_job: false })
            }
            JobQuestion::Stop { target, drain } => {
                self.snapshot(SnapshotRequest::Stop { target, format, drain })
            }
        }
    }

    /// A job that has not begun to listen is being set up.
    fn state(&self) -> JobState {
        let live = self.control.view().map(|view| view.state);
        let ended = || self.end.result().as_ref().map(|result| result.state);
        live.or_else(ended).unwrap_or(JobState::Initializing)
    }

    fn accumulators(&self) -> JobAnswer {
        let live = self.control.view().map(|view| view.accumulators);
        let ended = || self.end.result().as_ref().map(|result| result.accumulators.clone());
        JobAnswer::Accumulators(live.or_else(ended).unwrap_or_default())
    }

    fn await_end(&self) -> Option<JobResult> {
        let running = |result: &mut Option<JobResult>| result.is_none();
        let waited = self.end.came.wait_timeout_while(self.end.result(), PATIENCE, running);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn snapshot(&self, request: SnapshotRequest) -> Result<JobAnswer, JobError> {
        let done = self.control.snapshot(request).map_err(|why| JobError::Savepoint(Box::new(why)))?;
        Ok(JobAnswer::Savepoint(done.external_path))
    }
}
