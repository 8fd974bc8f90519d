//! Unaligned checkpoints of jobs that run in this process: under backpressure, with failures, at another parallelism.

#![allow(clippy::unwrap_used)]

use kvick::JobClient;
use kvick::prelude::*;
use kvick_core::checkpoint::{CheckpointMetadata, Redistribution};
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::Output;
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{Poll, Source, TaskContext};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

fn largest(records: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    let mut largest = std::collections::BTreeMap::new();
    for (key, count) in records {
        let known = largest.entry(key).or_insert(count);
        *known = count.max(*known);
    }
    largest.into_iter().collect()
}

fn start(env: &StreamExecutionEnvironment, end: i64, brake: &Brake) -> (JobClient, CollectedRecords) {
    let collected = collect(&job(env, end, brake));
    (env.execute_async("unaligned").unwrap(), collected)
}
