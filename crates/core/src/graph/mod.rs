//! What a program asked for: the job graph, which subtasks its edges connect, and which of them stand or fall together.

mod job_graph;
pub mod pointwise;
mod regions;

pub(crate) use job_graph::operator_ids_of;
pub use job_graph::{
    Exchange, GraphError, JobEdge, JobGraph, JobVertex, OperatorInfo, Partitioning, RuntimeMode,
};
pub use regions::{TaskRef, all_tasks, least_slots, pipelined_regions};
