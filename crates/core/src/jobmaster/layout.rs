//! What follows from a job's graph: its executions, its regions, the slots that it needs.

use super::{Execution, SlotPool};
use crate::graph::{JobGraph, TaskRef, all_tasks, pipelined_regions};
use crate::ids::VertexId;
use crate::time::Millis;
use std::collections::BTreeMap;

/// Where a region stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for slots and workers, then is deployed.
    Waiting,
    /// Its tasks are out.
    Deployed,
    /// A failure: its tasks are being stopped; once they are, and not before this instant, it starts again.
    Restarting(Millis),
}

/// Subtasks that run, fail and restart together.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub tasks: Vec<TaskRef>,
    pub phase: Phase,
}

/// What follows from a graph.
pub(super) struct Layout {
    pub pool: SlotPool,
    pub executions: Vec<Vec<Execution>>,
    pub vertex_index: BTreeMap<VertexId, usize>,
    pub regions: Vec<Region>,
    pub region_of: BTreeMap<TaskRef, usize>,
}

pub(super) fn layout(now: Millis, graph: &JobGraph) -> Layout {
    let pool = SlotPool::for_graph(graph);
    let mut executions: Vec<Vec<Execution>> = vec![Vec::new(); graph.vertices.len()];
    for task in all_tasks(graph) {
        executions[task.vertex].push(Execution::new(now, pool.index_of(graph, task)));
    }
    let waiting = |tasks| Region { tasks, phase: Phase::Waiting };
    let regions: Vec<Region> = pipelined_regions(graph).into_iter().map(waiting).collect();
    let region_of =
        regions.iter().enumerate().flat_map(|(i, r)| r.tasks.iter().map(move |t| (*t, i))).collect();
    let vertex_index = graph.vertices.iter().enumerate().map(|(i, v)| (v.id, i)).collect();
    Layout { pool, executions, vertex_index, regions, region_of }
}
