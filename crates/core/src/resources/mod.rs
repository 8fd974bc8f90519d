//! The resource manager: which task executors there are, who holds their slots, and how many more are wanted.
//!
//! It knows nothing of YARN: it says how many containers it still waits for ([`ResourceEffect::WantContainers`], an
//! absolute number) and which to give back. Inputs take the time and push effects; `tick` is wanted at `next_deadline`.

mod executor;
mod recovery;
mod settings;

pub use executor::{Executor, Slot};
pub use settings::ResourceSettings;

use crate::failure::{Failure, FailureKind};
use crate::ids::{ExecutorId, JobId, SlotId};
use crate::time::Millis;
use std::collections::{BTreeMap, VecDeque};

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
    /// An executor is gone; these jobs had slots there.
    Lost {
        /// The executor.
        executor: ExecutorId,
        /// The jobs concerned.
        jobs: Vec<JobId>,
        /// Why.
        failure: Failure,
    },
}

/// All task executors of an application, and the demand for their slots.
#[derive(Debug)]
pub struct ResourceManager {
    settings: ResourceSettings,
    executors: BTreeMap<ExecutorId, Executor>,
    /// Containers that were started and whose task executor has not registered yet, with the time of their start.
    starting: BTreeMap<ExecutorId, Millis>,
    demand: BTreeMap<JobId, u32>,
    wanted: u32,
    start_failures: VecDeque<Millis>,
    paused_until: Option<Millis>,
    /// It is not known yet who holds which slots: nothing is granted, asked for or given back.
    reconciling: bool,
}

impl ResourceManager {
    /// No executors, no demand.
    pub fn new(settings: ResourceSettings) -> ResourceManager {
        ResourceManager {
            settings,
            executors: BTreeMap::new(),
            starting: BTreeMap::new(),
            demand: BTreeMap::new(),
            wanted: 0,
            start_failures: VecDeque::new(),
            paused_until: None,
            reconciling: false,
        }
    }

    /// Input: a job needs that many slots in all; 0 gives back all that it holds.
    pub fn require(&mut self, now: Millis, job: JobId, slots: u32, fx: &mut Vec<ResourceEffect>) {
        if slots == 0 {
            self.demand.remove(&job);
            for executor in self.executors.values_mut() {
                executor.free_job(now, job);
            }
        } else {
            self.demand.insert(job, slots);
        }
        self.balance(fx);
    }

    /// Input: a job gives single slots back. It does not need them: its demand falls by as many.
    pub fn returned(&mut self, now: Millis, job: JobId, slots: &[SlotId], fx: &mut Vec<ResourceEffect>) {
        for slot in slots {
            if let Some(executor) = self.executors.get_mut(&slot.executor) {
                executor.free_slot(now, job, slot.index);
            }
        }
        if let Some(demand) = self.demand.get_mut(&job) {
            *demand = demand.saturating_sub(slots.len() as u32);
        }
        self.balance(fx);
    }

    /// Input: a container was allocated and is being started.
    pub fn container_starting(&mut self, now: Millis, executor: ExecutorId, fx: &mut Vec<ResourceEffect>) {
        self.starting.insert(executor, now);
        self.wanted = self.wanted.saturating_sub(1);
        self.balance(fx);
    }

    /// Input: a task executor has registered. Returns whether it is welcome.
    pub fn registered(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        slots: u32,
        fx: &mut Vec<ResourceEffect>,
    ) -> bool {
        let known = self.starting.remove(&executor).is_some();
        if !known && !self.executors.contains_key(&executor) && !self.settings.accept_unknown {
            return false;
        }
        match self.executors.get_mut(&executor) {
            Some(again) => again.reconnected(now),
            None => {
                self.executors.insert(executor, Executor::new(now, slots));
            }
        }
        self.balance(fx);
        true
    }

    /// Input: a sign of life.
    pub fn heard(&mut self, now: Millis, executor: &ExecutorId) {
        if let Some(executor) = self.executors.get_mut(executor) {
            executor.last_heard = now;
        }
    }

    /// Input: the connection to a task executor broke. It has a short time to come back.
    pub fn disconnected(&mut self, now: Millis, executor: &ExecutorId) {
        if let Some(executor) = self.executors.get_mut(executor) {
            executor.disconnected.get_or_insert(now);
        }
    }

    /// Input: a container has ended, or could not be started.
    pub fn container_ended(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failure: Failure,
        fx: &mut Vec<ResourceEffect>,
    ) {
        if self.starting.remove(executor).is_some() {
            self.start_failed(now);
        }
        self.lose(executor, failure, fx);
        self.balance(fx);
    }

    /// Input: time has passed.
    pub fn tick(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        if self.paused_until.is_some_and(|at| at <= now) {
            self.paused_until = None;
        }
        self.drop_unregistered(now, fx);
        self.drop_silent(now, fx);
        self.drop_idle(now, fx);
        self.balance(fx);
    }

