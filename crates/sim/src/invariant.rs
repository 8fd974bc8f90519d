//! What must hold after every step.

use crate::executor::ModelExecutor;
use kvick_core::ids::{ExecutionId, ExecutorId, JobId, VertexId};
use kvick_core::master::Master;
use kvick_core::resources::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the world; says in words what does not hold.
pub fn check(master: &Master, executors: &BTreeMap<ExecutorId, ModelExecutor>) -> Result<(), String> {
    no_subtask_runs_twice(executors)?;
    slots_are_held_by_living_jobs(master)?;
    both_sides_count_the_same_slots(master)
}

fn both_sides_count_the_same_slots(master: &Master) -> Result<(), String> {
    for (id, job) in master.jobs() {
        let held: u32 = master.resources().executors().values().map(|e| e.held_by(*id)).sum();
        let (filled, _) = job.slots();
        if !job.state().is_terminal() && held as usize != filled {
            return Err(format!("job {id} has {filled} slots, the resource manager says {held}"));
        }
    }
    Ok(())
}

fn no_subtask_runs_twice(executors: &BTreeMap<ExecutorId, ModelExecutor>) -> Result<(), String> {
    let mut seen: BTreeMap<(JobId, VertexId, u32), ExecutionId> = BTreeMap::new();
    for (job, worker) in executors.values().flat_map(|e| &e.workers) {
        for task in &worker.live {
            if let Some(other) = seen.insert((*job, task.vertex, task.subtask), *task) {
                return Err(format!("job {job}: {task} runs while {other} does"));
            }
        }
    }
    Ok(())
}

fn slots_are_held_by_living_jobs(master: &Master) -> Result<(), String> {
    for (id, executor) in master.resources().executors() {
        for slot in executor.slots() {
            if let Slot::Held(job) = slot
                && master.job(*job).is_none_or(|j| j.state().is_terminal())
            {
                return Err(format!("a slot of {id} is held by job {job}, which has ended"));
            }
        }
    }
    Ok(())
}

/// What must hold at the end, when faults have stopped and time enough has passed.
pub fn check_end(master: &Master, executors: &BTreeMap<ExecutorId, ModelExecutor>) -> Result<(), String> {
    for (id, job) in master.jobs() {
        if !job.state().is_terminal() {
            return Err(format!(
                "job {id} neither ends nor goes on: {:?}, tasks {:?}",
                job.state(),
                job.task_counts()
            ));
        }
    }
    if master.resources().wanted() > 0 {
        return Err(format!("{} containers are still asked for", master.resources().wanted()));
    }
    let left: BTreeSet<_> = executors.keys().collect();
    if left.is_empty() { Ok(()) } else { Err(format!("containers were never given back: {left:?}")) }
}
