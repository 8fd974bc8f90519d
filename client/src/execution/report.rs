//! What is said about the end of a job.

use anyhow::anyhow;
use kvick_core::accumulator::Accumulator;
use kvick_core::failure::Failure;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};

/// The lines for a job that finished.
pub fn finished(result: &JobResult) -> String {
    let mut text = format!(
        "Program execution finished\nJob with JobID {} has finished.\nJob Runtime: {} ms\n",
        result.job_id, result.net_runtime_ms
    );
    if !result.accumulators.is_empty() {
        text.push_str("Accumulator Results: \n");
        for (name, value) in &result.accumulators {
            text.push_str(&format!("- {name} ({}){}\n", value.java_type(), shown(value)));
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Collections show how many elements they have, everything else its value.
fn shown(value: &Accumulator) -> String {
    match value {
        Accumulator::LongCounter(n) | Accumulator::LongMinimum(n) | Accumulator::LongMaximum(n) => {
            format!(": {n}")
        }
        Accumulator::DoubleCounter(n) => format!(": {n}"),
        Accumulator::List(values) => format!(" [{} elements]", values.len()),
        Accumulator::Histogram(counts) => format!(" [{} elements]", counts.len()),
    }
}

/// The chain of causes of a job that did not finish.
pub fn failure(result: &JobResult) -> anyhow::Error {
    let id = result.job_id;
    if result.state == JobState::Canceled {
        return anyhow!("Job was cancelled.").context(format!("Job failed (JobID: {id})"));
    }
    let cause = match &result.failure {
        Some(failure) => of_failure(failure),
        None => anyhow!("The cluster gave no reason."),
    };
    cause.context("Job execution failed.").context(format!("Job failed (JobID: {id})"))
}

fn of_failure(failure: &Failure) -> anyhow::Error {
    let mut message = failure.message.clone();
    for line in failure.detail.lines() {
        message.push_str("\n\t");
        message.push_str(line);
    }
    match &failure.cause {
        Some(cause) => of_failure(cause).context(message),
        None => anyhow!(message),
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
    fn a_finished_job_with_and_without_accumulators() {
        let mut result = result(JobState::Finished);
        let plain = "Program execution finished\nJob with JobID 00000000000000000000000000000007 has finished.\nJob Runtime: 762 ms\n\n";
        assert_eq!(finished(&result), plain);
        result.accumulators.insert("rows".into(), Accumulator::LongCounter(1000));
        result.accumulators.insert("seen".into(), Accumulator::List(vec!["a".into(), "b".into()]));
        let expected = "Job Runtime: 762 ms\nAccumulator Results: \n- rows (java.lang.Long): 1000\n- seen (java.util.ArrayList) [2 elements]\n\n\n";
        assert!(finished(&result).ends_with(expected), "{}", finished(&result));
    }

    #[test]
    fn a_failed_job_tells_every_cause() {
        let mut result = result(JobState::Failed);
        let root = Failure::new(FailureKind::Error, "cannot open /x").with_detail("no such file");
        result.failure = Some(root.wrapped(FailureKind::RestartSuppressed, "Recovery is suppressed"));
        let chain: Vec<String> = failure(&result).chain().map(ToString::to_string).collect();
        assert_eq!(
            chain,
            [
                "Job failed (JobID: 00000000000000000000000000000007)",
                "Job execution failed.",
                "Recovery is suppressed",
                "cannot open /x\n\tno such file"
            ]
        );
    }
}
