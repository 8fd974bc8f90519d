//! How a running embedded job is reached from elsewhere: to be cancelled, to take savepoints, and to be looked at.

use super::Event;
use crate::task::lock;
use kvick_core::accumulator::Accumulators;
use kvick_core::checkpoint::{CheckpointFailure, CheckpointFailureReason, SnapshotDone, SnapshotRequest};
use kvick_core::job::JobState;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// What is asked of a running job.
pub(super) enum Asked {
    Cancel,
    Snapshot(SnapshotRequest, super::Answer),
    View(Sender<JobView>),
}

/// A job at one moment.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Where it is in its life.
    pub state: JobState,
    /// What its subtasks have counted so far.
    pub accumulators: Accumulators,
}

#[derive(Default)]
struct Shared {
    listener: Option<Sender<Event>>,
    /// The job was cancelled before it began.
    canceled: bool,
}

/// Reaches an embedded job, also before it has begun.
#[derive(Clone, Default)]
pub struct EmbeddedControl(Arc<Mutex<Shared>>);

impl EmbeddedControl {
    /// Asks the job to stop.
    pub fn cancel(&self) {
        let mut shared = lock(&self.0);
        shared.canceled = true;
        if let Some(listener) = &shared.listener {
            // A job that has ended needs no cancelling.
            let _ = listener.send(Event::Asked(Asked::Cancel));
        }
    }

    /// Takes a checkpoint or savepoint and waits for it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn snapshot(&self, request: SnapshotRequest) -> Result<SnapshotDone, CheckpointFailure> {
        let (answer, outcome) = channel();
        let ended = || CheckpointFailure::from(CheckpointFailureReason::CoordinatorShutdown);
        let listener = lock(&self.0).listener.clone();
        let Some(listener) = listener else {
            return Err(CheckpointFailureReason::NotAllTasksRunning.into());
        };
        listener.send(Event::Asked(Asked::Snapshot(request, answer))).map_err(|_| ended())?;
        drop(listener);
        outcome.recv().unwrap_or_else(|_| Err(ended()))
    }

    /// The job at this moment; `None` before it has begun and once it has ended.
    pub fn view(&self) -> Option<JobView> {
        let listener = lock(&self.0).listener.clone()?;
        let (answer, view) = channel();
        listener.send(Event::Asked(Asked::View(answer))).ok()?;
        drop(listener);
        view.recv().ok()
    }

    /// From now on the job hears what is asked.
    pub(super) fn listen(&self, events: Sender<Event>) {
        let mut shared = lock(&self.0);
        if shared.canceled {
            let _ = events.send(Event::Asked(Asked::Cancel));
        }
        shared.listener = Some(events);
    }

    /// The job has ended.
    pub(super) fn hang_up(&self) {
        lock(&self.0).listener = None;
    }
}
