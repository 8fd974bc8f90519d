//! The world's part in checkpoints: a store that is slow or fails, and people who ask for savepoints. What tasks do is
//! [`crate::snapshots`].

use crate::outage::PATIENCE;
use crate::world::{Happening, World};
use kvick_core::checkpoint::{
    CheckpointCommand, CheckpointEffect, CheckpointReport, CompletedCheckpoint, SavepointFormat,
    SnapshotKind, SnapshotRequest, TriggerCheckpoint,
};
use kvick_core::executor::FromExecutor;
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::job::JobState;

/// A task in the world: which executor, which worker there, which attempt.
pub type Place = (ExecutorId, JobId, u64, ExecutionId);

/// Happenings about checkpoints.
#[derive(Debug)]
pub enum Event {
    /// A person asks for something.
    Ask(JobId, u64, SnapshotRequest),
    /// A person wants another parallelism.
    Rescale(JobId, u64, u32),
    /// A barrier has come through at a task.
    Barrier(Place, Box<TriggerCheckpoint>),
    /// A report arrives.
    Report(ExecutorId, JobId, Box<CheckpointReport>),
    /// A task hears what became of a checkpoint.
    Told(Place, CheckpointCommand),
    /// The directory of a savepoint was made or not.
    Prepared(JobId, u64, Result<String, String>),
    /// A checkpoint was stored or not.
    Stored(JobId, u64, Result<Option<String>, String>),
}

/// Callers from this one on want another parallelism.
const RESCALING: u64 = 100;

impl World {
    /// People who will ask for something about a job.
    pub(crate) fn plan_requests(&mut self, job: JobId) {
        for caller in 0..self.random.between(0, 3) {
            let at = self.random.between(0, 60_000);
            let request = self.random_request();
            self.at(at, Happening::Checkpoint(Event::Ask(job, caller, request)));
        }
        for caller in RESCALING..RESCALING + self.random.between(0, 2) {
            let (at, parallelism) = (self.random.between(0, 60_000), self.random.between(1, 6) as u32);
            self.at(at, Happening::Checkpoint(Event::Rescale(job, caller, parallelism)));
        }
    }

    fn random_request(&mut self) -> SnapshotRequest {
        let format = SavepointFormat::Canonical;
        let target = self.random.chance(90).then(|| "mem:///savepoints".to_string());
        match self.random.between(0, 9) {
            0..=3 => SnapshotRequest::Checkpoint { full: self.random.chance(50) },
            4..=6 => SnapshotRequest::Savepoint { target, format, cancel_job: false },
            7 => SnapshotRequest::Savepoint { target, format, cancel_job: true },
            _ => SnapshotRequest::Stop { target, format, drain: self.random.chance(50) },
        }
    }

    pub(crate) fn checkpoint_event(&mut self, event: Event) {
        match event {
            Event::Ask(job, caller, request) => self.ask(job, caller, request),
            Event::Rescale(job, caller, parallelism) => self.rescale(job, caller, parallelism),
            Event::Barrier(place, order) => self.barrier(&place, &order),
            Event::Report(executor, job, report) => {
                self.say(&executor, FromExecutor::Checkpoint { job_id: job, report: *report });
            }
            Event::Told(place, command) => self.told(&place, &command),
            Event::Prepared(job, token, outcome) => {
                self.decide(|m, now, fx| m.savepoint_prepared(now, job, token, outcome, fx));
            }
            Event::Stored(job, id, outcome) => self.stored(job, id, outcome),
        }
    }

    fn ask(&mut self, job: JobId, caller: u64, request: SnapshotRequest) {
        if self.alive && self.master.job(job).is_some() {
            self.storage.job(job).callers.insert(caller, 0);
            self.decide(|m, now, fx| {
                m.request_snapshot(now, job, caller, request, fx);
            });
        }
    }

    fn rescale(&mut self, job: JobId, caller: u64, parallelism: u32) {
        let running = self.master.job(job).filter(|_| self.alive);
        let Some(mut graph) = running.map(|job| job.submission().graph.clone()) else { return };
        graph.vertices.iter_mut().for_each(|vertex| vertex.parallelism = parallelism);
        self.storage.job(job).callers.insert(caller, 0);
        self.decide(|m, now, fx| drop(m.rescale(now, job, caller, graph, fx)));
    }

    fn stored(&mut self, job: JobId, id: u64, outcome: Result<Option<String>, String>) {
        let completed = self.store.storing.remove(&(job, id));
        let record = self.storage.job(job);
        let restore_point = record.storing.remove(&id).unwrap_or(false);
        if let Some(completed) =
            completed.filter(|_| outcome.is_ok() && restore_point && !record.discarded.contains(&id))
        {
            self.store.completed.insert((job, id), completed);
        }
        let record = self.storage.job(job);
        if outcome.is_ok() && restore_point && !record.discarded.contains(&id) {
            self.storage.complete(job, id);
            self.storage.job(job).nothing_left = false;
            self.outcome.checkpoints += 1;
            if self.gate.discards(job, id) {
                self.storage.job(job).given_up.insert(id);
            }
        }
        self.decide(|m, now, fx| m.checkpoint_stored(now, job, id, outcome, fx));
    }

