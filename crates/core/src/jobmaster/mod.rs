//! The job master: one job from its submission to its end.
//!
//! It holds the execution graph, asks for slots, has workers started, deploys tasks region by region, and decides what a
//! failure means. Methods come in four kinds:
//! - *inputs* (`start`, `slots_granted`, `worker_ready`, `worker_lost`, `executor_lost`, `task_report`, `cancel`, `tick`, and
//!   those about checkpoints) take the time and push [`JobEffect`]s;
//! - *getters* for REST ([`view`]);
//! - [`JobMaster::next_deadline`] tells when `tick` is wanted;
//! - nothing else changes it.

mod adoption;
mod alignment;
mod checkpoints;
mod deploy;
mod execution;
mod failover;
mod layout;
mod reconnect;
mod recovery;
mod rescale;
mod restart;
mod results;
mod settings;
mod slots;
mod stages;
mod vacate;
pub mod view;

pub use adoption::Adoption;
pub use execution::Execution;
pub use restart::{Decision, ExponentialDelay, RestartStrategy};
pub use settings::JobSettings;
pub use slots::{SharedSlot, SlotPool};

use crate::accumulator::{Accumulators, merge_into, merge_results};
use crate::alignment::{Alignment, GroupBound};
use crate::checkpoint::{
    CheckpointCommand, CheckpointCoordinator, CheckpointEffect, CheckpointFailureReason,
};
use crate::failure::Failure;
use crate::graph::{RuntimeMode, TaskRef, all_tasks};
use crate::ids::{ExecutionId, ExecutorId, SlotId, VertexId};
use crate::job::{JobResult, JobState, JobSubmission};
use crate::task::{TaskDeployment, TaskMetrics, TaskReport, TaskState};
use crate::time::Millis;
use layout::{Layout, Phase, Region, layout};
use rescale::Rescale;
use stages::Stages;
use std::collections::{BTreeMap, BTreeSet};
use vacate::Vacate;

/// What a job master wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEffect {
    /// The job needs this many slots in all (0: it has ended).
    RequireSlots(u32),
    /// The job can use no slots for now. It goes on, and what it occupies stays so.
    RequireNoSlots,
    /// Slots that were granted but are not needed.
    ReturnSlots(Vec<SlotId>),
    /// Slots that the job leaves, or has no use for; it needs as many as before.
    LeaveSlots(Vec<SlotId>),
    /// These executors, and no others, have something that the job needs, with or without slots of it: none of them is idle.
    Occupy(BTreeSet<ExecutorId>),
    /// Have a worker of this job on that executor.
    StartWorker(ExecutorId),
    /// The job needs no worker there any more.
    StopWorker(ExecutorId),
    /// Run these tasks in the worker there.
    Deploy(ExecutorId, Vec<TaskDeployment>),
    /// Stop these tasks; of one that has finished, let go of the result that it has kept.
    Cancel(ExecutorId, Vec<ExecutionId>),
    /// Tell these tasks about a checkpoint.
    TellTasks(ExecutorId, Vec<ExecutionId>, CheckpointCommand),
    /// Regions of the job start again; so often in all.
    Restarted(u32),
    /// Tell the worker there what its streams may count on of those elsewhere.
    Align(ExecutorId, Vec<GroupBound>),
    /// The job goes on with another graph: whoever keeps its submission takes it anew.
    GraphChanged,
    /// Something about checkpoints that is not for tasks.
    Checkpoint(CheckpointEffect),
    /// The job's state changed.
    StateChanged(JobState),
    /// The job has ended. Nothing follows.
    Ended(Box<JobResult>),
}

/// A worker of this job on one executor.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Worker {
    /// Asked for.
    Starting,
    /// Ready, with the address of its data listener.
    Ready(String),
}

/// An entry of the exception history.
#[derive(Debug, Clone, PartialEq)]
pub struct ExceptionEntry {
    /// When.
    pub at: Millis,
    /// What.
    pub failure: Failure,
    /// `name (2/4)` of the task, where one failed.
    pub task: Option<String>,
    /// Where it ran.
    pub executor: Option<ExecutorId>,
}

