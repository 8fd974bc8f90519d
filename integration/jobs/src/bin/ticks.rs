//! Numbers from a source that knows where it is, counted by key, into files that hold each line exactly once. From the lines
//! a reader can tell what was lost or doubled, in the stream and in the state, and for how long nothing moved:
//!
//! - `n RANGE NUMBER KEY COUNT TIME`: a number of a range (each begins at 0), the how manieth of its key it is, and when it
//!   was counted, in milliseconds since 1970;
//! - `end RANGE TOTAL 0 0 TIME`: so many numbers were there in a range.
//!
//! Usage: `ticks --until <local file, with whose appearance the numbers end> --rate <numbers per second>
//! --output <directory> [--roll checkpoint|time]`

use kvick::prelude::*;
use kvick::sinks::{BasePathBucketAssigner, FileSink, RollingPolicy, TextEncoder};
use kvick::{RuntimeContext as TaskContext, SplitReader, SplitSource};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many keys there are.
const KEYS: u64 = 100;

/// A number of a range; `last` is the one after the last, which is not counted.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Tick {
    range: u32,
    number: u64,
    last: bool,
}

/// A range for each subtask.
#[derive(Clone)]
struct Numbers {
    until: PathBuf,
    rate: f64,
    ranges: u32,
}

impl SplitSource for Numbers {
    type Out = Tick;
    type Split = u32;
    /// The next number, and whether the end was told.
    type Position = (u64, bool);
    type Reader = Range;

    fn open(&mut self, context: &mut TaskContext) -> Result<(), kvick::TaskError> {
        self.ranges = context.parallelism;
        Ok(())
    }

    fn id(&self, range: &u32) -> String {
        format!("range {range}")
    }

    fn splits(&mut self) -> Result<Vec<u32>, kvick::TaskError> {
        Ok((0..self.ranges).collect())
    }

    fn reader(&mut self, range: &u32, position: Option<(u64, bool)>) -> Result<Range, kvick::TaskError> {
        let (next, ended) = position.unwrap_or_default();
        let pace = Duration::from_secs_f64(f64::from(self.ranges) / self.rate);
        Ok(Range { range: *range, next, ended, until: self.until.clone(), pace, due: Instant::now() })
    }
}

/// The numbers of one range, at an even pace. What a pause kept from being emitted is not made up for.
struct Range {
    range: u32,
    next: u64,
    ended: bool,
    until: PathBuf,
    pace: Duration,
    due: Instant,
}

impl SplitReader for Range {
    type Out = Tick;
    type Position = (u64, bool);

    fn read(&mut self, out: &mut Collector<Tick>) -> Result<kvick::Poll, kvick::TaskError> {
        if self.ended {
            return Ok(kvick::Poll::End);
        }
        if Path::new(&self.until).exists() {
            self.ended = true;
            out.push(Tick { range: self.range, number: self.next, last: true });
            return Ok(kvick::Poll::End);
        }
        let now = Instant::now();
        if now < self.due {
            return Ok(kvick::Poll::Wait((self.due - now).max(Duration::from_millis(5))));
        }
        self.due = self.due.max(now - Duration::from_millis(100));
        while self.due <= now {
            out.push(Tick { range: self.range, number: self.next, last: false });
            self.next += 1;
            self.due += self.pace;
        }
        Ok(kvick::Poll::More)
    }

    fn position(&self) -> Option<(u64, bool)> {
        Some((self.next, self.ended))
    }
}

/// Counts the numbers of each key.
#[derive(Clone, Default)]
struct Count {
    seen: ValueState<u64>,
}

impl KeyedProcessFunction<u64, Tick, String> for Count {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.seen = context.value_state(ValueStateDescriptor::new("seen"))?;
        Ok(())
    }

    fn process(
        &mut self,
        tick: Tick,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let Tick { range, number, last } = tick;
        if last {
            out.push(format!("end {range} {number} 0 0 {time}"));
            return Ok(());
        }
        let count = self.seen.value(context)?.copied().unwrap_or(0) + 1;
        self.seen.update(context, count)?;
        out.push(format!("n {range} {number} {} {count} {time}", number % KEYS));
        Ok(())
    }
}

/// Parts end with every checkpoint, or live through many and are taken up again where a checkpoint left them.
fn policy(roll: &str) -> Result<RollingPolicy, BoxError> {
    match roll {
        "checkpoint" => Ok(RollingPolicy::on_checkpoint()),
        "time" => Ok(RollingPolicy::default().with_rollover_interval(Duration::from_secs(10))),
        other => Err(format!("--roll {other}: it is checkpoint or time").into()),
    }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let source = Numbers {
        until: params.required("until")?.into(),
        rate: params.required("rate")?.parse()?,
        ranges: 1,
    };
    let sink = FileSink::for_row_format(params.required("output")?, TextEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(policy(params.get("roll").unwrap_or("checkpoint"))?);
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_split_source("Numbers", false, source)
        .uid("numbers")
        .key_by(|tick| tick.number % KEYS)
        .process(Count::default())
        .uid("count")
        .sink_to_files(sink)
        .uid("output");
    env.execute("ticks")?;
    Ok(())
}
