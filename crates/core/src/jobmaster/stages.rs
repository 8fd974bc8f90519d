//! A job whose parts run after one another: which of its regions have slots, and how many slots it asks for.
//!
//! A region asks for its slots when all that it reads is whole, gets all of them at once or none, and gives them back when
//! it has finished. So such a job needs no more slots at once than its widest region does, and no two regions ever wait for each
//! other, each with a part of what it needs. Workers stay where they keep results that are still to be read, with or without
//! slots of the job. Streaming jobs have all their slots from the beginning to the end; nothing here concerns them.

use super::{JobEffect, JobMaster, Phase, Worker};
use crate::ids::{ExecutorId, SlotId};
use crate::task::TaskState;
use crate::time::Millis;
use std::collections::BTreeSet;

/// What is remembered of the slots of a job whose regions run after one another.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// How many slots it has asked for.
    asked: u32,
    /// Executors that have to go: what is free there is not used again.
    leaving: BTreeSet<ExecutorId>,
    /// The executors that were last said to keep something for the job.
    occupied: BTreeSet<ExecutorId>,
    /// The regions that have slots, or could use some.
    active: BTreeSet<usize>,
}

impl JobMaster {
    /// Input of a job by stages: slots for whichever region is next.
    pub(super) fn stage_slots_granted(&mut self, now: Millis, slots: Vec<SlotId>, fx: &mut Vec<JobEffect>) {
        if let Some(stages) = &mut self.stages {
            // Whoever has to go is given to nobody.
            for slot in &slots {
                stages.leaving.remove(&slot.executor);
            }
            self.pool.add_loose(slots);
        }
        self.advance(now, fx);
    }

    /// Input of a job by stages: an executor has to go. Its slots are not used again; what runs there may finish, and what is
    /// kept there may be read, while there is time.
    pub(super) fn stage_vacate(&mut self, now: Millis, executor: &ExecutorId, fx: &mut Vec<JobEffect>) {
        if let Some(stages) = &mut self.stages {
            stages.leaving.insert(executor.clone());
        }
        self.advance(now, fx);
    }

    /// Input of a job by stages: an executor is gone, or need not go after all.
    pub(super) fn stage_stays(&mut self, executor: &ExecutorId) {
        if let Some(stages) = &mut self.stages {
            stages.leaving.remove(executor);
        }
    }

    /// Getter: the slots that a job by stages can use now.
    pub(super) fn stage_demand(&self) -> Option<usize> {
        self.stages.as_ref().map(|stages| stages.asked as usize)
    }

