//! Sinks that commit in two phases: what was written before a barrier is prepared with the snapshot, and committed once the
//! checkpoint is complete. So the outside world sees each record exactly once, whatever fails in between.
//!
//! [`TwoPhase`] makes a [`Sink`] of a [`TwoPhaseSink`]: it remembers what is prepared and not yet committed, in the state of
//! every checkpoint, and commits again what it finds there after a failure. Knows no file.
//!
//! What holds when:
//! - With periodic checkpoints: exactly once. The last records of a bounded input are committed by the checkpoint that
//!   tasks wait for at the end of their data.
//! - Without (batch jobs, or no interval): everything is committed when the input of a subtask has ended, and nothing
//!   before. A job that then fails and starts again from the beginning writes again what finished subtasks had committed,
//!   unless the sink undoes it when it is opened for a later attempt.
//! - A savepoint prepares and does not commit: the next checkpoint does, or whoever starts from the savepoint.

use super::Sink;
use crate::element::{Batch, Data};
use crate::error::TaskResult;
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use kvick_core::checkpoint::{Redistribution, SnapshotKind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What is prepared and not yet committed, for all checkpoints.
const COMMITTABLES: &str = "sink-committables";
/// What the sink itself keeps.
const WRITER: &str = "sink-writer";

/// Why a sink is asked to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepare {
    /// A checkpoint of a job that goes on.
    Checkpoint,
    /// A savepoint: whoever starts from it may do so much later, and elsewhere.
    Savepoint,
    /// Nothing more will be written.
    End,
}

