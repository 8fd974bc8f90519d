//! How much a keyed job takes in, and how late its records are at a fixed rate, with buffers sent at once.
//!
//! Each record carries the moment at which it was due, not the one at which it was made: a source that falls behind makes
//! its records late, as it should.

use kvick::prelude::*;
use kvick::{Batch, Poll, Sink, Source, TaskResult};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Different keys.
const KEYS: u64 = 100_000;
/// Records for the measurement of throughput.
const RECORDS: u64 = 20_000_000;
/// How long latency is measured, and what is left out before it: threads start, tables grow.
const MEASURED: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);
/// Records of one poll at most.
const BATCH: u64 = 512;

/// When the process began to measure: all stamps count from here, nanoseconds.
fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// A key, a running count and the moment at which the record was due.
type Stamped = (u64, u64, u64);

/// Emits records of pseudo-random keys: as fast as possible, or at a rate.
struct Paced {
    /// Of this subtask; `None`: as fast as possible.
    nanos_between: Option<f64>,
    records: u64,
    next: u64,
    begin: u64,
    seed: u64,
}

impl Paced {
    fn push(&mut self, due: u64, out: &mut Collector<Stamped>) {
        // A linear congruential sequence (Knuth's constants) is random enough for keys.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push(((self.seed >> 33) % KEYS, 1, due));
        self.next += 1;
    }
}

impl Source for Paced {
    type Out = Stamped;

    fn open(&mut self, context: &mut RuntimeContext) -> TaskResult {
        let parallelism = u64::from(context.parallelism);
        self.records /= parallelism;
        self.nanos_between = self.nanos_between.map(|nanos| nanos * parallelism as f64);
        self.seed += u64::from(context.subtask());
        self.begin = now();
        Ok(())
    }

    fn poll(&mut self, out: &mut Collector<Stamped>) -> TaskResult<Poll> {
        let now = now();
        for _ in 0..BATCH {
            if self.next >= self.records {
                return Ok(Poll::End);
            }
            let due = match self.nanos_between {
                Some(nanos) => self.begin + (self.next as f64 * nanos) as u64,
                None => now,
            };
            if due > now {
                return Ok(Poll::Wait(Duration::from_nanos(due - now)));
            }
            self.push(due, out);
        }
        Ok(Poll::More)
    }
}

/// Latencies in buckets of a 64th of their magnitude, nanoseconds.
#[derive(Clone)]
struct Histogram(Vec<u64>);

impl Histogram {
    fn new() -> Histogram {
        Histogram(vec![0; 64 * 64])
    }

    fn add(&mut self, nanos: u64) {
        self.0[Histogram::bucket(nanos)] += 1;
    }

    fn bucket(nanos: u64) -> usize {
        let magnitude = 63 - nanos.max(64).leading_zeros() as usize;
        (magnitude - 6) * 64 + (nanos.max(64) >> (magnitude - 6)) as usize - 64
    }

    /// The upper end of a bucket, milliseconds.
    fn millis(bucket: usize) -> f64 {
        (((bucket % 64 + 65) as u64) << (bucket / 64)) as f64 / 1e6
    }

    /// The latency that this share of the records does not exceed, milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = (self.0.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        found.map_or(0.0, Histogram::millis)
    }

    fn merge(&mut self, other: &Histogram) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, other)| *count += other);
    }
}

/// What all subtasks have measured.
static MEASURED_BY_ALL: Mutex<Option<Histogram>> = Mutex::new(None);

/// Measures how late each record is; the clock is read once a batch.
struct Measure {
    from: Option<u64>,
    histogram: Histogram,
}

impl Sink<Stamped> for Measure {
    fn write(&mut self, batch: &mut Batch<Stamped>) -> TaskResult {
        let now = now();
        let from = *self.from.get_or_insert(now + WARM_UP.as_nanos() as u64);
        for (_, _, due) in batch.records.drain(..) {
            if due >= from {
                self.histogram.add(now.saturating_sub(due));
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        let mut all = MEASURED_BY_ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_or_insert_with(Histogram::new).merge(&self.histogram);
    }
}

fn build(env: &StreamExecutionEnvironment, records: u64, rate: Option<u64>) {
    env.set_buffer_timeout(0);
    let nanos_between = rate.map(|rate| 1e9 / rate as f64);
    env.from_source("paced", true, move || Paced { nanos_between, records, next: 0, begin: 0, seed: 1 })
        .key_by(|record| record.0)
        .reduce(|known, new| (new.0, known.1 + new.1, new.2))
        .sink_to("measure", || Measure { from: None, histogram: Histogram::new() });
}

/// Tells how many records a second the job takes in.
///
/// # Errors
/// The job failed.
pub fn throughput(env: &StreamExecutionEnvironment) -> Result<(), BoxError> {
    build(env, RECORDS, None);
    let begin = Instant::now();
    env.execute("throughput")?;
    println!("Records a second: {:.0}", RECORDS as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

/// Tells how late records are at a rate, in records a second.
///
/// # Errors
/// The job failed.
pub fn latency(env: &StreamExecutionEnvironment, rate: u64) -> Result<(), BoxError> {
    build(env, rate * (MEASURED + WARM_UP).as_secs(), Some(rate));
    env.execute("latency")?;
    let all = MEASURED_BY_ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.as_ref().ok_or("nothing was measured")?;
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        println!("{name}: {:.3} ms", all.quantile(share));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_64th() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|micros| histogram.add(micros * 1000));
        for (share, millis) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.quantile(share);
            assert!((found / millis - 1.0).abs() < 1.0 / 32.0, "{share}: {found} ms instead of {millis}");
        }
    }
}
