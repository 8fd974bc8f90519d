//! The tasks of a job in this process: deploys, cancels and counts them. Used by the worker and by the embedded cluster.

use crate::error::{TaskError, TaskResult};
use crate::exchange::Exchanges;
use crate::exchange::blocking::{ResultLane, ResultWriter};
use crate::exchange::channel::{ChannelKey, ChannelSender, PEER_GRACE};
use crate::exchange::gate::{ChannelEnd, Gate};
use crate::exchange::in_flight::Restored;
use crate::exchange::writer::{BufferTimeout, OutputPort, Overtaking};
use crate::options;
use crate::program::Program;
use crate::snapshot::SnapshotWriters;
use crate::spill::SpillSettings;
use crate::spill::memory::share;
use crate::state::BackendKind;
use crate::state::store::options::{DEFAULT_MANAGED, managed_per_slot};
use crate::task::{
    self, AccumulatorRegistry, JobInfo, OperatorIdentity, Reporter, TaskContext, TaskControl, TaskCounters,
    TaskThread,
};
use crate::time::{AlignmentGroups, Clock};
use kvick_core::accumulator::Accumulators;
use kvick_core::checkpoint::CheckpointCommand;
use kvick_core::config::options::STATE_BACKEND;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::{JobEdge, JobVertex, OperatorInfo, Partitioning, RuntimeMode};
use kvick_core::ids::ExecutionId;
use kvick_core::task::{TaskDeployment, TaskMetrics, TaskReport, TaskState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tasks of one job in one process.
pub struct TaskHost {
    job: Arc<JobInfo>,
    program: Program,
    exchanges: Arc<Exchanges>,
    reports: Reporter,
    writers: Arc<SnapshotWriters>,
    waits_at_end: bool,
    may_overtake: bool,
    running: BTreeMap<ExecutionId, TaskThread>,
}

impl TaskHost {
    /// A host without tasks; what they report goes to `reports`.
    pub fn new(job: JobInfo, program: Program, exchanges: Exchanges, reports: Reporter) -> TaskHost {
        let waits_at_end = options::waits_at_end(&program.graph, &job.config);
        exchanges.table().results().expect(&program.graph);
        let may_overtake = options::may_overtake(&program.graph, &job.config);
        let (job, exchanges) = (Arc::new(job), Arc::new(exchanges));
        let (writers, running) = (SnapshotWriters::start(), BTreeMap::new());
        TaskHost { job, program, exchanges, reports, writers, waits_at_end, may_overtake, running }
    }

    /// Hands an order to tasks. Those that are not here any more need not hear it.
    pub fn order(&self, executions: &[ExecutionId], command: &CheckpointCommand) {
        if let (CheckpointCommand::Complete { checkpoint }, Some(local)) = (command, &self.job.local) {
            local.completed(*checkpoint);
        }
        for thread in executions.iter().filter_map(|execution| self.running.get(execution)) {
            thread.control.order(command.clone());
        }
    }

    /// Starts a task. What keeps it from starting is reported as the task's failure.
    pub fn deploy(&mut self, deployment: TaskDeployment) {
        let execution = deployment.execution;
        if self.running.contains_key(&execution) {
            crate::log::warn(&format!("task {execution} was deployed twice; the second request is ignored"));
            return;
        }
        match self.start(deployment) {
            Ok(thread) => {
                self.running.insert(execution, thread);
            }
            Err(failure) => self.report_failed(execution, failure),
        }
    }

    fn report_failed(&self, execution: ExecutionId, failure: Failure) {
        let report = TaskReport {
            execution,
            state: TaskState::Failed,
            failure: Some(failure),
            accumulators: Accumulators::new(),
            metrics: TaskMetrics::default(),
        };
        self.reports.state(report);
    }

    fn start(&self, deployment: TaskDeployment) -> Result<TaskThread, Failure> {
        let vertex = self.program.graph.vertex(deployment.execution.vertex);
        let factory = self.program.factories.get(&deployment.execution.vertex);
        let (Some(vertex), Some(factory)) = (vertex, factory) else {
            let message = format!("the program has no vertex {}", deployment.execution.vertex);
            return Err(Failure::new(FailureKind::GraphMismatch, message));
        };
        let context = self.context(vertex, &deployment);
        let task = factory(self.ports(&context, &deployment));
        let gate = self.gate(&context, &deployment);
        let exchanges = Arc::clone(&self.exchanges);
        let control = Arc::clone(&context.control);
        let connect = move |gate: Option<&Arc<Gate>>| connect_inputs(&exchanges, &deployment, gate, &control);
        task::start(task, context, gate, connect).map_err(|error| {
            crate::error::failure_of(&error).wrapped(FailureKind::Error, "cannot start a thread for a task")
        })
    }

    fn context(&self, vertex: &JobVertex, deployment: &TaskDeployment) -> TaskContext {
        TaskContext {
            operator: head_of(vertex),
            restore: deployment.restore.clone().map(Arc::new),
            clock: Clock::system(),
            backend: self.backend(),
            job: Arc::clone(&self.job),
            execution: deployment.execution,
            vertex_name: vertex.name.clone(),
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            control: TaskControl::new(),
            counters: Arc::new(TaskCounters::default()),
            accumulators: Arc::new(AccumulatorRegistry::default()),
            reports: self.reports.clone(),
            writers: Arc::clone(&self.writers),
            batch_memory: self.batch_memory(vertex),
            waits_at_end: self.waits_at_end,
            may_overtake: self.may_overtake,
        }
    }

    /// In batch mode there is state for one key at a time: no store is worth its while.
    fn backend(&self) -> BackendKind {
        match self.program.graph.mode {
            RuntimeMode::Streaming => options::value(&self.job.config, &STATE_BACKEND),
            RuntimeMode::Batch => BackendKind::HashMap,
        }
    }

    /// Whoever has sized the process has checked the option; what cannot be read counts as not set.
    fn batch_memory(&self, vertex: &JobVertex) -> u64 {
        let managed = managed_per_slot(&self.job.config).unwrap_or(DEFAULT_MANAGED);
        share(&self.program.graph, vertex, managed)
    }

    fn ports(&self, context: &TaskContext, deployment: &TaskDeployment) -> Vec<OutputPort> {
        let timeout = BufferTimeout::from_millis(options::buffer_timeout_ms(&self.job.config));
        let sender = |output: u32, consumer: &ExecutionId| {
            let key = ChannelKey { producer: deployment.execution, output, consumer: consumer.subtask };
            let channel = self.exchanges.table().get(key);
            ChannelSender::new(channel, Arc::clone(&context.control), Arc::clone(&context.counters))
        };
        let port = |output: &kvick_core::task::OutputDeployment| {
            let edge = self.edge(deployment.execution, output.output);
            let consumer = edge.and_then(|edge| self.program.graph.vertex(edge.target));
            let in_order = edge.is_some_and(|edge| is_in_order(edge.partitioning));
            OutputPort {
                kept: self.kept(context, deployment.execution, output),
                channels: output.consumers.iter().map(|c| sender(output.output, c)).collect(),
                timeout,
                subtask: deployment.execution.subtask,
                parallelism: context.parallelism,
                consumer_parallelism: consumer.map_or(1, |v| v.parallelism),
                consumer_max_parallelism: consumer.map_or(1, |v| v.max_parallelism),
                overtaking: Overtaking { enabled: self.may_overtake, in_order },
                restored: restored(context, output),
            }
        };
        deployment.outputs.iter().map(port).collect()
    }

    /// Where an output is written that is kept until it is whole; empty for one that is sent.
    fn kept(
        &self,
        context: &TaskContext,
        producer: ExecutionId,
        output: &kvick_core::task::OutputDeployment,
    ) -> Vec<ResultLane> {
        if !self.edge(producer, output.output).is_some_and(JobEdge::is_blocking) {
            return Vec::new();
        }
        let consumers = output.consumers.iter().map(|consumer| consumer.subtask).collect();
        let (settings, results) = (SpillSettings::of(context), self.exchanges.table().results());
        let writer = ResultWriter::new(producer, output.output, consumers, settings, results);
        writer.lanes(&context.counters)
    }

    fn edge(&self, producer: ExecutionId, output: u32) -> Option<&JobEdge> {
        self.program.graph.outputs(producer.vertex).find(|edge| edge.output == output)
    }

    fn gate(&self, context: &TaskContext, deployment: &TaskDeployment) -> Option<Arc<Gate>> {
        if deployment.inputs.is_empty() {
            return None;
        }
        let mut ends = Vec::new();
        for input in &deployment.inputs {
            let mut edges = self.program.graph.inputs(deployment.execution.vertex);
            let edge = edges.find(|edge| edge.input == input.input);
            let in_order = edge.is_some_and(|edge| is_in_order(edge.partitioning));
            let end = |producer: &kvick_core::task::ProducerLocation| ChannelEnd {
                input: input.input as usize,
                producer: producer.execution.subtask,
                in_order,
            };
            ends.extend(input.producers.iter().map(end));
        }
        let credit = options::channel_credit(&self.job.config, ends.len());
        let gate = Gate::new(ends, credit);
        let wake: Arc<dyn crate::task::Wake> = Arc::clone(&gate) as Arc<dyn crate::task::Wake>;
        context.control.wakes(Arc::downgrade(&wake));
        Some(gate)
    }

    /// Asks tasks to stop. One that is not here any more has already reported how it ended: what it has kept is let go of.
    pub fn cancel(&self, executions: &[ExecutionId]) {
        for execution in executions {
            match self.running.get(execution) {
                Some(thread) => thread.control.cancel(),
                None => self.exchanges.table().results().release(*execution),
            }
        }
    }

    /// Asks all tasks to stop.
    pub fn cancel_all(&self) {
        self.running.values().for_each(|thread| thread.control.cancel());
    }

    /// A task reported a terminal state: waits for its thread and forgets its channels.
    pub fn ended(&mut self, execution: ExecutionId) {
        if let Some(thread) = self.running.remove(&execution) {
            thread.join();
        }
        self.exchanges.table().forget(execution);
    }

    /// The job is over: removes what was kept on the local disk for it.
    pub fn remove_local_state(&self) {
        if let Some(local) = &self.job.local {
            local.remove();
        }
    }

    /// The streams of the job that wait for each other in event time.
    pub fn alignment(&self) -> &AlignmentGroups {
        &self.job.alignment
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The counters of all running tasks.
    pub fn metrics(&self) -> Vec<(ExecutionId, TaskMetrics)> {
        self.running.iter().map(|(id, thread)| (*id, thread.counters.snapshot())).collect()
    }

    /// The accumulators of all running tasks that have some.
    pub fn accumulators(&self) -> Vec<(ExecutionId, Accumulators)> {
        let values = self.running.iter().map(|(id, thread)| (*id, thread.accumulators.snapshot()));
        values.filter(|(_, accumulators)| !accumulators.is_empty()).collect()
    }
}

impl Drop for TaskHost {
    /// Connections may outlive the host, until the process ends; temporary files must not.
    fn drop(&mut self) {
        self.exchanges.table().results().clear();
    }
}

/// Whether barriers never overtake records of an edge. Between neighbours their order may mean something to the program, and
/// copies for all consumers are to have been read by all or by none: the same edges are aligned in Flink.
fn is_in_order(partitioning: Partitioning) -> bool {
    matches!(partitioning, Partitioning::Forward | Partitioning::Rescale | Partitioning::Broadcast)
}

/// What was in flight behind an output when the job's checkpoint was taken.
fn restored(context: &TaskContext, output: &kvick_core::task::OutputDeployment) -> Option<Restored> {
    let in_flight = context.restore.as_ref()?.in_flight.iter().find(|all| all.output == output.output)?;
    let lane = |consumer: u32| output.consumers.iter().position(|c| c.subtask == consumer);
    let lane = |consumer| lane(consumer).filter(|_| !in_flight.repartitioned);
    let logs = in_flight.logs.iter().map(|log| (lane(log.consumer), log.handle.clone())).collect();
    Some(Restored { reader: context.state_reader(), repartitioned: in_flight.repartitioned, logs })
}

/// The operator at the head of a vertex' chain; the vertex itself stands for it where none is named.
fn head_of(vertex: &JobVertex) -> OperatorIdentity {
    match vertex.operators.first() {
        Some(OperatorInfo { id, name, uid }) => {
            OperatorIdentity { id: *id, name: name.clone(), uid: uid.clone() }
        }
        None => OperatorIdentity { id: vertex.id, name: vertex.name.clone(), uid: None },
    }
}

fn connect_inputs(
    exchanges: &Exchanges,
    deployment: &TaskDeployment,
    gate: Option<&Arc<Gate>>,
    control: &TaskControl,
) -> TaskResult {
    let Some(gate) = gate else { return Ok(()) };
    let ends = deployment.inputs.iter().flat_map(|i| i.producers.iter().map(move |p| (i.output, p)));
    for (index, (output, producer)) in ends.enumerate() {
        let key = ChannelKey { producer: producer.execution, output, consumer: deployment.execution.subtask };
        if let Err(error) = exchanges.connect(&producer.address, key, gate, index) {
            if exchanges.table().results().are_read_by(&key) {
                // Its worker may be gone: then this task is about to be cancelled, and the worker's own failure says more.
                control.sleep_through(PEER_GRACE);
                control.check()?;
            }
            return Err(TaskError::caused("cannot read from a producer", &error));
        }
    }
    Ok(())
}
