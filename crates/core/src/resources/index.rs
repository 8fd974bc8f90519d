//! Sums over all executors, kept up to date so that no decision need look at every one of ten thousand. Derived: what an
//! executor adds is what is removed again before it changes.

use super::Executor;
use super::executor::Slot;
use crate::ids::{ExecutorId, JobId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Executors with slots to give, by how many.
    usable: BTreeSet<(u32, ExecutorId)>,
    /// How many slots count for each job: those on executors that have to go do not.
    lasting: BTreeMap<JobId, u32>,
    idle: BTreeSet<ExecutorId>,
    slots: u32,
    free: u32,
}

impl Index {
    pub fn add(&mut self, id: &ExecutorId, executor: &Executor) {
        let usable = executor.usable();
        if usable > 0 {
            self.usable.insert((usable, id.clone()));
        }
        if executor.is_idle() {
            self.idle.insert(id.clone());
        }
        self.slots += executor.slots().len() as u32;
        self.free += executor.free();
        for slot in executor.slots().iter().filter(|_| !executor.leaving) {
            if let Slot::Held(job) = slot {
                *self.lasting.entry(*job).or_default() += 1;
            }
        }
    }

    pub fn remove(&mut self, id: &ExecutorId, executor: &Executor) {
        self.usable.remove(&(executor.usable(), id.clone()));
        self.idle.remove(id);
        self.slots -= executor.slots().len() as u32;
        self.free -= executor.free();
        for slot in executor.slots().iter().filter(|_| !executor.leaving) {
            if let Slot::Held(job) = slot
                && let Some(count) = self.lasting.get_mut(job)
            {
                *count -= 1;
                if *count == 0 {
                    self.lasting.remove(job);
                }
            }
        }
    }

    /// Slots in all, and free ones.
    pub fn slots(&self) -> (u32, u32) {
        (self.slots, self.free)
    }

    /// How many slots a job has that it can keep.
    pub fn lasting(&self, job: JobId) -> u32 {
        self.lasting.get(&job).copied().unwrap_or(0)
    }

    /// Executors none of whose slots is held.
    pub fn idle(&self) -> &BTreeSet<ExecutorId> {
        &self.idle
    }

    /// The fullest executor that has a slot to give, so that the others may go idle; the first of equals.
    pub fn fullest(&self) -> Option<&ExecutorId> {
        self.usable.first().map(|(_, id)| id)
    }

    /// The emptiest executor; the first of equals.
    pub fn emptiest(&self) -> Option<&ExecutorId> {
        let most = self.usable.last()?.0;
        let ids = self.usable.iter().rev().take_while(|(free, _)| *free == most);
        ids.map(|(_, id)| id).max_by_key(|id| Reverse(*id))
    }
}
