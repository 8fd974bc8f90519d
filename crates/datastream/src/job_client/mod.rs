//! A job that was started and is not waited for, and what can be asked of it wherever it runs: in this process, by way of the
//! host of this program (the `flink` command, an application master), or on a remote cluster.

mod embedded;
mod hosted;
pub(crate) mod remote;
mod rest;

use crate::execute::{JobError, ended};
pub(crate) use embedded::{Embedded, lost};
pub(crate) use hosted::Hosted;
use kvick_core::accumulator::{Accumulators, shown};
use kvick_core::host::{JobAnswer, JobQuestion};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};
pub(crate) use remote::Remote;
pub use rest::RestError;

/// A job that was started with [`execute_async`](crate::StreamExecutionEnvironment::execute_async).
///
/// A program that is run again (in a worker of a later job of its, or for another parallelism) gets the answers of its first run.
///
/// ```
/// # use kvick::prelude::*;
/// # use kvick::JobState;
/// # let env = StreamExecutionEnvironment::get_execution_environment();
/// # env.from_sequence(1, 3).print();
/// let client = env.execute_async("in the background")?;
/// println!("{} is {:?}", client.job_id(), client.status()?);
/// assert_eq!(client.wait()?.state, JobState::Finished);
/// # Ok::<(), JobError>(())
/// ```
pub struct JobClient {
    job_id: JobId,
    running: Running,
}

/// Where a job runs.
pub(crate) enum Running {
    /// In this process.
    Here(Embedded),
    /// On the cluster that the host of this program speaks to.
    Hosted(Hosted),
    /// On a cluster that this program speaks to itself.
    Remote(Remote),
}

impl JobClient {
    pub(crate) fn of(job_id: JobId, running: Running) -> JobClient {
        JobClient { job_id, running }
    }

    /// The job's id.
    #[doc(alias = "getJobID")]
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Where the job is in its life.
    ///
    /// # Errors
    /// The cluster does not answer, or knows no such job any more.
    #[doc(alias = "getJobStatus")]
    pub fn status(&self) -> Result<JobState, JobError> {
        match self.ask(JobQuestion::State)? {
            JobAnswer::State(state) => Ok(state),
            other => Err(self.misunderstood(&other)),
        }
    }

    /// What user code has counted so far, over all subtasks. Counts of running tasks are about a second old.
    ///
    /// # Errors
    /// As [`JobClient::status`].
    #[doc(alias = "getAccumulators")]
    pub fn accumulators(&self) -> Result<Accumulators, JobError> {
        match self.ask(JobQuestion::Accumulators)? {
            JobAnswer::Accumulators(all) => {
                Ok(shown(&all).map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            other => Err(self.misunderstood(&other)),
        }
    }

    /// Asks the job to stop; [`JobClient::wait`] tells when it has.
    ///
    /// # Errors
    /// The cluster does not answer, or knows no such job any more.
    pub fn cancel(&self) -> Result<(), JobError> {
        match &self.running {
            Running::Here(job) => job.cancel(),
            Running::Hosted(job) => job.cancel(self.job_id)?,
            Running::Remote(job) => job.cancel(self.job_id)?,
        }
        Ok(())
    }

    /// Takes a savepoint and returns its directory; the job goes on. `target`: the directory below which it is made, or
    /// `execution.checkpointing.savepoint-dir`.
    ///
    /// # Errors
    /// There is no savepoint, and why.
    #[doc(alias = "triggerSavepoint")]
    pub fn trigger_savepoint(&self, target: Option<&str>) -> Result<String, JobError> {
        self.savepoint(JobQuestion::Savepoint { target: target.map(str::to_string) })
    }

    /// Ends the job with a savepoint and returns its directory. With `drain` the input counts as ended: windows fire and
    /// operators finish before.
    ///
    /// # Errors
    /// There is no savepoint, and why; or the job did not stop.
    #[doc(alias = "stopWithSavepoint")]
    pub fn stop_with_savepoint(&self, drain: bool, target: Option<&str>) -> Result<String, JobError> {
        self.savepoint(JobQuestion::Stop { target: target.map(str::to_string), drain })
    }

    fn savepoint(&self, question: JobQuestion) -> Result<String, JobError> {
        match self.ask(question)? {
            JobAnswer::Savepoint(directory) => Ok(directory),
            other => Err(self.misunderstood(&other)),
        }
    }

    /// Waits for the end of the job.
    ///
    /// # Errors
    /// The job failed or was cancelled, or the cluster does not answer.
    #[doc(alias = "getJobExecutionResult")]
    pub fn wait(self) -> Result<JobResult, JobError> {
        loop {
            match self.ask(JobQuestion::Result)? {
                JobAnswer::Result(Some(result)) => return ended(result),
                JobAnswer::Result(None) => {}
                other => return Err(self.misunderstood(&other)),
            }
        }
    }

    fn ask(&self, question: JobQuestion) -> Result<JobAnswer, JobError> {
        match &self.running {
            Running::Here(job) => job.ask(question),
            Running::Hosted(job) => job.ask(self.job_id, question),
            Running::Remote(job) => job.ask(self.job_id, question),
        }
    }

    fn misunderstood(&self, answer: &JobAnswer) -> JobError {
        let reason = format!("the answer is for another question: {answer:?}");
        JobError::NotAnswered { job_id: self.job_id, what: "the question", reason }
    }
}

/// What is asked for, as an error names it.
fn named(question: &JobQuestion) -> &'static str {
    match question {
        JobQuestion::State => "its state",
        JobQuestion::Accumulators => "its accumulators",
        JobQuestion::Result => "its result",
        JobQuestion::Savepoint { .. } => "a savepoint",
        JobQuestion::Stop { .. } => "stopping with a savepoint",
    }
}

/// There is no answer about a job.
fn not_answered(job_id: JobId, question: &JobQuestion, reason: impl Into<String>) -> JobError {
    JobError::NotAnswered { job_id, what: named(question), reason: reason.into() }
}
