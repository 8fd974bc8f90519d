//! Another parallelism for a running job: slots first, then a checkpoint, then the stop, then the start at the new one.
//!
//! Until the checkpoint is complete nothing has happened to the job; if the start at the new parallelism fails, the job goes
//! back to the old one, from the same checkpoint. Whoever asked gets exactly one answer.

use super::layout::layout;
use super::{Execution, JobEffect, JobMaster, Phase, SlotPool};
use crate::checkpoint::{
    CallerId, CheckpointEffect, CheckpointFailure, CheckpointFailureReason, RestorePlan, SnapshotDone,
    SnapshotRequest,
};
use crate::failure::{Failure, FailureKind};
use crate::graph::{JobGraph, JobVertex, TaskRef, all_tasks};
use crate::ids::{ExecutorId, SlotId, VertexId};
use crate::job::JobState;
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::BTreeMap;

/// How far a change of parallelism has come.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// The job runs on, while slots are awaited that it does not have; not beyond this instant.
    Slots(Millis),
    /// It runs on, while a checkpoint is taken.
    Snapshot,
    /// Its tasks are being stopped.
    Stopping(SnapshotDone),
    /// They have been deployed anew, but do not all run.
    Starting(SnapshotDone),
    /// The new ones are being stopped; the old graph comes back, and the caller has been answered.
    Undoing,
}

/// A change of parallelism that is under way.
#[derive(Debug, Clone)]
pub(super) struct Rescale {
    caller: CallerId,
    /// What is to run next: the new graph, or the old one where the change is being undone.
    next: JobGraph,
    step: Step,
    /// Slots that the new graph will need and the running one has no use for.
    spare: Vec<SlotId>,
}

impl JobMaster {
    /// Input: a person wants the job to run as this graph: the same operators at another parallelism. Exactly one
    /// [`CheckpointEffect::Answer`] follows: once the job runs so, or why it does not.
    pub fn rescale(&mut self, now: Millis, caller: CallerId, mut graph: JobGraph, fx: &mut Vec<JobEffect>) {
        if let Err(why) = self.may_rescale().and_then(|()| self.keep_max_parallelism(&mut graph)) {
            return fx.push(answer(caller, Err(why)));
        }
        let needed = SlotPool::for_graph(&graph).len();
        let deadline = now.plus(self.settings.slot_request_timeout);
        self.rescale = Some(Rescale { caller, next: graph, step: Step::Slots(deadline), spare: Vec::new() });
        if needed > self.pool.len() {
            fx.push(JobEffect::RequireSlots(needed as u32));
        }
        self.rescale_when_slots_are_there(now, fx);
    }

    fn may_rescale(&self) -> Result<(), CheckpointFailure> {
        if self.checkpoints.is_none() {
            return Err(CheckpointFailureReason::NotAvailable.into());
        }
        if self.rescale.is_some() {
            return Err(not_rescaled("another change of its parallelism is under way"));
        }
        if self.vacate.is_some() {
            return Err(not_rescaled("its tasks are moving, for the cluster wants a container back"));
        }
        let deployed = self.regions.iter().all(|region| region.phase == Phase::Deployed);
        if self.state == JobState::Running && deployed {
            Ok(())
        } else {
            Err(not_rescaled("it is not running, or not all of its tasks are"))
        }
    }

    /// The number of key groups stays what it is, whatever would follow from the next parallelism.
    fn keep_max_parallelism(&self, next: &mut JobGraph) -> Result<(), CheckpointFailure> {
        let vertices = self.submission.graph.vertices.iter();
        let operators = vertices.flat_map(|v| v.operator_ids().map(|id| (id, v.max_parallelism)));
        let known: BTreeMap<VertexId, u32> = operators.collect();
        next.take_over_max_parallelism(|id| known.get(&id).copied());
        let max = |vertex: &JobVertex| vertex.operator_ids().find_map(|id| known.get(&id).copied());
        for vertex in &next.vertices {
            if let Some(max) = max(vertex).filter(|max| vertex.parallelism > *max) {
                return Err(not_rescaled(&format!(
                    "the parallelism {} of \"{}\" would be above its maximum parallelism {max}, which a job keeps for life \
                     (pipeline.max-parallelism)",
                    vertex.parallelism, vertex.name
                )));
            }
        }
        Ok(())
    }

    /// Slots that the running graph has no use for: kept where the next one has. Returns those that nobody needs.
    pub(super) fn keep_for_rescale(&mut self, surplus: Vec<SlotId>) -> Vec<SlotId> {
        match &mut self.rescale {
            Some(Rescale { step: Step::Slots(_), spare, .. }) => {
                spare.extend(surplus);
                Vec::new()
            }
            _ => surplus,
        }
    }

    /// How many slots are kept for a change of parallelism.
    pub(super) fn spare_slots(&self) -> usize {
        self.rescale.as_ref().map_or(0, |rescale| rescale.spare.len())
    }

