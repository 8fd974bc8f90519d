//! Why a task ends early, and how errors of user code become failures that keep their causes.

use crate::state::StateError;
use kvick_core::failure::{Failure, FailureKind};
use std::error::Error;
use std::fmt;

/// Any error that user code returns.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a task ends before its input does.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskError {
    /// It was asked to.
    Canceled,
    /// Something failed.
    Failed(Failure),
}

/// The result of anything a task does.
pub type TaskResult<T = ()> = Result<T, TaskError>;

impl TaskError {
    /// A failure in one sentence.
    pub fn failed(message: impl Into<String>) -> TaskError {
        TaskError::Failed(Failure::new(FailureKind::Error, message))
    }

    /// A failure caused by an error, whose own causes are kept.
    pub fn caused(message: impl Into<String>, error: &(dyn Error + 'static)) -> TaskError {
        TaskError::Failed(failure_of(error).wrapped(FailureKind::Error, message))
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Canceled => f.write_str("the task was canceled"),
            TaskError::Failed(failure) => failure.fmt(f),
        }
    }
}

impl Error for TaskError {}

impl From<BoxError> for TaskError {
    fn from(error: BoxError) -> TaskError {
        match error.downcast::<TaskError>() {
            Ok(same) => *same,
            Err(other) => TaskError::Failed(failure_of(other.as_ref())),
        }
    }
}

/// So that sources and sinks can use `?` on what they do with files and sockets. An error that says with what is better:
/// [`TaskError::caused`].
impl From<std::io::Error> for TaskError {
    fn from(error: std::io::Error) -> TaskError {
        TaskError::Failed(failure_of(&error))
    }
}

/// What the job master goes by: it falls back to an earlier checkpoint, or starts the tasks again, or does not.
fn kind_of(error: &(dyn Error + 'static)) -> FailureKind {
    match error.downcast_ref::<StateError>() {
        Some(state) if state.is_damage() => FailureKind::StateDamaged,
        Some(state) if state.is_incompatible() => FailureKind::StateIncompatible,
        _ => FailureKind::Error,
    }
}

/// A failure with one cause for each `source()` of the error.
pub fn failure_of(error: &(dyn Error + 'static)) -> Failure {
    let mut failure = Failure::new(kind_of(error), error.to_string());
    failure.cause = error.source().map(|cause| Box::new(failure_of(cause)));
    failure
}
