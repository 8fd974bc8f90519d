//! The one trait every file system implements, and the plain data that goes through it.
//!
//! Owns no behaviour but what follows from the trait's own methods. Knows neither HDFS nor the local disk.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};

use crate::error::Result;
use crate::path::FsPath;

/// What a file system tells of a file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// Its full name.
    pub path: FsPath,
    /// Bytes; 0 for a directory.
    pub length: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Milliseconds since 1970, exactly as the file system keeps it: a YARN local resource must name this very number.
    pub modification_time: u64,
    /// The lower nine (with sticky bit ten) permission bits.
    pub permission: u16,
    /// The owner: a name on HDFS, a numeric user id on the local disk.
    pub owner: String,
    /// The group, likewise.
    pub group: String,
    /// Copies kept, where the file system keeps copies.
    pub replication: Option<u32>,
    /// The unit in which the file is stored and best read, bytes.
    pub block_size: u64,
}

/// How a file is created. The default: mode 0644, parents made, and an existing file is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOptions {
    /// Replace an existing file; otherwise creation is exclusive, and exactly one of many rivals succeeds.
    pub overwrite: bool,
    /// Permission bits of the new file.
    pub mode: u32,
    /// Copies to keep; the file system's default when `None`.
    pub replication: Option<u32>,
    /// Block size in bytes; the file system's default when `None`.
    pub block_size: Option<u64>,
    /// Make missing parent directories.
    pub create_parents: bool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { overwrite: false, mode: 0o644, replication: None, block_size: None, create_parents: true }
    }
}

impl CreateOptions {
    /// The default, but replacing an existing file.
    pub fn overwriting() -> Self {
        Self { overwrite: true, ..Self::default() }
    }

    /// The same with other permission bits.
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// The same with another number of copies.
    pub fn replication(self, replication: Option<u32>) -> Self {
        Self { replication, ..self }
    }
}

/// An open file to read from: positioned, and from many threads at once.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The file's length when it was opened, bytes.
    fn length(&self) -> u64;

    /// Reads `range`, cut at the end of the file. An answer shorter than that cut range is an error, not an end.
    ///
    /// # Errors
    /// Whatever keeps the data away; see [`crate::FsError`].
    async fn read_at(&self, range: Range<u64>) -> Result<Bytes>;

    /// Reads `range`, cut at the end of the file, in pieces as they arrive.
    fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>>;
}

/// A file being written, from its beginning to its end. A writer that is dropped without [`Writer::close`] leaves a file
/// whose content is undefined.
#[async_trait]
pub trait Writer: Send {
    /// Appends `data`. It may stay in memory until [`Writer::sync`] or [`Writer::close`].
    ///
    /// # Errors
    /// Whatever keeps the data from being stored; after an error the writer is of no further use.
    async fn write(&mut self, data: Bytes) -> Result<()>;

    /// Returns when everything written so far is on stable storage and visible to new readers.
    ///
    /// # Errors
    /// As for [`Writer::write`].
    async fn sync(&mut self) -> Result<()>;

    /// Completes the file; when it returns, the file has its full length for everybody. Does nothing the second time.
    ///
    /// # Errors
    /// As for [`Writer::write`].
    async fn close(&mut self) -> Result<()>;
}

/// A file system. All paths given to one must be its own: of its scheme and authority.
///
/// Errors name the operation and the path; see [`crate::FsError`].
#[async_trait]
pub trait FileSystem: Send + Sync {
    /// The scheme it serves: `file`, `hdfs`.
    fn scheme(&self) -> &str;

    /// As whom it acts.
    fn user(&self) -> &str;

    /// That user's home directory, whether it exists or not.
    fn home_directory(&self) -> FsPath;

    /// What is known of one file or directory.
    async fn stat(&self, path: &FsPath) -> Result<FileStatus>;

    /// A directory's entries sorted by name; of a file, that file alone (as Hadoop does).
    async fn list(&self, path: &FsPath) -> Result<Vec<FileStatus>>;

    /// Opens a file for reading.
    async fn open(&self, path: &FsPath) -> Result<Arc<dyn Reader>>;

    /// Creates a file for writing.
    async fn create(&self, path: &FsPath, options: &CreateOptions) -> Result<Box<dyn Writer>>;

    /// Makes a directory and its missing parents, all with these permission bits; an existing one is no error and keeps
    /// its own. On the local disk the process's umask takes bits away.
    async fn mkdirs(&self, path: &FsPath, mode: u32) -> Result<()>;

    /// Moves a file or directory within the file system, atomically. Without `overwrite` an existing target is an error.
    async fn rename(&self, from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()>;

    /// Deletes; `false` when there was nothing. A directory with entries needs `recursive`.
    async fn delete(&self, path: &FsPath, recursive: bool) -> Result<bool>;

    /// Returns once no earlier writer of the file can change it any more, or what is stored of it already. Where a file
    /// that nobody has closed reads like any other, there is nothing to do.
    async fn settle(&self, _path: &FsPath) -> Result<()> {
        Ok(())
    }

    /// Sets the permission bits.
    async fn set_permission(&self, path: &FsPath, mode: u32) -> Result<()>;

    /// Sets how many copies of a file are kept; does nothing where none are.
    async fn set_replication(&self, path: &FsPath, replication: u32) -> Result<()>;

    /// Whether something has this name.
    async fn exists(&self, path: &FsPath) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The whole content of a file.
    async fn read(&self, path: &FsPath) -> Result<Bytes> {
        let reader = self.open(path).await?;
        let mut pieces = reader.stream(0..reader.length());
        let mut content = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            content.extend_from_slice(&piece?);
        }
        Ok(content.freeze())
    }

    /// Creates a file with this content.
    async fn write(&self, path: &FsPath, content: Bytes, options: &CreateOptions) -> Result<()> {
        let mut writer = self.create(path, options).await?;
        writer.write(content).await?;
        writer.close().await
    }
}
