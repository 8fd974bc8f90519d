//! Event time within a source of several splits: what one split has read does not make another one's records late.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::window::TumblingEventTimeWindows;
use kvick::{Poll, SplitReader, SplitSource, TaskResult};
use std::time::Duration;

const SECONDS: u64 = 20;

/// Splits that have a record for each second: those of the first come at once, those of the others now and then.
#[derive(Clone)]
struct Uneven(u64);

struct Part {
    split: u64,
    next: u64,
}

impl SplitSource for Uneven {
    type Out = (u64, i64);
    type Split = u64;
    type Position = u64;
    type Reader = Part;

    fn id(&self, split: &u64) -> String {
        split.to_string()
    }

    fn splits(&mut self) -> TaskResult<Vec<u64>> {
        Ok((0..self.0).collect())
    }

    fn at_once(&self) -> usize {
        usize::MAX
    }

    fn reader(&mut self, split: &u64, position: Option<u64>) -> TaskResult<Part> {
        Ok(Part { split: *split, next: position.unwrap_or(0) })
    }
}

impl SplitReader for Part {
    type Out = (u64, i64);
    type Position = u64;

    fn read(&mut self, out: &mut Collector<(u64, i64)>) -> TaskResult<Poll> {
        let until = if self.split == 0 { SECONDS } else { self.next + 1 };
        (self.next..until).for_each(|second| out.push((self.split, second as i64 * 1000)));
        self.next = until;
        Ok(if until < SECONDS { Poll::Wait(Duration::from_millis(3)) } else { Poll::End })
    }

    fn position(&self) -> Option<u64> {
        Some(self.next)
    }
}

fn counts(mode: RuntimeMode, parallelism: u32) -> Vec<(i64, usize)> {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism).set_runtime_mode(mode);
    env.set_option("pipeline.auto-watermark-interval", "1 ms");
    let in_order =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|r: &(u64, i64)| r.1);
    let windows = env
        .from_split_source_with("uneven", true, Uneven(4), in_order)
        .window_all(TumblingEventTimeWindows::of(Duration::from_secs(5)))
        .apply(|(), window, records, out| out.push((window.start, records.len())));
    let mut windows = windows.execute_and_collect("uneven").unwrap();
    windows.sort_unstable();
    windows
}

#[test]
fn a_split_that_is_ahead_makes_no_other_late() {
    let expected: Vec<(i64, usize)> = (0..4).map(|n| (n * 5000, 20)).collect();
    for (mode, parallelism) in
        [(RuntimeMode::Streaming, 1), (RuntimeMode::Streaming, 2), (RuntimeMode::Batch, 2)]
    {
        assert_eq!(counts(mode, parallelism), expected, "{mode:?}, parallelism {parallelism}");
    }
}
