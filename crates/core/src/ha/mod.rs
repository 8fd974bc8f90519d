//! What must survive an application master: its records, and what they are together.
//!
//! Pure data with a version; where it is kept is known to the shell alone. A record is written as a whole, replaces the
//! one before it, and is found by its key, so that writing one again does no harm. [`Contents`] is what a new application
//! master begins with.

mod epoch;
mod file;
mod key;
mod kind;

pub use epoch::{Epoch, EpochError, epoch_of_directory};
pub use file::{FileError, RecordFile};
pub use key::{KeyError, RecordKey};
pub use kind::{HaKind, UnknownHaKind};

use crate::checkpoint::{CheckpointMetadata, ClaimMode, CompletedCheckpoint};
use crate::ids::JobId;
use crate::job::{JobResult, JobSubmission};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The application master that is to be obeyed, and where it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Which one it is: a greater one is the later one.
    #[serde(flatten)]
    pub epoch: Epoch,
    /// `host:port` of REST and RPC.
    pub address: String,
}

/// The file in an attempt's directory that names the [`Leader`].
pub const LEADER_FILE: &str = "leader";

/// A job that was accepted and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredJob {
    /// Graph, configuration, program and what `once` recorded.
    pub submission: JobSubmission,
    /// When it was accepted.
    pub submitted: Millis,
    /// The checkpoint or savepoint that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<StoredSource>,
}

/// The checkpoint or savepoint that a person started a job from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSource {
    /// Its directory.
    pub directory: String,
    /// To whom its files belong.
    pub claim: ClaimMode,
    /// Whether state may be left out for which there is no operator.
    pub allow_non_restored: bool,
}

/// A pointer to a completed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCheckpoint {
    /// Of which job.
    pub job_id: JobId,
    /// Its number.
    pub checkpoint: u64,
    /// Its directory, with its metadata in it; none where all of it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// What a person would name to restore from it.
    pub external_path: String,
    /// Whether the job removes it once it is not needed any more.
    pub owned: bool,
    /// Whether later checkpoints of the job may refer to its files.
    pub referable: bool,
    /// Its metadata, where it has no directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<CheckpointMetadata>,
    /// This is being removed: its directory, and these files outside of it. Whoever finds it goes on with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going: Option<Vec<String>>,
}

impl StoredCheckpoint {
    /// The record of a checkpoint that is being removed.
    pub fn going(
        job_id: JobId,
        checkpoint: u64,
        directory: Option<String>,
        files: Vec<String>,
    ) -> StoredCheckpoint {
        StoredCheckpoint {
            job_id,
            checkpoint,
            external_path: directory.clone().unwrap_or_default(),
            directory,
            owned: true,
            referable: false,
            metadata: None,
            going: Some(files),
        }
    }

    /// The pointer to a completed checkpoint.
    pub fn of(completed: &CompletedCheckpoint) -> StoredCheckpoint {
        let inline = completed.directory.is_none().then(|| (*completed.metadata).clone());
        StoredCheckpoint {
            job_id: completed.metadata.job_id,
            checkpoint: completed.id(),
            directory: completed.directory.clone(),
            external_path: completed.external_path.clone(),
            owned: completed.owned,
            referable: completed.referable,
            metadata: inline,
            going: None,
        }
    }

    /// The checkpoint itself, with the metadata that was read from its directory.
    pub fn completed(&self, metadata: CheckpointMetadata) -> CompletedCheckpoint {
        CompletedCheckpoint {
            metadata: Arc::new(metadata),
            directory: self.directory.clone(),
            external_path: self.external_path.clone(),
            owned: self.owned,
            referable: self.referable,
        }
    }
}

