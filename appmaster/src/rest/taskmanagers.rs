//! Task executors: what each offers, what it holds, what it measures, and its log files.

use super::error::RestError;
use super::logs::{self, Text};
use super::memory::Memory;
use super::state::Rest;
use super::{Answer, executor_not_found};
use crate::cluster::{Cluster, Connection, LogAnswer};
use axum::Json;
use axum::extract::{Path, State};
use kvick_core::executor::{ExecutorMetrics, ToExecutor};
use kvick_core::ids::ExecutorId;
use kvick_core::resources::{Executor, Slot};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a task executor has to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /taskmanagers`.
pub async fn list(State(rest): State<Rest>) -> Answer {
    rest.ask(|cluster, _| {
        let all: Vec<Value> = registered(cluster).map(|(id, e, c)| shape(id, e, c)).collect();
        Json(json!({ "taskmanagers": all }))
    })
    .await
}

/// Executors that are registered and connected.
fn registered(cluster: &Cluster) -> impl Iterator<Item = (&ExecutorId, &Executor, &Connection)> {
    let executors = cluster.master.resources().executors();
    executors.iter().filter_map(|(id, executor)| Some((id, executor, cluster.connections.get(id)?)))
}

fn shape(id: &ExecutorId, executor: &Executor, connection: &Connection) -> Value {
    let (info, memory) = (&connection.info, Memory::of(&connection.info.config));
    let slots = executor.slots().len() as u32;
    json!({
        "id": id,
        "path": format!("kvick://{}/{id}", info.host),
        // Every worker has a data port of its own: see the endpoints of a job's subtasks.
        "dataPort": -1,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": connection.last_heard.0,
        "slotsNumber": slots,
        "freeSlots": executor.free(),
        "totalResource": memory.profile(slots, slots),
        "freeResource": memory.profile(executor.free(), slots),
        "hardware": {
            "cpuCores": info.cpu_cores,
            "physicalMemory": info.physical_memory,
            "freeMemory": connection.metrics.free_memory,
            "managedMemory": memory.managed,
        },
        "memoryConfiguration": memory.shape(),
    })
}

/// `GET /taskmanagers/:taskmanagerid`.
pub async fn details(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let id = ExecutorId(id);
    rest.ask(move |cluster, _| {
        let found = registered(cluster).find(|(other, ..)| **other == id);
        let (id, executor, connection) = found.ok_or_else(|| executor_not_found(&id))?;
        Ok(Json(shape_details(id, executor, connection)))
    })
    .await?
}

fn shape_details(id: &ExecutorId, executor: &Executor, connection: &Connection) -> Value {
    let memory = Memory::of(&connection.info.config);
    let slots = executor.slots().len() as u32;
    let allocated = |slot: &Slot| match slot {
        Slot::Held(job) => Some(json!({ "jobId": job, "resource": memory.profile(1, slots) })),
        Slot::Free => None,
    };
    let allocated: Vec<Value> = executor.slots().iter().filter_map(allocated).collect();
    let mut details = shape(id, executor, connection);
    if let Some(fields) = details.as_object_mut() {
        fields.insert("allocatedSlots".to_string(), json!(allocated));
        fields.insert("metrics".to_string(), shape_metrics(&connection.metrics, &memory));
    }
    details
}

/// Flink's figures of a JVM. Resident memory stands for the heap; what no native process has is 0.
fn shape_metrics(measured: &ExecutorMetrics, memory: &Memory) -> Value {
    let resident = measured.resident_bytes + measured.workers_resident_bytes;
    json!({
        "heapUsed": resident,
        "heapCommitted": resident,
        "heapMax": memory.total_process,
        "nonHeapUsed": 0, "nonHeapCommitted": 0, "nonHeapMax": -1,
        "directCount": 0, "directUsed": 0, "directMax": 0,
        "mappedCount": 0, "mappedUsed": 0, "mappedMax": 0,
        "memorySegmentsAvailable": 0, "memorySegmentsTotal": 0,
        "nettyShuffleMemorySegmentsAvailable": 0,
        "nettyShuffleMemorySegmentsUsed": 0,
        "nettyShuffleMemorySegmentsTotal": 0,
        "nettyShuffleMemoryAvailable": memory.network,
        "nettyShuffleMemoryUsed": 0,
        "nettyShuffleMemoryTotal": memory.network,
        "garbageCollectors": [],
    })
}

/// `GET /taskmanagers/:taskmanagerid/logs`.
pub async fn log_list(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let answer = ask_executor(&rest, &ExecutorId(id), |request| ToExecutor::ListLogs { request }).await?;
    match answer {
        LogAnswer::Files(files) => Ok(Json(json!({ "logs": files }))),
        LogAnswer::Content(_) => Err(RestError::internal("the task executor answered another question")),
    }
}

/// `GET /taskmanagers/:taskmanagerid/log`.
pub async fn log(State(rest): State<Rest>, Path(id): Path<String>) -> Result<Text, RestError> {
    read_log(&rest, id, "taskmanager.log".to_string()).await
}

/// `GET /taskmanagers/:taskmanagerid/stdout`.
pub async fn stdout(State(rest): State<Rest>, Path(id): Path<String>) -> Result<Text, RestError> {
    read_log(&rest, id, "taskmanager.out".to_string()).await
}

/// `GET /taskmanagers/:taskmanagerid/logs/:filename`.
pub async fn log_named(
    State(rest): State<Rest>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Text, RestError> {
    read_log(&rest, id, name).await
}

async fn read_log(rest: &Rest, id: String, name: String) -> Result<Text, RestError> {
    logs::check_name(&name)?;
    let read = |request| ToExecutor::ReadLog { request, name, max_bytes: logs::MAX_BYTES };
    match ask_executor(rest, &ExecutorId(id), read).await? {
        LogAnswer::Content(Ok(text)) => Ok(Text::from(text)),
        LogAnswer::Content(Err(why)) => Err(RestError::not_found(why)),
        LogAnswer::Files(_) => Err(RestError::internal("the task executor answered another question")),
    }
}

async fn ask_executor(
    rest: &Rest,
    id: &ExecutorId,
    question: impl FnOnce(u64) -> ToExecutor + Send + 'static,
) -> Result<LogAnswer, RestError> {
    let asked = id.clone();
    let answer = rest.ask(move |cluster, _| cluster.ask_logs(&asked, question)).await?;
    let answer = answer.ok_or_else(|| executor_not_found(id))?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(RestError::unavailable(format!("task executor {id} went away before it answered"))),
        Err(_) => Err(RestError::unavailable(format!(
            "task executor {id} did not answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// `GET /taskmanagers/:taskmanagerid/thread-dump`.
pub async fn thread_dump(State(rest): State<Rest>, Path(id): Path<String>) -> Answer {
    let id = ExecutorId(id);
    rest.ask(move |cluster, _| match cluster.connections.contains_key(&id) {
        true => Ok(Json(logs::no_thread_dump("task executor and its workers are native processes"))),
        false => Err(executor_not_found(&id)),
    })
    .await?
}
