//! Makes the checkpoints of an embedded job durable, in a thread of its own, one after the other.

use super::Event;
use crate::task::JobInfo;
use kvick_core::checkpoint::metadata::METADATA_FILE;
use kvick_core::checkpoint::{CheckpointEffect, CheckpointMetadata, RestoreSource, RestoreWish};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_filesystem::blocking::FileSystems;
use kvick_filesystem::{CreateOptions, FsError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What the thread answers.
pub(super) enum StorageAnswer {
    /// A savepoint's directory, by token.
    Prepared(u64, Result<String, String>),
    /// A checkpoint is durable, or is not.
    Stored(u64, Result<Option<String>, String>),
}

/// The thread that performs the coordinator's effects.
pub(super) struct Storage {
    effects: Option<Sender<CheckpointEffect>>,
    thread: Option<JoinHandle<()>>,
}

impl Storage {
    pub fn start(job: &JobInfo, events: Sender<Event>) -> Storage {
        let (effects, queue) = channel();
        let performer = Performer { files: Arc::clone(&job.files), job: job.job_id, events };
        let thread = std::thread::Builder::new().name("checkpoint-store".to_string());
        let thread = thread.spawn(move || performer.run(&queue));
        if let Err(error) = &thread {
            crate::log::warn(&format!("cannot start a thread: {error}; checkpoints will expire"));
        }
        Storage { effects: Some(effects), thread: thread.ok() }
    }

    pub fn perform(&self, effect: CheckpointEffect) {
        if let Some(effects) = &self.effects {
            // Without the thread the checkpoint expires, and says so.
            let _ = effects.send(effect);
        }
    }

    /// Waits until all was performed.
    pub fn finish(&mut self) {
        self.effects = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and there is nothing to learn from its result.
            let _ = thread.join();
        }
    }
}

struct Performer {
    files: Arc<FileSystems>,
    job: JobId,
    events: Sender<Event>,
}

impl Performer {
    fn run(self, effects: &Receiver<CheckpointEffect>) {
        for effect in effects {
            match effect {
                CheckpointEffect::PrepareSavepoint { token, base } => {
                    let outcome = self.prepare(&base).map_err(|error| error.to_string());
                    self.answer(StorageAnswer::Prepared(token, outcome));
                }
                CheckpointEffect::Store { checkpoint, metadata, directory, .. } => {
                    let stored = directory.map(|directory| self.store(&directory, &metadata)).transpose();
                    self.answer(StorageAnswer::Stored(checkpoint, stored));
                }
                CheckpointEffect::Damaged { checkpoint, external_path, fallback } => {
                    let other = fallback.map_or_else(
                        || "there is no earlier one".to_string(),
                        |(id, path)| format!("the job falls back to checkpoint {id} in {path}"),
                    );
                    crate::log::error(&format!(
                        "checkpoint {checkpoint} in {external_path} is damaged: {other}"
                    ));
                }
                CheckpointEffect::Discard { directory, files, .. } => {
                    files.iter().for_each(|file| self.remove(file, false));
                    directory.iter().for_each(|directory| self.remove(directory, true));
                }
                // Answers are given by the loop itself.
                CheckpointEffect::Answer { .. } => {}
            }
        }
    }

    fn answer(&self, answer: StorageAnswer) {
        // A job that has ended does not wait for it.
        let _ = self.events.send(Event::Storage(answer));
    }

    fn prepare(&self, base: &str) -> Result<String, FsError> {
        let (system, base) = self.files.locate(base)?;
        let random = crate::hash::stable_hash(&(super::now().0, std::process::id(), base.to_string()));
        let name = format!("savepoint-{}-{:012x}", &self.job.to_string()[..6], random & 0xffff_ffff_ffff);
        let directory = base.join(&name);
        system.mkdirs(&directory, 0o755)?;
        Ok(directory.to_string())
    }

    /// Writes the metadata; what fails leaves nothing that could be found.
    fn store(&self, directory: &str, metadata: &CheckpointMetadata) -> Result<String, String> {
        let bytes = metadata.encode().map_err(|error| error.to_string())?;
        let (system, directory) = self.files.locate(directory).map_err(|error| error.to_string())?;
        let (path, part) = (directory.join(METADATA_FILE), directory.join("_metadata.part"));
        let written = system
            .write(&part, &bytes, &CreateOptions::overwriting())
            .and_then(|()| system.rename(&part, &path, true));
        if let Err(error) = written {
            let _ = system.delete(&part, false);
            return Err(error.to_string());
        }
        Ok(directory.to_string())
    }

    fn remove(&self, path: &str, recursive: bool) {
        let removed = self.files.locate(path).and_then(|(system, path)| system.delete(&path, recursive));
        if let Err(error) = removed {
            crate::log::warn(&format!("a checkpoint's files stay behind: {error}"));
        }
    }
}

/// The checkpoint or savepoint that the configuration says the job starts from.
pub(super) fn restore_source(job: &JobInfo) -> Result<Option<RestoreSource>, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| crate::error::failure_of(error);
    let Some(wish) = RestoreWish::from_config(&job.config).map_err(|e| failed(&e))? else { return Ok(None) };
    let RestoreWish { path, claim, allow_non_restored } = wish;
    let (metadata, directory) = read_metadata(&job.files, &path).map_err(|failure| {
        let text = format!("cannot start from the checkpoint or savepoint {path}");
        failure.wrapped(FailureKind::Error, text)
    })?;
    Ok(Some(RestoreSource { metadata: Arc::new(metadata), directory, claim, allow_non_restored }))
}

/// Reads the metadata that lies in a directory, or that is named itself; tells the directory, too.
fn read_metadata(files: &FileSystems, path: &str) -> Result<(CheckpointMetadata, String), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| crate::error::failure_of(error);
    let directory = path.trim_end_matches('/');
    let directory = directory.strip_suffix(&format!("/{METADATA_FILE}")).unwrap_or(directory);
    let (system, resolved) = files.locate(directory).map_err(|error| failed(&error))?;
    let bytes = system.read(&resolved.join(METADATA_FILE)).map_err(|error| failed(&error))?;
    let metadata = CheckpointMetadata::decode(&bytes).map_err(|error| failed(&error))?;
    Ok((metadata, resolved.to_string()))
}
