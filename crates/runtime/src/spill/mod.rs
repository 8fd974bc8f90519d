//! Records that do not fit in memory: sorted, written to temporary files in runs, and merged.
//!
//! Batch mode alone uses this. Memory is counted by estimate (what a sample of the records takes when it is serialised), files
//! are written in blocks with checksums, and are removed with the value that stands for them, also after a failure.
//!
//! Reading order: [`memory`] (how much there is) → `block` → `runs` → `sorter`.

pub(crate) mod block;
pub mod memory;
mod runs;
mod sorter;

pub use runs::{Entry, Merged, Runs};
pub use sorter::{Sorted, Sorter};

use crate::state::StateError;
use crate::state::store::directory::LocalDirectory;
use crate::task::TaskContext;
use kvick_core::local_files::owner;
use std::path::{Path, PathBuf};

/// A temporary file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// No directory for temporary files.
    #[error("there is no place for what does not fit in memory (io.tmp.dirs): {0}")]
    Directory(#[source] Box<StateError>),
    /// The file cannot be written: among others a full disk.
    #[error("cannot write {path}, which takes what does not fit in memory (io.tmp.dirs): {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {path}, which has what did not fit in memory (io.tmp.dirs): {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not contain what was written.
    #[error("the temporary file {path} is damaged at byte {at}: a checksum does not match")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged block begins.
        at: u64,
    },
    /// A record refuses to be written, or `Serialize` and `Deserialize` do not fit together.
    #[error("a record of type {type_name} cannot be kept in a temporary file: {source}")]
    Record {
        /// The record's type.
        type_name: &'static str,
        /// Why.
        source: postcard::Error,
    },
}

impl SpillError {
    pub(crate) fn record<T>(source: postcard::Error) -> SpillError {
        SpillError::Record { type_name: std::any::type_name::<T>(), source }
    }
}

impl From<SpillError> for crate::error::TaskError {
    fn from(error: SpillError) -> Self {
        crate::error::TaskError::Failed(crate::error::failure_of(&error))
    }
}

/// Less than this is not worth dividing further: runs would be too many and too short.
const LEAST_MEMORY: u64 = 1 << 20;

/// Where temporary files go, and how much is kept in memory.
#[derive(Debug, Clone)]
pub struct SpillSettings {
    /// Bytes that may be held in memory.
    pub memory: u64,
    /// Directories for temporary files, used in turn.
    pub directories: Vec<PathBuf>,
    /// The beginning of a directory's name: tells whose it is.
    pub name: String,
    /// Which directory is used first.
    pub first: usize,
}

impl SpillSettings {
    /// For the operator that is being opened.
    pub fn of(context: &TaskContext) -> SpillSettings {
        let (subtask, attempt) = (context.subtask(), context.execution.attempt);
        let job = context.job.job_id;
        SpillSettings {
            memory: context.batch_memory.max(LEAST_MEMORY),
            directories: context.job.tmp_dirs.iter().map(PathBuf::from).collect(),
            name: owner("spill", job, &format!("{}-{subtask}-{attempt}", context.operator.id)),
            first: subtask as usize,
        }
    }

    /// The `number`th directory of this owner, made anew.
    pub(crate) fn directory(&self, number: usize) -> Result<LocalDirectory, SpillError> {
        let index = self.first.wrapping_add(number) % self.directories.len().max(1);
        let parent = self.directories.get(index).cloned().unwrap_or_else(std::env::temp_dir);
        LocalDirectory::make(&parent, &self.name).map_err(|error| SpillError::Directory(Box::new(error)))
    }
}

pub(crate) fn write_failed(path: &Path, source: std::io::Error) -> SpillError {
    SpillError::Write { path: path.to_path_buf(), source }
}

pub(crate) fn read_failed(path: &Path, source: std::io::Error) -> SpillError {
    SpillError::Read { path: path.to_path_buf(), source }
}
