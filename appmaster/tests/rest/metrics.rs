//! Metrics by scope: names, values, aggregates.

use crate::support::{JOB, SUM, TestCluster, executions, job};
use kvick_core::accumulator::{Accumulator, METRIC_PREFIX};
use kvick_core::executor::{ExecutorMetrics, FromExecutor};
use kvick_core::task::TaskMetrics;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|metric| metric["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_scope_lists_the_names_that_dashboards_read() {
    let (cluster, job) = (TestCluster::start(), job());
    let _executor = cluster.with_running_job(&job).await;
    let vertex = format!("/jobs/{JOB}/vertices/{SUM}");
    for (scope, name) in [
        ("/jobmanager".to_string(), "numRegisteredTaskManagers"),
        ("/taskmanagers".to_string(), "Status.JVM.Memory.Heap.Used"),
        ("/taskmanagers/container_1_0001_01_000002".to_string(), "Status.Flink.Memory.Managed.Total"),
        ("/jobs".to_string(), "uptime"),
        (format!("/jobs/{JOB}"), "numRestarts"),
        (vertex.clone(), "0.numRecordsInPerSecond"),
        (format!("{vertex}/subtasks"), "backPressuredTimeMsPerSecond"),
        (format!("{vertex}/subtasks/1"), "currentInputWatermark"),
    ] {
        let list = cluster.json(&format!("{scope}/metrics")).await;
        assert!(names(&list).contains(&name), "{scope}: {list}");
    }
}

#[tokio::test]
async fn values_are_text_and_unknown_names_are_left_out() {
    let (cluster, job) = (TestCluster::start(), job());
    let _executor = cluster.with_running_job(&job).await;
    let of = |path: &str| format!("/jobs/{JOB}/vertices/{SUM}{path}");
    let values = cluster.json(&of("/metrics?get=0.numRecordsIn,1.currentInputWatermark,nonsense")).await;
    let expected =
        json!([{"id": "0.numRecordsIn", "value": "100"}, {"id": "1.currentInputWatermark", "value": "42"}]);
    assert_eq!(values, expected);
    let one = cluster.json(&of("/subtasks/1/metrics?get=numBytesOut")).await;
    assert_eq!(one, json!([{"id": "numBytesOut", "value": "2000"}]));
    let slots =
        cluster.json("/jobmanager/metrics?get=taskSlotsAvailable,taskSlotsTotal,numRunningJobs").await;
    assert_eq!(names(&slots), ["taskSlotsTotal", "taskSlotsAvailable", "numRunningJobs"]);
    assert_eq!(slots[0]["value"], "2");
}

#[tokio::test]
async fn aggregates_cover_the_chosen_subtasks() {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    let second = executions(&job)[3];
    let metrics = TaskMetrics { records_in: 300, ..TaskMetrics::default() };
    executor.say(FromExecutor::TaskMetrics {
        job_id: JOB,
        tasks: vec![(second, metrics)],
        accumulators: Vec::new(),
    });
    let path = format!("/jobs/{JOB}/vertices/{SUM}/subtasks/metrics?get=numRecordsIn");
    let all = cluster.json(&path).await;
    assert_eq!(
        all,
        json!([{"id": "numRecordsIn", "min": 100.0, "max": 300.0, "avg": 200.0, "sum": 400.0, "skew": 50.0}])
    );
    let one = cluster.json(&format!("{path}&agg=max,sum&subtasks=0")).await;
    assert_eq!(one, json!([{"id": "numRecordsIn", "max": 100.0, "sum": 100.0}]));
}

#[tokio::test]
async fn what_user_code_measures_is_shown_with_the_rest_and_not_among_the_accumulators() {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    let named = |name: &str| format!("{METRIC_PREFIX}{name}");
    for (subtask, errors) in [(0, 3), (1, 5)] {
        let values = [
            (named("Flat_Map.errors"), Accumulator::LongCounter(errors)),
            (named("Flat_Map.length"), Accumulator::Histogram([(7, 2), (9, 1)].into())),
            ("rows".to_string(), Accumulator::LongCounter(1)),
        ];
        executor.say(FromExecutor::TaskMetrics {
            job_id: JOB,
            tasks: Vec::new(),
            accumulators: vec![(executions(&job)[2 + subtask], values.into())],
        });
    }
    let vertex = format!("/jobs/{JOB}/vertices/{SUM}");
    let list = cluster.json(&format!("{vertex}/metrics")).await;
    assert!(names(&list).contains(&"1.Flat_Map.length_p99"), "{list}");
    let one =
        cluster.json(&format!("{vertex}/subtasks/1/metrics?get=Flat_Map.errors,Flat_Map.length_max")).await;
    let expected =
        json!([{"id": "Flat_Map.errors", "value": "5"}, {"id": "Flat_Map.length_max", "value": "9"}]);
    assert_eq!(one, expected);
    let sum = cluster.json(&format!("{vertex}/subtasks/metrics?get=Flat_Map.errors&agg=sum")).await;
    assert_eq!(sum, json!([{"id": "Flat_Map.errors", "sum": 8.0}]));
    let accumulators = cluster.json(&format!("/jobs/{JOB}/accumulators")).await;
    let shown = accumulators["user-task-accumulators"].clone();
    assert_eq!(shown, json!([{"name": "rows", "type": "LongCounter", "value": "2"}]));
}

#[tokio::test]
async fn rates_show_what_a_running_task_did() {
    let (cluster, job) = (TestCluster::start(), job());
    let _executor = cluster.with_running_job(&job).await;
    let path = format!("/jobs/{JOB}/vertices/{SUM}/subtasks/0/metrics?get=busyTimeMsPerSecond");
    let value = cluster.json(&path).await[0]["value"].as_str().unwrap().to_string();
    let rate: f64 = value.parse().unwrap();
    assert!((0.0..=1000.0).contains(&rate), "{rate}");
    let pressure = cluster.json(&format!("/jobs/{JOB}/vertices/{SUM}/backpressure")).await;
    assert_eq!((&pressure["status"], pressure["subtasks"].as_array().unwrap().len()), (&json!("ok"), 2));
}

#[tokio::test]
async fn an_executors_memory_is_what_it_told_last() {
    let cluster = TestCluster::start();
    let executor = cluster.executor("te", 2);
    let metrics =
        ExecutorMetrics { resident_bytes: 10, workers_resident_bytes: 32, workers: 1, free_memory: 77 };
    executor.say(FromExecutor::Heartbeat { metrics });
    let detail = cluster.json("/taskmanagers/te").await;
    assert_eq!((&detail["metrics"]["heapUsed"], &detail["hardware"]["freeMemory"]), (&json!(42), &json!(77)));
    assert_eq!(detail["memoryConfiguration"]["totalProcessMemory"], 1024 * 1024 * 1024);
    let used = cluster.json("/taskmanagers/metrics?get=Status.JVM.Memory.Heap.Used&agg=sum").await;
    assert_eq!(used, json!([{"id": "Status.JVM.Memory.Heap.Used", "sum": 42.0}]));
}

#[tokio::test]
async fn secrets_of_the_configuration_are_masked() {
    let cluster = TestCluster::start();
    let config = cluster.json("/jobmanager/config").await;
    let secret = config.as_array().unwrap().iter().find(|entry| entry["key"] == "s3.secret-key").unwrap();
    assert_eq!(secret["value"], "******");
}
