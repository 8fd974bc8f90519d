//! Containers that YARN wants back, and nodes that are being taken out of the cluster: nothing has failed there, and what runs
//! there moves while there is time.

use super::{ResourceEffect, ResourceManager};
use crate::failure::{Failure, FailureKind};
use crate::ids::{ExecutorId, JobId};
use crate::time::Millis;
use std::collections::BTreeMap;

/// A wish for containers that YARN does not repeat for so long has been withdrawn.
const WISH_LASTS: Millis = Millis(60_000);

/// Containers that YARN wants back (`PreemptionMessage`); it says so with each heartbeat for as long as it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedBack {
    /// These will be taken (`StrictPreemptionContract`).
    pub strict: Vec<ExecutorId>,
    /// These will be taken unless as many others are given back (`PreemptionContract`).
    pub negotiable: Vec<ExecutorId>,
}

/// An executor that has to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    /// How long its tasks may wait for slots elsewhere before they are stopped without.
    patience: Millis,
    /// When the notice no longer holds unless it is repeated; none for a node that is taken out.
    lapses: Option<Millis>,
}

/// Who has to go.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    pub executors: BTreeMap<ExecutorId, Notice>,
    /// Nodes that are taken out, and until when tasks there may wait for slots elsewhere.
    pub hosts: BTreeMap<String, Millis>,
    /// Executors for which an idle one was given back, and until when that holds.
    settled: BTreeMap<ExecutorId, Millis>,
}

impl ResourceManager {
    /// Input: YARN wants containers back. Idle ones are given back first, in place of others where YARN lets us choose;
    /// tasks move away from the rest.
    pub fn wanted_back(&mut self, now: Millis, wanted: &WantedBack, fx: &mut Vec<ResourceEffect>) {
        let notice = Notice {
            patience: now.plus(self.settings.preemption_patience),
            lapses: Some(now.plus(WISH_LASTS)),
        };
        let (idle, busy): (Vec<&ExecutorId>, Vec<&ExecutorId>) =
            wanted.negotiable.iter().partition(|id| self.index.idle().contains(id));
        for id in wanted.strict.iter().chain(idle) {
            self.must_go(id, notice, fx);
        }
        self.give_back_leaving(fx);
        for id in busy {
            if !self.settle_with_idle(now, id, fx) {
                self.must_go(id, notice, fx);
            }
        }
        self.balance(fx);
    }

    /// Gives an idle executor back in place of one that works. Says whether that was done, now or before.
    fn settle_with_idle(&mut self, now: Millis, id: &ExecutorId, fx: &mut Vec<ResourceEffect>) -> bool {
        if self.leaving.settled.get(id).is_some_and(|until| *until > now) {
            return true;
        }
        let works = self.executors.contains_key(id) && !self.leaving.executors.contains_key(id);
        let Some(idle) = self.index.idle().first().filter(|_| works && !self.reconciling).cloned() else {
            return false;
        };
        self.forget_executor(&idle);
        self.release(&idle, "YARN wants containers back, and this one was idle", fx);
        self.leaving.settled.insert(id.clone(), now.plus(WISH_LASTS));
        true
    }

    /// Input: a node is being taken out of the cluster; in so long at the latest its containers end.
    pub fn node_leaves(&mut self, now: Millis, host: &str, within: Millis, fx: &mut Vec<ResourceEffect>) {
        let patience = now.plus(Millis(within.0 / 2));
        self.leaving.hosts.insert(host.to_string(), patience);
        let there = |id: &&ExecutorId| self.host_of(id) == Some(host);
        let ids: Vec<ExecutorId> =
            self.executors.keys().chain(self.starting.keys()).filter(there).cloned().collect();
        for id in ids {
            self.must_go(&id, Notice { patience, lapses: None }, fx);
        }
        self.balance(fx);
    }

    /// Input: a node takes containers (again).
    pub fn node_stays(&mut self, host: &str, fx: &mut Vec<ResourceEffect>) {
        if self.leaving.hosts.remove(host).is_none() {
            return;
        }
        let there = |id: &&ExecutorId| self.host_of(id) == Some(host);
        let ids: Vec<ExecutorId> = self.leaving.executors.keys().filter(there).cloned().collect();
        for id in ids {
            self.may_stay(&id, fx);
        }
        self.balance(fx);
    }

