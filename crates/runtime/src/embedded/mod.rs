//! The embedded cluster: one job in this process, every subtask a thread, no socket, no host.
//!
//! The job master is the same that runs in an application master; here its effects are performed by calls. So a job takes
//! checkpoints, restarts from them as its restart strategy says, and starts from a savepoint, as it would on a cluster.

mod control;
mod deployments;
mod storage;

pub use control::{EmbeddedControl, JobView};
pub use deployments::deployments;

use crate::exchange::Exchanges;
use crate::program::Program;
use crate::task::{JobInfo, Reporter, TaskEvent};
use crate::task_host::TaskHost;
use control::Asked;
use kvick_core::checkpoint::{CheckpointEffect, CheckpointFailure, CheckpointFailureReason, SnapshotDone};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutorId, JobId, SlotId};
use kvick_core::job::{Artifact, JobResult, JobState, JobSubmission, ProgramSpec};
use kvick_core::jobmaster::{JobEffect, JobMaster, JobSettings};
use kvick_core::task::TaskReport;
use kvick_core::time::Millis;
use kvick_storage::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::Storage;

const ADDRESS: &str = "embedded";
/// How long the loop waits at most without anything to do.
const IDLE: Duration = Duration::from_secs(60);

/// What the loop hears.
enum Event {
    Task(TaskEvent),
    Storage(Outcome),
    Asked(Asked),
}

impl From<TaskEvent> for Event {
    fn from(event: TaskEvent) -> Self {
        Event::Task(event)
    }
}

/// Runs a program to its end.
pub fn run(job: JobInfo, program: Program, control: &EmbeddedControl) -> JobResult {
    let job_id = job.job_id;
    let result = prepare(job, program, control).map_or_else(|f| rejected(job_id, f), |mut run| run.serve());
    control.hang_up();
    result
}

fn rejected(job_id: JobId, failure: Failure) -> JobResult {
    let (state, failure) = (JobState::Failed, Some(failure));
    JobResult { job_id, state, net_runtime_ms: 0, accumulators: BTreeMap::new(), failure }
}

fn prepare(job: JobInfo, mut program: Program, control: &EmbeddedControl) -> Result<Run, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| crate::error::failure_of(error);
    let settings = JobSettings::from_config(&program.graph.config, &job.config).map_err(|e| failed(&e))?;
    // A slot is nothing but a number here.
    let settings = JobSettings { by_stage: false, ..settings };
    let source = storage::restore_source(&job)?;
    let mut master = JobMaster::new(now(), submission(&job, &program), settings);
    if let Some(source) = &source {
        master.start_from(source).map_err(|error| failed(&error))?;
        program.graph.clone_from(&master.submission().graph);
    }
    let (sender, events) = channel();
    control.listen(sender.clone());
    let storage = Storage::start(&job, sender.clone());
    let host = TaskHost::new(job, program, Exchanges::local(ADDRESS), Reporter::to(sender));
    let (callers, effects) = (BTreeMap::new(), VecDeque::new());
    Ok(Run { master, host, storage, events, effects, callers, next_caller: 1, granted: 0, result: None })
}

