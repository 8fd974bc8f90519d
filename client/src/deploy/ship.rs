//! The files that a user adds to every container: `yarn.ship-files`, `yarn.ship-archives`, `yarn.provided.lib.dirs`.
//!
//! Local ones are to be uploaded; those on a file system of the cluster are used where they are.

use super::hadoop::Hadoop;
use super::wanted::{Files, Kind, Wanted, everybody_enters, file_name};
use anyhow::{Context, Result, bail};
use kvick_core::application_spec::{LocalFile, Visibility};
use kvick_core::config::{Configuration, options};
use kvick_core::launch::{EXECUTOR_PROGRAM, MASTER_PROGRAM, ROCKSDB_PLUGIN};
use kvick_filesystem::{FileStatus, FileSystem, FsPath};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What YARN can unpack, by the end of the name.
const ARCHIVES: [&str; 6] = [".tar.gz", ".tar", ".tgz", ".dst", ".jar", ".zip"];
/// The directory whose files would go before the job's own: not to be shipped by this way.
const USRLIB: &str = "usrlib";

/// `yarn.ship-files` and `yarn.ship-archives`: adds what is local to `wanted` and answers what is not.
///
/// # Errors
/// A file that is not there, or two of the same name.
pub(super) async fn shipped(hadoop: &Hadoop, config: &Configuration, wanted: &mut Wanted) -> Result<Files> {
    let mut remote = Files::new();
    let lists = [(&options::YARN_SHIP_FILES, Kind::File), (&options::YARN_SHIP_ARCHIVES, Kind::Archive)];
    for (option, kind) in lists {
        for text in config.get(option)?.unwrap_or_default() {
            check_name(&text, kind)?;
            match local_path(&text) {
                Some(path) => ship_local(&path, kind, wanted)?,
                None => ship_remote(hadoop, &text, kind, &mut remote).await?,
            }
        }
    }
    match remote.keys().find(|key| wanted.has(key)) {
        Some(key) => bail!("Two files would have the name '{key}' in the containers"),
        None => Ok(remote),
    }
}

fn check_name(text: &str, kind: Kind) -> Result<()> {
    let name = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
    let lower = name.to_lowercase();
    if kind == Kind::Archive && !ARCHIVES.iter().any(|end| lower.ends_with(end)) {
        let known = ARCHIVES.join(", ");
        bail!(
            "Directories or non-archive files are included in yarn.ship-archives: {text} ends in none of {known}"
        );
    }
    if name == USRLIB {
        bail!("User-shipped directories configured via : yarn.ship-files should not include {USRLIB}.");
    }
    Ok(())
}

fn local_path(text: &str) -> Option<PathBuf> {
    match text.strip_prefix("file:") {
        Some(path) => Some(PathBuf::from(format!("/{}", path.trim_start_matches('/')))),
        None => (!text.contains("://")).then(|| PathBuf::from(text)),
    }
}

/// A directory is shipped with all that is in it, under its own name.
fn ship_local(path: &Path, kind: Kind, wanted: &mut Wanted) -> Result<()> {
    if !path.try_exists().unwrap_or(false) {
        bail!("Ship file {} does not exist", path.display());
    }
    if kind == Kind::Archive && path.is_dir() {
        bail!(
            "Directories or non-archive files are included in yarn.ship-archives: {} is a directory",
            path.display()
        );
    }
    // "." and ".." have a name only once they are resolved.
    let named = match path.file_name() {
        Some(_) => path.to_path_buf(),
        None => path.canonicalize().with_context(|| format!("Cannot read {}", path.display()))?,
    };
    ship_entry(path, &file_name(&named)?, kind, wanted)
}

fn ship_entry(path: &Path, key: &str, kind: Kind, wanted: &mut Wanted) -> Result<()> {
    if !path.is_dir() {
        return wanted.add(key, path.to_path_buf(), kind);
    }
    let failed = || format!("Cannot read the ship directory {}", path.display());
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(path).with_context(failed)?.collect();
    let mut entries: Vec<PathBuf> = entries.with_context(failed)?.iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        ship_entry(&entry, &format!("{key}/{}", file_name(&entry)?), kind, wanted)?;
    }
    Ok(())
}