/// One job.
#[derive(Debug)]
pub struct JobMaster {
    submission: JobSubmission,
    settings: JobSettings,
    restart: RestartStrategy,
    submitted: Millis,
    /// What is begun under this application master has this number at least: an earlier one may have begun what nobody has told.
    first_attempt: u32,
    state: JobState,
    entered: BTreeMap<JobState, Millis>,
    executions: Vec<Vec<Execution>>,
    vertex_index: BTreeMap<VertexId, usize>,
    regions: Vec<Region>,
    region_of: BTreeMap<TaskRef, usize>,
    /// Whether any result is kept for consumers that begin when it is whole.
    blocking: bool,
    pending_regions: BTreeSet<usize>,
    unfinished: usize,
    pool: SlotPool,
    /// None for a job that has all its slots from the beginning to the end.
    stages: Option<Stages>,
    /// A change of parallelism that is under way.
    rescale: Option<Rescale>,
    /// A move away from executors that have to go.
    vacate: Option<Vacate>,
    /// None for a job in batch mode.
    checkpoints: Option<CheckpointCoordinator>,
    /// How far the streams are that wait for each other.
    alignment: Alignment,
    workers: BTreeMap<ExecutorId, Worker>,
    /// Regions that have all they need but these workers.
    awaiting: BTreeMap<usize, BTreeSet<ExecutorId>>,
    slots_deadline: Option<Millis>,
    cancel_deadline: Option<Millis>,
    restarts: u32,
    moves: u32,
    failure: Option<Failure>,
    exceptions: Vec<ExceptionEntry>,
}

impl JobMaster {
    /// A job that was accepted but not started. The graph must have been validated.
    pub fn new(now: Millis, submission: JobSubmission, settings: JobSettings) -> JobMaster {
        let graph = &submission.graph;
        let checkpoints = (graph.mode == RuntimeMode::Streaming)
            .then(|| CheckpointCoordinator::new(submission.job_id, graph, settings.checkpoints.clone()));
        let Layout { pool, executions, vertex_index, regions, region_of } = layout(now, graph);
        JobMaster {
            vertex_index,
            rescale: None,
            vacate: None,
            unfinished: all_tasks(graph).count(),
            pending_regions: (0..regions.len()).collect(),
            stages: (graph.runs_by_stage() && settings.by_stage).then(Stages::default),
            blocking: graph.has_blocking_edges(),
            restart: settings.restart.clone().seeded(submission.job_id.0 as u64),
            submitted: now,
            first_attempt: 0,
            state: JobState::Created,
            entered: BTreeMap::from([(JobState::Initializing, now), (JobState::Created, now)]),
            checkpoints,
            alignment: Alignment::default(),
            workers: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            slots_deadline: None,
            cancel_deadline: None,
            restarts: 0,
            moves: 0,
            failure: None,
            exceptions: Vec::new(),
            submission,
            settings,
            executions,
            regions,
            region_of,
            pool,
        }
    }

    /// Input: begin. The job asks for its slots.
    pub fn start(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.enter(now, JobState::Running, fx);
        for task in all_tasks(&self.submission.graph).collect::<Vec<_>>() {
            self.execution_mut(task).enter(now, TaskState::Scheduled);
        }
        if self.stages.is_some() {
            return self.advance(now, fx);
        }
        fx.push(JobEffect::RequireSlots(self.pool.len() as u32));
        self.await_slots(now);
    }

    /// Input: slots were granted to this job.
    pub fn slots_granted(&mut self, now: Millis, slots: Vec<SlotId>, fx: &mut Vec<JobEffect>) {
        if self.stages.is_some() && !self.ending() {
            return self.stage_slots_granted(now, slots, fx);
        }
        let surplus = if self.ending() { slots } else { self.pool.fill(slots) };
        let surplus = self.keep_for_rescale(surplus);
        let surplus = self.keep_for_vacate(surplus);
        if !surplus.is_empty() {
            fx.push(JobEffect::ReturnSlots(surplus));
            // What is given back lowers the demand, which may have fallen before these were granted.
            if !self.ending() {
                fx.push(JobEffect::RequireSlots((self.pool.len() + self.spare_slots()) as u32));
            }
        }
        self.await_slots(now);
        self.advance(now, fx);
        self.rescale_when_slots_are_there(now, fx);
    }

