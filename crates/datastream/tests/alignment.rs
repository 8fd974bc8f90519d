//! Streams that are aligned in event time, in one process: the quick ones wait for the slow ones, and do not count as idle.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::sinks::DiscardingSink;
use kvick::sources::DataGeneratorSource;
use kvick::{Accumulator, JobResult, Poll, SplitReader, SplitSource, TaskResult};
use std::time::Duration;

const DRIFT: i64 = 500;

/// A record of the quick stream or of the slow one, with its event time.
type Reading = (bool, i64);

fn environment() -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1).set_runtime_mode(RuntimeMode::Streaming).set_buffer_timeout(0);
    env.set_option("pipeline.auto-watermark-interval", "5 ms");
    env
}

/// By how much the quick stream was ever ahead of the slow one, in milliseconds of event time, and how many records came.
fn ahead(env: &StreamExecutionEnvironment, stream: &DataStream<Reading>) -> (i64, i64) {
    let compared = stream.rich_map(|context| {
        let ahead = context.accumulators.get("ahead", Accumulator::LongMaximum(0));
        let records = context.accumulators.get("records", Accumulator::LongCounter(0));
        let (mut quick, mut slow) = (0, 0);
        Ok(move |(is_quick, at): Reading| {
            *(if is_quick { &mut quick } else { &mut slow }) = at;
            ahead.lock().unwrap().merge(&Accumulator::LongMaximum(quick - slow));
            records.lock().unwrap().merge(&Accumulator::LongCounter(1));
            Ok(at)
        })
    });
    compared.sink_to("none", || DiscardingSink);
    let result: JobResult = env.execute("aligned").unwrap();
    let value = |name: &str| match result.accumulators.get(name) {
        Some(Accumulator::LongMaximum(value) | Accumulator::LongCounter(value)) => *value,
        other => panic!("{name}: {other:?}"),
    };
    (value("ahead"), value("records"))
}

/// Four seconds of event time from two sources: one as quick as it can be, one that takes two seconds.
fn two_sources(aligned: bool) -> (i64, i64) {
    let env = environment();
    let source = |quick: bool| {
        let numbers = DataGeneratorSource::new(move |n| (quick, n as i64), 4000);
        let numbers = numbers.rate_limited(if quick { 1e9 } else { 2000.0 });
        let mut strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(50))
            .with_timestamp_assigner(|reading: &Reading| reading.1)
            .with_idleness(Duration::from_millis(100));
        if aligned {
            strategy = strategy.with_watermark_alignment("readings", Duration::from_millis(DRIFT as u64));
        }
        env.from_data_generator(numbers).assign_timestamps_and_watermarks(strategy)
    };
    ahead(&env, &source(true).union(&[&source(false)]))
}

#[test]
fn a_quick_source_waits_for_a_slow_one_and_is_not_idle_meanwhile() {
    let (unaligned, records) = two_sources(false);
    assert!(unaligned > 3000 && records == 8000, "{unaligned} {records}");
    let (aligned, records) = two_sources(true);
    assert_eq!(records, 8000, "both come to their ends");
    // The drift, one batch, and as long as the slow one may have been held up by the machine.
    assert!(aligned <= DRIFT + 512 + 500, "{aligned}");
}

/// Two splits with a second of event time: one takes a second, the other a tenth of that.
#[derive(Clone)]
struct Uneven;

struct Part {
    quick: bool,
    next: i64,
}

impl SplitSource for Uneven {
    type Out = Reading;
    type Split = bool;
    type Position = i64;
    type Reader = Part;

    fn id(&self, quick: &bool) -> String {
        format!("quick: {quick}")
    }

    fn splits(&mut self) -> TaskResult<Vec<bool>> {
        Ok(vec![true, false])
    }

    fn at_once(&self) -> usize {
        2
    }

    fn reader(&mut self, quick: &bool, position: Option<i64>) -> TaskResult<Part> {
        Ok(Part { quick: *quick, next: position.unwrap_or(0) })
    }
}

impl SplitReader for Part {
    type Out = Reading;
    type Position = i64;

    fn read(&mut self, out: &mut Collector<Reading>) -> TaskResult<Poll> {
        let until = self.next + if self.quick { 10 } else { 1 };
        (self.next..until).for_each(|at| out.push((self.quick, at)));
        self.next = until;
        Ok(if until < 1000 { Poll::Wait(Duration::from_millis(1)) } else { Poll::End })
    }

    fn position(&self) -> Option<i64> {
        Some(self.next)
    }
}

fn two_splits(aligned: bool) -> (i64, i64) {
    let mut strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|reading: &Reading| reading.1)
        .with_idleness(Duration::from_millis(100));
    if aligned {
        strategy = strategy.with_watermark_alignment("readings", Duration::from_millis(100));
    }
    let env = environment();
    ahead(&env, &env.from_split_source_with("uneven", true, Uneven, strategy))
}

#[test]
fn a_quick_split_waits_for_a_slow_one_of_the_same_source() {
    let (unaligned, records) = two_splits(false);
    assert!(unaligned > 700 && records == 2000, "{unaligned} {records}");
    let (aligned, records) = two_splits(true);
    assert!(aligned <= 400 && records == 2000, "{aligned} {records}");
}
