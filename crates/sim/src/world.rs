//! The world: a queue of future events, the model of YARN, the faults, and the master in the middle.

use crate::checkpoints;
use crate::executor::ModelExecutor;
use crate::failover::ModelStore;
use crate::gate::Gate;
use crate::invariant;
use crate::job::random_job;
use crate::narrow;
use crate::network::NetworkEvent;
use crate::outage::Outage;
use crate::outcome::{Outcome, Violation};
use crate::random::Random;
use crate::storage::ModelStorage;
use crate::yarn::{ClusterEvent, Lent, ModelYarn};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::job::JobState;
use kvick_core::master::{Effect, Master, MasterMode, MasterSettings};
use kvick_core::resources::ResourceSettings;
use kvick_core::task::TaskState;
use kvick_core::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// Until when things break, in milliseconds.
const FAULTS_END: u64 = 120_000;
/// When everything must have come to rest.
const WORLD_END: u64 = 4_000_000;
/// More steps than any healthy schedule takes.
const MAX_STEPS: usize = 200_000;

/// What happens at an instant.
#[derive(Debug)]
pub(crate) enum Happening {
    Submit(JobId),
    Cancel(JobId),
    Grant,
    Register(ExecutorId),
    ContainerEnds(ExecutorId),
    Cluster(ClusterEvent),
    Durable,
    NotRecorded,
    StoreIsBack,
    Network(NetworkEvent),
    WorkerReady(ExecutorId, JobId, u64),
    WorkerDies(ExecutorId, JobId, u64),
    Task(ExecutorId, JobId, u64, ExecutionId, TaskState),
    Damaged(ExecutorId, JobId, u64, ExecutionId),
    Unreadable(ExecutorId, JobId, u64, ExecutionId, Failure),
    Checkpoint(checkpoints::Event),
    MasterDies,
    MasterStarts,
    Chaos,
}

/// Everything, with the master in the middle.
pub(crate) struct World {
    pub(crate) random: Random,
    now: u64,
    pub(crate) queue: BTreeMap<(u64, u64), Happening>,
    pub(crate) sequence: u64,
    /// The application master; while it is dead, as it was.
    pub(crate) master: Master,
    pub(crate) alive: bool,
    pub(crate) epoch: u64,
    pub(crate) store: ModelStore,
    pub(crate) storage: ModelStorage,
    pub(crate) executors: BTreeMap<ExecutorId, ModelExecutor>,
    /// The application master's ends of connections.
    pub(crate) links: BTreeMap<ExecutorId, u64>,
    /// Connections that were reset: what is said over them is lost, also what was on its way.
    pub(crate) reset: BTreeSet<u64>,
    /// Connections before this one were to an application master that has died.
    pub(crate) first_serial: u64,
    wanted: u32,
    granting: u32,
    pub(crate) yarn: ModelYarn,
    pub(crate) gate: Gate,
    pub(crate) outage: Outage,
    pub(crate) outcome: Outcome,
    trace: bool,
}

/// Runs the schedule of a seed; with `trace`, tells it on standard error.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(seed: u64, trace: bool) -> Result<Outcome, Violation> {
    let mut world = World::new(seed, trace);
    let violation = |at, what| Violation { seed, at, what };
    while world.outcome.steps < MAX_STEPS {
        let deadline = world.master.next_deadline().filter(|_| world.alive);
        let deadline = deadline.map_or(u64::MAX, |at| at.0.max(world.now));
        let next = world.queue.first_key_value().map_or(u64::MAX, |(key, _)| key.0);
        let at = deadline.min(next);
        if at > WORLD_END {
            break;
        }
        world.now = at;
        world.outcome.steps += 1;
        if next <= deadline {
            if let Some((_, happening)) = world.queue.pop_first() {
                world.happen(happening);
            }
        } else {
            world.decide(|master, now, fx| master.tick(now, fx));
        }
        world.note_gone();
        let broken = world.storage.broken.take().map_or(Ok(()), Err);
        // What is held back is decided, but not done.
        let master = world.alive.then_some(&world.master).filter(|_| !world.gate.is_closed());
        let accounted = invariant::every_container_is_accounted_for(master, &world.yarn, world.now);
        let waits = invariant::no_checkpoint_waits_in_vain(master, &mut world.storage, world.now);
        let holds = broken.and(accounted).and(waits);
        let holds = holds.and_then(|()| invariant::check(master, &world.executors, &mut world.storage));
        holds.map_err(|what| violation(world.now, what))?;
    }
    if world.outcome.steps >= MAX_STEPS {
        return Err(violation(world.now, "it does not come to rest".to_string()));
    }
    let holds = invariant::check_end(&world.master, &world.executors, &world.storage);
    let holds = holds.and_then(|()| invariant::every_container_has_ended(&world.yarn));
    let holds = holds.and_then(|()| invariant::nothing_is_left_to_run(&world.store));
    holds.map_err(|what| violation(world.now, what))?;
    Ok(world.count())
}

