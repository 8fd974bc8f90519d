//! The life of part files: each step of it, and thousands of seeded schedules of everything that can go wrong.

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
    BarrierAlignment, NamedState, SavepointFormat, SnapshotKind, SnapshotTarget, SubtaskState, TaskRestore,
};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_filesystem::local::LocalFileSystem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unreliable::{Faults, Unreliable};

type ToBucket = fn(&u64) -> String;
type Writer = TwoPhase<u64, FileSinkWriter<TextEncoder, ToBucket>>;

const SAVEPOINT: SnapshotKind = SnapshotKind::Savepoint { format: SavepointFormat::Canonical };

fn by_parity(record: &u64) -> String {
    if record % 2 == 0 { "even".into() } else { "odd/deep".into() }
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
            let restore = TaskRestore { checkpoint: 1, directory: None, finished: false, operators };
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

/// A small source of decisions: the schedule of a seed is always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A job of one source and one or more file sinks, its coordinator, and everything that may happen to them.
struct World {
    dice: Dice,
    sink: FileSink<TextEncoder, ToBucket>,
    faults: Faults,
    subtasks: Vec<Attempt>,
    /// Killed, and perhaps still alive.
    zombies: Vec<Attempt>,
    attempt: u32,
    next_record: u64,
    next_checkpoint: u64,
    /// Taken and not yet complete: states and the next record.
    pending: BTreeMap<u64, (Vec<SubtaskState>, u64)>,
    completed: Option<(Vec<SubtaskState>, u64)>,
}

impl World {
    fn new(seed: u64, directory: &Path) -> World {
        let mut dice = Dice(seed);
        let policy = match dice.roll(3) {
            0 => RollingPolicy::on_checkpoint(),
            1 => RollingPolicy::default().with_max_part_size(40),
            _ => RollingPolicy::default().with_max_part_size(200),
        };
        World {
            dice,
            sink: sink(directory, policy),
            faults: Faults::default(),
            subtasks: Vec::new(),
            zombies: Vec::new(),
            attempt: 0,
            next_record: 0,
            next_checkpoint: 1,
            pending: BTreeMap::new(),
            completed: None,
        }
    }

    /// Starts the job from its last completed checkpoint, until that succeeds.
    fn start(&mut self) {
        self.pending.clear();
        let mut last = None;
        for _ in 0..100 {
            let parallelism = 1 + self.dice.roll(3) as usize;
            match self.open(parallelism) {
                Ok(subtasks) => {
                    self.subtasks = subtasks;
                    self.next_record = self.completed.as_ref().map_or(0, |(_, next)| *next);
                    return;
                }
                Err(error) => {
                    self.attempt += 1;
                    last = Some(error);
                }
            }
        }
        panic!("the job does not start any more: {last:?}");
    }

    fn open(&mut self, parallelism: usize) -> TaskResult<Vec<Attempt>> {
        let mut all = Vec::new();
        for index in 0..parallelism {
            let state = self.completed.as_ref().map(|(states, _)| deal(states, index, parallelism));
            let opened = Attempt::open(&self.sink, &self.faults, state, self.attempt, true);
            match opened {
                Ok(one) => all.push(one),
                Err(error) => {
                    all.into_iter().for_each(Attempt::close);
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    fn crash(&mut self) {
        let killed = self.dice.roll(2) == 0;
        for subtask in std::mem::take(&mut self.subtasks) {
            if killed { self.zombies.push(subtask) } else { subtask.close() }
        }
        self.attempt += 1;
        self.start();
    }

    fn step(&mut self) {
        if self.dice.roll(8) == 0 {
            self.faults.fail_at(1 + self.dice.roll(12) as i64);
        }
        let outcome = match self.dice.roll(12) {
            0..6 => self.write(),
            6..8 => self.take_snapshot(SnapshotKind::Checkpoint),
            8 => self.take_snapshot(SAVEPOINT),
            9 | 10 => self.complete(),
            _ => {
                self.crash();
                Ok(())
            }
        };
        if outcome.is_err() {
            self.crash();
        }
        self.haunt();
    }

    /// Zombies write on until they notice.
    fn haunt(&mut self) {
        if let Some(zombie) = self.zombies.last_mut()
            && self.dice.roll(3) == 0
        {
            let _ = zombie.write([1_000_000, 1_000_001]);
            let _ = zombie.snapshot(u64::MAX - 1, SnapshotKind::Checkpoint);
        }
    }

    fn write(&mut self) -> TaskResult {
        let count = 1 + self.dice.roll(12);
        for record in self.next_record..self.next_record + count {
            let subtask = self.dice.roll(self.subtasks.len() as u64) as usize;
            self.subtasks[subtask].write([record])?;
        }
        self.next_record += count;
        Ok(())
    }

    fn take_snapshot(&mut self, kind: SnapshotKind) -> TaskResult {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let states =
            self.subtasks.iter_mut().map(|s| s.snapshot(id, kind)).collect::<TaskResult<Vec<_>>>()?;
        match (kind, self.dice.roll(6)) {
            (SnapshotKind::Checkpoint, 0) => {
                self.subtasks.iter_mut().for_each(|s| s.writer.checkpoint_aborted(id))
            }
            (SnapshotKind::Checkpoint, _) => drop(self.pending.insert(id, (states, self.next_record))),
            _ => self.subtasks.iter_mut().try_for_each(|s| s.writer.checkpoint_complete(id))?,
        }
        Ok(())
    }

    /// The oldest pending checkpoint becomes durable; not every subtask hears of it.
    fn complete(&mut self) -> TaskResult {
        let Some((id, state)) = self.pending.pop_first() else { return Ok(()) };
        self.completed = Some(state);
        for subtask in &mut self.subtasks {
            if self.dice.roll(5) > 0 {
                subtask.writer.checkpoint_complete(id)?;
            }
        }
        Ok(())
    }

    /// The input ends: a last checkpoint contains that.
    fn finish(&mut self) {
        for _ in 0..200 {
            let ended = self.subtasks.iter_mut().try_for_each(|subtask| subtask.writer.end());
            let taken = ended.and_then(|()| self.take_last());
            if taken.is_ok() {
                return;
            }
            self.crash();
        }
        panic!("the job does not end");
    }

    fn take_last(&mut self) -> TaskResult {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let mut states = Vec::new();
        for subtask in &mut self.subtasks {
            states.push(subtask.snapshot(id, SnapshotKind::Checkpoint)?);
        }
        self.completed = Some((states, self.next_record));
        self.subtasks.iter_mut().try_for_each(|subtask| subtask.writer.checkpoint_complete(id))
    }
}

/// As the coordinator deals out list state: evenly, element by element.
fn deal(states: &[SubtaskState], subtask: usize, parallelism: usize) -> SubtaskState {
    let mut own = SubtaskState::default();
    let names: BTreeSet<&String> = states.iter().flat_map(|s| &s.operator).map(|named| &named.name).collect();
    for name in names {
        let parts = states.iter().flat_map(|s| &s.operator).filter(|named| named.name == *name);
        let one = |part: &NamedState, piece| NamedState { elements: vec![piece], ..part.clone() };
        let all: Vec<NamedState> =
            parts.flat_map(|part| part.elements.iter().map(move |piece| one(part, *piece))).collect();
        let cut = |i: usize| all.len() * i / parallelism;
        own.operator.extend_from_slice(&all[cut(subtask)..cut(subtask + 1)]);
    }
    own
}

#[test]
fn whatever_fails_readers_see_every_record_exactly_once() {
    let (mut faults, mut crashes) = (0, 0);
    for seed in 0..150 {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(seed, dir.path());
        world.start();
        for _ in 0..60 {
            world.step();
            // Never too much, and never from the future of a checkpoint.
            let visible = seen(dir.path());
            let durable = world.completed.as_ref().map_or(0, |(_, next)| *next);
            assert!(visible.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: twice in {visible:?}");
            assert!(visible.iter().all(|record| *record < durable), "seed {seed}: {visible:?} of {durable}");
        }
        world.faults.fail_at(0);
        world.finish();
        let visible = seen(dir.path());
        assert!(
            visible.iter().copied().eq(0..world.next_record),
            "seed {seed}: {visible:?} of {}",
            world.next_record
        );
        faults += world.faults.happened();
        crashes += world.attempt;
    }
    assert!(faults > 150 && crashes > 500, "{faults} faults, {crashes} crashes: the schedules are too kind");
}
