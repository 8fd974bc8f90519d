//! A checkpoint that is under way: who must still acknowledge, and what the others handed over.

use super::tasks::{Plan, Tasks};
use super::{CallerId, StopWish};
use crate::accumulator::Results;
use crate::checkpoint::message::{SnapshotKind, TaskSnapshot};
use crate::checkpoint::metadata::{CheckpointMetadata, OperatorState};
use crate::checkpoint::state::{Redistribution, StateHandle, SubtaskState};
use crate::graph::TaskRef;
use crate::graph::operator_ids_of;
use crate::ids::{ExecutionId, JobId, VertexId};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Tasks take their snapshots.
    Collecting,
    /// All have; the metadata is being stored.
    Storing(Arc<CheckpointMetadata>),
}

/// A checkpoint under way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub id: u64,
    pub kind: SnapshotKind,
    pub triggered: Millis,
    pub expires: Millis,
    pub caller: Option<CallerId>,
    /// For a savepoint: where its directory was made.
    pub made_in: Option<String>,
    /// What is to become of the job once it is stored.
    pub wish: StopWish,
    /// Its own directory; none where state is inline.
    pub directory: Option<String>,
    /// The checkpoint whose files it may refer to, kept until it is known which it does.
    pub base: Option<Arc<CheckpointMetadata>>,
    pub plan: Plan,
    pub phase: Phase,
    /// A task of the plan has failed while the metadata was being stored.
    pub broken: bool,
    missing: BTreeSet<ExecutionId>,
    snapshots: BTreeMap<(VertexId, u32), TaskSnapshot>,
}

impl Pending {
    pub fn new(
        id: u64,
        kind: SnapshotKind,
        triggered: Millis,
        timeout: Millis,
        directory: Option<String>,
        plan: Plan,
    ) -> Pending {
        Pending {
            id,
            kind,
            triggered,
            expires: triggered.plus(timeout),
            caller: None,
            made_in: None,
            wish: StopWish::GoOn,
            directory,
            base: None,
            phase: Phase::Collecting,
            broken: false,
            missing: plan.running.iter().copied().collect(),
            snapshots: BTreeMap::new(),
            plan,
        }
    }

    /// Takes a snapshot. Says whether it was still missing.
    pub fn acknowledge(&mut self, execution: ExecutionId, snapshot: TaskSnapshot) -> bool {
        let wanted = self.missing.remove(&execution);
        if wanted {
            self.snapshots.insert((execution.vertex, execution.subtask), snapshot);
        }
        wanted
    }

    /// Whether this attempt has not acknowledged, but should.
    pub fn misses(&self, execution: ExecutionId) -> bool {
        self.missing.contains(&execution)
    }

    /// Whether this attempt belongs to it.
    pub fn includes(&self, execution: ExecutionId) -> bool {
        let known = (execution.vertex, execution.subtask);
        self.misses(execution)
            || self.snapshots.contains_key(&known) && self.plan.running.contains(&execution)
    }

    /// Whether all have acknowledged.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    pub fn is_storing(&self) -> bool {
        matches!(self.phase, Phase::Storing(_))
    }

    /// Whether, once stored, it is what the job would be restored from.
    pub fn is_restore_point(&self) -> bool {
        !matches!(self.kind, SnapshotKind::Savepoint { .. })
    }

    /// Files that tasks wrote, or refer to, outside of its own directory, as far as they have said so.
    pub fn shared_files(&self) -> BTreeSet<&str> {
        let states = self.snapshots.values().flat_map(|s| s.operators.values());
        states.flat_map(SubtaskState::handles).filter_map(StateHandle::shared_file).collect()
    }

    /// Files that it may turn out to refer to.
    pub fn base_files(&self) -> BTreeSet<&str> {
        let base = self.base.as_ref().filter(|_| !self.is_complete());
        base.map(|metadata| metadata.shared_files()).unwrap_or_default()
    }

    /// All that was handed over, by operator.
    ///
    /// # Errors
    /// A vertex of which only some tasks have finished uses union list state: nobody would know what the others had.
    pub fn metadata(
        &self,
        job_id: JobId,
        tasks: &Tasks,
        results: &BTreeMap<(VertexId, u32), Results>,
    ) -> Result<CheckpointMetadata, String> {
        let mut operators = Vec::new();
        for (index, vertex) in tasks.vertices.iter().enumerate() {
            let finished =
                (0..vertex.parallelism).filter(|i| self.had_finished(index, vertex.id, *i)).count();
            let all = finished == vertex.parallelism as usize;
            for operator in operator_ids_of(vertex.id, &vertex.operators) {
                let subtasks = self.states(vertex.id, operator);
                if finished > 0 && !all && uses_union(&subtasks) {
                    return Err(format!(
                        "The vertex {} (id = {}) has used UnionListState, but part of its tasks has finished",
                        vertex.name, vertex.id
                    ));
                }
                let info = vertex.operators.iter().find(|o| o.id == operator);
                let left = |i: u32| Some((i, results.get(&(vertex.id, i))?.clone()));
                let is_head = operator_ids_of(vertex.id, &vertex.operators).next() == Some(operator);
                let gone =
                    (0..vertex.parallelism).filter(|i| is_head && self.had_finished(index, vertex.id, *i));
                operators.push(OperatorState {
                    id: operator,
                    name: info.map_or_else(|| vertex.name.clone(), |o| o.name.clone()),
                    uid: info.and_then(|o| o.uid.clone()),
                    parallelism: vertex.parallelism,
                    max_parallelism: vertex.max_parallelism,
                    finished: all,
                    subtasks,
                    results: gone.filter_map(left).collect(),
                });
            }
        }
        Ok(CheckpointMetadata {
            job_id,
            checkpoint: self.id,
            kind: self.kind,
            timestamp: self.triggered,
            engine_version: crate::ENGINE_VERSION.to_string(),
            operators,
        })
    }

    fn had_finished(&self, vertex: usize, id: VertexId, subtask: u32) -> bool {
        self.plan.finished.contains(&TaskRef { vertex, subtask })
            || self.snapshots.get(&(id, subtask)).is_some_and(|s| s.finished)
    }

    fn states(&self, vertex: VertexId, operator: VertexId) -> BTreeMap<u32, SubtaskState> {
        self.snapshots
            .range((vertex, 0)..=(vertex, u32::MAX))
            .filter_map(|((_, subtask), s)| Some((*subtask, s.operators.get(&operator)?)))
            .filter(|(_, state)| !state.is_empty())
            .map(|(subtask, state)| (subtask, state.clone()))
            .collect()
    }
}

fn uses_union(subtasks: &BTreeMap<u32, SubtaskState>) -> bool {
    let mut states = subtasks.values().flat_map(|s| &s.operator);
    states.any(|s| s.redistribution == Redistribution::Union)
}
