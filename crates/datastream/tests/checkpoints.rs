//! Checkpoints of jobs that run in this process: failures, restarts, savepoints, another parallelism.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::{JobClient, Sink};
use kvick_core::checkpoint::Redistribution;
use kvick_runtime::element::Batch;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::{Operator, Output};
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{Poll, Source, TaskContext};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KEYS: i64 = 500;

/// The numbers from 0 on that belong to this subtask, up to an end that the test may move.
#[derive(Clone)]
struct Numbers {
    /// First number, step, next.
    ranges: Vec<(i64, i64, i64)>,
    end: Arc<AtomicI64>,
    /// Where the source stays for the time being, without ending.
    halt: i64,
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
        let limit = end.min(self.halt);
        let mut emitted = false;
        for (_, step, next) in &mut self.ranges {
            for _ in 0..50 {
                if *next < limit {
                    out.push(*next);
                    *next += *step;
                    emitted = true;
                }
            }
        }
        // A subtask without numbers does not end either where there is no end.
        Ok(if emitted || end == i64::MAX { Poll::Wait(self.pause) } else { Poll::End })
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
    counts_with_halt(env, end, i64::MAX, disturb)
}

/// The same of a source that stays at `halt`.
fn counts_with_halt(
    env: &StreamExecutionEnvironment,
    end: &Arc<AtomicI64>,
    halt: i64,
    disturb: impl Fn(i64) + Clone + Send + 'static,
) -> DataStream<(i64, i64)> {
    let source =
        Numbers { ranges: Vec::new(), end: Arc::clone(end), halt, pause: Duration::from_micros(300) };
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
    // Records must not wait in buffers: what a barrier does to those around it is what is tested.
    env.set_buffer_timeout(0);
    env.set_option("execution.checkpointing.interval", "20 ms");
    // The same tests serve for the backend that is a plugin (`scripts/test.sh plugins`).
    if let Ok(backend) = std::env::var("KVICK_TEST_STATE_BACKEND") {
        env.set_option("state.backend.type", &backend);
    }
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

/// Stops a job with a savepoint, as soon as all of its tasks run.
fn stop(client: &JobClient, drain: bool) -> String {
    let mut savepoint = None;
    wait_for("all tasks to run", || match client.stop_with_savepoint(drain, None) {
        Ok(path) => savepoint.replace(path).is_none(),
        Err(error) => {
            assert!(error.to_string().contains("Not all required tasks"), "{error}");
            false
        }
    });
    savepoint.unwrap()
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
            // Every other subtask lags behind, and its barriers with it.
            if n % 2 == 1 && n % 51 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
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
        counts(&env, &end, move |_| _ = counter.fetch_add(1, Ordering::SeqCst)).print_to_nowhere();
        let client = env.execute_async("stopped").unwrap();
        wait_for("records", || seen.load(Ordering::SeqCst) > round * 5_000);
        savepoint = Some(stop(&client, false));
        client.wait().unwrap();
    }
    let end = Arc::new(AtomicI64::new(200_000));
    let env = environment(2, directory.path());
    env.set_option("execution.state-recovery.path", &savepoint.unwrap());
    let totals = counts(&env, &end, |_| ()).execute_and_collect("to the end").unwrap();
    assert_eq!(sorted(totals), expected(200_000));
}

/// For so many subtasks that what they cost counts.
fn wide_environment(parallelism: u32, directory: &std::path::Path) -> StreamExecutionEnvironment {
    let env = environment(parallelism, directory);
    env.set_buffer_timeout(20).set_option("execution.checkpointing.interval", "1 h");
    env
}

/// Counts on from a savepoint up to 20,000, where the maximum parallelism is given or not.
fn counted_from(
    savepoint: &str,
    parallelism: u32,
    max: Option<u32>,
    directory: &std::path::Path,
) -> Result<Vec<(i64, i64)>, JobError> {
    let env = wide_environment(parallelism, directory);
    env.set_option("execution.state-recovery.path", savepoint);
    max.iter().for_each(|max| _ = env.set_max_parallelism(*max));
    let end = Arc::new(AtomicI64::new(20_000));
    counts(&env, &end, |_| ()).execute_and_collect("counted on").map(sorted)
}