fn submission(job: &JobInfo, program: &Program) -> JobSubmission {
    let jar = Artifact { name: job.name.clone(), uri: String::new(), sha256: String::new(), size: 0 };
    JobSubmission {
        job_id: job.job_id,
        ordinal: 0,
        program: ProgramSpec { jar, entry: None, args: Vec::new() },
        graph: program.graph.clone(),
        config: (*job.config).clone(),
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Millis(since.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

fn executor() -> ExecutorId {
    ExecutorId(ADDRESS.to_string())
}

type Answer = Sender<Result<SnapshotDone, CheckpointFailure>>;

/// A job while it runs.
struct Run {
    master: JobMaster,
    host: TaskHost,
    storage: Storage,
    events: Receiver<Event>,
    /// Effects of the master that are not yet performed, oldest first.
    effects: VecDeque<JobEffect>,
    callers: BTreeMap<u64, Answer>,
    next_caller: u64,
    /// Slots granted so far: as many as were ever asked for.
    granted: u32,
    result: Option<JobResult>,
}

impl Run {
    fn serve(&mut self) -> JobResult {
        self.decide(JobMaster::start);
        loop {
            if let Some(result) = self.result.take_if(|_| self.host.is_empty()) {
                self.storage.finish();
                self.host.remove_local_state();
                return result;
            }
            let until =
                self.master.next_deadline().map_or(IDLE, |at| Duration::from_millis(at.since(now()).0));
            match self.events.recv_timeout(until.min(IDLE)) {
                Ok(event) => self.event(event),
                Err(RecvTimeoutError::Timeout) => self.decide(JobMaster::tick),
                Err(RecvTimeoutError::Disconnected) => {
                    let text = "the embedded cluster lost its tasks";
                    return rejected(self.master.submission().job_id, Failure::new(FailureKind::Error, text));
                }
            }
            if self.master.next_deadline().is_some_and(|at| at <= now()) {
                self.decide(JobMaster::tick);
            }
        }
    }

    /// Applies an input to the master and performs what follows from it, in order.
    fn decide(&mut self, input: impl FnOnce(&mut JobMaster, Millis, &mut Vec<JobEffect>)) {
        let mut effects = Vec::new();
        input(&mut self.master, now(), &mut effects);
        let outermost = self.effects.is_empty();
        self.effects.extend(effects);
        while outermost && let Some(effect) = self.effects.front().cloned() {
            self.perform(effect);
            self.effects.pop_front();
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Task(TaskEvent::State(report)) => self.task(&report),
            Event::Task(TaskEvent::Checkpoint(report)) => {
                self.decide(|m, now, fx| m.checkpoint_report(now, report, fx));
            }
            Event::Storage(Outcome::Prepared { token, outcome, .. }) => {
                self.decide(|m, now, fx| m.savepoint_prepared(now, token, outcome, fx));
            }
            Event::Storage(Outcome::Stored { checkpoint, outcome, .. }) => {
                self.decide(|m, now, fx| m.checkpoint_stored(now, checkpoint, outcome, fx));
            }
            Event::Asked(Asked::Cancel) => self.decide(JobMaster::cancel),
            Event::Asked(Asked::Snapshot(request, answer)) => {
                let caller = self.next_caller;
                self.next_caller += 1;
                self.callers.insert(caller, answer);
                self.decide(|m, now, fx| m.request_snapshot(now, caller, request, fx));
            }
            Event::Asked(Asked::View(answer)) => {
                self.master.task_metrics(&self.host.metrics(), &self.host.accumulators());
                let (state, accumulators) = (self.master.state(), self.master.accumulators());
                // Whoever asked may not wait any more.
                let _ = answer.send(JobView { state, accumulators });
            }
        }
    }

    fn task(&mut self, report: &TaskReport) {
        if report.state.is_terminal() {
            self.host.ended(report.execution);
        }
        self.decide(|m, now, fx| m.task_report(now, report, fx));
    }

    fn perform(&mut self, effect: JobEffect) {
        match effect {
            JobEffect::RequireSlots(count) => self.grant(count),
            JobEffect::StartWorker(executor) => {
                self.decide(|m, now, fx| m.worker_ready(now, &executor, ADDRESS.to_string(), fx));
            }
            JobEffect::Deploy(_, tasks) => tasks.into_iter().for_each(|task| self.host.deploy(task)),
            JobEffect::Cancel(_, executions) => self.host.cancel(&executions),
            JobEffect::TellTasks(_, executions, command) => self.host.order(&executions, &command),
            JobEffect::Checkpoint(CheckpointEffect::Answer { caller, outcome }) => {
                if let Some(answer) = self.callers.remove(&caller) {
                    // Whoever asked may not wait any more.
                    let _ = answer.send(outcome);
                }
            }
            JobEffect::Checkpoint(effect) => self.storage.perform(effect),
            JobEffect::StateChanged(JobState::Restarting) => self.say_why(),
            // One process: its threads cannot be ended from outside, its slots are not returned, nobody asks for another
            // parallelism, no stream is elsewhere; nothing outlives it that would go on counting restarts.
            JobEffect::Align(..)
            | JobEffect::Restarted(_)
            | JobEffect::GraphChanged
            | JobEffect::StateChanged(_)
            | JobEffect::StopWorker(_)
            | JobEffect::Occupy(_)
            | JobEffect::RequireNoSlots
            | JobEffect::ReturnSlots(_)
            | JobEffect::LeaveSlots(_) => {}
            JobEffect::Ended(result) => self.result = Some(*result),
        }
    }

    fn grant(&mut self, wanted: u32) {
        let slots: Vec<SlotId> =
            (self.granted..wanted).map(|index| SlotId { executor: executor(), index }).collect();
        self.granted = self.granted.max(wanted);
        if !slots.is_empty() {
            self.decide(|m, now, fx| m.slots_granted(now, slots, fx));
        }
    }

    fn say_why(&self) {
        if let Some(last) = self.master.exceptions().first() {
            crate::log::warn(&format!("the job restarts after a failure: {}", last.failure));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for answer in std::mem::take(&mut self.callers).into_values() {
            let _ = answer.send(Err(CheckpointFailureReason::CoordinatorShutdown.into()));
        }
    }
}
