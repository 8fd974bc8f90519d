//! What a job program is once its `main()` has called `execute()`: the graph, and how to make each vertex' tasks.

use crate::exchange::writer::OutputPort;
use crate::task::Task;
use kvick_core::graph::JobGraph;
use kvick_core::ids::VertexId;
use std::collections::BTreeMap;

/// Makes a task of a vertex, given the ports of its outputs by output index.
pub type TaskFactory = Box<dyn Fn(Vec<OutputPort>) -> Box<dyn Task> + Send>;

/// A graph with the code of its vertices.
pub struct Program {
    /// The graph.
    pub graph: JobGraph,
    /// The code, by vertex.
    pub factories: BTreeMap<VertexId, TaskFactory>,
}
