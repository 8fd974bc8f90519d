//! The checkpoint coordinator of one job: when a checkpoint is taken, when it counts, which ones are kept.
//!
//! A machine without IO. Its methods come in four kinds:
//! - *inputs* about tasks (`task_running`, `task_finished`, `tasks_lost`, `reconnected`, `report`), about what was asked to be done
//!   (`savepoint_prepared`, `stored`, `store_failed`), from people (`request`), about the job (`shut_down`, `ended`), and
//!   `tick`: they take the time and push [`CoordinatorEffect`]s;
//! - *set-up*, before the first input: `start_from`, `recover`;
//! - *getters*;
//! - [`CheckpointCoordinator::next_deadline`] tells when `tick` is wanted.
//!
//! The life of a checkpoint: triggered → every task of the plan acknowledged → [`CheckpointEffect::Store`] → `stored`. Only
//! then is it completed: tasks are told to commit, older ones go, and a restart restores from it. While the answer is out
//! ([`CheckpointCoordinator::store_in_doubt`]) nothing may be restored, since either answer decides from what. Any task's
//! failure, a decline or the time-out ends it before; every caller gets exactly one answer.

mod collect;
mod complete;
mod damage;
mod pending;
mod reconnect;
mod recovery;
mod schedule;
mod store;
mod tasks;
#[cfg(test)]
mod tests;
mod trigger;

pub use damage::Fallback;
pub use recovery::KeptCheckpoints;
pub use store::CompletedCheckpoint;

use super::failure::{CheckpointFailure, CheckpointFailureReason};
use super::message::{CheckpointCommand, SavepointFormat, SnapshotKind};
use super::metadata::CheckpointMetadata;
use super::restore::{ClaimMode, RestoreSource};
use super::settings::CheckpointSettings;
use super::stats::{CheckpointStatistics, RestoredStats};
use crate::accumulator::Results;
use crate::failure::Failure;
use crate::graph::{JobGraph, TaskRef};
use crate::ids::{ExecutionId, JobId, VertexId};
use crate::time::Millis;
use pending::Pending;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use store::CompletedStore;
use tasks::{TaskStatus, Tasks};

/// Whom to answer: chosen by whoever asks, unique among those who wait.
pub type CallerId = u64;

/// How many callers may wait for a checkpoint (`CheckpointRequestDecider.DEFAULT_MAX_QUEUED_REQUESTS`).
const MAX_QUEUED: usize = 1_000;

/// How many aborted checkpoints are remembered, so that what comes late for them is removed.
const ABORTED_REMEMBERED: usize = 64;

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// A checkpoint now (`flink checkpoint`).
    Checkpoint {
        /// Whether it may refer to nothing written before.
        full: bool,
    },
    /// A savepoint (`flink savepoint`, `flink cancel -s`).
    Savepoint {
        /// The directory below which it is to be made; the configured one otherwise.
        target: Option<String>,
        /// How state is written.
        format: SavepointFormat,
        /// Whether the job is cancelled once it is stored.
        cancel_job: bool,
    },
    /// A savepoint with which the job ends (`flink stop`).
    Stop {
        /// The directory below which it is to be made; the configured one otherwise.
        target: Option<String>,
        /// How state is written.
        format: SavepointFormat,
        /// Whether the input counts as ended, or only as interrupted.
        drain: bool,
    },
}

/// What a person gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDone {
    /// The number of the checkpoint or savepoint.
    pub checkpoint: u64,
    /// Where it is.
    pub external_path: String,
}

/// What is to be done outside of the application master's mind. Effects of one job are performed in order.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckpointEffect {
    /// Make a new directory `savepoint-<first 6 digits of the job id>-<12 random digits>`; answered by
    /// [`CheckpointCoordinator::savepoint_prepared`].
    PrepareSavepoint {
        /// To find the answer by.
        token: u64,
        /// Below this directory.
        base: String,
    },
    /// Make a checkpoint durable: write its metadata and, if it is a restore point, the record from which a later
    /// application master finds it. Answered, always, by [`CheckpointCoordinator::stored`] or
    /// [`CheckpointCoordinator::store_failed`]; the latter promises that nobody will ever find it.
    Store {
        /// Which.
        checkpoint: u64,
        /// The content of `_metadata`.
        metadata: Arc<CheckpointMetadata>,
        /// The directory for it; none where all state is inline.
        directory: Option<String>,
        /// Whether the job is to be restored from it, should it fail now: so it is unless a person's savepoint.
        restore_point: bool,
    },
    /// Remove a checkpoint: first the record of it, where there is one, then directory and files, where named. Not
    /// answered; what cannot be removed is logged and left.
    Discard {
        /// Which; none for a directory that was prepared for nothing.
        checkpoint: Option<u64>,
        /// A directory with all that is in it.
        directory: Option<String>,
        /// Files outside of it to which nothing refers any more.
        files: Vec<String>,
    },
    /// A checkpoint turned out to be damaged when the job was to be restored from it; for logs. Its directory is left as it
    /// is, for a person to look at; the record of it goes with a [`CheckpointEffect::Discard`].
    Damaged {
        /// Which.
        checkpoint: u64,
        /// Where it is.
        external_path: String,
        /// What the job is restored from in its place, with where that is; nothing if there is no other.
        fallback: Option<(u64, String)>,
    },
    /// Tell whoever asked. Exactly one answer follows each request.
    Answer {
        /// Whom.
        caller: CallerId,
        /// What.
        outcome: Result<SnapshotDone, CheckpointFailure>,
    },
}