/// A savepoint of the counts, taken at a parallelism from nothing or from another one.
fn savepoint_at(parallelism: u32, from: Option<&str>, halt: i64, directory: &std::path::Path) -> String {
    let env = wide_environment(parallelism, directory);
    from.iter().for_each(|path| _ = env.set_option("execution.state-recovery.path", path));
    let (end, seen) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(AtomicI64::new(0)));
    let counter = Arc::clone(&seen);
    // Many subtasks take their time to stop; the numbers must not run out meanwhile.
    counts_with_halt(&env, &end, halt, move |_| _ = counter.fetch_add(1, Ordering::SeqCst))
        .print_to_nowhere();
    let client = env.execute_async("stopped").unwrap();
    wait_for("records", || seen.load(Ordering::SeqCst) > 1_000);
    let savepoint = stop(&client, false);
    client.wait().unwrap();
    savepoint
}

#[test]
fn the_maximum_parallelism_is_that_of_the_savepoint_unless_it_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // 2 subtasks have 128 key groups where nobody says otherwise, 100 have 256.
    let narrow = savepoint_at(2, None, 5_000, directory);
    let wide = savepoint_at(100, Some(&narrow), 15_000, directory);
    assert_eq!(counted_from(&wide, 2, None, directory).unwrap(), expected(20_000));
    assert_eq!(counted_from(&wide, 3, Some(128), directory).unwrap(), expected(20_000));
    let said = counted_from(&narrow, 2, Some(256), directory).unwrap_err().to_string();
    assert!(said.contains("(128)") && said.contains("(256)") && said.contains("Keyed Aggregation"), "{said}");
    let said = counted_from(&narrow, 129, None, directory).unwrap_err().to_string();
    assert!(said.contains("(128)") && said.contains("(129)") && said.contains("Keyed Aggregation"), "{said}");
}

/// Records that reached the end of a job, and the checkpoints that were committed there.
#[derive(Clone, Default)]
struct Seen {
    records: Arc<Mutex<Vec<(i64, i64)>>>,
    committed: Arc<AtomicI64>,
    prepared: Vec<(u64, usize)>,
}

