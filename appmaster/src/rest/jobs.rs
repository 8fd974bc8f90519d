//! Jobs from outside: submit, list, wait for the end, cancel.

use super::error::RestError;
use super::shape::{instant, name};
use super::state::{JobView, Rest, job_id, no_such_job};
use super::{Answer, Reply, accumulators, json_body};
use crate::checkpoints;
use crate::cluster::Cluster;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use kvick_core::failure::Failure;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState, JobSubmission};
use kvick_ha::HaError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time that one request waits for the end of a job.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `POST /jobs`: a [`JobSubmission`] as JSON.
pub async fn submit(
    State(rest): State<Rest>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Reply {
    refuse_flink_submission(&headers)?;
    let mut submission: JobSubmission = json_body(body)?;
    submission.program.jar = rest.jars.resolve(submission.program.jar).await?;
    let id = submission.job_id;
    let source = checkpoints::restore_source(&rest.cluster.settings, &submission).await?;
    let accepted = rest.ask(move |cluster: &mut Cluster, _| cluster.submit(submission, source)).await??;
    accepted.await.map_err(not_recorded)?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobUrl": format!("/jobs/{id}") }))).into_response())
}

/// A later application master may take the job; a store that does not is no reason to try again at once.
fn not_recorded(error: HaError) -> RestError {
    let text = format!("the job was not accepted, for it would not survive this application master: {error}");
    match error.is_fenced() {
        true => RestError::unavailable(text),
        false => RestError::internal(text),
    }
}

/// Flink's own client sends a Java-serialised job graph in a multipart body.
fn refuse_flink_submission(headers: &HeaderMap) -> Result<(), RestError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/") {
        return Ok(());
    }
    Err(RestError::bad_request(
        "this cluster runs native programs: it cannot take the Java job graph that Apache Flink's client sends as \
         multipart; submit with this cluster's own client, or upload a jar to /jars/upload and run it",
    ))
}

/// `GET /jobs`: ids and states.
pub async fn list(State(rest): State<Rest>) -> Answer {
    let jobs = rest.jobs(|view| json!({ "id": view.id, "status": view.job.state() })).await?;
    Ok(Json(json!({ "jobs": jobs })))
}

/// `GET /jobs/overview`.
pub async fn overview(State(rest): State<Rest>) -> Answer {
    let jobs = rest.jobs(summary).await?;
    Ok(Json(json!({ "jobs": jobs })))
}

fn summary(view: &JobView<'_>) -> Value {
    let job = view.job;
    let executions = || view.vertices().flat_map(|v| v.executions.iter());
    let task_changes = executions().filter_map(|e| e.entered.get(&e.state));
    let changed = task_changes.chain(job.entered().get(&job.state())).max().copied();
    json!({
        "jid": view.id,
        "name": job.submission().graph.name,
        "start-time": job.submitted().0,
        "end-time": instant(job.ended()),
        "duration": job.ended().unwrap_or(view.now).since(job.submitted()).0,
        "state": job.state(),
        "last-modification": instant(changed),
        "tasks": task_counts(view),
    })
}

/// Task counts with lower-case keys and their total, as this one answer has them.
fn task_counts(view: &JobView<'_>) -> BTreeMap<String, u32> {
    let keys = super::shape::TASK_STATES.iter().map(|s| (s.to_ascii_lowercase(), 0));
    let mut counts: BTreeMap<String, u32> = keys.collect();
    for (state, count) in view.job.task_counts() {
        counts.insert(name(state).to_ascii_lowercase(), count);
    }
    counts.insert("total".to_string(), counts.values().sum());
    counts
}

/// `GET /jobs/:jobid/status`.
pub async fn status(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(json!({ "status": view.job.state() })))).await
}

/// Query of `execution-result`.
#[derive(Debug, Deserialize)]
pub struct Wait {
    /// How long to wait for the end, in milliseconds; at once without it.
    #[serde(default)]
    wait: String,
}

/// `GET /jobs/:jobid/execution-result[?wait=ms]`: the end of a job; with `wait`, the answer is held back until it comes.
pub async fn execution_result(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Query<Wait>,
) -> Answer {
    let id = job_id(&id)?;
    let wait = match query.wait.as_str() {
        "" => Duration::ZERO,
        text => {
            text.parse().map(Duration::from_millis).map_err(|_| RestError::query_parameter("wait", text))?
        }
    };
    let Some(result) = await_result(&rest, id, wait.min(LONGEST_WAIT)).await? else {
        return Ok(Json(json!({ "status": { "id": "IN_PROGRESS" } })));
    };
    let told = rest.ask(|cluster, now| cluster.with_master(|master, fx| master.result_fetched(now, fx)));
    // An application that has ended meanwhile needs not to know; the result is still good.
    let _ = told.await;
    Ok(Json(json!({ "status": { "id": "COMPLETED" }, "job-execution-result": shape_result(&result) })))
}

