//! The local disk as a [`FileSystem`].
//!
//! Owns the plain synchronous operations, which [`crate::blocking`] uses as they are, and their wrapping for tasks (on the
//! runtime's blocking threads). Knows nothing of configuration.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::context::{Context, home_directory};
use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileStatus, FileSystem, Reader, Writer};
use crate::path::FsPath;
use crate::user::system_user;

/// What Hadoop calls the local file system's block size (`fs.local.block.size`): how far input is cut into splits.
pub const BLOCK_SIZE: u64 = 32 << 20;

/// How much one step of a stream reads.
const PIECE: u64 = 256 << 10;

/// The local disk. Costs nothing to make.
#[derive(Debug, Clone)]
pub struct LocalFileSystem {
    user: String,
}

impl Default for LocalFileSystem {
    fn default() -> Self {
        Self::new()
    }
}

/// The synchronous operations; each does what [`FileSystem`]'s of the same name does.
impl LocalFileSystem {
    /// The local disk as this process's user.
    pub fn new() -> Self {
        Self { user: system_user() }
    }

    pub(crate) fn stat_now(path: &FsPath) -> Result<FileStatus> {
        let metadata = fs::metadata(native(path)?).map_err(|error| FsError::from_io("stat", path, &error))?;
        Ok(status(path.clone(), &metadata))
    }

    pub(crate) fn list_now(path: &FsPath) -> Result<Vec<FileStatus>> {
        let own = Self::stat_now(path)?;
        if !own.is_directory {
            return Ok(vec![own]);
        }
        let failed = |error| FsError::from_io("list", path, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(native(path)?).map_err(failed)? {
            entries.extend(entry_status(path, &entry.map_err(failed)?)?);
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    pub(crate) fn open_now(path: &FsPath) -> Result<(File, u64)> {
        let failed = |error| FsError::from_io("open", path, &error);
        let file = File::open(native(path)?).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(FsError::IsADirectory { operation: "open", path: path.to_string() });
        }
        Ok((file, metadata.len()))
    }

    pub(crate) fn create_now(path: &FsPath, options: &CreateOptions) -> Result<File> {
        if options.create_parents
            && let Some(parent) = path.parent()
        {
            Self::mkdirs_now(&parent, 0o755)?;
        }
        let mut open = OpenOptions::new();
        open.write(true).mode(options.mode);
        if options.overwrite {
            open.create(true).truncate(true)
        } else {
            open.create_new(true)
        };
        open.open(native(path)?).map_err(|error| FsError::from_io("create", path, &error))
    }

    pub(crate) fn mkdirs_now(path: &FsPath, mode: u32) -> Result<()> {
        let native = native(path)?;
        if native.is_dir() {
            return Ok(());
        }
        let failed = |error| FsError::from_io("make directory", path, &error);
        fs::DirBuilder::new().recursive(true).mode(mode).create(&native).map_err(failed)
    }

    pub(crate) fn rename_now(from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()> {
        let (source, target) = (native(from)?, native(to)?);
        let outcome =
            if overwrite { fs::rename(&source, &target) } else { rename_exclusive(&source, &target) };
        outcome.map_err(|error| rename_error(from, to, &source, &error))
    }

    pub(crate) fn delete_now(path: &FsPath, recursive: bool) -> Result<bool> {
        let native = native(path)?;
        let outcome = match fs::symlink_metadata(&native) {
            Ok(metadata) if metadata.is_dir() && recursive => fs::remove_dir_all(&native),
            Ok(metadata) if metadata.is_dir() => fs::remove_dir(&native),
            Ok(_) => fs::remove_file(&native),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FsError::from_io("delete", path, &error)),
        }
    }

    pub(crate) fn set_permission_now(path: &FsPath, mode: u32) -> Result<()> {
        fs::set_permissions(native(path)?, fs::Permissions::from_mode(mode))
            .map_err(|error| FsError::from_io("set permission of", path, &error))
    }
}

fn native(path: &FsPath) -> Result<PathBuf> {
    path.to_local().ok_or_else(|| FsError::InvalidPath {
        path: path.to_string(),
        reason: "it is not a local file".to_owned(),
    })
}

/// `None` for an entry that vanished since the directory was read, or whose link leads nowhere.
fn entry_status(parent: &FsPath, entry: &fs::DirEntry) -> Result<Option<FileStatus>> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else {
        let path = entry.path().display().to_string();
        return Err(FsError::InvalidPath { path, reason: "the name is not UTF-8".to_owned() });
    };
    let path = parent.join(name);
    match fs::metadata(entry.path()) {
        Ok(metadata) => Ok(Some(status(path, &metadata))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FsError::from_io("stat", &path, &error)),
    }
}

fn status(path: FsPath, metadata: &fs::Metadata) -> FileStatus {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    FileStatus {
        path,
        length: if metadata.is_dir() { 0 } else { metadata.len() },
        is_directory: metadata.is_dir(),
        modification_time: modified.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        permission: u16::try_from(metadata.mode() & 0o1777).unwrap_or(0),
        owner: metadata.uid().to_string(),
        group: metadata.gid().to_string(),
        replication: None,
        block_size: BLOCK_SIZE,
    }
}

/// Renames unless the target exists, in one step where the kernel and the disk's file system can.
fn rename_exclusive(source: &Path, target: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, source, CWD, target, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            rename_checked(source, target)
        }
        other => other.map_err(std::io::Error::from),
    }
}

