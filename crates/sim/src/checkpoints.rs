//! The world's part in checkpoints: tasks that take snapshots (late, twice, never, not at all), a store that is slow or
//! fails, and people who ask for savepoints.

use crate::executor::ModelTask;
use crate::job::PATIENT;
use crate::outage::PATIENCE;
use crate::world::{Happening, World};
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    CheckpointCommand, CheckpointEffect, CheckpointFailureReason, CheckpointReport, CompletedCheckpoint,
    NamedState, Piece, Redistribution, SavepointFormat, SnapshotKind, SnapshotRequest, SnapshotTarget,
    StateFile, StateHandle, SubtaskState, TaskRestore, TaskSnapshot, TriggerCheckpoint,
};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId, VertexId};
use kvick_core::job::JobState;
use kvick_core::task::TaskState;
use std::collections::{BTreeMap, BTreeSet};

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
        let needed = record.restore_point() == Some(id) && !ended;
        self.storage.expect(!needed, || format!("job {job}: the restore point {id} is discarded"));
    }

    /// An order reaches the tasks of a worker.
    pub(crate) fn order(
        &mut self,
        executor: &ExecutorId,
        job: JobId,
        tasks: Vec<ExecutionId>,
        command: CheckpointCommand,
    ) {
        if let CheckpointCommand::Trigger(order) = command {
            let model = self.executors.get_mut(executor);
            if let Some(worker) = model.and_then(|model| model.holdings.worker(job)) {
                tasks.iter().for_each(|task| worker.heard_of_checkpoint(*task, order.checkpoint));
            }
            return self.heard(job, &tasks, &order);
        }
        for task in tasks {
            if let Some(serial) = self.live(executor, job, task) {
                let place = (executor.clone(), job, serial, task);
                self.soon(300, Happening::Checkpoint(Event::Told(place, command.clone())));
            }
        }
    }

    /// The application master sends something: what it promises with that is noted.
    pub(crate) fn note_order(&mut self, message: &ToExecutor) {
        match message {
            ToExecutor::Deploy { job_id, tasks } => {
                for task in tasks {
                    self.storage.check_restore(*job_id, task.execution, task.restore.as_ref());
                }
            }
            ToExecutor::Checkpoint { job_id, executions, command: CheckpointCommand::Trigger(order) } => {
                self.triggered(*job_id, order);
                let key = (self.epoch, order.checkpoint);
                self.storage.job(*job_id).ordered.entry(key).or_default().extend(executions);
            }
            _ => {}
        }
    }

    /// Some of the first tasks were told. Once all of them were, barriers reach all the others in no particular order.
    fn heard(&mut self, job: JobId, tasks: &[ExecutionId], order: &TriggerCheckpoint) {
        let key = (self.epoch, order.checkpoint);
        let Some(ordered) = self.storage.job(job).ordered.get_mut(&key) else { return };
        ordered.retain(|task| !tasks.contains(task));
        let all = ordered.is_empty();
        // Nothing but the time-out finds a barrier that is lost between two that live.
        let percent = if self.is_patient(job) { 0 } else { 3 };
        let (told, others): (Vec<Place>, Vec<Place>) =
            self.places(job).into_iter().partition(|place| tasks.contains(&place.3));
        let first = self.storage.job(job).first.entry(key).or_default();
        first.extend(tasks);
        let first = first.clone();
        let others = others.into_iter().filter(|place| all && !first.contains(&place.3));
        for place in told.into_iter().chain(others).collect::<Vec<_>>() {
            if !self.fault(percent) {
                let longest = if self.fault(5) { 15_000 } else { 300 };
                self.soon(longest, Happening::Checkpoint(Event::Barrier(place, Box::new(order.clone()))));
            }
        }
    }

    /// Whether a job waits for a checkpoint for longer than any fault lasts.
    fn is_patient(&self, job: JobId) -> bool {
        let checkpoints = self.master.job(job).and_then(|job| job.checkpoints());
        checkpoints.is_some_and(|checkpoints| checkpoints.settings().timeout.0 >= PATIENT)
    }

    /// A checkpoint is begun.
    fn triggered(&mut self, job: JobId, order: &TriggerCheckpoint) {
        let id = order.checkpoint;
        let (running, epoch, now) = (self.running(job), self.epoch, self.now());
        let record = self.storage.job(job);
        let again = record.triggered_by.insert(id, epoch);
        if again == Some(epoch) {
            return;
        }
        // A number may come again if nobody lives who has heard of it: what was under way with it counts for nothing.
        record.acknowledged.remove(&id);
        record.triggered_at.insert(id, now);
        record.discarded.remove(&id);
        let newest = record.triggered_by.iter().filter(|(_, by)| **by == epoch).map(|(id, _)| *id).max();
        let rising = newest == Some(id) && record.restore_point().is_none_or(|point| point < id);
        record.participants.insert(id, running);
        self.storage.expect(rising, || format!("job {job}: checkpoint {id} is triggered after a later one"));
    }

    /// The attempts that the application master counts as running.
    fn running(&self, job: JobId) -> BTreeSet<ExecutionId> {
        let Some(master) = self.master.job(job) else { return BTreeSet::new() };
        let vertices = &master.submission().graph.vertices;
        let each = vertices.iter().enumerate().flat_map(|(index, vertex)| {
            let executions = master.executions(index).iter().zip(0..);
            executions.filter(|(e, _)| e.state == TaskState::Running).map(|(e, i)| e.id(vertex.id, i))
        });
        each.collect()
    }

    fn places(&self, job: JobId) -> Vec<Place> {
        let each = self.executors.iter().filter_map(|(id, e)| Some((id, e.workers.get(&job)?)));
        each.flat_map(|(id, w)| w.live.keys().map(|t| (id.clone(), job, w.serial, *t)).collect::<Vec<_>>())
            .collect()
    }

    /// The task there, if that worker still runs.
    fn task_at(&mut self, (executor, job, serial, task): &Place) -> Option<&mut ModelTask> {
        let worker = self.executors.get_mut(executor)?.workers.get_mut(job)?;
        (worker.serial == *serial).then(|| worker.live.get_mut(task)).flatten()
    }

    /// A barrier is there: the task takes its snapshot, or says that it does not.
    fn barrier(&mut self, place: &Place, order: &TriggerCheckpoint) {
        let (compacts, declines) = (self.random.chance(30), self.fault(3));
        self.sequence += 1;
        let new_file = self.sequence;
        let Some(task) = self.task_at(place) else { return };
        if task.stopped_in.is_some() || task.aborted.contains(&order.checkpoint) {
            return;
        }
        if declines || task.newest > order.checkpoint {
            let reason = match task.newest > order.checkpoint {
                true => CheckpointFailureReason::DeclinedSubsumed,
                false => CheckpointFailureReason::AsyncFailure,
            };
            let report = CheckpointReport::Declined {
                execution: place.3,
                checkpoint: order.checkpoint,
                reason,
                failure: None,
            };
            return self.report(place, report);
        }
        let (snapshot, written) = take_snapshot(task, place.3, order, new_file, compacts);
        self.storage.files.extend(written);
        let report = CheckpointReport::Acknowledged {
            execution: place.3,
            checkpoint: order.checkpoint,
            snapshot,
            metrics: SnapshotMetrics::default(),
        };
        self.report(place, report);
    }

    /// A report is on its way, perhaps for long, perhaps twice.
    pub(crate) fn report(&mut self, place: &Place, report: CheckpointReport) {
        if let CheckpointReport::Acknowledged { execution, checkpoint, .. } = &report {
            self.storage.job(place.1).acknowledged.entry(*checkpoint).or_default().insert(*execution);
        }
        let arrives = |report| Happening::Checkpoint(Event::Report(place.0.clone(), place.1, report));
        let report = Box::new(report);
        if self.fault(5) {
            self.soon(20_000, arrives(report.clone()));
        }
        let longest = if self.fault(3) { 20_000 } else { 100 };
        self.soon(longest, arrives(report));
    }

    /// A task hears that a checkpoint is complete, or will not be.
    fn told(&mut self, place: &Place, command: &CheckpointCommand) {
        let Some(task) = self.task_at(place) else { return };
        let mut finishes = false;
        match command {
            CheckpointCommand::Complete { checkpoint } => {
                task.written.retain(|id, _| id >= checkpoint);
                finishes = task.stopped_in == Some(*checkpoint)
                    || task.ended_in.is_some_and(|first| first <= *checkpoint);
                task.released |= finishes;
            }
            CheckpointCommand::Abort { checkpoint } => {
                task.written.remove(checkpoint);
                task.aborted.insert(*checkpoint);
                if task.stopped_in == Some(*checkpoint) {
                    task.stopped_in = None;
                }
            }
            CheckpointCommand::Trigger(_) => {}
        }
        if finishes {
            let (executor, job, serial, id) = place.clone();
            self.soon(100, Happening::Task(executor, job, serial, id, TaskState::Finished));
        }
    }

    /// Whether a task may finish without a checkpoint; if not, it says that its data has ended.
    pub(crate) fn may_finish(&mut self, place: &Place) -> bool {
        let settings = self.master.job(place.1).and_then(|j| j.checkpoints()).map(|c| c.settings());
        let waits = settings.is_some_and(|s| s.interval.is_some() && s.after_tasks_finish);
        let (executor, job, serial, id) = place.clone();
        let Some(task) = self.task_at(place) else { return false };
        if task.released {
            return true;
        }
        if task.stopped_in.is_some() {
            // Blocked by the savepoint: its end comes later, if at all.
            let again = Happening::Task(executor, job, serial, id, TaskState::Finished);
            self.soon(1_000, again);
            return false;
        }
        if !waits || task.ended {
            return true;
        }
        task.ended = true;
        // This one is not repeated by the worker: it arrives.
        let report = Box::new(CheckpointReport::EndOfData { execution: id });
        self.soon(50, Happening::Checkpoint(Event::Report(executor, job, report)));
        false
    }
}

