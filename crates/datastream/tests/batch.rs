//! Batch mode: results that are kept until they are whole, recovery of the regions concerned, one key after the other.

#![allow(clippy::unwrap_used)]

use kvick::RuntimeMode;
use kvick::prelude::*;
use kvick::window::{EventTimeSessionWindows, TumblingEventTimeWindows};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

fn environment(parallelism: u32, shuffle: &str, tmp: &Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::create_local_environment();
    env.set_parallelism(parallelism).set_runtime_mode(RuntimeMode::Batch);
    env.set_option("execution.batch-shuffle-mode", shuffle);
    env.set_option("io.tmp.dirs", &tmp.display().to_string());
    env.set_option("taskmanager.memory.managed.size", "2mb");
    env
}

fn files_below(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

const SHUFFLES: [&str; 2] = ["ALL_EXCHANGES_PIPELINED", "ALL_EXCHANGES_BLOCKING"];

#[test]
fn kept_results_give_what_pipelined_ones_give_and_leave_no_file() {
    for shuffle in SHUFFLES {
        let tmp = tempfile::tempdir().unwrap();
        let env = environment(3, shuffle, tmp.path());
        let counts = env
            .from_sequence(0, 59_999)
            .rebalance()
            .map(|n| (n % 1_000, 1_u64))
            .key_by(|pair| pair.0)
            .sum(|pair| &mut pair.1)
            .key_by(|pair| pair.0 % 10)
            .reduce(|a, b| (a.0.min(b.0), a.1 + b.1))
            .execute_and_collect("counts")
            .unwrap();
        let counts: BTreeMap<i64, u64> = counts.into_iter().collect();
        assert_eq!(counts, (0..10).map(|digit| (digit, 6_000)).collect(), "{shuffle}");
        assert_eq!(files_below(tmp.path()), 0, "{shuffle}");
    }
}

#[test]
fn a_consumer_begins_when_its_producers_have_ended() {
    let tmp = tempfile::tempdir().unwrap();
    let env = environment(2, "ALL_EXCHANGES_BLOCKING", tmp.path());
    let (produced, early) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (made, seen, before) = (Arc::clone(&produced), Arc::clone(&produced), Arc::clone(&early));
    let all = env
        .from_sequence(1, 20_000)
        .map(move |n| {
            made.fetch_add(1, Ordering::SeqCst);
            n
        })
        .rebalance()
        .map(move |n| {
            before.fetch_add(u64::from(seen.load(Ordering::SeqCst) < 20_000), Ordering::SeqCst);
            n
        })
        .execute_and_collect("two stages")
        .unwrap();
    assert_eq!((all.len(), all.iter().sum::<i64>()), (20_000, 20_000 * 20_001 / 2));
    assert_eq!(early.load(Ordering::SeqCst), 0);
}

#[test]
fn after_a_failure_only_the_region_concerned_runs_again() {
    for (shuffle, runs) in [("ALL_EXCHANGES_BLOCKING", 1), ("ALL_EXCHANGES_PIPELINED", 2)] {
        let tmp = tempfile::tempdir().unwrap();
        let env = environment(2, shuffle, tmp.path());
        env.set_option("restart-strategy.type", "fixed-delay");
        env.set_option("restart-strategy.fixed-delay.attempts", "1");
        env.set_option("restart-strategy.fixed-delay.delay", "1 ms");
        let (firsts, fails) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(1)));
        let begun = Arc::clone(&firsts);
        let sums = env
            .from_sequence(0, 9_999)
            .map(move |n| {
                begun.fetch_add(u32::from(n == 0), Ordering::SeqCst);
                n
            })
            .key_by(|n| n % 7)
            .process(FailOnce { fails: Arc::clone(&fails), sum: ValueState::default() })
            .execute_and_collect("fails once")
            .unwrap();
        // Each number of the sequence, once.
        assert_eq!((sums.len(), sums.iter().sum::<i64>()), (10_000, 9_999 * 10_000 / 2), "{shuffle}");
        assert_eq!(fails.load(Ordering::SeqCst), 0, "nothing failed");
        assert_eq!(firsts.load(Ordering::SeqCst), runs, "{shuffle}");
        assert_eq!(files_below(tmp.path()), 0);
    }
}

#[derive(Clone)]
struct FailOnce {
    fails: Arc<AtomicU32>,
    sum: ValueState<i64>,
}

impl KeyedProcessFunction<i64, i64, i64> for FailOnce {
    fn open(&mut self, context: &mut FunctionContext<'_, i64>) -> Result<(), BoxError> {
        self.sum = context.value_state(ValueStateDescriptor::new("sum"))?;
        Ok(())
    }

    fn process(
        &mut self,
        value: i64,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<i64>,
    ) -> Result<(), BoxError> {
        let sum = self.sum.value(context)?.copied().unwrap_or(0) + 1;
        self.sum.update(context, sum)?;
        if sum == 1_000
            && self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
        {
            return Err("a thousand".into());
        }
        out.push(value);
        Ok(())
    }
}