/// What the coordinator wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorEffect {
    /// Tell these tasks. Those that run no more need not be told.
    Tell {
        /// To whom.
        executions: Vec<ExecutionId>,
        /// What.
        command: CheckpointCommand,
    },
    /// Something outside.
    Outside(CheckpointEffect),
    /// The whole job has failed, and is to be restarted or ended as its restart strategy says.
    FailJob(Failure),
    /// The job is to be cancelled: the savepoint for that is stored.
    CancelJob,
}

/// What becomes of the job once a savepoint is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopWish {
    GoOn,
    /// It is cancelled.
    Cancel,
    /// Its tasks finish.
    Stop,
}

/// A savepoint whose directory is being made.
#[derive(Debug, Clone)]
struct Preparation {
    /// Where the directory is made.
    base: String,
    caller: CallerId,
    kind: SnapshotKind,
    wish: StopWish,
    expires: Millis,
}

/// The coordinator of one job.
#[derive(Debug)]
pub struct CheckpointCoordinator {
    job: JobId,
    settings: CheckpointSettings,
    tasks: Tasks,
    next_id: u64,
    next_token: u64,
    pending: BTreeMap<u64, Pending>,
    preparing: BTreeMap<u64, Preparation>,
    /// Callers that wait for a checkpoint to be triggered, and whether it must be full.
    queue: VecDeque<(CallerId, bool)>,
    store: CompletedStore,
    /// Completed checkpoints of an earlier application master that cannot be read.
    unreadable: BTreeSet<u64>,
    /// Why there is nothing to restore from, though there should be.
    lost: Option<String>,
    /// Files that the job was started from and does not own: never to be removed.
    foreign: BTreeSet<String>,
    /// Files of removed checkpoints to which those under way may still refer.
    garbage: BTreeSet<String>,
    /// The directories of checkpoints that were given up, while late acknowledgements may come.
    aborted: BTreeMap<u64, Option<String>>,
    next_periodic: Option<Millis>,
    last_completed: Option<Millis>,
    /// When to take the checkpoint that contains the end of all data.
    final_at: Option<Millis>,
    /// Failures that count, since the last success.
    failures: u32,
    /// A savepoint is under way that ends the job: no other checkpoint is begun.
    held: bool,
    /// That savepoint is stored; its caller waits for the job to finish.
    stopping: Option<(CallerId, SnapshotDone)>,
    closed: bool,
    /// What tasks that have finished left for the job's result.
    results: BTreeMap<(VertexId, u32), Results>,
    stats: CheckpointStatistics,
}

impl CheckpointCoordinator {
    /// The coordinator of a job that has no checkpoint yet.
    pub fn new(job: JobId, graph: &JobGraph, settings: CheckpointSettings) -> CheckpointCoordinator {
        CheckpointCoordinator {
            job,
            tasks: Tasks::new(graph),
            next_id: 1,
            next_token: 1,
            pending: BTreeMap::new(),
            preparing: BTreeMap::new(),
            queue: VecDeque::new(),
            store: CompletedStore::new(settings.retained),
            unreadable: BTreeSet::new(),
            lost: None,
            foreign: BTreeSet::new(),
            garbage: BTreeSet::new(),
            aborted: BTreeMap::new(),
            next_periodic: None,
            last_completed: None,
            final_at: None,
            failures: 0,
            held: false,
            stopping: None,
            closed: false,
            results: BTreeMap::new(),
            stats: CheckpointStatistics::new(settings.history),
            settings,
        }
    }

    /// Set-up: the job starts from this checkpoint or savepoint, which must fit its graph. Under a later application
    /// master, before [`CheckpointCoordinator::recover`], so that files that are not the job's are known again.
    pub fn start_from(&mut self, source: &RestoreSource) {
        let completed = CompletedCheckpoint {
            metadata: source.metadata.clone(),
            directory: Some(source.directory.clone()),
            external_path: source.directory.clone(),
            owned: source.claim == ClaimMode::Claim,
            referable: source.claim != ClaimMode::NoClaim,
        };
        if !completed.owned {
            self.foreign.extend(completed.metadata.shared_files().into_iter().map(str::to_string));
        }
        self.next_id = self.next_id.max(completed.id() + 1);
        self.store.add(completed);
    }

    /// Set-up: an earlier application master has left these, oldest first. Numbers go on from `next_id` or from the
    /// newest, whichever is later. Returns those that are too many and are to be discarded.
    pub fn recover(&mut self, completed: Vec<CompletedCheckpoint>, next_id: u64) -> Vec<CompletedCheckpoint> {
        self.next_id = self.next_id.max(next_id);
        let mut surplus = Vec::new();
        for checkpoint in completed {
            self.next_id = self.next_id.max(checkpoint.id() + 1);
            surplus.extend(self.store.add(checkpoint));
        }
        surplus
    }

