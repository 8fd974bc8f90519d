//! What Flink's API offers and this version does not build yet: each says so, in the shape that clients can show.

use super::error::RestError;
use super::state::Rest;
use super::{Answer, Reply};
use axum::extract::{Path, State};

const CHECKPOINTS: &str = "checkpoints and savepoints (a job keeps no state that could be restored); \
                           to end a job use `flink cancel <job id>`";

/// `POST /jobs/:jobid/{savepoints,checkpoints,stop}` and their trigger ids.
pub async fn job_checkpoint(State(rest): State<Rest>, Path(id): Path<String>) -> Reply {
    rest.job(&id, |_| Err(RestError::unsupported(CHECKPOINTS))).await
}

/// `GET /jobs/:jobid/{savepoints,checkpoints}/:triggerid`: nothing can have been triggered.
pub async fn trigger(State(rest): State<Rest>, Path((id, _)): Path<(String, String)>) -> Reply {
    rest.job(&id, |_| Err(RestError::unsupported(CHECKPOINTS))).await
}

/// `/savepoint-disposal` and its trigger ids.
pub async fn savepoint_disposal() -> Reply {
    Err(RestError::unsupported(CHECKPOINTS))
}

/// `GET /jobs/:jobid/checkpoints` and what is below: Flink's answer for a job without checkpoints.
pub async fn checkpoint_statistics(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| {
        let text = format!("Checkpointing is not enabled for this job ({}).", view.id);
        Err(RestError::not_found(text))
    })
    .await
}

/// `GET /jobs/:jobid/checkpoints/details/:checkpointid`.
pub async fn checkpoint_details(State(rest): State<Rest>, Path((id, _)): Path<(String, String)>) -> Answer {
    checkpoint_statistics(State(rest), Path(id)).await
}

/// `GET /jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid`.
pub async fn checkpoint_subtasks(
    State(rest): State<Rest>,
    Path((id, _, _)): Path<(String, String, String)>,
) -> Answer {
    checkpoint_statistics(State(rest), Path(id)).await
}

/// `/jobs/:jobid/resource-requirements`, `PATCH /jobs/:jobid/rescaling`.
pub async fn rescaling(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let what = "changing the parallelism of a running job (resource requirements, rescaling)";
    rest.job(&id, move |_| Err(RestError::unsupported(what))).await
}
