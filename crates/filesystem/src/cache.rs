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

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileStatus, FileSystem, Reader};
use crate::local::LocalFileSystem;
use crate::path::FsPath;
use crate::staging::Staging;
use crate::unique;

pub use clean::Cleaned;
use hash::Hasher;

/// The record of an entry's last use.
const USED: &str = ".used";

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
        Self {
            replication: None,
            parallel: 4,
        }
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
        let each = uploads
            .iter()
            .enumerate()
            .map(|(number, upload)| self.put_one(number, upload, options, on_progress));
        stream::iter(each)
            .buffered(options.parallel.max(1))
            .try_collect()
            .await
    }

    /// Records that `application`, whose directory exists, needs these files until that directory is deleted.
    ///
    /// # Errors
    /// The file system's.
    pub async fn refer(&self, application: &str, files: &[CachedFile]) -> Result<()> {
        let directory = self
            .staging
            .application_directory(application)?
            .join(REFERENCES);
        let each = files
            .iter()
            .map(|file| self.touch(directory.join(&file.sha256)));
        stream::iter(each).buffer_unordered(8).try_collect().await
    }

    /// Makes an empty file anew: its modification time is now.
    async fn touch(&self, path: FsPath) -> Result<()> {
        self.fs()
            .write(&path, Bytes::new(), &CreateOptions::overwriting())
            .await
    }

    async fn put_one(
        &self,
        number: usize,
        upload: &Upload,
        options: &UploadOptions,
        on_progress: OnProgress<'_>,
    ) -> Result<CachedFile> {
        check_name(&upload.name)?;
        let source = Source::open(upload).await?;
        let sha256 = source.hash().await?;
        let directory = self.root.join(&sha256);
        // First the mark of use, then the look: a clean-up in between sees the mark.
        self.fs().mkdirs(&directory, 0o755).await?;
        self.touch(directory.join(USED)).await?;
        let target = directory.join(&upload.name);
        let report = |sent, cached| {
            on_progress(Progress {
                upload: number,
                sent,
                length: source.length(),
                cached,
            })
        };
        let found = self.find(&target).await?;
        let uploaded = found
            .as_ref()
            .is_none_or(|found| found.length != source.length());
        let status = match found {
            Some(found) if !uploaded => {
                report(source.length(), true);
                found
            }
            // What is there with another length is damaged: the content decides the name.
            damaged => {
                self.upload(
                    &source,
                    &sha256,
                    &target,
                    damaged.is_some(),
                    options,
                    &|sent| report(sent, false),
                )
                .await?
            }
        };
        Ok(CachedFile {
            path: target,
            name: upload.name.clone(),
            sha256,
            length: status.length,
            modification_time: status.modification_time,
            uploaded,
        })
    }

    async fn find(&self, target: &FsPath) -> Result<Option<FileStatus>> {
        match self.fs().stat(target).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads under a temporary name and renames. Who comes second to the name takes what the first one put there.
    async fn upload(
        &self,
        source: &Source,
        sha256: &str,
        target: &FsPath,
        replace: bool,
        options: &UploadOptions,
        on_sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<FileStatus> {
        let directory = target.parent().unwrap_or_else(|| self.root.clone());
        let temporary = directory.join(&format!(".{}.{}.part", target.name(), unique::suffix()));
        let outcome = match self
            .send(source, sha256, &temporary, options, on_sent)
            .await
        {
            Ok(()) => self.fs().rename(&temporary, target, replace).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(error) => {
                self.remove_quietly(&temporary).await;
                if !error.is_already_exists() {
                    return Err(error);
                }
            }
        }
        self.fs().stat(target).await
    }

    async fn send(
        &self,
        source: &Source,
        sha256: &str,
        temporary: &FsPath,
        options: &UploadOptions,
        on_sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<()> {
        let create = CreateOptions::default().replication(options.replication);
        let mut writer = self.fs().create(temporary, &create).await?;
        let (mut sent, mut hasher) = (0, Hasher::new());
        let mut pieces = source.reader.stream(0..source.length());
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            sent += piece.len() as u64;
            hasher.add(&piece);
            writer.write(piece).await?;
            on_sent(sent);
        }
        if hasher.finish() != sha256 {
            return Err(source.changed());
        }
        writer.close().await
    }

    async fn remove_quietly(&self, path: &FsPath) {
        if let Err(error) = self.fs().delete(path, false).await {
            tracing::warn!(%error, "a partly uploaded file stays behind");
        }
    }
}

/// A slash would lead out of the entry, a leading dot hide the file among the cache's own.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        let reason =
            "an uploaded file needs a plain name that does not begin with a dot".to_owned();
        return Err(FsError::InvalidPath {
            path: name.to_owned(),
            reason,
        });
    }
    Ok(())
}

/// An open local file.
struct Source {
    path: FsPath,
    reader: Arc<dyn Reader>,
}

impl Source {
    async fn open(upload: &Upload) -> Result<Self> {
        let path = FsPath::local(&upload.local)?;
        let reader = LocalFileSystem::new().open(&path).await?;
        Ok(Self { path, reader })
    }

    fn length(&self) -> u64 {
        self.reader.length()
    }

    /// The whole content's hash, worked out on a blocking thread.
    async fn hash(&self) -> Result<String> {
        hash::of_file(&self.path).await
    }

    fn changed(&self) -> FsError {
        FsError::Corrupt {
            operation: "upload",
            path: self.path.to_string(),
            reason: "the file was changed while it was being uploaded".to_owned(),
        }
    }
}
