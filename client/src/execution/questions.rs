//! What a program asks about a job of its own that it does not wait for.

use super::Accepted;
use crate::rest::RestError;
use kvick_core::config::{Configuration, options};
use kvick_core::host::{JobAnswer, JobQuestion};
use serde_json::{Value, json};

/// The answer, or why there is none.
pub async fn answer(
    job: &Accepted,
    question: JobQuestion,
    config: &Configuration,
) -> Result<JobAnswer, String> {
    let (rest, id) = (&job.rest, job.job_id);
    let answered = match question {
        JobQuestion::State => rest.state(id).await.map(JobAnswer::State),
        JobQuestion::Accumulators => rest.accumulators(id).await.map(JobAnswer::Accumulators),
        JobQuestion::Result => match rest.result_soon(id).await {
            // Another application master may go on with the job, or YARN may know why there is none.
            Err(error) if error.is_gone() && job.watch.is_some() => {
                return job.result().await.map(|r| JobAnswer::Result(Some(r))).map_err(|e| format!("{e:#}"));
            }
            answered => answered.map(JobAnswer::Result),
        },
        JobQuestion::Savepoint { target } => {
            let body = json!({ "target-directory": target, "cancel-job": false });
            savepoint(job, "savepoints", &body, config).await
        }
        JobQuestion::Stop { target, drain } => {
            let body = json!({ "targetDirectory": target, "drain": drain });
            savepoint(job, "stop", &body, config).await
        }
    };
    answered.map_err(|error| error.to_string())
}

async fn savepoint(
    job: &Accepted,
    kind: &str,
    body: &Value,
    config: &Configuration,
) -> Result<JobAnswer, RestError> {
    let timeout =
        config.get(&options::CLIENT_TIMEOUT).map_err(|error| RestError::Failed(error.to_string()))?;
    let trigger = job.rest.trigger(&format!("jobs/{}/{kind}", job.job_id), body).await?;
    let path = format!("jobs/{}/savepoints/{trigger}", job.job_id);
    let done = job.rest.operation(&path, timeout).await?;
    Ok(JobAnswer::Savepoint(done.location.unwrap_or_default()))
}
