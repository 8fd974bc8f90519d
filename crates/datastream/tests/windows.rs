//! Windows, event time, keyed functions and side outputs in whole jobs.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::state::WindowState;
use kvick::window::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn environment(parallelism: u32, mode: RuntimeMode) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism).set_runtime_mode(mode);
    env
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

const MODES: [RuntimeMode; 2] = [RuntimeMode::Streaming, RuntimeMode::Batch];

/// Sensor, time, value.
type Reading = (u32, i64, u64);

fn readings(env: &StreamExecutionEnvironment) -> DataStream<Reading> {
    env.from_sequence(0, 9_999).map(|n| ((n % 7) as u32, n * 10, 1_u64)).assign_timestamps_and_watermarks(
        WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(50))
            .with_timestamp_assigner(|reading: &Reading| reading.1),
    )
}

#[test]
fn windows_count_what_falls_into_them_in_streaming_and_in_batch_mode() {
    for mode in MODES {
        let env = environment(3, mode);
        let windows = readings(&env)
            .key_by(|reading| reading.0)
            .window(SlidingEventTimeWindows::of(Duration::from_secs(2), Duration::from_secs(1)))
            .reduce_with(
                |a, b| (a.0, a.1, a.2 + b.2),
                |key, window, sum, out| out.push((window.start, *key, sum.2)),
            );
        let mut expected = BTreeMap::<(i64, u32), u64>::new();
        for n in 0..10_000_i64 {
            let second = n * 10 / 1000 * 1000;
            for start in [second - 1000, second] {
                *expected.entry((start, (n % 7) as u32)).or_default() += 1;
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|((start, key), sum)| (start, key, sum)).collect();
        assert_eq!(sorted(windows.execute_and_collect("windows").unwrap()), expected);
    }
}

#[test]
fn a_window_over_everything_runs_in_one_subtask_and_results_have_the_window_s_last_timestamp() {
    let env = environment(2, RuntimeMode::Streaming);
    let totals =
        readings(&env).window_all(TumblingEventTimeWindows::of(Duration::from_secs(50))).sum(|r| &mut r.2);
    // What a window emits falls into the window that contains it.
    let again = totals.key_by(|_| ()).window(TumblingEventTimeWindows::of(Duration::from_secs(100))).apply(
        |(), window, parts, out| {
            out.push((window.start, parts.iter().map(|part| part.2).collect::<Vec<_>>()))
        },
    );
    assert_eq!(again.execute_and_collect("all").unwrap(), [(0, vec![5000, 5000])]);
}

#[test]
fn sessions_end_where_no_record_comes_for_the_gap() {
    let times = [0, 10, 25, 100, 105, 300];
    let env = environment(2, RuntimeMode::Streaming);
    let sessions = env
        .from_collection(times.map(|at| ("a".to_string(), at)))
        .assign_ascending_timestamps(|record| record.1)
        .key_by(|record| record.0.clone())
        .window(EventTimeSessionWindows::with_gap(Duration::from_millis(20)))
        .apply(|_, window, records, out| out.push((window.start, window.end, records.len())));
    assert_eq!(sessions.execute_and_collect("sessions").unwrap(), [(0, 45, 3), (100, 125, 2), (300, 320, 1)]);
}

#[test]
fn late_records_go_to_their_side_output_and_evictors_and_triggers_decide_what_a_window_says() {
    const LATE: OutputTag<(u8, i64)> = OutputTag::named("late");
    let env = environment(1, RuntimeMode::Streaming);
    let strategy = WatermarkStrategy::for_punctuated(|record: &(u8, i64), _| Some(record.1))
        .with_timestamp_assigner(|record: &(u8, i64)| record.1);
    let sums = env
        .from_collection([(1, 5), (1, 30), (1, 7), (1, 31)])
        .assign_timestamps_and_watermarks(strategy)
        .key_by(|record| record.0)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(10)))
        .side_output_late_data(&LATE)
        .sum(|record| &mut record.1);
    let late = sums.side_output(&LATE).map(|record| (100 + record.0, record.1));
    assert_eq!(
        sorted(sums.union(&[&late]).execute_and_collect("late").unwrap()),
        [(1, 5), (1, 61), (101, 7)]
    );

    let env = environment(1, RuntimeMode::Streaming);
    let last = env
        .from_collection(1..=7_i64)
        .key_by(|_| 0_u8)
        .count_window_sliding(3, 2)
        .apply(|_, _, records, out| out.push(records.to_vec()));
    assert_eq!(last.execute_and_collect("last").unwrap(), [vec![1, 2], vec![2, 3, 4], vec![4, 5, 6]]);
}

