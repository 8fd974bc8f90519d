//! What Flink's API offers and this version does not build yet: each says so, in the shape that clients can show.

use super::Answer;
use super::error::RestError;
use super::state::Rest;
use axum::extract::{Path, State};

/// `/jobs/:jobid/resource-requirements`.
pub async fn resource_requirements(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let what = "resource requirements by vertex (the adaptive scheduler); the parallelism of a whole job is changed with \
                `flink modify <job id> -p <parallelism>`";
    rest.job(&id, move |_| Err(RestError::unsupported(what))).await
}
