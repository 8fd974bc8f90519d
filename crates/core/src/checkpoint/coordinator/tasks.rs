//! What the coordinator knows of the job's tasks: the attempt that runs of each, and whom to tell of a checkpoint.

use crate::graph::pointwise::producers_of;
use crate::graph::{JobGraph, OperatorInfo, Partitioning, TaskRef};
use crate::ids::{ExecutionId, VertexId};
use std::collections::{BTreeMap, BTreeSet};

/// Where a task stands, as far as checkpoints go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskStatus {
    /// Not running (yet, or any more).
    Absent,
    /// Running.
    Running,
    /// Running, but it has read all its input and finished its operators.
    EndOfData,
    /// Ended, with all its output written.
    Finished,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    attempt: u32,
    status: TaskStatus,
}

/// A vertex, as far as checkpoints go.
#[derive(Debug, Clone)]
pub(super) struct Vertex {
    pub id: VertexId,
    pub operators: Vec<OperatorInfo>,
    pub name: String,
    pub parallelism: u32,
    pub max_parallelism: u32,
    /// Position of the producing vertex, and how its subtasks are connected.
    inputs: Vec<(usize, Partitioning)>,
    tasks: Vec<Task>,
    finished: u32,
}

/// All tasks of a job.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    pub vertices: Vec<Vertex>,
    index: BTreeMap<VertexId, usize>,
    absent: usize,
    ended: usize,
    finished: usize,
    all: usize,
}

/// Who takes part in a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Who is told, and sends barriers to the others.
    pub trigger: Vec<ExecutionId>,
    /// Who must acknowledge.
    pub running: Vec<ExecutionId>,
    /// Who had finished before.
    pub finished: BTreeSet<TaskRef>,
    /// Whether everybody who runs has reached the end of its data.
    pub end_of_data: bool,
}

impl Tasks {
    pub fn new(graph: &JobGraph) -> Tasks {
        let index: BTreeMap<VertexId, usize> =
            graph.vertices.iter().enumerate().map(|(i, v)| (v.id, i)).collect();
        let vertices: Vec<Vertex> = graph
            .vertices
            .iter()
            .map(|v| Vertex {
                id: v.id,
                operators: v.operators.clone(),
                name: v.name.clone(),
                parallelism: v.parallelism,
                max_parallelism: v.max_parallelism,
                inputs: graph
                    .inputs(v.id)
                    .filter_map(|e| Some((*index.get(&e.source)?, e.partitioning)))
                    .collect(),
                tasks: vec![Task { attempt: 0, status: TaskStatus::Absent }; v.parallelism as usize],
                finished: 0,
            })
            .collect();
        let all = vertices.iter().map(|v| v.tasks.len()).sum();
        Tasks { vertices, index, absent: all, ended: 0, finished: 0, all }
    }

    /// An attempt has entered a status. Says whether that is news.
    pub fn enter(&mut self, execution: ExecutionId, status: TaskStatus) -> bool {
        let Some(&vertex) = self.index.get(&execution.vertex) else { return false };
        let Some(task) = self.vertices[vertex].tasks.get_mut(execution.subtask as usize) else {
            return false;
        };
        let before = *task;
        if before.attempt == execution.attempt && before.status == status {
            return false;
        }
        *task = Task { attempt: execution.attempt, status };
        self.count(vertex, before.status, false);
        self.count(vertex, status, true);
        true
    }

    fn count(&mut self, vertex: usize, status: TaskStatus, more: bool) {
        let change = |n: &mut usize| if more { *n += 1 } else { *n -= 1 };
        match status {
            TaskStatus::Absent => change(&mut self.absent),
            TaskStatus::Running => {}
            TaskStatus::EndOfData => change(&mut self.ended),
            TaskStatus::Finished => {
                change(&mut self.finished);
                let finished = &mut self.vertices[vertex].finished;
                if more { *finished += 1 } else { *finished -= 1 }
            }
        }
    }

    /// The attempt that is known of a task runs no more.
    pub fn leave(&mut self, task: TaskRef) {
        let vertex = &self.vertices[task.vertex];
        if let Some(known) = vertex.tasks.get(task.subtask as usize) {
            let (id, attempt) = (vertex.id, known.attempt);
            self.enter(ExecutionId { vertex: id, subtask: task.subtask, attempt }, TaskStatus::Absent);
        }
    }

    /// Whether this attempt is the one that runs.
    pub fn runs(&self, execution: ExecutionId) -> bool {
        let task = self.index.get(&execution.vertex).and_then(|v| {
            self.vertices[*v].tasks.get(execution.subtask as usize).filter(|t| t.attempt == execution.attempt)
        });
        task.is_some_and(|t| matches!(t.status, TaskStatus::Running | TaskStatus::EndOfData))
    }

    /// Whether every task runs or has finished, and at least one runs.
    pub fn ready(&self) -> bool {
        self.absent == 0 && self.finished < self.all
    }

    /// Whether any task has finished.
    pub fn any_finished(&self) -> bool {
        self.finished > 0
    }

    /// Whether every task that runs has reached the end of its data.
    pub fn end_of_data(&self) -> bool {
        self.ready() && self.ended + self.finished == self.all
    }

    /// The attempts that run.
    pub fn running(&self) -> Vec<ExecutionId> {
        self.each().filter(|(_, _, t)| is_running(t.status)).map(|(_, id, _)| id).collect()
    }

    /// Who takes part now.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan { end_of_data: self.end_of_data(), ..Plan::default() };
        for (task, id, state) in self.each() {
            match state.status {
                TaskStatus::Finished => {
                    plan.finished.insert(task);
                }
                status if is_running(status) => {
                    plan.running.push(id);
                    if self.is_first(task) {
                        plan.trigger.push(id);
                    }
                }
                _ => {}
            }
        }
        plan
    }

    /// Whether no running task stands before this one.
    fn is_first(&self, task: TaskRef) -> bool {
        let vertex = &self.vertices[task.vertex];
        vertex.inputs.iter().all(|(from, partitioning)| {
            let producers = &self.vertices[*from];
            producers.finished == producers.parallelism
                || producers.finished > 0
                    && producers_of(*partitioning, producers.parallelism, vertex.parallelism, task.subtask)
                        .all(|p| producers.tasks[p as usize].status == TaskStatus::Finished)
        })
    }

    fn each(&self) -> impl Iterator<Item = (TaskRef, ExecutionId, Task)> {
        self.vertices.iter().enumerate().flat_map(|(vertex, v)| {
            (0..v.parallelism).zip(&v.tasks).map(move |(subtask, task)| {
                let id = ExecutionId { vertex: v.id, subtask, attempt: task.attempt };
                (TaskRef { vertex, subtask }, id, *task)
            })
        })
    }
}

fn is_running(status: TaskStatus) -> bool {
    matches!(status, TaskStatus::Running | TaskStatus::EndOfData)
}
