//! Why something failed, kept from the place where it happened up to the person who reads it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A failure with its chain of causes, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What happened, in one line where possible.
    pub message: String,
    /// What kind of thing it was; shown as the exception's class by the REST API.
    #[serde(default)]
    pub kind: FailureKind,
    /// More about it: place of a panic, last log lines. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Failure>>,
}

/// The kinds of failure that are told apart by behaviour or by what a person should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FailureKind {
    /// The user's function panicked.
    Panic,
    /// A source, sink or function returned an error.
    #[default]
    Error,
    /// A worker process ended without saying why (signal, abort, exit code).
    WorkerLost,
    /// A task executor or its container was lost.
    ExecutorLost,
    /// The cluster took a container back, or its node: nothing that ran there did anything wrong.
    Withdrawn,
    /// State that a task was to begin with is not what was written: a file is missing, torn or changed.
    StateDamaged,
    /// State is as it was written, but the program cannot read it, or has state that could never be read back.
    StateIncompatible,
    /// A result that a task was to read is not there any more, or not what was written: its producers must run again.
    ResultLost,
    /// Slots did not come in time.
    NoResources,
    /// The program built another graph than the one deployed.
    GraphMismatch,
    /// The job was cancelled.
    Cancelled,
    /// Restarting would not help, or is not wanted any more.
    RestartSuppressed,
}

impl Failure {
    /// A failure without cause.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), kind, detail: String::new(), cause: None }
    }

    /// A failure about which nothing was said.
    pub fn unknown() -> Failure {
        Failure::new(FailureKind::Error, "the task failed without saying why")
    }

    /// The same with more detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Failure {
        self.detail = detail.into();
        self
    }

    /// A failure caused by this one.
    #[must_use]
    pub fn wrapped(self, kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), kind, detail: String::new(), cause: Some(Box::new(self)) }
    }

    /// Whether this failure, or one that caused it, is of a kind.
    pub fn has_kind(&self, kind: FailureKind) -> bool {
        self.kind == kind || self.cause.as_deref().is_some_and(|cause| cause.has_kind(kind))
    }

    /// The innermost cause.
    pub fn root(&self) -> &Failure {
        self.cause.as_deref().map_or(self, Failure::root)
    }
}

impl fmt::Display for Failure {
    /// `message`, then one line `Caused by: …` per cause, details indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for line in self.detail.lines() {
            write!(f, "\n\t{line}")?;
        }
        match &self.cause {
            Some(cause) => write!(f, "\nCaused by: {cause}"),
            None => Ok(()),
        }
    }
}
