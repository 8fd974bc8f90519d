//! Checkpoints of jobs that run in this process: failures, restarts, savepoints, another parallelism.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick_core::checkpoint::Redistribution;
use kvick_runtime::element::Batch;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::{Operator, Output};
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{Poll, Source, TaskContext};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const KEYS: i64 = 500;

/// The numbers from 0 on that belong to this subtask, up to an end that the test may move.
#[derive(Clone)]
struct Numbers {
    /// First number, step, next.
    ranges: Vec<(i64, i64, i64)>,
    end: Arc<AtomicI64>,
    pause: Duration,
}

impl Source for Numbers {
    type Out = i64;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let (subtask, step) = (i64::from(context.subtask()), i64::from(context.parallelism));
        self.ranges = context.restored_list("ranges")?;
        if !context.is_restored() {
            self.ranges = vec![(subtask, step, subtask)];
        }
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        let end = self.end.load(Ordering::SeqCst);
        let mut emitted = false;
        for (_, step, next) in &mut self.ranges {
            for _ in 0..50 {
                if *next < end {
                    out.push(*next);
                    *next += *step;
                    emitted = true;
                }
            }
        }
        Ok(if emitted { Poll::Wait(self.pause) } else { Poll::End })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list("ranges", Redistribution::Split, &self.ranges)?)
    }
}

/// Keeps the latest value of each key and emits all at the end.
#[derive(Clone, Default)]
struct Latest(BTreeMap<i64, i64>);

impl Operator for Latest {
    type In = (i64, i64);
    type Out = (i64, i64);

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.0 = context.restored_list("latest")?.into_iter().collect();
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<Self::In>, _out: &mut Output<Self::Out>) -> TaskResult {
        self.0.extend(batch.records.drain(..));
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let all: Vec<(i64, i64)> = self.0.iter().map(|(k, v)| (*k, *v)).collect();
        Ok(snapshot.list("latest", Redistribution::Union, &all)?)
    }

    fn end(&mut self, out: &mut Output<Self::Out>) -> TaskResult {
        self.0.iter().for_each(|(k, v)| out.push((*k, *v)));
        Ok(())
    }
}

/// Counts each key; `disturb` may panic for any number.
fn counts(
    env: &StreamExecutionEnvironment,
    end: &Arc<AtomicI64>,
    disturb: impl Fn(i64) + Clone + Send + 'static,
) -> DataStream<(i64, i64)> {
    let source = Numbers { ranges: Vec::new(), end: Arc::clone(end), pause: Duration::from_micros(300) };
    env.from_source("Numbers", true, move || source.clone())
        .uid("numbers")
        .map(move |n| {
            disturb(n);
            (n % KEYS, 1_i64)
        })
        .key_by(|(key, _)| *key)
        .sum(|(_, count)| count)
        .uid("counts")
        .rebalance()
        .transform("Latest", Latest::default)
        .set_parallelism(1)
        .uid("latest")
}

fn environment(parallelism: u32, directory: &std::path::Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism);
    env.set_option("execution.checkpointing.interval", "20 ms");
    env.set_option("execution.checkpointing.dir", directory.to_str().unwrap());
    env.set_option("execution.checkpointing.savepoint-dir", directory.to_str().unwrap());
    env.set_option("restart-strategy.type", "fixed-delay");
    env.set_option("restart-strategy.fixed-delay.attempts", "100");
    env.set_option("restart-strategy.fixed-delay.delay", "1 ms");
    env
}

fn expected(end: i64) -> Vec<(i64, i64)> {
    (0..KEYS.min(end)).map(|key| (key, (end - key + KEYS - 1) / KEYS)).collect()
}

