//! Metrics under Flink's names: of the application master, of task executors, jobs, vertices and subtasks.
//!
//! Every scope answers `GET <scope>/metrics` with the names, with `?get=a,b` with values as text; the aggregating scopes
//! with numbers over all members. A name that nobody measures here is missing rather than invented.

use super::error::RestError;
use super::measured::{Aggregates, Measured, Metrics, Wanted, aggregate, answer, listed, real, whole};
use super::memory::Memory;
use super::state::{JobView, Rest, VertexView};
use super::user_metrics;
use super::vertices::{execution, subtask_index};
use super::{Answer, executor_not_found};
use axum::extract::{Path, Query, State};
use kvick_core::checkpoint::stats::CheckpointStats;
use kvick_core::executor::ExecutorMetrics;
use kvick_core::ids::ExecutorId;
use kvick_core::job::JobState;
use kvick_core::jobmaster::Execution;

/// `GET /jobmanager/metrics`.
pub async fn of_jobmanager(State(rest): State<Rest>, Query(wanted): Query<Wanted>) -> Answer {
    let metrics = rest.ask(|cluster, _| {
        let resources = cluster.master.resources();
        let (slots, free) = resources.slots();
        let running = cluster.master.jobs().filter(|(_, job)| !job.state().is_terminal()).count();
        vec![
            whole("taskSlotsTotal", u64::from(slots)),
            whole("taskSlotsAvailable", u64::from(free)),
            whole("numRegisteredTaskManagers", resources.executors().len() as u64),
            whole("numRunningJobs", running as u64),
        ]
    });
    let mut metrics = metrics.await?;
    if let Some(bytes) = kvick_process::memory::resident_bytes(std::process::id()) {
        metrics.push(whole("Status.JVM.Memory.Heap.Used", bytes));
        metrics.push(whole("Status.JVM.Memory.Heap.Committed", bytes));
    }
    Ok(answer(&metrics, &wanted))
}

/// What a task executor measures. The resident memory of its processes stands where a JVM has its heap.
fn executor_metrics(measured: &ExecutorMetrics, memory: &Memory) -> Metrics {
    let resident = measured.resident_bytes + measured.workers_resident_bytes;
    vec![
        whole("Status.JVM.Memory.Heap.Used", resident),
        whole("Status.JVM.Memory.Heap.Committed", resident),
        whole("Status.JVM.Memory.Heap.Max", memory.total_process),
        whole("Status.Flink.Memory.Managed.Total", memory.managed),
        whole("Status.Shuffle.Netty.TotalMemory", memory.network),
        whole("Status.Worker.Count", u64::from(measured.workers)),
        whole("Status.Worker.Memory.Used", measured.workers_resident_bytes),
    ]
}

/// `GET /taskmanagers/:taskmanagerid/metrics`.
pub async fn of_taskmanager(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let id = ExecutorId(id);
    let metrics = rest.ask(move |cluster, _| {
        let connection = cluster.connections.get(&id).ok_or_else(|| executor_not_found(&id))?;
        Ok(executor_metrics(&connection.metrics, &Memory::of(&connection.info.config)))
    });
    metrics.await?.map(|metrics| answer(&metrics, &wanted))
}

/// `GET /taskmanagers/metrics[?taskmanagers=a,b]`.
pub async fn of_taskmanagers(State(rest): State<Rest>, Query(query): Query<Aggregates>) -> Answer {
    rest.ask(move |cluster, _| {
        let filter = listed(&query.taskmanagers);
        let chosen =
            cluster.connections.iter().filter(|(id, _)| filter.is_empty() || filter.contains(&id.0.as_str()));
        let members: Vec<Metrics> =
            chosen.map(|(_, c)| executor_metrics(&c.metrics, &Memory::of(&c.info.config))).collect();
        aggregate(&members, &query)
    })
    .await?
}

/// What is measured of a job.
fn job_metrics(view: &JobView<'_>) -> Metrics {
    let job = view.job;
    let since = |state| view.now.since(job.entered().get(&state).copied().unwrap_or(view.now)).0;
    let in_state = |state| if job.state() == state { since(state) } else { 0 };
    let terminal = job.state().is_terminal();
    let uptime = if terminal { -1 } else { in_state(JobState::Running) as i64 };
    let downtime = if terminal { -1 } else { in_state(JobState::Restarting) as i64 };
    let mut metrics = vec![
        ("uptime".to_string(), Measured::Whole(uptime)),
        ("downtime".to_string(), Measured::Whole(downtime)),
        whole("numRestarts", u64::from(job.restarts())),
        whole("fullRestarts", u64::from(job.restarts())),
    ];
    for (name, state) in TIMED {
        metrics.push(whole(name, in_state(state)));
    }
    metrics.extend(checkpoint_metrics(view));
    metrics
}

/// What `CheckpointStatsTracker` measures; a job that takes none has zeros and -1.
fn checkpoint_metrics(view: &JobView<'_>) -> Metrics {
    let stats = view.job.checkpoints().map(|coordinator| coordinator.statistics());
    let counts = stats.map(|stats| stats.counts()).unwrap_or_default();
    let latest = stats.and_then(|stats| stats.latest_completed());
    let of_latest = |name: &str, value: &dyn Fn(&CheckpointStats) -> u64| {
        let value = latest.map_or(-1, |latest| i64::try_from(value(latest)).unwrap_or(i64::MAX));
        (name.to_string(), Measured::Whole(value))
    };
    let restored = stats.and_then(|stats| stats.latest_restored());
    let path = latest.and_then(|latest| latest.external_path.clone());
    vec![
        whole("numberOfCompletedCheckpoints", counts.completed),
        whole("numberOfFailedCheckpoints", counts.failed),
        whole("numberOfInProgressCheckpoints", counts.in_progress),
        whole("totalNumberOfCheckpoints", counts.total),
        of_latest("lastCheckpointDuration", &|latest| latest.duration(view.now).0),
        of_latest("lastCheckpointSize", &|latest| latest.checkpointed_bytes),
        of_latest("lastCheckpointFullSize", &|latest| latest.state_bytes),
        of_latest("lastCompletedCheckpointId", &|latest| latest.id),
        (
            "lastCheckpointRestoreTimestamp".to_string(),
            Measured::Whole(restored.map_or(-1, |restored| restored.at.0 as i64)),
        ),
        ("lastCheckpointExternalPath".to_string(), Measured::Text(path.unwrap_or_else(|| "n/a".to_string()))),
    ]
}

