//! What jobs have left that had not ended when their application did: from where a person can go on with each.

use kvick_core::checkpoint::metadata::METADATA_FILE;
use kvick_core::ha::{Contents, StoredCheckpoint, StoredJob};
use kvick_core::ids::JobId;
use kvick_core::job::ProgramSpec;
use kvick_filesystem::FileSystems;

/// A job that was accepted and had not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Survivor {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Its program, and with what that was started.
    pub program: ProgramSpec,
    /// From where it can go on.
    pub from: RestartFrom,
}

/// From where a job can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartFrom {
    /// From its newest completed checkpoint that is still there, or from a savepoint that was newer.
    Checkpoint {
        /// Its number.
        id: u64,
        /// What a person names to restore from it.
        path: String,
    },
    /// From what it was started from: it has completed no checkpoint.
    Source {
        /// What a person names to restore from it.
        path: String,
    },
    /// Its checkpoints have no directory: they are among the records, and nobody can name them.
    RecordsOnly,
    /// From nothing.
    Beginning,
}

/// The jobs that had not ended, by id.
pub async fn survivors(contents: &Contents, files: &FileSystems) -> Vec<Survivor> {
    let mut all = Vec::new();
    for (id, job) in &contents.jobs {
        let from = match newest_that_exists(contents, *id, files).await {
            Some(from) => from,
            None => source_of(job, files).await,
        };
        all.push(Survivor {
            job: *id,
            name: job.submission.graph.name.clone(),
            program: job.submission.program.clone(),
            from,
        });
    }
    all
}

async fn newest_that_exists(contents: &Contents, job: JobId, files: &FileSystems) -> Option<RestartFrom> {
    let kept = |pointer: &&StoredCheckpoint| pointer.going.is_none();
    for pointer in contents.checkpoints.get(&job)?.values().rev().filter(kept) {
        match &pointer.directory {
            None => return Some(RestartFrom::RecordsOnly),
            Some(directory) if is_there(files, directory).await => {
                let path = pointer.external_path.clone();
                return Some(RestartFrom::Checkpoint { id: pointer.checkpoint, path });
            }
            Some(_) => {}
        }
    }
    None
}

async fn source_of(job: &StoredJob, files: &FileSystems) -> RestartFrom {
    match &job.source {
        Some(source) if is_there(files, &source.directory).await => {
            RestartFrom::Source { path: source.directory.clone() }
        }
        _ => RestartFrom::Beginning,
    }
}

/// Whether the metadata of a checkpoint is there; one whose file system does not answer is not called lost.
async fn is_there(files: &FileSystems, directory: &str) -> bool {
    match files.locate(&format!("{}/{METADATA_FILE}", directory.trim_end_matches('/'))) {
        Ok((fs, path)) => fs.exists(&path).await.unwrap_or(true),
        Err(_) => false,
    }
}
