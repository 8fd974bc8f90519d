//! Taking over the task executors of an earlier application master.

use super::{ResourceEffect, ResourceManager, Starting};
use crate::ids::{ExecutorId, JobId, SlotId};
use crate::time::Millis;

impl ResourceManager {
    /// Set-up: these containers of an earlier attempt still run, and their task executors will register. Until
    /// [`ResourceManager::reconciled`] nothing is granted.
    pub fn reconcile(&mut self, now: Millis, containers: impl IntoIterator<Item = ExecutorId>) {
        self.reconciling = true;
        let unknown = |executor| (executor, Starting { since: now, host: String::new() });
        self.starting.extend(containers.into_iter().map(unknown));
        self.due(now.plus(self.settings.registration_timeout));
    }

    /// Set-up: a container of an earlier attempt is on this node.
    pub fn found_on(&mut self, executor: &ExecutorId, host: &str) {
        if let Some(starting) = self.starting.get_mut(executor) {
            starting.host = host.to_string();
        }
    }

    /// A job has tasks in so many slots of an executor: they are its own. Fewer than asked for if there are no more.
    pub fn claim(&mut self, executor: &ExecutorId, job: JobId, count: u32) -> Vec<SlotId> {
        let slot = |index| SlotId { executor: executor.clone(), index };
        let taken = self.change(executor, |found| found.take(job, count)).unwrap_or_default();
        taken.into_iter().map(slot).collect()
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
        self.due(now.plus(self.settings.idle_timeout));
        self.ask_all_to_vacate(fx);
        self.balance(fx);
    }
}