    pub(super) fn host_of(&self, id: &ExecutorId) -> Option<&str> {
        let registered = self.executors.get(id).map(|executor| executor.host.as_str());
        registered.or_else(|| self.starting.get(id).map(|starting| starting.host.as_str()))
    }

    fn must_go(&mut self, id: &ExecutorId, notice: Notice, fx: &mut Vec<ResourceEffect>) {
        if self.starting.contains_key(id) && !self.reconciling {
            self.starting.remove(id);
            return self.release(id, "YARN wants it back before it was used", fx);
        }
        if !self.executors.contains_key(id) && !self.starting.contains_key(id) {
            return;
        }
        if let Some(lapses) = notice.lapses {
            self.due(lapses);
        }
        match self.leaving.executors.get_mut(id) {
            Some(known) => known.lapses = known.lapses.and(notice.lapses),
            None => {
                self.leaving.executors.insert(id.clone(), notice);
                self.change(id, |executor| executor.leaving = true);
                self.ask_to_vacate(id, fx);
            }
        }
    }

    /// Whether an executor that comes forward has to go.
    pub(super) fn is_leaving(&mut self, id: &ExecutorId, host: &str) -> bool {
        if let Some(patience) = self.leaving.hosts.get(host) {
            let notice = Notice { patience: *patience, lapses: None };
            self.leaving.executors.entry(id.clone()).or_insert(notice);
        }
        self.leaving.executors.contains_key(id)
    }

    fn ask_to_vacate(&self, id: &ExecutorId, fx: &mut Vec<ResourceEffect>) {
        let (Some(executor), Some(notice)) = (self.executors.get(id), self.leaving.executors.get(id)) else {
            return;
        };
        if !self.reconciling && !executor.is_idle() {
            let (jobs, patience) = (executor.jobs(), notice.patience);
            fx.push(ResourceEffect::Vacate { executor: id.clone(), jobs, patience });
        }
    }

    /// It is known who holds what: those who have slots where they cannot stay are asked to go.
    pub(super) fn ask_all_to_vacate(&self, fx: &mut Vec<ResourceEffect>) {
        self.leaving.executors.keys().for_each(|id| self.ask_to_vacate(id, fx));
    }

    fn may_stay(&mut self, id: &ExecutorId, fx: &mut Vec<ResourceEffect>) {
        self.leaving.executors.remove(id);
        self.change(id, |executor| executor.leaving = false);
        let jobs: Vec<JobId> = self.executors.get(id).map(|executor| executor.jobs()).unwrap_or_default();
        if !jobs.is_empty() {
            fx.push(ResourceEffect::Stay { executor: id.clone(), jobs });
        }
    }

    /// Gives back whatever has to go and holds nothing.
    pub(super) fn give_back_leaving(&mut self, fx: &mut Vec<ResourceEffect>) {
        if self.reconciling {
            return;
        }
        let idle = self.leaving.executors.keys().filter(|id| self.index.idle().contains(id));
        for id in idle.cloned().collect::<Vec<_>>() {
            self.forget_executor(&id);
            self.release(&id, "YARN wants it back, and nothing runs there any more", fx);
        }
    }

    /// Input: time has passed. What YARN does not want back any more stays.
    pub(super) fn forget_old_wishes(&mut self, now: Millis, fx: &mut Vec<ResourceEffect>) {
        self.leaving.settled.retain(|_, until| *until > now);
        let lapsed = |(id, notice): (&ExecutorId, &Notice)| {
            notice.lapses.is_some_and(|at| at <= now).then(|| id.clone())
        };
        for id in self.leaving.executors.iter().filter_map(lapsed).collect::<Vec<_>>() {
            self.may_stay(&id, fx);
        }
    }

    pub(super) fn next_lapse(&self) -> Option<Millis> {
        self.leaving.executors.values().filter_map(|notice| notice.lapses).min()
    }

    /// The failure of an executor as its jobs are told: that of one which had to go anyway is the cluster's doing.
    pub(super) fn blame(&self, id: &ExecutorId, failure: Failure) -> Failure {
        if self.leaving.executors.contains_key(id) && !failure.has_kind(FailureKind::Withdrawn) {
            let text = "the cluster took a container back before the tasks there had moved";
            return failure.wrapped(FailureKind::Withdrawn, text);
        }
        failure
    }
}
