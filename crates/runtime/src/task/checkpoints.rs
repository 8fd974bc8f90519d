//! What a task does about checkpoints, whatever it reads from: takes snapshots, commits, stops for a savepoint, and waits at
//! the end of its data for the checkpoint that contains it.

use super::{OperatorIdentity, Reporter, TaskContext};
use crate::element::Barrier;
use crate::error::TaskResult;
use crate::snapshot::{GiveUp, LocalState, OperatorSnapshot, SnapshotJob, SnapshotWriters};
use crate::time::Clock;
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{CheckpointFailureReason, CheckpointReport, SnapshotKind};
use kvick_core::ids::ExecutionId;
use kvick_filesystem::blocking::FileSystems;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The operators of a task, as far as checkpoints go.
pub(super) trait Chain {
    /// Takes the snapshot of every operator and sends the barrier.
    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult;
    /// A checkpoint is durable.
    fn complete(&mut self, checkpoint: u64) -> TaskResult;
    /// A checkpoint will not come to be.
    fn aborted(&mut self, checkpoint: u64);
    /// The data counts as ended because the job is drained: says so to everything behind.
    fn drain(&mut self) -> TaskResult;
    /// The data has ended: operators emit what is left.
    fn end(&mut self) -> TaskResult;
}

/// When barriers came, for the statistics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub first: Instant,
    start_delay_ms: u64,
}

/// A snapshot that was taken and is to be written.
pub(super) struct Taken {
    pub barrier: Arc<Barrier>,
    pub snapshot: OperatorSnapshot,
    pub metrics: SnapshotMetrics,
}

/// What one task knows of checkpoints.
pub(super) struct Checkpoints {
    execution: ExecutionId,
    operator: OperatorIdentity,
    files: Arc<FileSystems>,
    local: Option<Arc<LocalState>>,
    reports: Reporter,
    writers: Arc<SnapshotWriters>,
    clock: Clock,
    /// Snapshots that may still be being written, and how to give them up.
    writing: BTreeMap<u64, GiveUp>,
    /// Whether a task at the end of its data waits for a checkpoint.
    waits_at_end: bool,
    ended: bool,
    /// The first checkpoint that contains the end of this task's data.
    ended_in: Option<u64>,
    /// The savepoint with which the task has stopped.
    stopped_in: Option<u64>,
    released: bool,
}

impl Checkpoints {
    pub fn new(context: &TaskContext) -> Checkpoints {
        Checkpoints {
            execution: context.execution,
            operator: context.operator.clone(),
            files: Arc::clone(&context.job.files),
            local: context.job.local.clone(),
            reports: context.reports.clone(),
            writers: Arc::clone(&context.writers),
            clock: context.clock.clone(),
            writing: BTreeMap::new(),
            waits_at_end: context.waits_at_end,
            ended: false,
            ended_in: None,
            stopped_in: None,
            released: false,
        }
    }

    /// Whether the task may finish.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// Whether nothing is to be emitted for now: the data has ended, or a savepoint has stopped the task.
    pub fn is_still(&self) -> bool {
        self.ended || self.stopped_in.is_some()
    }

    /// Whether the end of the data was handled.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// A barrier, or an order, has come.
    pub fn arrival(&self, barrier: &Barrier) -> Arrival {
        let now = u64::try_from(self.clock.now()).unwrap_or(0);
        Arrival { first: Instant::now(), start_delay_ms: now.saturating_sub(barrier.timestamp.0) }
    }

    /// From when on a barrier that has just arrived overtakes.
    pub fn overtakes_at(&self, barrier: &Barrier, now: Instant) -> Instant {
        barrier.overtakes_at(now, self.clock.now())
    }

    /// Takes a snapshot, sends the barrier on and lets the snapshot be written: everything before the barrier was processed,
    /// nothing after it.
    pub fn take(&mut self, chain: &mut impl Chain, barrier: Arc<Barrier>, arrival: Arrival) -> TaskResult {
        let taken = self.snapshot(chain, barrier, arrival)?;
        self.write(taken);
        Ok(())
    }

    /// Takes a snapshot and sends the barrier on.
    pub fn snapshot(
        &mut self,
        chain: &mut impl Chain,
        barrier: Arc<Barrier>,
        arrival: Arrival,
    ) -> TaskResult<Taken> {
        let alignment_ms = arrival.first.elapsed().as_millis() as u64;
        let begun = Instant::now();
        if matches!(barrier.kind, SnapshotKind::Stop { drain: true, .. }) && !self.ended {
            chain.drain()?;
            self.ended = true;
            chain.end()?;
        }
        let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), self.operator.clone());
        chain.snapshot(&mut snapshot)?;
        if matches!(barrier.kind, SnapshotKind::Stop { .. }) {
            self.stopped_in = Some(barrier.id);
        }
        if self.ended {
            self.ended_in.get_or_insert(barrier.id);
        }
        let metrics = SnapshotMetrics {
            sync_ms: begun.elapsed().as_millis() as u64,
            alignment_ms,
            start_delay_ms: arrival.start_delay_ms,
            ..SnapshotMetrics::default()
        };
        Ok(Taken { barrier, snapshot, metrics })
    }

    /// Lets a snapshot be written, to which all has been added that belongs to it.
    pub fn write(&mut self, taken: Taken) {
        let Taken { barrier, snapshot, metrics } = taken;
        let (files, reports) = (Arc::clone(&self.files), self.reports.clone());
        let id = barrier.id;
        let job = SnapshotJob::new(self.execution, barrier, snapshot, files, metrics, reports);
        let job = job.with_local(self.local.clone());
        self.writing.insert(id, job.give_up());
        self.writers.write(job);
    }

    /// A checkpoint that this task will not take part in.
    pub fn decline(&self, checkpoint: u64, reason: CheckpointFailureReason) {
        let execution = self.execution;
        let report = CheckpointReport::Declined { execution, checkpoint, reason, failure: None };
        self.reports.checkpoint(report);
    }

    /// A checkpoint is durable: commits, and lets the task finish if that is what it waited for.
    pub fn complete(&mut self, chain: &mut impl Chain, checkpoint: u64) -> TaskResult {
        self.writing.retain(|id, _| *id > checkpoint);
        chain.complete(checkpoint)?;
        self.released |= self.stopped_in == Some(checkpoint)
            || self.ended_in.is_some_and(|contained| contained <= checkpoint);
        Ok(())
    }

    /// A checkpoint will not come to be: a task that has stopped for it goes on.
    pub fn abort(&mut self, chain: &mut impl Chain, checkpoint: u64) {
        if let Some(writing) = self.writing.remove(&checkpoint) {
            writing.now();
        }
        if self.stopped_in == Some(checkpoint) {
            self.stopped_in = None;
        }
        chain.aborted(checkpoint);
    }

    /// The data has ended. Says whether the task may finish at once; else it waits for a checkpoint.
    pub fn end(&mut self, chain: &mut impl Chain, draining: bool) -> TaskResult {
        self.ended = true;
        chain.end()?;
        if self.waits_at_end || draining {
            self.reports.checkpoint(CheckpointReport::EndOfData { execution: self.execution });
        } else {
            self.released = true;
        }
        Ok(())
    }
}

impl Drop for Checkpoints {
    /// What a task that has ended still has written will not be part of any checkpoint.
    fn drop(&mut self) {
        self.writing.values().for_each(GiveUp::now);
    }
}
