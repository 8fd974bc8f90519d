//! The operations on checkpoints, each with a time limit of its own: whoever asked is always answered.

use crate::error::StorageError;
use bytes::Bytes;
use kvick_core::checkpoint::CheckpointMetadata;
use kvick_core::checkpoint::metadata::METADATA_FILE;
use kvick_core::checkpoint::settings::CHECKPOINT_PREFIX;
use kvick_core::ids::JobId;
use kvick_filesystem::{CreateOptions, FileSystem, FileSystems, FsError, FsPath};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, warn};

/// How long one operation may take, however slow the file system is.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a name for a savepoint is made up (`AbstractFsCheckpointStorageAccess.initializeLocationForSavepoint`).
const NAMES: usize = 10;
/// Permission bits of new directories; what a process' or a cluster's mask takes away is taken away.
const DIRECTORY_MODE: u32 = 0o755;

/// A checkpoint or savepoint that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What it consists of.
    pub metadata: Arc<CheckpointMetadata>,
    /// Its directory, with scheme and authority.
    pub directory: String,
}

/// Checkpoints on the file systems of one context.
pub struct CheckpointStorage {
    files: FileSystems,
    patience: Duration,
}

impl CheckpointStorage {
    /// Checkpoints on these file systems. Nothing is connected yet.
    pub fn new(files: FileSystems) -> CheckpointStorage {
        CheckpointStorage { files, patience: PATIENCE }
    }

    /// Makes a new directory `savepoint-<first 6 digits of the job id>-<12 random digits>` below `base`; its whole name.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn prepare_savepoint(&self, job: JobId, base: &str) -> Result<String, StorageError> {
        let (fs, base) = self.files.locate(base)?;
        let making = async {
            for _ in 0..NAMES {
                let path = base.join(&savepoint_name(job)?);
                // Making a directory succeeds also where there is one: a name must be new.
                if !fs.exists(&path).await? {
                    fs.mkdirs(&path, DIRECTORY_MODE).await?;
                    return Ok(path.to_string());
                }
            }
            Err(StorageError::NoFreeName { base: base.to_string() })
        };
        self.in_time(format!("make a directory below {base}"), making).await
    }

    /// Writes the metadata of a checkpoint, which must not exist yet. Returns the directory's whole name, by which a person
    /// restores from it; nothing without a directory, where all state is inline.
    ///
    /// The file is there as a whole or not at all, even if this process is killed meanwhile: that it is there says that the
    /// checkpoint was completed.
    ///
    /// # Errors
    /// It could not be written, and what was written of it has been removed.
    pub async fn store(
        &self,
        metadata: &CheckpointMetadata,
        directory: Option<&str>,
    ) -> Result<Option<String>, StorageError> {
        let Some(directory) = directory else { return Ok(None) };
        let checkpoint = metadata.checkpoint;
        let content = metadata.encode().map_err(|source| StorageError::Encode { checkpoint, source })?;
        let (fs, directory) = self.files.locate(directory)?;
        let path = directory.join(METADATA_FILE);
        let in_progress = directory.join(&in_progress_name()?);
        let writing = async {
            fs.write(&in_progress, Bytes::from(content), &CreateOptions::default()).await?;
            Ok(fs.rename(&in_progress, &path, false).await?)
        };
        let Err(error) = self.in_time(format!("write {path}"), writing).await else {
            return Ok(Some(directory.to_string()));
        };
        self.remove(&fs, &in_progress, false).await;
        // Somebody else's stays.
        if !matches!(error, StorageError::FileSystem(FsError::AlreadyExists { .. })) {
            self.remove(&fs, &path, false).await;
        }
        Err(error)
    }

    /// Removes a directory with all that is in it, and files. What cannot be removed is logged and left.
    pub async fn discard(&self, directory: Option<&str>, files: &[String]) {
        if let Some(directory) = directory {
            self.discard_one(directory, true).await;
        }
        for file in files {
            self.discard_one(file, false).await;
        }
    }

    async fn discard_one(&self, name: &str, recursive: bool) {
        match self.files.locate(name) {
            Ok((fs, path)) => self.remove(&fs, &path, recursive).await,
            Err(error) => warn!("{name} of a checkpoint is left behind: {error}"),
        }
    }

    async fn remove(&self, fs: &Arc<dyn FileSystem>, path: &FsPath, recursive: bool) {
        let removing = async { Ok(fs.delete(path, recursive).await?) };
        match self.in_time(format!("remove {path}"), removing).await {
            Ok(there) => debug!("removed {path} of a checkpoint (it was there: {there})"),
            Err(error) => warn!("{path} of a checkpoint is left behind: {error}"),
        }
    }

    /// Finds a checkpoint or savepoint by its directory or its `_metadata`.
    ///
    /// # Errors
    /// There is none, or it is damaged, or not ours.
    pub async fn read(&self, name: &str) -> Result<Located, StorageError> {
        let (fs, path) = self.files.locate(name)?;
        let reading = async {
            let file = metadata_file(name, fs.as_ref(), &path).await?;
            let content = fs.read(&file).await?;
            let metadata = CheckpointMetadata::decode(&content)
                .map_err(|source| StorageError::Metadata { path: file.to_string(), source })?;
            let directory = file.parent().unwrap_or_else(|| file.clone()).to_string();
            Ok(Located { metadata: Arc::new(metadata), directory })
        };
        self.in_time(format!("read {path}"), reading).await
    }

    /// The greatest number that a directory below a job's own is named after; 0 if there is none.
    ///
    /// # Errors
    /// The directory is there, but cannot be listed.
    pub async fn newest_number(&self, job_directory: &str) -> Result<u64, StorageError> {
        let (fs, path) = self.files.locate(job_directory)?;
        let listing = async {
            match fs.list(&path).await {
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                listed => Ok(listed?),
            }
        };
        let entries = self.in_time(format!("list {path}"), listing).await?;
        let number = |name: &str| name.strip_prefix(CHECKPOINT_PREFIX)?.parse::<u64>().ok();
        Ok(entries.iter().filter_map(|entry| number(entry.path.name())).max().unwrap_or(0))
    }

    /// Removes a checkpoint or savepoint that a person does not need any more: its directory. Files that other checkpoints
    /// may refer to stay. Only what has readable metadata is removed: a wrong name must not cost anybody a directory.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be removed.
    pub async fn dispose(&self, name: &str) -> Result<(), StorageError> {
        let located = self.read(name).await?;
        let (fs, directory) = self.files.locate(&located.directory)?;
        let removing = async {
            // First this: half of a savepoint must not look like a whole one.
            fs.delete(&directory.join(METADATA_FILE), false).await?;
            fs.delete(&directory, true).await?;
            Ok(())
        };
        self.in_time(format!("remove {directory}"), removing).await
    }

    async fn in_time<T>(
        &self,
        doing: String,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(self.patience, work).await {
            Ok(done) => done,
            Err(_) => Err(StorageError::Timeout { doing, after: self.patience }),
        }
    }
}

