//! Running tasks under a new application master: what the one before had under way comes to nothing, what it completed is
//! told again.

use super::collect::discard;
use super::tasks::TaskStatus;
use super::{ABORTED_REMEMBERED, CheckpointCoordinator, CompletedCheckpoint, CoordinatorEffect};
use crate::checkpoint::message::CheckpointCommand;
use crate::ids::ExecutionId;
use std::collections::BTreeSet;

/// What an earlier application master left of a job's checkpoints.
#[derive(Debug, Clone, Default)]
pub struct KeptCheckpoints {
    /// Those that were completed, oldest first.
    pub completed: Vec<CompletedCheckpoint>,
    /// The numbers of those that were completed and cannot be read. They are not restored from, but sinks have committed them:
    /// no task is told anything else, and nothing of them is removed.
    pub unreadable: BTreeSet<u64>,
    /// Why there is nothing to restore the job from, though there should be: it can go on only while its tasks run.
    pub lost: Option<String>,
    /// The next number that is free: smaller ones were used, or may have been.
    pub next_id: u64,
}

impl CheckpointCoordinator {
    /// Set-up: [`CheckpointCoordinator::recover`], and removes what is too much.
    pub fn recover_kept(&mut self, kept: KeptCheckpoints, fx: &mut Vec<CoordinatorEffect>) {
        let KeptCheckpoints { completed, unreadable, lost, next_id } = kept;
        (self.unreadable, self.lost) = (unreadable, lost);
        let known = self.store.all().iter().map(CompletedCheckpoint::id).max().unwrap_or(0);
        let newer = completed.into_iter().filter(|checkpoint| checkpoint.id() > known).collect();
        for surplus in self.recover(newer, next_id) {
            self.discard_completed(&surplus, fx);
        }
    }

    /// Getter: why the job cannot be started again without losing its state, if so. The next completed checkpoint ends that.
    pub fn cannot_restore(&self) -> Option<&str> {
        self.lost.as_deref().filter(|_| self.store.latest().is_none())
    }

    /// Input: these attempts were taken over. Nothing is triggered before all of them are known.
    pub fn adopt_tasks(
        &mut self,
        running: impl Iterator<Item = ExecutionId>,
        finished: impl Iterator<Item = ExecutionId>,
    ) {
        for execution in running {
            self.tasks.enter(execution, TaskStatus::Running);
        }
        for execution in finished {
            self.tasks.enter(execution, TaskStatus::Finished);
        }
    }

    /// Input: running tasks were taken over; the newest checkpoint of which any has heard is `newest` (0: of none). Numbers go
    /// on after it. What was under way is aborted, so that no task waits for it; the last completed one is announced, so that
    /// sinks commit.
    pub fn adopted(&mut self, newest: u64, fx: &mut Vec<CoordinatorEffect>) {
        let completed = self.store.latest().map_or(0, |latest| latest.id());
        self.next_id = self.next_id.max(newest + 1);
        let remembered = newest.saturating_sub(ABORTED_REMEMBERED as u64 - 1);
        let open = (remembered.max(completed + 1)..=newest).filter(|id| !self.unreadable.contains(id));
        for id in open.collect::<Vec<u64>>() {
            let command = CheckpointCommand::Abort { checkpoint: id };
            fx.push(CoordinatorEffect::Tell { executions: self.tasks.running(), command });
            let directory = self.checkpoint_directory(id);
            fx.push(discard(Some(id), directory.clone(), Vec::new()));
            self.remember_aborted(id, directory);
        }
        if completed > 0 {
            self.announce(fx);
        }
    }
}
