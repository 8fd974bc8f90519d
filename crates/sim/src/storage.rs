//! A model of what is durable, and of what was promised about it: files, completed checkpoints, answers to callers.

use kvick_core::checkpoint::{StateFile, StateHandle, SubtaskState, TaskRestore};
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use std::collections::{BTreeMap, BTreeSet};

/// What the world knows of the checkpoints of a job, independently of the coordinator.
#[derive(Debug, Default)]
pub struct JobRecord {
    /// Which were triggered, and under which application master the last time.
    pub triggered_by: BTreeMap<u64, u64>,
    /// When each was triggered the last time.
    pub triggered_at: BTreeMap<u64, u64>,
    /// Which tasks were ordered to begin, by application master and number, and have not heard of it.
    pub ordered: BTreeMap<(u64, u64), BTreeSet<ExecutionId>>,
    /// Which have.
    pub first: BTreeMap<(u64, u64), BTreeSet<ExecutionId>>,
    /// Who ran when each was triggered.
    pub participants: BTreeMap<u64, BTreeSet<ExecutionId>>,
    /// Who has acknowledged each.
    pub acknowledged: BTreeMap<u64, BTreeSet<ExecutionId>>,
    /// Which were handed out to be stored, and whether the job would be restored from them.
    pub storing: BTreeMap<u64, bool>,
    /// The attempt of each subtask that was deployed last.
    pub deployed: BTreeMap<(VertexId, u32), u32>,
    /// Restore points whose storing was acknowledged.
    pub completed: BTreeSet<u64>,
    /// Those that were discarded, at any time.
    pub discarded: BTreeSet<u64>,
    /// Those that were stored when the application master had decided to discard them, but not done so.
    pub given_up: BTreeSet<u64>,
    /// Restore points that an application master could not read any more.
    pub unreadable: BTreeSet<u64>,
    /// Checkpoints whose metadata was written, but not recorded.
    pub unrecorded: BTreeSet<u64>,
    /// There was a restore point, and the application master has found none.
    pub nothing_left: bool,
    /// Callers that have asked, and how often they were answered.
    pub callers: BTreeMap<u64, u32>,
}

impl JobRecord {
    /// The checkpoint from which the job must be restored now.
    pub fn restore_point(&self) -> Option<u64> {
        self.completed.last().copied()
    }
}

/// All jobs, and all files.
#[derive(Debug, Default)]
pub struct ModelStorage {
    /// By job.
    pub jobs: BTreeMap<JobId, JobRecord>,
    /// Files that exist.
    pub files: BTreeSet<String>,
    /// The first broken promise.
    pub broken: Option<String>,
}

impl ModelStorage {
    /// The record of a job.
    pub fn job(&mut self, job: JobId) -> &mut JobRecord {
        self.jobs.entry(job).or_default()
    }

    /// Remembers a broken promise; the first one is told.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// Removes a directory and files.
    pub fn remove(&mut self, directory: Option<&str>, files: &[String]) {
        if let Some(directory) = directory {
            let prefix = format!("{directory}/");
            self.files.retain(|file| !file.starts_with(&prefix));
        }
        for file in files {
            self.files.remove(file);
        }
    }

    /// A checkpoint counts from now on: none of those whose state it is was started again from an earlier one meanwhile.
    pub fn complete(&mut self, job: JobId, id: u64) {
        let record = self.job(job);
        record.completed.insert(id);
        let participants = record.participants.get(&id).into_iter().flatten();
        let again = |task: &&ExecutionId| record.deployed[&(task.vertex, task.subtask)] != task.attempt;
        let restarted = participants.copied().find(|task| again(&task));
        self.expect(restarted.is_none(), || {
            format!(
                "job {job}: checkpoint {id} is completed though {restarted:?} was started again without it"
            )
        });
    }

    /// What a task is restored from must be the newest completed checkpoint, with every file of it.
    pub fn check_restore(&mut self, job: JobId, task: ExecutionId, restore: Option<&TaskRestore>) {
        self.job(job).deployed.insert((task.vertex, task.subtask), task.attempt);
        let expected = self.job(job).restore_point();
        let found = restore.map(|r| r.checkpoint);
        let anew = found.is_none() && self.job(job).nothing_left;
        self.expect(!anew, || format!("job {job}: {task} begins from nothing, though the job had a state"));
        self.expect(found == expected, || {
            format!("job {job}: {task} is restored from {found:?}, the newest completed is {expected:?}")
        });
        for file in restore.into_iter().flat_map(files_of) {
            let exists = self.files.contains(&file);
            self.expect(exists, || format!("job {job}: {task} is restored from {file}, which was removed"));
        }
    }
}

/// The paths of all files that a task is restored from.
fn files_of(restore: &TaskRestore) -> Vec<String> {
    let directory = restore.directory.clone().unwrap_or_default();
    let path = |handle: &StateHandle| match handle {
        StateHandle::File { file: StateFile::Own(name), .. } => Some(format!("{directory}/{name}")),
        StateHandle::File { file: StateFile::Shared(path), .. } => Some(path.clone()),
        StateHandle::Inline { .. } => None,
    };
    restore.operators.values().flat_map(SubtaskState::handles).filter_map(path).collect()
}
