//! Makes the checkpoints of an embedded job durable as an application master does, beside the job's own loop.

use super::Event;
use crate::task::JobInfo;
use kvick_core::checkpoint::{CheckpointEffect, RestoreSource, RestoreWish};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_filesystem::FileSystems;
use kvick_storage::{CheckpointStorage, Outcome, Performer};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How long the end of a job waits for its last checkpoints to be stored and removed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Performs the coordinator's effects.
pub(super) struct Storage {
    job: JobId,
    performer: Option<Performer>,
}

fn checkpoints(job: &JobInfo) -> impl FnOnce() -> CheckpointStorage + Send + use<> {
    let context = job.files.context().clone();
    move || CheckpointStorage::new(FileSystems::new(context))
}

impl Storage {
    pub fn start(job: &JobInfo, events: Sender<Event>) -> Storage {
        let tell = move |outcome: Outcome| {
            // A job that has ended does not wait for it.
            let _ = events.send(Event::Storage(outcome));
        };
        let performer = Performer::start(checkpoints(job), tell);
        if let Err(error) = &performer {
            crate::log::warn(&format!("{error}; checkpoints will expire"));
        }
        Storage { job: job.job_id, performer: performer.ok() }
    }

    pub fn perform(&self, effect: CheckpointEffect) {
        if let CheckpointEffect::Damaged { checkpoint, external_path, fallback } = &effect {
            let other = fallback.as_ref().map_or_else(
                || "there is no earlier one".to_string(),
                |(id, path)| format!("the job falls back to checkpoint {id} in {path}"),
            );
            crate::log::error(&format!("checkpoint {checkpoint} in {external_path} is damaged: {other}"));
        }
        if let Some(performer) = &self.performer {
            performer.perform(self.job, effect);
        }
    }

    /// Waits until all was performed.
    pub fn finish(&mut self) {
        if let Some(performer) = self.performer.take()
            && !performer.drain_blocking(PATIENCE)
        {
            crate::log::warn("files of checkpoints may stay behind: the file system does not answer");
        }
    }
}

/// The checkpoint or savepoint that the configuration says the job starts from.
pub(super) fn restore_source(job: &JobInfo) -> Result<Option<RestoreSource>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| crate::error::failure_of(error);
    let Some(wish) = RestoreWish::from_config(&job.config).map_err(|e| failed(&e))? else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let storage = checkpoints(job)();
    runtime.block_on(storage.restore_source(&job.config)).map_err(|error| {
        let text = format!("cannot start from the checkpoint or savepoint {}", wish.path);
        failed(&error).wrapped(FailureKind::Error, text)
    })
}
