//! The answers of the REST API, as far as the command line reads them.

use super::RestError;
use kvick_core::accumulator::Accumulators;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};
use serde::Deserialize;

/// `/jobs/overview`
#[derive(Debug, Deserialize)]
pub struct JobsOverview {
    /// The jobs.
    pub jobs: Vec<JobSummary>,
}

/// A job in the overview.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// Its id.
    pub jid: JobId,
    /// Its name.
    pub name: String,
    /// Epoch milliseconds.
    pub start_time: i64,
    /// Where it is in its life.
    pub state: JobState,
}

/// `/jobs/:id/status`
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Where it is in its life.
    pub status: JobState,
}

/// `/jobs/:id/accumulators?includeSerializedValue=true`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobAccumulators {
    /// As our own JSON.
    pub serialized_user_task_accumulators: Accumulators,
}

/// `IN_PROGRESS` or `COMPLETED`.
#[derive(Debug, Deserialize)]
pub struct Progress {
    id: String,
}

/// `/jobs/:id/execution-result`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExecutionResult {
    status: Progress,
    job_execution_result: Option<Completed>,
}

#[derive(Debug, Deserialize)]
struct Completed {
    result: JobResult,
}

impl ExecutionResult {
    /// The result, once there is one.
    pub fn result(self) -> Option<JobResult> {
        let completed = self.job_execution_result.filter(|_| self.status.id == "COMPLETED");
        completed.map(|completed| completed.result)
    }
}

/// The answer to an operation that takes its time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Triggered {
    /// By which it is asked for.
    pub request_id: String,
}

/// How such an operation goes.
#[derive(Debug, Deserialize)]
pub struct OperationStatus {
    status: Progress,
    operation: Option<Operation>,
}

/// What came of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Operation {
    /// Where the savepoint is.
    pub location: Option<String>,
    /// The checkpoint's number.
    #[serde(rename = "checkpointId")]
    pub checkpoint_id: Option<u64>,
    failure_cause: Option<FailureCause>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FailureCause {
    stack_trace: String,
}

impl OperationStatus {
    /// What came of the operation, once it has ended.
    ///
    /// # Errors
    /// It failed.
    pub fn finished(self) -> Result<Option<Operation>, RestError> {
        if self.status.id != "COMPLETED" {
            return Ok(None);
        }
        let operation = self.operation.unwrap_or_default();
        match operation.failure_cause {
            Some(cause) => Err(RestError::Failed(cause.stack_trace.trim().to_string())),
            None => Ok(Some(operation)),
        }
    }
}
