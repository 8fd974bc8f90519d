//! Timestamps, watermarks and idleness as the strategy's operator makes them.

#![allow(clippy::unwrap_used)]

use kvick_runtime::element::Batch;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operators::AssignTimestamps;
use kvick_runtime::testing::{Emitted, Harness};
use kvick_runtime::time::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use std::time::{Duration, Instant};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn watermarks_stay_behind_the_largest_timestamp_and_are_made_at_intervals() -> TaskResult {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(10))
        .with_timestamp_assigner(|n: &i64| *n);
    let mut harness = Harness::open(AssignTimestamps::new(strategy, false))?;
    harness.process_batch(Batch::of(vec![100, 70]))?;
    let start = Instant::now();
    let records = [Emitted::Record(100, Some(100)), Emitted::Record(70, Some(70))];
    assert_eq!(harness.take(), records);
    harness.tick(start + seconds(1))?;
    assert_eq!(harness.take(), [Emitted::Watermark(89)]);
    harness.process_batch(Batch::of(vec![95]))?;
    harness.tick(start + seconds(2))?;
    assert_eq!(harness.take(), [Emitted::Record(95, Some(95))], "nothing new is to be said");
    harness.watermark(50)?;
    harness.end()?;
    assert_eq!(harness.take(), [Emitted::Watermark(i64::MAX)], "only the last watermark of all passes");
    Ok(())
}

#[test]
fn punctuated_watermarks_come_right_behind_their_record() -> TaskResult {
    let strategy = WatermarkStrategy::for_punctuated(|n: &i64, at| (n % 2 == 0).then_some(at))
        .with_timestamp_assigner(|n: &i64| *n);
    let mut harness = Harness::open(AssignTimestamps::new(strategy, false))?;
    harness.process_batch(Batch::of(vec![1, 2, 3, 2]))?;
    assert_eq!(
        harness.take(),
        [
            Emitted::Record(1, Some(1)),
            Emitted::Record(2, Some(2)),
            Emitted::Watermark(2),
            Emitted::Record(3, Some(3)),
            Emitted::Record(2, Some(2)),
        ]
    );
    Ok(())
}

#[test]
fn a_stream_without_records_becomes_idle_and_is_active_again_with_the_next_one() -> TaskResult {
    let strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|n: &i64| *n)
        .with_idleness(seconds(10));
    let mut harness = Harness::open(AssignTimestamps::new(strategy, false))?;
    harness.process_batch(Batch::of(vec![5]))?;
    let start = Instant::now();
    harness.tick(start + seconds(1))?;
    assert_eq!(harness.take(), [Emitted::Record(5, Some(5)), Emitted::Watermark(4)]);
    let next = harness.tick(start + seconds(9))?;
    assert!(next.is_some_and(|at| at <= start + seconds(10)), "it asks to be woken when it may be idle");
    assert_eq!(harness.take(), []);
    harness.tick(start + seconds(11))?;
    assert_eq!(harness.take(), [Emitted::Idle(true)]);
    harness.process_batch(Batch::of(vec![6]))?;
    assert_eq!(harness.take(), [Emitted::Idle(false), Emitted::Record(6, Some(6))]);
    Ok(())
}

/// Says that the stream is idle whenever it is asked, and counts up.
#[derive(Clone, Default)]
struct Counting(i64);

impl WatermarkGenerator<i64> for Counting {
    fn on_event(&mut self, _: &i64, _: i64, _: &mut WatermarkOutput) {
        self.0 += 1;
    }

    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput) {
        output.emit_watermark(self.0);
    }
}

#[test]
fn a_generator_of_one_s_own_sees_every_record_and_batch_mode_needs_none() -> TaskResult {
    let strategy =
        || WatermarkStrategy::for_generator(Counting::default()).with_timestamp_assigner(|n: &i64| *n);
    let mut harness = Harness::open(AssignTimestamps::new(strategy(), false))?;
    harness.process_batch(Batch::of(vec![100, 200, 300]))?;
    harness.take();
    harness.tick(Instant::now() + seconds(1))?;
    assert_eq!(harness.take(), [Emitted::Watermark(3)]);
    let mut harness = Harness::open(AssignTimestamps::new(strategy(), true))?;
    harness.process_batch(Batch::of(vec![100]))?;
    harness.tick(Instant::now() + seconds(1))?;
    harness.end()?;
    assert_eq!(harness.take(), [Emitted::Record(100, Some(100)), Emitted::Watermark(i64::MAX)]);
    Ok(())
}

#[test]
fn a_record_without_a_timestamp_is_refused_where_the_strategy_gives_none() {
    let mut harness: Harness<i64, i64> =
        Harness::open(AssignTimestamps::new(WatermarkStrategy::for_monotonous_timestamps(), false)).unwrap();
    harness.process(1, 5).unwrap();
    let error = harness.process_unstamped(1).unwrap_err().to_string();
    assert!(error.contains("with_timestamp_assigner"), "{error}");
}
