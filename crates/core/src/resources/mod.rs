//! The resource manager: which task executors there are, who holds their slots, and how many more are wanted.
//!
//! It knows nothing of YARN: it says how many containers it still waits for ([`ResourceEffect::WantContainers`], an
//! absolute number) and which to give back. Inputs take the time and push effects; `tick` is wanted at `next_deadline`.

mod executor;
mod index;
mod leaving;
mod losses;
mod nodes;
mod occupied;
mod recovery;
mod settings;
#[cfg(test)]
mod tests;

pub use executor::{Executor, Slot};
pub use leaving::WantedBack;
pub use settings::{NodeExclusion, ResourceSettings};

use crate::failure::{Failure, FailureKind};
use crate::ids::{ExecutorId, JobId, SlotId};
use crate::time::Millis;
use index::Index;
use leaving::Leaving;
use nodes::Nodes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the resource manager wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceEffect {
    /// So many containers are wanted that were not allocated yet.
    WantContainers(u32),
    /// This container is not needed any more, or of no use: stop it and give it back.
    ReleaseContainer {
        /// Its task executor.
        executor: ExecutorId,
        /// Why, for the logs.
        reason: String,
    },
    /// Slots for a job.
    Grant {
        /// The job.
        job: JobId,
        /// Its new slots.
        slots: Vec<SlotId>,
    },
    /// An executor is gone; these jobs had slots or something else there.
    Lost {
        /// The executor.
        executor: ExecutorId,
        /// The jobs concerned.
        jobs: Vec<JobId>,
        /// Why.
        failure: Failure,
    },
    /// An executor has to go; these jobs have slots there and are to move elsewhere. Slots elsewhere are granted as they
    /// become free.
    Vacate {
        /// The executor.
        executor: ExecutorId,
        /// The jobs concerned.
        jobs: Vec<JobId>,
        /// Until when they may wait for slots elsewhere.
        patience: Millis,
    },
    /// An executor need not go after all.
    Stay {
        /// The executor.
        executor: ExecutorId,
        /// The jobs that have slots there.
        jobs: Vec<JobId>,
    },
    /// No containers are to be taken on these nodes, and on no others than these any are.
    ExcludeNodes(BTreeSet<String>),
}

/// A container that was started and whose task executor has not registered yet.
#[derive(Debug, Clone)]
struct Starting {
    since: Millis,
    /// The node; empty where it is not known yet.
    host: String,
}

/// All task executors of an application, and the demand for their slots.
#[derive(Debug)]
pub struct ResourceManager {
    settings: ResourceSettings,
    executors: BTreeMap<ExecutorId, Executor>,
    index: Index,
    starting: BTreeMap<ExecutorId, Starting>,
    demand: BTreeMap<JobId, u32>,
    /// Where jobs have something that they need, with or without slots there.
    occupied: BTreeMap<JobId, BTreeSet<ExecutorId>>,
    leaving: Leaving,
    nodes: Nodes,
    wanted: u32,
    start_failures: VecDeque<Millis>,
    paused_until: Option<Millis>,
    /// It is not known yet who holds which slots: nothing is granted, asked for or given back.
    reconciling: bool,
    /// Not after this instant something is to be done; signs of life may have moved that.
    due: Option<Millis>,
}

impl ResourceManager {
    /// No executors, no demand.
    pub fn new(settings: ResourceSettings) -> ResourceManager {
        ResourceManager {
            settings,
            executors: BTreeMap::new(),
            index: Index::default(),
            starting: BTreeMap::new(),
            demand: BTreeMap::new(),
            occupied: BTreeMap::new(),
            leaving: Leaving::default(),
            nodes: Nodes::default(),
            wanted: 0,
            start_failures: VecDeque::new(),
            paused_until: None,
            reconciling: false,
            due: None,
        }
    }

    /// Input: a job needs that many slots in all; 0 gives back all that it holds.
    pub fn require(&mut self, now: Millis, job: JobId, slots: u32, fx: &mut Vec<ResourceEffect>) {
        if slots == 0 {
            self.demand.remove(&job);
            self.free_job(now, job);
        } else {
            self.demand.insert(job, slots);
        }
        self.balance(fx);
    }

    /// Input: a job can use no slots for now. It keeps those that it holds until it leaves them.
    pub fn require_none(&mut self, job: JobId, fx: &mut Vec<ResourceEffect>) {
        self.demand.insert(job, 0);
        self.balance(fx);
    }

    /// Input: a job gives single slots back. It does not need them: its demand falls by as many.
    pub fn returned(&mut self, now: Millis, job: JobId, slots: &[SlotId], fx: &mut Vec<ResourceEffect>) {
        if let Some(demand) = self.demand.get_mut(&job) {
            *demand = demand.saturating_sub(slots.len() as u32);
        }
        self.vacated(now, job, slots, fx);
    }

