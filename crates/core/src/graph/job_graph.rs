//! The job graph: chained vertices with stable ids, and the edges between them.
//!
//! A program builds the same graph in every process that runs it; a worker compares its own with the deployed one.
//! The graph carries no code: closures never cross a wire.

use crate::checkpoint::MAX_KEY_GROUPS;
use crate::config::Configuration;
use crate::ids::VertexId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a job is executed (`execution.runtime-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuntimeMode {
    /// Everything runs at once and every update is emitted.
    #[default]
    Streaming,
    /// Bounded input: aggregations emit once, at the end.
    Batch,
}

/// How records of an edge find their consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Partitioning {
    /// Subtask i to subtask i.
    Forward,
    /// By the key group of the record's key.
    Hash,
    /// Round robin over all consumers.
    Rebalance,
    /// Round robin over the consumers nearest by index.
    Rescale,
    /// A random consumer for each record.
    Shuffle,
    /// Every consumer.
    Broadcast,
    /// The first consumer.
    Global,
    /// Chosen by the program's own partitioner.
    Custom,
}

/// Whether the consumer runs with the producer or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Producer and consumer run at the same time; bounded buffers press back.
    #[default]
    PipelinedBounded,
    /// The producer ends first; its result is kept until it was read.
    Blocking,
}

/// An operator of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorInfo {
    /// Stable id: from `uid`, else from the structure of the graph. State is found by it.
    pub id: VertexId,
    /// What `name(…)` said, or the operator's own name.
    pub name: String,
    /// `uid`, where the program gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// A vertex: a chain of operators that runs as one task per subtask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVertex {
    /// The id of the chain's head operator.
    pub id: VertexId,
    /// `a -> b -> c`: the names of the chained operators.
    pub name: String,
    /// The chained operators, head first.
    pub operators: Vec<OperatorInfo>,
    /// Number of subtasks, at least 1.
    pub parallelism: u32,
    /// Number of key groups, from 1 to [`MAX_KEY_GROUPS`]; the most that `parallelism` may ever be.
    pub max_parallelism: u32,
    /// Whether `max_parallelism` only follows from the parallelism, because nobody has set it: then the one under which state
    /// was taken counts.
    #[serde(default)]
    pub max_parallelism_derived: bool,
    /// Subtasks of one group may share a slot.
    pub slot_sharing_group: String,
    /// Whether this vertex has no input.
    pub source: bool,
    /// Whether the input is known to end (for a source), or all inputs do.
    pub bounded: bool,
    /// Groups whose streams wait for each other in event time, and in which each subtask has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alignment_groups: Vec<String>,
}

/// A connection between two vertices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEdge {
    /// The producing vertex.
    pub source: VertexId,
    /// The index of this edge among the outputs of `source`, from 0.
    pub output: u32,
    /// The consuming vertex.
    pub target: VertexId,
    /// The index of this edge among the inputs of `target`, from 0.
    pub input: u32,
    /// How records find their consumer.
    pub partitioning: Partitioning,
    /// Pipelined or blocking.
    #[serde(default)]
    pub exchange: Exchange,
}

/// The graph of one `execute()`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobGraph {
    /// What `execute("name")` said.
    pub name: String,
    /// Streaming or batch.
    #[serde(default)]
    pub mode: RuntimeMode,
    /// In topological order: a producer stands before its consumers.
    pub vertices: Vec<JobVertex>,
    /// In order of (target, input).
    pub edges: Vec<JobEdge>,
    /// What the program itself configured for this job; weaker than nothing, stronger than the cluster's configuration.
    #[serde(default)]
    pub config: Configuration,
}

/// A graph that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// There is nothing to run.
    #[error("the job \"{0}\" has no operators")]
    Empty(String),
    /// Two vertices have one id: a `uid` was used twice.
    #[error(
        "the vertex id {id} is used twice, by \"{first}\" and \"{second}\": every uid must be unique within a job"
    )]
    DuplicateVertex {
        /// The id.
        id: VertexId,
        /// The first vertex' name.
        first: String,
        /// The second vertex' name.
        second: String,
    },
    /// Parallelism 0, or above the maximum.
    #[error(
        "vertex \"{name}\": the parallelism must be from 1 to the maximum parallelism {max}, not {parallelism}"
    )]
    Parallelism {
        /// The vertex' name.
        name: String,
        /// What was asked.
        parallelism: u32,
        /// The maximum parallelism.
        max: u32,
    },
    /// More key groups than there can be, or none.
    #[error(
        "vertex \"{name}\": the maximum parallelism must be from 1 to {MAX_KEY_GROUPS}, not {max}; set it in the program \
         (set_max_parallelism) or the configuration (pipeline.max-parallelism)"
    )]
    MaxParallelism {
        /// The vertex' name.
        name: String,
        /// What was asked.
        max: u32,
    },
    /// An edge that starts or ends nowhere, or goes backwards.
    #[error("an edge from {source_vertex} to {target} does not connect two vertices in topological order")]
    BadEdge {
        /// Where it starts.
        source_vertex: VertexId,
        /// Where it ends.
        target: VertexId,
    },
    /// A forward edge between vertices of different parallelism.
    #[error(
        "a forward edge from \"{from}\" to \"{to}\" needs the same parallelism on both sides, not {left} and {right}"
    )]
    ForwardParallelism {
        /// The producer's name.
        from: String,
        /// The consumer's name.
        to: String,
        /// The producer's parallelism.
        left: u32,
        /// The consumer's parallelism.
        right: u32,
    },
}

impl JobVertex {
    /// The operators that state is found by, head first; the vertex itself stands for them where none are named.
    pub fn operator_ids(&self) -> impl Iterator<Item = VertexId> + '_ {
        operator_ids_of(self.id, &self.operators)
    }
}

/// [`JobVertex::operator_ids`], of its parts.
pub(crate) fn operator_ids_of(
    vertex: VertexId,
    operators: &[OperatorInfo],
) -> impl Iterator<Item = VertexId> + '_ {
    operators.iter().map(|o| o.id).chain(operators.is_empty().then_some(vertex))
}

impl JobEdge {
    /// Whether the producer's result is kept until its consumers have read it.
    pub fn is_blocking(&self) -> bool {
        self.exchange == Exchange::Blocking
    }
}

impl JobGraph {
    /// Whether any result is kept for consumers that begin when it is whole.
    pub fn has_blocking_edges(&self) -> bool {
        self.edges.iter().any(JobEdge::is_blocking)
    }

    /// Whether its regions may run one after another, each with slots for itself alone: in batch mode.
    pub fn runs_by_stage(&self) -> bool {
        self.mode == RuntimeMode::Batch
    }

    /// The vertex of that id.
    pub fn vertex(&self, id: VertexId) -> Option<&JobVertex> {
        self.vertices.iter().find(|v| v.id == id)
    }

    /// The edges into a vertex, by input index.
    pub fn inputs(&self, id: VertexId) -> impl Iterator<Item = &JobEdge> {
        self.edges.iter().filter(move |e| e.target == id)
    }

    /// The edges out of a vertex, by output index.
    pub fn outputs(&self, id: VertexId) -> impl Iterator<Item = &JobEdge> {
        self.edges.iter().filter(move |e| e.source == id)
    }

    /// Gives every vertex whose maximum parallelism nobody has set the one that its operators had `before`, unless its
    /// parallelism is above that. Keyed operators begin a chain, so the head's counts first. What Flink's
    /// `ExecutionJobVertex.canRescaleMaxParallelism` allows.
    pub fn take_over_max_parallelism(&mut self, before: impl Fn(VertexId) -> Option<u32>) {
        for vertex in self.vertices.iter_mut().filter(|vertex| vertex.max_parallelism_derived) {
            let max = vertex.operator_ids().find_map(&before);
            if let Some(max) = max.filter(|max| vertex.parallelism <= *max) {
                vertex.max_parallelism = max;
            }
        }
    }

    /// How many slots the job needs for all of its subtasks side by side: for each slot sharing group, its widest vertex.
    pub fn required_slots(&self) -> u32 {
        let mut widest: BTreeMap<&str, u32> = BTreeMap::new();
        for vertex in &self.vertices {
            let entry = widest.entry(vertex.slot_sharing_group.as_str()).or_default();
            *entry = (*entry).max(vertex.parallelism);
        }
        widest.values().sum()
    }

    /// Checks what every machine relies on: unique ids, sane parallelism, edges in topological order.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), GraphError> {
        if self.vertices.is_empty() {
            return Err(GraphError::Empty(self.name.clone()));
        }
        let mut seen: BTreeMap<VertexId, &JobVertex> = BTreeMap::new();
        for vertex in &self.vertices {
            validate_vertex(vertex)?;
            if let Some(first) = seen.insert(vertex.id, vertex) {
                let (first, second) = (first.name.clone(), vertex.name.clone());
                return Err(GraphError::DuplicateVertex { id: vertex.id, first, second });
            }
        }
        self.validate_edges()
    }

    fn validate_edges(&self) -> Result<(), GraphError> {
        let position: BTreeMap<VertexId, usize> =
            self.vertices.iter().enumerate().map(|(i, v)| (v.id, i)).collect();
        let mut ends = BTreeSet::new();
        for edge in &self.edges {
            let bad = || GraphError::BadEdge { source_vertex: edge.source, target: edge.target };
            let (from, to) = match (position.get(&edge.source), position.get(&edge.target)) {
                (Some(&from), Some(&to)) if from < to => (&self.vertices[from], &self.vertices[to]),
                _ => return Err(bad()),
            };
            if !ends.insert((edge.target, edge.input)) {
                return Err(bad());
            }
            validate_forward(edge, from, to)?;
        }
        Ok(())
    }
}

fn validate_vertex(vertex: &JobVertex) -> Result<(), GraphError> {
    if !(1..=MAX_KEY_GROUPS).contains(&vertex.max_parallelism) {
        return Err(GraphError::MaxParallelism { name: vertex.name.clone(), max: vertex.max_parallelism });
    }
    if vertex.parallelism == 0 || vertex.parallelism > vertex.max_parallelism {
        return Err(GraphError::Parallelism {
            name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            max: vertex.max_parallelism,
        });
    }
    Ok(())
}

fn validate_forward(edge: &JobEdge, from: &JobVertex, to: &JobVertex) -> Result<(), GraphError> {
    if edge.partitioning == Partitioning::Forward && from.parallelism != to.parallelism {
        return Err(GraphError::ForwardParallelism {
            from: from.name.clone(),
            to: to.name.clone(),
            left: from.parallelism,
            right: to.parallelism,
        });
    }
    Ok(())
}