    /// Takes away the spare slots on an executor, which is gone or has to go.
    pub(super) fn take_rescale_slots(&mut self, executor: &ExecutorId) -> Vec<SlotId> {
        let Some(rescale) = &mut self.rescale else { return Vec::new() };
        rescale.spare.extract_if(.., |slot| slot.executor == *executor).collect()
    }

    /// Takes the checkpoint from which the new graph will start, once there is room for that.
    pub(super) fn rescale_when_slots_are_there(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let filled = self.pool.filled();
        let Some(rescale) = &mut self.rescale else { return };
        let needed = SlotPool::for_graph(&rescale.next).len();
        if !matches!(rescale.step, Step::Slots(_)) || filled + rescale.spare.len() < needed {
            return;
        }
        rescale.step = Step::Snapshot;
        let caller = rescale.caller;
        let request = SnapshotRequest::Checkpoint { full: false };
        self.with_checkpoints(now, fx, |c, e| c.request(now, caller, request, e));
    }

    /// Whether an answer of the coordinator is for the change of parallelism and not for a person.
    pub(super) fn rescale_waits_as(&self, caller: CallerId) -> bool {
        self.rescale.as_ref().is_some_and(|r| r.caller == caller && r.step == Step::Snapshot)
    }

    /// The checkpoint is complete, or is not: the tasks are stopped, or go on as they are.
    pub(super) fn rescale_snapshot(
        &mut self,
        now: Millis,
        outcome: Result<SnapshotDone, CheckpointFailure>,
        fx: &mut Vec<JobEffect>,
    ) {
        let Some(next) = self.rescale.as_ref().map(|rescale| rescale.next.clone()) else { return };
        let checked = outcome.and_then(|done| {
            self.fits_restore_point(&next)?;
            let running =
                self.state == JobState::Running && self.regions.iter().all(|r| r.phase == Phase::Deployed);
            if running { Ok(done) } else { Err(not_rescaled("a task failed meanwhile")) }
        });
        match checked {
            Ok(done) => {
                self.set_step(Step::Stopping(done));
                self.stop_for_rescale(now, fx);
            }
            Err(why) => self.end_rescale(Err(why), fx),
        }
    }

    fn fits_restore_point(&self, next: &JobGraph) -> Result<(), CheckpointFailure> {
        let point = self.checkpoints.as_ref().and_then(|c| c.restore_point());
        let point = point.ok_or_else(|| not_rescaled("its checkpoint is gone"))?;
        let plan = RestorePlan::new(next, point.metadata.clone(), point.directory.clone(), false);
        plan.map(drop).map_err(|error| not_rescaled(&error.to_string()))
    }

    fn set_step(&mut self, step: Step) {
        if let Some(rescale) = &mut self.rescale {
            rescale.step = step;
        }
    }

    fn stop_for_rescale(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.enter(now, JobState::Restarting, fx);
        for (index, region) in self.regions.iter_mut().enumerate() {
            region.phase = Phase::Restarting(now);
            self.pending_regions.insert(index);
        }
        let tasks: Vec<TaskRef> = all_tasks(&self.submission.graph).collect();
        let why = Failure::new(FailureKind::Cancelled, "the job is started anew at another parallelism");
        self.with_checkpoints(now, fx, |c, e| c.tasks_lost(now, &tasks, &why, e));
        self.stop(now, &tasks, fx);
        self.advance(now, fx);
    }

    /// Whether no region is started again before all have stopped.
    pub(super) fn waits_for_all_to_stop(&self) -> bool {
        let step = self.rescale.as_ref().map(|rescale| &rescale.step);
        matches!(step, Some(Step::Stopping(_) | Step::Undoing))
    }

    /// Whether the tasks are being stopped for another graph; once they are, that is put in place.
    pub(super) fn rescale_stops(&mut self, now: Millis, fx: &mut Vec<JobEffect>) -> bool {
        if !self.waits_for_all_to_stop() {
            return false;
        }
        let stopped = self.executions.iter().flatten().all(|e| e.state.is_terminal());
        if stopped {
            self.switch_graph(now, fx);
        }
        !stopped
    }

