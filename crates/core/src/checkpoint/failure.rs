//! Why a checkpoint did not come to be. The texts of reasons that Flink knows are Flink's (`CheckpointFailureReason`).

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The reasons that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointFailureReason {
    /// The job is being stopped with a savepoint; no other checkpoint is taken.
    PeriodicSchedulerShutdown,
    /// Too many callers wait.
    TooManyRequests,
    /// A task is not running, or has finished though checkpoints are not to go on then.
    NotAllTasksRunning,
    /// The savepoint's directory could not be made.
    IoProblem,
    /// A savepoint without directory, neither named nor configured.
    NoSavepointLocation,
    /// The job takes no checkpoints: it runs in batch mode.
    NotAvailable,
    /// A task could not write its state in the background.
    AsyncFailure,
    /// It took longer than `execution.checkpointing.timeout`.
    Expired,
    /// A later one was completed first.
    Subsumed,
    /// A task could not take its snapshot.
    Declined,
    /// A task was not yet ready for it.
    DeclinedNotReady,
    /// A task finished before it took part.
    DeclinedClosing,
    /// A task met the barrier of a later checkpoint first.
    DeclinedSubsumed,
    /// The job is ending or has ended.
    CoordinatorShutdown,
    /// The job's tasks are being restarted.
    CoordinatorSuspend,
    /// The job has failed.
    JobFailure,
    /// A task failed while it was under way.
    TaskFailure,
    /// The connection to a task executor broke while it was under way, and what was said on it is lost.
    ConnectionLost,
    /// Everything was there, but the metadata could not be stored.
    FinalizeFailure,
    /// The savepoint was stored, but then the job did not stop.
    StoppingFailed,
    /// The job runs on at the parallelism that it had.
    NotRescaled,
}

impl CheckpointFailureReason {
    /// What people read.
    pub fn message(self) -> &'static str {
        use CheckpointFailureReason::*;
        match self {
            PeriodicSchedulerShutdown => "Periodic checkpoint scheduler is shut down.",
            TooManyRequests => "The maximum number of queued checkpoint requests exceeded",
            NotAllTasksRunning => "Not all required tasks are currently running.",
            IoProblem => "An Exception occurred while triggering the checkpoint. IO-problem detected.",
            NoSavepointLocation => "No savepoint location given and no default location configured.",
            NotAvailable => "The job takes no checkpoints: it runs in batch mode.",
            AsyncFailure => "Asynchronous task checkpoint failed.",
            Expired => "Checkpoint expired before completing.",
            Subsumed => "Checkpoint has been subsumed.",
            Declined => "Checkpoint was declined.",
            DeclinedNotReady => "Checkpoint was declined (tasks not ready)",
            DeclinedClosing => "Checkpoint was declined (task is closing)",
            DeclinedSubsumed => {
                "Checkpoint was canceled because a barrier from newer checkpoint was received."
            }
            CoordinatorShutdown => "CheckpointCoordinator shutdown.",
            CoordinatorSuspend => "Checkpoint Coordinator is suspending.",
            JobFailure => "The job has failed.",
            TaskFailure => "Task has failed.",
            ConnectionLost => "The connection to a task executor broke while the checkpoint was under way.",
            FinalizeFailure => "Failure to finalize checkpoint.",
            StoppingFailed => "A savepoint has been created, but the job did not stop.",
            NotRescaled => "The parallelism of the job was not changed.",
        }
    }

    /// Whether it counts towards `execution.checkpointing.tolerable-failed-checkpoints`: what would go wrong again does,
    /// what follows from the job's own life does not (`CheckpointFailureManager`).
    pub fn counts(self) -> bool {
        use CheckpointFailureReason::*;
        matches!(self, Declined | AsyncFailure | Expired | FinalizeFailure | IoProblem)
    }
}

/// A reason with what is known beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFailure {
    /// The kind of it.
    pub reason: CheckpointFailureReason,
    /// What was behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Failure>,
}

impl CheckpointFailure {
    /// The same with what was behind it.
    #[must_use]
    pub fn because(mut self, cause: Failure) -> CheckpointFailure {
        self.cause = Some(cause);
        self
    }
}

impl From<CheckpointFailureReason> for CheckpointFailure {
    fn from(reason: CheckpointFailureReason) -> Self {
        CheckpointFailure { reason, cause: None }
    }
}

impl fmt::Display for CheckpointFailure {
    /// The reason's text, then `Caused by: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.message())?;
        match &self.cause {
            Some(cause) => write!(f, "\nCaused by: {cause}"),
            None => Ok(()),
        }
    }
}
