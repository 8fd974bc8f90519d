//! The mind of an application master: dispatcher, resource manager and one job master per job, wired together.
//!
//! The three speak with each other by plain calls, in one order, in one thread; so the whole is as deterministic as its
//! parts, and one driver in the shell is enough. Inputs take the time and push [`Effect`]s; `tick` is wanted at
//! [`Master::next_deadline`]; getters serve REST.

mod agenda;
mod checkpoints;
mod effect;
mod held;
mod inputs;
mod lifecycle;
mod recovery;
#[cfg(test)]
mod tests;
mod yarn;

pub use effect::{Effect, FinalStatus};
pub use held::HeldEffects;
pub use lifecycle::{Lifecycle, MasterMode};
pub use recovery::{Legacy, RecoveredJob};

use crate::executor::ToExecutor;
use crate::host::WorkerSpec;
use crate::ids::{ExecutorId, JobId};
use crate::job::{JobState, JobSubmission};
use crate::jobmaster::{JobEffect, JobMaster};
use crate::resources::{ResourceEffect, ResourceManager, ResourceSettings};
use crate::time::Millis;
use agenda::Agenda;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What of the configuration the master acts on.
#[derive(Debug, Clone)]
pub struct MasterSettings {
    /// How the application lives and ends.
    pub mode: MasterMode,
    /// How many task executors there are.
    pub resources: ResourceSettings,
    /// How often task executors send heartbeats.
    pub heartbeat_interval: Millis,
    /// `jobstore.expiration-time`: how long an ended job is shown.
    pub job_expiration: Millis,
    /// Whether workers take part in checkpoints. If not, none is ever triggered, whatever a job configures.
    pub checkpoints: bool,
    /// How long an ended per-job application waits for its attached client to fetch the result.
    pub result_wait: Millis,
}