    /// Input: the worker on an executor is ready.
    pub fn worker_ready(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        address: String,
        fx: &mut Vec<JobEffect>,
    ) {
        if let Some(worker) = self.workers.get_mut(executor) {
            *worker = Worker::Ready(address);
            if self.was_awaited(executor) {
                self.advance(now, fx);
            }
        }
    }

    /// Input: the worker on an executor has ended or could not be started.
    pub fn worker_lost(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failure: Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        if self.workers.remove(executor).is_some() {
            let tasks = self.tasks_on(executor);
            let results = self.lose_results(executor);
            self.tasks_lost(now, tasks, results, Some(executor), failure, fx);
        }
    }

    /// Input: an executor is gone, and with it its slots and the worker there.
    pub fn executor_lost(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failure: Failure,
        fx: &mut Vec<JobEffect>,
    ) {
        let tasks = self.tasks_on(executor);
        self.take_rescale_slots(executor);
        self.workers.remove(executor);
        let results = self.lose_results(executor);
        let none_lost = self.pool.lose_executor(executor).is_empty() && results.is_empty();
        self.vacate_lost(executor, fx);
        self.stage_stays(executor);
        if none_lost {
            return self.settle_stages(now, fx);
        }
        self.tasks_lost(now, tasks, results, Some(executor), failure, fx);
        self.await_slots(now);
    }

    /// Input: a task reported. Reports of earlier attempts are dropped here, and only here.
    pub fn task_report(&mut self, now: Millis, report: &TaskReport, fx: &mut Vec<JobEffect>) {
        let Some(task) = self.current(report.execution) else { return };
        if !self.execution_mut(task).report(now, report) {
            return;
        }
        match report.state {
            TaskState::Running => {
                self.with_checkpoints(now, fx, |c, e| c.task_running(now, report.execution, e));
                self.rescale_when_all_run(fx);
            }
            TaskState::Finished => {
                let results = self.execution(task).results();
                self.with_checkpoints(now, fx, |c, e| {
                    c.task_left(report.execution, results);
                    c.task_finished(now, report.execution, e);
                });
                self.rescale_when_all_run(fx);
                self.release_read_results(task, fx);
                self.task_finished(now, fx);
            }
            TaskState::Failed => {
                let failure = report.failure.clone().unwrap_or_else(Failure::unknown);
                let executor = self.place_of(task).cloned();
                self.task_failed(now, task, executor.as_ref(), failure, fx);
            }
            TaskState::Canceled => self.advance(now, fx),
            _ => {}
        }
    }

    /// Input: counters of running tasks.
    pub fn task_metrics(
        &mut self,
        tasks: &[(ExecutionId, TaskMetrics)],
        sums: &[(ExecutionId, Accumulators)],
    ) {
        for (id, metrics) in tasks {
            if let Some(task) = self.current(*id) {
                self.execution_mut(task).metrics = *metrics;
            }
        }
        for (id, accumulators) in sums {
            if let Some(task) = self.current(*id) {
                self.execution_mut(task).accumulators.clone_from(accumulators);
            }
        }
    }

    /// Input: a person wants the job cancelled. Without effect once it is ending anyway.
    pub fn cancel(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        if self.ending() {
            return;
        }
        self.enter(now, JobState::Cancelling, fx);
        self.abandon_rescale(fx);
        let why = CheckpointFailureReason::CoordinatorShutdown;
        self.with_checkpoints(now, fx, |c, e| c.shut_down(now, why, e));
        self.stop_all(now, fx);
        self.advance(now, fx);
    }

    /// Input: time has passed.
    pub fn tick(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        if self.slots_deadline.is_some_and(|d| d <= now) {
            self.slots_deadline = None;
            self.slots_timed_out(now, fx);
        }
        if self.cancel_deadline.is_some_and(|d| d <= now) {
            self.cancel_deadline = None;
            self.force_stop(now, fx);
        }
        self.tick_rescale(now, fx);
        self.vacate_further(now, fx);
        self.with_checkpoints(now, fx, |c, e| c.tick(now, e));
        self.advance(now, fx);
    }