    /// The next instant at which `tick` would do something.
    pub fn next_deadline(&self) -> Option<Millis> {
        let unregistered = self.starting.values().map(|at| at.plus(self.settings.registration_timeout));
        let executors =
            self.executors.values().filter_map(|e| e.next_deadline(&self.settings, self.reconciling));
        unregistered.chain(executors).chain(self.paused_until).min()
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
        let total = self.executors.values().map(|e| e.slots().len() as u32).sum();
        let free = self.executors.values().map(Executor::free).sum();
        (total, free)
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
        let mut missing = 0;
        for (job, need) in self.demand.clone() {
            missing += self.grant(job, need, fx);
        }
        self.update_wanted(missing, fx);
    }

    /// Grants free slots to one job; returns how many it still lacks.
    fn grant(&mut self, job: JobId, need: u32, fx: &mut Vec<ResourceEffect>) -> u32 {
        let held: u32 = self.executors.values().map(|e| e.held_by(job)).sum();
        let mut lacking = need.saturating_sub(held);
        let mut slots = Vec::new();
        while lacking > 0 {
            let Some(id) = self.pick_executor() else { break };
            let Some(executor) = self.executors.get_mut(&id) else { break };
            let take = if self.settings.spread_out { 1 } else { lacking };
            for index in executor.take(job, take) {
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
        let candidates = self.executors.iter().filter(|(_, e)| e.free() > 0 && e.disconnected.is_none());
        let picked = if self.settings.spread_out {
            candidates.max_by_key(|(id, e)| (e.free(), std::cmp::Reverse((*id).clone())))
        } else {
            candidates.min_by_key(|(id, e)| (e.free(), (*id).clone()))
        };
        picked.map(|(id, _)| id.clone())
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
        let idle = self.executors.values().filter(|e| e.is_idle()).count() as u32;
        let busy = self.executors.len() as u32 - idle;
        let spares = if self.demand.is_empty() { 0 } else { self.settings.redundant_executors };
        spares.max(minimum.saturating_sub(busy)).saturating_sub(idle)
    }

    fn lose(&mut self, id: &ExecutorId, failure: Failure, fx: &mut Vec<ResourceEffect>) {
        if let Some(executor) = self.executors.remove(id) {
            fx.push(ResourceEffect::Lost { executor: id.clone(), jobs: executor.jobs(), failure });
        }
    }

    fn release(&mut self, executor: &ExecutorId, reason: &str, fx: &mut Vec<ResourceEffect>) {
        fx.push(ResourceEffect::ReleaseContainer { executor: executor.clone(), reason: reason.to_string() });
    }

    /// Notes a container that never became a task executor; too many of them within a minute pause the asking.
    fn start_failed(&mut self, now: Millis) {
        self.start_failures.push_back(now);
        while self.start_failures.front().is_some_and(|at| now.since(*at) > Millis(60_000)) {
            self.start_failures.pop_front();
        }
        if self.start_failures.len() as f64 > self.settings.max_start_failures_per_minute {
            self.paused_until = Some(now.plus(self.settings.start_retry_interval));
        }
    }

    fn drop_unregistered(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        let timeout = self.settings.registration_timeout;
        let late: Vec<ExecutorId> = self
            .starting
            .iter()
            .filter(|(_, at)| now.since(**at) >= timeout)
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.starting.remove(&id);
            self.start_failed(now);
            self.release(&id, "it did not register in time", fx);
        }
    }

    fn drop_silent(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        let silent: Vec<(ExecutorId, String)> = self
            .executors
            .iter()
            .filter_map(|(id, e)| Some((id.clone(), e.lost_reason(now, &self.settings)?)))
            .collect();
        for (id, reason) in silent {
            let text = format!("task executor {id} is lost: {reason}");
            self.release(&id, &reason, fx);
            self.lose(&id, Failure::new(FailureKind::ExecutorLost, text), fx);
        }
    }

    /// Gives back executors that were idle for too long. Those that are kept all the same begin another idle time.
    fn drop_idle(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        if self.reconciling {
            return;
        }
        let mut spares = if self.demand.is_empty() { 0 } else { self.settings.redundant_executors };
        let idle: Vec<ExecutorId> = self
            .executors
            .iter()
            .filter(|(_, e)| e.idle_for(now).is_some_and(|span| span >= self.settings.idle_timeout))
            .map(|(id, _)| id.clone())
            .collect();
        for id in idle {
            let (total, _) = self.slots();
            if spares > 0 || total <= self.settings.min_slots {
                spares = spares.saturating_sub(1);
                if let Some(executor) = self.executors.get_mut(&id) {
                    executor.idle_again(now);
                }
            } else {
                self.executors.remove(&id);
                self.release(&id, "it was idle for resourcemanager.taskmanager-timeout", fx);
            }
        }
    }
}
