//! Orders about checkpoints at tasks: barriers, snapshots (late, twice, not at all), and what becomes of them.

use crate::checkpoints::{Event, Place};
use crate::executor::ModelTask;
use crate::job::PATIENT;
use crate::world::{Happening, World};
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    CheckpointCommand, CheckpointFailureReason, CheckpointReport, NamedState, Piece, Redistribution,
    SnapshotKind, SnapshotTarget, StateFile, StateHandle, SubtaskState, TaskRestore, TaskSnapshot,
    TriggerCheckpoint,
};
use kvick_core::executor::ToExecutor;
use kvick_core::ids::{ExecutionId, ExecutorId, JobId, VertexId};
use kvick_core::task::TaskState;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// An order reaches the tasks of a worker.
    pub(crate) fn order(
        &mut self,
        executor: &ExecutorId,
        job: JobId,
        tasks: Vec<ExecutionId>,
        command: CheckpointCommand,
    ) {
        let model = self.executors.get_mut(executor);
        if let Some(worker) = model.and_then(|model| model.holdings.worker(job)) {
            worker.checkpoint_ordered(&tasks, &command);
        }
        if let CheckpointCommand::Trigger(order) = command {
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
            ToExecutor::Checkpoint { job_id, command: CheckpointCommand::Abort { checkpoint }, .. } => {
                let counts = self.storage.job(*job_id).unreadable.contains(checkpoint);
                let text =
                    || format!("job {job_id}: checkpoint {checkpoint} was completed, and is taken back");
                self.storage.expect(!counts, text);
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
    pub(crate) fn barrier(&mut self, place: &Place, order: &TriggerCheckpoint) {
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
    pub(crate) fn told(&mut self, place: &Place, command: &CheckpointCommand) {
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
