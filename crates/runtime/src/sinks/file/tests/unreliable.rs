//! A local file system under the scheme `test:` whose operations fail when told: before they do anything, or after they
//! have done it, as when an answer is lost.

use async_trait::async_trait;
use bytes::Bytes;
use kvick_filesystem::local::LocalFileSystem;
use kvick_filesystem::{CreateOptions, FileStatus, FileSystem, FsError, FsPath, Reader, Result, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Counts operations down to the one that fails.
#[derive(Clone, Default)]
pub struct Faults {
    left: Arc<AtomicI64>,
    happened: Arc<AtomicI64>,
}

impl Faults {
    /// The operation after so many fails; 0 for none.
    pub fn fail_at(&self, operations: i64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// How many operations have failed.
    pub fn happened(&self) -> i64 {
        self.happened.load(Ordering::SeqCst)
    }

    fn step(&self, operation: &'static str, path: &FsPath) -> Result<()> {
        if self.left.load(Ordering::SeqCst) > 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.happened.fetch_add(1, Ordering::SeqCst);
            let reason = "No space left on device".to_string();
            return Err(FsError::Other { operation, path: path.to_string(), reason });
        }
        Ok(())
    }
}

/// The file system.
pub struct Unreliable {
    pub inner: LocalFileSystem,
    pub faults: Faults,
}

fn local(path: &FsPath) -> FsPath {
    FsPath::new("file", "", path.path())
}

fn own(status: FileStatus) -> FileStatus {
    FileStatus { path: FsPath::new("test", "disk", status.path.path()), ..status }
}

#[async_trait]
impl FileSystem for Unreliable {
    fn scheme(&self) -> &str {
        "test"
    }

    fn user(&self) -> &str {
        self.inner.user()
    }

    fn home_directory(&self) -> FsPath {
        FsPath::new("test", "disk", "/")
    }

    async fn stat(&self, path: &FsPath) -> Result<FileStatus> {
        self.faults.step("stat", path)?;
        self.inner.stat(&local(path)).await.map(own)
    }

    async fn list(&self, path: &FsPath) -> Result<Vec<FileStatus>> {
        self.faults.step("list", path)?;
        Ok(self.inner.list(&local(path)).await?.into_iter().map(own).collect())
    }

    async fn open(&self, path: &FsPath) -> Result<Arc<dyn Reader>> {
        self.faults.step("open", path)?;
        self.inner.open(&local(path)).await
    }

    async fn create(&self, path: &FsPath, options: &CreateOptions) -> Result<Box<dyn Writer>> {
        self.faults.step("create", path)?;
        let writer = self.inner.create(&local(path), options).await?;
        self.faults.step("create", path)?;
        Ok(Box::new(UnreliableWriter { inner: writer, faults: self.faults.clone(), path: path.clone() }))
    }

    async fn mkdirs(&self, path: &FsPath, mode: u32) -> Result<()> {
        self.inner.mkdirs(&local(path), mode).await
    }

    async fn rename(&self, from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()> {
        self.faults.step("rename", from)?;
        self.inner.rename(&local(from), &local(to), overwrite).await?;
        self.faults.step("rename", from)
    }

    async fn delete(&self, path: &FsPath, recursive: bool) -> Result<bool> {
        self.faults.step("delete", path)?;
        self.inner.delete(&local(path), recursive).await
    }

    async fn set_permission(&self, path: &FsPath, mode: u32) -> Result<()> {
        self.inner.set_permission(&local(path), mode).await
    }

    async fn set_replication(&self, path: &FsPath, replication: u32) -> Result<()> {
        self.inner.set_replication(&local(path), replication).await
    }
}

struct UnreliableWriter {
    inner: Box<dyn Writer>,
    faults: Faults,
    path: FsPath,
}

#[async_trait]
impl Writer for UnreliableWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        let half = data.slice(..data.len() / 2);
        if let Err(full) = self.faults.step("write", &self.path) {
            self.inner.write(half).await?;
            return Err(full);
        }
        self.inner.write(data).await
    }

    /// The disk is not waited for: these tests end processes, not machines.
    async fn sync(&mut self) -> Result<()> {
        self.faults.step("sync", &self.path)
    }

    async fn close(&mut self) -> Result<()> {
        self.faults.step("close", &self.path)?;
        self.inner.close().await
    }
}