    /// All tasks have stopped: the next graph takes the place of the one that ran, with workers of its own.
    fn switch_graph(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let Some(mut rescale) = self.rescale.take() else { return };
        for executor in std::mem::take(&mut self.workers).into_keys() {
            fx.push(JobEffect::StopWorker(executor));
        }
        let previous = std::mem::replace(&mut self.submission.graph, rescale.next.clone());
        let attempt = self.executions.iter().flatten().map(|e| e.attempt + 1).max();
        let attempt = attempt.unwrap_or_default().max(self.first_attempt);
        let slots = self.pool.take_slots().into_iter().chain(rescale.spare.drain(..)).collect();
        self.lay_out(now, attempt);
        let surplus = self.pool.fill(slots);
        // What is given back lowers the demand by as much.
        fx.push(JobEffect::RequireSlots((self.pool.len() + surplus.len()) as u32));
        if !surplus.is_empty() {
            fx.push(JobEffect::ReturnSlots(surplus));
        }
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.graph_changed(&self.submission.graph);
        }
        self.restarts += 1;
        fx.push(JobEffect::Restarted(self.restarts));
        fx.push(JobEffect::GraphChanged);
        if let Step::Stopping(done) = rescale.step {
            self.rescale = Some(Rescale { step: Step::Starting(done), next: previous, ..rescale });
        }
        self.await_slots(now);
    }

    /// Replaces everything that follows from the graph.
    fn lay_out(&mut self, now: Millis, attempt: u32) {
        let layout = layout(now, &self.submission.graph);
        self.pool = layout.pool;
        self.executions = layout.executions;
        for execution in self.executions.iter_mut().flatten() {
            *execution = Execution { attempt, ..execution.clone() };
            execution.enter(now, TaskState::Scheduled);
        }
        self.vertex_index = layout.vertex_index;
        self.unfinished = self.executions.iter().map(Vec::len).sum();
        self.pending_regions = (0..layout.regions.len()).collect();
        self.awaiting.clear();
        self.regions = layout.regions;
        self.region_of = layout.region_of;
    }

    /// A task has begun to run or has ended: perhaps it was the last one.
    pub(super) fn rescale_when_all_run(&mut self, fx: &mut Vec<JobEffect>) {
        let Some(Rescale { step: Step::Starting(done), .. }) = &self.rescale else { return };
        let runs = |e: &Execution| matches!(e.state, TaskState::Running | TaskState::Finished);
        if self.executions.iter().flatten().all(runs) {
            let done = done.clone();
            self.end_rescale(Ok(done), fx);
        }
    }

    /// A failure while the tasks start at the new parallelism: back to the old one. Says whether it was that.
    pub(super) fn undo_rescale(&mut self, now: Millis, failure: &Failure, fx: &mut Vec<JobEffect>) -> bool {
        let Some(rescale) = &mut self.rescale else { return false };
        match rescale.step {
            Step::Starting(_) => {
                rescale.step = Step::Undoing;
                let text = "it could not be started so, and goes back to the parallelism that it had";
                let why = not_rescaled(&failure.clone().wrapped(FailureKind::Error, text).to_string());
                fx.push(answer(rescale.caller, Err(why)));
                self.stop_for_rescale(now, fx);
                true
            }
            // What is being stopped may fail in stopping; it is started again anyway.
            Step::Stopping(_) | Step::Undoing => true,
            Step::Slots(_) => {
                self.end_rescale(Err(not_rescaled("a task failed meanwhile")), fx);
                false
            }
            // The coordinator answers.
            Step::Snapshot => false,
        }
    }

    /// Input: time has passed. Slots that do not come in time leave the job as it is.
    pub(super) fn tick_rescale(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        if self.rescale_deadline().is_some_and(|at| at <= now) {
            let needed = self.rescale.as_ref().map_or(0, |r| SlotPool::for_graph(&r.next).len());
            let text = format!(
                "{needed} slots are needed, and only {} came within {} ms (slot.request.timeout)",
                self.pool.filled() + self.spare_slots(),
                self.settings.slot_request_timeout.0
            );
            self.end_rescale(Err(not_rescaled(&text)), fx);
        }
    }

    /// When slots must have come.
    pub(super) fn rescale_deadline(&self) -> Option<Millis> {
        match self.rescale.as_ref()?.step {
            Step::Slots(deadline) => Some(deadline),
            _ => None,
        }
    }

    /// The job ends: whoever waits for another parallelism is told. Where a checkpoint is waited for, the coordinator does.
    pub(super) fn abandon_rescale(&mut self, fx: &mut Vec<JobEffect>) {
        match self.rescale.as_ref().map(|rescale| &rescale.step) {
            None | Some(Step::Snapshot) => {}
            Some(Step::Undoing) => self.rescale = None,
            Some(_) => self.end_rescale(Err(not_rescaled("the job is ending")), fx),
        }
    }

    fn end_rescale(&mut self, outcome: Result<SnapshotDone, CheckpointFailure>, fx: &mut Vec<JobEffect>) {
        let Some(rescale) = self.rescale.take() else { return };
        if matches!(rescale.step, Step::Slots(_) | Step::Snapshot | Step::Stopping(_)) {
            // What is given back lowers the demand by as much.
            fx.push(JobEffect::RequireSlots((self.pool.len() + rescale.spare.len()) as u32));
            if !rescale.spare.is_empty() {
                fx.push(JobEffect::ReturnSlots(rescale.spare));
            }
        }
        fx.push(answer(rescale.caller, outcome));
    }
}

fn answer(caller: CallerId, outcome: Result<SnapshotDone, CheckpointFailure>) -> JobEffect {
    JobEffect::Checkpoint(CheckpointEffect::Answer { caller, outcome })
}

fn not_rescaled(why: &str) -> CheckpointFailure {
    CheckpointFailure::from(CheckpointFailureReason::NotRescaled)
        .because(Failure::new(FailureKind::Error, why))
}
