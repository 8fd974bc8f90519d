//! The job master and its checkpoint coordinator: what it tells it, and what it does for it.

use super::{JobEffect, JobMaster};
use crate::checkpoint::{
    CallerId, CheckpointCommand, CheckpointCoordinator, CheckpointEffect, CheckpointFailureReason,
    CheckpointReport, CoordinatorEffect, RestoreError, RestorePlan, RestoreSource, SnapshotRequest,
};
use crate::ids::{ExecutionId, ExecutorId};
use crate::time::Millis;
use std::collections::BTreeMap;

impl JobMaster {
    /// Set-up: the job starts from a checkpoint or savepoint, and takes over the maximum parallelism of what is in it.
    ///
    /// # Errors
    /// It does not fit the job.
    pub fn start_from(&mut self, source: &RestoreSource) -> Result<(), RestoreError> {
        let directory = Some(source.directory.clone());
        let graph = &mut self.submission.graph;
        source.set_max_parallelism(graph);
        RestorePlan::new(graph, source.metadata.clone(), directory, source.allow_non_restored)?;
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.graph_changed(graph);
            checkpoints.start_from(source);
        }
        Ok(())
    }

    /// Getter: the checkpoint coordinator; none for a job in batch mode.
    pub fn checkpoints(&self) -> Option<&CheckpointCoordinator> {
        self.checkpoints.as_ref()
    }

    /// Input: a task said something about a checkpoint. What earlier attempts say is dropped by the coordinator.
    pub fn checkpoint_report(&mut self, now: Millis, report: CheckpointReport, fx: &mut Vec<JobEffect>) {
        self.with_checkpoints(now, fx, |c, e| c.report(now, report, e));
    }

    /// Input: a person asks for a checkpoint or savepoint. Exactly one [`CheckpointEffect::Answer`] follows.
    pub fn request_snapshot(
        &mut self,
        now: Millis,
        caller: CallerId,
        request: SnapshotRequest,
        fx: &mut Vec<JobEffect>,
    ) {
        if self.checkpoints.is_none() {
            let outcome = Err(CheckpointFailureReason::NotAvailable.into());
            return fx.push(JobEffect::Checkpoint(CheckpointEffect::Answer { caller, outcome }));
        }
        self.with_checkpoints(now, fx, |c, e| c.request(now, caller, request, e));
    }

    /// Input: the directory of a savepoint was made, or could not be.
    pub fn savepoint_prepared(
        &mut self,
        now: Millis,
        token: u64,
        outcome: Result<String, String>,
        fx: &mut Vec<JobEffect>,
    ) {
        self.with_checkpoints(now, fx, |c, e| c.savepoint_prepared(now, token, outcome, e));
    }

    /// Input: a checkpoint was made durable, or could not be. A restart may have waited for this.
    pub fn checkpoint_stored(
        &mut self,
        now: Millis,
        checkpoint: u64,
        outcome: Result<Option<String>, String>,
        fx: &mut Vec<JobEffect>,
    ) {
        self.with_checkpoints(now, fx, |c, e| match outcome {
            Ok(path) => c.stored(now, checkpoint, path, e),
            Err(why) => c.store_failed(now, checkpoint, &why, e),
        });
        self.advance(now, fx);
    }

    /// Why the job cannot be started again without losing its state, if so.
    pub(super) fn cannot_restore(&self) -> Option<String> {
        let why = self.checkpoints.as_ref()?.cannot_restore()?;
        Some(format!(
            "none of its checkpoints can be read, and to begin from nothing would lose its state: {why}"
        ))
    }

    /// Applies an input to the coordinator and does what it wants.
    pub(super) fn with_checkpoints(
        &mut self,
        now: Millis,
        fx: &mut Vec<JobEffect>,
        input: impl FnOnce(&mut CheckpointCoordinator, &mut Vec<CoordinatorEffect>),
    ) {
        let Some(checkpoints) = self.checkpoints.as_mut() else { return };
        let mut effects = Vec::new();
        input(checkpoints, &mut effects);
        let (mut snapshot, mut vacate) = (None, None);
        for effect in effects {
            match effect {
                CoordinatorEffect::Tell { executions, command } => self.tell_tasks(executions, &command, fx),
                CoordinatorEffect::Outside(CheckpointEffect::Answer { caller, outcome })
                    if self.rescale_waits_as(caller) =>
                {
                    snapshot = Some(outcome);
                }
                CoordinatorEffect::Outside(CheckpointEffect::Answer { caller, outcome })
                    if self.vacate_waits_as(caller) =>
                {
                    vacate = Some(outcome);
                }
                CoordinatorEffect::Outside(effect) => fx.push(JobEffect::Checkpoint(effect)),
                CoordinatorEffect::FailJob(failure) => self.fail_globally(now, failure, fx),
                CoordinatorEffect::CancelJob => self.cancel(now, fx),
            }
        }
        // Last: they give the coordinator another input.
        if let Some(outcome) = snapshot {
            self.rescale_snapshot(now, outcome, fx);
        }
        if let Some(outcome) = vacate {
            self.vacate_snapshot(now, &outcome, fx);
        }
    }

    /// Tells those of these attempts that are still the current ones and have not ended.
    fn tell_tasks(&self, executions: Vec<ExecutionId>, command: &CheckpointCommand, fx: &mut Vec<JobEffect>) {
        let mut by_executor: BTreeMap<ExecutorId, Vec<ExecutionId>> = BTreeMap::new();
        for id in executions {
            let execution = self.current(id).map(|task| self.execution(task));
            let running = execution.filter(|e| e.deployed && !e.state.is_terminal());
            if let Some(executor) = running.and_then(|e| self.executor_of(e)) {
                by_executor.entry(executor.clone()).or_default().push(id);
            }
        }
        fx.extend(by_executor.into_iter().map(|(e, ids)| JobEffect::TellTasks(e, ids, command.clone())));
    }

    /// The restore point, for tasks that are deployed now: checked at the start, or the job's own.
    pub(super) fn restore_plan(&mut self, now: Millis) -> Option<RestorePlan> {
        let checkpoints = self.checkpoints.as_mut()?;
        let point = checkpoints.restore_point()?;
        let (metadata, directory) = (point.metadata.clone(), point.directory.clone());
        checkpoints.restored(now);
        Some(RestorePlan::known_to_fit(&self.submission.graph, metadata, directory))
    }
}
