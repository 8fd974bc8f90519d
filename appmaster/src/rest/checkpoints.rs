//! The checkpoints of a job as Flink 1.20 shows them: statistics, configuration, one checkpoint, one vertex of one.

use super::Answer;
use super::error::RestError;
use super::state::{JobView, Rest};
use axum::Json;
use axum::extract::{Path, State};
use kvick_core::checkpoint::settings::{CheckpointMode, CheckpointRetention, CheckpointStorage};
use kvick_core::checkpoint::stats::{
    CheckpointStats, CheckpointStatus, CheckpointSummary, Distribution, RestoredStats, SubtaskCheckpointStats,
};
use kvick_core::checkpoint::{CheckpointCoordinator, SavepointFormat};
use kvick_core::config::{BackendKind, options};
use kvick_core::ids::VertexId;
use kvick_core::time::Millis;
use serde_json::{Map, Value, json};

fn coordinator<'a>(view: &'a JobView<'_>) -> Result<&'a CheckpointCoordinator, RestError> {
    let missing =
        || RestError::not_found(format!("Checkpointing is not enabled for this job ({}).", view.id));
    view.job.checkpoints().ok_or_else(missing)
}

/// `GET /jobs/:jobid/checkpoints`.
pub async fn statistics(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(shape_statistics(coordinator(view)?, view.now)))).await
}

fn shape_statistics(coordinator: &CheckpointCoordinator, now: Millis) -> Value {
    let stats = coordinator.statistics();
    let counts = stats.counts();
    let of = |stats: Option<&CheckpointStats>| stats.map(|s| shape_checkpoint(s, now, false));
    json!({
        "counts": {
            "restored": counts.restored,
            "total": counts.total,
            "in_progress": counts.in_progress,
            "completed": counts.completed,
            "failed": counts.failed,
        },
        "summary": shape_summary(&stats.summary()),
        "latest": {
            "completed": of(stats.latest_completed()),
            "savepoint": of(stats.latest_savepoint()),
            "failed": of(stats.latest_failed()),
            "restored": stats.latest_restored().map(shape_restored),
        },
        "history": stats.history().map(|s| shape_checkpoint(s, now, false)).collect::<Vec<_>>(),
    })
}

fn shape_summary(summary: &CheckpointSummary) -> Value {
    json!({
        "checkpointed_size": distribution(&summary.checkpointed_bytes),
        "state_size": distribution(&summary.state_bytes),
        "end_to_end_duration": distribution(&summary.duration),
        "alignment_buffered": nothing_buffered(),
        "processed_data": distribution(&summary.processed_bytes),
        "persisted_data": distribution(&summary.persisted_bytes),
    })
}

fn distribution(values: &Distribution) -> Value {
    let names = ["p50", "p90", "p95", "p99", "p999"];
    let mut shape = json!({ "min": values.min, "max": values.max, "avg": values.avg });
    for (index, name) in names.into_iter().enumerate() {
        shape[name] = values.percentiles.map_or_else(|| json!("NaN"), |p| json!(p[index]));
    }
    shape
}

/// Nothing is buffered during alignment: channels press back.
fn nothing_buffered() -> Value {
    json!({ "min": 0, "max": 0, "avg": 0, "p50": 0.0, "p90": 0.0, "p95": 0.0, "p99": 0.0, "p999": 0.0 })
}

fn shape_restored(restored: &RestoredStats) -> Value {
    json!({
        "id": restored.id,
        "restore_timestamp": restored.at.0,
        "is_savepoint": restored.savepoint,
        "external_path": restored.external_path,
    })
}

fn status_name(status: CheckpointStatus) -> &'static str {
    match status {
        CheckpointStatus::InProgress => "IN_PROGRESS",
        CheckpointStatus::Completed => "COMPLETED",
        CheckpointStatus::Failed => "FAILED",
    }
}