/// Something that must survive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A job that is to be run.
    Job(Box<StoredJob>),
    /// A completed checkpoint.
    Checkpoint(Box<StoredCheckpoint>),
    /// How a job ended.
    Result(Box<JobResult>),
    /// How often regions of a job were started again, failed or lost: what people see as `numRestarts` goes on where it was.
    Restarts {
        /// The job.
        job_id: JobId,
        /// How often.
        restarts: u32,
    },
    /// The client of a job says from time to time that it is there; should it fall silent, the job is cancelled.
    Client {
        /// The job.
        job_id: JobId,
    },
    /// What the program of an application in application mode has recorded with `once`: it outlives the program's jobs, for
    /// the program is run anew whole.
    Once {
        /// The application. A later one with the same cluster id runs another program.
        application: String,
        /// What was recorded, by name.
        values: BTreeMap<String, String>,
    },
}

impl Record {
    /// By what it is found.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Job(job) => RecordKey::Job(job.submission.job_id),
            Record::Checkpoint(pointer) => RecordKey::Checkpoint(pointer.job_id, pointer.checkpoint),
            Record::Result(result) => RecordKey::Result(result.job_id),
            Record::Restarts { job_id, .. } => RecordKey::Restarts(*job_id),
            Record::Client { job_id } => RecordKey::Client(*job_id),
            Record::Once { .. } => RecordKey::Once,
        }
    }
}

/// A change to what is kept. Doing it twice is doing it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Keep this, instead of what had its key.
    Put(Record),
    /// Forget what has this key.
    Remove(RecordKey),
}

impl Change {
    /// What it changes.
    pub fn key(&self) -> RecordKey {
        match self {
            Change::Put(record) => record.key(),
            Change::Remove(key) => *key,
        }
    }

    /// The changes that the end of a job makes: its result is kept, and it will not be run again. Pointers to its
    /// checkpoints go with the checkpoints themselves, or stay no longer than the application.
    pub fn job_ended(result: &JobResult) -> Vec<Change> {
        vec![
            Change::Put(Record::Result(Box::new(result.clone()))),
            Change::Remove(RecordKey::Job(result.job_id)),
            Change::Remove(RecordKey::Restarts(result.job_id)),
            Change::Remove(RecordKey::Client(result.job_id)),
        ]
    }
}

/// All that is kept for an application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Jobs that are to be run.
    pub jobs: BTreeMap<JobId, StoredJob>,
    /// Completed checkpoints by job and number.
    pub checkpoints: BTreeMap<JobId, BTreeMap<u64, StoredCheckpoint>>,
    /// How jobs have ended.
    pub results: BTreeMap<JobId, JobResult>,
    /// How often jobs that are to be run were started again; none for those that never were.
    pub restarts: BTreeMap<JobId, u32>,
    /// Jobs that are to be run for no longer than their clients are there.
    pub clients: BTreeSet<JobId>,
    /// What the program of an application recorded with `once`, with the application.
    pub once: Option<(String, BTreeMap<String, String>)>,
}

