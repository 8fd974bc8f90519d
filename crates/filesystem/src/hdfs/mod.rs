//! HDFS as a [`FileSystem`], over the `hdfs-native` crate.
//!
//! Owns what that crate leaves to its callers: time limits (it has none towards the NameNode), a new connection after a
//! silent one, patience with a NameNode that restarts, errors that say what happened (`error`), and closing small files
//! without its half-second sleep (`close`). Nothing of that crate shows through.

mod close;
mod config;
mod error;
mod file;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hdfs_native::{Client, HdfsError, WriteOptions};

use crate::context::{Context, home_directory};
use crate::error::{FsError, Result};
use crate::filesystem::{CreateOptions, FileStatus, FileSystem, Reader, Writer};
use crate::path::FsPath;
use config::ClientSettings;
use file::{HdfsReader, HdfsWriter};

/// How long to wait between two tries to reach a NameNode that refuses connections or is in safe mode.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How long the DataNodes may take to agree on the length of a file whose writer is gone (HDFS gives a DataNode that does not
/// answer about a minute).
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// How long to wait before asking again whether they have.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// One HDFS (or viewfs) name space as one user.
pub struct HdfsFileSystem {
    settings: ClientSettings,
    client: RwLock<Client>,
    endpoint: Arc<Endpoint>,
    home: FsPath,
    patience: Duration,
    call_timeout: Duration,
}

/// What error messages and open files need to know of the other side.
pub(crate) struct Endpoint {
    /// `hdfs://host:port` or a name service.
    address: String,
    user: String,
    data_timeout: Duration,
}

impl HdfsFileSystem {
    /// Prepares to talk to the name space that `path` is in. The first operation connects.
    ///
    /// # Errors
    /// What is wrong with the configuration: an unusable address, a token file that the client would not read.
    pub fn connect(context: &Context, path: &FsPath) -> Result<Self> {
        let settings = ClientSettings::new(context, path)?;
        let endpoint = Endpoint {
            address: settings.address().to_owned(),
            user: context.effective_user(),
            data_timeout: context.data_timeout,
        };
        Ok(Self {
            client: RwLock::new(settings.build()?),
            home: home_directory(context, path),
            endpoint: Arc::new(endpoint),
            patience: context.patience,
            call_timeout: context.call_timeout,
            settings,
        })
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A NameNode that did not answer may have vanished without closing its connection, which the old client would never
    /// notice: the next operation starts on a new one.
    fn renew_client(&self) {
        match self.settings.build() {
            Ok(client) => *self.client.write().unwrap_or_else(PoisonError::into_inner) = client,
            Err(error) => tracing::warn!(%error, "could not renew the HDFS client"),
        }
    }

    /// Makes one call to the NameNode: bounded in time, tried again while connections are refused, or the NameNode is
    /// in safe mode, and patience lasts.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        path: &FsPath,
        make: impl Fn(Client) -> F,
    ) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, HdfsError>>,
    {
        let (started, mut told) = (Instant::now(), false);
        loop {
            match tokio::time::timeout(self.call_timeout, make(self.client())).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error::was_never_received(&error) && started.elapsed() < self.patience => {
                    if !std::mem::replace(&mut told, true) {
                        let error = error::convert(operation, path, &self.endpoint, error);
                        tracing::warn!("trying again for {:?}: {error}", self.patience);
                    }
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Ok(Err(error)) => {
                    return Err(error::convert(operation, path, &self.endpoint, error));
                }
                Err(_) => {
                    self.renew_client();
                    return Err(error::timed_out(operation, path, &self.endpoint, self.call_timeout));
                }
            }
        }
    }
}

fn status(path: FsPath, raw: hdfs_native::client::FileStatus) -> FileStatus {
    FileStatus {
        path,
        length: raw.length as u64,
        is_directory: raw.isdir,
        modification_time: raw.modification_time,
        permission: raw.permission & 0o1777,
        owner: raw.owner,
        group: raw.group,
        replication: raw.replication.filter(|_| !raw.isdir),
        block_size: raw.blocksize.unwrap_or(0),
    }
}

