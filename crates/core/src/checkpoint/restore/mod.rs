//! Restoring: which state of a checkpoint goes to which subtask of a job that may run at another parallelism.
//!
//! [`RestorePlan::new`] checks once that the checkpoint fits the graph; [`RestorePlan::task`] then answers for each task.

mod assign;
mod check;
mod in_flight;
#[cfg(test)]
mod tests;
mod wish;

pub use in_flight::{ChannelLog, InFlight};
pub use wish::RestoreWish;

use super::metadata::CheckpointMetadata;
use super::state::SubtaskState;
use crate::accumulator::Results;
use crate::graph::{JobGraph, JobVertex, TaskRef};
use crate::ids::VertexId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// To whom the files of a checkpoint belong from which a job starts (`execution.state-recovery.claim-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClaimMode {
    /// To the person: the job's own first checkpoint refers to none of them.
    #[default]
    NoClaim,
    /// To the job, which removes them when they are subsumed.
    Claim,
    /// To the person, though the job's checkpoints refer to them.
    Legacy,
}

impl ClaimMode {
    /// Reads `NO_CLAIM`, `CLAIM` or `LEGACY`, in any case, with `-` or `_`.
    pub fn parse(text: &str) -> Option<ClaimMode> {
        match text.trim().to_ascii_uppercase().replace('-', "_").as_str() {
            "NO_CLAIM" => Some(ClaimMode::NoClaim),
            "CLAIM" => Some(ClaimMode::Claim),
            "LEGACY" => Some(ClaimMode::Legacy),
            _ => None,
        }
    }
}

/// A checkpoint or savepoint from which a new job is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreSource {
    /// What it consists of.
    pub metadata: Arc<CheckpointMetadata>,
    /// The directory it was read from.
    pub directory: String,
    /// To whom its files belong.
    pub claim: ClaimMode,
    /// Whether state may be left out for which there is no operator (`-n`).
    pub allow_non_restored: bool,
}

/// What a task begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRestore {
    /// The checkpoint's number. What was prepared for it and before it is to be committed, if that has not been done.
    pub checkpoint: u64,
    /// The directory in which [`super::StateFile::Own`] names are found; none where all state is inline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The task had finished: it emits the end of its output at once, and takes part in checkpoints without state.
    #[serde(default)]
    pub finished: bool,
    /// By operator: the state, and only that, which this subtask is to have. Operators without state are left out.
    #[serde(default)]
    pub operators: BTreeMap<VertexId, SubtaskState>,
    /// By output: what was in flight behind it and is to be sent again before anything else, also by a task that had
    /// finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<InFlight>,
}

impl RestoreSource {
    /// Gives vertices whose maximum parallelism nobody has set the one under which their state was taken. Flink:
    /// `StateAssignmentOperation.checkParallelismPreconditions`.
    pub fn set_max_parallelism(&self, graph: &mut JobGraph) {
        let operators = self.metadata.operators.iter();
        let known: BTreeMap<VertexId, u32> = operators.map(|o| (o.id, o.max_parallelism)).collect();
        graph.take_over_max_parallelism(|id| known.get(&id).copied());
    }
}

/// A checkpoint that does not fit the job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is state for which there is no operator.
    #[error(
        "Failed to rollback to checkpoint/savepoint {path}. Cannot map checkpoint/savepoint state for operator {operator} \
         to the new program, because the operator is not available in the new program. If you want to allow to skip this, \
         you can set the --allowNonRestoredState option on the CLI."
    )]
    NoOperator {
        /// Where the checkpoint is.
        path: String,
        /// The operator's uid, name and id.
        operator: String,
    },
    /// The parallelism is above the number of key groups.
    #[error(
        "The state for task {vertex} can not be restored. The maximum parallelism ({max}) of the restored state is lower \
         than the configured parallelism ({parallelism}). Please reduce the parallelism of the task to be lower or equal to \
         the maximum parallelism."
    )]
    ParallelismTooHigh {
        /// The vertex' name.
        vertex: String,
        /// Key groups in the checkpoint.
        max: u32,
        /// Subtasks in the job.
        parallelism: u32,
    },
    /// The number of key groups is another.
    #[error(
        "The state for task {vertex} can not be restored. The maximum parallelism ({found}) of the restored state does not \
         equal the maximum parallelism ({configured}) that is set for the task: set pipeline.max-parallelism, or the operator's \
         maximum parallelism, to {found}, or do not set it."
    )]
    MaxParallelism {
        /// The vertex' name.
        vertex: String,
        /// Key groups in the checkpoint.
        found: u32,
        /// Key groups in the job.
        configured: u32,
    },
    /// Some operators of a chain had finished, others not.
    #[error(
        "Can not restore vertex {vertex} which contain mixed operator finished state: {finished} had finished, {other} had not"
    )]
    MixedFinished {
        /// The vertex' name.
        vertex: String,
        /// An operator that had finished.
        finished: String,
        /// One that had not.
        other: String,
    },
    /// A finished vertex would get input again.
    #[error(
        "Illegal JobGraph modification. Cannot run a program with fully finished vertices predeceased with the ones not fully \
         finished: task vertex {vertex} had finished, its input {input} had not"
    )]
    FinishedBehindUnfinished {
        /// The vertex that had finished.
        vertex: String,
        /// The one before it.
        input: String,
    },
}