/// A hard link fails when the target exists, which makes this safe for files; directories are looked at first.
fn rename_checked(source: &Path, target: &Path) -> std::io::Result<()> {
    if source.is_dir() {
        return match fs::symlink_metadata(target) {
            Ok(_) => Err(std::io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(source, target),
        };
    }
    fs::hard_link(source, target)?;
    fs::remove_file(source)
}

/// A rename has two paths: the error names the one that it is about.
fn rename_error(from: &FsPath, to: &FsPath, source: &Path, error: &std::io::Error) -> FsError {
    let about_source = error.kind() == std::io::ErrorKind::NotFound && fs::symlink_metadata(source).is_err();
    if about_source {
        FsError::from_io("rename", from, error)
    } else {
        FsError::from_io("rename to", to, error)
    }
}

/// Runs `work` on one of the runtime's blocking threads.
async fn off_the_loop<T: Send + 'static>(
    operation: &'static str,
    path: &FsPath,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let failed = |error: tokio::task::JoinError| FsError::Other {
        operation,
        path: path.to_string(),
        reason: error.to_string(),
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

#[async_trait]
impl FileSystem for LocalFileSystem {
    fn scheme(&self) -> &str {
        "file"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn home_directory(&self) -> FsPath {
        home_directory(&Context::default(), &FsPath::new("file", "", "/"))
    }

    async fn stat(&self, path: &FsPath) -> Result<FileStatus> {
        let own = path.clone();
        off_the_loop("stat", path, move || Self::stat_now(&own)).await
    }

    async fn list(&self, path: &FsPath) -> Result<Vec<FileStatus>> {
        let own = path.clone();
        off_the_loop("list", path, move || Self::list_now(&own)).await
    }

    async fn open(&self, path: &FsPath) -> Result<Arc<dyn Reader>> {
        let own = path.clone();
        let (file, length) = off_the_loop("open", path, move || Self::open_now(&own)).await?;
        Ok(Arc::new(LocalReader { file: Arc::new(file), length, path: path.clone() }))
    }

    async fn create(&self, path: &FsPath, options: &CreateOptions) -> Result<Box<dyn Writer>> {
        let (own, options) = (path.clone(), options.clone());
        let file = off_the_loop("create", path, move || Self::create_now(&own, &options)).await?;
        Ok(Box::new(LocalWriter { file: Arc::new(file), path: path.clone() }))
    }

    async fn mkdirs(&self, path: &FsPath, mode: u32) -> Result<()> {
        let own = path.clone();
        off_the_loop("make directory", path, move || Self::mkdirs_now(&own, mode)).await
    }

    async fn rename(&self, from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()> {
        let (source, target) = (from.clone(), to.clone());
        off_the_loop("rename", from, move || Self::rename_now(&source, &target, overwrite)).await
    }

    async fn delete(&self, path: &FsPath, recursive: bool) -> Result<bool> {
        let own = path.clone();
        off_the_loop("delete", path, move || Self::delete_now(&own, recursive)).await
    }

    async fn set_permission(&self, path: &FsPath, mode: u32) -> Result<()> {
        let own = path.clone();
        off_the_loop("set permission of", path, move || Self::set_permission_now(&own, mode)).await
    }

    async fn set_replication(&self, path: &FsPath, _replication: u32) -> Result<()> {
        self.stat(path).await.map(drop)
    }
}

#[derive(Clone)]
struct LocalReader {
    file: Arc<File>,
    length: u64,
    path: FsPath,
}

impl LocalReader {
    /// `range` lies within the length at opening; a file that has shrunk since is an error.
    fn read_now(&self, range: &Range<u64>) -> Result<Bytes> {
        let size = usize::try_from(range.end - range.start)
            .map_err(|_| self.failed(&std::io::ErrorKind::OutOfMemory.into()))?;
        let mut content = vec![0; size];
        self.file.read_exact_at(&mut content, range.start).map_err(|error| self.failed(&error))?;
        Ok(content.into())
    }

    fn failed(&self, error: &std::io::Error) -> FsError {
        FsError::from_io("read", &self.path, error)
    }

    fn cut(&self, range: &Range<u64>) -> Range<u64> {
        let end = range.end.min(self.length);
        range.start.min(end)..end
    }
}

#[async_trait]
impl Reader for LocalReader {
    fn length(&self) -> u64 {
        self.length
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes> {
        let (reader, range) = (self.clone(), self.cut(&range));
        off_the_loop("read", &self.path, move || reader.read_now(&range)).await
    }

    fn stream(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let reader = self.clone();
        stream::try_unfold(self.cut(&range), move |left| {
            let reader = reader.clone();
            async move {
                if left.is_empty() {
                    return Ok(None);
                }
                let middle = left.end.min(left.start + PIECE);
                let piece = reader.read_at(left.start..middle).await?;
                Ok(Some((piece, middle..left.end)))
            }
        })
        .boxed()
    }
}

struct LocalWriter {
    file: Arc<File>,
    path: FsPath,
}

#[async_trait]
impl Writer for LocalWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        off_the_loop("write", &self.path, move || {
            (&*file).write_all(&data).map_err(|error| FsError::from_io("write", &path, &error))
        })
        .await
    }

    async fn sync(&mut self) -> Result<()> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        off_the_loop("sync", &self.path, move || {
            file.sync_data().map_err(|error| FsError::from_io("sync", &path, &error))
        })
        .await
    }

    /// What is written is with the operating system already; to outlive the machine's own end, sync first.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