/// The state with which a task begins.
pub fn restored_task(restore: Option<&TaskRestore>) -> ModelTask {
    let Some(restore) = restore else { return ModelTask::default() };
    let handles = restore.operators.values().flat_map(SubtaskState::handles);
    let shared = handles.filter_map(StateHandle::shared_file).map(str::to_string);
    // Local numbers of its own: those of the world begin at 1 and do not reach these.
    let written: BTreeMap<u64, String> = shared.enumerate().map(|(i, f)| (u64::MAX - i as u64, f)).collect();
    ModelTask {
        was_finished: restore.finished,
        newest: restore.checkpoint,
        files: written.keys().copied().collect(),
        written: BTreeMap::from([(restore.checkpoint, written)]),
        ..ModelTask::default()
    }
}

/// The snapshot of a task, and the files that it wrote for it: one of its own, and what its base does not have.
fn take_snapshot(
    task: &mut ModelTask,
    execution: ExecutionId,
    order: &TriggerCheckpoint,
    new_file: u64,
    compacts: bool,
) -> (TaskSnapshot, Vec<String>) {
    task.newest = order.checkpoint;
    if matches!(order.kind, SnapshotKind::Stop { .. }) {
        task.stopped_in = Some(order.checkpoint);
    }
    if task.ended {
        task.ended_in.get_or_insert(order.checkpoint);
    }
    let SnapshotTarget::Directory { exclusive, shared, .. } = &order.target else {
        return (TaskSnapshot { finished: task.was_finished, ..TaskSnapshot::default() }, Vec::new());
    };
    if task.was_finished {
        return (TaskSnapshot { finished: true, ..TaskSnapshot::default() }, Vec::new());
    }
    if compacts {
        task.files.clear();
    }
    task.files.push(new_file);
    let own = format!("state-{execution}");
    let mut written = vec![format!("{exclusive}/{own}")];
    let mut files = BTreeMap::from([("own".to_string(), file(StateFile::Own(own)))]);
    let base = order.base.and_then(|base| task.written.get(&base)).cloned().unwrap_or_default();
    let mut places = BTreeMap::new();
    for local in &task.files {
        let path = base.get(local).cloned().unwrap_or_else(|| {
            let path = format!("{shared}/{execution}-{}-{local}", order.checkpoint);
            written.push(path.clone());
            path
        });
        files.insert(local.to_string(), file(StateFile::Shared(path.clone())));
        places.insert(*local, path);
    }
    task.written.insert(order.checkpoint, places);
    (snapshot_of(execution.vertex, files), written)
}

/// Each file as a state of its own that stays with its subtask.
fn snapshot_of(operator: VertexId, files: BTreeMap<String, StateHandle>) -> TaskSnapshot {
    let state = |(name, handle): (String, StateHandle)| NamedState {
        name,
        redistribution: Redistribution::Split,
        handle,
        head: 0,
        elements: vec![Piece { offset: 0, length: 1 }],
    };
    let operator_state = files.into_iter().map(state).collect();
    let state = SubtaskState { operator: operator_state, ..SubtaskState::default() };
    TaskSnapshot { operators: BTreeMap::from([(operator, state)]), finished: false }
}

fn file(file: StateFile) -> StateHandle {
    StateHandle::File { file, offset: 0, length: 1, checksum: 0 }
}
