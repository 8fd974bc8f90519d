//! One job in full: its vertices and their state, its plan, its configuration, its failures.

use super::Answer;
use super::error::RestError;
use super::shape::{Span, common_state, instant, io_metrics, state_counts};
use super::state::{JobView, Rest, VertexView};
use axum::Json;
use axum::extract::{Path, Query, State};
use kvick_core::graph::{JobEdge, JobGraph, JobVertex, RuntimeMode};
use kvick_core::ids::JobId;
use kvick_core::job::JobState;
use kvick_core::jobmaster::ExceptionEntry;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `GET /jobs/:jobid`.
pub async fn details(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(shape_details(view)))).await
}

fn shape_details(view: &JobView<'_>) -> Value {
    let job = view.job;
    let graph = &job.submission().graph;
    let vertices: Vec<Value> = view.vertices().map(|v| shape_vertex(&v)).collect();
    json!({
        "jid": view.id,
        "name": graph.name,
        "isStoppable": false,
        "state": job.state(),
        "job-type": graph.mode,
        "start-time": job.submitted().0,
        "end-time": instant(job.ended()),
        "duration": job.ended().unwrap_or(view.now).since(job.submitted()).0,
        "maxParallelism": -1,
        "now": view.now.0,
        "timestamps": timestamps(view),
        "vertices": vertices,
        "status-counts": state_counts(view.vertices().map(|v| common_state(&v.states()))),
        "plan": plan_of(view.id, graph),
    })
}

/// When each state was entered last; 0 for one that never was.
fn timestamps(view: &JobView<'_>) -> Map<String, Value> {
    let entered = view.job.entered();
    let of = |state| json!(entered.get(&state).map_or(0, |at| at.0));
    JobState::ALL.into_iter().map(|state| (super::shape::name(state), of(state))).collect()
}

fn shape_vertex(view: &VertexView<'_>) -> Value {
    let (vertex, span) = (view.vertex, Span::of(view.executions.iter(), view.job.now));
    json!({
        "id": vertex.id,
        "slotSharingGroupId": sharing_group_id(&vertex.slot_sharing_group),
        "name": vertex.name,
        "maxParallelism": vertex.max_parallelism,
        "parallelism": vertex.parallelism,
        "status": common_state(&view.states()),
        "start-time": span.start(),
        "end-time": span.end(),
        "duration": span.duration(),
        "tasks": state_counts(view.states().into_iter()),
        "metrics": io_metrics(view.executions.iter()),
    })
}

/// An id for a slot sharing group, which we know by name only: the 128-bit FNV-1a hash of the name.
fn sharing_group_id(name: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = name.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

/// `GET /jobs/:jobid/plan`.
pub async fn plan(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(json!({ "plan": plan_of(view.id, &view.job.submission().graph) })))).await
}

/// A graph as the dashboard draws it: sinks first.
pub fn plan_of(id: JobId, graph: &JobGraph) -> Value {
    let nodes: Vec<Value> = graph.vertices.iter().rev().map(|v| plan_node(graph, v)).collect();
    json!({ "jid": id, "name": graph.name, "type": graph.mode, "nodes": nodes })
}

fn plan_node(graph: &JobGraph, vertex: &JobVertex) -> Value {
    let mut node = json!({
        "id": vertex.id,
        "parallelism": vertex.parallelism,
        "operator": "",
        "operator_strategy": "",
        "description": description(vertex),
        "optimizer_properties": {},
    });
    let inputs: Vec<Value> = graph.inputs(vertex.id).map(plan_input).collect();
    if let (Some(fields), false) = (node.as_object_mut(), inputs.is_empty()) {
        fields.insert("inputs".to_string(), json!(inputs));
    }
    node
}

fn plan_input(edge: &JobEdge) -> Value {
    json!({
        "num": edge.input,
        "id": edge.source,
        "ship_strategy": edge.partitioning,
        "exchange": edge.exchange,
    })
}