impl World {
    fn new(seed: u64, trace: bool) -> World {
        let mut random = Random::new(seed);
        let settings = MasterSettings {
            checkpoints: true,
            mode: MasterMode::Session,
            resources: ResourceSettings {
                slots_per_executor: random.between(1, 3) as u32,
                redundant_executors: random.between(0, 1) as u32,
                ..ResourceSettings::default()
            },
            heartbeat_interval: Millis(10_000),
            job_expiration: Millis(u64::MAX),
            result_wait: Millis(1_000),
        };
        let narrow = narrow::is_narrow(seed);
        let nodes = random.between(1, 6);
        let bad = random.chance(25).then(|| random.between(0, nodes - 1));
        let mut world = World {
            yarn: ModelYarn::new(nodes, bad),
            gate: Gate::default(),
            outage: Outage::of(seed),
            master: Master::new(Millis(0), settings),
            alive: true,
            epoch: 1,
            store: ModelStore::default(),
            random,
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            storage: ModelStorage::default(),
            executors: BTreeMap::new(),
            links: BTreeMap::new(),
            reset: BTreeSet::new(),
            first_serial: 0,
            wanted: 0,
            granting: 0,
            outcome: Outcome::default(),
            trace,
        };
        world.plan_jobs();
        world.yarn.room = narrow.then_some(1);
        world.at(1_000, Happening::Chaos);
        world.tell_of_nodes();
        world
    }

    fn plan_jobs(&mut self) {
        for job in 1..=self.random.between(1, 4) {
            let job = JobId(u128::from(job));
            let at = self.random.between(0, 20_000);
            self.at(at, Happening::Submit(job));
            self.plan_requests(job);
            if self.random.chance(20) {
                let at = self.random.between(0, FAULTS_END);
                self.at(at, Happening::Cancel(job));
            }
        }
    }

    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    pub(crate) fn soon(&mut self, longest: u64, happening: Happening) {
        let at = self.now + self.random.between(0, longest);
        self.at(at, happening);
    }

    pub(crate) fn faults(&self) -> bool {
        self.now < FAULTS_END
    }

    pub(crate) fn fault(&mut self, percent: u64) -> bool {
        let happens = self.faults() && self.random.chance(percent);
        self.outcome.faults += u32::from(happens);
        happens
    }

    pub(crate) fn decide(&mut self, input: impl FnOnce(&mut Master, Millis, &mut Vec<Effect>)) {
        if !self.alive {
            return;
        }
        let mut effects = Vec::new();
        input(&mut self.master, Millis(self.now), &mut effects);
        let admitted = self.admit(effects);
        self.perform_all(admitted);
    }

