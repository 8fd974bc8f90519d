//! What is said about the end of a job.

use anyhow::anyhow;
use kvick_core::failure::Failure;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};

/// The chain of causes of a job that did not finish, with what to do to find out more at its end.
pub fn failure(result: &JobResult, hint: Option<String>) -> anyhow::Error {
    let id = result.job_id;
    if result.state == JobState::Canceled {
        return anyhow!("Job was cancelled.").context(format!("Job failed (JobID: {id})"));
    }
    let cause = match &result.failure {
        Some(failure) => of_failure(failure, hint),
        None => anyhow!("The cluster gave no reason."),
    };
    cause.context("Job execution failed.").context(format!("Job failed (JobID: {id})"))
}

fn of_failure(failure: &Failure, hint: Option<String>) -> anyhow::Error {
    let mut message = failure.message.clone();
    for line in failure.detail.lines() {
        message.push_str("\n\t");
        message.push_str(line);
    }
    match &failure.cause {
        Some(cause) => of_failure(cause, hint).context(message),
        None => anyhow!([message].into_iter().chain(hint).collect::<Vec<_>>().join("\n")),
    }
}

/// What is said when the cluster goes away while a job is waited for.
pub fn lost_job(id: JobId) -> String {
    format!("Lost the cluster while waiting for the job {id}, which may still be running.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::failure::FailureKind;
    use std::collections::BTreeMap;

    fn result(state: JobState) -> JobResult {
        JobResult {
            job_id: JobId(7),
            state,
            net_runtime_ms: 762,
            accumulators: BTreeMap::new(),
            failure: None,
        }
    }

    #[test]
    fn a_failed_job_tells_every_cause() {
        let mut result = result(JobState::Failed);
        let root = Failure::new(FailureKind::Error, "cannot open /x").with_detail("no such file");
        result.failure = Some(root.wrapped(FailureKind::RestartSuppressed, "Recovery is suppressed"));
        let hint = Some("see the logs".to_string());
        let chain: Vec<String> = failure(&result, hint).chain().map(ToString::to_string).collect();
        assert_eq!(
            chain,
            [
                "Job failed (JobID: 00000000000000000000000000000007)",
                "Job execution failed.",
                "Recovery is suppressed",
                "cannot open /x\n\tno such file\nsee the logs"
            ]
        );
    }
}
