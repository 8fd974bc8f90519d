//! One vertex of a job: its subtasks, where they run, how long each state took, watermarks and backpressure.

use super::Answer;
use super::error::RestError;
use super::shape::{Span, UNASSIGNED, aggregated, common_state, io_metrics, state_counts, state_durations};
use super::state::{Rest, VertexView};
use axum::Json;
use axum::extract::{Path, State};
use kvick_core::jobmaster::Execution;
use kvick_core::task::TaskState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `GET /jobs/:jobid/vertices/:vertexid`.
pub async fn details(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let subtasks: Vec<Value> = view.subtasks().map(|(i, e)| shape_subtask(view, i, e)).collect();
        let executions: Vec<&Execution> = view.executions.iter().collect();
        Ok(Json(json!({
            "id": view.vertex.id,
            "name": view.vertex.name,
            "parallelism": view.vertex.parallelism,
            "maxParallelism": view.vertex.max_parallelism,
            "now": view.job.now.0,
            "subtasks": subtasks,
            "aggregated": aggregated(&executions, view.job.now),
        })))
    })
    .await
}

fn shape_subtask(view: &VertexView<'_>, subtask: u32, execution: &Execution) -> Value {
    let span = Span::of(std::iter::once(execution), view.job.now);
    json!({
        "subtask": subtask,
        "status": execution.state,
        "attempt": execution.attempt,
        "host": view.host(execution),
        "endpoint": view.endpoint(execution),
        "start-time": span.start(),
        "end-time": span.end(),
        "duration": span.duration(),
        "metrics": io_metrics(std::iter::once(execution)),
        "taskmanager-id": view.executor(execution).map_or(UNASSIGNED, |e| e.0.as_str()),
        "status-duration": state_durations(execution, view.job.now),
        // For clients before Flink 1.9.
        "start_time": span.start(),
    })
}

/// `GET …/subtasks/:index`: the current attempt of a subtask.
pub async fn subtask(
    State(rest): State<Rest>,
    Path((job, vertex, index)): Path<(String, String, String)>,
) -> Answer {
    let index = subtask_index(&index)?;
    rest.vertex((job, vertex), move |view| {
        let execution = execution(view, index)?;
        Ok(Json(shape_subtask(view, index, execution)))
    })
    .await
}

/// `GET …/subtasks/:index/attempts/:attempt`. Only the current attempt is kept.
pub async fn attempt(
    State(rest): State<Rest>,
    Path((job, vertex, index, attempt)): Path<(String, String, String, String)>,
) -> Answer {
    let index = subtask_index(&index)?;
    let attempt: u32 = attempt.parse().map_err(|_| RestError::path_parameter("attempt", &attempt))?;
    rest.vertex((job, vertex), move |view| {
        let execution = execution(view, index)?;
        if execution.attempt != attempt {
            let text = format!(
                "Attempt {attempt} of subtask {index} is not known (any more): its current attempt is {}",
                execution.attempt
            );
            return Err(RestError::not_found(text));
        }
        Ok(Json(shape_subtask(view, index, execution)))
    })
    .await
}

/// Reads a subtask's index from a path.
///
/// # Errors
/// 400 if it is none.
pub fn subtask_index(text: &str) -> Result<u32, RestError> {
    text.parse().map_err(|_| RestError::path_parameter("subtaskindex", text))
}

/// The current attempt of a subtask.
///
/// # Errors
/// 404 if the vertex has no such subtask.
pub fn execution<'a>(view: &VertexView<'a>, index: u32) -> Result<&'a Execution, RestError> {
    let found = view.executions.get(index as usize);
    found.ok_or_else(|| {
        let (id, count) = (view.vertex.id, view.vertex.parallelism);
        RestError::not_found(format!("JobVertex {id} has no subtask {index}: it has {count}, counted from 0"))
    })
}

/// `GET …/taskmanagers`: the vertex by task executor.
pub async fn taskmanagers(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let mut groups: BTreeMap<&str, Vec<&Execution>> = BTreeMap::new();
        for execution in view.executions {
            let executor = view.executor(execution).map_or(UNASSIGNED, |e| e.0.as_str());
            groups.entry(executor).or_default().push(execution);
        }
        let groups: Vec<Value> = groups.iter().map(|(id, on)| on_executor(view, id, on)).collect();
        Ok(Json(json!({
            "id": view.vertex.id,
            "name": view.vertex.name,
            "now": view.job.now.0,
            "taskmanagers": groups,
        })))
    })
    .await
}

