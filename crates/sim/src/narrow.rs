//! Clusters with less room than jobs would like: jobs in batch mode there run part by part, in the slots that there are.

use crate::world::World;
use kvick_core::graph::{Exchange, RuntimeMode, least_slots};
use kvick_core::job::{JobResult, JobState, JobSubmission};

/// Whether a schedule is about such a cluster: one in five.
pub fn is_narrow(seed: u64) -> bool {
    seed % 5 == 3
}

impl World {
    /// Where there is little room, a job runs in batch mode, and the room is what the widest of its parts needs, or a little
    /// more.
    pub(crate) fn fit_in(&mut self, job: &mut JobSubmission) {
        let Some(room) = self.yarn.room else { return };
        let graph = &mut job.graph;
        if graph.mode == RuntimeMode::Streaming {
            graph.mode = RuntimeMode::Batch;
            graph.edges.iter_mut().for_each(|edge| edge.exchange = Exchange::Blocking);
        }
        let per_container = self.master.settings().resources.slots_per_executor;
        let least = u64::from(least_slots(graph).div_ceil(per_container));
        let wished = u64::from(graph.required_slots().div_ceil(per_container));
        self.yarn.wished.insert(job.job_id, wished);
        self.yarn.room = Some(room.max(least + self.random.between(0, 1)));
    }

    /// How many jobs have finished though there was never room for all of their subtasks side by side.
    pub(crate) fn finished_in_little_room(&self) -> u32 {
        let finished = |result: &JobResult| result.state == JobState::Finished;
        let wished = self.yarn.wished.iter().filter(|(_, wished)| Some(**wished) > self.yarn.room);
        wished.filter(|(id, _)| self.store.results.get(id).is_some_and(finished)).count() as u32
    }
}
