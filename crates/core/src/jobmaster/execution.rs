//! The execution of a subtask: its current attempt, what it reported, and when it changed state.

use crate::accumulator::{Accumulators, Results, results_in};
use crate::failure::Failure;
use crate::ids::{ExecutionId, ExecutorId, VertexId};
use crate::task::{TaskMetrics, TaskReport, TaskState};
use crate::time::Millis;
use std::collections::BTreeMap;

/// The current attempt of one subtask.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Which attempt, from 0.
    pub attempt: u32,
    /// Its state.
    pub state: TaskState,
    /// When it entered each state that it was in.
    pub entered: BTreeMap<TaskState, Millis>,
    /// The shared slot that it runs in: an index into the job's shared slots.
    pub slot: usize,
    /// Its last counters.
    pub metrics: TaskMetrics,
    /// Its last accumulators.
    pub accumulators: Accumulators,
    /// What earlier attempts, which had finished before the checkpoint that it was restored from, have left for the result.
    pub inherited: Results,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether the task executor knows of this attempt.
    pub deployed: bool,
    /// Where it was deployed.
    pub executor: Option<ExecutorId>,
    /// The checkpoint with whose state it was deployed.
    pub restored_from: Option<u64>,
    /// Where its result is kept, or will be once it has finished; none where it keeps none, or none any more.
    pub result: Option<ExecutorId>,
}

impl Execution {
    /// The first attempt, waiting for its slot.
    pub fn new(now: Millis, slot: usize) -> Execution {
        Execution {
            attempt: 0,
            state: TaskState::Created,
            entered: BTreeMap::from([(TaskState::Created, now)]),
            slot,
            metrics: TaskMetrics::default(),
            accumulators: Accumulators::new(),
            inherited: Results::new(),
            failure: None,
            deployed: false,
            executor: None,
            restored_from: None,
            result: None,
        }
    }

    /// The id of the current attempt.
    pub fn id(&self, vertex: VertexId, subtask: u32) -> ExecutionId {
        ExecutionId { vertex, subtask, attempt: self.attempt }
    }

    /// Enters a state, unless a terminal one was reached before. Says whether anything changed.
    pub fn enter(&mut self, now: Millis, state: TaskState) -> bool {
        if self.state.is_terminal() || self.state == state {
            return false;
        }
        self.state = state;
        self.entered.entry(state).or_insert(now);
        true
    }

    /// Whether its consumers can read its result.
    pub fn keeps_result(&self) -> bool {
        self.state == TaskState::Finished && self.result.is_some()
    }

    /// Takes over what the task reported. A task that was asked to stop may still report that it runs: that is old news.
    pub fn report(&mut self, now: Millis, report: &TaskReport) -> bool {
        self.metrics = report.metrics;
        if !report.accumulators.is_empty() {
            self.accumulators.clone_from(&report.accumulators);
        }
        if self.state == TaskState::Canceling && !report.state.is_terminal() {
            return false;
        }
        let changed = self.enter(now, report.state);
        if changed {
            self.failure.clone_from(&report.failure);
        }
        changed
    }

    /// What it leaves for the job's result when it has finished.
    pub fn results(&self) -> Results {
        let mut all = self.inherited.clone();
        for (name, values) in results_in(&self.accumulators) {
            all.entry(name).or_default().extend(values);
        }
        all
    }

    /// Begins the next attempt, with `first` as the lowest number.
    pub fn restart(&mut self, now: Millis, first: u32) {
        *self = Execution { attempt: first.max(self.attempt + 1), ..Execution::new(now, self.slot) };
        self.enter(now, TaskState::Scheduled);
    }

    /// When the attempt began to be deployed, where it did.
    pub fn started(&self) -> Option<Millis> {
        self.entered.get(&TaskState::Deploying).copied()
    }

    /// When it ended, where it did.
    pub fn ended(&self) -> Option<Millis> {
        self.state.is_terminal().then(|| self.entered.get(&self.state).copied()).flatten()
    }
}
