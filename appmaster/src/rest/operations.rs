//! What takes its time: savepoints, checkpoints by hand, disposal, another parallelism. Begun with `POST`, asked for with `GET`
//! and the id that the beginning was answered with.

use super::error::RestError;
use super::jobs::cause;
use super::state::{Rest, job_id, no_such_job};
use super::{Answer, Reply, json_body};
use crate::cluster::Cluster;
use crate::handle::ClusterHandle;
use crate::operations::{OperationKey, OperationKind, OperationOutcome};
use crate::program::{random_job_id, replan};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use kvick_core::checkpoint::{
    CallerId, CheckpointFailureReason, SavepointFormat, SnapshotDone, SnapshotRequest,
};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_core::job::JobSubmission;
use kvick_storage::CheckpointStorage;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Body of `POST /jobs/:jobid/savepoints`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SavepointBody {
    #[serde(rename = "target-directory")]
    target: Option<String>,
    #[serde(rename = "cancel-job")]
    cancel_job: Option<bool>,
    #[serde(rename = "formatType")]
    format: Option<SavepointFormat>,
    #[serde(rename = "triggerId")]
    trigger: Option<String>,
}

/// `POST /jobs/:jobid/savepoints`: a savepoint, after which the job goes on or is cancelled.
pub async fn savepoint(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Reply {
    let body: SavepointBody = json_body_or_none(body)?;
    let request = SnapshotRequest::Savepoint {
        target: body.target,
        format: body.format.unwrap_or_default(),
        cancel_job: body.cancel_job.unwrap_or(false),
    };
    snapshot(&rest, &id, OperationKind::Savepoint, body.trigger, request).await
}

/// Body of `POST /jobs/:jobid/stop`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StopBody {
    target_directory: Option<String>,
    drain: Option<bool>,
    format_type: Option<SavepointFormat>,
    trigger_id: Option<String>,
}

