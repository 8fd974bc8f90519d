//! Checkpoints as this application keeps them: who performs what the coordinators decide, and from what a job starts.

use crate::filesystems;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::settings::Settings;
use kvick_core::checkpoint::{CheckpointEffect, CheckpointFailure, RestoreSource};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_core::job::JobSubmission;
use kvick_storage::{CheckpointStorage, Outcome, Performer, StorageError};
use tracing::{debug, error, info, warn};

/// Starts the thread that performs the effects of coordinators; what became of them reaches the driver as inputs.
///
/// # Errors
/// The system gives no thread.
pub fn performer(handle: &ClusterHandle) -> Result<Performer, StorageError> {
    let (settings, handle) = (handle.settings.clone(), handle.clone());
    let storage = move || CheckpointStorage::new(filesystems::connect(&settings));
    Performer::start(storage, move |outcome| handle.send(Input::Checkpoint(outcome)))
}

/// The checkpoint or savepoint that a job is to start from, as its configuration names it; what the program itself set is
/// stronger than what the client did.
///
/// # Errors
/// There is none of that name, or it cannot be read.
pub async fn restore_source(
    settings: &Settings,
    submission: &JobSubmission,
) -> Result<Option<RestoreSource>, StorageError> {
    let mut config = submission.config.clone();
    config.overlay(&submission.graph.config);
    let source = CheckpointStorage::new(filesystems::connect(settings)).restore_source(&config).await?;
    if let Some(source) = &source {
        let (job, id) = (submission.job_id, source.metadata.checkpoint);
        info!(%job, "starting from checkpoint {id} in {} ({:?})", source.directory, source.claim);
    }
    Ok(source)
}

/// A failure of a checkpoint as an operation tells it.
pub fn as_failure(failure: CheckpointFailure) -> Failure {
    let own = Failure::new(FailureKind::Error, failure.reason.message());
    Failure { cause: failure.cause.map(Box::new), ..own }
}

/// Writes what is decided about checkpoints into the log.
pub fn log_effect(job: JobId, effect: &CheckpointEffect) {
    match effect {
        CheckpointEffect::PrepareSavepoint { base, .. } => {
            info!(%job, "a savepoint is to be taken below {base}")
        }
        CheckpointEffect::Store { checkpoint, directory, metadata, .. } => {
            let place = directory.as_deref().unwrap_or("memory");
            debug!(%job, "storing checkpoint {checkpoint} ({} bytes) in {place}", metadata.state_bytes());
        }
        CheckpointEffect::Discard { checkpoint: Some(id), directory: Some(directory), .. } => {
            debug!(%job, "discarding checkpoint {id} in {directory}");
        }
        CheckpointEffect::Damaged { checkpoint, external_path, fallback: Some((before, path)) } => error!(
            %job,
            "checkpoint {checkpoint} in {external_path} is damaged: the job falls back to checkpoint {before} in {path}; what \
             sinks have committed since then may be written again. The damaged one is left where it is"
        ),
        CheckpointEffect::Damaged { checkpoint, external_path, fallback: None } => {
            error!(%job, "checkpoint {checkpoint} in {external_path} is damaged, and there is no earlier one");
        }
        _ => {}
    }
}

/// Writes what became of an effect into the log.
pub fn log_outcome(outcome: &Outcome) {
    match outcome {
        Outcome::Stored { job, checkpoint, outcome: Ok(path) } => {
            let place = path.as_deref().unwrap_or("memory");
            info!(%job, "completed checkpoint {checkpoint} in {place}");
        }
        Outcome::Stored { job, checkpoint, outcome: Err(why) } => {
            warn!(%job, "checkpoint {checkpoint} could not be stored: {why}");
        }
        Outcome::Prepared { job, outcome: Err(why), .. } => {
            warn!(%job, "there is no directory for a savepoint: {why}");
        }
        Outcome::Prepared { .. } => {}
    }
}