fn sorted(mut records: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    records.sort_unstable();
    records
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn after_any_number_of_failures_every_record_counts_exactly_once() {
    let directory = tempfile::tempdir().unwrap();
    for (seed, parallelism) in [(11_i64, 1), (23, 2), (37, 3)] {
        let end = Arc::new(AtomicI64::new(60_000));
        let env = environment(parallelism, directory.path());
        // Five places, further on each time; each fails once.
        let next = Arc::new(AtomicI64::new(seed * 100));
        let failing = Arc::clone(&next);
        let stream = counts(&env, &end, move |n| {
            let at = failing.load(Ordering::SeqCst);
            if n >= at && at < 55_000 {
                let moved = at + 7_000 + seed * 37;
                if failing.compare_exchange(at, moved, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    panic!("disturbed at {n}");
                }
            }
        });
        let totals = stream.execute_and_collect("failures").unwrap();
        assert!(next.load(Ordering::SeqCst) >= 55_000, "not all failures happened");
        assert_eq!(sorted(totals), expected(60_000), "parallelism {parallelism}");
    }
}

#[test]
fn a_job_stopped_with_a_savepoint_goes_on_at_any_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let mut savepoint: Option<String> = None;
    for (round, parallelism) in [(1_i64, 2), (2, 3), (3, 1)] {
        let end = Arc::new(AtomicI64::new(i64::MAX));
        let env = environment(parallelism, directory.path());
        if let Some(path) = &savepoint {
            env.set_option("execution.state-recovery.path", path);
        }
        let seen = Arc::new(AtomicI64::new(0));
        let counter = Arc::clone(&seen);
        counts(&env, &end, move |_| drop(counter.fetch_add(1, Ordering::SeqCst))).print_to_nowhere();
        let client = env.execute_async("stopped").unwrap();
        wait_for("records", || seen.load(Ordering::SeqCst) > round * 5_000);
        savepoint = Some(client.stop_with_savepoint(false, None).unwrap());
        client.wait().unwrap();
    }
    let end = Arc::new(AtomicI64::new(200_000));
    let env = environment(2, directory.path());
    env.set_option("execution.state-recovery.path", &savepoint.unwrap());
    let totals = counts(&env, &end, |_| ()).execute_and_collect("to the end").unwrap();
    assert_eq!(sorted(totals), expected(200_000));
}

trait Nowhere {
    fn print_to_nowhere(&self);
}

impl Nowhere for DataStream<(i64, i64)> {
    fn print_to_nowhere(&self) {
        self.filter(|_| false).print();
    }
}

#[test]
fn a_damaged_savepoint_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let end = Arc::new(AtomicI64::new(i64::MAX));
    let env = environment(1, directory.path());
    // Everything into files.
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    let seen = Arc::new(AtomicI64::new(0));
    let counter = Arc::clone(&seen);
    counts(&env, &end, move |_| drop(counter.fetch_add(1, Ordering::SeqCst))).print_to_nowhere();
    let client = env.execute_async("damaged").unwrap();
    wait_for("records", || seen.load(Ordering::SeqCst) > 3_000);
    let savepoint = client.trigger_savepoint(None).unwrap();
    client.cancel().unwrap();
    drop(client.wait());
    let files: Vec<_> = std::fs::read_dir(savepoint.trim_start_matches("file:")).unwrap().flatten().collect();
    let states: Vec<_> =
        files.iter().filter(|f| f.file_name().to_string_lossy().starts_with("state-")).collect();
    assert!(!states.is_empty(), "{files:?}");
    for state in states {
        let mut bytes = std::fs::read(state.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(state.path(), bytes).unwrap();
    }
    let env = environment(1, directory.path());
    env.set_option("restart-strategy.type", "none");
    env.set_option("execution.state-recovery.path", &savepoint);
    counts(&env, &end, |_| ()).print_to_nowhere();
    let error = env.execute("from damage").unwrap_err().to_string();
    assert!(error.contains("is damaged") && error.contains("/state-"), "{error}");
}

/// The completed checkpoints below a directory, oldest first.
fn completed(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let jobs = std::fs::read_dir(directory).unwrap().flatten();
    let each = jobs.flat_map(|job| std::fs::read_dir(job.path()).into_iter().flatten().flatten());
    let mut all: Vec<_> =
        each.map(|entry| entry.path()).filter(|path| path.join("_metadata").exists()).collect();
    all.sort_by_key(|path| path.to_str().unwrap().rsplit('-').next().unwrap().parse::<u64>().unwrap());
    all
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let end = Arc::new(AtomicI64::new(40_000));
    let env = environment(1, directory.path());
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    env.set_option("execution.checkpointing.num-retained", "3");
    let (damaged, place) = (Arc::new(std::sync::Mutex::new(Vec::new())), directory.path().to_path_buf());
    let spoiled = Arc::clone(&damaged);
    let stream = counts(&env, &end, move |n| {
        if n % 100 != 0 {
            return;
        }
        let mut spoiled = spoiled.lock().unwrap();
        let all = completed(&place);
        if spoiled.is_empty() && all.len() >= 3 {
            for checkpoint in &all[1..] {
                for file in std::fs::read_dir(checkpoint).unwrap().flatten() {
                    if file.file_name() != "_metadata" {
                        std::fs::write(file.path(), b"spoiled").unwrap();
                    }
                }
                spoiled.push(checkpoint.clone());
            }
            drop(spoiled);
            panic!("now restore");
        }
    });
    let totals = stream.execute_and_collect("damage").unwrap();
    assert_eq!(sorted(totals), expected(40_000));
    let damaged = damaged.lock().unwrap();
    assert!(damaged.iter().any(|path| path.exists()), "nobody met the damage: {damaged:?}");
}