fn write_options(options: &CreateOptions) -> WriteOptions {
    WriteOptions {
        block_size: options.block_size,
        replication: options.replication,
        permission: options.mode,
        overwrite: options.overwrite,
        create_parent: options.create_parents,
    }
}

#[async_trait]
impl FileSystem for HdfsFileSystem {
    fn scheme(&self) -> &str {
        self.home.scheme()
    }

    fn user(&self) -> &str {
        &self.endpoint.user
    }

    fn home_directory(&self) -> FsPath {
        self.home.clone()
    }

    async fn stat(&self, path: &FsPath) -> Result<FileStatus> {
        let raw =
            self.call("stat", path, |client| async move { client.get_file_info(path.path()).await }).await?;
        Ok(status(path.clone(), raw))
    }

    async fn list(&self, path: &FsPath) -> Result<Vec<FileStatus>> {
        let raw = self
            .call("list", path, |client| async move { client.list_status(path.path(), false).await })
            .await?;
        let mut entries: Vec<_> =
            raw.into_iter().map(|entry| status(path.with_path(&entry.path), entry)).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    async fn open(&self, path: &FsPath) -> Result<Arc<dyn Reader>> {
        let reader = self.call("open", path, |client| async move { client.read(path.path()).await }).await?;
        Ok(Arc::new(HdfsReader::new(reader, path.clone(), Arc::clone(&self.endpoint))))
    }

    async fn create(&self, path: &FsPath, options: &CreateOptions) -> Result<Box<dyn Writer>> {
        let options = &write_options(options);
        let (client, writer) = self
            .call("create", path, |client| async move {
                let writer = client.create(path.path(), options).await?;
                Ok((client, writer))
            })
            .await?;
        Ok(Box::new(HdfsWriter::new(client, writer, path.clone(), Arc::clone(&self.endpoint))))
    }

    async fn mkdirs(&self, path: &FsPath, mode: u32) -> Result<()> {
        self.call(
            "make directory",
            path,
            |client| async move { client.mkdirs(path.path(), mode, true).await },
        )
        .await
    }

    async fn rename(&self, from: &FsPath, to: &FsPath, overwrite: bool) -> Result<()> {
        let outcome =
            self.call("rename", from, |client| async move {
                client.rename(from.path(), to.path(), overwrite).await
            })
            .await;
        // The exception does not tell which of the two it is about: a taken name is always the target's.
        outcome.map_err(|error| match error {
            FsError::AlreadyExists { .. } => {
                FsError::AlreadyExists { operation: "rename to", path: to.to_string() }
            }
            other => other,
        })
    }

    async fn delete(&self, path: &FsPath, recursive: bool) -> Result<bool> {
        self.call("delete", path, |client| async move { client.delete(path.path(), recursive).await }).await
    }

    /// HDFS keeps a file under the lease of its writer until somebody takes it back. Its length, as readers see it, is then
    /// at least what the writer has synced.
    async fn settle(&self, path: &FsPath) -> Result<()> {
        let started = Instant::now();
        while !self
            .call(
                "recover the lease of",
                path,
                |client| async move { client.recover_lease(path.path()).await },
            )
            .await?
        {
            if started.elapsed() > SETTLE_LIMIT {
                return Err(error::timed_out("recover the lease of", path, &self.endpoint, SETTLE_LIMIT));
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        Ok(())
    }

    async fn set_permission(&self, path: &FsPath, mode: u32) -> Result<()> {
        self.call("set permission of", path, |client| async move {
            client.set_permission(path.path(), mode).await
        })
        .await
    }

    async fn set_replication(&self, path: &FsPath, replication: u32) -> Result<()> {
        // The answer only says whether the path was a file.
        self.call("set replication of", path, |client| async move {
            client.set_replication(path.path(), replication).await
        })
        .await
        .map(drop)
    }
}
