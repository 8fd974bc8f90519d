//! Windows of processing time, with the clock in the test's hands, against a naive model.

use super::{Fired, Record, key, list, settings};
use kvick_runtime::operators::Reduce;
use kvick_runtime::operators::window::*;
use kvick_runtime::testing::Harness;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

/// Records and the time that passes before each.
fn pauses() -> impl Strategy<Value = Vec<(u8, i64)>> {
    proptest::collection::vec((0_u8..3, 0_i64..9), 0..60)
}

/// Windows of one size that fire at multiples of an interval and at their end: of each key and window the numbers that came, and
/// when it fires next.
struct Continuous {
    size: i64,
    interval: i64,
    panes: BTreeMap<(u8, i64), (Vec<u64>, i64)>,
}

impl Continuous {
    fn record(&mut self, key: u8, number: u64, now: i64) {
        let start = now - now % self.size;
        let first = (now - now % self.interval + self.interval).min(start + self.size - 1);
        self.panes.entry((key, start)).or_insert((Vec::new(), first)).0.push(number);
    }

    /// The clock goes on.
    fn advance(&mut self, now: i64) -> Vec<Fired> {
        let mut fired = Vec::new();
        let (size, interval) = (self.size, self.interval);
        self.panes.retain(|(key, start), (numbers, next)| {
            let last = start + size - 1;
            while *next < now {
                fired.push((*key, *start, start + size, numbers.clone()));
                if *next == last {
                    return false;
                }
                *next = (*next + interval).min(last);
            }
            true
        });
        fired.sort();
        fired
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(256)))]

    #[test]
    fn windows_of_processing_time_hold_what_came_while_they_lasted(
        pauses in pauses(), size in 1_i64..20, slide in 1_i64..20,
    ) {
        let slide = slide.min(size);
        let (mut now, mut expected) = (0, BTreeMap::<(i64, u8), u64>::new());
        let panes = Panes { size, slide, offset: 0 };
        let add = Reduced(Reduce(|a: Record, b: Record| (a.0, a.1 + b.1)));
        let domain = kvick_runtime::timers::TimeDomain::ProcessingTime;
        let emit = ApplyEach::new(Itself, |key: &u8, window: &TimeWindow, sum: Record, out: &mut kvick_runtime::operator::Output<(i64, u8, u64)>| {
            out.push((window.end, *key, sum.1));
        });
        let operator = SliceOperator::<Record, u8, _, TimeWindow, _, _>::new(key, add, emit, panes, domain, settings(0));
        let mut harness = kvick_runtime::testing::Harness::open(operator).unwrap();
        for (number, (record_key, pause)) in pauses.iter().enumerate() {
            now += pause;
            harness.set_processing_time(now).unwrap();
            harness.process_unstamped((*record_key, number as u64 + 1)).unwrap();
            for start in (now - size + 1..=now).filter(|start| start.rem_euclid(slide) == 0) {
                *expected.entry((start + size, *record_key)).or_default() += number as u64 + 1;
            }
        }
        harness.set_processing_time(now + 2 * size).unwrap();
        let mut told = harness.take_records();
        told.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|((end, key), sum)| (end, key, sum)).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn a_continuous_trigger_fires_at_its_interval_and_when_the_window_ends(
        pauses in pauses(), size in 1_i64..40, interval in 1_i64..20,
    ) {
        let assigner = TumblingProcessingTimeWindows::of(span(size));
        let trigger = ContinuousProcessingTimeTrigger::of(span(interval));
        let operator =
            WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(0));
        let mut harness: Harness<Record, Fired> = Harness::open(operator).unwrap();
        let (mut model, mut now) = (Continuous { size, interval, panes: BTreeMap::new() }, 0);
        for (number, (record_key, pause)) in pauses.iter().enumerate() {
            now += pause;
            harness.set_processing_time(now).unwrap();
            let mut fired = harness.take_records();
            fired.sort();
            prop_assert_eq!(fired, model.advance(now));
            harness.process_unstamped((*record_key, number as u64)).unwrap();
            model.record(*record_key, number as u64, now);
        }
        harness.set_processing_time(now + size).unwrap();
        let mut fired = harness.take_records();
        fired.sort();
        prop_assert_eq!(fired, model.advance(now + size));
    }
}

#[test]
fn a_continuous_trigger_by_the_clock_goes_on_in_windows_of_event_time_that_the_clock_is_past() {
    let assigner = TumblingEventTimeWindows::of(span(10));
    let trigger = ContinuousProcessingTimeTrigger::of(span(5));
    let operator =
        WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(0));
    let mut harness: Harness<Record, Fired> = Harness::open(operator).unwrap();
    harness.set_processing_time(1000).unwrap();
    for (number, now) in [(1, 1006), (2, 1011)] {
        harness.process((7, number), 3).unwrap();
        harness.set_processing_time(now).unwrap();
        assert_eq!(harness.take_records(), [(7, 0, 10, (1..=number).collect())]);
    }
}
