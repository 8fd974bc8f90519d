//! What is wrong is said with Flink's status codes and in its one shape of error.

use crate::support::{JOB, SUM, TestCluster, config, job};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use kvick_core::master::MasterMode;
use serde_json::json;

const NOBODY: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn what_does_not_exist_is_404_and_names_it() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.submit(&job).await;
    for (path, text) in [
        (format!("/jobs/{NOBODY}"), format!("Job {NOBODY} not found")),
        (format!("/jobs/{NOBODY}/status"), format!("Job {NOBODY} not found")),
        (format!("/jobs/{NOBODY}/execution-result?wait=5000"), format!("Job {NOBODY} not found")),
        (format!("/jobs/{NOBODY}/yarn-cancel"), format!("Job {NOBODY} not found")),
        (format!("/jobs/{JOB}/vertices/{NOBODY}"), format!("JobVertex {NOBODY} not found")),
        (format!("/jobs/{JOB}/vertices/{SUM}/subtasks/7"), "has no subtask 7".to_string()),
        (format!("/jobs/{JOB}/vertices/{SUM}/subtasks/0/attempts/3"), "Attempt 3".to_string()),
        (format!("/jobs/{JOB}/checkpoints/details/7"), "for checkpoint 7.".to_string()),
        (format!("/jobs/{JOB}/savepoints/{NOBODY}"), format!("triggerId={NOBODY}")),
        (format!("/jobs/{JOB}/checkpoints/{NOBODY}"), format!("triggerId={NOBODY}")),
        (format!("/savepoint-disposal/{NOBODY}"), format!("triggerId={NOBODY}")),
        ("/taskmanagers/nobody".to_string(), "No TaskExecutor registered under nobody.".to_string()),
        ("/taskmanagers/nobody/log".to_string(), "No TaskExecutor registered under nobody.".to_string()),
        ("/jobmanager/log".to_string(), "jobmanager.log".to_string()),
        (format!("/jobs/{JOB}/nosuch"), format!("Unable to load requested file /jobs/{JOB}/nosuch.")),
        ("/nosuch".to_string(), "Unable to load requested file /nosuch.".to_string()),
        ("/v1/nosuch".to_string(), "Unable to load requested file /v1/nosuch.".to_string()),
    ] {
        let answer = cluster.get(&path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
        assert!(answer.error().contains(&text), "{path}: {}", answer.error());
    }
}

#[tokio::test]
async fn what_cannot_be_done_with_a_path_is_404_as_well() {
    let cluster = TestCluster::start();
    let posted = cluster.request(Method::POST, "/v1/overview", None).await;
    assert_eq!(posted.status, StatusCode::NOT_FOUND);
    assert!(posted.error().starts_with("Not found: POST "), "{}", posted.error());
}

#[tokio::test]
async fn what_cannot_be_understood_is_400_and_names_the_part() {
    let cluster = TestCluster::start();
    for (path, text) in [
        ("/jobs/zzz", "Cannot resolve path parameter (jobid) from value \"zzz\"."),
        ("/jobs/zzz/yarn-cancel", "(jobid) from value \"zzz\""),
        ("/jobmanager/logs/..%2Fsecret", "(filename) from value \"../secret\""),
        ("/taskmanagers/a/logs/..%2F..%2Fsecret", "(filename)"),
    ] {
        let answer = cluster.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text());
        assert!(answer.error().contains(text), "{path}: {}", answer.error());
    }
    let wait = cluster.get(&format!("/jobs/{JOB}/execution-result?wait=long")).await;
    assert!(wait.error().contains("(wait) from value \"long\""), "{}", wait.error());
    let mode = cluster.request(Method::PATCH, &format!("/jobs/{JOB}?mode=kill"), None).await;
    assert_eq!(mode.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_submission_that_is_none_is_refused() {
    let cluster = TestCluster::start();
    let half = cluster.request(Method::POST, "/jobs", Some(&json!({"job_id": JOB}))).await;
    assert_eq!(half.status, StatusCode::BAD_REQUEST);
    assert!(half.error().contains("missing field `ordinal`"), "{}", half.error());
    let java = Request::post("/v1/jobs")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from("--x--"))
        .unwrap();
    let java = cluster.send(java).await;
    assert_eq!(java.status, StatusCode::BAD_REQUEST);
    assert!(java.error().contains("native programs"), "{}", java.error());
    let mut empty = job();
    empty.graph.vertices.clear();
    empty.graph.edges.clear();
    let empty = cluster.request(Method::POST, "/jobs", Some(&json!(empty))).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(empty.error().contains("has no operators"), "{}", empty.error());
}

#[tokio::test]
async fn the_same_job_twice_is_a_conflict() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.submit(&job).await;
    let again = cluster.request(Method::POST, "/jobs", Some(&json!(job))).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.error().contains("already been submitted"), "{}", again.error());
}

#[tokio::test]
async fn what_the_framework_refuses_is_told_in_json_too() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.submit(&job).await;
    let query = cluster.get(&format!("/jobs/{JOB}/accumulators?includeSerializedValue=perhaps")).await;
    assert_eq!(query.status, StatusCode::BAD_REQUEST);
    assert!(query.error().contains("provided string was not"), "{}", query.error());
    let no_form = cluster.request(Method::POST, "/jars/upload", Some(&json!({}))).await;
    assert_eq!(no_form.status, StatusCode::BAD_REQUEST);
    assert!(no_form.error().contains("multipart/form-data"), "{}", no_form.error());
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let mut config = config();
    config.set("rest.server.max-content-length", "1000");
    let cluster = TestCluster::start_as(MasterMode::Session, config);
    let answer = cluster.request(Method::POST, "/jobs", Some(&json!("x".repeat(2_000)))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("rest.server.max-content-length"), "{}", answer.error());
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let (cluster, job) = (TestCluster::start(), job());
    cluster.submit(&job).await;
    for (method, path) in [
        (Method::GET, format!("/jobs/{JOB}/resource-requirements")),
        (Method::PUT, format!("/jobs/{JOB}/resource-requirements")),
    ] {
        let answer = cluster.request(method, &path, Some(&json!({}))).await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{path}");
        assert!(answer.error().starts_with("not supported yet by this version: "), "{}", answer.error());
    }
    let stop = cluster.get(&format!("/jobs/{JOB}/yarn-stop")).await;
    assert_eq!(stop.status, StatusCode::PERMANENT_REDIRECT);
}

#[tokio::test]
async fn answers_carry_flinks_headers() {
    let cluster = TestCluster::start();
    for path in ["/overview", "/jobs/zzz", "/nosuch"] {
        let answer = cluster.get(path).await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=UTF-8", "{path}");
        assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
    }
}

#[tokio::test]
async fn a_last_slash_makes_no_difference() {
    let cluster = TestCluster::start();
    for path in ["/jobs/", "/v1/jobs/", "/v1/jobs/overview/?x=1"] {
        assert_eq!(cluster.json(path).await, json!({"jobs": []}), "{path}");
    }
}

#[tokio::test]
async fn the_page_for_people_has_only_relative_links() {
    let cluster = TestCluster::start();
    let page = cluster.get("/").await;
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=UTF-8");
    let text = page.text();
    assert!(text.contains("fetch("), "the page asks the API");
    for absolute in ["href=\"/", "src=\"/", "fetch(\"/", "fetch('/", "http://", "https://"] {
        assert!(!text.contains(absolute), "{absolute} would not work behind a proxy");
    }
}
