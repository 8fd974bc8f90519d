//! Shapes that several answers share: state counts, input and output counters, statistics over subtasks.

use super::rates::Rate;
use super::state::VertexView;
use kvick_core::ids::ExecutorId;
use kvick_core::jobmaster::Execution;
use kvick_core::task::{TaskMetrics, TaskState};
use kvick_core::time::Millis;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Every task state of Flink, in its words. We have no tasks in `RECONCILING`, but clients look for the key.
pub const TASK_STATES: [&str; 10] = [
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "INITIALIZING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
];

/// The states whose durations Flink shows, in the order in which a task passes through them.
const TIMED_STATES: [TaskState; 5] = [
    TaskState::Created,
    TaskState::Scheduled,
    TaskState::Deploying,
    TaskState::Initializing,
    TaskState::Running,
];

/// What stands where a task has no place to run yet.
pub const UNASSIGNED: &str = "(unassigned)";

/// The name of a state as the API writes it.
pub fn name(state: impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// An instant, or -1 where it has not come.
pub fn instant(at: Option<Millis>) -> i64 {
    at.map_or(-1, |at| at.0 as i64)
}

/// How many of these states there are, for every state's name.
pub fn state_counts(states: impl Iterator<Item = TaskState>) -> Value {
    let mut counts: BTreeMap<String, u32> = TASK_STATES.iter().map(|s| ((*s).to_string(), 0)).collect();
    for state in states {
        *counts.entry(name(state)).or_default() += 1;
    }
    json!(counts)
}

/// The state of several subtasks together, by Flink's rule: a failure first, then cancelling, then what still begins.
pub fn common_state(states: &[TaskState]) -> TaskState {
    use TaskState::{Canceled, Canceling, Created, Failed, Finished, Initializing, Running};
    let any = |state| states.contains(&state);
    if any(Finished) && states.iter().all(|s| *s == Finished) {
        return Finished;
    }
    let first = [Failed, Canceling, Canceled, Initializing, Running].into_iter().find(|s| any(*s));
    first.unwrap_or(if any(Finished) { Running } else { Created })
}

/// Start, end and duration of several attempts together, or of one.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    start: Option<Millis>,
    end: Option<Millis>,
    now: Millis,
}

impl Span {
    /// From the first start to the last end.
    pub fn of<'a>(executions: impl Iterator<Item = &'a Execution> + Clone, now: Millis) -> Span {
        let start = executions.clone().filter_map(Execution::started).min();
        let all_ended = executions.clone().all(|e| e.state.is_terminal());
        let end = executions.filter_map(Execution::ended).max().filter(|_| all_ended && start.is_some());
        Span { start, end, now }
    }

    /// When it began, or -1.
    pub fn start(self) -> i64 {
        instant(self.start)
    }

    /// When it ended, or -1.
    pub fn end(self) -> i64 {
        instant(self.end)
    }

    /// Up to its end or now, in milliseconds; -1 before it began.
    pub fn duration(self) -> i64 {
        self.start.map_or(-1, |start| self.end.unwrap_or(self.now).since(start).0 as i64)
    }
}

/// Counters of several attempts together.
pub fn io_metrics<'a>(executions: impl Iterator<Item = &'a Execution>) -> Value {
    let (mut sum, mut complete) = (TaskMetrics::default(), true);
    for execution in executions {
        let m = &execution.metrics;
        sum.bytes_in += m.bytes_in;
        sum.bytes_out += m.bytes_out;
        sum.records_in += m.records_in;
        sum.records_out += m.records_out;
        sum.busy_ms += m.busy_ms;
        sum.idle_ms += m.idle_ms;
        sum.backpressured_ms += m.backpressured_ms;
        complete &= execution.state.is_terminal() || execution.state == TaskState::Running;
    }
    json!({
        "read-bytes": sum.bytes_in,
        "read-bytes-complete": complete,
        "write-bytes": sum.bytes_out,
        "write-bytes-complete": complete,
        "read-records": sum.records_in,
        "read-records-complete": complete,
        "write-records": sum.records_out,
        "write-records-complete": complete,
        "accumulated-backpressured-time": sum.backpressured_ms,
        "accumulated-idle-time": sum.idle_ms,
        "accumulated-busy-time": sum.busy_ms as f64,
    })
}

/// How long an attempt was in each state; -1 for a state that it never entered.
pub fn state_durations(execution: &Execution, now: Millis) -> BTreeMap<String, i64> {
    let duration = |state| {
        let entered = *execution.entered.get(&state)?;
        let left = execution.entered.iter().filter(|(s, _)| **s > state).map(|(_, at)| *at).min();
        Some(left.unwrap_or(now).since(entered).0 as i64)
    };
    TIMED_STATES.into_iter().map(|state| (name(state), duration(state).unwrap_or(-1))).collect()
}

