//! The effects of checkpoint coordinators, performed beside whoever drives them.
//!
//! One thread with a runtime of its own: slow files hold up nobody else. The effects of one job are performed in order, those
//! of different jobs at once; each that wants an answer gets exactly one.

use crate::error::StorageError;
use crate::storage::CheckpointStorage;
use kvick_core::checkpoint::CheckpointEffect;
use kvick_core::ids::JobId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The directory of a savepoint was made, or could not be.
    Prepared {
        /// The job.
        job: JobId,
        /// From the effect.
        token: u64,
        /// The directory, or why there is none.
        outcome: Result<String, String>,
    },
    /// A checkpoint was made durable, or could not be.
    Stored {
        /// The job.
        job: JobId,
        /// Which.
        checkpoint: u64,
        /// What a person would restore from, or why it is not there.
        outcome: Result<Option<String>, String>,
    },
}

/// Hears what became of effects.
type Tell = Arc<dyn Fn(Outcome) + Send + Sync>;

enum Order {
    Perform(JobId, CheckpointEffect),
    Forget(JobId),
    Drain(oneshot::Sender<()>),
}

enum Work {
    Effect(CheckpointEffect),
    Mark(oneshot::Sender<()>),
}

/// The thread that performs effects. Dropping it ends the thread once all is done that it was given.
pub struct Performer {
    orders: mpsc::UnboundedSender<Order>,
}

impl Performer {
    /// Starts the thread. `storage` is made there; `tell` is called from there.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        storage: impl FnOnce() -> CheckpointStorage + Send + 'static,
        tell: impl Fn(Outcome) + Send + Sync + 'static,
    ) -> Result<Performer, StorageError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StorageError::Thread)?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let serve = move || runtime.block_on(serve(Arc::new(storage()), Arc::new(tell), inbox));
        let thread = std::thread::Builder::new().name("checkpoint-files".to_string());
        thread.spawn(serve).map_err(StorageError::Thread)?;
        Ok(Performer { orders })
    }

    /// Performs an effect. Answers to people are not for file systems: they are ignored here.
    pub fn perform(&self, job: JobId, effect: CheckpointEffect) {
        self.order(Order::Perform(job, effect));
    }

    /// The job is not heard of again.
    pub fn forget(&self, job: JobId) {
        self.order(Order::Forget(job));
    }

    /// Waits until all is done that was given before, but not longer than this. Says whether it is.
    pub async fn drain(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.drained()).await.is_ok_and(|done| done.is_ok())
    }

    /// The same for a thread without a runtime.
    pub fn drain_blocking(&self, patience: Duration) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.is_ok_and(|runtime| runtime.block_on(self.drain(patience)))
    }

    /// Says, once all is done that was given before, whether it is.
    pub fn done(&self) -> impl Future<Output = bool> + Send + use<> {
        let drained = self.drained();
        async { drained.await.is_ok() }
    }

    fn drained(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.order(Order::Drain(sender));
        receiver
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            warn!("the thread for the files of checkpoints is gone");
        }
    }
}

async fn serve(storage: Arc<CheckpointStorage>, tell: Tell, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let mut jobs: BTreeMap<JobId, mpsc::UnboundedSender<Work>> = BTreeMap::new();
    let mut workers = tokio::task::JoinSet::new();
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Perform(job, effect) => {
                let queue = jobs.entry(job).or_insert_with(|| {
                    let (queue, work) = mpsc::unbounded_channel();
                    workers.spawn(serve_job(storage.clone(), tell.clone(), job, work));
                    queue
                });
                // The worker lives as long as its queue.
                let _ = queue.send(Work::Effect(effect));
            }
            Order::Forget(job) => drop(jobs.remove(&job)),
            Order::Drain(done) => {
                let marks: Vec<_> = jobs.values().map(mark).collect();
                tokio::spawn(async move {
                    for mark in marks {
                        // A worker that is gone has nothing left to do.
                        let _ = mark.await;
                    }
                    let _ = done.send(());
                });
            }
        }
    }
    jobs.clear();
    while workers.join_next().await.is_some() {}
}

fn mark(queue: &mpsc::UnboundedSender<Work>) -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    let _ = queue.send(Work::Mark(sender));
    receiver
}

async fn serve_job(
    storage: Arc<CheckpointStorage>,
    tell: Tell,
    job: JobId,
    mut work: mpsc::UnboundedReceiver<Work>,
) {
    while let Some(work) = work.recv().await {
        match work {
            Work::Effect(effect) => {
                if let Some(outcome) = perform(&storage, job, effect).await {
                    tell(outcome);
                }
            }
            Work::Mark(done) => drop(done.send(())),
        }
    }
}

async fn perform(storage: &CheckpointStorage, job: JobId, effect: CheckpointEffect) -> Option<Outcome> {
    match effect {
        CheckpointEffect::PrepareSavepoint { token, base } => {
            let outcome = storage.prepare_savepoint(job, &base).await.map_err(|error| error.to_string());
            Some(Outcome::Prepared { job, token, outcome })
        }
        CheckpointEffect::Store { checkpoint, metadata, directory, .. } => {
            let stored = storage.store(&metadata, directory.as_deref()).await;
            let outcome = stored.map_err(|error| error.to_string());
            Some(Outcome::Stored { job, checkpoint, outcome })
        }
        CheckpointEffect::Discard { directory, files, .. } => {
            storage.discard(directory.as_deref(), &files).await;
            None
        }
        CheckpointEffect::Answer { .. } | CheckpointEffect::Damaged { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::checkpoint::{CheckpointMetadata, SnapshotKind};
    use kvick_core::time::Millis;
    use kvick_filesystem::{Context, FileSystems};
    use std::sync::mpsc::{Receiver, channel};

    fn performer() -> (Performer, Receiver<Outcome>) {
        let (sender, outcomes) = channel();
        let storage = || CheckpointStorage::new(FileSystems::new(Context::default()));
        (Performer::start(storage, move |outcome| sender.send(outcome).unwrap()).unwrap(), outcomes)
    }

    fn store(directory: String) -> CheckpointEffect {
        let metadata = CheckpointMetadata {
            job_id: JobId(1),
            checkpoint: 4,
            kind: SnapshotKind::Checkpoint,
            timestamp: Millis(0),
            engine_version: String::new(),
            operators: Vec::new(),
        };
        CheckpointEffect::Store {
            checkpoint: 4,
            metadata: metadata.into(),
            directory: Some(directory),
            restore_point: true,
        }
    }

    #[test]
    fn effects_of_a_job_are_performed_in_order_and_all_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("chk-4").display().to_string();
        let (performer, outcomes) = performer();
        performer.perform(JobId(1), store(own.clone()));
        let effect = CheckpointEffect::Discard {
            checkpoint: Some(4),
            directory: Some(own.clone()),
            files: Vec::new(),
        };
        performer.perform(JobId(1), effect);
        assert!(performer.drain_blocking(Duration::from_secs(20)));
        let external = Some(format!("file:{own}"));
        let stored = Outcome::Stored { job: JobId(1), checkpoint: 4, outcome: Ok(external) };
        assert_eq!(outcomes.try_recv().unwrap(), stored);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_stored_is_answered_with_the_reason() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("chk-4").display().to_string();
        let (performer, outcomes) = performer();
        performer.perform(JobId(1), store(below.clone()));
        let Ok(Outcome::Stored { outcome: Err(why), .. }) = outcomes.recv_timeout(Duration::from_secs(20))
        else {
            panic!("stored below a file")
        };
        assert!(why.contains(&below), "{why}");
    }
}
