//! Counts numbers by their last digit, from a source that knows where it is, into files that hold every count exactly once.
//!
//! Usage: `counts --count <numbers> --rate <numbers per second> --output <directory> [--while <local file>]`; as long as that
//! file is there the last numbers wait, and when it is gone nothing waits any more.

#[path = "../held.rs"]
mod held;

use kvick::prelude::*;
use kvick::sinks::{BasePathBucketAssigner, FileSink, RollingPolicy, TextEncoder};
use kvick::{Poll, SplitReader, SplitSource, TaskResult};
use std::time::{Duration, Instant};

/// The numbers are cut into so many splits, whatever the parallelism is: it may change.
const SPLITS: u64 = 6;

/// All numbers below `count`.
#[derive(Clone)]
struct Numbers {
    count: u64,
    /// Of one split.
    pace: Duration,
    hold: held::Hold,
}

impl SplitSource for Numbers {
    type Out = (u64, u64);
    /// The remainder that its numbers leave.
    type Split = u64;
    /// The next number.
    type Position = u64;
    type Reader = Part;

    fn id(&self, split: &u64) -> String {
        format!("split {split}")
    }

    fn splits(&mut self) -> TaskResult<Vec<u64>> {
        Ok((0..SPLITS).collect())
    }

    fn at_once(&self) -> usize {
        usize::MAX
    }

    fn reader(&mut self, split: &u64, position: Option<u64>) -> TaskResult<Part> {
        Ok(Part { next: position.unwrap_or(*split), due: Instant::now(), numbers: self.clone() })
    }
}

/// The numbers of one split, at an even pace while the job is held.
struct Part {
    next: u64,
    due: Instant,
    numbers: Numbers,
}

impl SplitReader for Part {
    type Out = (u64, u64);
    type Position = u64;

    fn read(&mut self, out: &mut Collector<(u64, u64)>) -> TaskResult<Poll> {
        let Numbers { count, pace, hold } = &self.numbers;
        let (now, held) = (Instant::now(), hold.holds());
        // What could not be emitted for long is not made up for at once.
        self.due = self.due.max(now - Duration::from_millis(100));
        for _ in 0..100 {
            if self.next >= *count {
                return Ok(Poll::End);
            }
            let is_last = self.next + SPLITS >= *count;
            if held && (is_last || self.due > now) {
                return Ok(Poll::Wait(Duration::from_millis(5).max(self.due.saturating_duration_since(now))));
            }
            out.push((self.next % 10, 1));
            self.next += SPLITS;
            self.due += *pace;
        }
        Ok(Poll::More)
    }

    fn position(&self) -> Option<u64> {
        Some(self.next)
    }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let rate: f64 = params.required("rate")?.parse()?;
    let numbers = Numbers {
        count: params.required("count")?.parse()?,
        pace: Duration::from_secs_f64(SPLITS as f64 / rate),
        hold: held::Hold::of(&params),
    };
    let sink = FileSink::for_row_format(params.required("output")?, TextEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(RollingPolicy::on_checkpoint());
    let env = StreamExecutionEnvironment::get_execution_environment();
    // A bounded source would make it a batch job, which takes no checkpoints.
    env.set_runtime_mode(RuntimeMode::Streaming);
    env.from_split_source("Numbers", true, numbers)
        .uid("numbers")
        .key_by(|(digit, _)| *digit)
        .sum(|(_, seen)| seen)
        .uid("count")
        .sink_to_files(sink);
    env.execute("counts")?;
    Ok(())
}
