//! The directory that holds what an application needs to start, and only while it lives.
//!
//! Owns the layout under the staging directory: `.flink/<application id>/` and, beside it, `.flink/cache/`, whose content is
//! [`crate::cache`]'s. Which files go in is the caller's.

use std::sync::Arc;

use crate::cache::UploadCache;
use crate::error::{FsError, Result};
use crate::filesystem::FileSystem;
use crate::path::FsPath;

/// The name under the staging directory, the same as Flink's.
const ROOT_NAME: &str = ".flink";

/// How YARN's application ids begin.
const APPLICATION_PREFIX: &str = "application_";

/// Nobody but its owner reads an application's files: they hold secrets.
const PRIVATE: u32 = 0o700;

/// A user's staging directory.
#[derive(Clone)]
pub struct Staging {
    fs: Arc<dyn FileSystem>,
    root: FsPath,
}

impl Staging {
    /// Under `base` (`yarn.staging-directory`), or in the home directory.
    pub fn new(fs: Arc<dyn FileSystem>, base: Option<&FsPath>) -> Self {
        let root = base.cloned().unwrap_or_else(|| fs.home_directory()).join(ROOT_NAME);
        Self { fs, root }
    }

    /// The file system it is on.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// Where an application's files are.
    ///
    /// # Errors
    /// [`FsError::InvalidPath`] when `application` is no application id.
    pub fn application_directory(&self, application: &str) -> Result<FsPath> {
        if !application.starts_with(APPLICATION_PREFIX) || application.contains('/') {
            let reason =
                format!("it should be an application id such as {APPLICATION_PREFIX}1700000000000_0001");
            return Err(FsError::InvalidPath { path: application.to_owned(), reason });
        }
        Ok(self.root.join(application))
    }

    /// Makes an application's directory, readable by its owner only.
    ///
    /// # Errors
    /// The file system's.
    pub async fn create(&self, application: &str) -> Result<FsPath> {
        let directory = self.application_directory(application)?;
        self.fs.mkdirs(&self.root, 0o755).await?;
        self.fs.mkdirs(&directory, PRIVATE).await?;
        Ok(directory)
    }

    /// Removes an application's directory with everything in it; `false` when there was none.
    ///
    /// # Errors
    /// The file system's.
    pub async fn delete(&self, application: &str) -> Result<bool> {
        self.fs.delete(&self.application_directory(application)?, true).await
    }

    /// The ids of applications that have a directory: those that live, and those whose end nobody tidied up.
    ///
    /// # Errors
    /// The file system's.
    pub async fn applications(&self) -> Result<Vec<String>> {
        let entries = match self.fs.list(&self.root).await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.iter().filter(|entry| entry.is_directory).map(|entry| entry.path.name());
        Ok(names.filter(|name| name.starts_with(APPLICATION_PREFIX)).map(str::to_owned).collect())
    }

    /// The upload cache beside the applications.
    pub fn cache(&self) -> UploadCache {
        UploadCache::new(self.clone(), self.root.join("cache"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalFileSystem;

    #[tokio::test]
    async fn an_applications_directory_is_private_and_goes_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let base = FsPath::local(dir.path()).unwrap();
        let staging = Staging::new(Arc::new(LocalFileSystem::new()), Some(&base));
        assert!(staging.applications().await.unwrap().is_empty());
        let directory = staging.create("application_1_0001").await.unwrap();
        assert_eq!(directory, base.join(".flink/application_1_0001"));
        assert_eq!(staging.file_system().stat(&directory).await.unwrap().permission, 0o700);
        staging.file_system().mkdirs(&directory.join("lib"), 0o755).await.unwrap();
        assert_eq!(staging.applications().await.unwrap(), ["application_1_0001"]);
        assert!(staging.delete("application_1_0001").await.unwrap());
        assert!(!staging.delete("application_1_0001").await.unwrap());
    }

    #[tokio::test]
    async fn what_is_no_application_id_never_becomes_a_path() {
        let staging = Staging::new(Arc::new(LocalFileSystem::new()), None);
        for id in ["", "..", "cache", "application_1/../.."] {
            assert!(matches!(staging.delete(id).await, Err(FsError::InvalidPath { .. })), "{id}");
        }
    }
}
