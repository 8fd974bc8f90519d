//! What tasks report, and how a checkpoint comes to nothing.

use super::pending::{Pending, Phase};
use super::tasks::TaskStatus;
use super::{
    ABORTED_REMEMBERED, CheckpointCoordinator, CheckpointEffect, CoordinatorEffect, Preparation, StopWish,
    answer,
};
use crate::checkpoint::failure::{CheckpointFailure, CheckpointFailureReason as Reason};
use crate::checkpoint::message::{
    CheckpointCommand, CheckpointReport, SnapshotKind, SnapshotMetrics, TaskSnapshot,
};
use crate::checkpoint::state::{StateHandle, SubtaskState};
use crate::checkpoint::stats::SubtaskCheckpointStats;
use crate::failure::{Failure, FailureKind};
use crate::ids::ExecutionId;
use crate::time::Millis;
use std::collections::BTreeSet;
use std::sync::Arc;

impl CheckpointCoordinator {
    /// Input: a task reported. Reports of attempts that are not part of what they speak of are dropped here.
    pub fn report(&mut self, now: Millis, report: CheckpointReport, fx: &mut Vec<CoordinatorEffect>) {
        match report {
            CheckpointReport::Acknowledged { execution, checkpoint, snapshot, metrics } => {
                self.acknowledged(now, execution, checkpoint, snapshot, metrics, fx);
            }
            CheckpointReport::Declined { execution, checkpoint, reason, failure } => {
                let part = |p: &Pending| p.includes(execution) && !p.is_storing();
                if self.pending.get(&checkpoint).is_some_and(part) {
                    self.abort(now, checkpoint, CheckpointFailure { reason, cause: failure }, fx);
                    self.trigger_due(now, fx);
                }
            }
            CheckpointReport::EndOfData { execution } => {
                if self.tasks.runs(execution) && self.tasks.enter(execution, TaskStatus::EndOfData) {
                    self.plan_final(now);
                    self.trigger_due(now, fx);
                }
            }
        }
    }

    fn acknowledged(
        &mut self,
        now: Millis,
        execution: ExecutionId,
        checkpoint: u64,
        snapshot: TaskSnapshot,
        metrics: SnapshotMetrics,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let state_bytes = snapshot.operators.values().map(SubtaskState::bytes).sum();
        let Some(pending) = self.pending.get_mut(&checkpoint) else {
            return self.came_late(checkpoint, &snapshot, fx);
        };
        if !pending.acknowledge(execution, snapshot) {
            return;
        }
        let stats = SubtaskCheckpointStats { acknowledged: now, state_bytes, metrics };
        self.stats.acknowledged(checkpoint, execution.vertex, execution.subtask, stats);
        if pending.is_complete() {
            self.finalize(now, checkpoint, fx);
        }
    }

