//! What can go wrong with a checkpoint on a file system, in words for the person who named it.

use kvick_core::checkpoint::MetadataError;
use kvick_core::config::ConfigError;
use kvick_filesystem::FsError;
use std::time::Duration;

/// An operation on a checkpoint that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is nothing of that name.
    #[error("Cannot find checkpoint or savepoint file/directory '{path}' on file system '{scheme}'.")]
    NotFound {
        /// As it was named.
        path: String,
        /// The file system that was asked.
        scheme: String,
    },
    /// There is a directory of that name, but no checkpoint in it.
    #[error(
        "Cannot find meta data file '_metadata' in directory '{path}': it is no checkpoint or savepoint, or one that was not \
         completed. Name the directory that holds '_metadata' (chk-<n> or savepoint-<...>), or that file itself."
    )]
    NoMetadata {
        /// The directory.
        path: String,
    },
    /// The metadata is not what this engine wrote.
    #[error("Cannot restore from '{path}': {source}")]
    Metadata {
        /// The metadata's file.
        path: String,
        /// What is wrong with it.
        source: MetadataError,
    },
    /// The metadata cannot be written.
    #[error("Cannot write the metadata of checkpoint {checkpoint}: {source}")]
    Encode {
        /// Which.
        checkpoint: u64,
        /// Why.
        source: MetadataError,
    },
    /// The file system says no.
    #[error(transparent)]
    FileSystem(#[from] FsError),
    /// The file system does not answer.
    #[error("the file system did not answer within {} s while it was to {doing}", after.as_secs())]
    Timeout {
        /// What was to be done, with the path.
        doing: String,
        /// How long was waited.
        after: Duration,
    },
    /// Ten random names were all taken, which means that something else is wrong.
    #[error("Failed to create savepoint directory at {base}: ten names were tried, and all are taken")]
    NoFreeName {
        /// Below which directory.
        base: String,
    },
    /// The system gives no random digits.
    #[error("cannot make up a name for a savepoint: {0}")]
    Random(String),
    /// The thread or the runtime for file operations cannot be started.
    #[error("cannot start a thread for checkpoints: {0}")]
    Thread(std::io::Error),
    /// An option that says from where to restore is not what it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl StorageError {
    /// Whether the same may succeed later, with nothing changed by anybody.
    pub fn may_pass(&self) -> bool {
        match self {
            StorageError::FileSystem(error) => error.is_transient(),
            StorageError::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Whether no copy of a file can be had, though the file system answers: its DataNodes may only be starting.
    pub fn lacks_copies(&self) -> bool {
        matches!(self, StorageError::FileSystem(FsError::Corrupt { .. }))
    }
}
