//! A job as somebody writes it who has read the documentation and nothing else: a source and a sink of its own, windows of
//! event time over splits that are not in step, and a total for each meter in keyed state.
//!
//! Electricity meters are read every 100 ms of their own time. Each second of a meter becomes a line
//! `<meter> <second> <sum> <total>` in a ledger: a directory of files that appear when they are committed.
//!
//! Usage: `meters --ledger <local directory> [--meters <how many>] [--readings <of each>] [--pause <ms between two>]
//! [--while <local file, as long as which is there the last reading of each waits>]`

#[path = "../held.rs"]
mod held;

use kvick::prelude::*;
use kvick::sinks::{Prepare, TwoPhaseSink};
use kvick::window::TumblingEventTimeWindows;
use kvick::{Batch, Poll, SplitReader, SplitSource, TaskResult};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Meter, time in milliseconds, watt hours.
type Reading = (Str, i64, u64);
/// Meter, second, watt hours in it.
type Second = (Str, i64, u64);

/// Meters that can each be read from any of their readings on.
#[derive(Clone)]
struct Meters {
    meters: u64,
    readings: u64,
    pause: Duration,
    hold: held::Hold,
}

/// One meter while it is read.
struct Meter {
    name: Str,
    number: u64,
    next: u64,
    end: u64,
    pause: Duration,
    hold: held::Hold,
}

impl SplitSource for Meters {
    type Out = Reading;
    type Split = u64;
    type Position = u64;
    type Reader = Meter;

    fn id(&self, meter: &u64) -> String {
        format!("meter-{meter}")
    }

    fn splits(&mut self) -> TaskResult<Vec<u64>> {
        Ok((0..self.meters).collect())
    }

    fn at_once(&self) -> usize {
        usize::MAX
    }

    fn reader(&mut self, meter: &u64, position: Option<u64>) -> TaskResult<Meter> {
        let (name, next) = (Str::from(format!("meter-{meter}")), position.unwrap_or(0));
        let (pause, hold) = (self.pause, self.hold.clone());
        Ok(Meter { name, number: *meter, next, end: self.readings, pause, hold })
    }
}

impl SplitReader for Meter {
    type Out = Reading;
    type Position = u64;

    fn read(&mut self, out: &mut Collector<Reading>) -> TaskResult<Poll> {
        if self.next + 1 == self.end && self.hold.holds() {
            return Ok(Poll::Wait(self.pause));
        }
        // Every meter is an hour ahead of the one before it.
        let at = self.next as i64 * 100 + self.number as i64 * 3_600_000;
        out.push((self.name.clone(), at, self.next % 7 + self.number));
        self.next += 1;
        Ok(if self.next == self.end { Poll::End } else { Poll::Wait(self.pause) })
    }

    fn position(&self) -> Option<u64> {
        Some(self.next)
    }
}

/// Adds the seconds of a meter up.
#[derive(Clone, Default)]
struct Totals {
    total: ValueState<u64>,
}

impl KeyedProcessFunction<Str, Second, String> for Totals {
    fn open(&mut self, context: &mut FunctionContext<'_, Str>) -> Result<(), BoxError> {
        self.total = context.value_state(ValueStateDescriptor::new("total"))?;
        Ok(())
    }

    fn process(
        &mut self,
        (meter, second, sum): Second,
        context: &mut KeyedContext<'_, Str>,
        out: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        let total = self.total.value(context)?.copied().unwrap_or(0) + sum;
        self.total.update(context, total)?;
        out.push(format!("{meter} {second} {sum} {total}"));
        Ok(())
    }
}

/// Writes lines to hidden files, and shows a file once it is committed.
struct Ledger {
    directory: PathBuf,
    lines: Vec<String>,
    /// No two files of any attempt of any subtask have the same name.
    name: String,
    files: u64,
}

impl Ledger {
    fn hidden(&self, file: &str) -> PathBuf {
        self.directory.join(format!(".{file}"))
    }
}

impl TwoPhaseSink<String> for Ledger {
    type Committable = String;
    type State = ();

    fn open(&mut self, context: &mut RuntimeContext, _: Vec<()>) -> TaskResult {
        let began = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        self.name = format!("{}-{began}", context.subtask());
        Ok(fs::create_dir_all(&self.directory)?)
    }

    fn write(&mut self, batch: &mut Batch<String>) -> TaskResult {
        self.lines.append(&mut batch.records);
        Ok(())
    }

    fn prepare(&mut self, _: Prepare) -> TaskResult<Vec<String>> {
        if self.lines.is_empty() {
            return Ok(Vec::new());
        }
        self.files += 1;
        let file = format!("{}-{}", self.name, self.files);
        fs::write(self.hidden(&file), self.lines.join("\n") + "\n")?;
        self.lines.clear();
        Ok(vec![file])
    }

    fn commit(&mut self, file: &String) -> TaskResult {
        let shown = self.directory.join(file);
        match fs::rename(self.hidden(file), &shown) {
            Err(_) if shown.exists() => Ok(()),
            renamed => Ok(renamed?),
        }
    }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let (meters, readings) = (params.get_or("meters", 4)?, params.get_or("readings", 200)?);
    let pause = Duration::from_millis(params.get_or("pause", 20)?);
    let directory = PathBuf::from(params.required("ledger")?);
    let source = Meters { meters, readings, pause, hold: held::Hold::of(&params) };

    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_runtime_mode(RuntimeMode::Streaming);
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|r: &Reading| r.1);
    env.from_split_source_with("meters", true, source, strategy)
        .uid("meters")
        .key_by(|reading| reading.0.clone())
        .window(TumblingEventTimeWindows::of(Duration::from_secs(1)))
        .reduce_with(
            |a, b| (a.0, a.1, a.2 + b.2),
            |meter, window, sum, out| out.push((meter.clone(), window.start / 1000, sum.2)),
        )
        .uid("seconds")
        .key_by(|second| second.0.clone())
        .process(Totals::default())
        .uid("totals")
        .sink_to_two_phase("ledger", move || Ledger {
            directory: directory.clone(),
            lines: Vec::new(),
            name: String::new(),
            files: 0,
        })
        .uid("ledger");
    env.execute("meters")?;
    Ok(())
}