    pub(crate) fn perform_checkpoint(&mut self, job: JobId, effect: CheckpointEffect) {
        match effect {
            CheckpointEffect::PrepareSavepoint { token, base } => {
                let fails = self.fault(10);
                let made = Ok(format!("{base}/savepoint-{job}-{}-{token}", self.epoch));
                let outcome = if fails { Err("no such directory".to_string()) } else { made };
                self.slowly(Event::Prepared(job, token, outcome));
            }
            CheckpointEffect::Store { checkpoint, restore_point, metadata, directory } => {
                let completed = CompletedCheckpoint {
                    owned: metadata.kind == SnapshotKind::Checkpoint,
                    referable: metadata.kind == SnapshotKind::Checkpoint,
                    external_path: directory.clone().unwrap_or_default(),
                    metadata,
                    directory,
                };
                self.store.storing.insert((job, checkpoint), completed);
                self.check_acknowledged(job, checkpoint);
                let again = self.storage.job(job).unrecorded.contains(&checkpoint);
                let text = || format!("job {job}: checkpoint {checkpoint} is stored where another one is");
                self.storage.expect(!again, text);
                self.storage.job(job).storing.insert(checkpoint, restore_point);
                if restore_point && self.store_gives_up() {
                    self.outcome.unrecorded += 1;
                    let outcome = Err("it could not be recorded".to_string());
                    let event = Event::Stored(job, checkpoint, outcome);
                    return self.at(self.now() + PATIENCE, Happening::Checkpoint(event));
                }
                let fails = self.fault(10);
                let outcome = if fails { Err("disk full".to_string()) } else { Ok(None) };
                self.slowly(Event::Stored(job, checkpoint, outcome));
            }
            CheckpointEffect::Discard { checkpoint, directory, files } => {
                self.check_discard(job, checkpoint);
                let other = |key: &(JobId, u64)| Some(*key) != checkpoint.map(|id| (job, id));
                self.store.completed.retain(|key, _| other(key));
                self.store.storing.retain(|key, _| other(key));
                self.outcome.removed += files.len() as u32;
                self.storage.remove(directory.as_deref(), &files);
            }
            CheckpointEffect::Damaged { checkpoint, fallback, .. } => {
                if fallback.is_some() {
                    self.store.completed.remove(&(job, checkpoint));
                }
                self.fall_back(job, checkpoint, fallback)
            }
            CheckpointEffect::Answer { caller, outcome } => {
                let rescaled = outcome.is_ok() && caller >= RESCALING;
                self.outcome.rescaled += u32::from(rescaled);
                self.outcome.granted += u32::from(outcome.is_ok() && !rescaled);
                let ended = self.master.job(job).is_some_and(|j| j.state() == JobState::Finished);
                self.outcome.stopped += u32::from(outcome.is_ok() && ended);
                let answers = self.storage.job(job).callers.entry(caller).or_insert(7);
                *answers += 1;
                let once = *answers == 1;
                self.storage.expect(once, || format!("job {job}: caller {caller} is answered again"));
            }
        }
    }

    /// The job says that it goes on from an earlier checkpoint: that must be the newest one but this.
    fn fall_back(&mut self, job: JobId, damaged: u64, fallback: Option<(u64, String)>) {
        let record = self.storage.job(job);
        let newest = record.restore_point();
        let Some((to, _)) = fallback else { return };
        record.completed.remove(&damaged);
        let before = record.restore_point();
        self.outcome.fallbacks += 1;
        let right = newest == Some(damaged) && before == Some(to);
        self.storage.expect(right, || {
            format!(
                "job {job}: falls back from {damaged} to {to}, but had {newest:?} and before it {before:?}"
            )
        });
    }

    /// Storage answers mostly at once, sometimes only after the application master has decided something else.
    fn slowly(&mut self, event: Event) {
        let longest = if self.fault(15) { 20_000 } else { 200 };
        self.soon(longest, Happening::Checkpoint(event));
    }

    fn check_acknowledged(&mut self, job: JobId, id: u64) {
        let record = self.storage.job(job);
        let wanted = record.participants.get(&id).cloned().unwrap_or_default();
        let missing: Vec<_> = match record.acknowledged.get(&id) {
            Some(there) => wanted.difference(there).copied().collect(),
            None => wanted.into_iter().collect(),
        };
        self.storage.expect(missing.is_empty(), || {
            format!("job {job}: checkpoint {id} counts as complete without {missing:?}")
        });
    }

    fn check_discard(&mut self, job: JobId, id: Option<u64>) {
        let Some(id) = id else { return };
        let ended = self.master.job(job).is_some_and(|j| j.state().is_terminal());
        let ending = |state| matches!(state, JobState::Cancelling | JobState::Failing);
        let ends = self.master.job(job).is_some_and(|j| ending(j.state()));
        let record = self.storage.job(job);
        record.discarded.insert(id);
        if ends || record.given_up.remove(&id) {
            // Given up while it was being stored, which was done before this could be.
            record.completed.remove(&id);
        }
        let unreadable = record.unreadable.contains(&id);
        let needed = record.restore_point() == Some(id) && !ended || unreadable;
        self.storage.expect(!needed, || format!("job {job}: the restore point {id} is discarded"));
    }
}
