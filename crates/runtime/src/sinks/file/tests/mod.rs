//! The life of part files: each step of it; what happens to whole jobs is in [`schedules`].

mod schedules;
mod unreliable;

use super::*;
use crate::element::{Barrier, Batch};
use crate::error::TaskResult;
use crate::sinks::{Sink, TwoPhase};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use crate::testing;
use crate::time::Clock;
use kvick_core::checkpoint::{
    BarrierAlignment, SavepointFormat, SnapshotKind, SnapshotTarget, SubtaskState, TaskRestore,
};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_filesystem::local::LocalFileSystem;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unreliable::{Faults, Unreliable};

type ToBucket = fn(&u64) -> String;
type Writer = TwoPhase<u64, FileSinkWriter<TextEncoder, ToBucket>>;

const SAVEPOINT: SnapshotKind = SnapshotKind::Savepoint { format: SavepointFormat::Canonical };

fn by_parity(record: &u64) -> String {
    if record.is_multiple_of(2) { "even".into() } else { "odd/deep".into() }
}

fn sink(directory: &Path, policy: RollingPolicy) -> FileSink<TextEncoder, ToBucket> {
    FileSink::for_row_format(format!("test://disk{}", directory.display()), TextEncoder)
        .with_bucket_assigner(by_parity as ToBucket)
        .with_rolling_policy(policy)
        .with_output_file_config(OutputFileConfig { prefix: "p".into(), suffix: ".txt".into() })
        .with_bucket_check_interval(Duration::from_millis(10))
}

/// One attempt of one subtask.
struct Attempt {
    writer: Writer,
    context: TaskContext,
}

impl Attempt {
    fn open(
        sink: &FileSink<TextEncoder, ToBucket>,
        faults: &Faults,
        restored: Option<SubtaskState>,
        attempt: u32,
        waits_at_end: bool,
    ) -> TaskResult<Attempt> {
        let mut context = testing::context(0, 1, Clock::system());
        let files = FileSystems::new(kvick_filesystem::Context::default());
        files.insert("disk", Arc::new(Unreliable { inner: LocalFileSystem::new(), faults: faults.clone() }));
        let mut job = (*context.job).clone();
        job.files = Arc::new(files);
        context.job = Arc::new(job);
        context.execution.attempt = attempt;
        context.waits_at_end = waits_at_end;
        if let Some(state) = restored {
            let operators = BTreeMap::from([(context.operator.id, state)]);
            let restore = TaskRestore {
                checkpoint: 1,
                directory: None,
                finished: false,
                operators,
                in_flight: Vec::new(),
            };
            context.restore = Some(Arc::new(restore));
        }
        let mut writer = TwoPhase::of(sink.clone().writer());
        writer.open(&mut context)?;
        Ok(Attempt { writer, context })
    }

    fn write(&mut self, records: impl IntoIterator<Item = u64>) -> TaskResult {
        self.writer.write(&mut Batch::of(records.into_iter().collect()))
    }

    fn snapshot(&mut self, id: u64, kind: SnapshotKind) -> TaskResult<SubtaskState> {
        let barrier = Barrier {
            id,
            timestamp: Millis(0),
            kind,
            base: None,
            alignment: BarrierAlignment::Aligned,
            target: SnapshotTarget::Inline { max_bytes: u64::MAX },
        };
        let mut snapshot = OperatorSnapshot::new(Arc::new(barrier), self.context.operator.clone());
        self.writer.snapshot(&mut snapshot)?;
        Ok(testing::write(snapshot, &self.context)?)
    }

    fn close(mut self) {
        self.writer.close();
    }
}

fn open(sink: &FileSink<TextEncoder, ToBucket>, restored: Option<SubtaskState>) -> Attempt {
    Attempt::open(sink, &Faults::default(), restored, 0, true).unwrap()
}

/// All files under a directory, hidden ones apart.
fn files(directory: &Path) -> (Vec<std::path::PathBuf>, Vec<std::path::PathBuf>) {
    let (mut finished, mut hidden, mut open) = (Vec::new(), Vec::new(), vec![directory.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                _ if path.is_dir() => open.push(path),
                true => hidden.push(path),
                false => finished.push(path),
            }
        }
    }
    (finished, hidden)
}

/// What readers see, sorted.
fn seen(directory: &Path) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::new();
    for path in files(directory).0 {
        let text = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
        let bucket = path.strip_prefix(directory).unwrap().parent().unwrap().to_str().unwrap();
        assert!(numbers.iter().all(|n| by_parity(n) == bucket), "{path:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    all
}

#[test]
fn a_part_is_in_progress_then_pending_then_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut attempt = open(&sink(dir.path(), RollingPolicy::on_checkpoint()), None);
    attempt.write(0..10).unwrap();
    let (finished, hidden) = files(dir.path());
    assert!(finished.is_empty() && hidden.len() == 2, "{finished:?} {hidden:?}");
    let name = hidden[0].file_name().unwrap().to_str().unwrap().to_string();
    assert!(name.starts_with(".p-") && name.contains(".txt.inprogress."), "{name}");
    attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap();
    assert!(seen(dir.path()).is_empty(), "a checkpoint that is not complete commits nothing");
    attempt.write(10..12).unwrap();
    attempt.writer.checkpoint_complete(1).unwrap();
    assert_eq!(seen(dir.path()), (0..10).collect::<Vec<u64>>());
    attempt.writer.checkpoint_complete(1).unwrap();
    let (finished, _) = files(dir.path());
    let names: Vec<&str> = finished.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert!(names.iter().all(|name| name.starts_with("p-") && name.ends_with(".txt")), "{names:?}");
    attempt.close();
    assert_eq!(files(dir.path()).1.len(), 0, "what no checkpoint knows goes with the attempt");
}

