//! The REST API of an application master: Flink's `/v1`, with and without that prefix, and a small page for people.
//!
//! Handlers shape what the machines show; they decide nothing and touch no machine: they ask the driver's task. What the
//! answers look like is Flink 1.20's contract; where a native process has nothing to say, a key stays with an empty value
//! so that clients find it.

mod accumulators;
mod checkpoints;
mod error;
mod jar_store;
mod jars;
mod job_detail;
mod jobmanager;
mod jobs;
mod logs;
mod measured;
mod memory;
mod metrics;
mod operations;
mod overview;
mod rates;
mod shape;
mod state;
mod taskmanagers;
mod unsupported;
mod user_metrics;
mod vertices;
mod web;

pub use error::RestError;

use crate::handle::ClusterHandle;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, patch, post};
use axum::{Json, Router};
use kvick_core::application_spec::ApplicationMode;
use kvick_core::config::options;
use kvick_core::ids::ExecutorId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use state::Rest;
use tower::ServiceExt;

/// An answer in JSON.
type Answer = Result<Json<Value>, RestError>;

/// Any answer.
type Reply = Result<Response, RestError>;

/// The API around a cluster. Must be called within a tokio runtime: it keeps a task that samples counters until the
/// cluster's driver has ended.
pub fn router(cluster: ClusterHandle) -> Router {
    let config = &cluster.settings.config;
    let limit = config.get(&options::REST_SERVER_MAX).unwrap_or(104_857_600);
    let origin = config.get(&options::WEB_ORIGIN).ok().and_then(|origin| origin.parse().ok());
    let origin: HeaderValue = origin.unwrap_or(HeaderValue::from_static("*"));
    let api = if takes_jars(&cluster) { api().merge(jar_routes()) } else { api() };
    let all = Router::new()
        .route("/", get(web::index))
        .route("/index.html", get(web::index))
        .merge(api.clone())
        .nest("/v1", api)
        .fallback(web::no_such_path)
        .method_not_allowed_fallback(web::no_such_path)
        .layer(DefaultBodyLimit::max(usize::try_from(limit).unwrap_or(usize::MAX)))
        .layer(map_response(move |response| as_flink_writes(response, origin.clone())))
        .with_state(Rest::new(cluster));
    // Routes and no fallback: the RPC of task executors, which shares the port, brings one of its own.
    let enter = move |request: Request| all.clone().oneshot(web::afresh(request));
    Router::new().route("/", any(enter.clone())).route("/{*path}", any(enter))
}

/// Whether people may upload and run jars: in a session, unless `web.submit.enable` forbids it.
fn takes_jars(cluster: &ClusterHandle) -> bool {
    let session = matches!(cluster.settings.spec.mode, ApplicationMode::Session);
    session && cluster.settings.config.get(&options::WEB_SUBMIT).unwrap_or(true)
}

fn jar_routes() -> Router<Rest> {
    Router::new()
        .route("/jars", get(jars::list))
        .route("/jars/upload", post(jars::upload))
        .route("/jars/{jar}", delete(jars::remove))
        .route("/jars/{jar}/plan", get(jars::plan).post(jars::plan))
        .route("/jars/{jar}/run", post(jars::run))
}

fn api() -> Router<Rest> {
    Router::new()
        .route("/config", get(overview::dashboard_config))
        .route("/overview", get(overview::overview))
        .route("/datasets", get(overview::datasets))
        .route("/cluster", delete(overview::stop))
        .route("/savepoint-disposal", post(operations::dispose))
        .route("/savepoint-disposal/{trigger}", get(operations::disposal_status))
        .merge(job_routes())
        .merge(job_detail_routes())
        .merge(vertex_routes())
        .merge(executor_routes())
        .merge(master_routes())
}

fn job_routes() -> Router<Rest> {
    Router::new()
        .route("/jobs", get(jobs::list).post(jobs::submit))
        .route("/jobs/overview", get(jobs::overview))
        .route("/jobs/metrics", get(metrics::of_jobs))
        .route("/jobs/{job}", get(job_detail::details).patch(jobs::terminate))
        .route("/jobs/{job}/status", get(jobs::status))
        .route("/jobs/{job}/execution-result", get(jobs::execution_result))
        .route("/jobs/{job}/clientHeartbeat", patch(jobs::heartbeat))
        .route("/jobs/{job}/yarn-cancel", get(jobs::cancel))
        .route("/jobs/{job}/yarn-stop", get(jobs::yarn_stop))
        .route("/jobs/{job}/stop", post(operations::stop))
        .route("/jobs/{job}/savepoints", post(operations::savepoint))
        .route("/jobs/{job}/savepoints/{trigger}", get(operations::savepoint_status))
        .route("/jobs/{job}/rescaling", patch(operations::rescale))
        .route("/jobs/{job}/rescaling/{trigger}", get(operations::rescaling_status))
        .route(
            "/jobs/{job}/resource-requirements",
            get(unsupported::resource_requirements).put(unsupported::resource_requirements),
        )
}

