//! One file on its way into the cache. Owns the order of steps that lets rivals, clean-ups and crashes do no harm.

use std::sync::Arc;

use futures::StreamExt;

use super::hash::{self, Hasher};
use super::{CachedFile, Progress, USED, Upload, UploadCache, UploadOptions};
use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileStatus, FileSystem, Reader};
use crate::local::LocalFileSystem;
use crate::path::FsPath;
use crate::unique;

/// What is called after each piece sent.
type Report<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A local file, its hash and its place.
pub(super) struct Transfer<'a> {
    cache: &'a UploadCache,
    upload: &'a Upload,
    options: &'a UploadOptions,
    source: FsPath,
    reader: Arc<dyn Reader>,
    sha256: String,
    directory: FsPath,
}

impl<'a> Transfer<'a> {
    /// Opens and hashes the local file.
    pub(super) async fn prepare(
        cache: &'a UploadCache,
        upload: &'a Upload,
        options: &'a UploadOptions,
    ) -> Result<Self> {
        let source = FsPath::local(&upload.local)?;
        let reader = LocalFileSystem::new().open(&source).await?;
        let sha256 = hash::of_file(&source).await?;
        let directory = cache.root.join(&sha256);
        Ok(Self { cache, upload, options, source, reader, sha256, directory })
    }

    /// Finds the file in the cache, or uploads it.
    pub(super) async fn run(self, report: Report<'_>) -> Result<CachedFile> {
        // First the mark of use, then the look: a clean-up in between sees the mark.
        self.fs().mkdirs(&self.directory, 0o755).await?;
        self.cache.touch(self.directory.join(USED)).await?;
        match self.find().await? {
            Some(found) if found.length == self.reader.length() => {
                report(self.progress(found.length, true));
                Ok(self.cached(&found, false))
            }
            // What is there with another length is damaged: the content decides the name.
            damaged => {
                let stored = self.store(damaged.is_some(), report).await?;
                Ok(self.cached(&stored, true))
            }
        }
    }

    fn fs(&self) -> &Arc<dyn FileSystem> {
        self.cache.fs()
    }

    fn target(&self) -> FsPath {
        self.directory.join(&self.upload.name)
    }

    fn progress(&self, sent: u64, cached: bool) -> Progress {
        Progress { upload: 0, sent, length: self.reader.length(), cached }
    }

    fn cached(&self, status: &FileStatus, uploaded: bool) -> CachedFile {
        CachedFile {
            path: self.target(),
            name: self.upload.name.clone(),
            sha256: self.sha256.clone(),
            length: status.length,
            modification_time: status.modification_time,
            uploaded,
        }
    }

    async fn find(&self) -> Result<Option<FileStatus>> {
        match self.fs().stat(&self.target()).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads under a temporary name and renames. Who comes second to the name takes what the first one put there.
    async fn store(&self, replace: bool, report: Report<'_>) -> Result<FileStatus> {
        let temporary = self.directory.join(&format!(".{}.{}.part", self.upload.name, unique::suffix()));
        let outcome = match self.send(&temporary, report).await {
            Ok(()) => self.fs().rename(&temporary, &self.target(), replace).await,
            failed => failed,
        };
        if let Err(error) = outcome {
            self.remove_quietly(&temporary).await;
            if !error.is_already_exists() {
                return Err(error);
            }
        }
        self.fs().stat(&self.target()).await
    }

    /// Sends the content, and checks on the way that it still is what was hashed.
    async fn send(&self, temporary: &FsPath, report: Report<'_>) -> Result<()> {
        let create = CreateOptions::default().replication(self.options.replication);
        let mut writer = self.fs().create(temporary, &create).await?;
        let (mut sent, mut hasher) = (0, Hasher::new());
        let mut pieces = self.reader.stream(0..self.reader.length());
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            sent += piece.len() as u64;
            hasher.add(&piece);
            writer.write(piece).await?;
            report(self.progress(sent, false));
        }
        if hasher.finish() != self.sha256 {
            return Err(self.changed());
        }
        writer.close().await
    }

    fn changed(&self) -> FsError {
        FsError::Corrupt {
            operation: "upload",
            path: self.source.to_string(),
            reason: "the file was changed while it was being uploaded".to_owned(),
        }
    }

    async fn remove_quietly(&self, path: &FsPath) {
        if let Err(error) = self.fs().delete(path, false).await {
            tracing::warn!(%error, "a partly uploaded file stays behind");
        }
    }
}
