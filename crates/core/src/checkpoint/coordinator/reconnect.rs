//! Tasks whose executor was out of reach: what was lost on the way about checkpoints.

use super::{CheckpointCoordinator, CoordinatorEffect};
use crate::checkpoint::failure::CheckpointFailureReason as Reason;
use crate::checkpoint::message::CheckpointCommand;
use crate::ids::ExecutionId;
use crate::time::Millis;

impl CheckpointCoordinator {
    /// Input: running tasks may not have heard which checkpoint is the last one: the order was lost, or the master that was to
    /// give it has ended.
    pub fn announce(&self, fx: &mut Vec<CoordinatorEffect>) {
        if let Some(point) = self.store.latest() {
            let command = CheckpointCommand::Complete { checkpoint: point.id() };
            fx.push(CoordinatorEffect::Tell { executions: self.tasks.running(), command });
        }
    }

    /// Input: the connection over which these attempts are reached broke, and there is another. Orders for them and what they
    /// have said may be lost, and no task says anything twice. So a checkpoint that still misses one of them is given up, with
    /// no blame, and is taken again if somebody waits for it; and they are told again which ones will not be: a task that has
    /// stopped for one of those would never go on.
    pub fn reconnected(&mut self, now: Millis, executions: &[ExecutionId], fx: &mut Vec<CoordinatorEffect>) {
        for id in self.aborted.keys() {
            let command = CheckpointCommand::Abort { checkpoint: *id };
            fx.push(CoordinatorEffect::Tell { executions: executions.to_vec(), command });
        }
        for id in self.pending_where(|p| !p.is_storing() && executions.iter().any(|e| p.misses(*e))) {
            self.take_again(now, id, Reason::ConnectionLost.into(), fx);
        }
        self.trigger_due(now, fx);
    }
}
