//! Moving away from executors that have to go, though nothing has failed: slots elsewhere first, for as long as there is time,
//! then a checkpoint, then the stop of the regions that have tasks there, then their start from it elsewhere. No restart is
//! counted and none is charged to the restart strategy. A job without checkpoints only has slots elsewhere ready for when its
//! container goes.

use super::{JobEffect, JobMaster, Phase};
use crate::checkpoint::{CallerId, CheckpointFailure, SnapshotDone, SnapshotRequest};
use crate::failure::{Failure, FailureKind};
use crate::graph::TaskRef;
use crate::ids::{ExecutorId, SlotId};
use crate::job::JobState;
use crate::time::Millis;
use std::collections::BTreeSet;

/// The caller of the checkpoint with which a job moves; people's callers count from 0.
const CALLER: CallerId = CallerId::MAX;

/// Pause before the checkpoint is asked for again, if there was none.
const RETRY: Millis = Millis(1_000);

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The job runs on, while slots elsewhere are awaited; not beyond this instant.
    Slots(Millis),
    /// It runs on until this instant, for there could be no checkpoint.
    Pause(Millis),
    /// It runs on, while a checkpoint is taken.
    Snapshot,
    /// The tasks concerned are being stopped.
    Stopping,
}

/// A move that is under way.
#[derive(Debug, Clone)]
pub(super) struct Vacate {
    leaving: BTreeSet<ExecutorId>,
    step: Step,
    /// Slots elsewhere.
    spare: Vec<SlotId>,
}

impl JobMaster {
    /// Input: an executor has to go. The job moves its tasks elsewhere, waiting for slots no longer than `patience`.
    pub fn vacate(&mut self, now: Millis, executor: &ExecutorId, patience: Millis, fx: &mut Vec<JobEffect>) {
        if self.ending() {
            return;
        }
        if self.stages.is_some() {
            return self.stage_vacate(now, executor, fx);
        }
        let spare = self.take_spare_slots(executor);
        if !spare.is_empty() {
            fx.push(JobEffect::LeaveSlots(spare));
        }
        if !self.pool.executors().contains(executor) {
            return;
        }
        let vacate = self.vacate.get_or_insert_with(|| Vacate {
            leaving: BTreeSet::new(),
            step: Step::Slots(patience),
            spare: Vec::new(),
        });
        vacate.leaving.insert(executor.clone());
        if let Step::Slots(until) = &mut vacate.step {
            *until = patience.min(*until);
        }
        self.vacate_further(now, fx);
    }

    /// Input: an executor need not go after all. What is not begun is left.
    pub fn stay(&mut self, executor: &ExecutorId, fx: &mut Vec<JobEffect>) {
        self.stage_stays(executor);
        let Some(vacate) = &mut self.vacate else { return };
        if matches!(vacate.step, Step::Slots(_) | Step::Pause(_)) {
            vacate.leaving.remove(executor);
            self.end_vacate_if_done(fx);
        }
    }

    /// Slots for which the running tasks have no use: kept if the job has to move. Returns those that nobody needs.
    pub(super) fn keep_for_vacate(&mut self, surplus: Vec<SlotId>) -> Vec<SlotId> {
        let Some(vacate) = &mut self.vacate else { return surplus };
        let lasting = |slot: &SlotId| !vacate.leaving.contains(&slot.executor);
        let (kept, surplus) = surplus.into_iter().partition(lasting);
        vacate.spare.extend(kept);
        surplus
    }

    /// How many slots are kept for a move.
    pub(super) fn slots_for_vacate(&self) -> usize {
        self.vacate.as_ref().map_or(0, |vacate| vacate.spare.len())
    }

    /// Spare slots on an executor, whatever for.
    fn take_spare_slots(&mut self, executor: &ExecutorId) -> Vec<SlotId> {
        let mut taken = self.take_rescale_slots(executor);
        if let Some(vacate) = &mut self.vacate {
            taken.extend(vacate.spare.extract_if(.., |slot| slot.executor == *executor));
        }
        taken
    }

    /// An executor is gone, and with it the spare slots there. Those elsewhere take the place of what was lost.
    pub(super) fn vacate_lost(&mut self, executor: &ExecutorId, fx: &mut Vec<JobEffect>) {
        let Some(vacate) = &mut self.vacate else { return };
        vacate.leaving.remove(executor);
        vacate.spare.retain(|slot| slot.executor != *executor);
        let spare = std::mem::take(&mut vacate.spare);
        vacate.spare = self.pool.fill(spare);
        self.end_vacate_if_done(fx);
    }

    /// Goes on with a move, as far as it can.
    pub(super) fn vacate_further(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let Some(vacate) = &self.vacate else { return };
        if self.ending() || self.rescale.is_some() || self.checkpoints.is_none() {
            return;
        }
        let concerned = self.regions_on(&vacate.leaving);
        let enough = vacate.spare.len() >= self.pool.filled_on(&vacate.leaving);
        let stopped = concerned.iter().all(|r| self.is_down(*r));
        let ready = match vacate.step {
            Step::Slots(until) => enough || until <= now,
            Step::Pause(until) => until <= now,
            Step::Stopping => true,
            Step::Snapshot => false,
        };
        if stopped && (enough || vacate.step == Step::Stopping) {
            self.switch_slots(now, fx);
        } else if ready && vacate.step != Step::Stopping {
            self.snapshot_for_vacate(now, fx);
        }
    }

