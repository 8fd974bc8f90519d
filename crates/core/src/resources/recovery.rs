//! Taking over the task executors of an earlier application master.

use super::{ResourceEffect, ResourceManager};
use crate::ids::{ExecutorId, JobId, SlotId};
use crate::time::Millis;

impl ResourceManager {
    /// Set-up: these containers of an earlier attempt still run, and their task executors will register. Until
    /// [`ResourceManager::reconciled`] nothing is granted.
    pub fn reconcile(&mut self, now: Millis, containers: impl IntoIterator<Item = ExecutorId>) {
        self.reconciling = true;
        self.starting.extend(containers.into_iter().map(|executor| (executor, now)));
    }

    /// A job has tasks in so many slots of an executor: they are its own. Fewer than asked for if there are no more.
    pub fn claim(&mut self, executor: &ExecutorId, job: JobId, count: u32) -> Vec<SlotId> {
        let Some(found) = self.executors.get_mut(executor) else { return Vec::new() };
        let slot = |index| SlotId { executor: executor.clone(), index };
        found.take(job, count).into_iter().map(slot).collect()
    }

    /// Input: it is known who holds what. Containers whose task executor has not come forward are given back.
    pub fn reconciled(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        self.reconciling = false;
        for executor in std::mem::take(&mut self.starting).into_keys() {
            self.release(&executor, "its task executor did not find this application master in time", fx);
        }
        for executor in self.executors.values_mut().filter(|e| e.is_idle()) {
            executor.idle_again(now);
        }
        self.balance(fx);
    }
}