    /// Getter: what it acts on.
    pub fn settings(&self) -> &CheckpointSettings {
        &self.settings
    }

    /// Getter: statistics.
    pub fn statistics(&self) -> &CheckpointStatistics {
        &self.stats
    }

    /// Getter: from what the job is restored if it fails now.
    pub fn restore_point(&self) -> Option<&CompletedCheckpoint> {
        self.store.latest()
    }

    /// Getter: the completed checkpoints that are kept, oldest first.
    pub fn completed(&self) -> &[CompletedCheckpoint] {
        self.store.all()
    }

    /// Getter: the checkpoints under way.
    pub fn pending(&self) -> impl Iterator<Item = u64> {
        self.pending.keys().copied()
    }

    /// Getter: whether it is not known yet from what the job is to be restored: no task may be deployed now.
    pub fn store_in_doubt(&self) -> bool {
        self.pending.values().any(|p| p.is_storing() && p.is_restore_point())
    }

    /// Getter: how many callers wait for an answer.
    pub fn waiting_callers(&self) -> usize {
        let pending = self.pending.values().filter(|p| p.caller.is_some()).count();
        pending + self.preparing.len() + self.queue.len() + usize::from(self.stopping.is_some())
    }

    /// Input: an attempt runs.
    pub fn task_running(&mut self, now: Millis, execution: ExecutionId, fx: &mut Vec<CoordinatorEffect>) {
        if self.tasks.enter(execution, TaskStatus::Running) {
            self.trigger_due(now, fx);
        }
    }

    /// Input: an attempt has finished. A checkpoint that still misses its snapshot cannot be completed; one that somebody waits
    /// for is taken again without it.
    pub fn task_finished(&mut self, now: Millis, execution: ExecutionId, fx: &mut Vec<CoordinatorEffect>) {
        if !self.tasks.enter(execution, TaskStatus::Finished) {
            return;
        }
        for id in self.pending_where(|p| p.misses(execution)) {
            self.take_again(now, id, CheckpointFailureReason::DeclinedClosing.into(), fx);
        }
        self.trigger_due(now, fx);
    }

    /// Input: what an attempt that has finished leaves for the job's result: checkpoints keep it, as nobody else does.
    /// Comes before [`CheckpointCoordinator::task_finished`].
    pub fn task_left(&mut self, execution: ExecutionId, results: Results) {
        if !results.is_empty() {
            self.results.insert((execution.vertex, execution.subtask), results);
        }
    }

    /// Input: these tasks have failed, or are being stopped to be started again.
    pub fn tasks_lost(
        &mut self,
        now: Millis,
        tasks: &[TaskRef],
        cause: &Failure,
        fx: &mut Vec<CoordinatorEffect>,
    ) {
        for task in tasks {
            self.results.remove(&(self.tasks.vertices[task.vertex].id, task.subtask));
            self.tasks.leave(*task);
        }
        (self.next_periodic, self.final_at) = (None, None);
        let why = CheckpointFailure::from(CheckpointFailureReason::TaskFailure).because(cause.clone());
        for id in self.pending_where(|p| !p.is_storing()) {
            self.abort(now, id, why.clone(), fx);
        }
        self.pending.values_mut().for_each(|p| p.broken = true);
        for (caller, _) in std::mem::take(&mut self.queue) {
            answer(caller, Err(why.clone()), fx);
        }
        self.stopping_failed(fx);
    }

    /// Input: tasks were deployed with the state of the restore point.
    pub fn restored(&mut self, now: Millis) {
        if let Some(point) = self.store.latest() {
            self.stats.restored(RestoredStats {
                id: point.id(),
                at: now,
                savepoint: point.kind().is_savepoint(),
                external_path: point.directory.as_ref().map(|_| point.external_path.clone()),
            });
        }
    }

    /// Input: the job goes on with another graph of the same operators. None of its tasks runs now.
    pub fn graph_changed(&mut self, graph: &JobGraph) {
        self.tasks = Tasks::new(graph);
        self.results.clear();
    }

    /// Input: time has passed.
    pub fn tick(&mut self, now: Millis, fx: &mut Vec<CoordinatorEffect>) {
        self.expire(now, fx);
        self.trigger_due(now, fx);
    }

    /// The next instant at which `tick` would do something.
    pub fn next_deadline(&self) -> Option<Millis> {
        let pending = self.pending.values().filter(|p| !p.is_storing()).map(|p| p.expires);
        let preparing = self.preparing.values().map(|p| p.expires);
        pending.chain(preparing).chain(self.next_trigger()).min()
    }

    fn pending_where(&self, which: impl Fn(&Pending) -> bool) -> Vec<u64> {
        self.pending.values().filter(|p| which(p)).map(|p| p.id).collect()
    }
}

fn answer(
    caller: CallerId,
    outcome: Result<SnapshotDone, CheckpointFailure>,
    fx: &mut Vec<CoordinatorEffect>,
) {
    fx.push(CoordinatorEffect::Outside(CheckpointEffect::Answer { caller, outcome }));
}