    /// Whether nothing of a region runs, and nothing will before its slots are looked at again.
    fn is_down(&self, region: usize) -> bool {
        match self.regions[region].phase {
            Phase::Deployed => false,
            Phase::Waiting => true,
            Phase::Restarting(_) => self.region_stopped(region),
        }
    }

    /// The regions that have tasks in slots there, but for those that have finished.
    fn regions_on(&self, executors: &BTreeSet<ExecutorId>) -> BTreeSet<usize> {
        let there = |task: &TaskRef| {
            self.pool.executor(self.execution(*task).slot).is_some_and(|e| executors.contains(e))
        };
        let finished =
            |index: usize| self.regions[index].phase == Phase::Deployed && self.region_stopped(index);
        let on = |index: &usize| self.regions[*index].tasks.iter().any(there) && !finished(*index);
        (0..self.regions.len()).filter(on).collect()
    }

    fn set_vacate_step(&mut self, step: Step) {
        if let Some(vacate) = &mut self.vacate {
            vacate.step = step;
        }
    }

    fn snapshot_for_vacate(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        self.set_vacate_step(Step::Snapshot);
        let request = SnapshotRequest::Checkpoint { full: false };
        self.with_checkpoints(now, fx, |c, e| c.request(now, CALLER, request, e));
    }

    /// Whether an answer of the coordinator is for the move and not for a person.
    pub(super) fn vacate_waits_as(&self, caller: CallerId) -> bool {
        caller == CALLER
    }

    /// The checkpoint is complete, or is not: the tasks concerned are stopped, or go on as they are for a while.
    pub(super) fn vacate_snapshot(
        &mut self,
        now: Millis,
        outcome: &Result<SnapshotDone, CheckpointFailure>,
        fx: &mut Vec<JobEffect>,
    ) {
        let waits = |vacate: &&Vacate| vacate.step == Step::Snapshot;
        let Some(vacate) = self.vacate.as_ref().filter(waits).filter(|_| !self.ending()) else { return };
        let concerned = self.regions_on(&vacate.leaving);
        let running = concerned.iter().all(|r| self.regions[*r].phase == Phase::Deployed);
        if outcome.is_err() || !running || self.rescale.is_some() {
            return self.set_vacate_step(Step::Pause(now.plus(RETRY)));
        }
        self.set_vacate_step(Step::Stopping);
        self.moves += 1;
        self.enter(now, JobState::Restarting, fx);
        let mut tasks = Vec::new();
        for region in concerned {
            self.regions[region].phase = Phase::Restarting(now);
            self.pending_regions.insert(region);
            tasks.extend(self.regions[region].tasks.iter().copied());
        }
        let why =
            Failure::new(FailureKind::Withdrawn, "the tasks move, for their container has to be given back");
        self.with_checkpoints(now, fx, |c, e| c.tasks_lost(now, &tasks, &why, e));
        self.stop(now, &tasks, fx);
        self.advance(now, fx);
    }

    /// Whether a region may not be started again yet: other tasks in the slots that it leaves have not stopped.
    pub(super) fn waits_to_vacate(&self, region: usize) -> bool {
        let leaving = self.vacate.as_ref().filter(|vacate| vacate.step == Step::Stopping);
        leaving.is_some_and(|vacate| self.regions_on(&vacate.leaving).contains(&region))
    }

    /// Nothing runs any more in the slots that are left: others take their place, or will when they come.
    fn switch_slots(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let Some(vacate) = self.vacate.take() else { return };
        let left = self.pool.leave(&vacate.leaving);
        for executor in &vacate.leaving {
            if self.workers.remove(executor).is_some() {
                fx.push(JobEffect::StopWorker(executor.clone()));
            }
        }
        let surplus = self.pool.fill(vacate.spare);
        fx.push(JobEffect::LeaveSlots(left.into_iter().chain(surplus).collect()));
        self.await_slots(now);
    }

    fn end_vacate_if_done(&mut self, fx: &mut Vec<JobEffect>) {
        if let Some(vacate) = self.vacate.take_if(|vacate| vacate.leaving.is_empty())
            && !vacate.spare.is_empty()
        {
            fx.push(JobEffect::LeaveSlots(vacate.spare));
        }
    }

    /// When there is something to do for a move.
    pub(super) fn vacate_deadline(&self) -> Option<Millis> {
        let moves = self.rescale.is_none() && self.checkpoints.is_some() && !self.ending();
        match self.vacate.as_ref().filter(|_| moves)?.step {
            Step::Slots(until) | Step::Pause(until) => Some(until),
            Step::Snapshot | Step::Stopping => None,
        }
    }
}
