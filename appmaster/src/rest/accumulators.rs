//! Accumulators as Flink's API writes them: name, type, and the value as text.

use super::Answer;
use super::state::{Rest, VertexView};
use axum::Json;
use axum::extract::{Path, Query, State};
use kvick_core::accumulator::{Accumulator, Accumulators, merge_into, shown};
use kvick_core::jobmaster::Execution;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Query of a job's accumulators.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Serialized {
    #[serde(default)]
    include_serialized_value: bool,
}

/// `GET /jobs/:jobid/accumulators[?includeSerializedValue=true]`. A serialised value is our own JSON, not Java's.
pub async fn of_job(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(query): Query<Serialized>,
) -> Answer {
    let all = rest.job(&id, |view| Ok(view.job.accumulators())).await?;
    let serialized: BTreeMap<&String, &Accumulator> =
        if query.include_serialized_value { shown(&all).collect() } else { BTreeMap::new() };
    Ok(Json(json!({
        "job-accumulators": [],
        "user-task-accumulators": entries(&all),
        "serialized-user-task-accumulators": serialized,
    })))
}

/// `GET /jobs/:jobid/vertices/:vertexid/accumulators`.
pub async fn of_vertex(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let mut total = Accumulators::new();
        view.executions.iter().for_each(|e| merge_into(&mut total, &e.accumulators));
        Ok(Json(json!({ "id": view.vertex.id, "user-accumulators": entries(&total) })))
    })
    .await
}

/// `GET /jobs/:jobid/vertices/:vertexid/subtasks/accumulators`.
pub async fn of_subtasks(State(rest): State<Rest>, Path(path): Path<(String, String)>) -> Answer {
    rest.vertex(path, |view| {
        let subtasks: Vec<Value> = view.subtasks().map(|(i, e)| of_subtask(view, i, e)).collect();
        Ok(Json(json!({
            "id": view.vertex.id,
            "parallelism": view.vertex.parallelism,
            "subtasks": subtasks,
        })))
    })
    .await
}

fn of_subtask(view: &VertexView<'_>, subtask: u32, execution: &Execution) -> Value {
    json!({
        "subtask": subtask,
        "attempt": execution.attempt,
        "host": view.host(execution),
        "endpoint": view.endpoint(execution),
        "user-accumulators": entries(&execution.accumulators),
    })
}

/// Names and values as text.
pub fn as_text(accumulators: &Accumulators) -> BTreeMap<&str, String> {
    shown(accumulators).map(|(name, value)| (name.as_str(), text(value))).collect()
}

fn entries(accumulators: &Accumulators) -> Vec<Value> {
    let entry = |(name, value)| json!({ "name": name, "type": kind(value), "value": text(value) });
    shown(accumulators).map(entry).collect()
}

/// The class of Flink's accumulators that does the same.
fn kind(accumulator: &Accumulator) -> &'static str {
    match accumulator {
        Accumulator::LongCounter(_) => "LongCounter",
        Accumulator::DoubleCounter(_) => "DoubleCounter",
        Accumulator::LongMinimum(_) => "LongMinimum",
        Accumulator::LongMaximum(_) => "LongMaximum",
        Accumulator::List(_) => "ListAccumulator",
        Accumulator::Histogram(_) => "Histogram",
    }
}

/// The value as Java prints a number, list or map.
fn text(accumulator: &Accumulator) -> String {
    match accumulator {
        Accumulator::LongCounter(n) | Accumulator::LongMinimum(n) | Accumulator::LongMaximum(n) => {
            n.to_string()
        }
        Accumulator::DoubleCounter(x) => format!("{x:?}"),
        Accumulator::List(items) => format!("[{}]", joined(items.iter())),
        Accumulator::Histogram(counts) => {
            format!("{{{}}}", joined(counts.iter().map(|(value, count)| format!("{value}={count}"))))
        }
    }
}

fn joined(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_java_prints_them() {
        let texts = [
            Accumulator::LongCounter(-3),
            Accumulator::DoubleCounter(2.0),
            Accumulator::List(vec!["a".into(), "b".into()]),
            Accumulator::Histogram(BTreeMap::from([(1, 2), (5, 1)])),
        ]
        .map(|a| text(&a));
        assert_eq!(texts, ["-3", "2.0", "[a, b]", "{1=2, 5=1}"]);
    }
}
