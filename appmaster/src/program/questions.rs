//! What a program asks about a job of its own that it does not wait for.

use super::random_job_id;
use crate::handle::ClusterHandle;
use crate::operations::{OperationKey, OperationKind};
use kvick_core::checkpoint::{SavepointFormat, SnapshotRequest};
use kvick_core::host::{JobAnswer, JobQuestion};
use kvick_core::ids::JobId;
use std::time::Duration;

/// How long a question for the result of a running job is held back.
const HELD_BACK: Duration = Duration::from_secs(1);

/// Between two looks at a savepoint that is being taken.
const LOOK: Duration = Duration::from_millis(50);

/// The answer, or why there is none.
pub async fn answer(cluster: &ClusterHandle, job: JobId, question: JobQuestion) -> Result<JobAnswer, String> {
    let format = SavepointFormat::default();
    match question {
        JobQuestion::State => {
            let state = cluster.ask(move |cluster, _| cluster.master.job(job).map(|job| job.state()));
            Ok(JobAnswer::State(known(state.await, job)?))
        }
        JobQuestion::Accumulators => {
            let all = cluster.ask(move |cluster, _| cluster.master.job(job).map(|job| job.accumulators()));
            Ok(JobAnswer::Accumulators(known(all.await, job)?))
        }
        JobQuestion::Result => {
            let end = known(cluster.ask(move |cluster, _| cluster.await_result(job)).await, job)?;
            match tokio::time::timeout(HELD_BACK, end).await {
                Ok(Ok(result)) => Ok(JobAnswer::Result(Some(result))),
                Ok(Err(_)) => Err("the application ended before the job did".to_string()),
                Err(_) => Ok(JobAnswer::Result(None)),
            }
        }
        JobQuestion::Savepoint { target } => {
            savepoint(cluster, job, SnapshotRequest::Savepoint { target, format, cancel_job: false }).await
        }
        JobQuestion::Stop { target, drain } => {
            savepoint(cluster, job, SnapshotRequest::Stop { target, format, drain }).await
        }
    }
}

/// What the driver said of a job.
fn known<T>(answer: Option<Option<T>>, job: JobId) -> Result<T, String> {
    answer.ok_or("the application is ending")?.ok_or_else(|| format!("Job {job} not found"))
}

async fn savepoint(
    cluster: &ClusterHandle,
    job: JobId,
    request: SnapshotRequest,
) -> Result<JobAnswer, String> {
    let trigger = random_job_id().to_string();
    let key = OperationKey { kind: OperationKind::Savepoint, job: Some(job), trigger };
    let begun = key.clone();
    let asked = cluster.ask(move |cluster, now| {
        cluster.master.job(job)?;
        let caller = cluster.operations.begin(now, begun)?;
        cluster.with_master(|master, fx| master.request_snapshot(now, job, caller, request, fx));
        Some(())
    });
    known(asked.await, job)?;
    loop {
        let key = key.clone();
        let looked = cluster.ask(move |cluster, now| cluster.operations.look(now, &key)).await;
        match known(looked, job)? {
            Some(Ok(done)) => {
                return Ok(JobAnswer::Savepoint(done.map(|done| done.external_path).unwrap_or_default()));
            }
            Some(Err(failure)) => return Err(failure.to_string()),
            // The coordinator ends it in any case, at the latest after `execution.checkpointing.timeout`.
            None => tokio::time::sleep(LOOK).await,
        }
    }
}
