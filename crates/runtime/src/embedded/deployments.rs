//! Every task of a graph as its first attempt, for whoever runs tasks without a job master.

use super::ADDRESS;
use kvick_core::graph::pointwise::{consumers_of, producers_of};
use kvick_core::graph::{JobEdge, JobGraph, JobVertex};
use kvick_core::ids::ExecutionId;
use kvick_core::task::{InputDeployment, OutputDeployment, ProducerLocation, TaskDeployment};

/// Every task of a graph as its first attempt, all at one address.
pub fn deployments(graph: &JobGraph) -> Vec<TaskDeployment> {
    let mut all = Vec::new();
    for vertex in &graph.vertices {
        for subtask in 0..vertex.parallelism {
            all.push(TaskDeployment {
                restore: None,
                execution: attempt(vertex, subtask),
                inputs: graph.inputs(vertex.id).filter_map(|edge| input(graph, edge, subtask)).collect(),
                outputs: graph.outputs(vertex.id).filter_map(|edge| output(graph, edge, subtask)).collect(),
            });
        }
    }
    all
}

fn attempt(vertex: &JobVertex, subtask: u32) -> ExecutionId {
    ExecutionId { vertex: vertex.id, subtask, attempt: 0 }
}

fn output(graph: &JobGraph, edge: &JobEdge, subtask: u32) -> Option<OutputDeployment> {
    let (from, to) = (graph.vertex(edge.source)?, graph.vertex(edge.target)?);
    let consumers = consumers_of(edge.partitioning, from.parallelism, to.parallelism, subtask);
    Some(OutputDeployment { output: edge.output, consumers: consumers.map(|i| attempt(to, i)).collect() })
}

fn input(graph: &JobGraph, edge: &JobEdge, subtask: u32) -> Option<InputDeployment> {
    let (from, to) = (graph.vertex(edge.source)?, graph.vertex(edge.target)?);
    let producers = producers_of(edge.partitioning, from.parallelism, to.parallelism, subtask)
        .map(|p| ProducerLocation { execution: attempt(from, p), address: ADDRESS.to_string() })
        .collect();
    Some(InputDeployment { input: edge.input, output: edge.output, producers })
}