/// Emits the number of records of a key when none has come for 100 ms of event time.
#[derive(Clone, Default)]
struct CountWithTimeout {
    count: ValueState<(u64, i64)>,
}

impl KeyedProcessFunction<u32, Reading, (u32, u64)> for CountWithTimeout {
    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        self.count = context.value_state(ValueStateDescriptor::new("count"))?;
        Ok(())
    }

    fn process(
        &mut self,
        _: Reading,
        context: &mut KeyedContext<'_, u32>,
        _: &mut Collector<(u32, u64)>,
    ) -> Result<(), BoxError> {
        let at = context.timestamp().ok_or("no timestamp")?;
        let count = self.count.value(context)?.map_or(0, |count| count.0) + 1;
        self.count.update(context, (count, at))?;
        context.timer_service().register_event_time_timer(at + 100)?;
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        context: &mut KeyedContext<'_, u32>,
        out: &mut Collector<(u32, u64)>,
    ) -> Result<(), BoxError> {
        let key = *context.current_key();
        if let Some((count, last)) = self.count.value(context)?.copied()
            && timestamp == last + 100
        {
            out.push((key, count));
        }
        Ok(())
    }
}

#[test]
fn keyed_functions_have_state_and_timers_of_their_key_alone() {
    for mode in MODES {
        let env = environment(2, mode);
        let counts = readings(&env).key_by(|reading| reading.0).process(CountWithTimeout::default());
        let expected: Vec<(u32, u64)> = (0..7).map(|key| (key, if key < 4 { 1429 } else { 1428 })).collect();
        assert_eq!(sorted(counts.execute_and_collect("timeouts").unwrap()), expected);
    }
}

/// Splits of a stream of numbers that are read by turns: one of them is an hour behind.
#[derive(Clone)]
struct TwoShifts;

struct Shift {
    next: i64,
    end: i64,
}

impl kvick::sources::SplitReader for Shift {
    type Out = i64;
    type Position = i64;

    fn read(&mut self, out: &mut Collector<i64>) -> kvick::TaskResult<kvick::Poll> {
        (self.next..self.next + 10).for_each(|n| out.push(n));
        self.next += 10;
        // Long enough for watermarks to be made between the two.
        std::thread::sleep(Duration::from_millis(2));
        Ok(if self.next == self.end { kvick::Poll::End } else { kvick::Poll::More })
    }

    fn position(&self) -> Option<i64> {
        Some(self.next)
    }
}

impl kvick::sources::SplitSource for TwoShifts {
    type Out = i64;
    type Split = i64;
    type Position = i64;
    type Reader = Shift;

    fn id(&self, split: &i64) -> String {
        split.to_string()
    }

    fn splits(&mut self) -> kvick::TaskResult<Vec<i64>> {
        Ok(vec![3_600_000, 0])
    }

    fn at_once(&self) -> usize {
        2
    }

    fn reader(&mut self, split: &i64, position: Option<i64>) -> kvick::TaskResult<Shift> {
        Ok(Shift { next: position.unwrap_or(*split), end: split + 500 })
    }
}

#[test]
fn a_split_that_is_behind_does_not_make_its_records_late() {
    let env = environment(1, RuntimeMode::Streaming);
    env.set_option("pipeline.auto-watermark-interval", "1 ms");
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &i64| *n);
    let counts = env
        .from_split_source_with("shifts", true, TwoShifts, strategy)
        .window_all(TumblingEventTimeWindows::of(Duration::from_millis(100)))
        .apply(|(), window, records, out| out.push((window.start, records.len())));
    let expected: Vec<(i64, usize)> =
        [0, 3_600_000].into_iter().flat_map(|start| (0..5).map(move |n| (start + n * 100, 100))).collect();
    assert_eq!(sorted(counts.execute_and_collect("shifts").unwrap()), expected);
}