async fn ship_remote(hadoop: &Hadoop, text: &str, kind: Kind, remote: &mut Files) -> Result<()> {
    let (fs, path) = hadoop.files.locate(text)?;
    let status = fs.stat(&path).await.with_context(|| format!("Ship file {text} does not exist"))?;
    let name = path.name().to_string();
    if kind == Kind::Archive && status.is_directory {
        bail!("Directories or non-archive files are included in yarn.ship-archives: {text} is a directory");
    }
    let found = match status.is_directory {
        true => walk(&fs, path, &name, false).await?,
        false => vec![Found { key: name, status, public: false }],
    };
    for found in found {
        let mut file = found.file();
        file.archive = kind == Kind::Archive;
        if remote.insert(found.key.clone(), file).is_some() {
            bail!("Two files would have the name '{}' in the containers, the second being {text}", found.key);
        }
    }
    Ok(())
}

/// The files of `yarn.provided.lib.dirs`, which need no upload. The engine's programs count wherever they are below these
/// directories, so that the directory of a whole distribution serves as well as its `lib`.
///
/// # Errors
/// A directory that is not there, or two files of the same name.
pub(super) async fn provided(hadoop: &Hadoop, config: &Configuration) -> Result<Files> {
    let mut files = Files::new();
    for text in config.get(&options::YARN_PROVIDED_LIBS)?.unwrap_or_default() {
        let (fs, path) = hadoop.files.locate(&text)?;
        let public = everybody_enters(&fs, Some(path.clone())).await;
        let found = walk(&fs, path, "", public).await.context("yarn.provided.lib.dirs")?;
        for found in found {
            let name = found.status.path.name();
            let is_program = [MASTER_PROGRAM, EXECUTOR_PROGRAM, ROCKSDB_PLUGIN].contains(&name);
            let key = if is_program { name.to_string() } else { found.key.clone() };
            if files.insert(key, found.file()).is_some() {
                bail!("Two files with the same filename exist in the shared libs: {name}");
            }
        }
    }
    Ok(files)
}

/// A file below a directory.
struct Found {
    /// Its name in containers.
    key: String,
    status: FileStatus,
    /// Whether everybody may read it: only then does YARN take it into the cache that all users share.
    public: bool,
}

impl Found {
    fn file(&self) -> LocalFile {
        LocalFile {
            uri: self.status.path.to_string(),
            size: self.status.length,
            timestamp: self.status.modification_time,
            archive: false,
            visibility: if self.public { Visibility::Public } else { Visibility::Application },
        }
    }
}

/// All files below a directory, whose name in containers is `key`.
async fn walk(fs: &Arc<dyn FileSystem>, directory: FsPath, key: &str, public: bool) -> Result<Vec<Found>> {
    let mut directories = vec![(directory, key.to_string(), public)];
    let mut files = Vec::new();
    while let Some((directory, key, public)) = directories.pop() {
        for status in fs.list(&directory).await? {
            let name = status.path.name();
            let key = if key.is_empty() { name.to_string() } else { format!("{key}/{name}") };
            let allows = |bit| public && status.permission & bit != 0;
            match status.is_directory {
                true => directories.push((status.path.clone(), key, allows(0o001))),
                false => files.push(Found { key, public: allows(0o004), status }),
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_archives_are_unpacked_and_usrlib_is_not_shipped() {
        for name in ["a.tar.gz", "/x/b.ZIP", "hdfs://nn/c.tgz", "d.jar"] {
            assert!(check_name(name, Kind::Archive).is_ok(), "{name}");
        }
        let refused = check_name("/x/data.txt", Kind::Archive).unwrap_err().to_string();
        assert!(refused.starts_with("Directories or non-archive files are included"), "{refused}");
        assert!(check_name("/x/data.txt", Kind::File).is_ok());
        let refused = check_name("hdfs://nn/x/usrlib/", Kind::File).unwrap_err().to_string();
        assert_eq!(
            refused,
            "User-shipped directories configured via : yarn.ship-files should not include usrlib."
        );
    }

    #[test]
    fn a_directory_is_shipped_under_its_name_and_names_are_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        std::fs::create_dir_all(root.join("deep")).unwrap();
        std::fs::write(root.join("a"), "1").unwrap();
        std::fs::write(root.join("deep/b"), "2").unwrap();
        let mut wanted = Wanted::default();
        ship_local(&root, Kind::File, &mut wanted).unwrap();
        assert!(wanted.has("data/a") && wanted.has("data/deep/b"));
        let again = ship_local(&root, Kind::File, &mut wanted).unwrap_err().to_string();
        assert!(again.starts_with("Two files would have the name 'data/a'"), "{again}");
        let missing = ship_local(&dir.path().join("no"), Kind::File, &mut wanted).unwrap_err().to_string();
        assert!(missing.ends_with("/no does not exist"), "{missing}");
    }
}