impl Contents {
    /// Makes a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(Record::Job(job)) => {
                self.jobs.insert(job.submission.job_id, *job);
            }
            Change::Put(Record::Checkpoint(pointer)) => {
                self.checkpoints.entry(pointer.job_id).or_default().insert(pointer.checkpoint, *pointer);
            }
            Change::Put(Record::Result(result)) => {
                self.results.insert(result.job_id, *result);
            }
            Change::Put(Record::Restarts { job_id, restarts }) => {
                self.restarts.insert(job_id, restarts);
            }
            Change::Put(Record::Client { job_id }) => drop(self.clients.insert(job_id)),
            Change::Put(Record::Once { application, values }) => self.once = Some((application, values)),
            Change::Remove(key) => self.remove(key),
        }
    }

    fn remove(&mut self, key: RecordKey) {
        match key {
            RecordKey::Job(job) => drop(self.jobs.remove(&job)),
            RecordKey::Result(job) => drop(self.results.remove(&job)),
            RecordKey::Restarts(job) => drop(self.restarts.remove(&job)),
            RecordKey::Client(job) => drop(self.clients.remove(&job)),
            RecordKey::Once => self.once = None,
            RecordKey::Checkpoint(job, id) => {
                if let Some(pointers) = self.checkpoints.get_mut(&job) {
                    pointers.remove(&id);
                    if pointers.is_empty() {
                        self.checkpoints.remove(&job);
                    }
                }
            }
        }
    }

    /// The changes that make all of this out of nothing.
    pub fn as_changes(&self) -> Vec<Change> {
        let jobs = self.jobs.values().map(|job| Record::Job(Box::new(job.clone())));
        let pointers = self.checkpoints.values().flat_map(BTreeMap::values);
        let pointers = pointers.map(|pointer| Record::Checkpoint(Box::new(pointer.clone())));
        let results = self.results.values().map(|result| Record::Result(Box::new(result.clone())));
        let restarts = self.restarts.iter();
        let restarts = restarts.map(|(job, restarts)| Record::Restarts { job_id: *job, restarts: *restarts });
        let clients = self.clients.iter().map(|job| Record::Client { job_id: *job });
        let once = self.once.iter().cloned();
        let once = once.map(|(application, values)| Record::Once { application, values });
        let of_jobs = jobs.chain(pointers).chain(results).chain(restarts).chain(clients);
        of_jobs.chain(once).map(Change::Put).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobState;

    fn pointer(job: u128, id: u64) -> Record {
        Record::Checkpoint(Box::new(StoredCheckpoint {
            job_id: JobId(job),
            checkpoint: id,
            directory: Some(format!("hdfs:///c/chk-{id}")),
            external_path: format!("hdfs:///c/chk-{id}"),
            owned: true,
            referable: true,
            metadata: None,
            going: None,
        }))
    }

    #[test]
    fn the_newest_of_a_key_counts_and_what_is_removed_is_gone() {
        let mut contents = Contents::default();
        let restarts = |restarts| Record::Restarts { job_id: JobId(1), restarts };
        for record in [pointer(1, 3), pointer(1, 4), restarts(1), pointer(2, 9), pointer(1, 4), restarts(2)] {
            contents.apply(Change::Put(record));
        }
        let values = |value: &str| BTreeMap::from([("now".to_string(), value.to_string())]);
        let once = |value| Record::Once { application: "application_1_2".to_string(), values: values(value) };
        for record in [once("1"), Record::Client { job_id: JobId(1) }, once("2")] {
            contents.apply(Change::Put(record));
        }
        contents.apply(Change::Remove(RecordKey::Checkpoint(JobId(1), 3)));
        contents.apply(Change::Remove(RecordKey::Checkpoint(JobId(2), 9)));
        contents.apply(Change::Remove(RecordKey::Checkpoint(JobId(5), 1)));
        assert_eq!(contents.checkpoints.keys().copied().collect::<Vec<_>>(), [JobId(1)]);
        assert_eq!(contents.checkpoints[&JobId(1)].keys().copied().collect::<Vec<_>>(), [4]);
        assert_eq!(contents.restarts, BTreeMap::from([(JobId(1), 2)]));
        assert_eq!(contents.once, Some(("application_1_2".to_string(), values("2"))));
        let mut again = Contents::default();
        contents.as_changes().into_iter().for_each(|change| again.apply(change));
        assert_eq!(again, contents);
    }

    #[test]
    fn an_ended_job_is_not_run_again_and_its_result_is_known() {
        let mut contents = Contents::default();
        contents.apply(Change::Put(Record::Client { job_id: JobId(1) }));
        let result = JobResult {
            job_id: JobId(1),
            state: JobState::Finished,
            net_runtime_ms: 5,
            accumulators: Default::default(),
            failure: None,
        };
        Change::job_ended(&result).into_iter().for_each(|change| contents.apply(change));
        assert_eq!((contents.jobs.len(), contents.results.len()), (0, 1));
        assert_eq!(contents.clients, BTreeSet::new());
    }
}