/// A submission that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The id is taken.
    #[error("job {0} has already been submitted")]
    Duplicate(JobId),
    /// The graph cannot be run.
    #[error("the job graph cannot be run: {0}")]
    Graph(#[from] crate::graph::GraphError),
    /// The job's configuration has a value that cannot be read.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The checkpoint from which it is to start does not fit.
    #[error(transparent)]
    Restore(#[from] crate::checkpoint::RestoreError),
    /// The application is ending.
    #[error("the cluster is shutting down and takes no more jobs")]
    ShuttingDown,
    /// The job needs more slots than the cluster may ever have.
    #[error("the job needs {needed} slots, but slotmanager.number-of-slots.max allows {max}")]
    TooManySlots {
        /// Slots that the job needs.
        needed: u32,
        /// Slots that there may be.
        max: u32,
    },
}

/// An application's dispatcher, resource manager and job masters.
#[derive(Debug)]
pub struct Master {
    settings: MasterSettings,
    started: Millis,
    resources: ResourceManager,
    jobs: BTreeMap<JobId, JobMaster>,
    /// When each of them wants a tick, or is forgotten.
    agenda: Agenda,
    /// What each executor runs a worker for.
    workers: BTreeMap<ExecutorId, BTreeSet<JobId>>,
    /// When an attached client, if it does not renew its word, counts as gone.
    client_leases: BTreeMap<JobId, Millis>,
    lifecycle: Lifecycle,
    /// Effects of the parts that have not been carried on yet, oldest first. First come, first served: whoever lost an
    /// executor must hear of it before it hears of the slots that replace it.
    queue: VecDeque<PartEffect>,
    /// What an earlier application master left is being found out.
    recovery: Option<recovery::Recovery>,
}

/// What a part of the master wants done.
#[derive(Debug)]
enum PartEffect {
    Job(JobId, JobEffect),
    Resource(ResourceEffect),
}

impl Master {
    /// An application without jobs and executors.
    pub fn new(now: Millis, settings: MasterSettings) -> Master {
        Master {
            started: now,
            resources: ResourceManager::new(settings.resources.clone()),
            jobs: BTreeMap::new(),
            agenda: Agenda::default(),
            workers: BTreeMap::new(),
            client_leases: BTreeMap::new(),
            lifecycle: Lifecycle::new(settings.mode),
            queue: VecDeque::new(),
            recovery: None,
            settings,
        }
    }

    /// Getter: a job.
    pub fn job(&self, id: JobId) -> Option<&JobMaster> {
        self.jobs.get(&id)
    }

    /// Getter: all jobs, running and ended.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobId, &JobMaster)> {
        self.jobs.iter()
    }

    /// Getter: what the master acts on.
    pub fn settings(&self) -> &MasterSettings {
        &self.settings
    }

    /// Getter: the resource manager.
    pub fn resources(&self) -> &ResourceManager {
        &self.resources
    }

    /// Getter: when the application began.
    pub fn started(&self) -> Millis {
        self.started
    }

    /// Getter: whether the application is ending, and how.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The next instant at which [`Master::tick`] would do something.
    pub fn next_deadline(&self) -> Option<Millis> {
        let leases = self.client_leases.values().copied();
        leases
            .chain(self.agenda.first())
            .chain(self.resources.next_deadline())
            .chain(self.lifecycle.deadline())
            .chain(self.recovery.as_ref().map(|recovery| recovery.until))
            .min()
    }

    /// Applies an input to one job, then carries on whatever follows from it.
    fn with_job(
        &mut self,
        now: Millis,
        id: JobId,
        fx: &mut Vec<Effect>,
        input: impl FnOnce(&mut JobMaster, &mut Vec<JobEffect>),
    ) {
        self.tell_job(id, input);
        self.carry_on(now, fx);
    }

    /// Applies an input to the resource manager, then carries on whatever follows from it.
    fn with_resources(
        &mut self,
        now: Millis,
        fx: &mut Vec<Effect>,
        input: impl FnOnce(&mut ResourceManager, &mut Vec<ResourceEffect>),
    ) {
        self.tell_resources(input);
        self.carry_on(now, fx);
    }

    fn tell_job(&mut self, id: JobId, input: impl FnOnce(&mut JobMaster, &mut Vec<JobEffect>)) {
        let mut effects = Vec::new();
        if let Some(job) = self.jobs.get_mut(&id) {
            input(job, &mut effects);
            let expires = job.ended().map(|at| at.plus(self.settings.job_expiration));
            self.agenda.set(id, job.next_deadline().into_iter().chain(expires).min());
        }
        self.queue.extend(effects.into_iter().map(|effect| PartEffect::Job(id, effect)));
    }

    fn tell_resources(&mut self, input: impl FnOnce(&mut ResourceManager, &mut Vec<ResourceEffect>)) {
        let mut effects = Vec::new();
        input(&mut self.resources, &mut effects);
        self.queue.extend(effects.into_iter().map(PartEffect::Resource));
    }

    fn carry_on(&mut self, now: Millis, fx: &mut Vec<Effect>) {
        while let Some(effect) = self.queue.pop_front() {
            match effect {
                PartEffect::Job(id, effect) => self.route_job(now, id, effect, fx),
                PartEffect::Resource(effect) => self.route_resource(now, effect, fx),
            }
        }
    }

    fn route_job(&mut self, now: Millis, id: JobId, effect: JobEffect, fx: &mut Vec<Effect>) {
        let send = |executor, message| Effect::Send { executor, message: Box::new(message) };
        match effect {
            JobEffect::RequireSlots(slots) => {
                self.with_resources(now, fx, |r, e| r.require(now, id, slots, e))
            }
            JobEffect::RequireNoSlots => self.with_resources(now, fx, |r, e| r.require_none(id, e)),
            JobEffect::ReturnSlots(slots) => {
                self.with_resources(now, fx, |r, e| r.returned(now, id, &slots, e))
            }
            JobEffect::LeaveSlots(slots) => {
                self.with_resources(now, fx, |r, e| r.vacated(now, id, &slots, e))
            }
            JobEffect::Occupy(executors) => {
                self.with_resources(now, fx, |r, e| r.occupied(now, id, executors, e))
            }
            JobEffect::StartWorker(executor) => fx.extend(self.start_worker(id, executor)),
            JobEffect::StopWorker(executor) => {
                if let Some(jobs) = self.workers.get_mut(&executor) {
                    jobs.remove(&id);
                }
                fx.push(send(executor, ToExecutor::StopWorker { job_id: id }));
            }
            JobEffect::Deploy(executor, tasks) => {
                fx.push(send(executor, ToExecutor::Deploy { job_id: id, tasks }));
            }
            JobEffect::Cancel(executor, executions) => {
                fx.push(send(executor, ToExecutor::Cancel { job_id: id, executions }));
            }
            JobEffect::TellTasks(executor, executions, command) => {
                fx.push(send(executor, ToExecutor::Checkpoint { job_id: id, executions, command }));
            }
            JobEffect::Align(executor, groups) => {
                fx.push(send(executor, ToExecutor::Alignment { job_id: id, groups }));
            }
            JobEffect::Checkpoint(effect) => fx.push(Effect::Checkpoint { job: id, effect }),
            JobEffect::Restarted(restarts) => fx.push(Effect::JobRestarted { job: id, restarts }),
            JobEffect::GraphChanged => fx.push(Effect::JobGraphChanged { job: id }),
            JobEffect::StateChanged(state) => fx.push(Effect::JobStateChanged { job: id, state }),
            JobEffect::Ended(result) => {
                self.client_leases.remove(&id);
                let kept = self.jobs.get(&id).and_then(JobMaster::kept_checkpoint);
                self.lifecycle.job_ended(now, &result, kept, self.settings.result_wait);
                fx.push(Effect::JobEnded { result });
                self.maybe_finish(now, fx);
            }
        }
    }

    fn route_resource(&mut self, now: Millis, effect: ResourceEffect, fx: &mut Vec<Effect>) {
        match effect {
            ResourceEffect::WantContainers(count) => fx.push(Effect::WantContainers(count)),
            ResourceEffect::ReleaseContainer { executor, reason } => {
                self.workers.remove(&executor);
                fx.push(Effect::ReleaseContainer { executor, reason });
            }
            ResourceEffect::Grant { job, slots } => {
                self.tell_job(job, |j, e| j.slots_granted(now, slots, e));
            }
            ResourceEffect::Vacate { executor, jobs, patience } => {
                for job in jobs {
                    self.tell_job(job, |j, e| j.vacate(now, &executor, patience, e));
                }
            }
            ResourceEffect::Stay { executor, jobs } => {
                for job in jobs {
                    self.tell_job(job, |j, e| j.stay(&executor, e));
                }
            }
            ResourceEffect::ExcludeNodes(hosts) => fx.push(Effect::ExcludeNodes(hosts)),
            ResourceEffect::Lost { executor, jobs, failure } => {
                self.workers.remove(&executor);
                self.gone_while_recovering(now, &executor, fx);
                for job in jobs {
                    self.tell_job(job, |j, e| j.executor_lost(now, &executor, failure.clone(), e));
                }
            }
        }
    }

    fn start_worker(&mut self, id: JobId, executor: ExecutorId) -> Option<Effect> {
        let submission = self.jobs.get(&id)?.submission();
        let spec = worker_spec(submission, &executor);
        let message = ToExecutor::StartWorker { program: submission.program.clone(), spec: Box::new(spec) };
        self.workers.entry(executor.clone()).or_default().insert(id);
        Some(Effect::Send { executor, message: Box::new(message) })
    }

    fn running_jobs(&self) -> Vec<JobId> {
        let running = |job: &JobMaster| !job.state().is_terminal();
        self.jobs.iter().filter(|(_, job)| running(job)).map(|(id, _)| *id).collect()
    }

    /// How many jobs are in each state.
    pub fn job_counts(&self) -> BTreeMap<JobState, u32> {
        let mut counts = BTreeMap::new();
        for job in self.jobs.values() {
            *counts.entry(job.state()).or_default() += 1;
        }
        counts
    }
}

/// What a worker is told, as far as the master knows it; the task executor fills in the rest.
fn worker_spec(submission: &JobSubmission, executor: &ExecutorId) -> WorkerSpec {
    WorkerSpec {
        job_id: submission.job_id,
        ordinal: submission.ordinal,
        graph: submission.graph.clone(),
        config: submission.config.clone(),
        once: submission.once.clone(),
        earlier: submission.earlier.clone(),
        host: String::new(),
        bind_address: String::new(),
        data_ports: String::new(),
        secret: String::new(),
        executor: executor.0.clone(),
        tmp_dirs: Vec::new(),
        hadoop: BTreeMap::new(),
        user: String::new(),
    }
}
