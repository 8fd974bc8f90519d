//! The files that containers are to have: what each is for, under which name, and which are still to be uploaded.

use anyhow::{Result, anyhow, bail};
use kvick_core::application_spec::LocalFile;
use kvick_filesystem::cache::Upload;
use kvick_filesystem::{FileSystem, FsPath};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files by the name that they have in a container.
pub type Files = BTreeMap<String, LocalFile>;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The engine's own: the same for everybody.
    Engine,
    /// The job's.
    Jar,
    /// Shipped for both containers, as it is.
    File,
    /// Shipped and unpacked.
    Archive,
}

/// Local files to upload, with their names in containers.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) uploads: Vec<Upload>,
    pub(super) keys: Vec<(String, Kind)>,
}

impl Wanted {
    /// Another file.
    ///
    /// # Errors
    /// The name is taken.
    pub(super) fn add(&mut self, key: &str, local: PathBuf, kind: Kind) -> Result<()> {
        if self.has(key) {
            bail!(
                "Two files would have the name '{key}' in the containers, the second being {}",
                local.display()
            );
        }
        self.uploads.push(Upload { local, name: name_in_cache(key) });
        self.keys.push((key.to_string(), kind));
        Ok(())
    }

    /// Whether a name is taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(known, _)| known == key)
    }
}

/// YARN makes only one link for one source, so two shipped files with the same content must not be one in the cache: the
/// whole key is its name there. A leading dot is the cache's own.
fn name_in_cache(key: &str) -> String {
    let name = key.replace('/', "__");
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// The last name of a path.
pub(super) fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_string).ok_or_else(|| anyhow!("{} has no file name in UTF-8", path.display()))
}

/// Whether everybody may enter a directory and all above it.
pub(super) async fn everybody_enters(fs: &Arc<dyn FileSystem>, directory: Option<FsPath>) -> bool {
    let mut next = directory;
    while let Some(path) = next {
        match fs.stat(&path).await {
            Ok(status) if status.permission & 0o001 != 0 => next = path.parent(),
            _ => return false,
        }
    }
    true
}
