//! Files uploaded once and found again by their content: `.flink/cache/<sha256>/<name>`.
//!
//! Owns hashing, uploading under a temporary name and renaming, the record of who uses what, and the removal of what nobody
//! does. A second submission of the same program thus uploads nothing, and node managers, which know a resource by path and
//! time stamp, have it already.
//!
//! An entry's file is never touched again: YARN compares a resource's time stamp exactly, so a "last used" kept in the file's
//! own modification time would break the applications that use it. Two things are kept beside it instead:
//! - `<sha256>/.used`, an empty file made anew by every upload or find: its modification time says when that was;
//! - `<application directory>/.cache/<sha256>`, an empty file for as long as the application's directory exists.
//!
//! (Empty, because HDFS completes an empty file at once.) [`UploadCache::clean`] removes an entry only when no application
//! directory refers to it and its last use is long ago, so neither an application that runs for a year nor one that is just
//! being submitted loses a file. An application that died without tidying up keeps its files until its directory goes.

mod clean;
mod hash;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileSystem};
use crate::local::LocalFileSystem;
use crate::path::FsPath;
use crate::staging::Staging;

pub use clean::Cleaned;
use transfer::Transfer;

/// The record of an entry's last use.
const USED: &str = ".used";

/// How often a mark is made that rivals and clean-ups take away.
const TOUCH_ATTEMPTS: u32 = 5;

/// Where an application's directory says which entries it needs.
const REFERENCES: &str = ".cache";

/// A local file, and the name it shall have in the cache and in containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it is now.
    pub local: PathBuf,
    /// A plain file name.
    pub name: String,
}

/// A file in the cache, with what a YARN local resource must say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// Where it is.
    pub path: FsPath,
    /// Its name, as asked for.
    pub name: String,
    /// Its content's SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub length: u64,
    /// Milliseconds since 1970, as the file system has it.
    pub modification_time: u64,
    /// Whether this call uploaded it; else it was there.
    pub uploaded: bool,
}

/// How files are uploaded.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Copies to keep; the file system's default when `None` (`yarn.file-replication`).
    pub replication: Option<u32>,
    /// How many files are under way at a time.
    pub parallel: usize,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self { replication: None, parallel: 4 }
    }
}

/// One step of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which of the uploads asked for, from 0.
    pub upload: usize,
    /// Bytes sent of it so far.
    pub sent: u64,
    /// Bytes it has.
    pub length: u64,
    /// It was in the cache: nothing is sent.
    pub cached: bool,
}

/// What is called with every [`Progress`].
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// The upload cache of one staging directory.
#[derive(Clone)]
pub struct UploadCache {
    staging: Staging,
    root: FsPath,
}

impl UploadCache {
    pub(crate) fn new(staging: Staging, root: FsPath) -> Self {
        Self { staging, root }
    }

    fn fs(&self) -> &Arc<dyn FileSystem> {
        self.staging.file_system()
    }

    /// Makes sure that all `uploads` are in the cache; the answers are in their order.
    ///
    /// # Errors
    /// Those of reading the local files and of the file system; [`FsError::Corrupt`] for a file that changes meanwhile.
    pub async fn put(
        &self,
        uploads: &[Upload],
        options: &UploadOptions,
        on_progress: OnProgress<'_>,
    ) -> Result<Vec<CachedFile>> {
        // Boxed, because the compiler cannot tell that the futures of a closure over references may change threads.
        let mut each = Vec::with_capacity(uploads.len());
        for (number, upload) in uploads.iter().enumerate() {
            each.push(self.put_one(number, upload, options, on_progress).boxed());
        }
        stream::iter(each).buffered(options.parallel.max(1)).try_collect().await
    }

    async fn put_one(
        &self,
        number: usize,
        upload: &Upload,
        options: &UploadOptions,
        on_progress: OnProgress<'_>,
    ) -> Result<CachedFile> {
        check_name(&upload.name)?;
        let report = |step: Progress| on_progress(Progress { upload: number, ..step });
        Transfer::prepare(self, upload, options).await?.run(&report).await
    }

    /// Records that `application`, whose directory exists, needs these files until that directory is deleted.
    ///
    /// # Errors
    /// The file system's.
    pub async fn refer(&self, application: &str, files: &[CachedFile]) -> Result<()> {
        let directory = self.staging.application_directory(application)?.join(REFERENCES);
        let each: Vec<_> =
            files.iter().map(|file| self.touch(directory.join(&file.sha256)).boxed()).collect();
        stream::iter(each).buffer_unordered(8).try_collect().await
    }

    /// Makes an empty file anew: its modification time is now. A rival who does the same at the same moment takes the file
    /// from under our hands; the mark that is there then is as new as ours would be.
    async fn touch(&self, path: FsPath) -> Result<()> {
        for _ in 1..TOUCH_ATTEMPTS {
            match self.fs().write(&path, Bytes::new(), &CreateOptions::overwriting()).await {
                Err(error) if is_lost_race(&error) => {}
                outcome => return outcome,
            }
            if self.fs().exists(&path).await? {
                return Ok(());
            }
            // Somebody removed the mark as well: a clean-up that came between.
        }
        self.fs().write(&path, Bytes::new(), &CreateOptions::overwriting()).await
    }
}

/// The SHA-256 of a local file, as the cache writes it, and its length in bytes. The file is read in pieces.
///
/// # Errors
/// It cannot be read.
pub async fn content_of(local: &Path) -> Result<(String, u64)> {
    let path = FsPath::local(local)?;
    let length = LocalFileSystem::new().stat(&path).await?.length;
    Ok((hash::of_file(&path).await?, length))
}

/// Whether somebody else made or removed the same file while it was being made.
fn is_lost_race(error: &FsError) -> bool {
    error.is_not_found() || error.is_already_exists() || matches!(error, FsError::LeaseLost { .. })
}

/// A slash would lead out of the entry, a leading dot hide the file among the cache's own.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        let reason = "an uploaded file needs a plain name that does not begin with a dot".to_owned();
        return Err(FsError::InvalidPath { path: name.to_owned(), reason });
    }
    Ok(())
}
