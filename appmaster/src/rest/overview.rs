//! The cluster as a whole: what the dashboard asks first, and the order to end it.

use super::Answer;
use super::state::Rest;
use axum::Json;
use axum::extract::State;
use kvick_core::ENGINE_VERSION;
use kvick_core::config::options;
use kvick_core::job::JobState;
use kvick_core::master::FinalStatus;
use serde_json::json;

/// The commit that this program was built from, where the build said so.
const COMMIT: &str = match option_env!("KVICK_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// `GET /config`: what the dashboard may offer.
pub async fn dashboard_config(State(rest): State<Rest>) -> Answer {
    let config = &rest.cluster.settings.config;
    Ok(Json(json!({
        "refresh-interval": config.get(&options::WEB_REFRESH).map_or(3000, |interval| interval.as_millis() as u64),
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": ENGINE_VERSION,
        "flink-revision": COMMIT,
        "features": {
            "web-submit": super::takes_jars(&rest.cluster),
            "web-cancel": config.get(&options::WEB_CANCEL).unwrap_or(true),
            "web-rescale": false,
            "web-history": false,
        },
    })))
}

/// `GET /overview`: task executors, slots, jobs.
pub async fn overview(State(rest): State<Rest>) -> Answer {
    rest.ask(|cluster, _| {
        let resources = cluster.master.resources();
        let (slots, free) = resources.slots();
        let counts = cluster.master.job_counts();
        let of = |state| counts.get(&state).copied().unwrap_or(0);
        let ended = [JobState::Finished, JobState::Canceled, JobState::Failed];
        let running: u32 = counts.iter().filter(|(s, _)| !ended.contains(s)).map(|(_, n)| n).sum();
        Json(json!({
            "taskmanagers": resources.executors().len(),
            "slots-total": slots,
            "slots-available": free,
            "jobs-running": running,
            "jobs-finished": of(JobState::Finished),
            "jobs-cancelled": of(JobState::Canceled),
            "jobs-failed": of(JobState::Failed),
            "flink-version": ENGINE_VERSION,
            "flink-commit": COMMIT,
        }))
    })
    .await
}

/// `GET /datasets`: cached results of earlier jobs; there are none.
pub async fn datasets() -> Answer {
    Ok(Json(json!({ "dataSets": [] })))
}

/// `DELETE /cluster`: end the application; running jobs are cancelled.
pub async fn stop(State(rest): State<Rest>) -> Answer {
    let why = "The application was stopped as asked for (DELETE /cluster).";
    rest.ask(move |cluster, now| {
        cluster.with_master(|master, fx| master.stop(now, FinalStatus::Succeeded, why, fx));
    })
    .await?;
    Ok(Json(json!({})))
}
