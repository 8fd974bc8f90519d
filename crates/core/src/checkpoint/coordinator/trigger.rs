//! Beginning a checkpoint: what people ask for, and what tasks are told.

use super::pending::Pending;
use super::tasks::Plan;
use super::{
    CallerId, CheckpointCoordinator, CheckpointEffect, CoordinatorEffect, MAX_QUEUED, Preparation,
    SnapshotRequest, StopWish, answer,
};
use crate::checkpoint::failure::{CheckpointFailure, CheckpointFailureReason as Reason};
use crate::checkpoint::message::{
    BarrierAlignment, CheckpointCommand, SnapshotKind, SnapshotTarget, TriggerCheckpoint,
};
use crate::checkpoint::settings::{CHECKPOINT_PREFIX, CheckpointMode, CheckpointStorage};
use crate::checkpoint::stats::{CheckpointStats, CheckpointStatus};
use crate::failure::{Failure, FailureKind};
use crate::time::Millis;

impl CheckpointCoordinator {
    /// Input: a person asks for a checkpoint or savepoint. Exactly one answer follows, perhaps at once.
    pub fn request(
        &mut self,
        now: Millis,
        caller: CallerId,
        request: SnapshotRequest,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        if let Err(why) = self.may_be_asked() {
            return answer(caller, Err(why.into()), fx);
        }
        let (target, kind, wish) = match request {
            SnapshotRequest::Checkpoint { full } => {
                self.queue.push_back((caller, full));
                return self.trigger_due(now, fx);
            }
            SnapshotRequest::Savepoint { target, format, cancel_job } => {
                let wish = if cancel_job { StopWish::Cancel } else { StopWish::GoOn };
                (target, SnapshotKind::Savepoint { format }, wish)
            }
            SnapshotRequest::Stop { target, format, drain } => {
                (target, SnapshotKind::Stop { format, drain }, StopWish::Stop)
            }
        };
        match target.or_else(|| self.settings.savepoint_dir.clone()) {
            Some(base) => self.prepare(now, Preparation { base, caller, kind, wish, expires: now }, fx),
            None => answer(caller, Err(Reason::NoSavepointLocation.into()), fx),
        }
    }

    fn may_be_asked(&self) -> Result<(), Reason> {
        if self.closed {
            return Err(Reason::CoordinatorShutdown);
        }
        if self.held {
            return Err(Reason::PeriodicSchedulerShutdown);
        }
        self.may_include_all()?;
        if self.queue.len() >= MAX_QUEUED {
            return Err(Reason::TooManyRequests);
        }
        Ok(())
    }

    fn may_include_all(&self) -> Result<(), Reason> {
        let complete = self.settings.after_tasks_finish || !self.tasks.any_finished();
        if self.tasks.ready() && complete { Ok(()) } else { Err(Reason::NotAllTasksRunning) }
    }

    pub(super) fn prepare(&mut self, now: Millis, preparation: Preparation, fx: &mut Vec<CoordinatorEffect>) {
        if preparation.wish != StopWish::GoOn {
            self.hold(now, fx);
        }
        let token = self.next_token;
        self.next_token += 1;
        let expires = now.plus(self.settings.timeout);
        let base = preparation.base.clone();
        self.preparing.insert(token, Preparation { expires, ..preparation });
        fx.push(CoordinatorEffect::Outside(CheckpointEffect::PrepareSavepoint { token, base }));
    }

    /// From here on only the savepoint that ends the job counts. What is being stored may still be completed.
    fn hold(&mut self, now: Millis, fx: &mut Vec<CoordinatorEffect>) {
        self.held = true;
        let why = CheckpointFailure::from(Reason::PeriodicSchedulerShutdown);
        for id in self.pending_where(|p| p.kind == SnapshotKind::Checkpoint && !p.is_storing()) {
            self.abort(now, id, why.clone(), fx);
        }
        for (caller, _) in std::mem::take(&mut self.queue) {
            answer(caller, Err(why.clone()), fx);
        }
    }