/// `POST /jobs/:jobid/stop`: a savepoint with which the job ends. It is asked for under `savepoints`.
pub async fn stop(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Reply {
    let body: StopBody = json_body_or_none(body)?;
    let request = SnapshotRequest::Stop {
        target: body.target_directory,
        format: body.format_type.unwrap_or_default(),
        drain: body.drain.unwrap_or(false),
    };
    snapshot(&rest, &id, OperationKind::Savepoint, body.trigger_id, request).await
}

/// Body of `POST /jobs/:jobid/checkpoints`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CheckpointBody {
    checkpoint_type: CheckpointType,
    trigger_id: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum CheckpointType {
    #[default]
    Configured,
    Full,
    Incremental,
}

/// `POST /jobs/:jobid/checkpoints`: a checkpoint now.
pub async fn checkpoint(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Reply {
    let body: CheckpointBody = json_body_or_none(body)?;
    let request = SnapshotRequest::Checkpoint { full: body.checkpoint_type == CheckpointType::Full };
    snapshot(&rest, &id, OperationKind::Checkpoint, body.trigger_id, request).await
}

async fn snapshot(
    rest: &Rest,
    id: &str,
    kind: OperationKind,
    trigger: Option<String>,
    request: SnapshotRequest,
) -> Reply {
    let job = job_id(id)?;
    let trigger = trigger_id(trigger)?;
    let key = OperationKey { kind, job: Some(job), trigger: trigger.clone() };
    begin(rest, key, Some(job), move |cluster, now, caller| {
        cluster.with_master(|master, fx| master.request_snapshot(now, job, caller, request, fx));
    })
    .await?;
    Ok(begun(StatusCode::ACCEPTED, &trigger))
}

/// Begins an operation unless it has been begun before; an operation on a job needs the job.
async fn begin(
    rest: &Rest,
    key: OperationKey,
    job: Option<JobId>,
    start: impl FnOnce(&mut Cluster, kvick_core::time::Millis, CallerId) + Send + 'static,
) -> Result<(), RestError> {
    rest.ask(move |cluster, now| {
        if let Some(job) = job.filter(|job| cluster.master.job(*job).is_none()) {
            return Err(no_such_job(job));
        }
        if let Some(caller) = cluster.operations.begin(now, key) {
            start(cluster, now, caller);
        }
        Ok(())
    })
    .await?
}

fn begun(status: StatusCode, trigger: &str) -> axum::response::Response {
    (status, Json(json!({ "request-id": trigger }))).into_response()
}

/// Nothing at all says the same as `{}`.
fn json_body_or_none<T: Default + serde::de::DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, RestError> {
    match body {
        Ok(body) if body.is_empty() => Ok(T::default()),
        body => json_body(body),
    }
}

/// The id that the client chose, so that it may ask again without beginning again; else a new one.
fn trigger_id(chosen: Option<String>) -> Result<String, RestError> {
    match chosen {
        None => Ok(random_job_id().to_string()),
        // It has the form of a job's id.
        Some(text) => match text.parse::<JobId>() {
            Ok(id) => Ok(id.to_string()),
            Err(_) => Err(RestError::bad_request(format!(
                "Bad request: the triggerId must be 32 hexadecimal digits, not \"{text}\"."
            ))),
        },
    }
}

/// `GET /jobs/:jobid/savepoints/:triggerid`.
pub async fn savepoint_status(State(rest): State<Rest>, Path(ids): Path<(String, String)>) -> Answer {
    status(&rest, OperationKind::Savepoint, ids, |done| json!({ "location": done.external_path })).await
}

/// `GET /jobs/:jobid/checkpoints/:triggerid`.
pub async fn checkpoint_status(State(rest): State<Rest>, Path(ids): Path<(String, String)>) -> Answer {
    status(&rest, OperationKind::Checkpoint, ids, |done| json!({ "checkpointId": done.checkpoint })).await
}

async fn status(
    rest: &Rest,
    kind: OperationKind,
    (id, trigger): (String, String),
    shape: impl Fn(SnapshotDone) -> Value,
) -> Answer {
    let job = Some(job_id(&id)?);
    let trigger = trigger.parse::<JobId>().map_err(|_| RestError::path_parameter("triggerid", &trigger))?;
    look(rest, OperationKey { kind, job, trigger: trigger.to_string() }, shape).await
}

async fn look(rest: &Rest, key: OperationKey, shape: impl Fn(SnapshotDone) -> Value) -> Answer {
    let shown = key.trigger.clone();
    let found = rest.ask(move |cluster, now| cluster.operations.look(now, &key)).await?;
    let Some(outcome) = found else {
        return Err(RestError::not_found(format!("There is no operation with triggerId={shown}.")));
    };
    Ok(Json(shape_status(outcome, shape)))
}

/// A failed operation has `COMPLETED` too; what it came to says that it failed.
fn shape_status(outcome: Option<OperationOutcome>, shape: impl Fn(SnapshotDone) -> Value) -> Value {
    let operation = match outcome {
        None => return json!({ "status": { "id": "IN_PROGRESS" } }),
        Some(Ok(done)) => done.map_or_else(|| Value::Object(Map::new()), shape),
        Some(Err(failure)) => {
            let mut failure = cause(&failure);
            // Clients of Apache Flink look for it; there is no Java object to put into it.
            failure["serialized-throwable"] = json!("");
            json!({ "failure-cause": failure })
        }
    };
    json!({ "status": { "id": "COMPLETED" }, "operation": operation })
}

/// Body of `POST /savepoint-disposal`.
#[derive(Debug, Deserialize)]
struct DisposalBody {
    #[serde(rename = "savepoint-path")]
    path: String,
    #[serde(default, rename = "triggerId")]
    trigger: Option<String>,
}

/// `POST /savepoint-disposal`: removes a savepoint.
pub async fn dispose(State(rest): State<Rest>, body: Result<Bytes, BytesRejection>) -> Reply {
    let body: DisposalBody = json_body(body)?;
    let trigger = trigger_id(body.trigger)?;
    let key = OperationKey { kind: OperationKind::Disposal, job: None, trigger: trigger.clone() };
    let (handle, path) = (rest.cluster.clone(), body.path);
    begin(&rest, key, None, move |_, _, caller| {
        tokio::spawn(async move {
            let files = crate::filesystems::connect(&handle.settings);
            let disposed = CheckpointStorage::new(files).dispose(&path).await;
            let outcome = disposed.map(|()| None).map_err(|error| {
                Failure::new(FailureKind::Error, error.to_string())
                    .wrapped(FailureKind::Error, format!("Failed to dispose savepoint {path}."))
            });
            // Without a driver nobody can ask any more.
            let _ = handle.ask(move |cluster, now| cluster.operations.end(now, caller, outcome)).await;
        });
    })
    .await?;
    Ok(begun(StatusCode::OK, &trigger))
}

/// `GET /savepoint-disposal/:triggerid`.
pub async fn disposal_status(State(rest): State<Rest>, Path(trigger): Path<String>) -> Answer {
    let id = trigger.parse::<JobId>().map_err(|_| RestError::path_parameter("triggerid", &trigger))?;
    let key = OperationKey { kind: OperationKind::Disposal, job: None, trigger: id.to_string() };
    look(&rest, key, |_| Value::Object(Map::new())).await
}

/// Query of `PATCH /jobs/:jobid/rescaling`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rescaling {
    #[serde(default)]
    parallelism: String,
    trigger_id: Option<String>,
}

/// `PATCH /jobs/:jobid/rescaling?parallelism=n`: the job goes on at another parallelism, or as it was.
pub async fn rescale(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Query<Rescaling>,
) -> Reply {
    let job = job_id(&id)?;
    let parallelism: u32 = match query.parallelism.parse() {
        Ok(parallelism) if parallelism > 0 => parallelism,
        _ => return Err(RestError::query_parameter("parallelism", &query.parallelism)),
    };
    let trigger = trigger_id(query.trigger_id)?;
    let key = OperationKey { kind: OperationKind::Rescaling, job: Some(job), trigger: trigger.clone() };
    let handle = rest.cluster.clone();
    begin(&rest, key, Some(job), move |cluster, _, caller| {
        if let Some(submission) = cluster.master.job(job).map(|job| job.submission().clone()) {
            tokio::spawn(rescale_to(handle, submission, parallelism, caller));
        }
    })
    .await?;
    Ok(begun(StatusCode::ACCEPTED, &trigger))
}

async fn rescale_to(handle: ClusterHandle, submission: JobSubmission, parallelism: u32, caller: CallerId) {
    let job = submission.job_id;
    let graph = replan(&handle.settings, &submission, parallelism).await;
    let rescaled = handle.ask(move |cluster, now| {
        let begun = graph.and_then(|graph| {
            let begun = cluster.with_master(|master, fx| master.rescale(now, job, caller, graph, fx));
            begun.map_err(|error| Failure::new(FailureKind::Error, error.to_string()))
        });
        let failure = match begun {
            Ok(true) => return,
            Ok(false) => Failure::new(FailureKind::Error, format!("Job {job} not found")),
            Err(failure) => failure,
        };
        let failure = failure.wrapped(FailureKind::Error, CheckpointFailureReason::NotRescaled.message());
        cluster.operations.end(now, caller, Err(failure));
    });
    // Without a driver nobody can ask any more.
    let _ = rescaled.await;
}

/// `GET /jobs/:jobid/rescaling/:triggerid`.
pub async fn rescaling_status(State(rest): State<Rest>, Path(ids): Path<(String, String)>) -> Answer {
    status(&rest, OperationKind::Rescaling, ids, |_| Value::Object(Map::new())).await
}
