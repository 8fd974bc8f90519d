//! What is left of the checkpoints of jobs that are taken over: read from where their pointers say, however long the file
//! system is away.

use crate::takeover::patience::patiently;
use futures::{StreamExt, TryStreamExt, stream};
use kvick_core::checkpoint::{CompletedCheckpoint, KeptCheckpoints, RestoreSource};
use kvick_core::ha::{StoredCheckpoint, StoredJob, StoredSource};
use kvick_core::ids::JobId;
use kvick_core::job::JobSubmission;
use kvick_core::jobmaster::JobSettings;
use kvick_core::master::RecoveredJob;
use kvick_storage::{CheckpointStorage, StorageError};
use std::collections::BTreeMap;
use tracing::warn;

/// How many jobs' checkpoints are read at once: task executors give up an application master that reads for too long.
const AT_ONCE: usize = 16;

/// A job that is taken over, as far as it is known before anything is read.
pub struct Left {
    /// Its record.
    pub job: StoredJob,
    /// The pointers to its completed checkpoints.
    pub pointers: BTreeMap<u64, StoredCheckpoint>,
    /// How often it was started again.
    pub restarts: u32,
    /// The greatest number of a checkpoint that any record names, whatever became of it.
    pub newest: u64,
}

/// Reads what is left of all jobs' checkpoints.
///
/// # Errors
/// A file system that is still away when patience is over: nobody knows what it has, so nothing may be concluded.
pub async fn read_all(
    storage: &CheckpointStorage,
    jobs: Vec<Left>,
) -> Result<Vec<RecoveredJob>, StorageError> {
    stream::iter(jobs).map(|left| recovered(storage, left)).buffered(AT_ONCE).try_collect().await
}

async fn recovered(storage: &CheckpointStorage, left: Left) -> Result<RecoveredJob, StorageError> {
    let Left { job: StoredJob { submission, submitted, source }, pointers, restarts, newest } = left;
    let mut checkpoints = read_pointers(storage, submission.job_id, pointers).await?;
    let source = match source {
        None => None,
        Some(stored) => match read_source(storage, stored).await? {
            Ok(source) => Some(source),
            Err(why) => {
                checkpoints.lost.get_or_insert(why);
                None
            }
        },
    };
    if source.is_some() || !checkpoints.completed.is_empty() {
        checkpoints.lost = None;
    }
    checkpoints.next_id = newest.max(newest_directory(storage, &submission).await?) + 1;
    Ok(RecoveredJob { submission, submitted, source, checkpoints, restarts })
}

async fn read_pointers(
    storage: &CheckpointStorage,
    job: JobId,
    pointers: BTreeMap<u64, StoredCheckpoint>,
) -> Result<KeptCheckpoints, StorageError> {
    let mut kept = KeptCheckpoints::default();
    for (id, pointer) in pointers {
        match completed(storage, &pointer).await? {
            Ok(checkpoint) => kept.completed.push(checkpoint),
            Err(why) => {
                warn!(%job, "checkpoint {id} is passed over, and left where it is: {why}");
                kept.unreadable.insert(id);
                kept.lost = Some(why);
            }
        }
    }
    Ok(kept)
}

/// A checkpoint, or why it can never be read.
type Read<T> = Result<Result<T, String>, StorageError>;

async fn completed(storage: &CheckpointStorage, pointer: &StoredCheckpoint) -> Read<CompletedCheckpoint> {
    if let Some(metadata) = &pointer.metadata {
        return Ok(Ok(pointer.completed(metadata.clone())));
    }
    let directory = pointer.directory.as_deref().unwrap_or(&pointer.external_path);
    let located = patiently(|| storage.read(directory)).await?;
    Ok(located.map(|located| pointer.completed((*located.metadata).clone())))
}

async fn read_source(storage: &CheckpointStorage, stored: StoredSource) -> Read<RestoreSource> {
    let located = patiently(|| storage.read(&stored.directory)).await?;
    Ok(located.map(|located| RestoreSource {
        metadata: located.metadata,
        directory: located.directory,
        claim: stored.claim,
        allow_non_restored: stored.allow_non_restored,
    }))
}

