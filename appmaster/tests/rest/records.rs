//! Records that cannot be kept any more: the job goes on, and whoever asks for what cannot survive is told so.

use crate::snapshots::{begin, checkpoint, end, job_in};
use crate::support::{JOB, TestCluster, job};
use axum::http::{Method, StatusCode};
use kvick_core::ha::StoredCheckpoint;
use kvick_core::ids::JobId;
use kvick_core::task::TaskState;
use kvick_filesystem::{Context, FileSystems};
use kvick_ha::{FileStore, HaStore};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

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

/// What a later application master would find of the checkpoints of the job.
async fn recorded(cluster: &TestCluster) -> BTreeMap<u64, StoredCheckpoint> {
    let uri = format!("file://{}", cluster.dir.path().join("records").display());
    let (fs, root) = FileSystems::new(Context::default()).locate(&uri).unwrap();
    FileStore::new(fs, root).contents().await.unwrap().checkpoints.remove(&JOB).unwrap_or_default()
}

#[tokio::test]
async fn who_takes_over_finds_what_was_still_to_be_removed_of_a_running_jobs_checkpoints() {
    let cluster = without_records().await;
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    for _ in 0..2 {
        checkpoint(&cluster, &mut executor, &job).await;
    }
    let noted = async {
        loop {
            let kept = recorded(&cluster).await;
            if kept.contains_key(&2) && kept.get(&1).is_none_or(|first| first.going.is_some()) {
                return kept;
            }
            tokio::task::yield_now().await;
        }
    };
    let kept = tokio::time::timeout(Duration::from_secs(20), noted).await.expect("the pointer stays");
    let first = kept.get(&1).expect("its files may be there: nobody would know of them");
    assert!(first.directory.as_deref().is_some_and(|directory| directory.ends_with("chk-1")), "{first:?}");
    let forgotten = async {
        while recorded(&cluster).await.contains_key(&1) {
            checkpoint(&cluster, &mut executor, &job).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.expect("the note goes after the files");
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
