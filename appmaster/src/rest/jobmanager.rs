//! The application master itself: configuration, environment, log files.

use super::error::RestError;
use super::logs::{self, Text};
use super::state::Rest;
use super::{Answer, base_url, executor_not_found};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use kvick_core::ENGINE_VERSION;
use kvick_core::config::{Configuration, shown};
use kvick_core::ids::ExecutorId;
use serde_json::{Value, json};

/// `GET /jobmanager/config`, secrets masked.
pub async fn config(State(rest): State<Rest>) -> Answer {
    Ok(Json(entries(&rest.cluster.settings.config)))
}

/// `GET /jobs/:jobid/jobmanager/config`: the cluster's configuration with the job's own over it.
pub async fn job_config(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let mut config = rest.cluster.settings.config.clone();
    let own = rest.job(&id, |view| Ok(view.job.submission().config.clone())).await?;
    config.overlay(&own);
    Ok(Json(entries(&config)))
}

fn entries(config: &Configuration) -> Value {
    config.0.iter().map(|(key, value)| json!({ "key": key, "value": shown(key, value) })).collect()
}

/// `GET /jobmanager/environment`. There is no JVM; the keys are kept for clients that look for them.
pub async fn environment() -> Answer {
    Ok(Json(json!({
        "jvm": {
            "version": format!("Kvick {ENGINE_VERSION} (native)"),
            "arch": std::env::consts::ARCH,
            "options": [],
        },
        "classpath": [],
    })))
}

/// `GET /jobs/:jobid/jobmanager/environment`.
pub async fn job_environment(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |_| Ok(())).await?;
    environment().await
}

/// `GET /jobs/:jobid/jobmanager/log-url`.
pub async fn log_url(State(rest): State<Rest>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    rest.job(&id, |_| Ok(())).await?;
    Ok(Json(json!({ "url": format!("{}/jobmanager/log", base_url(&headers)) })))
}

/// `GET /jobs/:jobid/taskmanagers/:taskmanagerid/log-url`.
pub async fn executor_log_url(
    State(rest): State<Rest>,
    Path((id, executor)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let asked = ExecutorId(executor.clone());
    rest.job(&id, move |view| match view.cluster.connections.contains_key(&asked) {
        true => Ok(()),
        false => Err(executor_not_found(&asked)),
    })
    .await?;
    Ok(Json(json!({ "url": format!("{}/taskmanagers/{executor}/log", base_url(&headers)) })))
}

/// `GET /jobmanager/logs`.
pub async fn log_list(State(rest): State<Rest>) -> Answer {
    let files = logs::list(&rest.cluster.settings.log_dir).await?;
    Ok(Json(json!({ "logs": files })))
}

/// `GET /jobmanager/logs/:filename`.
pub async fn log_named(State(rest): State<Rest>, Path(name): Path<String>) -> Result<Text, RestError> {
    logs::read(&rest.cluster.settings.log_dir, &name).await
}

/// `GET /jobmanager/log`.
pub async fn log(State(rest): State<Rest>) -> Result<Text, RestError> {
    logs::read(&rest.cluster.settings.log_dir, "jobmanager.log").await
}

/// `GET /jobmanager/stdout`.
pub async fn stdout(State(rest): State<Rest>) -> Result<Text, RestError> {
    logs::read(&rest.cluster.settings.log_dir, "jobmanager.out").await
}

/// `GET /jobmanager/thread-dump`.
pub async fn thread_dump() -> Answer {
    Ok(Json(logs::no_thread_dump("application master is a native process")))
}
