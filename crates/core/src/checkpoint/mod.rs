//! Checkpoints and savepoints: when they are taken, what belongs to one, what it is called, and who gets what back.
//!
//! [`CheckpointCoordinator`] decides, as a machine without IO: what must be durable is an effect
//! ([`CheckpointEffect::Store`]) that counts only once its acknowledgement has come back as an input. [`metadata`] and
//! [`state`] are what a completed checkpoint consists of, [`restore`] hands it out again at any parallelism. [`message`] is
//! what job master and tasks say to each other. Nothing here reads or writes a file: state itself is never looked into.
//!
//! Reading order: [`settings`] → [`message`] → [`state`] → [`metadata`] → [`coordinator`] → [`restore`] → [`stats`].

pub mod coordinator;
pub mod failure;
pub mod key_groups;
pub mod message;
pub mod metadata;
pub mod restore;
pub mod settings;
pub mod state;
pub mod stats;

pub use coordinator::{
    CallerId, CheckpointCoordinator, CheckpointEffect, CompletedCheckpoint, CoordinatorEffect, Fallback,
    KeptCheckpoints, SnapshotDone, SnapshotRequest,
};
pub use failure::{CheckpointFailure, CheckpointFailureReason};
pub use key_groups::{KeyGroups, MAX_KEY_GROUPS};
pub use message::{
    BarrierAlignment, CheckpointCommand, CheckpointReport, SavepointFormat, SnapshotKind, SnapshotTarget,
    TaskSnapshot, TriggerCheckpoint,
};
pub use metadata::{CheckpointMetadata, MetadataError, OperatorState};
pub use restore::{
    ChannelLog, ClaimMode, InFlight, RestoreError, RestorePlan, RestoreSource, RestoreWish, TaskRestore,
};
pub use settings::{CheckpointMode, CheckpointRetention, CheckpointSettings, CheckpointStorage};
pub use state::{
    ChannelSide, ChannelState, InlineBytes, KeyedData, KeyedState, NamedState, Piece, Redistribution,
    StateFile, StateHandle, SubtaskState,
};

/// The number of a checkpoint or savepoint of a job: from 1, ever rising, also over restarts of the application master.
pub type CheckpointId = u64;