#[test]
fn an_aborted_checkpoint_commits_with_the_next_one_and_a_savepoint_does_not_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut attempt = open(&sink(dir.path(), RollingPolicy::on_checkpoint()), None);
    attempt.write(0..4).unwrap();
    attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap();
    attempt.writer.checkpoint_aborted(1);
    attempt.write(4..6).unwrap();
    attempt.snapshot(2, SAVEPOINT).unwrap();
    attempt.writer.checkpoint_complete(2).unwrap();
    assert!(seen(dir.path()).is_empty());
    attempt.write(6..8).unwrap();
    attempt.snapshot(3, SnapshotKind::Checkpoint).unwrap();
    attempt.writer.checkpoint_complete(3).unwrap();
    assert_eq!(seen(dir.path()), (0..8).collect::<Vec<u64>>());
}

#[test]
fn whoever_starts_from_a_savepoint_commits_it_even_after_the_first_job_has() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), RollingPolicy::default());
    let mut first = open(&sink, None);
    first.write(0..4).unwrap();
    let savepoint = first.snapshot(1, SAVEPOINT).unwrap();
    std::mem::forget(first);
    let second = open(&sink, Some(savepoint.clone()));
    assert_eq!(seen(dir.path()), (0..4).collect::<Vec<u64>>());
    second.close();
    open(&sink, Some(savepoint)).close();
    assert_eq!(seen(dir.path()), (0..4).collect::<Vec<u64>>());
    assert!(files(dir.path()).1.is_empty());
}

#[test]
fn parts_are_closed_by_size_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut attempt = open(&sink(dir.path(), RollingPolicy::default().with_max_part_size(10)), None);
    // Two bytes each, five in a part.
    attempt.write((0..21).map(|n| n % 5 * 2)).unwrap();
    attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap();
    attempt.writer.checkpoint_complete(1).unwrap();
    assert_eq!(files(dir.path()).0.len(), 4);
    attempt.close();

    let dir = tempfile::tempdir().unwrap();
    let policy = RollingPolicy::default().with_inactivity_interval(Duration::from_secs(5));
    let mut attempt = open(&sink(dir.path(), policy), None);
    attempt.write([2]).unwrap();
    let now = Instant::now();
    let due = attempt.writer.tick(now + Duration::from_secs(1)).unwrap();
    assert!(due.is_some());
    attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap();
    attempt.writer.checkpoint_complete(1).unwrap();
    assert!(seen(dir.path()).is_empty(), "the part goes on over the checkpoint");
    assert_eq!(attempt.writer.tick(now + Duration::from_secs(6)).unwrap(), None);
    attempt.snapshot(2, SnapshotKind::Checkpoint).unwrap();
    attempt.writer.checkpoint_complete(2).unwrap();
    assert_eq!(seen(dir.path()), [2]);
}

#[test]
fn without_checkpoints_everything_is_committed_at_the_end_and_an_attempt_undoes_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), RollingPolicy::default().with_max_part_size(4));
    std::fs::write(dir.path().join("p-somebody-elses"), "7\n").unwrap();
    let faults = Faults::default();
    let mut first = Attempt::open(&sink, &faults, None, 0, false).unwrap();
    first.write(0..6).unwrap();
    assert_eq!(files(dir.path()).0.len(), 1);
    first.writer.end().unwrap();
    assert_eq!(files(dir.path()).0.len(), 5);
    let mut killed = Attempt::open(&sink, &faults, None, 0, false).unwrap();
    killed.write(20..30).unwrap();
    std::mem::forget(killed);
    let mut second = Attempt::open(&sink, &faults, None, 1, false).unwrap();
    let (finished, hidden) = files(dir.path());
    assert_eq!((finished.len(), hidden.len()), (1, 0), "only what is somebody else's is left");
    second.write(0..3).unwrap();
    second.writer.end().unwrap();
    std::fs::remove_file(dir.path().join("p-somebody-elses")).unwrap();
    assert_eq!(seen(dir.path()), [0, 1, 2]);
}

#[test]
fn a_pending_part_that_is_gone_fails_the_job_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), RollingPolicy::on_checkpoint());
    let mut attempt = open(&sink, None);
    attempt.write([2]).unwrap();
    let state = attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap();
    std::mem::forget(attempt);
    std::fs::remove_file(&files(dir.path()).1[0]).unwrap();
    let faults = Faults::default();
    let error = Attempt::open(&sink, &faults, Some(state.clone()), 1, true).err().unwrap().to_string();
    assert!(error.contains("/even/p-") && error.contains("ignore_missing_pending_files"), "{error}");
    let lenient = sink.ignore_missing_pending_files();
    assert!(Attempt::open(&lenient, &faults, Some(state), 1, true).is_ok());
}

#[test]
fn a_full_disk_and_a_target_that_is_no_directory_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let sink_here = sink(dir.path(), RollingPolicy::default());
    let faults = Faults::default();
    let mut attempt = Attempt::open(&sink_here, &faults, None, 0, true).unwrap();
    attempt.write([2]).unwrap();
    faults.fail_at(1);
    let error = attempt.snapshot(1, SnapshotKind::Checkpoint).unwrap_err().to_string();
    assert!(error.contains("cannot write to test://disk") && error.contains("No space left"), "{error}");
    attempt.close();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Attempt::open(&sink(&file, RollingPolicy::default()), &faults, None, 0, true).err().unwrap();
    assert!(error.to_string().contains("file"), "{error}");
    let outside: ToBucket = |_| "../elsewhere".into();
    let mut escaping = open(&sink_here.with_bucket_assigner(outside), None);
    assert!(escaping.write([1]).unwrap_err().to_string().contains("../elsewhere"));
}