/// A checkpoint that fits a graph.
#[derive(Debug, Clone)]
pub struct RestorePlan {
    metadata: Arc<CheckpointMetadata>,
    directory: Option<String>,
    /// Position of each operator in the metadata.
    operators: BTreeMap<VertexId, usize>,
    /// By vertex of the graph: whether it had finished.
    finished: Vec<bool>,
}

impl RestorePlan {
    /// Checks that a checkpoint fits a graph.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn new(
        graph: &JobGraph,
        metadata: Arc<CheckpointMetadata>,
        directory: Option<String>,
        allow_non_restored: bool,
    ) -> Result<RestorePlan, RestoreError> {
        let plan = RestorePlan::known_to_fit(graph, metadata, directory);
        if !allow_non_restored {
            plan.check_unclaimed(graph)?;
        }
        for vertex in &graph.vertices {
            plan.check_vertex(vertex)?;
            plan.check_finished(vertex)?;
        }
        plan.check_finished_order(graph)?;
        Ok(plan)
    }

    /// For a checkpoint that the job took itself, or that [`RestorePlan::new`] has found to fit.
    pub fn known_to_fit(
        graph: &JobGraph,
        metadata: Arc<CheckpointMetadata>,
        directory: Option<String>,
    ) -> RestorePlan {
        let operators: BTreeMap<VertexId, usize> =
            metadata.operators.iter().enumerate().map(|(i, o)| (o.id, i)).collect();
        let finished = |id| operators.get(&id).is_some_and(|i| metadata.operators[*i].finished);
        let finished = graph.vertices.iter().map(|v| v.operator_ids().all(finished)).collect();
        RestorePlan { metadata, directory, operators, finished }
    }

    /// What a task begins with.
    pub fn task(&self, graph: &JobGraph, task: TaskRef) -> TaskRestore {
        let vertex = &graph.vertices[task.vertex];
        let operators = vertex
            .operator_ids()
            .filter_map(|id| Some((id, self.state_of(vertex, id, task.subtask)?)))
            .filter(|(_, state)| !state.is_empty())
            .collect();
        TaskRestore {
            checkpoint: self.metadata.checkpoint,
            directory: self.directory.clone(),
            finished: self.finished.get(task.vertex).copied().unwrap_or(false),
            operators,
            in_flight: self.in_flight(graph, task),
        }
    }

    /// What earlier attempts of a task, which had finished, have left for the job's result. At another parallelism the first
    /// subtask has all of it.
    pub fn results(&self, graph: &JobGraph, task: TaskRef) -> Results {
        let vertex = &graph.vertices[task.vertex];
        let Some(state) = self.head_state(vertex) else { return Results::new() };
        if state.parallelism == vertex.parallelism {
            return state.results.get(&task.subtask).cloned().unwrap_or_default();
        }
        let mut all = Results::new();
        for (name, values) in state.results.values().filter(|_| task.subtask == 0).flatten() {
            all.entry(name.clone()).or_default().extend(values.iter().cloned());
        }
        all
    }

    /// The checkpoint's number.
    pub fn checkpoint(&self) -> u64 {
        self.metadata.checkpoint
    }

    fn path(&self) -> String {
        self.directory.clone().unwrap_or_else(|| self.metadata.checkpoint.to_string())
    }

    fn state_of(&self, vertex: &JobVertex, operator: VertexId, subtask: u32) -> Option<SubtaskState> {
        let state = &self.metadata.operators[*self.operators.get(&operator)?];
        Some(assign::share(state, subtask, vertex.parallelism))
    }
}
