//! The threads that write snapshots, beside the tasks: a few for all tasks of a process.

use super::part::WrittenPart;
use super::writer::SnapshotFile;
use super::{LocalState, OperatorSnapshot, Parts};
use crate::element::Barrier;
use crate::state::StateError;
use crate::task::Reporter;
use crossbeam_channel::{Receiver, Sender, unbounded};
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{CheckpointFailureReason, CheckpointReport, SubtaskState, TaskSnapshot};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutionId, VertexId};
use kvick_filesystem::blocking::FileSystems;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A snapshot that was handed over and is to be written.
pub struct SnapshotJob {
    execution: ExecutionId,
    barrier: Arc<Barrier>,
    parts: Parts,
    files: Arc<FileSystems>,
    given_up: Arc<AtomicBool>,
    metrics: SnapshotMetrics,
    reports: Reporter,
    local: Option<Arc<LocalState>>,
}

/// Gives a snapshot up that is being written, when nobody wants it any more.
#[derive(Debug, Clone)]
pub struct GiveUp(Arc<AtomicBool>);

impl GiveUp {
    /// Writing ends at the next part, and what was written is removed.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The writers of one process.
pub struct SnapshotWriters {
    jobs: Sender<SnapshotJob>,
}

impl SnapshotWriters {
    /// Starts the threads; they end when this is dropped and nothing is left to write.
    pub fn start() -> Arc<SnapshotWriters> {
        let (jobs, queue) = unbounded();
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().clamp(1, 4));
        for index in 1..=threads {
            let queue: Receiver<SnapshotJob> = queue.clone();
            let thread = std::thread::Builder::new().name(format!("snapshot-{index}"));
            if let Err(error) = thread.spawn(move || queue.iter().for_each(SnapshotJob::run)) {
                crate::log::warn(&format!("cannot start a thread for snapshots: {error}"));
            }
        }
        Arc::new(SnapshotWriters { jobs })
    }

    /// Lets a snapshot be written; its acknowledgement follows.
    pub fn write(&self, job: SnapshotJob) {
        // Without any thread the checkpoint expires, and says so.
        let _ = self.jobs.send(job);
    }
}

impl SnapshotJob {
    /// What the operators of an attempt handed over. `metrics` is what is known of its cost so far; `reports` is told of
    /// the outcome.
    pub fn new(
        execution: ExecutionId,
        barrier: Arc<Barrier>,
        snapshot: OperatorSnapshot,
        files: Arc<FileSystems>,
        metrics: SnapshotMetrics,
        reports: Reporter,
    ) -> SnapshotJob {
        let (parts, given_up) = (snapshot.into_parts(), Arc::default());
        SnapshotJob { execution, barrier, parts, files, given_up, metrics, reports, local: None }
    }

    /// The same, with local copies of its files. A savepoint is a person's: it gets none.
    #[must_use]
    pub fn with_local(mut self, local: Option<Arc<LocalState>>) -> SnapshotJob {
        self.local = local.filter(|_| !self.barrier.kind.is_savepoint());
        self
    }

    /// How to give it up.
    pub fn give_up(&self) -> GiveUp {
        GiveUp(Arc::clone(&self.given_up))
    }

    fn run(self) {
        let SnapshotJob { execution, barrier, parts, files, given_up, mut metrics, reports, local } = self;
        let started = Instant::now();
        let name = unique_name(execution);
        let mut file = SnapshotFile::new(files, barrier.target.clone(), name).with_local(local, barrier.id);
        let result = catch_unwind(AssertUnwindSafe(|| write_all(parts, &mut file, &given_up)));
        let outcome = match result {
            Ok(Ok(Some(operators))) => file.close().map(|bytes| Some((operators, bytes))),
            Ok(Ok(None)) => {
                file.discard();
                Ok(None)
            }
            Ok(Err(error)) => {
                file.discard();
                Err(error)
            }
            Err(_) => {
                file.discard();
                let reason = "code that serialises state panicked; the log says more".to_string();
                Err(StateError::Backend { act: "write a snapshot", reason })
            }
        };
        metrics.async_ms = started.elapsed().as_millis() as u64;
        let checkpoint = barrier.id;
        match outcome {
            Ok(None) => {}
            Ok(Some((operators, bytes))) => {
                let inline = operators.values().map(inline_bytes).sum::<u64>();
                metrics.checkpointed_bytes = bytes + inline;
                let snapshot = TaskSnapshot { operators, finished: false };
                let report = CheckpointReport::Acknowledged { execution, checkpoint, snapshot, metrics };
                reports.checkpoint(report);
            }
            Err(error) => reports.checkpoint(declined(execution, checkpoint, &error)),
        }
    }
}

fn declined(execution: ExecutionId, checkpoint: u64, error: &StateError) -> CheckpointReport {
    let text = format!("checkpoint {checkpoint} of task {execution} could not be written");
    let failure = crate::error::failure_of(error).wrapped(FailureKind::Error, text);
    crate::log::warn(&Failure::to_string(&failure));
    let reason = CheckpointFailureReason::AsyncFailure;
    CheckpointReport::Declined { execution, checkpoint, reason, failure: Some(failure) }
}

/// All parts, unless the snapshot was given up meanwhile.
fn write_all(
    parts: Parts,
    file: &mut SnapshotFile,
    given_up: &AtomicBool,
) -> Result<Option<BTreeMap<VertexId, SubtaskState>>, StateError> {
    let mut operators = BTreeMap::new();
    for (operator, parts) in parts {
        let mut state = SubtaskState::default();
        for part in parts {
            if given_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let written: WrittenPart = part.write(&mut file.part())?;
            written.into(&mut state);
        }
        if !state.is_empty() {
            operators.insert(operator, state);
        }
    }
    Ok(Some(operators))
}

fn inline_bytes(state: &SubtaskState) -> u64 {
    let inline = |handle: &&kvick_core::checkpoint::StateHandle| {
        matches!(handle, kvick_core::checkpoint::StateHandle::Inline { .. })
    };
    state.handles().filter(inline).map(kvick_core::checkpoint::StateHandle::bytes).sum()
}

/// No other attempt, also of another application master, uses this name.
fn unique_name(execution: ExecutionId) -> String {
    use std::sync::atomic::AtomicU64;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_nanos());
    let seed = (nanos as u64, std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("state-{execution}-{:016x}", crate::hash::stable_hash(&seed))
}