/// One checkpoint; with its vertices where details are wanted.
fn shape_checkpoint(stats: &CheckpointStats, now: Millis, details: bool) -> Value {
    let vertices = stats.tasks.keys().filter(|_| details);
    let tasks: Map<String, Value> =
        vertices.map(|id| (id.to_string(), shape_vertex(stats, *id, now))).collect();
    let mut shape = json!({
        "className": status_name(stats.status).to_ascii_lowercase(),
        "id": stats.id,
        "status": status_name(stats.status),
        "is_savepoint": stats.kind.is_savepoint(),
        "savepointFormat": stats.kind.format().map(format_name),
        "trigger_timestamp": stats.triggered.0,
        "latest_ack_timestamp": instant(stats.latest_ack),
        "checkpointed_size": stats.checkpointed_bytes,
        "state_size": stats.state_bytes,
        "end_to_end_duration": stats.duration(now).0,
        "alignment_buffered": 0,
        "processed_data": stats.processed_bytes,
        "persisted_data": stats.persisted_bytes,
        "num_subtasks": stats.subtasks,
        "num_acknowledged_subtasks": stats.acknowledged,
        "checkpoint_type": stats.type_name(),
        "tasks": tasks,
    });
    match (&stats.status, &stats.failure) {
        (CheckpointStatus::Completed, _) => {
            shape["external_path"] = json!(stats.external_path);
            shape["discarded"] = json!(stats.discarded);
        }
        (CheckpointStatus::Failed, Some((at, why))) => {
            shape["failure_timestamp"] = json!(at.0);
            shape["failure_message"] = json!(why);
        }
        _ => {}
    }
    shape
}

fn format_name(format: SavepointFormat) -> &'static str {
    match format {
        SavepointFormat::Canonical => "CANONICAL",
        SavepointFormat::Native => "NATIVE",
    }
}

fn instant(at: Option<Millis>) -> i64 {
    at.map_or(-1, |at| at.0 as i64)
}

fn acknowledged(stats: &CheckpointStats, vertex: VertexId) -> Vec<&SubtaskCheckpointStats> {
    stats.tasks.get(&vertex).into_iter().flatten().flatten().collect()
}

/// What a vertex contributed.
fn shape_vertex(stats: &CheckpointStats, vertex: VertexId, now: Millis) -> Value {
    let acknowledged = acknowledged(stats, vertex);
    let sum = |of: fn(&SubtaskCheckpointStats) -> u64| acknowledged.iter().map(|s| of(s)).sum::<u64>();
    let latest = acknowledged.iter().map(|s| s.acknowledged).max();
    json!({
        "id": stats.id,
        "status": status_name(stats.status),
        "latest_ack_timestamp": instant(latest),
        "checkpointed_size": sum(|s| s.metrics.checkpointed_bytes),
        "state_size": sum(|s| s.state_bytes),
        "end_to_end_duration": latest.unwrap_or(now).since(stats.triggered).0,
        "alignment_buffered": 0,
        "processed_data": sum(|s| s.metrics.processed_bytes),
        "persisted_data": sum(|s| s.metrics.persisted_bytes),
        "num_subtasks": stats.tasks.get(&vertex).map_or(0, Vec::len),
        "num_acknowledged_subtasks": acknowledged.len(),
    })
}

/// `GET /jobs/:jobid/checkpoints/details/:checkpointid`.
pub async fn details(State(rest): State<Rest>, Path((id, checkpoint)): Path<(String, String)>) -> Answer {
    rest.job(&id, move |view| Ok(Json(shape_checkpoint(remembered(view, &checkpoint)?, view.now, true))))
        .await
}

fn remembered<'a>(view: &'a JobView<'_>, id: &str) -> Result<&'a CheckpointStats, RestError> {
    let number: u64 = id.parse().map_err(|_| RestError::path_parameter("checkpointid", id))?;
    let missing =
        || RestError::not_found(format!("Could not find checkpointing statistics for checkpoint {number}."));
    coordinator(view)?.statistics().checkpoint(number).ok_or_else(missing)
}

/// `GET /jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid`.
pub async fn subtasks(
    State(rest): State<Rest>,
    Path((id, checkpoint, vertex)): Path<(String, String, String)>,
) -> Answer {
    let vertex_id: VertexId = vertex.parse().map_err(|_| RestError::path_parameter("vertexid", &vertex))?;
    rest.job(&id, move |view| {
        let stats = remembered(view, &checkpoint)?;
        if !stats.tasks.contains_key(&vertex_id) {
            let text = format!("There is no checkpoint statistics for task {vertex_id}.");
            return Err(RestError::not_found(text));
        }
        Ok(Json(shape_subtasks(stats, vertex_id, view.now)))
    })
    .await
}