/// Tells, at the end of its key, how many records there were and whether their times were in order; sets timers that are due
/// at once, at the end, and never.
#[derive(Clone, Default)]
struct Ordered {
    seen: ValueState<(u64, i64, bool)>,
}

impl KeyedProcessFunction<u64, (u64, i64), (u64, u64, bool, i64)> for Ordered {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.seen = context.value_state(ValueStateDescriptor::new("seen"))?;
        Ok(())
    }

    fn process(
        &mut self,
        value: (u64, i64),
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<(u64, u64, bool, i64)>,
    ) -> Result<(), BoxError> {
        assert_eq!(context.timer_service().current_watermark(), i64::MIN);
        let (count, last, ordered) = self.seen.value(context)?.copied().unwrap_or((0, i64::MIN, true));
        self.seen.update(context, (count + 1, value.1, ordered && last <= value.1))?;
        context.timer_service().register_event_time_timer(1_000_000)?;
        Ok(context.timer_service().register_processing_time_timer(i64::MAX / 2)?)
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64, bool, i64)>,
    ) -> Result<(), BoxError> {
        assert_eq!(context.timer_service().current_watermark(), i64::MAX);
        let (count, _, ordered) = self.seen.value(context)?.copied().unwrap_or_default();
        out.push((*context.current_key(), count, ordered, timestamp));
        // As in Flink, none that is set at the end of a key is fired.
        Ok(context.timer_service().register_event_time_timer(timestamp.saturating_add(1))?)
    }
}

#[test]
fn each_key_comes_as_a_whole_in_order_of_time_and_its_timers_fire_at_its_end() {
    for shuffle in SHUFFLES {
        let tmp = tempfile::tempdir().unwrap();
        let env = environment(2, shuffle, tmp.path());
        const KEYS: u64 = 5_000;
        let mut ends = env
            .from_sequence(0, 10 * KEYS as i64 - 1)
            .map(|n| (n as u64 % KEYS, -n))
            .assign_timestamps_and_watermarks(
                WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|r: &(u64, i64)| r.1),
            )
            .key_by(|record| record.0)
            .process(Ordered::default())
            .execute_and_collect("ordered")
            .unwrap();
        ends.sort_unstable();
        let expected: Vec<_> =
            (0..KEYS).flat_map(|key| [(key, 10, true, 1_000_000), (key, 10, true, i64::MAX / 2)]).collect();
        assert_eq!(ends, expected);
        assert_eq!(files_below(tmp.path()), 0);
    }
}

/// What windows count, by key, with little memory and with much: spilling must not show.
#[test]
fn windows_over_more_keys_than_fit_in_memory_count_what_they_count_in_memory() {
    let run = |memory: &str| {
        let tmp = tempfile::tempdir().unwrap();
        let env = environment(2, "ALL_EXCHANGES_BLOCKING", tmp.path());
        env.set_option("taskmanager.memory.managed.size", memory);
        let clicks = env
            .from_sequence(0, 59_999)
            .map(|n| (format!("user {}", n * 7_919 % 20_011), n, 1_u64))
            .assign_timestamps_and_watermarks(
                WatermarkStrategy::for_monotonous_timestamps()
                    .with_timestamp_assigner(|r: &(String, i64, u64)| r.1),
            );
        let by_user = clicks.key_by(|click| click.0.clone());
        let tumbling = by_user
            .window(TumblingEventTimeWindows::of(Duration::from_secs(10)))
            .sum(|click| &mut click.2)
            .map(|click| ('t', click.0, click.2));
        let sessions = by_user
            .window(EventTimeSessionWindows::with_gap(Duration::from_secs(21)))
            .sum(|click| &mut click.2)
            .map(|click| ('s', click.0, click.2));
        let mut counts = tumbling.union(&[&sessions]).execute_and_collect("windows").unwrap();
        counts.sort();
        assert_eq!(files_below(tmp.path()), 0);
        counts
    };
    let (little, much) = (run("1mb"), run("512mb"));
    assert_eq!(little.iter().map(|count| count.2).sum::<u64>(), 2 * 60_000);
    assert!(little == much, "{} and {} counts", little.len(), much.len());
}

#[test]
fn a_job_that_asks_for_an_unknown_shuffle_is_told_the_known_ones() {
    let tmp = tempfile::tempdir().unwrap();
    let env = environment(1, "SOMEHOW", tmp.path());
    env.from_sequence(0, 1).print();
    let error = env.execute("unknown").unwrap_err().to_string();
    assert!(
        error.contains("execution.batch-shuffle-mode") && error.contains("ALL_EXCHANGES_BLOCKING"),
        "{error}"
    );
}

#[test]
fn a_directory_for_temporary_files_that_cannot_be_used_is_named() {
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("file");
    std::fs::write(&file, "").unwrap();
    let env = environment(1, "ALL_EXCHANGES_BLOCKING", &file);
    env.from_sequence(0, 1).rebalance().map(|n| n).print();
    let error = env.execute("no directory").unwrap_err().to_string();
    assert!(error.contains("io.tmp.dirs") && error.contains(&file.display().to_string()), "{error}");
}
