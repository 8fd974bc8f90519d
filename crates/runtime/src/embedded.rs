//! The embedded cluster: one job in this process, every subtask a thread, no socket, no host.
//!
//! All tasks run at once, the first failure ends the job, nothing is restarted.

use crate::exchange::Exchanges;
use crate::program::Program;
use crate::task::{JobInfo, Reporter, TaskEvent};
use crate::task_host::TaskHost;
use kvick_core::accumulator::{Accumulators, merge_into};
use kvick_core::failure::Failure;
use kvick_core::graph::pointwise::{consumers_of, producers_of};
use kvick_core::graph::{JobEdge, JobGraph, JobVertex};
use kvick_core::ids::ExecutionId;
use kvick_core::job::{JobResult, JobState};
use kvick_core::task::{
    InputDeployment, OutputDeployment, ProducerLocation, TaskDeployment, TaskReport, TaskState,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const ADDRESS: &str = "embedded";

/// Lets a running embedded job be cancelled from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct CancelHandle(Arc<AtomicBool>);

impl CancelHandle {
    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_canceled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs a program to its end.
pub fn run(job: JobInfo, program: Program, cancel: &CancelHandle) -> JobResult {
    let started = Instant::now();
    let job_id = job.job_id;
    let deployments = deployments(&program.graph);
    let mut open: BTreeSet<ExecutionId> = deployments.iter().map(|d| d.execution).collect();
    let (sender, events) = channel::<TaskEvent>();
    let mut host = TaskHost::new(job, program, Exchanges::local(ADDRESS), Reporter::to(sender));
    deployments.into_iter().for_each(|deployment| host.deploy(deployment));
    let mut run = Run::default();
    while !open.is_empty() {
        match events.recv_timeout(Duration::from_millis(50)) {
            Ok(TaskEvent::State(report)) if report.state.is_terminal() => {
                open.remove(&report.execution);
                host.ended(report.execution);
                run.task_ended(report, &host);
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => run.look_at(cancel, &host),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    JobResult {
        job_id,
        state: run.state(),
        net_runtime_ms: started.elapsed().as_millis() as u64,
        accumulators: run.accumulators,
        failure: run.failure,
    }
}

#[derive(Default)]
struct Run {
    accumulators: Accumulators,
    failure: Option<Failure>,
    canceled: bool,
}

impl Run {
    fn task_ended(&mut self, report: TaskReport, host: &TaskHost) {
        merge_into(&mut self.accumulators, &report.accumulators);
        if report.state == TaskState::Failed && self.failure.is_none() && !self.canceled {
            self.failure = report.failure;
            host.cancel_all();
        }
    }

    fn look_at(&mut self, cancel: &CancelHandle, host: &TaskHost) {
        if cancel.is_canceled() && !self.canceled {
            self.canceled = true;
            host.cancel_all();
        }
    }

    fn state(&self) -> JobState {
        match (&self.failure, self.canceled) {
            (Some(_), _) => JobState::Failed,
            (None, true) => JobState::Canceled,
            (None, false) => JobState::Finished,
        }
    }
}

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
