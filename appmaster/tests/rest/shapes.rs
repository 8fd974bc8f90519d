//! Every key of Flink's answers is there, with a value of the same type, and no key that Flink does not have.

use crate::support::{JOB, SUM, TestCluster, job, report};
use kvick_core::accumulator::Accumulator;
use kvick_core::executor::FromExecutor;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::task::TaskState;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn golden(name: &str) -> Value {
    let path = format!("{}/tests/rest/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Compares keys and types all the way down; an array's elements with the first one of Flink's.
pub fn assert_shape(ours: &Value, flinks: &Value, place: &str) {
    match (ours, flinks) {
        (Value::Object(ours), Value::Object(flinks)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(ours), keys(flinks), "keys of {place}");
            for (key, value) in ours {
                assert_shape(value, &flinks[key], &format!("{place}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(flinks)) => {
            for (index, element) in ours.iter().enumerate() {
                if let Some(first) = flinks.get(index).or(flinks.first()) {
                    assert_shape(element, first, &format!("{place}[{index}]"));
                }
            }
        }
        _ => assert_eq!(kind(ours), kind(flinks), "{place}: {ours} where Flink has {flinks}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Number(n) if n.is_f64() => "floating point number",
        Value::Number(_) => "whole number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A cluster whose job runs and has counted rows.
async fn busy_cluster() -> TestCluster {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    let counted = crate::support::executions(&job)
        .into_iter()
        .filter(|e| e.vertex == SUM)
        .map(|execution| (execution, [("rows".to_string(), Accumulator::LongCounter(5))].into()));
    executor.say(FromExecutor::TaskMetrics {
        job_id: JOB,
        tasks: Vec::new(),
        accumulators: counted.collect(),
    });
    cluster
}

#[tokio::test]
async fn answers_about_the_cluster_have_flinks_shape() {
    let cluster = busy_cluster().await;
    for (path, name) in [
        ("/config", "config"),
        ("/overview", "overview"),
        ("/datasets", "datasets"),
        ("/taskmanagers", "taskmanagers"),
        ("/taskmanagers/container_1_0001_01_000002", "taskmanager"),
        ("/jobmanager/config", "jobmanager-config"),
    ] {
        assert_shape(&cluster.json(path).await, &golden(name), path);
        let versioned = cluster.json(&format!("/v1{path}")).await;
        assert_shape(&versioned, &golden(name), path);
    }
}

#[tokio::test]
async fn answers_about_a_job_have_flinks_shape() {
    let cluster = busy_cluster().await;
    assert_shape(&cluster.json("/jobs").await, &golden("jobs"), "/jobs");
    assert_shape(&cluster.json("/jobs/overview").await, &golden("jobs-overview"), "/jobs/overview");
    for (path, name) in [
        ("", "job"),
        ("/plan", "job-plan"),
        ("/config", "job-config"),
        ("/exceptions", "job-exceptions"),
        ("/accumulators", "job-accumulators"),
        ("/jobmanager/config", "jobmanager-config"),
        ("/jobmanager/log-url", "job-log-url"),
        ("/metrics?get=uptime,numRestarts", "metrics-get"),
    ] {
        let answer = cluster.json(&format!("/jobs/{JOB}{path}")).await;
        assert_shape(&answer, &golden(name), &format!("/jobs/:jobid{path}"));
    }
}

#[tokio::test]
async fn answers_about_a_vertex_have_flinks_shape() {
    let cluster = busy_cluster().await;
    for (path, name) in [
        ("", "vertex"),
        ("/taskmanagers", "vertex-taskmanagers"),
        ("/subtasktimes", "subtasktimes"),
        ("/accumulators", "vertex-accumulators"),
        ("/backpressure", "vertex-backpressure"),
        ("/watermarks", "watermarks"),
        ("/subtasks/0", "subtask"),
        ("/subtasks/0/attempts/0", "subtask"),
        ("/subtasks/accumulators", "subtasks-accumulators"),
        ("/subtasks/metrics?get=numRecordsIn,busyTimeMsPerSecond", "metrics-aggregated"),
    ] {
        let answer = cluster.json(&format!("/jobs/{JOB}/vertices/{SUM}{path}")).await;
        assert_shape(&answer, &golden(name), &format!("/jobs/:jobid/vertices/:vertexid{path}"));
    }
}

#[tokio::test]
async fn what_a_running_job_shows_is_what_was_reported() {
    let cluster = busy_cluster().await;
    let detail = cluster.json(&format!("/jobs/{JOB}")).await;
    assert_eq!(detail["state"], "RUNNING");
    assert_eq!(detail["status-counts"]["RUNNING"], 3);
    let sum = &detail["vertices"][1];
    assert_eq!((&sum["name"], &sum["tasks"]["RUNNING"]), (&json!("sum"), &json!(2)));
    assert_eq!(sum["metrics"]["read-records"], 200);
    assert_eq!(sum["metrics"]["accumulated-busy-time"], 60.0);
    let nodes = &detail["plan"]["nodes"];
    assert_eq!(nodes[0]["inputs"][0]["ship_strategy"], "REBALANCE");
    assert_eq!(nodes[2]["inputs"], Value::Null, "a source has no inputs");
    let subtask = cluster.json(&format!("/jobs/{JOB}/vertices/{SUM}/subtasks/1")).await;
    assert_eq!(subtask["endpoint"], "node1:7001");
    assert_eq!(subtask["taskmanager-id"], "container_1_0001_01_000002");
    let watermarks = cluster.json(&format!("/jobs/{JOB}/vertices/{SUM}/watermarks")).await;
    assert_eq!(watermarks[1], json!({"id": "1.currentInputWatermark", "value": "42"}));
    let rows = cluster.json(&format!("/jobs/{JOB}/accumulators")).await;
    assert_eq!(
        rows["user-task-accumulators"],
        json!([{"name": "rows", "type": "LongCounter", "value": "10"}])
    );
    let overview = cluster.json("/overview").await;
    assert_eq!((&overview["slots-total"], &overview["slots-available"]), (&json!(2), &json!(0)));
    let jobs = cluster.json("/jobs/overview").await;
    assert_eq!(
        (&jobs["jobs"][0]["tasks"]["running"], &jobs["jobs"][0]["tasks"]["total"]),
        (&json!(6), &json!(6))
    );
}

#[tokio::test]
async fn a_job_without_slots_waits_and_says_so() {
    let cluster = TestCluster::start();
    cluster.submit(&job()).await;
    let vertex = cluster.json(&format!("/jobs/{JOB}/vertices/{SUM}")).await;
    assert_shape(&vertex, &golden("vertex"), "vertex");
    let subtask = &vertex["subtasks"][0];
    assert_eq!((&subtask["status"], &subtask["host"]), (&json!("SCHEDULED"), &json!("(unassigned)")));
    assert_eq!((&subtask["start-time"], &subtask["duration"]), (&json!(-1), &json!(-1)));
    let detail = cluster.json(&format!("/jobs/{JOB}")).await;
    assert_eq!(detail["vertices"][0]["status"], "CREATED");
}

#[tokio::test]
async fn a_failure_is_shown_with_task_place_and_cause() {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    let failing = crate::support::executions(&job)[2];
    let mut failed = report(failing, TaskState::Failed);
    let cause = Failure::new(FailureKind::Error, "file:/in: no such file");
    failed.failure = Some(cause.wrapped(FailureKind::Panic, "boom"));
    executor.say(FromExecutor::Task { job_id: JOB, report: failed });
    let exceptions = cluster.json(&format!("/jobs/{JOB}/exceptions?maxExceptions=1")).await;
    let entry = &exceptions["exceptionHistory"]["entries"][0];
    let keys: BTreeSet<&str> = entry.as_object().unwrap().keys().map(String::as_str).collect();
    let flinks = [
        "exceptionName",
        "stacktrace",
        "timestamp",
        "failureLabels",
        "taskName",
        "location",
        "endpoint",
        "taskManagerId",
        "concurrentExceptions",
    ];
    assert_eq!(keys, BTreeSet::from(flinks));
    assert_eq!((&entry["exceptionName"], &entry["taskName"]), (&json!("Panic"), &json!("sum (1/2)")));
    assert_eq!(entry["stacktrace"], "boom\nCaused by: file:/in: no such file");
    assert_eq!(entry["taskManagerId"], "container_1_0001_01_000002");
    assert!(exceptions["root-exception"].as_str().unwrap().contains("boom"));
}
