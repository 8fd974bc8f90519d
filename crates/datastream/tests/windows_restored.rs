//! Windows, sessions and timers of whole jobs through failures, savepoints and other parallelisms: nothing is lost, nothing
//! fires twice.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::window::{EventTimeSessionWindows, SlidingEventTimeWindows};
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

const END: i64 = 24_000;
const KEYS: i64 = 7;
/// After a change of parallelism a subtask may go on with two ranges, one of them behind the other by this much.
const DISORDER: Duration = Duration::from_secs(10);

/// The numbers of this subtask: each is a record whose event time in milliseconds it is.
#[derive(Clone)]
struct Numbers {
    /// Next, step.
    ranges: Vec<(i64, i64)>,
    /// Where the source stays, without ending; at [`END`] it ends.
    halt: i64,
}

impl Source for Numbers {
    type Out = i64;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.ranges = context.restored_list("ranges")?;
        if !context.is_restored() {
            self.ranges = vec![(i64::from(context.subtask()), i64::from(context.parallelism))];
        }
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        for (next, step) in &mut self.ranges {
            for _ in 0..20 {
                if *next < self.halt {
                    out.push(*next);
                    *next += *step;
                }
            }
        }
        let ended = self.ranges.iter().all(|(next, _)| *next >= END);
        Ok(if ended { Poll::End } else { Poll::Wait(Duration::from_micros(500)) })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list("ranges", Redistribution::Split, &self.ranges)?)
    }
}

/// What fired: which operator, key, time, count.
type Fired = (String, i64, i64, u64);

/// Keeps everything and emits it at the end: what is emitted twice is seen twice, whatever was restored.
#[derive(Clone, Default)]
struct Ledger(Vec<Fired>);

impl Operator for Ledger {
    type In = Fired;
    type Out = Fired;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.0 = context.restored_list("ledger")?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<Fired>, _: &mut Output<Fired>) -> TaskResult {
        self.0.append(&mut batch.records);
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list("ledger", Redistribution::Union, &self.0)?)
    }

    fn end(&mut self, out: &mut Output<Fired>) -> TaskResult {
        self.0.drain(..).for_each(|fired| out.push(fired));
        Ok(())
    }
}

/// Counts a key's records up to each full 1000 ms, by timers.
#[derive(Clone, Default)]
struct PerSecond {
    counts: MapState<i64, u64>,
}

impl KeyedProcessFunction<i64, i64, Fired> for PerSecond {
    fn open(&mut self, context: &mut FunctionContext<'_, i64>) -> Result<(), BoxError> {
        self.counts = context.map_state(MapStateDescriptor::new("counts"))?;
        Ok(())
    }

    fn process(
        &mut self,
        n: i64,
        context: &mut KeyedContext<'_, i64>,
        _: &mut Collector<Fired>,
    ) -> Result<(), BoxError> {
        let end = n / 1000 * 1000 + 999;
        let count = self.counts.get(context, &end)?.copied().unwrap_or(0) + 1;
        self.counts.put(context, end, count)?;
        context.timer_service().register_event_time_timer(end)?;
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: i64,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<Fired>,
    ) -> Result<(), BoxError> {
        let key = *context.current_key();
        let count = self.counts.get(context, &at)?.copied().unwrap_or(0);
        self.counts.remove(context, &at)?;
        out.push(("timer".to_string(), key, at, count));
        Ok(())
    }
}

/// The key of sessions: those of even thousands come without a pause, others not at all.
fn in_session(n: &i64) -> bool {
    n / 1000 % 2 == 0
}

