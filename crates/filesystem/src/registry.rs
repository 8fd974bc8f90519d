//! The file systems that there are, by scheme, and the table of those already connected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::Context;
use crate::error::{FsError, Result};
use crate::filesystem::FileSystem;
use crate::hdfs::HdfsFileSystem;
use crate::local::LocalFileSystem;
use crate::path::FsPath;

/// The schemes that [`FileSystems::get`] can serve, as error messages list them.
pub const SUPPORTED_SCHEMES: &str = "file, hdfs, viewfs";

/// The file systems of one context: each connected once, when first asked for.
pub struct FileSystems {
    context: Context,
    connected: Mutex<BTreeMap<(String, String), Arc<dyn FileSystem>>>,
}

impl FileSystems {
    /// No connection is made yet.
    pub fn new(context: Context) -> Self {
        Self { context, connected: Mutex::default() }
    }

    /// What it was made with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Adds a file system of one's own for its scheme and this authority (empty: names without one).
    pub fn insert(&self, authority: &str, file_system: Arc<dyn FileSystem>) {
        let key = (file_system.scheme().to_owned(), authority.to_owned());
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).insert(key, file_system);
    }

    /// The complete name that `text` stands for; see [`Context::resolve`].
    ///
    /// # Errors
    /// [`FsError::InvalidPath`].
    pub fn resolve(&self, text: &str) -> Result<FsPath> {
        self.context.resolve(text)
    }

    /// The file system that `path` is in. Nothing is sent yet: a NameNode that is away is noticed by the first operation.
    ///
    /// # Errors
    /// [`FsError::UnsupportedScheme`], or what is wrong with the configuration.
    pub fn get(&self, path: &FsPath) -> Result<Arc<dyn FileSystem>> {
        let key = (path.scheme().to_owned(), path.authority().to_owned());
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connected.get(&key) {
            return Ok(Arc::clone(known));
        }
        let file_system = connect(&self.context, path)?;
        connected.insert(key, Arc::clone(&file_system));
        Ok(file_system)
    }

    /// [`FileSystems::resolve`] and [`FileSystems::get`] in one.
    ///
    /// # Errors
    /// Theirs.
    pub fn locate(&self, text: &str) -> Result<(Arc<dyn FileSystem>, FsPath)> {
        let path = self.resolve(text)?;
        Ok((self.get(&path)?, path))
    }
}

/// A file system for `path`, not shared with anybody.
///
/// # Errors
/// [`FsError::UnsupportedScheme`], or what is wrong with the configuration.
pub fn connect(context: &Context, path: &FsPath) -> Result<Arc<dyn FileSystem>> {
    match path.scheme() {
        "file" => Ok(Arc::new(LocalFileSystem::new())),
        "hdfs" | "viewfs" => Ok(Arc::new(HdfsFileSystem::connect(context, path)?)),
        scheme => Err(FsError::UnsupportedScheme {
            scheme: scheme.to_owned(),
            path: path.to_string(),
            supported: SUPPORTED_SCHEMES,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_names_itself_and_what_would_do() {
        let systems = FileSystems::new(Context::default());
        let error = systems.locate("s3://bucket/x").err().unwrap().to_string();
        assert!(
            error.contains("'s3'") && error.contains("s3://bucket/x") && error.contains("hdfs"),
            "{error}"
        );
    }

    #[test]
    fn one_file_system_is_connected_once() {
        let systems = FileSystems::new(Context::default());
        let (first, _) = systems.locate("/a").unwrap();
        let (second, _) = systems.locate("file:///b").unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