#[test]
fn windows_over_the_last_records_of_the_whole_stream_slide_by_their_number() {
    let env = environment(1, RuntimeMode::Streaming);
    let sums = env.from_collection([1_u64, 2, 3, 4, 5]).count_window_all_sliding(3, 2).reduce(|a, b| a + b);
    assert_eq!(sums.execute_and_collect("last").unwrap(), [3, 9]);
}

/// By how much a window's sum has grown since it fired last: `(start, growth)`.
#[derive(Clone, Default)]
struct Growth {
    told: WindowState<TimeWindow, u64>,
}

/// What was known of all windows when they ended.
static KNOWN_AT_THE_END: AtomicU64 = AtomicU64::new(0);

impl ProcessWindowFunction<Reading, (i64, u64), u32, TimeWindow> for Growth {
    const WINDOW_STATE: bool = true;

    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        self.told = context.window_state(ValueStateDescriptor::new("told"))?;
        Ok(())
    }

    fn process(
        &mut self,
        _: &u32,
        context: &mut WindowContext<'_, u32, TimeWindow>,
        readings: &[Reading],
        out: &mut Collector<(i64, u64)>,
    ) -> Result<(), BoxError> {
        let sum: u64 = readings.iter().map(|reading| reading.2).sum();
        let told = self.told.value(context)?.copied().unwrap_or(0);
        self.told.update(context, sum)?;
        out.push((context.window().start, sum - told));
        Ok(())
    }

    fn clear(&mut self, _: &u32, context: &mut WindowContext<'_, u32, TimeWindow>) -> Result<(), BoxError> {
        let told = self.told.value(context)?.copied().unwrap_or(0);
        KNOWN_AT_THE_END.fetch_add(told, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_window_function_keeps_state_by_window_from_one_firing_to_the_next_until_the_window_ends() {
    let env = environment(1, RuntimeMode::Streaming);
    let growths = readings(&env)
        .key_by(|reading| reading.0)
        .window(SlidingEventTimeWindows::of(Duration::from_secs(2), Duration::from_secs(1)))
        .trigger(CountTrigger::of(10))
        .process(Growth::default());
    let mut told = BTreeMap::<i64, u64>::new();
    for (start, growth) in growths.execute_and_collect("growth").unwrap() {
        *told.entry(start).or_default() += growth;
    }
    let mut readings = BTreeMap::<(i64, i64), u64>::new();
    for n in 0..10_000_i64 {
        let second = n * 10 / 1000 * 1000;
        for start in [second - 1000, second] {
            *readings.entry((start, n % 7)).or_default() += 1;
        }
    }
    let mut expected = BTreeMap::<i64, u64>::new();
    readings.iter().for_each(|((start, _), count)| *expected.entry(*start).or_default() += count / 10 * 10);
    assert_eq!(told, expected);
    assert_eq!(KNOWN_AT_THE_END.load(Ordering::SeqCst), expected.values().sum::<u64>());
}

/// Opens state by window and does not say so.
#[derive(Clone)]
struct Silent;

impl ProcessWindowFunction<Reading, u64, u32, TimeWindow> for Silent {
    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        let _: WindowState<TimeWindow, u64> = context.window_state(ValueStateDescriptor::new("told"))?;
        Ok(())
    }

    fn process(
        &mut self,
        _: &u32,
        _: &mut WindowContext<'_, u32, TimeWindow>,
        _: &[Reading],
        _: &mut Collector<u64>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn state_by_window_is_refused_in_words_where_it_cannot_be() {
    let sessions = environment(1, RuntimeMode::Streaming);
    let merging = readings(&sessions).key_by(|reading| reading.0);
    let merging = merging.window(EventTimeSessionWindows::with_gap(Duration::from_secs(1)));
    let error = merging.process(Growth::default()).execute_and_collect("sessions").unwrap_err().to_string();
    assert!(error.contains("state by window is not allowed where windows merge"), "{error}");
    let silent = environment(1, RuntimeMode::Streaming);
    let windows = readings(&silent).key_by(|reading| reading.0);
    let windows = windows.window(TumblingEventTimeWindows::of(Duration::from_secs(1)));
    let error = windows.process(Silent).execute_and_collect("silent").unwrap_err().to_string();
    assert!(error.contains("const WINDOW_STATE: bool = true;"), "{error}");
}