async fn await_result(rest: &Rest, id: JobId, wait: Duration) -> Result<Option<JobResult>, RestError> {
    let waiter = rest.ask(move |cluster, _| {
        // Those who gave up waiting would otherwise pile up as long as the job runs.
        if let Some(waiters) = cluster.result_waiters.get_mut(&id) {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        cluster.await_result(id)
    });
    let waiter = waiter.await?.ok_or_else(|| no_such_job(id))?;
    match tokio::time::timeout(wait, waiter).await {
        Ok(Ok(result)) => Ok(Some(result)),
        Ok(Err(_)) => Err(RestError::unavailable("the application ended before the job did")),
        Err(_) => Ok(None),
    }
}

/// Flink's shape, and the whole result under `result` for our own client.
fn shape_result(result: &JobResult) -> Value {
    let status = match result.state {
        JobState::Finished => "SUCCEEDED",
        JobState::Failed => "FAILED",
        JobState::Canceled => "CANCELED",
        _ => "UNKNOWN",
    };
    let mut shape = json!({
        "id": result.job_id,
        "application-status": status,
        "accumulator-results": accumulators::as_text(&result.accumulators),
        "net-runtime": result.net_runtime_ms,
        "result": result,
    });
    if let (Some(failure), Some(fields)) = (&result.failure, shape.as_object_mut()) {
        fields.insert("failure-cause".to_string(), cause(failure));
    }
    shape
}

/// A failure as an asynchronous operation or a result tells it.
pub fn cause(failure: &Failure) -> Value {
    json!({ "class": format!("{:?}", failure.kind), "stack-trace": failure.to_string() })
}

/// Query of `PATCH /jobs/:jobid`.
#[derive(Debug, Deserialize)]
pub struct Termination {
    /// `cancel`, also without it.
    #[serde(default)]
    mode: String,
}

/// `PATCH /jobs/:jobid?mode=cancel`.
pub async fn terminate(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Query<Termination>,
) -> Reply {
    match query.mode.to_ascii_lowercase().as_str() {
        "" | "cancel" => cancel(State(rest), Path(id)).await,
        "stop" => Err(stop_was_removed()),
        _ => Err(RestError::query_parameter("mode", &query.mode)),
    }
}

/// `GET /jobs/:jobid/yarn-cancel`: the same, for YARN's proxy forwards no PATCH. An ended job stays as it is.
pub async fn cancel(State(rest): State<Rest>, Path(id): Path<String>) -> Reply {
    let id = job_id(&id)?;
    let known = rest.ask(move |cluster, now| cluster.with_master(|master, fx| master.cancel(now, id, fx)));
    if !known.await? {
        return Err(no_such_job(id));
    }
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

/// `GET /jobs/:jobid/yarn-stop`.
pub async fn yarn_stop(State(rest): State<Rest>, Path(id): Path<String>) -> Reply {
    rest.job(&id, |_| Err(stop_was_removed())).await
}

fn stop_was_removed() -> RestError {
    let text = "The termination mode \"stop\" has been removed, please use stop-with-savepoint (POST /jobs/:jobid/stop) \
                or mode=cancel.";
    RestError::new(StatusCode::PERMANENT_REDIRECT, text)
}

/// Body of `clientHeartbeat`.
#[derive(Debug, Deserialize)]
struct Heartbeat {
    /// Until when the client's word holds, by the clock of its machine, which may be any time off: `client.heartbeat.timeout`
    /// counts from when it arrives.
    #[serde(rename = "expiredTimestamp")]
    _expired_timestamp: u64,
}

/// `PATCH /jobs/:jobid/clientHeartbeat`: the job's client is there; without renewal the job is cancelled.
pub async fn heartbeat(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Reply {
    let id = job_id(&id)?;
    json_body::<Heartbeat>(body)?;
    if !rest.ask(move |cluster, now| cluster.client_heartbeat(now, id)).await? {
        return Err(no_such_job(id));
    }
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
