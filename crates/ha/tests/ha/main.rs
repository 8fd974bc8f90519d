//! The stores of what survives an application master: fencing, torn and missing files, tidying up.
//!
//! ZooKeeper's tests want `KVICK_TEST_ZOOKEEPER` (`host:port,…` of an ensemble) and are ignored otherwise.

#![allow(clippy::unwrap_used)]

mod files;
mod services;
mod survivors;
mod zookeeper;

use kvick_core::ha::{Change, Epoch, Leader, Record, RecordKey, StoredCheckpoint};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};

/// An attempt that leads.
pub fn leader(epoch: u64) -> Leader {
    Leader { epoch: Epoch::of_attempt(epoch), address: format!("host-{epoch}:1234") }
}

/// An attempt of this application that leads.
pub fn leader_of(application: u32, attempt: u64) -> Leader {
    let epoch = Epoch { cluster_timestamp: 1_410_901_177_871, application, attempt };
    Leader { epoch, address: format!("host-{application}-{attempt}:1234") }
}

/// A checkpoint of job 1 is completed.
pub fn completed(id: u64) -> Change {
    Change::Put(Record::Checkpoint(Box::new(StoredCheckpoint {
        job_id: JobId(1),
        checkpoint: id,
        directory: Some(format!("hdfs:///c/chk-{id}")),
        external_path: format!("hdfs:///c/chk-{id}"),
        owned: true,
        referable: true,
        metadata: None,
        going: None,
    })))
}

/// A checkpoint of job 1 is not kept any more.
pub fn subsumed(id: u64) -> Change {
    Change::Remove(RecordKey::Checkpoint(JobId(1), id))
}

/// Job `id` has failed with words as long as this.
pub fn failed(id: u128, length: usize) -> Change {
    let failure = kvick_core::failure::Failure::new(Default::default(), "x".repeat(length));
    Change::Put(Record::Result(Box::new(JobResult {
        job_id: JobId(id),
        state: JobState::Failed,
        net_runtime_ms: 1,
        accumulators: Default::default(),
        failure: Some(failure),
    })))
}

/// The numbers of job 1's completed checkpoints.
pub fn checkpoints(contents: &kvick_core::ha::Contents) -> Vec<u64> {
    contents.checkpoints.get(&JobId(1)).map(|all| all.keys().copied().collect()).unwrap_or_default()
}
