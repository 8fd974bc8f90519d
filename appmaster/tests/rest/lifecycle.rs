//! Jobs and the application from submission to end, through the API alone.

use crate::support::{JOB, SOURCE, TestCluster, TestExecutor, config, executions, job};
use axum::http::{Method, StatusCode};
use kvick_core::alignment::{GroupReport, NOT_AWAITED};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::ids::ExecutionId;
use kvick_core::job::JobResult;
use kvick_core::master::{FinalStatus, MasterMode};
use kvick_core::task::TaskState;
use serde_json::json;

#[tokio::test]
async fn a_worker_hears_how_far_the_aligned_streams_of_others_are() {
    let cluster = TestCluster::start();
    let mut job = job();
    job.graph.vertices[0].alignment_groups = vec!["readings".to_string()];
    let mut executor = cluster.with_running_job(&job).await;
    let tell = |executor: &TestExecutor, subtask: u32, watermark: i64| {
        let stream = ExecutionId { vertex: SOURCE, subtask, attempt: 0 };
        let report = GroupReport { group: "readings".to_string(), streams: vec![(stream, watermark)] };
        executor.say(FromExecutor::Alignment { job_id: JOB, groups: vec![report] });
    };
    tell(&executor, 0, 700);
    tell(&executor, 1, 400);
    tell(&executor, 0, 800);
    let elsewhere = |message| match message {
        ToExecutor::Alignment { groups, .. } => Some(groups[0].elsewhere),
        _ => None,
    };
    // The first report has no answer: the other stream had told nothing.
    assert_eq!([executor.hear(elsewhere).await, executor.hear(elsewhere).await], [700, 400]);
    let finished = ExecutionId { vertex: SOURCE, subtask: 1, attempt: 0 };
    executor.report(&job, finished, TaskState::Finished);
    tell(&executor, 0, 900);
    assert_eq!(executor.hear(elsewhere).await, NOT_AWAITED);
}

#[tokio::test]
async fn a_job_is_submitted_listed_and_cancelled() {
    let (cluster, job) = (TestCluster::start(), job());
    let mut executor = cluster.with_running_job(&job).await;
    assert_eq!(cluster.json("/jobs").await, json!({"jobs": [{"id": JOB, "status": "RUNNING"}]}));
    let cancelled = cluster.request(Method::PATCH, &format!("/jobs/{JOB}?mode=cancel"), None).await;
    assert_eq!((cancelled.status, cancelled.json()), (StatusCode::ACCEPTED, json!({})));
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
    executor.report_all(&job, TaskState::Canceled);
    assert_eq!(cluster.json(&format!("/v1/jobs/{JOB}/status")).await, json!({"status": "CANCELED"}));
    let result = cluster.json(&format!("/jobs/{JOB}/execution-result")).await;
    assert_eq!(result["job-execution-result"]["application-status"], "CANCELED");
    // Cancelling what has ended is no error.
    let again = cluster.get(&format!("/jobs/{JOB}/yarn-cancel")).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_answer_with_the_address_of_the_job_is_flinks() {
    let cluster = TestCluster::start();
    let answer = cluster.request(Method::POST, "/v1/jobs", Some(&json!(job()))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json(), json!({"jobUrl": format!("/jobs/{JOB}")}));
}

#[tokio::test]
async fn a_result_is_waited_for_and_comes_at_the_end() {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    let at_once = cluster.json(&format!("/jobs/{JOB}/execution-result")).await;
    assert_eq!(at_once, json!({"status": {"id": "IN_PROGRESS"}}));
    let path = format!("/jobs/{JOB}/execution-result?wait=20000");
    let finish = async { executor.report_all(&job, TaskState::Finished) };
    let (answer, ()) = tokio::join!(cluster.json(&path), finish);
    assert_eq!(answer["status"]["id"], "COMPLETED");
    let result = &answer["job-execution-result"];
    assert_eq!((&result["id"], &result["application-status"]), (&json!(JOB), &json!("SUCCEEDED")));
    assert!(result["net-runtime"].is_u64() && result["accumulator-results"].is_object());
    let whole: JobResult = serde_json::from_value(result["result"].clone()).unwrap();
    assert_eq!(whole.job_id, JOB);
}

#[tokio::test]
async fn a_wait_that_is_too_short_is_answered_when_it_is_over() {
    let (cluster, job) = (TestCluster::start(), job());
    let _executor = cluster.with_running_job(&job).await;
    let answer = cluster.json(&format!("/jobs/{JOB}/execution-result?wait=50")).await;
    assert_eq!(answer["status"]["id"], "IN_PROGRESS");
}

#[tokio::test]
async fn a_failed_job_tells_its_cause_in_the_result() {
    let (cluster, job) = (TestCluster::start(), job());
    let executor = cluster.with_running_job(&job).await;
    executor.report(&job, executions(&job)[0], TaskState::Failed);
    for rest in &executions(&job)[1..] {
        executor.report(&job, *rest, TaskState::Canceled);
    }
    let answer = cluster.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    let result = &answer["job-execution-result"];
    assert_eq!(result["application-status"], "FAILED");
    let cause = result["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("Caused by: the task failed without saying why"), "{cause}");
}

#[tokio::test]
async fn a_per_job_application_ends_when_its_result_was_fetched() {
    let cluster = TestCluster::start_as(MasterMode::PerJob { detached: false }, config());
    let job = job();
    let executor = cluster.with_running_job(&job).await;
    executor.report_all(&job, TaskState::Finished);
    cluster.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    assert_eq!(cluster.end().await.status, FinalStatus::Succeeded);
}

#[tokio::test]
async fn a_session_is_stopped_and_its_job_cancelled() {
    let (cluster, job) = (TestCluster::start(), job());
    let mut executor = cluster.with_running_job(&job).await;
    let answer = cluster.request(Method::DELETE, "/v1/cluster", None).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({})));
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
    let refused = cluster.request(Method::POST, "/jobs", Some(&json!(job))).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
    executor.report_all(&job, TaskState::Canceled);
    assert_eq!(cluster.end().await.status, FinalStatus::Succeeded);
}

#[tokio::test]
async fn once_the_application_is_over_the_api_says_so() {
    let cluster = TestCluster::start();
    cluster.request(Method::DELETE, "/cluster", None).await;
    let mut gone = cluster.get("/jobs").await;
    while gone.status == StatusCode::OK {
        tokio::task::yield_now().await;
        gone = cluster.get("/jobs").await;
    }
    assert_eq!(gone.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(gone.error().contains("the application is ending"));
}

#[tokio::test]
async fn a_job_whose_client_is_silent_is_cancelled() {
    let (cluster, mut job) = (TestCluster::start(), job());
    job.config.set("client.heartbeat.timeout", "1 ms");
    let mut executor = cluster.with_running_job(&job).await;
    // By the clock of the client's machine, which is far ahead.
    let body = json!({"expiredTimestamp": u64::MAX});
    let path = format!("/jobs/{JOB}/clientHeartbeat");
    let answer = cluster.request(Method::PATCH, &path, Some(&body)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
}

#[tokio::test]
async fn a_result_reaches_who_waits_for_it_though_the_application_ends_with_the_job() {
    let cluster = TestCluster::start_as(MasterMode::PerJob { detached: true }, config());
    let job = job();
    let executor = cluster.with_running_job(&job).await;
    let path = format!("/jobs/{JOB}/execution-result?wait=20000");
    let finish = async { executor.report_all(&job, TaskState::Finished) };
    let (answer, ()) = tokio::join!(cluster.json(&path), finish);
    assert_eq!(answer["job-execution-result"]["application-status"], "SUCCEEDED");
}