    /// The next instant at which `tick` would do something.
    pub fn next_deadline(&self) -> Option<Millis> {
        let restarts = self.pending_regions.iter().filter_map(|&r| match self.regions[r].phase {
            Phase::Restarting(at)
                if !self.ending()
                    && !self.waits_for_all_to_stop()
                    && self.region_stopped(r)
                    && !self.waits_to_vacate(r) =>
            {
                Some(at)
            }
            _ => None,
        });
        let checkpoints = self.checkpoints.as_ref().filter(|_| !self.ending());
        let checkpoints = checkpoints.and_then(CheckpointCoordinator::next_deadline);
        restarts
            .chain(self.rescale_deadline())
            .chain(self.vacate_deadline())
            .chain(self.slots_deadline)
            .chain(self.cancel_deadline)
            .chain(checkpoints)
            .min()
    }

    fn task_finished(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.unfinished -= 1;
        if self.unfinished == 0 && !self.ending() {
            self.end(now, JobState::Finished, fx);
        } else {
            self.advance(now, fx);
        }
    }

    /// Whether the job is on its way to an end and takes nothing new.
    fn ending(&self) -> bool {
        self.state.is_terminal() || matches!(self.state, JobState::Cancelling | JobState::Failing)
    }

    fn end(&mut self, now: Millis, state: JobState, fx: &mut Vec<JobEffect>) {
        self.with_checkpoints(now, fx, |c, e| c.ended(now, state, e));
        self.abandon_rescale(fx);
        self.vacate = None;
        self.enter(now, state, fx);
        self.slots_deadline = None;
        self.cancel_deadline = None;
        // Where a worker has just died, its task executor has what that left.
        let mut executors = self.pool.executors();
        executors.extend(std::mem::take(&mut self.workers).into_keys());
        fx.extend(executors.into_iter().map(JobEffect::StopWorker));
        fx.push(JobEffect::RequireSlots(0));
        fx.push(JobEffect::Ended(Box::new(self.result(now))));
    }

    fn result(&self, now: Millis) -> JobResult {
        JobResult {
            job_id: self.submission.job_id,
            state: self.state,
            net_runtime_ms: now.since(self.submitted).0,
            accumulators: self.accumulators(),
            failure: self.failure.clone(),
        }
    }

    /// Getter: accumulators merged over all current attempts.
    pub fn accumulators(&self) -> Accumulators {
        let mut total = Accumulators::new();
        for execution in self.executions.iter().flatten() {
            merge_into(&mut total, &execution.accumulators);
            merge_results(&mut total, &execution.inherited);
        }
        total
    }

    fn enter(&mut self, now: Millis, state: JobState, fx: &mut Vec<JobEffect>) {
        if self.state != state {
            self.state = state;
            self.entered.insert(state, now);
            fx.push(JobEffect::StateChanged(state));
        }
    }

    fn current(&self, id: ExecutionId) -> Option<TaskRef> {
        let vertex = *self.vertex_index.get(&id.vertex)?;
        let execution = self.executions[vertex].get(id.subtask as usize)?;
        (execution.attempt == id.attempt).then_some(TaskRef { vertex, subtask: id.subtask })
    }

    fn execution(&self, task: TaskRef) -> &Execution {
        &self.executions[task.vertex][task.subtask as usize]
    }

    fn execution_mut(&mut self, task: TaskRef) -> &mut Execution {
        &mut self.executions[task.vertex][task.subtask as usize]
    }

    fn execution_id(&self, task: TaskRef) -> ExecutionId {
        self.execution(task).id(self.submission.graph.vertices[task.vertex].id, task.subtask)
    }

    fn tasks_on(&self, executor: &ExecutorId) -> Vec<TaskRef> {
        all_tasks(&self.submission.graph).filter(|t| self.place_of(*t) == Some(executor)).collect()
    }

    /// Where a task was deployed, or will be.
    fn place_of(&self, task: TaskRef) -> Option<&ExecutorId> {
        self.executor_of(self.execution(task))
    }

    /// The clock for missing slots runs while there are any.
    fn await_slots(&mut self, now: Millis) {
        if self.stages.is_some() {
            return;
        }
        let complete = self.pool.filled() == self.pool.len();
        if complete || self.ending() {
            self.slots_deadline = None;
        } else if self.slots_deadline.is_none() {
            self.slots_deadline = Some(now.plus(self.settings.slot_request_timeout));
        }
    }
}
