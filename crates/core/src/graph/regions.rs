//! Pipelined regions: the subtasks that must run, fail and restart together.
//!
//! Blocking exchanges cut regions apart. Where that would let two regions wait for each other, they are one.

use super::pointwise::consumers_of;
use super::{Exchange, JobGraph};
use crate::ids::VertexId;
use std::collections::{BTreeMap, BTreeSet};

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
    let mut pipelined = false;
    for (producer, consumer) in links(graph, &first, Exchange::PipelinedBounded) {
        sets.join(producer, consumer);
        pipelined = true;
    }
    let blocking: Vec<(usize, usize)> = links(graph, &first, Exchange::Blocking).collect();
    if pipelined && !blocking.is_empty() {
        join_cycles(&mut sets, &blocking, tasks.len());
    }
    let mut regions: BTreeMap<usize, Vec<TaskRef>> = BTreeMap::new();
    for (position, task) in tasks.iter().enumerate() {
        regions.entry(sets.find(position)).or_default().push(*task);
    }
    let mut regions: Vec<_> = regions.into_values().collect();
    regions.sort();
    regions
}

/// The least number of slots with which a graph can be run: in batch mode what its widest region needs at once, for regions
/// run after one another.
pub fn least_slots(graph: &JobGraph) -> u32 {
    if !graph.runs_by_stage() {
        return graph.required_slots();
    }
    let slots = |region: &Vec<TaskRef>| {
        let group = |task: &TaskRef| graph.vertices[task.vertex].slot_sharing_group.as_str();
        region.iter().map(|task| (group(task), task.subtask)).collect::<BTreeSet<_>>().len() as u32
    };
    pipelined_regions(graph).iter().map(slots).max().unwrap_or_default()
}

/// The pairs of subtasks, by position, that edges of one kind connect.
fn links<'a>(
    graph: &'a JobGraph,
    first: &'a BTreeMap<VertexId, (usize, u32)>,
    exchange: Exchange,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let edges = graph.edges.iter().filter(move |edge| edge.exchange == exchange);
    edges.flat_map(move |edge| {
        let (from, producers) = first.get(&edge.source).copied().unwrap_or_default();
        let (to, consumers) = first.get(&edge.target).copied().unwrap_or_default();
        (0..producers).flat_map(move |producer| {
            let near = consumers_of(edge.partitioning, producers, consumers, producer);
            near.map(move |consumer| (from + producer as usize, to + consumer as usize))
        })
    })
}

/// Joins the sets that reach each other over blocking links: neither could begin before the other has ended.
fn join_cycles(sets: &mut DisjointSets, blocking: &[(usize, usize)], tasks: usize) {
    let mut forward: Vec<Vec<usize>> = vec![Vec::new(); tasks];
    let mut backward: Vec<Vec<usize>> = vec![Vec::new(); tasks];
    for &(from, to) in blocking {
        let (from, to) = (sets.find(from), sets.find(to));
        forward[from].push(to);
        backward[to].push(from);
    }
    let mut order = Vec::with_capacity(tasks);
    let mut seen = vec![false; tasks];
    for set in 0..tasks {
        visit(set, &forward, &mut seen, &mut order);
    }
    // Kosaraju: against the arrows, in the opposite order of leaving, each search finds one strongly connected part.
    let mut seen = vec![false; tasks];
    for &set in order.iter().rev() {
        let mut part = Vec::new();
        visit(set, &backward, &mut seen, &mut part);
        part.iter().for_each(|member| sets.join(set, *member));
    }
}

/// Depth first, without recursion: adds every node that is reached for the first time, when it is left.
fn visit(start: usize, next: &[Vec<usize>], seen: &mut [bool], left: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut path = vec![(start, 0)];
    while let Some((node, at)) = path.last_mut() {
        match next[*node].get(*at) {
            Some(&to) => {
                *at += 1;
                if !std::mem::replace(&mut seen[to], true) {
                    path.push((to, 0));
                }
            }
            None => {
                left.push(*node);
                path.pop();
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{JobEdge, JobVertex, Partitioning, RuntimeMode};

    fn vertex(id: u128) -> JobVertex {
        JobVertex {
            id: VertexId(id),
            name: String::new(),
            operators: Vec::new(),
            parallelism: 2,
            max_parallelism: 128,
            max_parallelism_derived: false,
            slot_sharing_group: "default".into(),
            source: id == 1,
            bounded: true,
            alignment_groups: Vec::new(),
        }
    }

    fn graph(edges: &[(u128, u128, Partitioning, Exchange)]) -> JobGraph {
        let edge = |(input, (from, to, partitioning, exchange)): (usize, &(u128, u128, _, _))| JobEdge {
            source: VertexId(*from),
            output: input as u32,
            target: VertexId(*to),
            input: input as u32,
            partitioning: *partitioning,
            exchange: *exchange,
        };
        let vertices = (1..=3).map(vertex).collect();
        let edges = edges.iter().enumerate().map(edge).collect();
        JobGraph { mode: RuntimeMode::Batch, vertices, edges, ..JobGraph::default() }
    }

    #[test]
    fn blocking_edges_cut_regions_and_those_that_wait_for_each_other_are_one() {
        use Exchange::{Blocking, PipelinedBounded};
        use Partitioning::{Forward, Hash};
        let cut = graph(&[(1, 2, Hash, Blocking), (2, 3, Forward, PipelinedBounded)]);
        let sizes = |graph: &JobGraph| pipelined_regions(graph).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&cut), [1, 1, 2, 2]);
        assert_eq!((cut.required_slots(), least_slots(&cut)), (2, 1));
        // Each producer's own consumer runs with it, and waits for what the other producer keeps.
        let cycle = graph(&[(1, 2, Forward, PipelinedBounded), (1, 2, Hash, Blocking)]);
        assert_eq!(sizes(&cycle), [4, 1, 1]);
        assert_eq!(least_slots(&cycle), 2);
    }
}
