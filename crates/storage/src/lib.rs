//! Checkpoints on file systems: what the checkpoint coordinator wants done outside of its mind, done.
//!
//! [`CheckpointStorage`] makes the directories of savepoints, writes and reads `_metadata`, and removes checkpoints that are
//! not needed any more. [`Performer`] does so beside whoever drives the coordinator: in a thread of its own, the effects of
//! one job in order. [`CheckpointStorage::restore_source`] finds what a job is to start from.
//!
//! It must not know tasks, containers or HTTP, and never looks into state: that is the runtime's.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod performer;
mod restore;
mod storage;

pub use error::StorageError;
pub use performer::{Outcome, Performer};
pub use storage::{CheckpointStorage, Located};
