//! When the next checkpoint is triggered without anybody asking for it.

use super::{CheckpointCoordinator, CoordinatorEffect};
use crate::time::Millis;

/// How long after a failure the checkpoint that contains the end of all data is tried again.
const FINAL_RETRY: Millis = Millis(1_000);

/// A checkpoint whose time has come.
enum Due {
    /// The end of all data, or the end of the interval.
    Own,
    /// A person waits for it.
    Asked { caller: u64, full: bool },
}

impl CheckpointCoordinator {
    /// Triggers all that is due. The end of every input that may have made something due.
    pub(super) fn trigger_due(&mut self, now: Millis, fx: &mut Vec<CoordinatorEffect>) {
        if self.closed || !self.tasks.ready() {
            return;
        }
        if let (None, Some(interval)) = (self.next_periodic, self.settings.interval) {
            self.next_periodic = Some(now.plus(interval.max(self.settings.min_pause)));
        }
        while let Some(due) = self.next_due(now) {
            match due {
                Due::Own => self.trigger_checkpoint(now, None, false, fx),
                Due::Asked { caller, full } => self.trigger_checkpoint(now, Some(caller), full, fx),
            }
        }
    }

    fn next_due(&mut self, now: Millis) -> Option<Due> {
        if !self.may_trigger() {
            return None;
        }
        let own = [self.final_at, self.periodic_at()].into_iter().flatten().any(|at| at <= now);
        if own {
            // Also those that a long wait has missed: one checkpoint makes up for all.
            self.next_periodic = self.settings.interval.map(|interval| now.plus(interval));
            return Some(Due::Own);
        }
        self.queue.pop_front().map(|(caller, full)| Due::Asked { caller, full })
    }

    /// The next instant at which a checkpoint is due, if nothing else happens.
    pub(super) fn next_trigger(&self) -> Option<Millis> {
        if self.closed || !self.tasks.ready() || !self.may_trigger() {
            return None;
        }
        [self.final_at, self.periodic_at()].into_iter().flatten().min()
    }

    fn periodic_at(&self) -> Option<Millis> {
        let paused = self.last_completed.map_or(Millis(0), |at| at.plus(self.settings.min_pause));
        self.next_periodic.map(|at| at.max(paused))
    }

    fn may_trigger(&self) -> bool {
        !self.held
            && self.pending.len() < self.settings.max_concurrent
            && (self.settings.after_tasks_finish || !self.tasks.any_finished())
    }

    /// All tasks may have reached the end of their data: what they wait for is a checkpoint that contains it.
    pub(super) fn plan_final(&mut self, at: Millis) {
        let periodic = self.settings.interval.is_some() && self.settings.after_tasks_finish;
        let under_way = self.pending.values().any(|p| p.plan.end_of_data && p.is_restore_point());
        if periodic && !under_way && self.tasks.end_of_data() {
            self.final_at = Some(at);
        }
    }

    /// The same after a checkpoint has failed: not at once.
    pub(super) fn plan_final_again(&mut self, now: Millis) {
        self.plan_final(now.plus(FINAL_RETRY.max(self.settings.min_pause)));
    }
}
