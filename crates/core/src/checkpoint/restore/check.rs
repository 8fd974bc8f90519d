//! Whether a checkpoint fits a graph.

use super::{RestoreError, RestorePlan};
use crate::checkpoint::metadata::OperatorState;
use crate::graph::{JobGraph, JobVertex};
use crate::ids::VertexId;
use std::collections::BTreeSet;

impl RestorePlan {
    /// State must find its operator. An operator that had none to hand over may be gone.
    pub(super) fn check_unclaimed(&self, graph: &JobGraph) -> Result<(), RestoreError> {
        let known: BTreeSet<VertexId> = graph.vertices.iter().flat_map(JobVertex::operator_ids).collect();
        match self.metadata.operators.iter().find(|o| o.has_state() && !known.contains(&o.id)) {
            Some(operator) => {
                Err(RestoreError::NoOperator { path: self.path(), operator: operator.described() })
            }
            None => Ok(()),
        }
    }

    pub(super) fn check_vertex(&self, vertex: &JobVertex) -> Result<(), RestoreError> {
        for state in self.states_of(vertex) {
            let mut states = state.subtasks.values();
            if states.any(|s| !s.keyed.is_empty()) {
                check_key_groups(vertex, state)?;
            }
        }
        Ok(())
    }

    /// All operators of a vertex had finished, or none had. An operator that is new in a chain has not.
    pub(super) fn check_finished(&self, vertex: &JobVertex) -> Result<(), RestoreError> {
        let mut finished = None;
        let mut other = None;
        for id in vertex.operator_ids() {
            match self.operators.get(&id).map(|i| &self.metadata.operators[*i]) {
                Some(state) if state.finished => finished = Some(state.described()),
                Some(state) => other = Some(state.described()),
                None => other = Some(format!("a new operator (id {id})")),
            }
        }
        match (finished, other) {
            (Some(finished), Some(other)) => {
                Err(RestoreError::MixedFinished { vertex: vertex.name.clone(), finished, other })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_finished_order(&self, graph: &JobGraph) -> Result<(), RestoreError> {
        let position = |id| graph.vertices.iter().position(|v| v.id == id);
        for edge in &graph.edges {
            let (Some(from), Some(to)) = (position(edge.source), position(edge.target)) else { continue };
            if self.finished[to] && !self.finished[from] {
                return Err(RestoreError::FinishedBehindUnfinished {
                    vertex: graph.vertices[to].name.clone(),
                    input: graph.vertices[from].name.clone(),
                });
            }
        }
        Ok(())
    }

    fn states_of<'a>(&'a self, vertex: &'a JobVertex) -> impl Iterator<Item = &'a OperatorState> + 'a {
        vertex.operator_ids().filter_map(|id| Some(&self.metadata.operators[*self.operators.get(&id)?]))
    }
}

fn check_key_groups(vertex: &JobVertex, state: &OperatorState) -> Result<(), RestoreError> {
    let name = || vertex.name.clone();
    if vertex.parallelism > state.max_parallelism {
        return Err(RestoreError::ParallelismTooHigh {
            vertex: name(),
            max: state.max_parallelism,
            parallelism: vertex.parallelism,
        });
    }
    if vertex.max_parallelism != state.max_parallelism {
        return Err(RestoreError::MaxParallelism {
            vertex: name(),
            found: state.max_parallelism,
            configured: vertex.max_parallelism,
        });
    }
    Ok(())
}
