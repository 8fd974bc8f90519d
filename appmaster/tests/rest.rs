//! The REST API against the real driver and machines: shapes are compared with what Apache Flink 1.20 answered.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../src/clock.rs"]
mod clock;
#[path = "../src/cluster.rs"]
mod cluster;
#[path = "../src/driver.rs"]
mod driver;
#[path = "../src/rest/mod.rs"]
mod rest;
#[path = "support/settings.rs"]
mod settings;
mod support;

use axum::http::{Method, StatusCode};
use serde_json::json;
use support::{JOB, TestCluster, job};

#[tokio::test]
async fn a_job_is_submitted_listed_and_cancelled() {
    let cluster = TestCluster::start();
    let job = job();
    let mut executor = cluster.with_running_job(&job).await;
    assert_eq!(cluster.json("/jobs").await, json!({"jobs": [{"id": JOB, "status": "RUNNING"}]}));
    let cancelled = cluster.request(Method::PATCH, &format!("/jobs/{JOB}?mode=cancel"), None).await;
    assert_eq!((cancelled.status, cancelled.json()), (StatusCode::ACCEPTED, json!({})));
    executor.hear(|m| matches!(m, kvick_core::executor::ToExecutor::Cancel { .. }).then_some(())).await;
    executor.report_all(&job, kvick_core::task::TaskState::Canceled);
    assert_eq!(cluster.json(&format!("/v1/jobs/{JOB}/status")).await, json!({"status": "CANCELED"}));
}
