//! What reaches the driver: everything that happens around the machines, and what others ask of them.

use crate::cluster::Cluster;
use kvick_core::executor::{ExecutorInfo, FromExecutor, Holdings};
use kvick_core::failure::Failure;
use kvick_core::ids::ExecutorId;
use kvick_core::time::Millis;
use kvick_rpc::generated::v1::Frame;
use kvick_storage::Outcome;
use tokio::sync::mpsc;

/// A question or order that the driver's task answers.
pub type Request = Box<dyn FnOnce(&mut Cluster, Millis) + Send>;

/// What the driver reacts to, beside the clock.
pub enum Input {
    /// A task executor has connected and introduced itself.
    Connected {
        /// What it offers.
        info: Box<ExecutorInfo>,
        /// What it runs.
        holdings: Holdings,
        /// The number that it gives this connection.
        connection: u64,
        /// Tells this connection from others of the same executor.
        serial: u64,
        /// Frames for it.
        frames: mpsc::UnboundedSender<Frame>,
    },
    /// It said something, over this connection.
    Executor(ExecutorId, u64, FromExecutor),
    /// Its connection broke.
    Disconnected(ExecutorId, u64),
    /// A container was allocated on this node and is being started.
    ContainerStarting(ExecutorId, String),
    /// A container has ended, or could not be started.
    ContainerEnded(ExecutorId, Failure),
    /// The program of an application-mode application has ended.
    ProgramEnded(Option<Failure>),
    /// YARN wants the application to end.
    ShutdownRequested(String),
    /// What became of something that was to be done about checkpoints.
    Checkpoint(Outcome),
    /// The end of a job has become durable, or is told though it cannot be.
    Durable,
    /// This attempt is over; what it left is for a later one.
    AttemptOver(String),
    /// Something to ask or do.
    Request(Request),
}
