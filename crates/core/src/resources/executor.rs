//! One registered task executor: its slots and its signs of life.

use super::ResourceSettings;
use crate::ids::JobId;
use crate::time::Millis;
use std::collections::BTreeSet;

/// A slot: free, or held by a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Nobody's.
    Free,
    /// Granted to this job.
    Held(JobId),
}

/// A registered task executor.
#[derive(Debug, Clone)]
pub struct Executor {
    /// The node that it runs on.
    pub host: String,
    /// Whether it has to go: its slots are not given to anybody any more.
    pub leaving: bool,
    slots: Vec<Slot>,
    /// Jobs that have something here which they need, with or without slots.
    occupied_by: BTreeSet<JobId>,
    idle_since: Option<Millis>,
    /// The last sign of life.
    pub last_heard: Millis,
    /// Since when its connection is broken.
    pub disconnected: Option<Millis>,
    /// The number of the connection over which it registered last.
    pub connection: u64,
}

impl Executor {
    pub(super) fn new(now: Millis, host: &str, slots: u32) -> Executor {
        Executor {
            host: host.to_string(),
            leaving: false,
            slots: vec![Slot::Free; slots as usize],
            occupied_by: BTreeSet::new(),
            idle_since: Some(now),
            last_heard: now,
            disconnected: None,
            connection: 0,
        }
    }

    pub(super) fn reconnected(&mut self, now: Millis) {
        self.last_heard = now;
        self.disconnected = None;
    }

    /// The slots, by index.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How many slots are free.
    pub fn free(&self) -> u32 {
        self.slots.iter().filter(|s| **s == Slot::Free).count() as u32
    }

    /// How many slots may be given to somebody.
    pub(super) fn usable(&self) -> u32 {
        if self.leaving || self.disconnected.is_some() { 0 } else { self.free() }
    }

    /// How many slots a job holds.
    pub fn held_by(&self, job: JobId) -> u32 {
        self.slots.iter().filter(|s| **s == Slot::Held(job)).count() as u32
    }

    /// The jobs that hold slots here.
    pub fn jobs(&self) -> Vec<JobId> {
        let jobs: BTreeSet<JobId> = self
            .slots
            .iter()
            .filter_map(|s| if let Slot::Held(job) = s { Some(*job) } else { None })
            .collect();
        jobs.into_iter().collect()
    }

    /// The jobs that hold slots here, and those that need something here without.
    pub(super) fn all_jobs(&self) -> Vec<JobId> {
        let holders: BTreeSet<JobId> = self.jobs().into_iter().collect();
        holders.union(&self.occupied_by).copied().collect()
    }

    /// Whether no slot is held, and nobody needs anything here.
    pub fn is_idle(&self) -> bool {
        self.idle_since.is_some()
    }

    pub(super) fn idle_for(&self, now: Millis) -> Option<Millis> {
        self.idle_since.map(|since| now.since(since))
    }

    pub(super) fn idle_again(&mut self, now: Millis) {
        self.idle_since = Some(now);
    }

    /// Gives up to `count` free slots to a job; returns their indices.
    pub(super) fn take(&mut self, job: JobId, count: u32) -> Vec<u32> {
        let mut taken = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if *slot == Slot::Free && (taken.len() as u32) < count {
                *slot = Slot::Held(job);
                taken.push(index as u32);
            }
        }
        if !taken.is_empty() {
            self.idle_since = None;
        }
        taken
    }

    pub(super) fn free_slot(&mut self, now: Millis, job: JobId, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize)
            && *slot == Slot::Held(job)
        {
            *slot = Slot::Free;
        }
        self.note_idle(now);
    }

    pub(super) fn free_job(&mut self, now: Millis, job: JobId) {
        for slot in &mut self.slots {
            if *slot == Slot::Held(job) {
                *slot = Slot::Free;
            }
        }
        self.note_idle(now);
    }

    pub(super) fn occupy(&mut self, job: JobId) {
        self.occupied_by.insert(job);
        self.idle_since = None;
    }

    pub(super) fn unoccupy(&mut self, now: Millis, job: JobId) {
        self.occupied_by.remove(&job);
        self.note_idle(now);
    }

    fn note_idle(&mut self, now: Millis) {
        if self.occupied_by.is_empty() && self.slots.iter().all(|s| *s == Slot::Free) {
            self.idle_since.get_or_insert(now);
        }
    }

    /// Why this executor counts as lost by now, if it does.
    pub(super) fn lost_reason(&self, now: Millis, settings: &ResourceSettings) -> Option<String> {
        if self.disconnected.is_some_and(|since| now.since(since) >= settings.reconnect_timeout) {
            return Some("its connection broke and it did not come back".to_string());
        }
        let silent = now.since(self.last_heard);
        (silent >= settings.heartbeat_timeout)
            .then(|| format!("no heartbeat for {} ms (heartbeat.timeout)", silent.0))
    }

    pub(super) fn next_deadline(&self, settings: &ResourceSettings, reconciling: bool) -> Option<Millis> {
        let heartbeat = self.last_heard.plus(settings.heartbeat_timeout);
        let reconnect = self.disconnected.map(|at| at.plus(settings.reconnect_timeout));
        let idle = self.idle_since.filter(|_| !reconciling).map(|at| at.plus(settings.idle_timeout));
        [Some(heartbeat), reconnect, idle].into_iter().flatten().min()
    }
}