/// The greatest number that a directory of the job's checkpoints has. One may be there of which no record tells: its attempt
/// died before it could be recorded, and its number must not come again.
async fn newest_directory(
    storage: &CheckpointStorage,
    submission: &JobSubmission,
) -> Result<u64, StorageError> {
    // A job whose configuration is not valid is refused by whoever takes it over.
    let settings = JobSettings::from_config(&submission.graph.config, &submission.config).ok();
    let directory = settings.and_then(|settings| settings.checkpoints.job_directory(submission.job_id));
    let Some(directory) = directory else { return Ok(0) };
    let newest = patiently(|| storage.newest_number(&directory)).await?;
    Ok(newest.unwrap_or_else(|why| {
        warn!(job = %submission.job_id, "it is not known which numbers of checkpoints are taken: {why}");
        0
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::checkpoint::{CheckpointMetadata, SnapshotKind};
    use kvick_core::config::Configuration;
    use kvick_core::graph::JobGraph;
    use kvick_core::job::{Artifact, ProgramSpec};
    use kvick_core::time::Millis;
    use kvick_filesystem::{Context, FileSystems};
    use std::path::Path;

    const JOB: JobId = JobId(7);

    fn storage() -> CheckpointStorage {
        CheckpointStorage::new(FileSystems::new(Context::default()))
    }

    fn job(dir: &Path) -> StoredJob {
        let mut config = Configuration::default();
        config.set("execution.checkpointing.dir", dir.display().to_string());
        let jar =
            Artifact { name: "job.jar".into(), uri: "file:/job.jar".into(), sha256: "0".repeat(64), size: 1 };
        let submission = JobSubmission {
            job_id: JOB,
            ordinal: 0,
            program: ProgramSpec { jar, entry: None, args: Vec::new() },
            graph: JobGraph::default(),
            config,
            once: BTreeMap::new(),
            earlier: Vec::new(),
        };
        StoredJob { submission, submitted: Millis(0), source: None }
    }

    async fn stored(dir: &Path, id: u64) -> StoredCheckpoint {
        let metadata = CheckpointMetadata {
            job_id: JOB,
            checkpoint: id,
            kind: SnapshotKind::Checkpoint,
            timestamp: Millis(0),
            engine_version: String::new(),
            operators: Vec::new(),
        };
        let directory = Some(dir.join(format!("{JOB}/chk-{id}")).display().to_string());
        storage().store(&metadata, directory.as_deref()).await.unwrap();
        let external_path = directory.clone().unwrap();
        let (owned, referable) = (true, true);
        let (metadata, going) = (None, None);
        StoredCheckpoint {
            job_id: JOB,
            checkpoint: id,
            directory,
            external_path,
            owned,
            referable,
            metadata,
            going,
        }
    }

    async fn read(dir: &Path, pointers: Vec<StoredCheckpoint>, newest: u64) -> KeptCheckpoints {
        let pointers = pointers.into_iter().map(|pointer| (pointer.checkpoint, pointer)).collect();
        let left = Left { job: job(dir), pointers, restarts: 0, newest };
        read_all(&storage(), vec![left]).await.unwrap().remove(0).checkpoints
    }

    fn damage(pointer: &StoredCheckpoint) {
        let file = Path::new(&pointer.external_path).join("_metadata");
        std::fs::write(file, "not what was written").unwrap();
    }

    #[tokio::test]
    async fn a_damaged_checkpoint_is_named_and_the_one_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (before, newest) = (stored(dir.path(), 3).await, stored(dir.path(), 4).await);
        damage(&newest);
        let kept = read(dir.path(), vec![before, newest], 4).await;
        assert_eq!(kept.completed.iter().map(CompletedCheckpoint::id).collect::<Vec<_>>(), [3]);
        assert_eq!((kept.unreadable.into_iter().collect::<Vec<_>>(), kept.lost), (vec![4], None));
    }

    #[tokio::test]
    async fn where_nothing_can_be_read_it_is_said_why() {
        let dir = tempfile::tempdir().unwrap();
        let only = stored(dir.path(), 4).await;
        damage(&only);
        let kept = read(dir.path(), vec![only], 4).await;
        let why = kept.lost.unwrap();
        assert!(why.contains("chk-4"), "{why}");
    }

    #[tokio::test]
    async fn the_number_of_a_checkpoint_that_no_record_names_does_not_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let recorded = stored(dir.path(), 3).await;
        stored(dir.path(), 4).await;
        assert_eq!(read(dir.path(), vec![recorded.clone()], 3).await.next_id, 5);
        assert_eq!(read(dir.path(), vec![recorded], 8).await.next_id, 9, "its files may still be going");
    }
}