fn on_executor(view: &VertexView<'_>, id: &str, executions: &[&Execution]) -> Value {
    let states: Vec<TaskState> = executions.iter().map(|e| e.state).collect();
    let span = Span::of(executions.iter().copied(), view.job.now);
    let endpoint = executions.first().map(|e| view.endpoint(e));
    json!({
        "host": endpoint,
        "endpoint": endpoint,
        "status": common_state(&states),
        "start-time": span.start(),
        "end-time": span.end(),
        "duration": span.duration(),
        "metrics": io_metrics(executions.iter().copied()),
        "status-counts": state_counts(states.iter().copied()),
        "taskmanager-id": id,
        "aggregated": aggregated(executions, view.job.now),
    })
}

/// `GET …/subtasktimes`: when each subtask entered each state.
pub async fn subtask_times(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let subtasks: Vec<Value> = view.subtasks().map(|(i, e)| times(view, i, e)).collect();
        Ok(Json(json!({
            "id": view.vertex.id,
            "name": view.vertex.name,
            "now": view.job.now.0,
            "subtasks": subtasks,
        })))
    })
    .await
}

fn times(view: &VertexView<'_>, subtask: u32, execution: &Execution) -> Value {
    let mut timestamps: Map<String, Value> =
        super::shape::TASK_STATES.iter().map(|s| ((*s).to_string(), json!(0))).collect();
    for (state, at) in &execution.entered {
        timestamps.insert(super::shape::name(state), json!(at.0));
    }
    let scheduled = execution.entered.get(&TaskState::Scheduled);
    let end = execution.ended().unwrap_or(view.job.now);
    json!({
        "subtask": subtask,
        "host": view.host(execution),
        "endpoint": view.endpoint(execution),
        "duration": scheduled.map_or(-1, |at| end.since(*at).0 as i64),
        "timestamps": timestamps,
    })
}

/// `GET …/watermarks`: the input watermark of each subtask; the smallest number there is before the first one.
pub async fn watermarks(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let entry = |(subtask, e): (u32, &Execution)| {
            let value = e.metrics.watermark.unwrap_or(i64::MIN).to_string();
            json!({ "id": format!("{subtask}.currentInputWatermark"), "value": value })
        };
        let all: Vec<Value> =
            if view.vertex.source { Vec::new() } else { view.subtasks().map(entry).collect() };
        Ok(Json(json!(all)))
    })
    .await
}

/// `GET …/backpressure`: which share of its time each subtask waits for room downstream.
pub async fn backpressure(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let running = view.subtasks().filter(|(_, e)| e.state == TaskState::Running);
        let ratios: Vec<(u32, [f64; 3])> = running.map(|(i, e)| (i, ratios(view, i, e))).collect();
        let worst = ratios.iter().map(|(_, [pressed, ..])| *pressed).fold(0.0, f64::max);
        let subtasks: Vec<Value> = ratios.iter().map(|(i, ratios)| pressure_on(*i, *ratios)).collect();
        Ok(Json(json!({
            "status": if subtasks.is_empty() { "deprecated" } else { "ok" },
            "backpressureLevel": level(worst),
            "backpressure-level": level(worst),
            "end-timestamp": view.job.now.0,
            "subtasks": subtasks,
        })))
    })
    .await
}

/// Backpressured, idle and busy shares of a subtask's time, from 0 to 1.
fn ratios(view: &VertexView<'_>, subtask: u32, execution: &Execution) -> [f64; 3] {
    let rate = view.rate(subtask, execution);
    [rate.backpressured / 1000.0, rate.idle / 1000.0, rate.busy / 1000.0]
}

fn pressure_on(subtask: u32, [pressed, idle, busy]: [f64; 3]) -> Value {
    json!({
        "subtask": subtask,
        "backpressureLevel": level(pressed),
        "backpressure-level": level(pressed),
        "ratio": pressed,
        "idleRatio": idle,
        "busyRatio": busy,
    })
}

/// Flink's three levels.
fn level(ratio: f64) -> &'static str {
    match ratio {
        r if r <= 0.1 => "ok",
        r if r <= 0.5 => "low",
        _ => "high",
    }
}

/// `GET …/flamegraph`: never sampled; -2 is Flink's word for "disabled".
pub async fn flamegraph(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |_| Ok(Json(json!({ "endTimestamp": -2 })))).await
}

/// `GET …/jm-operator-metrics`: operators have no part that runs in the application master.
pub async fn coordinator_metrics(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |_| Ok(Json(json!([])))).await
}
