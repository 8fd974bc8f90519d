//! Blocking exchanges: a producer's result is written to a file, and read once it is whole.
//!
//! [`writer`] divides a task's output among its consumers and writes it; [`Results`] keeps it in this process, from the end of
//! the task until it is released; [`serve`] sends a consumer its part, over the same channels that pipelined exchanges use. A
//! result that is not there, or not what was written, fails the consumer with [`FailureKind::ResultLost`].

mod kept;
mod serve;
mod writer;

pub use kept::Results;
pub use writer::{ResultLane, ResultWriter};

use super::channel::ChannelKey;
use crate::spill::SpillError;
use kvick_core::failure::{Failure, FailureKind};

/// A consumer asked for what this process does not keep.
pub(crate) fn not_kept(key: &ChannelKey) -> Failure {
    let text = format!("the result of {} is not kept here any more", key.producer);
    Failure::new(FailureKind::ResultLost, text)
}

/// A consumer's part cannot be read.
pub(crate) fn unreadable(key: &ChannelKey, error: &SpillError) -> Failure {
    let text = format!("the result that {} has kept cannot be read", key.producer);
    crate::error::failure_of(error).wrapped(FailureKind::ResultLost, text)
}