    /// Input: a job has no use for these slots; it needs as many as before.
    pub fn vacated(&mut self, now: Millis, job: JobId, slots: &[SlotId], fx: &mut Vec<ResourceEffect>) {
        for slot in slots {
            self.change(&slot.executor, |executor| executor.free_slot(now, job, slot.index));
        }
        self.due(now.plus(self.settings.idle_timeout));
        self.balance(fx);
    }

    fn free_job(&mut self, now: Millis, job: JobId) {
        let holders = self.executors.iter().filter(|(_, e)| e.held_by(job) > 0).map(|(id, _)| id.clone());
        for id in holders.collect::<Vec<_>>() {
            self.change(&id, |executor| executor.free_job(now, job));
        }
        self.unoccupy_all(now, job);
        self.due(now.plus(self.settings.idle_timeout));
    }

    /// Changes an executor, and what follows from it.
    fn change<R>(&mut self, id: &ExecutorId, change: impl FnOnce(&mut Executor) -> R) -> Option<R> {
        let executor = self.executors.get_mut(id)?;
        self.index.remove(id, executor);
        let result = change(executor);
        self.index.add(id, executor);
        Some(result)
    }

    /// Something is to be done at this instant, if not before.
    fn due(&mut self, at: Millis) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Input: a container was allocated on a node and is being started.
    pub fn container_starting(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        host: &str,
        fx: &mut Vec<ResourceEffect>,
    ) {
        self.starting.insert(executor, Starting { since: now, host: host.to_string() });
        self.due(now.plus(self.settings.registration_timeout));
        self.wanted = self.wanted.saturating_sub(1);
        self.balance(fx);
    }

    /// Getter: whether a task executor that registers now is one that was asked for.
    pub fn is_welcome(&self, executor: &ExecutorId) -> bool {
        let known = self.starting.contains_key(executor) || self.executors.contains_key(executor);
        known || self.settings.accept_unknown
    }

    /// Input: a task executor has registered. Returns whether it is welcome.
    pub fn registered(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        host: &str,
        slots: u32,
        fx: &mut Vec<ResourceEffect>,
    ) -> bool {
        // Not even while it is being found out what runs: a container that YARN has not named may have been given back.
        if !self.is_welcome(&executor) {
            return false;
        }
        self.starting.remove(&executor);
        if self.change(&executor, |again| again.reconnected(now)).is_none() {
            let leaving = self.is_leaving(&executor, host);
            let mut fresh = Executor::new(now, host, slots);
            fresh.leaving = leaving;
            self.index.add(&executor, &fresh);
            self.executors.insert(executor, fresh);
        }
        self.due(now.plus(self.settings.heartbeat_timeout.min(self.settings.idle_timeout)));
        self.balance(fx);
        true
    }

    /// Input: the registration of an executor that is welcome came over the connection with this number.
    pub fn connected(&mut self, executor: &ExecutorId, connection: u64) {
        if let Some(executor) = self.executors.get_mut(executor) {
            executor.connection = connection;
        }
    }

    /// Input: a sign of life.
    pub fn heard(&mut self, now: Millis, executor: &ExecutorId) {
        if let Some(executor) = self.executors.get_mut(executor) {
            executor.last_heard = now;
        }
    }

    /// Input: the connection to a task executor broke. It has a short time to come back.
    pub fn disconnected(&mut self, now: Millis, executor: &ExecutorId) {
        if self.change(executor, |e| *e.disconnected.get_or_insert(now)).is_some() {
            self.due(now.plus(self.settings.reconnect_timeout));
        }
    }

    /// Input: the cluster has so many nodes. The first word of the kind begins the asking: for the least number of slots.
    pub fn cluster_size(&mut self, nodes: u32, fx: &mut Vec<ResourceEffect>) {
        if self.nodes.set_total(nodes) {
            fx.push(ResourceEffect::ExcludeNodes(self.nodes.excluded()));
        }
        self.balance(fx);
    }

    /// Input: a container has ended, or could not be started. It counts as failed unless the failure is of the kind
    /// [`FailureKind::Withdrawn`].
    pub fn container_ended(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failure: Failure,
        fx: &mut Vec<ResourceEffect>,
    ) {
        let failed =
            !failure.has_kind(FailureKind::Withdrawn) && !self.leaving.executors.contains_key(executor);
        if failed {
            self.node_failed(now, executor, fx);
        }
        if self.starting.remove(executor).is_some() && failed {
            self.start_failed(now);
        }
        self.lose(executor, failure, fx);
        self.balance(fx);
    }

    /// Input: time has passed.
    pub fn tick(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.paused_until.is_some_and(|at| at <= now) {
            self.paused_until = None;
        }
        if self.nodes.expire(now) {
            fx.push(ResourceEffect::ExcludeNodes(self.nodes.excluded()));
        }
        self.forget_old_wishes(now, fx);
        self.drop_unregistered(now, fx);
        self.drop_silent(now, fx);
        self.drop_idle(now, fx);
        self.due = self.exact_deadline();
        self.balance(fx);
    }