    /// Input: the directory of a savepoint was made, or could not be. An answer nobody waits for any more is undone.
    pub fn savepoint_prepared(
        &mut self,
        now: Millis,
        token: u64,
        outcome: Result<String, String>,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let Some(preparation) = self.preparing.remove(&token) else {
            return discard_directory(outcome.ok(), fx);
        };
        let directory = match outcome {
            Ok(directory) => directory,
            Err(text) => {
                let cause = Failure::new(FailureKind::Error, text);
                let why = CheckpointFailure::from(Reason::IoProblem).because(cause);
                return self.preparation_failed(now, &preparation, why, fx);
            }
        };
        if let Err(why) = self.may_include_all() {
            discard_directory(Some(directory), fx);
            return self.preparation_failed(now, &preparation, why.into(), fx);
        }
        let plan = self.tasks.plan();
        let id = self.begin(now, preparation.kind, Some(directory), None, plan, fx);
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.caller = Some(preparation.caller);
            pending.wish = preparation.wish;
            pending.made_in = Some(preparation.base);
        }
    }

    pub(super) fn preparation_failed(
        &mut self,
        now: Millis,
        preparation: &Preparation,
        why: CheckpointFailure,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        answer(preparation.caller, Err(why), fx);
        if preparation.wish != StopWish::GoOn {
            self.held = false;
            self.trigger_due(now, fx);
        }
    }

    /// Triggers a checkpoint. The tasks must be ready.
    pub(super) fn trigger_checkpoint(
        &mut self,
        now: Millis,
        caller: Option<CallerId>,
        full: bool,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        let plan = self.tasks.plan();
        if plan.end_of_data {
            self.final_at = None;
        }
        let directory = self.checkpoint_directory(self.next_id);
        let base =
            self.store.latest().filter(|latest| latest.referable && self.settings.incremental && !full);
        let base = base.map(|latest| latest.metadata.clone());
        let base_id = base.as_ref().map(|metadata| metadata.checkpoint);
        let id = self.begin(now, SnapshotKind::Checkpoint, directory, base_id, plan, fx);
        if let Some(pending) = self.pending.get_mut(&id) {
            (pending.caller, pending.base) = (caller, base);
        }
    }

    fn begin(
        &mut self,
        now: Millis,
        kind: SnapshotKind,
        directory: Option<String>,
        base: Option<u64>,
        plan: Plan,
        fx: &mut Vec<CoordinatorEffect>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let alignment = self.alignment(kind);
        let target = self.target(kind, directory.as_deref());
        let unaligned = alignment == BarrierAlignment::Unaligned;
        self.stats.triggered(self.first_stats(now, id, kind, unaligned, plan.running.len()));
        let order = TriggerCheckpoint { checkpoint: id, timestamp: now, kind, base, alignment, target };
        fx.push(CoordinatorEffect::Tell {
            executions: plan.trigger.clone(),
            command: CheckpointCommand::Trigger(order),
        });
        self.pending.insert(id, Pending::new(id, kind, now, self.settings.timeout, directory, plan));
        id
    }

    fn first_stats(
        &self,
        now: Millis,
        id: u64,
        kind: SnapshotKind,
        unaligned: bool,
        subtasks: usize,
    ) -> CheckpointStats {
        let tasks = self.tasks.vertices.iter().map(|v| (v.id, vec![None; v.parallelism as usize])).collect();
        CheckpointStats {
            id,
            status: CheckpointStatus::InProgress,
            kind,
            unaligned,
            triggered: now,
            latest_ack: None,
            subtasks: subtasks as u32,
            acknowledged: 0,
            state_bytes: 0,
            checkpointed_bytes: 0,
            processed_bytes: 0,
            persisted_bytes: 0,
            external_path: None,
            discarded: false,
            failure: None,
            tasks,
        }
    }

    /// Savepoints hold no records in flight: they are to fit another program.
    fn alignment(&self, kind: SnapshotKind) -> BarrierAlignment {
        match (self.settings.mode, self.settings.aligned_timeout) {
            (CheckpointMode::AtLeastOnce, _) => BarrierAlignment::AtLeastOnce,
            _ if kind.is_savepoint() || !self.settings.unaligned => BarrierAlignment::Aligned,
            (_, Millis(0)) => BarrierAlignment::Unaligned,
            (_, timeout) => BarrierAlignment::AlignedFor { timeout },
        }
    }

    fn target(&self, kind: SnapshotKind, directory: Option<&str>) -> SnapshotTarget {
        let max_bytes = match self.settings.storage {
            CheckpointStorage::JobManager { max_state_bytes } => max_state_bytes,
            CheckpointStorage::FileSystem { .. } => 0,
        };
        let Some(exclusive) = directory.map(str::to_string) else {
            return SnapshotTarget::Inline { max_bytes };
        };
        let beside = |name: &str| match self.settings.job_directory(self.job) {
            Some(base) if !kind.is_savepoint() => format!("{base}/{name}"),
            _ => exclusive.clone(),
        };
        SnapshotTarget::Directory {
            shared: beside("shared"),
            task_owned: beside("taskowned"),
            exclusive,
            inline_threshold: self.settings.inline_threshold,
        }
    }

    /// The directory of a checkpoint of this job; none where state is inline.
    pub(super) fn checkpoint_directory(&self, id: u64) -> Option<String> {
        self.settings.job_directory(self.job).map(|base| format!("{base}/{CHECKPOINT_PREFIX}{id}"))
    }
}

fn discard_directory(directory: Option<String>, fx: &mut Vec<CoordinatorEffect>) {
    if directory.is_some() {
        let effect = CheckpointEffect::Discard { checkpoint: None, directory, files: Vec::new() };
        fx.push(CoordinatorEffect::Outside(effect));
    }
}
