//! What must hold after every step.

use crate::executor::ModelExecutor;
use crate::failover::ModelStore;
use crate::storage::ModelStorage;
use crate::yarn::ModelYarn;
use kvick_core::checkpoint::{CheckpointCoordinator, CheckpointRetention};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId, VertexId};
use kvick_core::job::JobState;
use kvick_core::master::Master;
use kvick_core::resources::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the world; says in words what does not hold.
pub fn check(
    master: Option<&Master>,
    executors: &BTreeMap<ExecutorId, ModelExecutor>,
    storage: &mut ModelStorage,
) -> Result<(), String> {
    no_attempt_runs_twice(executors)?;
    let Some(master) = master else { return Ok(()) };
    no_subtask_runs_twice(master, executors)?;
    slots_are_held_by_living_jobs(master)?;
    both_sides_count_the_same_slots(master)?;
    jobs_know_their_restore_points(master, storage)
}

/// How long a checkpoint may be collected for where only its time-out is longer: an order and an acknowledgement that are held
/// up by a node that is cut off for almost 50 s each, a slow barrier, a slow task, and a connection to be made anew, with some
/// room.
const COLLECTED_WITHIN: u64 = 200_000;

/// No checkpoint waits for its time-out when what it waits for was lost with a connection. What is held back until something
/// is durable is not looked at.
pub fn no_checkpoint_waits_in_vain(
    master: Option<&Master>,
    storage: &mut ModelStorage,
    now: u64,
) -> Result<(), String> {
    for (job, checkpoints) in
        master.into_iter().flat_map(Master::jobs).filter_map(|(id, job)| Some((id, job.checkpoints()?)))
    {
        let record = storage.job(*job);
        let collecting = checkpoints.pending().filter(|id| !record.storing.contains_key(id));
        let since = |id: &u64| record.triggered_at.get(id).is_some_and(|at| now > at + COLLECTED_WITHIN);
        if let Some(id) = collecting.into_iter().find(since) {
            return Err(format!("job {job}: checkpoint {id} is triggered and comes to nothing"));
        }
    }
    Ok(())
}