/// A sink that prepares what it writes, and commits later. Flink's `TwoPhaseCommittingSink`, writer and committer in one.
///
/// ```
/// use kvick_runtime::element::Batch;
/// use kvick_runtime::error::TaskResult;
/// use kvick_runtime::sinks::{Prepare, TwoPhaseSink};
/// use kvick_runtime::task::TaskContext;
///
/// /// Transactions of a database that can be prepared, and committed by anybody who knows their id.
/// #[derive(Default)]
/// struct Transactions { rows: Vec<String>, next: u64 }
///
/// impl TwoPhaseSink<String> for Transactions {
///     type Committable = String;
///     type State = ();
///
///     fn open(&mut self, _context: &mut TaskContext, _restored: Vec<()>) -> TaskResult {
///         Ok(())
///     }
///     fn write(&mut self, batch: &mut Batch<String>) -> TaskResult {
///         self.rows.append(&mut batch.records);
///         Ok(())
///     }
///     fn prepare(&mut self, _why: Prepare) -> TaskResult<Vec<String>> {
///         if self.rows.is_empty() {
///             return Ok(Vec::new());
///         }
///         self.next += 1;
///         // INSERT the rows; PREPARE TRANSACTION 'kvick-…'
///         self.rows.clear();
///         Ok(vec![format!("kvick-{}", self.next)])
///     }
///     fn commit(&mut self, _committable: &String) -> TaskResult {
///         // COMMIT PREPARED '…'; that there is no such transaction means that it was committed before.
///         Ok(())
///     }
/// }
/// ```
pub trait TwoPhaseSink<T>: Send + 'static {
    /// What is to be committed; with it alone any process can commit.
    type Committable: Data;
    /// What the sink itself keeps from one checkpoint to the next. It is dealt out again at another parallelism.
    type State: Data;

    /// Called once, before the first record, with what the checkpoint has of [`TwoPhaseSink::state`]. What was prepared for
    /// that checkpoint is committed right afterwards.
    ///
    /// # Errors
    /// Whatever keeps the sink from starting.
    fn open(&mut self, context: &mut TaskContext, restored: Vec<Self::State>) -> TaskResult;

    /// Takes all records of a batch.
    ///
    /// # Errors
    /// Whatever writing fails with.
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult;

    /// Stores what was written so far in a way that survives this process, and says what is to be committed of it. After
    /// [`Prepare::Savepoint`] and [`Prepare::End`] nothing may be left to [`TwoPhaseSink::state`] that only a later call
    /// would prepare.
    ///
    /// # Errors
    /// Whatever storing fails with.
    fn prepare(&mut self, why: Prepare) -> TaskResult<Vec<Self::Committable>>;

    /// What the sink is to be given back when it starts from the snapshot that is being taken; asked right after
    /// [`TwoPhaseSink::prepare`].
    ///
    /// # Errors
    /// Whatever storing fails with.
    fn state(&mut self) -> TaskResult<Vec<Self::State>> {
        Ok(Vec::new())
    }

    /// Commits. It may have been done before, by this process or an earlier one, and must then do nothing.
    ///
    /// # Errors
    /// Whatever committing fails with; the job then starts again from the checkpoint and tries anew.
    fn commit(&mut self, committable: &Self::Committable) -> TaskResult;

    /// What is due by the clock, and when to call again.
    ///
    /// # Errors
    /// Whatever writing fails with.
    fn tick(&mut self, _now: Instant) -> TaskResult<Option<Instant>> {
        Ok(None)
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The [`Sink`] of a [`TwoPhaseSink`].
pub struct TwoPhase<T, S: TwoPhaseSink<T>> {
    sink: S,
    /// Prepared, by the snapshot that it was first part of.
    pending: BTreeMap<u64, Vec<S::Committable>>,
    /// Snapshots whose completion commits nothing.
    savepoints: BTreeSet<u64>,
    ended: bool,
    waits_at_end: bool,
}

impl<T, S: TwoPhaseSink<T>> TwoPhase<T, S> {
    /// Commits what a sink prepares.
    pub fn of(sink: S) -> Self {
        TwoPhase {
            sink,
            pending: BTreeMap::new(),
            savepoints: BTreeSet::new(),
            ended: false,
            waits_at_end: false,
        }
    }

    /// Commits what was prepared up to a snapshot. What fails, and all after it, stays pending.
    fn commit_until(&mut self, snapshot: u64) -> TaskResult {
        while let Some(mut first) = self.pending.first_entry().filter(|entry| *entry.key() <= snapshot) {
            while let Some(committable) = first.get().first() {
                self.sink.commit(committable)?;
                first.get_mut().remove(0);
            }
            first.remove();
        }
        self.savepoints.retain(|savepoint| *savepoint > snapshot);
        Ok(())
    }
}

impl<T: 'static, S: TwoPhaseSink<T>> Sink<T> for TwoPhase<T, S> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.waits_at_end = context.waits_at_end;
        let restored = context.restored_list(WRITER)?;
        self.sink.open(context, restored)?;
        let prepared = context.restored_list::<S::Committable>(COMMITTABLES)?;
        prepared.iter().try_for_each(|committable| self.sink.commit(committable))
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.sink.write(batch)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let why = match snapshot.kind() {
            _ if self.ended => Prepare::End,
            SnapshotKind::Checkpoint => Prepare::Checkpoint,
            SnapshotKind::Savepoint { .. } | SnapshotKind::Stop { .. } => Prepare::Savepoint,
        };
        if matches!(snapshot.kind(), SnapshotKind::Savepoint { .. }) {
            self.savepoints.insert(snapshot.checkpoint());
        }
        let prepared = self.sink.prepare(why)?;
        if !prepared.is_empty() {
            self.pending.entry(snapshot.checkpoint()).or_default().extend(prepared);
        }
        let all: Vec<S::Committable> = self.pending.values().flatten().cloned().collect();
        snapshot.list(COMMITTABLES, Redistribution::Split, &all)?;
        Ok(snapshot.list(WRITER, Redistribution::Split, &self.sink.state()?)?)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        if self.savepoints.contains(&checkpoint) { Ok(()) } else { self.commit_until(checkpoint) }
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.sink.tick(now)
    }

    fn end(&mut self) -> TaskResult {
        self.ended = true;
        if self.waits_at_end {
            return Ok(());
        }
        let prepared = self.sink.prepare(Prepare::End)?;
        self.pending.entry(u64::MAX).or_default().extend(prepared);
        self.commit_until(u64::MAX)
    }

    fn close(&mut self) {
        self.sink.close();
    }
}