    /// The shared slots of a region.
    fn shared_slots(&self, region: usize) -> impl Iterator<Item = usize> + '_ {
        self.regions[region].tasks.iter().map(|task| self.execution(*task).slot)
    }

    /// Whether a region has its slots and needs them.
    fn uses_slots(&self, region: usize, whole: &BTreeSet<usize>) -> bool {
        match self.regions[region].phase {
            Phase::Deployed | Phase::Restarting(_) => !self.region_stopped(region),
            Phase::Waiting => self.is_being_deployed(region) && self.can_read(region, whole),
        }
    }

    /// Whether a region that has run waits for its time to run again. One that has only waited for slots asks for none
    /// meanwhile: others may wait for them too.
    fn begins_again(&self, region: usize) -> bool {
        matches!(self.regions[region].phase, Phase::Restarting(_))
            && self.regions[region].tasks.iter().any(|task| self.execution(*task).deployed)
    }

    fn is_being_deployed(&self, region: usize) -> bool {
        self.regions[region].tasks.iter().any(|task| self.execution(*task).state == TaskState::Deploying)
    }

    /// Gives slots that nobody uses to the regions that can begin, the first ones first; one that needs more than there are
    /// stands back for those behind it.
    pub(super) fn give_slots_to_stages(&mut self, now: Millis, whole: &BTreeSet<usize>) {
        if self.stages.is_none() {
            return;
        }
        let (mut active, mut in_use) = (BTreeSet::new(), BTreeSet::new());
        for region in 0..self.regions.len() {
            if self.uses_slots(region, whole) {
                in_use.extend(self.shared_slots(region));
            } else if !self.begins_again(region) {
                continue;
            }
            active.insert(region);
        }
        self.pool.loosen_all_but(&in_use);
        for region in self.pending_regions.clone() {
            if self.regions[region].phase != Phase::Waiting || active.contains(&region) {
                continue;
            }
            self.wait_again(now, region);
            if self.can_read(region, whole) {
                active.insert(region);
                let wanted = self.shared_slots(region).collect();
                self.pool.fill_all(&wanted, |executor| self.workers.contains_key(executor));
            }
        }
        if let Some(stages) = &mut self.stages {
            stages.active = active;
        }
    }

    /// A region that was about to be deployed, when what it was to read was lost, has no slots any more.
    fn wait_again(&mut self, now: Millis, region: usize) {
        if self.is_being_deployed(region) {
            self.awaiting.remove(&region);
            for task in self.regions[region].tasks.clone() {
                self.execution_mut(task).enter(now, TaskState::Scheduled);
            }
        }
    }

    /// Says how many slots the job can use now, gives back what is too much, and ends workers that are of no use.
    pub(super) fn settle_stages(&mut self, now: Millis, fx: &mut Vec<JobEffect>) {
        let ending = self.ending();
        let Some(mut stages) = self.stages.take_if(|_| !ending) else { return };
        let wanted: BTreeSet<usize> = stages.active.iter().flat_map(|r| self.shared_slots(*r)).collect();
        let wanted = wanted.len();
        let surplus = self.pool.held_off(&stages.leaving).saturating_sub(wanted);
        let left = self.pool.take_loose(&stages.leaving, surplus, |e| self.workers.contains_key(e));
        let useless = self.useless_workers();
        self.workers.retain(|executor, _| !useless.contains(executor));
        let occupied: BTreeSet<ExecutorId> = self.workers.keys().cloned().collect();
        if stages.occupied != occupied {
            stages.occupied.clone_from(&occupied);
            fx.push(JobEffect::Occupy(occupied));
        }
        if stages.asked != wanted as u32 {
            stages.asked = wanted as u32;
            // None at all would be the word of the job's end.
            let some = JobEffect::RequireSlots(stages.asked);
            fx.push(if wanted > 0 { some } else { JobEffect::RequireNoSlots });
        }
        if !left.is_empty() {
            fx.push(JobEffect::LeaveSlots(left));
        }
        fx.extend(useless.into_iter().map(JobEffect::StopWorker));
        self.stages = Some(stages);
        self.await_stage_slots(now);
    }

    /// Executors with a worker where the job has no slot and keeps nothing. One that is not ready is left alone: the word that it
    /// is could be taken for that of its successor.
    fn useless_workers(&self) -> BTreeSet<ExecutorId> {
        let slots = self.pool.executors();
        let kept = self.executions.iter().flatten().filter(|execution| execution.keeps_result());
        let results: BTreeSet<&ExecutorId> = kept.filter_map(|execution| execution.result.as_ref()).collect();
        let ready = self.workers.iter().filter(|(_, worker)| matches!(worker, Worker::Ready(_)));
        let useless = ready.map(|(executor, _)| executor);
        useless.filter(|e| !slots.contains(*e) && !results.contains(*e)).cloned().collect()
    }

    /// The clock runs while no region is at work and one that could begin needs more slots than there are.
    fn await_stage_slots(&mut self, now: Millis) {
        if self.stuck_stages().is_empty() {
            self.slots_deadline = None;
        } else if self.slots_deadline.is_none() {
            self.slots_deadline = Some(now.plus(self.settings.slot_request_timeout));
        }
    }

    /// The regions that could begin, and need more slots than the job has, with how many; none while others are at work, for
    /// those may bring more.
    pub(super) fn stuck_stages(&self) -> Vec<(usize, usize)> {
        let Some(stages) = self.stages.as_ref().filter(|_| !self.ending()) else { return Vec::new() };
        let waits = |region: &usize| {
            self.regions[*region].phase == Phase::Waiting && !self.is_being_deployed(*region)
        };
        if !stages.active.iter().all(waits) {
            return Vec::new();
        }
        let needs = |region: &usize| (*region, self.shared_slots(*region).collect::<BTreeSet<_>>().len());
        stages.active.iter().map(needs).filter(|(_, slots)| *slots > self.pool.held()).collect()
    }
}