fn jobs_know_their_restore_points(master: &Master, storage: &mut ModelStorage) -> Result<(), String> {
    for (id, job) in master.jobs().filter(|(_, job)| !job.state().is_terminal()) {
        let knows = job.checkpoints().and_then(|c| c.restore_point()).map(|c| c.id());
        let stored = storage.job(*id).restore_point();
        if knows != stored {
            return Err(format!(
                "job {id} would be restored from {knows:?}, the newest stored is {stored:?}"
            ));
        }
    }
    Ok(())
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

/// How long after its end YARN may take to tell of it an application master that lives: 5 s, and 1 s more to a new one.
const TOLD_WITHIN: u64 = 6_000;

/// Each container that YARN lends is one that the application master knows or has given back; and it knows none that YARN
/// does not lend. A grant and its news are one step here; what is held back until something is durable, and the time without
/// an application master, are not looked at.
pub fn every_container_is_accounted_for(
    master: Option<&Master>,
    yarn: &ModelYarn,
    now: u64,
) -> Result<(), String> {
    let Some(resources) = master.map(Master::resources) else { return Ok(()) };
    let starting: BTreeSet<&ExecutorId> = resources.starting().collect();
    let knows = |id: &ExecutorId| starting.contains(id) || resources.executors().contains_key(id);
    for (id, lent) in &yarn.lent {
        if !lent.given_back && !knows(id) {
            return Err(format!(
                "{id} is lent, but the application master neither knows it nor gave it back"
            ));
        }
        if lent.given_back && knows(id) {
            return Err(format!("{id} was given back, but the application master counts on it"));
        }
        if let Some(since) = lent.gone_since.filter(|since| now > since + TOLD_WITHIN) {
            return Err(format!("{id} is gone since {since} ms, and nobody has told the application master"));
        }
    }
    let mut known = starting.into_iter().chain(resources.executors().keys());
    match known.find(|id| !yarn.lent.contains_key(*id)) {
        Some(id) => Err(format!("the application master counts on {id}, whose end it was told")),
        None => Ok(()),
    }
}

/// Every container that was ever granted has ended, and its end was told.
pub fn every_container_has_ended(yarn: &ModelYarn) -> Result<(), String> {
    match yarn.lent.first_key_value() {
        Some((id, lent)) => Err(format!("{id} never ended: {lent:?}")),
        None => Ok(()),
    }
}

/// A task executor that was given up may run on for a while, but nothing that it runs is started elsewhere as the same attempt.
fn no_attempt_runs_twice(executors: &BTreeMap<ExecutorId, ModelExecutor>) -> Result<(), String> {
    let mut seen: BTreeSet<(JobId, ExecutionId)> = BTreeSet::new();
    for (job, worker) in executors.values().flat_map(|e| &e.workers) {
        for task in worker.live.keys() {
            if !seen.insert((*job, *task)) {
                return Err(format!("job {job}: {task} runs in two places"));
            }
        }
    }
    Ok(())
}

/// No subtask runs twice in the containers that the application master counts on.
fn no_subtask_runs_twice(
    master: &Master,
    executors: &BTreeMap<ExecutorId, ModelExecutor>,
) -> Result<(), String> {
    let mut seen: BTreeMap<(JobId, VertexId, u32), ExecutionId> = BTreeMap::new();
    let counted = executors.iter().filter(|(id, _)| master.resources().executors().contains_key(id));
    for (job, worker) in counted.flat_map(|(_, e)| &e.workers) {
        for task in worker.live.keys() {
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
pub fn check_end(
    master: &Master,
    executors: &BTreeMap<ExecutorId, ModelExecutor>,
    storage: &ModelStorage,
) -> Result<(), String> {
    every_caller_was_answered(storage)?;
    nothing_is_under_way(master)?;
    completed_checkpoints_end_as_configured(master, storage)?;
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

/// Every job that was accepted has ended, and its end is known.
pub fn nothing_is_left_to_run(store: &ModelStore) -> Result<(), String> {
    match store.jobs.keys().next() {
        Some(job) => Err(format!("job {job} was accepted and is not known to have ended")),
        None => Ok(()),
    }
}

fn every_caller_was_answered(storage: &ModelStorage) -> Result<(), String> {
    for (job, record) in &storage.jobs {
        if let Some((caller, answers)) = record.callers.iter().find(|(_, answers)| **answers != 1) {
            return Err(format!("job {job}: caller {caller} was answered {answers} times"));
        }
    }
    Ok(())
}

fn nothing_is_under_way(master: &Master) -> Result<(), String> {
    for (id, checkpoints) in master.jobs().filter_map(|(id, job)| Some((id, job.checkpoints()?))) {
        let pending: Vec<u64> = checkpoints.pending().collect();
        let in_progress = checkpoints.statistics().counts().in_progress;
        if !pending.is_empty() || in_progress > 0 || checkpoints.waiting_callers() > 0 {
            return Err(format!(
                "job {id} has ended, but checkpoints {pending:?} are under way ({in_progress})"
            ));
        }
    }
    Ok(())
}

/// Finished jobs leave nothing, others what the retention says.
fn completed_checkpoints_end_as_configured(master: &Master, storage: &ModelStorage) -> Result<(), String> {
    for (id, job) in master.jobs() {
        let (Some(checkpoints), Some(record)) = (job.checkpoints(), storage.jobs.get(id)) else { continue };
        let Some(latest) = record.restore_point() else { continue };
        let keeps = match checkpoints.settings().retention {
            CheckpointRetention::None => false,
            CheckpointRetention::DeleteOnCancellation => job.state() == JobState::Failed,
            CheckpointRetention::RetainOnCancellation => job.state() != JobState::Finished,
        };
        if keeps == record.discarded.contains(&latest) {
            let state = job.state();
            return Err(format!("job {id} ended as {state:?}: checkpoint {latest} should be kept: {keeps}"));
        }
        if let Some(file) = missing_file(checkpoints, storage).filter(|_| keeps) {
            return Err(format!("job {id}: a kept checkpoint lacks {file}"));
        }
    }
    Ok(())
}

fn missing_file<'a>(checkpoints: &'a CheckpointCoordinator, storage: &ModelStorage) -> Option<&'a str> {
    let kept = checkpoints.completed().iter().flat_map(|c| c.metadata.shared_files());
    kept.into_iter().find(|file| !storage.files.contains(*file))
}
