//! Directories on the local disk that last as long as the value that stands for them.

use crate::state::StateError;
use kvick_core::local_files::directory_name;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of our own; removed, with all that is in it, on drop.
#[derive(Debug)]
pub(crate) struct LocalDirectory(PathBuf);

static NEXT: AtomicU64 = AtomicU64::new(0);

pub(crate) fn failed(act: &'static str, path: &Path, source: std::io::Error) -> StateError {
    StateError::Local { act, path: path.to_path_buf(), source }
}

impl LocalDirectory {
    /// Makes a directory whose name begins with `name` ([`kvick_core::local_files::owner`]) and that nobody else has.
    pub fn make(parent: &Path, name: &str) -> Result<LocalDirectory, StateError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(directory_name(name, std::process::id(), number));
        std::fs::create_dir_all(&path).map_err(|error| failed("make the directory", &path, error))?;
        Ok(LocalDirectory(path))
    }

    /// Stands for a directory that is made by somebody else.
    pub fn to_be(path: PathBuf) -> LocalDirectory {
        LocalDirectory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LocalDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            crate::log::warn(&format!("cannot remove the local directory {}: {error}", self.0.display()));
        }
    }
}
