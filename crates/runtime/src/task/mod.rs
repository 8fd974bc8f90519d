//! A subtask: its loop, what it knows of itself, how it is stopped, and the thread it runs in.

mod alignment;
mod checkpoints;
mod context;
mod control;
mod input;
mod pace;
mod recording;
mod running;
mod source;
mod thread;
mod two_inputs;
mod watermarks;

pub use context::{AccumulatorRegistry, JobInfo, OperatorIdentity, TaskContext, TaskCounters, file_systems};
pub(crate) use control::lock;
pub use control::{TaskControl, Wake};
pub use input::{Head, InputTask, OneInput, Records};
pub use source::{Poll, Source, SourceTask};
pub use thread::{Reporter, TaskEvent, TaskThread, start};
pub use two_inputs::TwoInputs;

use crate::error::TaskResult;
use crate::exchange::gate::Gate;
use std::sync::Arc;

/// A subtask that can be run once.
pub trait Task: Send {
    /// Opens every operator of the chain.
    ///
    /// # Errors
    /// Whatever keeps an operator from starting.
    fn open(&mut self, context: &mut TaskContext) -> TaskResult;
    /// Runs until the input has ended. `gate` is there unless the task is a source.
    ///
    /// # Errors
    /// Whatever an operator fails with, or that the task was cancelled.
    fn run(&mut self, context: &mut TaskContext, gate: Option<&Arc<Gate>>) -> TaskResult;
    /// Runs, without having been opened, where the task had finished before its job was restored: passes the end of its
    /// data on.
    ///
    /// # Errors
    /// As [`Task::run`].
    fn run_finished(&mut self, context: &mut TaskContext, gate: Option<&Arc<Gate>>) -> TaskResult;
    /// Frees what [`Task::open`] took, also after a failure.
    fn close(&mut self);
}
