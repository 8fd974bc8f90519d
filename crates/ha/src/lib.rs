//! High availability: what of an application survives its application master, and which attempt is to be obeyed.
//!
//! The application master writes; a client reads what an application has left that has ended without a word. It knows nothing of
//! YARN, and of jobs only their records.
//!
//! [`HaStore`] is the one interface; [`FileStore`] (a directory of a file system, the default on YARN) and
//! [`ZooKeeperStore`] keep records, [`NoStore`] keeps nothing. [`HaServices`] is what the rest of the application master
//! uses: it writes changes in order and together. What a record says is known to [`kvick_core::ha`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod files;
mod leader;
mod services;
mod settings;
mod survivors;
mod zookeeper;

pub use files::FileStore;
pub use leader::publish;
pub use services::{AWAY_PATIENCE, Fence, HaServices};
pub use settings::{HaKind, HaSettings, ZooKeeperSettings, open};
pub use survivors::{RestartFrom, Survivor, survivors};
pub use zookeeper::ZooKeeperStore;

use async_trait::async_trait;
use kvick_core::ha::{Change, Contents, Epoch, FileError, Leader};
use kvick_filesystem::FsError;

/// What went wrong with what must survive.
#[derive(Debug, thiserror::Error)]
pub enum HaError {
    /// A later attempt has taken over: this one must stop, without touching anything.
    #[error("{by} has taken over from {own}")]
    Fenced {
        /// The later attempt.
        by: Epoch,
        /// This attempt.
        own: Epoch,
    },
    /// The file system.
    #[error(transparent)]
    Files(#[from] FsError),
    /// ZooKeeper, and what was done there.
    #[error("ZooKeeper at {quorum}: cannot {act}: {source}")]
    ZooKeeper {
        /// Its servers.
        quorum: String,
        /// What was tried.
        act: String,
        /// Its words.
        source: zookeeper_client::Error,
    },
    /// A record that cannot be written or read.
    #[error("a record: {0}")]
    Record(#[from] FileError),
    /// The directory of the records is not there any more.
    #[error(
        "the directory {directory} of its records is gone: somebody has removed it, or a later attempt has ended the application"
    )]
    Gone {
        /// The directory.
        directory: String,
    },
    /// The configuration does not say enough, or something wrong.
    #[error("{0}")]
    Settings(String),
    /// Writing was given up, or the application ends.
    #[error("it could not be made durable: {0}")]
    Lost(String),
}

impl HaError {
    /// Whether the same may succeed later, with nothing changed by anybody; it is not known then what became of it.
    pub fn may_pass(&self) -> bool {
        match self {
            HaError::Files(error) => error.is_transient(),
            HaError::ZooKeeper { source, .. } => zookeeper::may_pass(source),
            _ => false,
        }
    }

    /// Whether a later attempt has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, HaError::Fenced { .. })
    }

    /// What has taken over, if that is what happened.
    pub fn fence(&self) -> Option<Fence> {
        let HaError::Fenced { by, own } = self else { return None };
        Some(Fence { replaced: !by.same_application(own), why: self.to_string() })
    }
}

/// Where records are kept, and which attempt is the leader.
///
/// Before [`HaStore::take_over`] has returned nothing may be written. An attempt whose successor has called it can still
/// try to write, but is told so, and nobody ever reads what it wrote.
#[async_trait]
pub trait HaStore: Send + Sync {
    /// Becomes the leader instead of every earlier attempt, and reads what they left.
    ///
    /// # Errors
    /// [`HaError::Fenced`] if there is a later attempt; else those of the store.
    async fn take_over(&self, leader: &Leader) -> Result<Contents, HaError>;

    /// The latest attempt that has taken over.
    ///
    /// # Errors
    /// Those of the store.
    async fn leader(&self) -> Result<Option<Leader>, HaError>;

    /// Reads what is kept, without taking over: for whoever looks at an application that has ended.
    ///
    /// # Errors
    /// Those of the store.
    async fn contents(&self) -> Result<Contents, HaError>;

    /// Makes changes durable, in order. After an error that is not [`HaError::Fenced`] some of them may be: they may be
    /// written again.
    ///
    /// # Errors
    /// [`HaError::Fenced`] if there is a later attempt; else those of the store.
    async fn write(&self, changes: &[Change]) -> Result<(), HaError>;

    /// Removes everything: the application has ended.
    ///
    /// # Errors
    /// Those of the store.
    async fn clean_up(&self) -> Result<(), HaError>;
}

/// Keeps nothing (`high-availability.type: NONE`).
pub struct NoStore;

#[async_trait]
impl HaStore for NoStore {
    async fn take_over(&self, _leader: &Leader) -> Result<Contents, HaError> {
        Ok(Contents::default())
    }

    async fn leader(&self) -> Result<Option<Leader>, HaError> {
        Ok(None)
    }

    async fn contents(&self) -> Result<Contents, HaError> {
        Ok(Contents::default())
    }

    async fn write(&self, _changes: &[Change]) -> Result<(), HaError> {
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), HaError> {
        Ok(())
    }
}