    /// The next instant at which `tick` may have something to do.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.due
    }

    fn exact_deadline(&self) -> Option<Millis> {
        let unregistered = self.starting.values().map(|s| s.since.plus(self.settings.registration_timeout));
        let executors =
            self.executors.values().filter_map(|e| e.next_deadline(&self.settings, self.reconciling));
        let others = [self.paused_until, self.nodes.next_deadline(), self.next_lapse()];
        unregistered.chain(executors).chain(others.into_iter().flatten()).min()
    }

    /// Getter: the registered executors.
    pub fn executors(&self) -> &BTreeMap<ExecutorId, Executor> {
        &self.executors
    }

    /// Getter: containers that were started and have not registered.
    pub fn starting(&self) -> impl Iterator<Item = &ExecutorId> {
        self.starting.keys()
    }

    /// Getter: slots in all, and free ones.
    pub fn slots(&self) -> (u32, u32) {
        self.index.slots()
    }

    /// Getter: containers wanted but not allocated.
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Grants what is free to those who lack, and asks for what is still missing.
    fn balance(&mut self, fx: &mut Vec<ResourceEffect>) {
        if self.reconciling {
            return;
        }
        self.give_back_leaving(fx);
        let lacks = |(job, need): (&JobId, &u32)| (self.index.lasting(*job) < *need).then_some((*job, *need));
        let lacking: Vec<(JobId, u32)> = self.demand.iter().filter_map(lacks).collect();
        let mut missing = 0;
        for (job, need) in lacking {
            missing += self.grant(job, need, fx);
        }
        self.update_wanted(missing, fx);
    }

    /// Grants free slots to one job; returns how many it still lacks.
    fn grant(&mut self, job: JobId, need: u32, fx: &mut Vec<ResourceEffect>) -> u32 {
        let mut lacking = need.saturating_sub(self.index.lasting(job));
        let mut slots = Vec::new();
        while lacking > 0 {
            let Some(id) = self.pick_executor() else { break };
            let take = if self.settings.spread_out { 1 } else { lacking };
            for index in self.change(&id, |executor| executor.take(job, take)).unwrap_or_default() {
                lacking -= 1;
                slots.push(SlotId { executor: id.clone(), index });
            }
        }
        if !slots.is_empty() {
            fx.push(ResourceEffect::Grant { job, slots });
        }
        lacking
    }

    /// The executor to take the next slot from: the fullest one that has a free slot, so that the others may go idle; or
    /// the emptiest, where slots are to be spread out.
    fn pick_executor(&self) -> Option<ExecutorId> {
        let picked = if self.settings.spread_out { self.index.emptiest() } else { self.index.fullest() };
        picked.cloned()
    }

    fn update_wanted(&mut self, missing_slots: u32, fx: &mut Vec<ResourceEffect>) {
        let per_executor = self.settings.slots_per_executor.max(1);
        let expected = self.starting.len() as u32;
        let (total, _) = self.slots();
        let room = self
            .settings
            .max_slots
            .map_or(u32::MAX, |max| (max.saturating_sub(total) / per_executor).saturating_sub(expected));
        let needed = missing_slots.div_ceil(per_executor) + self.spare_executors();
        let mut wanted = needed.saturating_sub(expected).min(room);
        if self.paused_until.is_some() {
            wanted = 0;
        }
        if wanted != self.wanted {
            self.wanted = wanted;
            fx.push(ResourceEffect::WantContainers(wanted));
        }
    }

    /// Executors wanted beyond the demand: the configured minimum and the spares.
    fn spare_executors(&self) -> u32 {
        let per_executor = self.settings.slots_per_executor.max(1);
        let minimum = self.settings.min_slots.div_ceil(per_executor);
        let idle = self.index.idle().len() as u32;
        let busy = self.executors.len() as u32 - idle;
        let spares = if self.demand.is_empty() { 0 } else { self.settings.redundant_executors };
        spares.max(minimum.saturating_sub(busy)).saturating_sub(idle)
    }

    fn lose(&mut self, id: &ExecutorId, failure: Failure, fx: &mut Vec<ResourceEffect>) {
        let failure = self.blame(id, failure);
        if let Some(executor) = self.forget_executor(id) {
            fx.push(ResourceEffect::Lost { executor: id.clone(), jobs: executor.all_jobs(), failure });
        }
    }

    fn forget_executor(&mut self, id: &ExecutorId) -> Option<Executor> {
        self.leaving.executors.remove(id);
        let executor = self.executors.remove(id)?;
        self.index.remove(id, &executor);
        Some(executor)
    }

    fn release(&mut self, executor: &ExecutorId, reason: &str, fx: &mut Vec<ResourceEffect>) {
        fx.push(ResourceEffect::ReleaseContainer { executor: executor.clone(), reason: reason.to_string() });
    }
}