    /// All have acknowledged: the checkpoint is handed out to be made durable.
    fn finalize(&mut self, now: Millis, id: u64, fx: &mut Vec<CoordinatorEffect>) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        match pending.metadata(self.job, &self.tasks, &self.results) {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                pending.phase = Phase::Storing(metadata.clone());
                fx.push(CoordinatorEffect::Outside(CheckpointEffect::Store {
                    checkpoint: id,
                    metadata,
                    directory: pending.directory.clone(),
                    restore_point: pending.is_restore_point(),
                }));
            }
            Err(text) => {
                let cause = Failure::new(FailureKind::Error, text);
                self.abort(now, id, CheckpointFailure::from(Reason::Declined).because(cause), fx);
                self.trigger_due(now, fx);
            }
        }
    }

    /// A snapshot for a checkpoint that was given up: its files are of no use. Those of a completed one are.
    fn came_late(&mut self, id: u64, snapshot: &TaskSnapshot, fx: &mut Vec<CoordinatorEffect>) {
        let Some(directory) = self.aborted.get(&id).cloned() else { return };
        let handles = snapshot.operators.values().flat_map(SubtaskState::handles);
        let files: BTreeSet<&str> = handles.filter_map(StateHandle::shared_file).collect();
        let files = self.unreferenced(&files);
        fx.push(discard(Some(id), directory, files));
    }

    /// Gives up what has taken too long.
    pub(super) fn expire(&mut self, now: Millis, fx: &mut Vec<CoordinatorEffect>) {
        for id in self.pending_where(|p| !p.is_storing() && p.expires <= now) {
            self.abort(now, id, Reason::Expired.into(), fx);
        }
        let late = |(token, p): (&u64, &Preparation)| (p.expires <= now).then_some(*token);
        let tokens: Vec<u64> = self.preparing.iter().filter_map(late).collect();
        for token in tokens {
            if let Some(preparation) = self.preparing.remove(&token) {
                self.preparation_failed(now, &preparation, Reason::Expired.into(), fx);
            }
        }
    }

    /// Ends a checkpoint without result: tasks forget it, its files go, its caller is told, and the job may fail of it.
    /// What follows from the freed place is up to whoever calls this.
    pub(super) fn abort(
        &mut self,
        now: Millis,
        id: u64,
        why: CheckpointFailure,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let Some(pending) = self.withdraw(now, id, &why, fx) else { return };
        if let Some(caller) = pending.caller {
            answer(caller, Err(why.clone()), fx);
        }
        if pending.wish != StopWish::GoOn {
            self.held = false;
        }
        self.remove_garbage(fx);
        self.plan_final_again(now);
        self.judge(&pending, why, fx);
    }

    /// Ends a checkpoint that only came at a bad moment: somebody who waits for it gets the next one in its place.
    pub(super) fn take_again(
        &mut self,
        now: Millis,
        id: u64,
        why: CheckpointFailure,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let Some(caller) = self.pending.get(&id).and_then(|pending| pending.caller) else {
            return self.abort(now, id, why, fx);
        };
        let Some(pending) = self.withdraw(now, id, &why, fx) else { return };
        let Pending { kind, wish, base: earlier, made_in, .. } = pending;
        match made_in {
            Some(base) => self.prepare(now, Preparation { base, caller, kind, wish, expires: now }, fx),
            None => self.queue.push_front((caller, earlier.is_none())),
        }
        self.remove_garbage(fx);
        self.plan_final_again(now);
    }

    /// Lets tasks forget a checkpoint, and removes what they wrote for it.
    fn withdraw(
        &mut self,
        now: Millis,
        id: u64,
        why: &CheckpointFailure,
        fx: &mut Vec<CoordinatorEffect>,
    ) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.stats.failed(now, id, why.to_string());
        let command = CheckpointCommand::Abort { checkpoint: id };
        fx.push(CoordinatorEffect::Tell { executions: pending.plan.running.clone(), command });
        let files = self.unreferenced(&pending.shared_files());
        fx.push(discard(Some(id), pending.directory.clone(), files));
        self.remember_aborted(id, pending.directory.clone());
        Some(pending)
    }

    pub(super) fn remember_aborted(&mut self, id: u64, directory: Option<String>) {
        self.aborted.insert(id, directory);
        while self.aborted.len() > ABORTED_REMEMBERED {
            self.aborted.pop_first();
        }
    }

    /// What a failed checkpoint means for the job.
    fn judge(&mut self, pending: &Pending, why: CheckpointFailure, fx: &mut Vec<CoordinatorEffect>) {
        if self.closed {
            return;
        }
        let failure = |why: CheckpointFailure| {
            let own = Failure::new(FailureKind::Error, why.reason.message());
            Failure { cause: why.cause.map(Box::new), ..own }
        };
        match pending.kind {
            SnapshotKind::Checkpoint if why.reason.counts() => {
                self.failures += 1;
                if self.failures > self.settings.tolerable_failures {
                    self.failures = 0;
                    let text = "Exceeded checkpoint tolerable failure threshold.";
                    fx.push(CoordinatorEffect::FailJob(failure(why).wrapped(FailureKind::Error, text)));
                }
            }
            // Operators have finished for good: only a restart brings them back.
            SnapshotKind::Stop { drain: true, .. } if why.reason != Reason::TaskFailure => {
                let text = "the job was drained, but its savepoint failed";
                fx.push(CoordinatorEffect::FailJob(failure(why).wrapped(FailureKind::Error, text)));
            }
            _ => {}
        }
    }

    /// Those of these files that may be removed now. To the others a completed checkpoint refers, or one under way does or
    /// may: they are looked at again by [`CheckpointCoordinator::remove_garbage`].
    pub(super) fn unreferenced(&mut self, files: &BTreeSet<&str>) -> Vec<String> {
        if files.is_empty() {
            return Vec::new();
        }
        let kept = self.store.shared_files();
        let sets = self.pending.values().flat_map(|p| [p.shared_files(), p.base_files()]);
        let used: BTreeSet<&str> = sets.flatten().collect();
        let mut free = Vec::new();
        for file in files.iter().filter(|f| !kept.contains(**f) && !self.foreign.contains(**f)) {
            if used.contains(file) {
                self.garbage.insert((*file).to_string());
            } else {
                free.push((*file).to_string());
            }
        }
        free
    }

    /// Removes what was still in use when its checkpoint went, and is not any more.
    pub(super) fn remove_garbage(&mut self, fx: &mut Vec<CoordinatorEffect>) {
        let garbage = std::mem::take(&mut self.garbage);
        let files = self.unreferenced(&garbage.iter().map(String::as_str).collect());
        if !files.is_empty() {
            fx.push(discard(None, None, files));
        }
    }
}

pub(super) fn discard(
    checkpoint: Option<u64>,
    directory: Option<String>,
    files: Vec<String>,
) -> CoordinatorEffect {
    CoordinatorEffect::Outside(CheckpointEffect::Discard { checkpoint, directory, files })
}
