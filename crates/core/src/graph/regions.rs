//! Pipelined regions: the subtasks that must run, fail and restart together.

use super::pointwise::consumers_of;
use super::{Exchange, JobGraph};
use crate::ids::VertexId;
use std::collections::BTreeMap;

/// A subtask by position: index of its vertex in [`JobGraph::vertices`], and its own index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    /// Index of the vertex in the graph.
    pub vertex: usize,
    /// Index of the subtask.
    pub subtask: u32,
}

/// The subtasks of a graph, grouped by the pipelined exchanges that connect them, in order of their first subtask.
pub fn pipelined_regions(graph: &JobGraph) -> Vec<Vec<TaskRef>> {
    let tasks: Vec<TaskRef> = all_tasks(graph).collect();
    let first = first_task_of_each_vertex(graph);
    let mut sets = DisjointSets::new(tasks.len());
    for edge in graph.edges.iter().filter(|e| e.exchange == Exchange::PipelinedBounded) {
        let (Some(&(from, producers)), Some(&(to, consumers))) =
            (first.get(&edge.source), first.get(&edge.target))
        else {
            continue;
        };
        for producer in 0..producers {
            for consumer in consumers_of(edge.partitioning, producers, consumers, producer) {
                sets.join(from + producer as usize, to + consumer as usize);
            }
        }
    }
    let mut regions: BTreeMap<usize, Vec<TaskRef>> = BTreeMap::new();
    for (position, task) in tasks.iter().enumerate() {
        regions.entry(sets.find(position)).or_default().push(*task);
    }
    let mut regions: Vec<_> = regions.into_values().collect();
    regions.sort();
    regions
}

/// Every subtask of a graph, in topological order of the vertices.
pub fn all_tasks(graph: &JobGraph) -> impl Iterator<Item = TaskRef> + '_ {
    graph
        .vertices
        .iter()
        .enumerate()
        .flat_map(|(vertex, v)| (0..v.parallelism).map(move |subtask| TaskRef { vertex, subtask }))
}

fn first_task_of_each_vertex(graph: &JobGraph) -> BTreeMap<VertexId, (usize, u32)> {
    let mut position = 0;
    let mut first = BTreeMap::new();
    for vertex in &graph.vertices {
        first.insert(vertex.id, (position, vertex.parallelism));
        position += vertex.parallelism as usize;
    }
    first
}

/// Union-find with path halving.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn new(len: usize) -> Self {
        DisjointSets((0..len).collect())
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}