/// The metadata's file for a name that is its own or its directory's.
async fn metadata_file(name: &str, fs: &dyn FileSystem, path: &FsPath) -> Result<FsPath, StorageError> {
    let not_found = || StorageError::NotFound { path: name.to_string(), scheme: fs.scheme().to_string() };
    let status = match fs.stat(path).await {
        Err(error) if error.is_not_found() => return Err(not_found()),
        status => status?,
    };
    if !status.is_directory {
        return Ok(path.clone());
    }
    let file = path.join(METADATA_FILE);
    if fs.exists(&file).await? { Ok(file) } else { Err(StorageError::NoMetadata { path: path.to_string() }) }
}

fn savepoint_name(job: JobId) -> Result<String, StorageError> {
    Ok(format!("savepoint-{}-{}", &job.to_string()[..6], random_digits()?))
}

/// Nobody else's name for metadata that is being written; a predecessor that lives on may write the same checkpoint's.
fn in_progress_name() -> Result<String, StorageError> {
    Ok(format!(".{METADATA_FILE}.{}", random_digits()?))
}

fn random_digits() -> Result<String, StorageError> {
    let mut random = [0_u8; 6];
    getrandom::fill(&mut random).map_err(|error| StorageError::Random(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::checkpoint::{MetadataError, SnapshotKind};
    use kvick_core::time::Millis;
    use kvick_filesystem::Context;
    use std::fs;
    use std::path::Path;

    fn storage() -> CheckpointStorage {
        CheckpointStorage::new(FileSystems::new(Context::default()))
    }

    fn metadata() -> CheckpointMetadata {
        CheckpointMetadata {
            job_id: JobId(7),
            checkpoint: 3,
            kind: SnapshotKind::Checkpoint,
            timestamp: Millis(5),
            engine_version: "0.0.0".into(),
            operators: Vec::new(),
        }
    }

    fn text(path: &Path) -> String {
        path.display().to_string()
    }

    #[tokio::test]
    async fn what_was_stored_is_found_by_directory_and_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let own = text(&dir.path().join("job/chk-3"));
        let external = storage().store(&metadata(), Some(&own)).await.unwrap().unwrap();
        assert_eq!(external, format!("file:{own}"));
        for name in [own.clone(), format!("{own}/_metadata"), format!("file://{own}")] {
            let located = storage().read(&name).await.unwrap();
            assert_eq!((located.metadata.as_ref(), &located.directory), (&metadata(), &external));
        }
    }

    #[tokio::test]
    async fn state_without_a_directory_is_not_written() {
        assert_eq!(storage().store(&metadata(), None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_earlier_checkpoint_of_the_same_name_is_neither_replaced_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("_metadata"), "theirs").unwrap();
        let error = storage().store(&metadata(), Some(&text(dir.path()))).await.unwrap_err().to_string();
        assert!(error.contains("exists already") && error.contains("_metadata"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("_metadata")).unwrap(), "theirs");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// Who looks on while metadata is written again and again never sees a part of it.
    #[tokio::test]
    async fn metadata_is_there_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("_metadata");
        let (seen, whole) = (file.clone(), metadata().encode().unwrap());
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let onlooker = std::thread::spawn(move || {
            let mut looks = 0_u64;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok(content) = fs::read(&seen) {
                    assert!(content == whole, "{} of {} bytes", content.len(), whole.len());
                    looks += 1;
                }
            }
            looks
        });
        for _ in 0..2000 {
            storage().store(&metadata(), Some(&text(dir.path()))).await.unwrap();
            fs::remove_file(&file).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(onlooker.join().unwrap() > 0);
    }

    #[tokio::test]
    async fn what_is_missing_or_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = text(&dir.path().join("nowhere"));
        let error = storage().read(&nowhere).await.unwrap_err().to_string();
        assert!(error.contains("Cannot find checkpoint or savepoint") && error.contains(&nowhere), "{error}");
        let error = storage().read(&text(dir.path())).await.unwrap_err().to_string();
        assert!(error.contains("Cannot find meta data file '_metadata'"), "{error}");
        let mut bytes = metadata().encode().unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(dir.path().join("_metadata"), bytes).unwrap();
        let error = storage().read(&text(dir.path())).await.unwrap_err();
        assert!(matches!(&error, StorageError::Metadata { source: MetadataError::Damaged, .. }), "{error}");
    }

    #[tokio::test]
    async fn numbers_that_directories_have_are_known_whatever_else_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let base = text(dir.path());
        assert_eq!(storage().newest_number(&base).await.unwrap(), 0);
        for name in ["chk-9", "chk-12", "chk-99x", "shared", "savepoint-000000-1"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(storage().newest_number(&base).await.unwrap(), 12);
        assert_eq!(storage().newest_number(&format!("{base}/nowhere")).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn savepoints_have_new_directories_named_after_their_job() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobId(0xb33d_0a53_da94_010e_874c_d0c9_90d7_bc0e);
        let base = text(dir.path());
        let first = storage().prepare_savepoint(job, &base).await.unwrap();
        let second = storage().prepare_savepoint(job, &base).await.unwrap();
        let name = first.strip_prefix(&format!("file:{base}/savepoint-b33d0a-")).unwrap();
        assert!(name.len() == 12 && first != second, "{first} {second}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = storage().prepare_savepoint(job, &text(&file)).await.unwrap_err().to_string();
        assert!(error.contains(&text(&file)), "{error}");
    }

    #[tokio::test]
    async fn only_a_savepoint_can_be_disposed_of() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("savepoint-1"), dir.path().join("photos"));
        fs::create_dir(&other).unwrap();
        storage().store(&metadata(), Some(&text(&own))).await.unwrap();
        fs::write(own.join("state"), "x").unwrap();
        storage().dispose(&text(&own.join("_metadata"))).await.unwrap();
        assert!(!own.exists());
        assert!(storage().dispose(&text(&other)).await.is_err());
        assert!(other.exists());
    }

    #[tokio::test]
    async fn a_discarded_checkpoint_is_gone_and_a_missing_one_is_no_matter() {
        let dir = tempfile::tempdir().unwrap();
        let (own, shared) = (dir.path().join("chk-1"), dir.path().join("shared-1"));
        fs::create_dir(&own).unwrap();
        fs::write(own.join("state"), "x").unwrap();
        fs::write(&shared, "x").unwrap();
        let files = [text(&shared), text(&dir.path().join("never"))];
        storage().discard(Some(&text(&own)), &files).await;
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
