//! Running tasks under a new application master: what the one before had under way comes to nothing, what it completed is
//! told again.

use super::collect::discard;
use super::tasks::TaskStatus;
use super::{ABORTED_REMEMBERED, CheckpointCoordinator, CompletedCheckpoint, CoordinatorEffect};
use crate::checkpoint::message::CheckpointCommand;
use crate::ids::ExecutionId;

impl CheckpointCoordinator {
    /// Set-up: [`CheckpointCoordinator::recover`], and removes what is too much.
    pub fn recover_kept(&mut self, completed: Vec<CompletedCheckpoint>, fx: &mut Vec<CoordinatorEffect>) {
        let known = self.store.all().iter().map(CompletedCheckpoint::id).max().unwrap_or(0);
        let newer = completed.into_iter().filter(|checkpoint| checkpoint.id() > known).collect();
        for surplus in self.recover(newer, 0) {
            self.discard_completed(&surplus, fx);
        }
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
        for id in remembered.max(completed + 1)..=newest {
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