fn job(
    env: &StreamExecutionEnvironment,
    halt: i64,
    disturb: impl Fn(i64) + Clone + Send + 'static,
) -> DataStream<Fired> {
    let strategy =
        WatermarkStrategy::for_bounded_out_of_orderness(DISORDER).with_timestamp_assigner(|n: &i64| *n);
    let numbers = env
        .from_source("Numbers", true, move || Numbers { ranges: Vec::new(), halt })
        .uid("numbers")
        .map(move |n| {
            disturb(n);
            n
        })
        .assign_timestamps_and_watermarks(strategy);
    let keyed = numbers.map(|n| (n, 1_u64)).key_by(|(n, _)| n % KEYS);
    let sliding = SlidingEventTimeWindows::of(Duration::from_millis(700), Duration::from_millis(300));
    // Keeps all records of its windows.
    let lists = numbers
        .key_by(|n| n % KEYS)
        .window(sliding)
        .apply(|key, window, records, out| {
            let sum = records.iter().map(|n| *n as u64).sum();
            out.push(("list".to_string(), *key, window.end, sum));
        })
        .uid("lists");
    let windows = keyed
        .window(sliding)
        .reduce_with(
            |a, b| (a.0, a.1 + b.1),
            |key, window, (_, count), out| out.push(("window".to_string(), *key, window.end, count)),
        )
        .uid("windows");
    let sessions = numbers
        .filter(in_session)
        .key_by(|n| n % KEYS)
        .window(EventTimeSessionWindows::with_gap(Duration::from_millis(500)))
        .apply(|key, window, records, out| {
            out.push(("session".to_string(), *key, window.end, records.len() as u64));
        })
        .uid("sessions");
    let timers = numbers.key_by(|n| n % KEYS).process(PerSecond::default()).uid("timers");
    windows
        .union(&[&sessions, &timers, &lists])
        .rebalance()
        .transform("Ledger", Ledger::default)
        .set_parallelism(1)
        .uid("ledger")
}

fn expected() -> Vec<Fired> {
    let mut all: BTreeMap<(&str, i64, i64), u64> = BTreeMap::new();
    for n in 0..END {
        let key = n % KEYS;
        for start in (n - 699..=n).filter(|start| start.rem_euclid(300) == 0) {
            *all.entry(("window", key, start + 700)).or_default() += 1;
            *all.entry(("list", key, start + 700)).or_default() += n as u64;
        }
        *all.entry(("timer", key, n / 1000 * 1000 + 999)).or_default() += 1;
        if in_session(&n) {
            let last = (n / 1000 * 1000..n / 1000 * 1000 + 1000).rev().find(|n| n % KEYS == key).unwrap();
            *all.entry(("session", key, last + 500)).or_default() += 1;
        }
    }
    all.into_iter().map(|((kind, key, at), count)| (kind.to_string(), key, at, count)).collect()
}

fn environment(parallelism: u32, directory: &std::path::Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism);
    env.set_buffer_timeout(0);
    env.set_option("pipeline.auto-watermark-interval", "2 ms");
    env.set_option("execution.checkpointing.interval", "20 ms");
    // The same tests serve for the backend that is a plugin.
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

fn sorted(mut records: Vec<Fired>) -> Vec<Fired> {
    records.sort();
    records
}

#[test]
fn after_failures_every_window_session_and_timer_has_fired_once() {
    let directory = tempfile::tempdir().unwrap();
    let env = environment(2, directory.path());
    // Fails three times, each time further on.
    let next = Arc::new(AtomicI64::new(13_000));
    let failing = Arc::clone(&next);
    let fired = job(&env, END, move |n| {
        let at = failing.load(Ordering::SeqCst);
        if n >= at && at < 23_000 {
            failing.fetch_add(4_000, Ordering::SeqCst);
            panic!("a failure at {n}");
        }
    });
    assert_eq!(sorted(fired.execute_and_collect("failures").unwrap()), expected());
    assert!(next.load(Ordering::SeqCst) >= 25_000, "the job failed less often than it was to");
}

#[test]
fn a_job_goes_on_from_a_savepoint_at_another_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Arc::new(AtomicI64::new(0));
    let env = environment(3, directory.path());
    let counting = Arc::clone(&seen);
    // It must not come to its end before it is stopped.
    job(&env, END - 1000, move |n| {
        counting.fetch_max(n, Ordering::SeqCst);
    })
    .print_to_err();
    let client = env.execute_async("stopped").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.load(Ordering::SeqCst) < 15_000 {
        assert!(Instant::now() < deadline, "the job makes no progress");
        std::thread::yield_now();
    }
    let savepoint = client.stop_with_savepoint(false, None).unwrap();

    let env = environment(2, directory.path());
    env.set_option("execution.state-recovery.path", &savepoint);
    let fired = job(&env, END, |_| {});
    assert_eq!(sorted(fired.execute_and_collect("resumed").unwrap()), expected());
}