fn job_detail_routes() -> Router<Rest> {
    Router::new()
        .route("/jobs/{job}/plan", get(job_detail::plan))
        .route("/jobs/{job}/config", get(job_detail::config))
        .route("/jobs/{job}/exceptions", get(job_detail::exceptions))
        .route("/jobs/{job}/accumulators", get(accumulators::of_job))
        .route("/jobs/{job}/metrics", get(metrics::of_job))
        .route("/jobs/{job}/checkpoints", get(checkpoints::statistics).post(operations::checkpoint))
        .route("/jobs/{job}/checkpoints/config", get(checkpoints::config))
        .route("/jobs/{job}/checkpoints/{trigger}", get(operations::checkpoint_status))
        .route("/jobs/{job}/checkpoints/details/{checkpoint}", get(checkpoints::details))
        .route("/jobs/{job}/checkpoints/details/{checkpoint}/subtasks/{vertex}", get(checkpoints::subtasks))
        .route("/jobs/{job}/jobmanager/config", get(jobmanager::job_config))
        .route("/jobs/{job}/jobmanager/environment", get(jobmanager::job_environment))
        .route("/jobs/{job}/jobmanager/log-url", get(jobmanager::log_url))
        .route("/jobs/{job}/taskmanagers/{executor}/log-url", get(jobmanager::executor_log_url))
}

fn vertex_routes() -> Router<Rest> {
    let below_vertex = Router::new()
        .route("/", get(vertices::details))
        .route("/taskmanagers", get(vertices::taskmanagers))
        .route("/subtasktimes", get(vertices::subtask_times))
        .route("/accumulators", get(accumulators::of_vertex))
        .route("/watermarks", get(vertices::watermarks))
        .route("/backpressure", get(vertices::backpressure))
        .route("/flamegraph", get(vertices::flamegraph))
        .route("/jm-operator-metrics", get(vertices::coordinator_metrics))
        .route("/metrics", get(metrics::of_vertex))
        .route("/subtasks/metrics", get(metrics::of_subtasks))
        .route("/subtasks/accumulators", get(accumulators::of_subtasks))
        .route("/subtasks/{subtask}", get(vertices::subtask))
        .route("/subtasks/{subtask}/metrics", get(metrics::of_subtask))
        .route("/subtasks/{subtask}/attempts/{attempt}", get(vertices::attempt));
    Router::new().nest("/jobs/{job}/vertices/{vertex}", below_vertex)
}

fn executor_routes() -> Router<Rest> {
    Router::new()
        .route("/taskmanagers", get(taskmanagers::list))
        .route("/taskmanagers/metrics", get(metrics::of_taskmanagers))
        .route("/taskmanagers/{executor}", get(taskmanagers::details))
        .route("/taskmanagers/{executor}/metrics", get(metrics::of_taskmanager))
        .route("/taskmanagers/{executor}/log", get(taskmanagers::log))
        .route("/taskmanagers/{executor}/stdout", get(taskmanagers::stdout))
        .route("/taskmanagers/{executor}/logs", get(taskmanagers::log_list))
        .route("/taskmanagers/{executor}/logs/{file}", get(taskmanagers::log_named))
        .route("/taskmanagers/{executor}/thread-dump", get(taskmanagers::thread_dump))
}

fn master_routes() -> Router<Rest> {
    Router::new()
        .route("/jobmanager/config", get(jobmanager::config))
        .route("/jobmanager/environment", get(jobmanager::environment))
        .route("/jobmanager/metrics", get(metrics::of_jobmanager))
        .route("/jobmanager/log", get(jobmanager::log))
        .route("/jobmanager/stdout", get(jobmanager::stdout))
        .route("/jobmanager/logs", get(jobmanager::log_list))
        .route("/jobmanager/logs/{file}", get(jobmanager::log_named))
        .route("/jobmanager/thread-dump", get(jobmanager::thread_dump))
}

/// An answer as Flink's server writes it: its headers, and every error as JSON, also what the framework refuses itself.
async fn as_flink_writes(response: Response, origin: HeaderValue) -> Response {
    let mut response = if is_plain_error(&response) { in_json(response).await } else { response };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        let kind = HeaderValue::from_static("application/json; charset=UTF-8");
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn is_plain_error(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let failed = response.status().is_client_error() || response.status().is_server_error();
    failed && kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

async fn in_json(response: Response) -> Response {
    let status = response.status();
    let text = axum::body::to_bytes(response.into_body(), 64 * 1024).await.unwrap_or_default();
    body_error(status, String::from_utf8_lossy(&text).into_owned()).into_response()
}

/// Reads a body as JSON, whatever content type it claims.
///
/// # Errors
/// 400 if it is not what is expected, 413 if it is too long.
fn json_body<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, RestError> {
    let body = body.map_err(|rejection| body_error(rejection.status(), rejection.body_text()))?;
    serde_json::from_slice(&body).map_err(|e| {
        RestError::bad_request(format!("Bad request, the request body is not what is expected here: {e}"))
    })
}

fn body_error(status: StatusCode, text: String) -> RestError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            RestError::new(status, "the request body is longer than rest.server.max-content-length allows")
        }
        _ => RestError::new(status, text),
    }
}

/// 404 for a task executor.
fn executor_not_found(id: &ExecutorId) -> RestError {
    RestError::not_found(format!("No TaskExecutor registered under {id}."))
}

/// `http://host:port` as the client reached us; empty where it did not say.
fn base_url(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map(|host| format!("http://{host}")).unwrap_or_default()
}