    /// Performs effects in order, unless the application master dies in the midst of it.
    pub(crate) fn perform_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if self.trace {
                eprintln!("{:>8}   effect {effect:?}", self.now);
            }
            self.perform(effect);
            if self.faults() && self.random.between(0, 4_999) == 0 {
                self.outcome.faults += 1;
                self.master_dies();
                if !self.alive {
                    return;
                }
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::WantContainers(count) => {
                self.wanted = count;
                while self.granting < self.wanted {
                    self.granting += 1;
                    self.soon(3_000, Happening::Grant);
                }
            }
            Effect::ReleaseContainer { executor, reason } => {
                self.given_back(&executor);
                self.check_silence(&executor, &reason);
                self.links.remove(&executor);
                self.soon(2_000, Happening::ContainerEnds(executor));
            }
            Effect::ExcludeNodes(hosts) => {
                self.outcome.excluded += hosts.difference(&self.yarn.excluded).count() as u32;
                let third = hosts.len() as u64 * 3 <= self.yarn.nodes;
                self.storage
                    .expect(third, || format!("more than a third of the nodes is excluded: {hosts:?}"));
                self.yarn.excluded = hosts;
            }
            Effect::Send { executor, message } => self.send(executor, *message),
            Effect::JobEnded { result } => {
                let durable = self.store.results.contains_key(&result.job_id)
                    || self.gate.tells_unrecorded(result.job_id);
                let text = || format!("the end of job {} is told before it is durable", result.job_id);
                self.storage.expect(durable, text);
            }
            Effect::Checkpoint { job, effect } => self.perform_checkpoint(job, effect),
            Effect::JobRestarted { job, restarts } if self.outage.lasts(self.now) == 0 => {
                let before = self.store.restarts.insert(job, restarts).unwrap_or(0);
                let text = || format!("job {job}: restart {restarts} is counted after restart {before}");
                self.storage.expect(restarts > before, text);
            }
            _ => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        if self.trace {
            eprintln!("{:>8} {happening:?}", self.now);
        }
        match happening {
            Happening::Submit(id) if self.alive => {
                let mut job = random_job(id, &mut self.random);
                self.fit_in(&mut job);
                match self.store_gives_up() {
                    true => self.refuse_later(id),
                    false => drop(self.store.jobs.insert(id, (job.clone(), self.now))),
                }
                self.decide(|m, now, fx| m.submit(now, job, fx).unwrap_or_else(|error| panic!("{error}")));
            }
            // Whoever asks an application master that is not there asks again; so does YARN.
            Happening::Submit(_) | Happening::Register(_) if !self.alive => {
                self.at(self.now + 1_000, happening);
            }
            Happening::Submit(_) => {}
            Happening::Cancel(id) => self.decide(|m, now, fx| {
                m.cancel(now, id, fx);
            }),
            Happening::Grant => self.grant(),
            Happening::Register(id) => self.connect(id),
            Happening::ContainerEnds(id) => {
                let failure = Failure::new(FailureKind::ExecutorLost, "the container ended");
                self.container_ends(id, failure);
            }
            Happening::Cluster(event) => self.cluster_event(event),
            Happening::Durable => self.durable(),
            Happening::NotRecorded => self.not_recorded(),
            Happening::StoreIsBack => self.store_is_back(),
            Happening::Network(event) => self.network_event(event),
            Happening::WorkerReady(id, job, serial) => self.worker_ready(id, job, serial),
            Happening::WorkerDies(id, job, serial) => self.worker_dies(id, job, serial),
            Happening::Task(id, job, serial, task, state) => self.task(id, job, serial, task, state, None),
            Happening::Damaged(id, job, serial, task) => {
                let failure = Failure::new(FailureKind::StateDamaged, "a checksum does not match");
                let failure = failure.wrapped(FailureKind::Error, "the task cannot begin");
                self.task(id, job, serial, task, TaskState::Failed, Some(failure));
            }
            Happening::Unreadable(id, job, serial, task, failure) => {
                self.task(id, job, serial, task, TaskState::Failed, Some(failure));
            }
            Happening::Checkpoint(event) => self.checkpoint_event(event),
            Happening::MasterDies => self.master_dies(),
            Happening::MasterStarts => self.master_starts(),
            Happening::Chaos => self.chaos(),
        }
    }

    /// The instant, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// What was asked of YARN was asked by the attempt that has died.
    pub(crate) fn forget_wishes(&mut self) {
        (self.wanted, self.granting) = (0, 0);
    }

    /// YARN grants a container: mostly because it is still wanted, sometimes though it is not any more.
    fn grant(&mut self) {
        self.granting -= 1;
        if self.wanted == 0 {
            return;
        }
        self.sequence += 1;
        let id = ExecutorId(format!("container_{:04}", self.sequence));
        let Some(host) = self.place() else {
            // No node takes containers now.
            self.granting += 1;
            return self.at(self.now + 1_000, Happening::Grant);
        };
        self.wanted -= 1;
        self.executors.insert(id.clone(), ModelExecutor::default());
        self.yarn.lent.insert(id.clone(), Lent::default());
        self.yarn.hosts.insert(id.clone(), host.clone());
        self.decide(|m, now, fx| m.container_starting(now, id.clone(), &host, fx));
        let bad = self.faults() && self.yarn.bad.as_ref() == Some(&host);
        if bad || self.fault(10) {
            self.soon(1_000, Happening::ContainerEnds(id));
        } else {
            self.soon(1_000, Happening::Register(id));
        }
    }

    pub(crate) fn container_ends(&mut self, id: ExecutorId, failure: Failure) {
        self.executors.remove(&id);
        if !self.alive {
            return self.at(self.now + 1_000, Happening::ContainerEnds(id));
        }
        self.links.remove(&id);
        self.yarn.lent.remove(&id);
        self.decide(|m, now, fx| m.container_ended(now, &id, failure, fx));
        self.told_again(id);
    }

    fn count(&self) -> Outcome {
        let ended = self.store.results.values();
        let all = self.store.results.len() as u32;
        let finished = ended.filter(|result| result.state == JobState::Finished).count() as u32;
        let moves = self.outcome.moves + self.master.jobs().map(|(_, job)| job.moves()).sum::<u32>();
        let in_little_room = self.finished_in_little_room();
        Outcome { finished, ended_otherwise: all - finished, moves, in_little_room, ..self.outcome }
    }
}