/// The chain as a tree in HTML, as the dashboard expects it.
fn description(vertex: &JobVertex) -> String {
    let names = vertex.operators.iter().map(|o| escape_html(&o.name));
    let lines = names.enumerate().map(|(depth, name)| match depth {
        0 => format!("{name}<br/>"),
        _ => format!("{}+- {name}<br/>", "   ".repeat(depth - 1)),
    });
    lines.collect()
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `GET /jobs/:jobid/config`.
pub async fn config(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    rest.job(&id, |view| Ok(Json(shape_config(view)))).await
}

fn shape_config(view: &JobView<'_>) -> Value {
    let submission = view.job.submission();
    let mut config = submission.config.clone();
    config.overlay(&submission.graph.config);
    let parallelism: i64 =
        config.raw("parallelism.default").and_then(|p| p.trim().parse().ok()).unwrap_or(-1);
    let own = |key: &str| submission.graph.config.raw(key).map(str::to_string);
    let strategy = own("restart-strategy.type").or_else(|| own("restart-strategy"));
    json!({
        "jid": view.id,
        "name": submission.graph.name,
        "execution-config": {
            "execution-mode": if submission.graph.mode == RuntimeMode::Batch { "BATCH" } else { "PIPELINED" },
            "restart-strategy": strategy.unwrap_or_else(|| "Cluster level default restart strategy".to_string()),
            "job-parallelism": parallelism,
            "object-reuse-mode": config.raw("pipeline.object-reuse").is_some_and(|v| v.trim() == "true"),
            "user-config": {},
        },
    })
}

/// Query of `exceptions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HowMany {
    /// How many entries at most; 20 without it.
    #[serde(default)]
    max_exceptions: String,
}

/// `GET /jobs/:jobid/exceptions[?maxExceptions=n]`: failures, newest first.
pub async fn exceptions(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Query<HowMany>,
) -> Answer {
    let most: usize = match query.max_exceptions.as_str() {
        "" => 20,
        text => text.parse().map_err(|_| RestError::query_parameter("maxExceptions", text))?,
    };
    rest.job(&id, move |view| Ok(Json(shape_exceptions(view, most)))).await
}

fn shape_exceptions(view: &JobView<'_>, most: usize) -> Value {
    let job = view.job;
    let history = job.exceptions();
    let truncated = history.len() > most;
    let shown = || history.iter().take(most);
    let root = job.failure().or_else(|| history.first().map(|entry| &entry.failure));
    json!({
        "root-exception": root.map(ToString::to_string),
        "timestamp": history.first().map(|entry| entry.at.0),
        "all-exceptions": shown().map(|e| old_entry(view, e)).collect::<Vec<_>>(),
        "truncated": truncated,
        "exceptionHistory": {
            "entries": shown().map(|e| history_entry(view, e)).collect::<Vec<_>>(),
            "truncated": truncated,
        },
    })
}

/// The form that clients before Flink 1.13 read.
fn old_entry(view: &JobView<'_>, entry: &ExceptionEntry) -> Value {
    let place = entry.executor.as_ref().map(|e| view.endpoint(e));
    json!({
        "exception": entry.failure.to_string(),
        "task": entry.task,
        "location": place,
        "endpoint": place,
        "timestamp": entry.at.0,
        "taskManagerId": entry.executor,
    })
}

fn history_entry(view: &JobView<'_>, entry: &ExceptionEntry) -> Value {
    let place = entry.executor.as_ref().map(|e| view.endpoint(e));
    json!({
        "exceptionName": format!("{:?}", entry.failure.kind),
        "stacktrace": entry.failure.to_string(),
        "timestamp": entry.at.0,
        "failureLabels": {},
        "taskName": entry.task,
        "location": place,
        "endpoint": place,
        "taskManagerId": entry.executor,
        "concurrentExceptions": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::graph::OperatorInfo;
    use kvick_core::ids::VertexId;

    #[test]
    fn a_chain_is_described_as_a_tree_without_raw_html() {
        let operator = |name: &str| OperatorInfo { id: VertexId(1), name: name.to_string(), uid: None };
        let vertex = JobVertex {
            id: VertexId(1),
            name: "a -> b -> c".to_string(),
            operators: vec![operator("Source: <x>"), operator("b"), operator("c")],
            parallelism: 1,
            max_parallelism: 128,
            max_parallelism_derived: false,
            slot_sharing_group: "default".to_string(),
            source: true,
            bounded: false,
            alignment_groups: Vec::new(),
        };
        assert_eq!(description(&vertex), "Source: &lt;x&gt;<br/>+- b<br/>   +- c<br/>");
    }

    #[test]
    fn a_sharing_group_keeps_its_id() {
        assert_eq!(sharing_group_id("default"), sharing_group_id("default"));
        assert_ne!(sharing_group_id("default"), sharing_group_id("other"));
        assert_eq!(sharing_group_id("default").len(), 32);
    }
}
