//! Windows that go by the machine's clock, and triggers that go by it or by records, in whole jobs. The source ends when what is
//! awaited has come out: in streaming mode the end of the input does not fire windows of processing time.

#![allow(clippy::unwrap_used)]

mod gate;

use gate::Gate;
use kvick::prelude::*;
use kvick::window::*;
use std::time::Duration;

/// Key, number.
type Record = (u8, u64);
/// Key, how long the window is, sum, count.
type Told = (u8, i64, u64, usize);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn environment() -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1).set_runtime_mode(RuntimeMode::Streaming);
    env
}

/// What a stream says until it has said enough, while the source is still there.
fn until<T: kvick::Data>(
    gate: Gate,
    stream: &DataStream<T>,
    mut enough: impl FnMut(&T) -> bool + Clone + Send + 'static,
) -> Vec<T> {
    let watched = stream.map(move |record| {
        if enough(&record) {
            gate.open();
        }
        record
    });
    watched.execute_and_collect("until").unwrap()
}

fn tell(key: &u8, window: &TimeWindow, records: &[Record], out: &mut Collector<Told>) {
    out.push((*key, window.end - window.start, records.iter().map(|record| record.1).sum(), records.len()));
}

#[test]
fn sliding_windows_by_the_clock_have_each_record_in_each_of_them() {
    let (env, gate) = (environment(), Gate::default());
    let numbers = gate.source(&env, (1..=10).map(|n| (7, n)).collect(), Vec::new());
    let windows = numbers
        .key_by(|record: &Record| record.0)
        .window(SlidingProcessingTimeWindows::of(millis(300), millis(100)))
        .apply(tell);
    let mut count = 0;
    let told = until(gate, &windows, move |window| {
        count += window.3;
        count == 30
    });
    let (sum, count) =
        (told.iter().map(|window| window.2).sum::<u64>(), told.iter().map(|told| told.3).sum());
    assert_eq!((sum, count), (3 * 55, 30_usize), "{told:?}");
    assert!(told.iter().all(|window| window.0 == 7 && window.1 == 300), "{told:?}");
}

#[test]
fn sessions_by_the_clock_end_when_nothing_came_for_their_gap() {
    let (env, gate) = (environment(), Gate::default());
    let records = gate.source(&env, vec![(1, 10), (2, 1), (2, 2), (2, 3)], Vec::new());
    let sessions = records
        .key_by(|record: &Record| record.0)
        .window(ProcessingTimeSessionWindows::with_gap(millis(500)))
        .apply(tell);
    let mut told = until(gate, &sessions, |session| session.0 == 2);
    told.sort_unstable();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], (1, 500, 10, 1));
    assert!((told[1].0, told[1].2, told[1].3) == (2, 6, 3) && told[1].1 >= 500, "{told:?}");
}

#[test]
fn sessions_with_a_gap_of_each_record_end_after_it() {
    let (env, gate) = (environment(), Gate::default());
    let records = gate.source(&env, vec![(1, 700), (2, 200)], Vec::new());
    let gaps = DynamicProcessingTimeSessionWindows::with_dynamic_gap(|record: &Record| millis(record.1));
    let sessions = records.key_by(|record: &Record| record.0).window(gaps).apply(tell);
    let told = until(gate, &sessions, |session| session.0 == 1);
    assert_eq!(told, [(2, 200, 200, 1), (1, 700, 700, 1)]);
}

#[test]
fn a_continuous_trigger_by_the_clock_fires_while_a_window_lasts_and_at_its_end() {
    let (env, gate) = (environment(), Gate::default());
    let records = gate.source(&env, (1..=9).map(|n| (1, n)).collect(), Vec::new());
    let sums = records
        .key_by(|record: &Record| record.0)
        .window(GlobalWindows::create())
        .trigger(ContinuousProcessingTimeTrigger::of(millis(50)))
        .sum(|record| &mut record.1);
    let mut fired = 0;
    let told = until(gate, &sums, move |_| {
        fired += 1;
        fired == 3
    });
    assert!(told.len() >= 3 && told.iter().all(|sum| *sum == (1, 45)), "{told:?}");

    let (env, gate) = (environment(), Gate::default());
    let records = gate.source(&env, (1..=9).map(|n| (1, n)).collect(), Vec::new());
    let sums = records
        .key_by(|record: &Record| record.0)
        .window(TumblingProcessingTimeWindows::of(millis(100)))
        .trigger(ContinuousProcessingTimeTrigger::of(Duration::from_secs(86_400)))
        .apply(tell);
    let mut count = 0;
    let told = until(gate, &sums, move |window| {
        count += window.3;
        count == 9
    });
    assert_eq!(told.iter().map(|window| window.2).sum::<u64>(), 45, "{told:?}");
}

#[test]
fn a_delta_trigger_fires_where_records_have_gone_far_enough_from_the_last_firing() {
    let lists = |purges: bool| {
        let env = environment();
        let far = DeltaTrigger::of(5.0, |last: &u64, now: &u64| last.abs_diff(*now) as f64);
        let numbers = env.from_collection([1_u64, 6, 7, 2, 13, 30, 31]).key_by(|_| 0_u8);
        let windows = numbers.window(GlobalWindows::create());
        let list =
            |_: &u8, _: &GlobalWindow, all: &[u64], out: &mut Collector<Vec<u64>>| out.push(all.to_vec());
        let lists = match purges {
            true => windows.trigger(PurgingTrigger::of(far)).apply(list),
            false => windows.trigger(far).apply(list),
        };
        lists.execute_and_collect("deltas").unwrap()
    };
    // From 1 to 7, from 7 to 13, from 13 to 30; 2 and 6 are not far enough, and 5 is not more than 5.
    assert_eq!(lists(true), [vec![1, 6, 7], vec![2, 13], vec![30]]);
    assert_eq!(lists(false), [vec![1, 6, 7], vec![1, 6, 7, 2, 13], vec![1, 6, 7, 2, 13, 30]]);
}
