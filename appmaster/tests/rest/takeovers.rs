//! What is kept for the next application master for as long as it is of use, and what that makes of it.

use crate::program::fixed_job_id;
use crate::support::{JOB, TestCluster, job, records};
use axum::http::{Method, StatusCode};
use kvick_core::ha::{Change, Contents, Record, StoredJob};
use kvick_core::job::JobSubmission;
use kvick_core::master::MasterMode;
use kvick_core::task::TaskState;
use kvick_core::time::Millis;
use kvick_ha::HaStore;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits until the records are as wanted, and returns them.
async fn kept(cluster: &TestCluster, wanted: impl Fn(&Contents) -> bool) -> Contents {
    let store = records(&cluster.dir.path().join("records"));
    for _ in 0..1_000 {
        let contents = store.contents().await.unwrap();
        if wanted(&contents) {
            return contents;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the records stay as they are: {:?}", store.contents().await.unwrap());
}

/// `jobstore.expiration-time` is over.
async fn expire(cluster: &TestCluster) {
    let later = |cluster: &mut crate::cluster::Cluster, now: Millis| {
        cluster.with_master(|master, fx| master.tick(now.plus(Millis(3_700_000)), fx));
    };
    cluster.handle.ask(later).await.unwrap();
}

async fn status(cluster: &TestCluster, job: &JobSubmission) -> StatusCode {
    cluster.get(&format!("/jobs/{}/execution-result", job.job_id)).await.status
}

#[tokio::test]
async fn the_result_of_a_sessions_job_leaves_the_records_when_nobody_is_told_of_it_any_more() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.keep_records(&cluster.dir.path().join("records")).await;
    let executor = cluster.with_running_job(&job).await;
    executor.report_all(&job, TaskState::Finished);
    let contents = kept(&cluster, |contents| contents.results.contains_key(&JOB)).await;
    expire(&cluster).await;
    kept(&cluster, |contents| contents.results.is_empty()).await;

    // The same under the application master that comes after it.
    let left = contents.as_changes();
    let next = TestCluster::taking_over(MasterMode::Session, |_, _| {}, &left).await;
    assert_eq!(status(&next, &job).await, StatusCode::OK);
    expire(&next).await;
    kept(&next, |contents| contents.results.is_empty()).await;
    assert_eq!(status(&next, &job).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_program_that_is_run_anew_meets_its_jobs_however_long_ago_they_ended() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.keep_records(&cluster.dir.path().join("records")).await;
    let executor = cluster.with_running_job(&job).await;
    executor.report_all(&job, TaskState::Finished);
    let left = kept(&cluster, |contents| contents.results.contains_key(&JOB)).await.as_changes();
    let next = TestCluster::taking_over(MasterMode::Application, |_, _| {}, &left).await;
    expire(&next).await;
    assert_eq!(status(&next, &job).await, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_fell_silent_with_the_application_master_is_not_waited_for_beyond_its_time() {
    let cluster = TestCluster::start();
    cluster.keep_records(&cluster.dir.path().join("records")).await;
    let job = job();
    let _executor = cluster.with_running_job(&job).await;
    let body = json!({"expiredTimestamp": 1});
    let answer = cluster.request(Method::PATCH, &format!("/jobs/{JOB}/clientHeartbeat"), Some(&body)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let mut contents = kept(&cluster, |contents| contents.clients.contains(&JOB)).await;
    for StoredJob { submission, .. } in contents.jobs.values_mut() {
        submission.config.set("client.heartbeat.timeout", "1 ms");
    }
    let next = TestCluster::taking_over(MasterMode::Session, |_, _| {}, &contents.as_changes()).await;
    let result = next.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    assert_eq!(result["job-execution-result"]["application-status"], "CANCELED");
    kept(&next, |contents| contents.clients.is_empty()).await;
}

/// An application of this id.
fn application(
    id: &str,
) -> impl FnOnce(&mut kvick_core::application_spec::ApplicationSpec, &std::path::Path) {
    let id = id.to_string();
    move |spec, directory| spec.staging_dir = Some(directory.join(id).display().to_string())
}

#[tokio::test]
async fn what_a_program_drew_once_stays_drawn_though_its_job_has_ended() {
    let own = "application_1_0001";
    let mode = MasterMode::Application;
    let cluster = TestCluster::start_with(mode, crate::support::config(), application(own));
    cluster.keep_records(&cluster.dir.path().join("records")).await;
    let drawn = BTreeMap::from([("now".to_string(), "12".to_string())]);
    let job = JobSubmission { job_id: fixed_job_id(own, 0), once: drawn.clone(), ..job() };
    let executor = cluster.with_running_job(&job).await;
    executor.report_all(&job, TaskState::Finished);
    let left = kept(&cluster, |contents| !contents.results.is_empty()).await.as_changes();
    assert!(left.iter().any(|change| matches!(change, Change::Put(Record::Once { .. }))));

    let drawn_by = async |id| {
        let next = TestCluster::taking_over(mode, application(id), &left).await;
        next.handle.ask(|cluster, _| cluster.once.clone()).await.unwrap()
    };
    assert_eq!(drawn_by(own).await, drawn);
    assert_eq!(drawn_by("application_1_0002").await, BTreeMap::new(), "another program");
}
