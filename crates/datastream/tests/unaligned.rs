//! Unaligned checkpoints of jobs that run in this process: under backpressure, with failures, at another parallelism.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::window::TumblingEventTimeWindows;
use kvick::{JobClient, Sink};
use kvick_core::checkpoint::{CheckpointMetadata, Redistribution};
use kvick_runtime::element::Batch;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::Output;
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{Poll, Source, TaskContext};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The numbers below `end`, each once: a subtask begins with those that have its remainder.
#[derive(Clone)]
struct Numbers {
    /// Step, next.
    ranges: Vec<(i64, i64)>,
    end: i64,
}

impl Source for Numbers {
    type Out = i64;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.ranges = context.restored_list("ranges")?;
        if !context.is_restored() {
            self.ranges = vec![(i64::from(context.parallelism), i64::from(context.subtask()))];
        }
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        let mut more = false;
        for (step, next) in &mut self.ranges {
            for _ in 0..256 {
                if *next < self.end {
                    out.set_timestamp(Some(*next));
                    out.push(*next);
                    *next += *step;
                    more = true;
                }
            }
        }
        Ok(if more { Poll::More } else { Poll::End })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list("ranges", Redistribution::Split, &self.ranges)?)
    }
}

/// How a job is disturbed.
#[derive(Clone, Default)]
struct Brake {
    /// Microseconds that the slow operator spends on a record.
    micros: Arc<AtomicU64>,
    /// Records that it has seen in all.
    seen: Arc<AtomicU64>,
    /// Lets it fail once.
    fails: Arc<AtomicBool>,
}

impl Brake {
    fn slow(micros: u64) -> Brake {
        Brake { micros: Arc::new(AtomicU64::new(micros)), ..Brake::default() }
    }

    fn release(&self) {
        self.micros.store(0, Ordering::SeqCst);
    }

    /// What the slow operator does with each record.
    fn apply(&self) {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let micros = self.micros.load(Ordering::SeqCst);
        if micros > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        }
        assert!(!self.fails.swap(false, Ordering::SeqCst), "as the test wants it");
    }
}

const KEYS: i64 = 64;

/// Numbers → by key: how many of each, and of which the last → in one place: the last count of each key, as a map.
fn job(env: &StreamExecutionEnvironment, end: i64, brake: &Brake) -> DataStream<(i64, i64)> {
    let (source, brake) = (Numbers { ranges: Vec::new(), end }, brake.clone());
    env.from_source("Numbers", true, move || source.clone())
        .uid("numbers")
        .map(|n| (n % KEYS, 1_i64))
        .key_by(|(key, _)| *key)
        .sum(|(_, count)| count)
        .uid("counts")
        .map(move |record| {
            brake.apply();
            record
        })
        .key_by(|(key, _)| *key)
        .max(|(_, count)| count)
        .uid("largest")
}

fn environment(parallelism: u32, directory: &Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism);
    env.set_option("execution.checkpointing.dir", directory.to_str().unwrap());
    env.set_option("execution.checkpointing.savepoint-dir", directory.to_str().unwrap());
    env.set_option("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    env.set_option("restart-strategy.type", "fixed-delay");
    env.set_option("restart-strategy.fixed-delay.attempts", "100");
    env.set_option("restart-strategy.fixed-delay.delay", "1 ms");
    env
}