impl Sink<(i64, i64)> for Seen {
    fn write(&mut self, batch: &mut Batch<(i64, i64)>) -> TaskResult {
        self.records.lock().unwrap().append(&mut batch.records);
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.prepared.push((snapshot.checkpoint(), self.records.lock().unwrap().len()));
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        let done: Vec<_> = self.prepared.extract_if(.., |(id, _)| *id <= checkpoint).collect();
        if let Some((_, records)) = done.last() {
            self.committed.fetch_max(*records as i64, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[test]
fn draining_lets_operators_finish_before_the_savepoint_and_not_draining_does_not() {
    let directory = tempfile::tempdir().unwrap();
    for drain in [true, false] {
        let end = Arc::new(AtomicI64::new(i64::MAX));
        let env = environment(2, directory.path());
        let (seen, counter) = (Seen::default(), Arc::new(AtomicI64::new(0)));
        let (sink, counted) = (seen.clone(), Arc::clone(&counter));
        let stream = counts(&env, &end, move |_| _ = counted.fetch_add(1, Ordering::SeqCst));
        stream.sink_to("seen", move || sink.clone());
        let client = env.execute_async("drained").unwrap();
        wait_for("records", || counter.load(Ordering::SeqCst) > 5_000);
        stop(&client, drain);
        client.wait().unwrap();
        let total: i64 = seen.records.lock().unwrap().iter().map(|(_, count)| count).sum();
        let expected = if drain { counter.load(Ordering::SeqCst) } else { 0 };
        assert_eq!(total, expected, "drain: {drain}");
        let committed = seen.committed.load(Ordering::SeqCst) as usize;
        assert_eq!(committed, seen.records.lock().unwrap().len(), "drain: {drain}");
    }
}

#[test]
fn what_a_bounded_job_writes_last_is_committed_by_its_final_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let end = Arc::new(AtomicI64::new(20_000));
    let env = environment(2, directory.path());
    // No periodic one in time: only the final one.
    env.set_option("execution.checkpointing.interval", "1 h");
    let seen = Seen::default();
    let sink = seen.clone();
    counts(&env, &end, |_| ()).sink_to("seen", move || sink.clone());
    env.execute("final").unwrap();
    assert_eq!(sorted(seen.records.lock().unwrap().clone()), expected(20_000));
    assert_eq!(seen.committed.load(Ordering::SeqCst), KEYS);
}

#[test]
fn a_source_that_had_finished_is_not_read_again_and_a_slow_consumer_blocks_nobody_for_ever() {
    for mode in ["EXACTLY_ONCE", "AT_LEAST_ONCE"] {
        let directory = tempfile::tempdir().unwrap();
        let env = environment(2, directory.path());
        env.set_option("execution.checkpointing.mode", mode);
        env.set_option("taskmanager.network.memory.buffers-per-channel", "1");
        env.set_option("taskmanager.network.memory.floating-buffers-per-gate", "0");
        let (short, long) = (Arc::new(AtomicI64::new(2_000)), Arc::new(AtomicI64::new(30_000)));
        let source = |end: &Arc<AtomicI64>| {
            let pause = Duration::from_micros(200);
            let numbers = Numbers { ranges: Vec::new(), end: Arc::clone(end), halt: i64::MAX, pause };
            env.from_source("Numbers", true, move || numbers.clone())
        };
        let both = source(&short).uid("short").union(&[&source(&long).uid("long")]);
        let fails = Arc::new(AtomicI64::new(if mode == "EXACTLY_ONCE" { 3 } else { 0 }));
        let totals = both
            .rebalance()
            .map(move |n| {
                if n % 97 == 0 {
                    std::thread::sleep(Duration::from_micros(100));
                }
                if n > 20_000 && n % 1_000 == 1 && fails.fetch_sub(1, Ordering::SeqCst) > 0 {
                    panic!("disturbed at {n}");
                }
                (n % KEYS, 1_i64)
            })
            .key_by(|(key, _)| *key)
            .sum(|(_, count)| count)
            .rebalance()
            .transform("Latest", Latest::default)
            .set_parallelism(1)
            .execute_and_collect("union")
            .unwrap();
        let both: Vec<_> = expected(2_000).into_iter().zip(expected(30_000)).collect();
        assert_eq!(sorted(totals), both.iter().map(|(a, b)| (a.0, a.1 + b.1)).collect::<Vec<_>>(), "{mode}");
    }
}

#[test]
fn what_a_finished_part_of_a_job_has_collected_survives_a_restart_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let env = environment(2, directory.path());
    let (short, long) = (Arc::new(AtomicI64::new(1_000)), Arc::new(AtomicI64::new(200_000)));
    let source = |end: &Arc<AtomicI64>| {
        let pause = Duration::from_micros(500);
        let numbers = Numbers { ranges: Vec::new(), end: Arc::clone(end), halt: i64::MAX, pause };
        env.from_source("Numbers", true, move || numbers.clone())
    };
    let few = source(&short).uid("short");
    // One region, so that what has finished starts again with what fails.
    let fails = Arc::new(AtomicI64::new(3));
    let (left, begun) = (Arc::clone(&fails), Instant::now());
    few.rebalance()
        .union(&[&source(&long).uid("long")])
        .rebalance()
        .map(move |n| {
            if begun.elapsed() > Duration::from_millis(600) && left.fetch_sub(1, Ordering::SeqCst) > 0 {
                panic!("disturbed at {n}");
            }
            (n, 0)
        })
        .print_to_nowhere();
    let mut collected = few.map(|n| n).execute_and_collect("finished early").unwrap();
    collected.sort_unstable();
    assert!(fails.load(Ordering::SeqCst) <= 0, "not all failures happened");
    assert_eq!(collected, (0..1_000).collect::<Vec<_>>());
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
    counts(&env, &end, move |_| _ = counter.fetch_add(1, Ordering::SeqCst)).print_to_nowhere();
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

#[test]
fn a_checkpoint_that_cannot_be_written_fails_the_job_and_names_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, b"in the way").unwrap();
    let end = Arc::new(AtomicI64::new(i64::MAX));
    let env = environment(1, &blocked);
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    env.set_option("restart-strategy.type", "none");
    counts(&env, &end, |_| ()).print_to_nowhere();
    let error = env.execute("blocked").unwrap_err().to_string();
    assert!(error.contains("tolerable failure threshold"), "{error}");
    assert!(error.contains("cannot write state to") && error.contains("/file/"), "{error}");
}

#[test]
fn state_too_large_for_the_application_master_says_what_to_configure() {
    let directory = tempfile::tempdir().unwrap();
    let env = environment(1, directory.path());
    env.set_option("execution.checkpointing.storage", "jobmanager");
    env.set_option("restart-strategy.type", "none");
    let end = Arc::new(AtomicI64::new(i64::MAX));
    let source = Numbers { ranges: Vec::new(), end, halt: i64::MAX, pause: Duration::ZERO };
    env.from_source("Numbers", true, move || source.clone())
        .map(|n| (n, "x".repeat(1_000)))
        .key_by(|(n, _)| *n)
        .reduce(|a, _| a)
        .filter(|_| false)
        .print();
    let error = env.execute("too large").unwrap_err().to_string();
    assert!(error.contains("5242880 bytes") && error.contains("execution.checkpointing.dir"), "{error}");
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

/// Spoils the files of checkpoints, but not what says which they are.
fn spoil(directory: &std::path::Path) {
    for file in std::fs::read_dir(directory).unwrap().flatten() {
        if file.file_name() != "_metadata" {
            std::fs::write(file.path(), b"spoiled").unwrap();
        }
    }
}

/// Whether the job met the damage that was done to its last two checkpoints while it ran.
fn falls_back() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let end = Arc::new(AtomicI64::new(40_000));
    let env = environment(1, directory.path());
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    env.set_option("execution.checkpointing.num-retained", "4");
    let (damaged, place) = (Arc::new(std::sync::Mutex::new(Vec::new())), directory.path().to_path_buf());
    let spoiled = Arc::clone(&damaged);
    let stream = counts(&env, &end, move |n| {
        if n % 100 != 0 {
            return;
        }
        let mut spoiled = spoiled.lock().unwrap();
        let all = completed(&place);
        // A newer one may have been on its way: then the damage is not met, and what is damaged goes by itself.
        if !spoiled.iter().any(|path: &std::path::PathBuf| path.exists()) && all.len() >= 3 {
            spoiled.clear();
            // The oldest may be about to go.
            for checkpoint in &all[all.len() - 2..] {
                spoil(checkpoint);
                spoiled.push(checkpoint.clone());
            }
            drop(spoiled);
            panic!("now restore");
        }
    });
    let totals = stream.execute_and_collect("damage").unwrap();
    assert_eq!(sorted(totals), expected(40_000));
    damaged.lock().unwrap().iter().any(|path| path.exists())
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    // A job may come to its end before it has taken three checkpoints, or while a newer one replaces the damaged ones.
    assert!((0..10).any(|_| falls_back()), "nobody met the damage");
}

/// Whether a job was restored from a checkpoint whose files were spoiled, and of which nothing is right but its local copies.
fn restores_from_copies() -> bool {
    let (directory, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let end = Arc::new(AtomicI64::new(40_000));
    let env = environment(2, directory.path());
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    env.set_option("execution.checkpointing.incremental", "true");
    env.set_option("execution.state-recovery.from-local", "true");
    env.set_option("taskmanager.state.local.root-dirs", local.path().to_str().unwrap());
    let place = directory.path().to_path_buf();
    let spoiled: Arc<Mutex<Option<std::path::PathBuf>>> = Arc::default();
    let (met, known) = (Arc::new(AtomicI64::new(0)), Arc::clone(&spoiled));
    let counted = Arc::clone(&met);
    let stream = counts(&env, &end, move |n| {
        if n % 100 > 1 {
            return;
        }
        let mut known = known.lock().unwrap();
        let newest = completed(&place).pop();
        match (known.take(), newest) {
            // Nothing newer is there: this is what the job was restored from.
            (Some(before), newest) if newest.as_ref() == Some(&before) => {
                _ = counted.fetch_add(1, Ordering::SeqCst)
            }
            (None, Some(newest)) if counted.load(Ordering::SeqCst) == 0 => {
                spoil(&newest);
                let shared = newest.parent().unwrap().join("shared");
                if shared.exists() {
                    spoil(&shared);
                }
                *known = Some(newest);
                drop(known);
                panic!("now restore");
            }
            _ => {}
        }
    });
    let totals = stream.execute_and_collect("local").unwrap();
    assert_eq!(sorted(totals), expected(40_000));
    let left: Vec<_> = std::fs::read_dir(local.path().join("kvick-local-state")).unwrap().flatten().collect();
    assert!(left.is_empty(), "local copies outlive their job: {left:?}");
    met.load(Ordering::SeqCst) > 0
}

#[test]
fn a_job_is_restored_from_local_copies_whatever_became_of_the_checkpoint() {
    assert!((0..10).any(|_| restores_from_copies()), "no job was restored from what was spoiled");
}
