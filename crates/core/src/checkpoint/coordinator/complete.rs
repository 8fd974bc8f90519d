//! Completion: a checkpoint is durable, or is not; what goes then; and what is left when the job ends.

use super::collect::discard;
use super::pending::{Pending, Phase};
use super::store::CompletedCheckpoint;
use super::{CheckpointCoordinator, CoordinatorEffect, SnapshotDone, StopWish, answer};
use crate::checkpoint::failure::{CheckpointFailure, CheckpointFailureReason as Reason};
use crate::checkpoint::message::{CheckpointCommand, SnapshotKind};
use crate::checkpoint::metadata::CheckpointMetadata;
use crate::checkpoint::settings::CheckpointRetention;
use crate::failure::{Failure, FailureKind};
use crate::job::JobState;
use crate::time::Millis;
use std::sync::Arc;

/// What Flink shows for checkpoints that are nowhere but in the job manager.
const NOT_ADDRESSABLE: &str = "<checkpoint-not-externally-addressable>";

impl CheckpointCoordinator {
    /// Input: a checkpoint is durable. `external_path` is what a person would name to restore from it, where that is not
    /// simply its directory. Without effect for one that was given up meanwhile: it is being discarded.
    pub fn stored(
        &mut self,
        now: Millis,
        id: u64,
        external_path: Option<String>,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let Some(pending) = self.pending.remove(&id) else { return };
        let Phase::Storing(metadata) = pending.phase.clone() else {
            self.pending.insert(id, pending);
            return;
        };
        let path = external_path.or_else(|| pending.directory.clone());
        let external_path = path.unwrap_or_else(|| NOT_ADDRESSABLE.to_string());
        self.stats.completed(now, id, external_path.clone());
        if pending.is_restore_point() {
            self.add_completed(now, &pending, metadata, external_path.clone(), fx);
        }
        self.conclude(&pending, SnapshotDone { checkpoint: id, external_path }, fx);
        self.trigger_due(now, fx);
    }

    /// Input: a checkpoint could not be made durable, and nobody will find it.
    pub fn store_failed(&mut self, now: Millis, id: u64, why: &str, fx: &mut Vec<CoordinatorEffect>) {
        if self.pending.get(&id).is_some_and(Pending::is_storing) {
            let cause = Failure::new(FailureKind::Error, why);
            self.abort(now, id, CheckpointFailure::from(Reason::FinalizeFailure).because(cause), fx);
            self.trigger_due(now, fx);
        }
    }

    /// From now on the job is restored from this one: tasks commit, and what it replaces goes.
    fn add_completed(
        &mut self,
        now: Millis,
        pending: &Pending,
        metadata: Arc<CheckpointMetadata>,
        external_path: String,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        self.last_completed = Some(now);
        self.failures = 0;
        // First this: what the others leave behind may be files of this one.
        let surplus = self.store.add(CompletedCheckpoint {
            metadata,
            directory: pending.directory.clone(),
            external_path,
            owned: pending.kind == SnapshotKind::Checkpoint,
            referable: pending.kind == SnapshotKind::Checkpoint,
        });
        let older = |p: &Pending| p.id < pending.id && p.kind == SnapshotKind::Checkpoint;
        for id in self.pending_where(older) {
            self.abort(now, id, Reason::Subsumed.into(), fx);
        }
        for old in surplus {
            self.discard_completed(&old, fx);
        }
        self.remove_garbage(fx);
        if pending.plan.end_of_data {
            self.final_at = None;
        }
        let command = CheckpointCommand::Complete { checkpoint: pending.id };
        fx.push(CoordinatorEffect::Tell { executions: pending.plan.running.clone(), command });
    }

    /// Answers whoever waits for a stored checkpoint, or sees to it that the job ends first.
    fn conclude(&mut self, pending: &Pending, done: SnapshotDone, fx: &mut Vec<CoordinatorEffect>) {
        let Some(caller) = pending.caller else { return };
        match pending.wish {
            StopWish::GoOn => answer(caller, Ok(done), fx),
            StopWish::Cancel => {
                answer(caller, Ok(done), fx);
                fx.push(CoordinatorEffect::CancelJob);
            }
            StopWish::Stop => {
                self.stopping = Some((caller, done));
                if pending.broken {
                    self.stopping_failed(fx);
                }
            }
        }
    }

    /// The job was to finish with a stored savepoint, but does not.
    pub(super) fn stopping_failed(&mut self, fx: &mut Vec<CoordinatorEffect>) {
        let Some((caller, done)) = self.stopping.take() else { return };
        self.held = false;
        let text = format!(
            "A savepoint has been created at: {}, but the corresponding job {} failed during stopping. The savepoint is \
             consistent, but might have uncommitted transactions. If you want to commit the transaction please restart a \
             job from this savepoint.",
            done.external_path, self.job
        );
        let cause = Failure::new(FailureKind::Error, text);
        answer(caller, Err(CheckpointFailure::from(Reason::StoppingFailed).because(cause)), fx);
    }

    /// Removes what the job owns of a checkpoint that is not kept; of the others only the record of it.
    pub(super) fn discard_completed(&mut self, old: &CompletedCheckpoint, fx: &mut Vec<CoordinatorEffect>) {
        if !old.owned {
            return fx.push(discard(Some(old.id()), None, Vec::new()));
        }
        self.stats.discarded(old.id());
        let files = self.unreferenced(&old.metadata.shared_files());
        fx.push(discard(Some(old.id()), old.directory.clone(), files));
    }

    /// Input: the job is being cancelled, or fails: nothing new is begun, nothing under way is completed.
    pub fn shut_down(&mut self, now: Millis, why: Reason, fx: &mut Vec<CoordinatorEffect>) {
        self.closed = true;
        let why = CheckpointFailure::from(why);
        for id in self.pending_where(|_| true) {
            self.abort(now, id, why.clone(), fx);
        }
        for preparation in std::mem::take(&mut self.preparing).into_values() {
            answer(preparation.caller, Err(why.clone()), fx);
        }
        for (caller, _) in std::mem::take(&mut self.queue) {
            answer(caller, Err(why.clone()), fx);
        }
    }

    /// Input: the job has ended in a terminal state.
    pub fn ended(&mut self, now: Millis, state: JobState, fx: &mut Vec<CoordinatorEffect>) {
        self.shut_down(now, Reason::CoordinatorShutdown, fx);
        match self.stopping.take() {
            Some((caller, done)) if state == JobState::Finished => answer(caller, Ok(done), fx),
            stopping => {
                self.stopping = stopping;
                self.stopping_failed(fx);
            }
        }
        if !self.keeps(state) {
            while let Some(old) = self.store.take_oldest() {
                self.discard_completed(&old, fx);
            }
        }
    }

    /// Whether completed checkpoints outlive a job that ends like this.
    fn keeps(&self, state: JobState) -> bool {
        match (self.settings.retention, state) {
            (CheckpointRetention::None, _) | (_, JobState::Finished) => false,
            (CheckpointRetention::DeleteOnCancellation, state) => state != JobState::Canceled,
            (CheckpointRetention::RetainOnCancellation, _) => true,
        }
    }
}
