//! What a program asked for: the job graph.

mod job_graph;

pub use job_graph::{
    Exchange, GraphError, JobEdge, JobGraph, JobVertex, OperatorInfo, Partitioning, RuntimeMode,
};
