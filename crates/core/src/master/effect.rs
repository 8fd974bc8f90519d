//! What the master wants done.

use crate::checkpoint::CheckpointEffect;
use crate::executor::ToExecutor;
use crate::ids::{ExecutorId, JobId};
use crate::job::{JobResult, JobState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How an application ends, as YARN is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinalStatus {
    /// It did what it was there for.
    Succeeded,
    /// It did not.
    Failed,
    /// A person ended its job.
    Killed,
}

/// What the master wants done. Effects are performed in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// So many containers are wanted that were not allocated yet.
    WantContainers(u32),
    /// Stop this container and give it back.
    ReleaseContainer {
        /// Its task executor.
        executor: ExecutorId,
        /// Why, for the logs.
        reason: String,
    },
    /// Take no containers on these nodes, and on all others again.
    ExcludeNodes(BTreeSet<String>),
    /// Tell a task executor something.
    Send {
        /// To whom.
        executor: ExecutorId,
        /// What.
        message: Box<ToExecutor>,
    },
    /// A job changed its state; for logs.
    JobStateChanged {
        /// The job.
        job: JobId,
        /// Its new state.
        state: JobState,
    },
    /// A job goes on with another graph, at another parallelism: whoever keeps its submission for a later application master
    /// takes it anew from [`crate::jobmaster::JobMaster::submission`].
    JobGraphChanged {
        /// The job.
        job: JobId,
    },
    /// Regions of a job start again: whoever keeps what a later application master goes on with keeps this number.
    JobRestarted {
        /// The job.
        job: JobId,
        /// How often that has happened.
        restarts: u32,
    },
    /// A job has ended; those who wait for its result are to be told.
    JobEnded {
        /// How.
        result: Box<JobResult>,
    },
    /// Something about a job's checkpoints; those of one job in order.
    Checkpoint {
        /// The job.
        job: JobId,
        /// What.
        effect: CheckpointEffect,
    },
    /// A job's record has expired.
    JobForgotten {
        /// The job.
        job: JobId,
    },
    /// The application is over: stop everything and unregister.
    Finish {
        /// How.
        status: FinalStatus,
        /// Why, in words for a person; the root cause first.
        diagnostics: String,
    },
}