fn shape_subtasks(stats: &CheckpointStats, vertex: VertexId, now: Millis) -> Value {
    let mut shape = shape_vertex(stats, vertex, now);
    let acknowledged = acknowledged(stats, vertex);
    // Over so few values Flink shows no percentiles.
    let over = |of: &dyn Fn(&SubtaskCheckpointStats) -> u64| {
        let all = Distribution::of(acknowledged.iter().map(|s| of(s)));
        distribution(&Distribution { percentiles: None, ..all })
    };
    shape["summary"] = json!({
        "checkpointed_size": over(&|s| s.metrics.checkpointed_bytes),
        "state_size": over(&|s| s.state_bytes),
        "end_to_end_duration": over(&|s| s.acknowledged.since(stats.triggered).0),
        "checkpoint_duration": { "sync": over(&|s| s.metrics.sync_ms), "async": over(&|s| s.metrics.async_ms) },
        "alignment": {
            "buffered": nothing_buffered(),
            "processed": over(&|s| s.metrics.processed_bytes),
            "persisted": over(&|s| s.metrics.persisted_bytes),
            "duration": over(&|s| s.metrics.alignment_ms),
        },
        "start_delay": over(&|s| s.metrics.start_delay_ms),
    });
    let all = stats.tasks.get(&vertex).into_iter().flatten().enumerate();
    shape["subtasks"] = all.map(|(index, subtask)| shape_subtask(stats, index, subtask.as_ref())).collect();
    shape
}

fn shape_subtask(stats: &CheckpointStats, index: usize, subtask: Option<&SubtaskCheckpointStats>) -> Value {
    let Some(subtask) = subtask else {
        return json!({ "className": "pending", "index": index, "status": "pending_or_failed" });
    };
    let metrics = &subtask.metrics;
    json!({
        "className": "completed",
        "index": index,
        "ack_timestamp": subtask.acknowledged.0,
        "end_to_end_duration": subtask.acknowledged.since(stats.triggered).0,
        "checkpointed_size": metrics.checkpointed_bytes,
        "state_size": subtask.state_bytes,
        "checkpoint": { "sync": metrics.sync_ms, "async": metrics.async_ms },
        "alignment": {
            "buffered": 0,
            "processed": metrics.processed_bytes,
            "persisted": metrics.persisted_bytes,
            "duration": metrics.alignment_ms,
        },
        "start_delay": metrics.start_delay_ms,
        "unaligned_checkpoint": metrics.unaligned,
        "aborted": false,
        "status": "completed",
    })
}

/// `GET /jobs/:jobid/checkpoints/config`.
pub async fn config(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(shape_config(view, coordinator(view)?)))).await
}

fn shape_config(view: &JobView<'_>, coordinator: &CheckpointCoordinator) -> Value {
    let settings = coordinator.settings();
    let submission = view.job.submission();
    let mut config = submission.config.clone();
    config.overlay(&submission.graph.config);
    let backend = config.get(&options::STATE_BACKEND).unwrap_or_default();
    json!({
        "mode": match settings.mode {
            CheckpointMode::ExactlyOnce => "exactly_once",
            CheckpointMode::AtLeastOnce => "at_least_once",
        },
        // Flink's way to say that there are none.
        "interval": settings.interval.map_or(i64::MAX as u64, |interval| interval.0),
        "timeout": settings.timeout.0,
        "min_pause": settings.min_pause.0,
        "max_concurrent": settings.max_concurrent,
        "externalization": {
            "enabled": settings.retention != CheckpointRetention::None,
            "delete_on_cancellation": settings.retention != CheckpointRetention::RetainOnCancellation,
        },
        "state_backend": match backend {
            BackendKind::RocksDb => "EmbeddedRocksDBStateBackend",
            BackendKind::HashMap => "HashMapStateBackend",
        },
        "checkpoint_storage": match settings.storage {
            CheckpointStorage::JobManager { .. } => "JobManagerCheckpointStorage",
            CheckpointStorage::FileSystem { .. } => "FileSystemCheckpointStorage",
        },
        "unaligned_checkpoints": settings.unaligned,
        "tolerable_failed_checkpoints": settings.tolerable_failures,
        "aligned_checkpoint_timeout": settings.aligned_timeout.0,
        "checkpoints_after_tasks_finish": settings.after_tasks_finish,
        // There is no changelog here; the keys stay for clients that read them.
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 600_000,
        "changelog_storage": "memory",
    })
}
