//! Task executors that go: those that did not come, those that are silent, those that nobody needs; and what their end says of
//! their nodes.

use super::{ResourceEffect, ResourceManager};
use crate::failure::{Failure, FailureKind};
use crate::ids::ExecutorId;
use crate::time::Millis;

impl ResourceManager {
    /// A container failed: its node may be to blame.
    pub(super) fn node_failed(&mut self, now: Millis, executor: &ExecutorId, fx: &mut Vec<ResourceEffect>) {
        let Some(host) = self.host_of(executor).map(str::to_string) else { return };
        if self.nodes.failed(now, &host, &self.settings.exclusion) {
            self.due(now.plus(self.settings.exclusion.timeout));
            fx.push(ResourceEffect::ExcludeNodes(self.nodes.excluded()));
        }
    }

    /// Notes a container that never became a task executor; too many of them within a minute pause the asking.
    pub(super) fn start_failed(&mut self, now: Millis) {
        self.start_failures.push_back(now);
        while self.start_failures.front().is_some_and(|at| now.since(*at) > Millis(60_000)) {
            self.start_failures.pop_front();
        }
        if self.start_failures.len() as f64 > self.settings.max_start_failures_per_minute {
            let until = now.plus(self.settings.start_retry_interval);
            self.paused_until = Some(until);
            self.due(until);
        }
    }

    pub(super) fn drop_unregistered(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        let timeout = self.settings.registration_timeout;
        let late: Vec<ExecutorId> = self
            .starting
            .iter()
            .filter(|(_, starting)| now.since(starting.since) >= timeout)
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.node_failed(now, &id, fx);
            self.starting.remove(&id);
            self.start_failed(now);
            self.release(&id, "it did not register in time", fx);
        }
    }

    pub(super) fn drop_silent(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        let silent: Vec<(ExecutorId, String)> = self
            .executors
            .iter()
            .filter_map(|(id, e)| Some((id.clone(), e.lost_reason(now, &self.settings)?)))
            .collect();
        for (id, reason) in silent {
            let text = format!("task executor {id} is lost: {reason}");
            if !self.leaving.executors.contains_key(&id) {
                self.node_failed(now, &id, fx);
            }
            self.release(&id, &reason, fx);
            self.lose(&id, Failure::new(FailureKind::ExecutorLost, text), fx);
        }
    }

    /// Gives back executors that were idle for too long. Those that are kept all the same begin another idle time.
    pub(super) fn drop_idle(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
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
                self.forget_executor(&id);
                self.release(&id, "it was idle for resourcemanager.taskmanager-timeout", fx);
            }
        }
    }
}