fn wait_for(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "{what} within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// The newest completed checkpoint in a directory, with what it consists of.
fn newest(directory: &Path) -> Option<(PathBuf, CheckpointMetadata)> {
    let jobs = std::fs::read_dir(directory).ok()?.flatten();
    let checkpoints = jobs.flat_map(|job| std::fs::read_dir(job.path()).into_iter().flatten().flatten());
    let read = |path: PathBuf| {
        let bytes = std::fs::read(path.join("_metadata")).ok()?;
        Some((path, CheckpointMetadata::decode(&bytes).ok()?))
    };
    checkpoints.filter_map(|entry| read(entry.path())).max_by_key(|(_, metadata)| metadata.checkpoint)
}

fn in_flight(metadata: &CheckpointMetadata) -> u64 {
    let subtasks = metadata.operators.iter().flat_map(|operator| operator.subtasks.values());
    subtasks.flat_map(|state| &state.channels).map(|channel| channel.handle.bytes()).sum()
}

/// The final count of each key.
fn expected(end: i64) -> Vec<(i64, i64)> {
    (0..KEYS).map(|key| (key, (end - key + KEYS - 1) / KEYS)).collect()
}

/// What has reached the end of a job.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(i64, i64)>>>);

impl Sink<(i64, i64)> for Seen {
    fn write(&mut self, batch: &mut Batch<(i64, i64)>) -> TaskResult {
        self.0.lock().unwrap().append(&mut batch.records);
        Ok(())
    }
}

impl Seen {
    /// The largest count of each key.
    fn largest(&self) -> Vec<(i64, i64)> {
        let mut largest = BTreeMap::new();
        for (key, count) in self.0.lock().unwrap().iter() {
            let known = largest.entry(*key).or_insert(*count);
            *known = (*known).max(*count);
        }
        largest.into_iter().collect()
    }
}

fn start(env: &StreamExecutionEnvironment, end: i64, brake: &Brake, seen: &Seen) -> JobClient {
    let sink = seen.clone();
    job(env, end, brake).sink_to("seen", move || sink.clone());
    env.execute_async("unaligned").unwrap()
}

fn unaligned(env: &StreamExecutionEnvironment, timeout: &str) {
    env.set_option("execution.checkpointing.interval", "50 ms");
    env.set_option("execution.checkpointing.unaligned.enabled", "true");
    env.set_option("execution.checkpointing.aligned-checkpoint-timeout", timeout);
}

/// With this much time for each record the records between two tasks take far longer than any test waits.
const SLOW: u64 = 20_000;
const SOON: Duration = Duration::from_secs(30);

/// Waits for a checkpoint with records in flight.
fn overtaken(directory: &Path) -> (PathBuf, CheckpointMetadata) {
    let mut found = None;
    wait_for("an unaligned checkpoint", SOON, || {
        found = newest(directory).filter(|(_, metadata)| in_flight(metadata) > 0);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_slow_consumer_holds_up_aligned_checkpoints_and_not_unaligned_ones() {
    let (aligned, overtaking) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (brake, end) = (Brake::slow(SLOW), 300_000);
    let waiting = environment(2, aligned.path());
    waiting.set_option("execution.checkpointing.interval", "50 ms");
    let held_up = Brake::slow(SLOW);
    let waits = start(&waiting, end, &held_up, &Seen::default());
    wait_for("records to wait for", SOON, || held_up.seen.load(Ordering::SeqCst) > 20);
    let taken = || newest(aligned.path()).map_or(0, |(_, metadata)| metadata.checkpoint);
    let (at_first, began) = (taken(), Instant::now());
    for timeout in ["0", "200 ms"] {
        let seen = Seen::default();
        let env = environment(2, overtaking.path());
        unaligned(&env, timeout);
        let quick = start(&env, end, &brake, &seen);
        overtaken(overtaking.path());
        brake.fails.store(true, Ordering::SeqCst);
        wait_for("the failure", SOON, || !brake.fails.load(Ordering::SeqCst));
        let before = brake.seen.load(Ordering::SeqCst);
        wait_for("the restart", SOON, || brake.seen.load(Ordering::SeqCst) > before + 20);
        brake.release();
        quick.wait().unwrap();
        assert_eq!(seen.largest(), expected(end), "time to align: {timeout}");
        brake.micros.store(SLOW, Ordering::SeqCst);
        if timeout == "0" {
            let several = Duration::from_millis(300);
            wait_for("time for several of them", SOON, || began.elapsed() > several);
            // One may have been on its way before there were records to wait for.
            let more = taken() - at_first;
            assert!(more <= 1, "aligned checkpoints waited for nothing: {more} in {:?}", began.elapsed());
            waits.cancel().unwrap();
        }
        std::fs::remove_dir_all(overtaking.path()).unwrap();
    }
}

#[test]
fn records_in_flight_are_restored_at_any_parallelism() {
    let end = 200_000;
    for (from, to) in [(2, 2), (2, 3), (3, 1)] {
        let directory = tempfile::tempdir().unwrap();
        let (brake, seen) = (Brake::slow(SLOW), Seen::default());
        let env = environment(from, directory.path());
        unaligned(&env, "0");
        let client = start(&env, end, &brake, &seen);
        let (_, first) = overtaken(directory.path());
        // What can be seen need not count yet, and would not be kept then: another one says that it does.
        wait_for("a later one", SOON, || {
            newest(directory.path())
                .is_some_and(|(_, m)| m.checkpoint > first.checkpoint && in_flight(&m) > 0)
        });
        client.cancel().unwrap();
        let _ = client.wait();
        let (path, metadata) = overtaken(directory.path());
        assert!(in_flight(&metadata) > 0);
        let env = environment(to, directory.path());
        // Those that were in flight are restored by a job without unaligned checkpoints, too.
        if to != 3 {
            unaligned(&env, "0");
        }
        env.set_option("execution.state-recovery.path", path.to_str().unwrap());
        brake.release();
        start(&env, end, &brake, &seen).wait().unwrap();
        assert_eq!(seen.largest(), expected(end), "{from} to {to}");
    }
}

/// Waits for a checkpoint of a job whose source has finished, with records in flight.
fn after_the_source(directory: &Path) {
    wait_for("a checkpoint after the source has finished", SOON, || {
        let finished = |metadata: &CheckpointMetadata| {
            metadata.operators.iter().any(|o| o.uid.as_deref() == Some("numbers") && o.finished)
        };
        newest(directory).is_some_and(|(_, metadata)| finished(&metadata) && in_flight(&metadata) > 0)
    });
}

#[test]
fn what_a_finished_source_has_left_in_flight_is_restored_with_the_end_of_event_time() {
    let (end, width) = (2_000, 500);
    let directory = tempfile::tempdir().unwrap();
    let (brake, seen) = (Brake::slow(SLOW), Seen::default());
    let env = environment(2, directory.path());
    unaligned(&env, "0");
    let (source, slow, sink) = (Numbers { ranges: Vec::new(), end }, brake.clone(), seen.clone());
    let numbers = env.from_source("Numbers", true, move || source.clone()).uid("numbers");
    let slowed = numbers.rebalance().map(move |n| {
        slow.apply();
        (n % KEYS, 1_i64)
    });
    let windows = slowed.key_by(|(key, _)| *key);
    let windows = windows.window(TumblingEventTimeWindows::of(Duration::from_millis(width)));
    windows.sum(|(_, count)| count).sink_to("seen", move || sink.clone());
    let client = env.execute_async("ended").unwrap();
    after_the_source(directory.path());
    brake.fails.store(true, Ordering::SeqCst);
    wait_for("the failure", SOON, || !brake.fails.load(Ordering::SeqCst));
    brake.release();
    client.wait().unwrap();
    let mut counts = BTreeMap::<i64, Vec<i64>>::new();
    seen.0.lock().unwrap().iter().for_each(|(key, count)| counts.entry(*key).or_default().push(*count));
    for (key, counts) in &counts {
        let in_window =
            |n: i64| (n * width as i64..(n + 1) * width as i64).filter(|n| n % KEYS == *key).count();
        let expected: Vec<i64> = (0..end / width as i64).map(|n| in_window(n) as i64).collect();
        assert_eq!(*counts, expected, "the windows of key {key}, in order");
    }
    assert_eq!(counts.len(), KEYS as usize);
}
