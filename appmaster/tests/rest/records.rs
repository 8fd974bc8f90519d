//! Records that cannot be kept any more: the job goes on, and whoever asks for what cannot survive is told so.

use crate::snapshots::{begin, end, job_in};
use crate::support::{JOB, TestCluster, job};
use axum::http::{Method, StatusCode};
use kvick_core::ids::JobId;
use kvick_core::task::TaskState;
use serde_json::json;

/// A session that has lost the directory of its records, after it had begun to keep them.
async fn without_records() -> TestCluster {
    let cluster = TestCluster::start();
    let directory = cluster.dir.path().join("records");
    cluster.keep_records(&directory).await;
    cluster
}

fn lose_records(cluster: &TestCluster) {
    std::fs::remove_dir_all(cluster.dir.path().join("records")).unwrap();
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_recorded_has_failed_and_the_job_goes_on() {
    let cluster = without_records().await;
    let mut job = job_in(cluster.dir.path());
    job.config.set("execution.checkpointing.tolerable-failed-checkpoints", "3");
    let mut executor = cluster.with_running_job(&job).await;
    lose_records(&cluster);
    let id = begin(&cluster, &format!("/jobs/{JOB}/checkpoints"), json!({"checkpointType": "FULL"})).await;
    executor.acknowledge(&job).await;
    let operation = end(&cluster, &format!("/jobs/{JOB}/checkpoints/{id}")).await;
    let cause = operation["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("could not be recorded") && cause.contains("records is gone"), "{cause}");
    let counts = cluster.json(&format!("/jobs/{JOB}/checkpoints")).await["counts"].clone();
    assert_eq!((&counts["completed"], &counts["failed"]), (&json!(0), &json!(1)));
    assert_eq!(cluster.json(&format!("/jobs/{JOB}/status")).await, json!({"status": "RUNNING"}));
    assert!(
        !cluster.dir.path().join("records").exists(),
        "nothing is made anew of which the beginning is missing"
    );
}

#[tokio::test]
async fn a_submission_that_cannot_be_recorded_is_refused_and_its_job_does_not_run() {
    let cluster = without_records().await;
    lose_records(&cluster);
    let answer = cluster.request(Method::POST, "/jobs", Some(&json!(job()))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let error = answer.error();
    assert!(error.contains("was not accepted") && error.contains("records is gone"), "{error}");
    let result = cluster.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    assert_eq!(result["job-execution-result"]["application-status"], "CANCELED");
}

#[tokio::test]
async fn the_end_of_a_job_is_told_though_it_cannot_be_recorded() {
    let (cluster, job) = (without_records().await, job());
    let executor = cluster.with_running_job(&job).await;
    lose_records(&cluster);
    executor.report_all(&job, TaskState::Finished);
    let result = cluster.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    assert_eq!(result["job-execution-result"]["application-status"], "SUCCEEDED");
    let mut next = job.clone();
    next.job_id = JobId(2);
    let answer = cluster.request(Method::POST, "/jobs", Some(&json!(next))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "and nothing hangs behind it");
}
