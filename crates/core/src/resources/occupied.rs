//! Executors that keep something for a job which may hold no slot there: they are not idle, and the job hears of their end.

use super::{ResourceEffect, ResourceManager};
use crate::ids::{ExecutorId, JobId};
use crate::time::Millis;
use std::collections::BTreeSet;

impl ResourceManager {
    /// Input: a job needs what it has on these executors, and has nothing on others, whether it holds slots there or not.
    pub fn occupied(
        &mut self,
        now: Millis,
        job: JobId,
        executors: BTreeSet<ExecutorId>,
        fx: &mut Vec<ResourceEffect>,
    ) {
        for id in &executors {
            self.change(id, |executor| executor.occupy(job));
        }
        let before = self.occupied.insert(job, executors.clone()).unwrap_or_default();
        self.unoccupy(now, job, before.difference(&executors));
        self.balance(fx);
    }

    /// A job needs nothing any more.
    pub(super) fn unoccupy_all(&mut self, now: Millis, job: JobId) {
        let before = self.occupied.remove(&job).unwrap_or_default();
        self.unoccupy(now, job, before.iter());
    }

    fn unoccupy<'a>(&mut self, now: Millis, job: JobId, executors: impl Iterator<Item = &'a ExecutorId>) {
        for id in executors {
            self.change(id, |executor| executor.unoccupy(now, job));
        }
        self.due(now.plus(self.settings.idle_timeout));
    }
}