/// Statistics over the counters and state durations of several attempts.
pub fn aggregated(executions: &[&Execution], now: Millis) -> Value {
    let over = |value: fn(&TaskMetrics) -> u64| {
        statistics(executions.iter().map(|e| value(&e.metrics) as i64).collect())
    };
    let durations: Vec<_> = executions.iter().map(|e| state_durations(e, now)).collect();
    let states: Map<String, Value> = TIMED_STATES
        .into_iter()
        .map(|state| {
            let name = name(state);
            let values = durations.iter().filter_map(|d| d.get(&name).copied()).collect();
            (name, statistics(values))
        })
        .collect();
    json!({
        "metrics": {
            "read-bytes": over(|m| m.bytes_in),
            "write-bytes": over(|m| m.bytes_out),
            "read-records": over(|m| m.records_in),
            "write-records": over(|m| m.records_out),
            "accumulated-backpressured-time": over(|m| m.backpressured_ms),
            "accumulated-idle-time": over(|m| m.idle_ms),
            "accumulated-busy-time": over(|m| m.busy_ms),
        },
        "status-duration": states,
    })
}

/// `min`, `max`, `avg`, `sum` and percentiles of whole numbers, as whole numbers.
fn statistics(mut values: Vec<i64>) -> Value {
    values.sort_unstable();
    let sum: i64 = values.iter().sum();
    let count = values.len().max(1) as i64;
    json!({
        "min": values.first().copied().unwrap_or(0),
        "max": values.last().copied().unwrap_or(0),
        "avg": sum / count,
        "sum": sum,
        "median": percentile(&values, 50.0),
        "p25": percentile(&values, 25.0),
        "p75": percentile(&values, 75.0),
        "p95": percentile(&values, 95.0),
    })
}

/// The percentile of sorted values, interpolated at position `p (n + 1) / 100`, as Flink's statistics library does it.
fn percentile(sorted: &[i64], p: f64) -> i64 {
    let position = p * (sorted.len() as f64 + 1.0) / 100.0;
    let below = position.floor();
    let index = below as usize;
    match (sorted.first(), sorted.last()) {
        (Some(first), _) if index < 1 => *first,
        (_, Some(last)) if index >= sorted.len() => *last,
        (Some(_), Some(_)) => {
            let (low, high) = (sorted[index - 1] as f64, sorted[index] as f64);
            (low + (position - below) * (high - low)) as i64
        }
        _ => 0,
    }
}

impl<'a> VertexView<'a> {
    /// The executor on which an attempt runs, ran or will run.
    pub fn executor(&self, execution: &'a Execution) -> Option<&'a ExecutorId> {
        self.job.job.executor_of(execution)
    }

    /// The attempts with their subtask's index.
    pub fn subtasks(&self) -> impl Iterator<Item = (u32, &'a Execution)> {
        (0..).zip(self.executions)
    }

    /// What an attempt does per second.
    pub fn rate(&self, subtask: u32, execution: &Execution) -> Rate {
        let id = execution.id(self.vertex.id, subtask);
        self.job.samples.rate(self.job.id, id, execution, self.job.now)
    }

    /// `host:port` where an attempt runs.
    pub fn endpoint(&self, execution: &Execution) -> String {
        self.executor(execution).map_or_else(|| UNASSIGNED.to_string(), |e| self.job.endpoint(e))
    }

    /// The host where an attempt runs.
    pub fn host(&self, execution: &Execution) -> String {
        self.executor(execution).map_or_else(|| UNASSIGNED.to_string(), |e| self.job.host(e))
    }

    /// The states of all attempts.
    pub fn states(&self) -> Vec<TaskState> {
        self.executions.iter().map(|e| e.state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TaskState::{Canceled, Created, Failed, Finished, Running, Scheduled};

    #[test]
    fn percentiles_are_those_of_flink() {
        let values = statistics(vec![37_608, 37_600]);
        assert_eq!(values["median"], 37_604);
        assert_eq!((&values["p25"], &values["p95"]), (&json!(37_600), &json!(37_608)));
        let four = statistics(vec![1, 2, 3, 4]);
        assert_eq!((&four["median"], &four["avg"], &four["sum"]), (&json!(2), &json!(2), &json!(10)));
        assert_eq!(statistics(Vec::new())["max"], 0);
    }

    #[test]
    fn a_vertex_has_the_state_that_matters_most() {
        assert_eq!(common_state(&[Running, Failed, Canceled]), Failed);
        assert_eq!(common_state(&[Finished, Running]), Running);
        assert_eq!(common_state(&[Finished, Scheduled]), Running);
        assert_eq!(common_state(&[Finished, Finished]), Finished);
        assert_eq!(common_state(&[Scheduled, Created]), Created);
    }

    #[test]
    fn a_state_lasts_until_the_next_one() {
        let mut execution = Execution::new(Millis(100), 0);
        execution.enter(Millis(110), Scheduled);
        execution.enter(Millis(150), Running);
        let durations = state_durations(&execution, Millis(175));
        let of = |state: &str| durations[state];
        assert_eq!((of("CREATED"), of("SCHEDULED"), of("DEPLOYING"), of("RUNNING")), (10, 40, -1, 25));
    }
}