/// Metrics that tell for how long a job is in a state by now.
const TIMED: [(&str, JobState); 6] = [
    ("initializingTime", JobState::Initializing),
    ("createdTime", JobState::Created),
    ("runningTime", JobState::Running),
    ("restartingTime", JobState::Restarting),
    ("failingTime", JobState::Failing),
    ("cancellingTime", JobState::Cancelling),
];

/// `GET /jobs/:jobid/metrics`.
pub async fn of_job(
    State(rest): State<Rest>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    rest.job(&id, move |view| Ok(answer(&job_metrics(view), &wanted))).await
}

/// `GET /jobs/metrics[?jobs=a,b]`.
pub async fn of_jobs(State(rest): State<Rest>, Query(query): Query<Aggregates>) -> Answer {
    let all = rest.jobs(|view| (view.id.to_string(), job_metrics(view))).await?;
    let filter = listed(&query.jobs);
    let chosen = all.into_iter().filter(|(id, _)| filter.is_empty() || filter.contains(&id.as_str()));
    let members: Vec<Metrics> = chosen.map(|(_, metrics)| metrics).collect();
    aggregate(&members, &query)
}

/// What is measured of a subtask, by the engine and by user code.
fn task_metrics(view: &VertexView<'_>, subtask: u32, execution: &Execution) -> Metrics {
    let (sum, rate) = (&execution.metrics, view.rate(subtask, execution));
    let mut metrics = vec![
        whole("numRecordsIn", sum.records_in),
        real("numRecordsInPerSecond", rate.records_in),
        whole("numRecordsOut", sum.records_out),
        real("numRecordsOutPerSecond", rate.records_out),
        whole("numBytesIn", sum.bytes_in),
        real("numBytesInPerSecond", rate.bytes_in),
        whole("numBytesOut", sum.bytes_out),
        real("numBytesOutPerSecond", rate.bytes_out),
        whole("accumulateBusyTimeMs", sum.busy_ms),
        real("busyTimeMsPerSecond", rate.busy),
        whole("accumulateIdleTimeMs", sum.idle_ms),
        real("idleTimeMsPerSecond", rate.idle),
        whole("accumulateBackPressuredTimeMs", sum.backpressured_ms),
        real("backPressuredTimeMsPerSecond", rate.backpressured),
        ("isBackPressured".to_string(), Measured::Text((rate.backpressured > 0.0).to_string())),
    ];
    if !view.vertex.source {
        let watermark = sum.watermark.unwrap_or(i64::MIN);
        metrics.push(("currentInputWatermark".to_string(), Measured::Whole(watermark)));
    }
    metrics.extend(user_metrics::of(&execution.accumulators));
    metrics
}

/// `GET /jobs/:jobid/vertices/:vertexid/metrics`: names with the subtask in front, `0.numRecordsIn`.
pub async fn of_vertex(
    State(rest): State<Rest>,
    Path(path): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    rest.vertex(path, move |view| {
        let of_subtask = |(subtask, execution): (u32, &Execution)| {
            let metrics = task_metrics(view, subtask, execution).into_iter();
            metrics.map(move |(name, value)| (format!("{subtask}.{name}"), value)).collect::<Metrics>()
        };
        let all: Metrics = view.subtasks().flat_map(of_subtask).collect();
        Ok(answer(&all, &wanted))
    })
    .await
}

/// `GET …/subtasks/metrics[?subtasks=0,2-3]`.
pub async fn of_subtasks(
    State(rest): State<Rest>,
    Path(path): Path<(String, String)>,
    Query(query): Query<Aggregates>,
) -> Answer {
    let chosen = subtask_ranges(&query.subtasks)?;
    rest.vertex(path, move |view| {
        let wanted = |index: u32| chosen.is_empty() || chosen.iter().any(|(a, b)| (*a..=*b).contains(&index));
        let members: Vec<Metrics> = view
            .subtasks()
            .filter(|(index, _)| wanted(*index))
            .map(|(index, execution)| task_metrics(view, index, execution))
            .collect();
        aggregate(&members, &query)
    })
    .await
}

/// `0,2-4` as ranges.
fn subtask_ranges(text: &str) -> Result<Vec<(u32, u32)>, RestError> {
    let bad = |_| RestError::query_parameter("subtasks", text);
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Ok((first.trim().parse().map_err(bad)?, last.trim().parse().map_err(bad)?))
    };
    listed(text).into_iter().map(range).collect()
}

/// `GET …/subtasks/:index/metrics`.
pub async fn of_subtask(
    State(rest): State<Rest>,
    Path((job, vertex, index)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let index = subtask_index(&index)?;
    rest.vertex((job, vertex), move |view| {
        let execution = execution(view, index)?;
        Ok(answer(&task_metrics(view, index, execution), &wanted))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtasks_are_named_one_by_one_or_as_ranges() {
        assert_eq!(subtask_ranges("0,2-4"), Ok(vec![(0, 0), (2, 4)]));
        assert!(subtask_ranges("a").is_err());
    }
}
