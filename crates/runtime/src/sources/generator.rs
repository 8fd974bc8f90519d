//! Records made from numbers, as many a second as asked: Flink's `DataGeneratorSource`.

use super::split::{SplitReader, SplitSource};
use crate::element::{BATCH_SIZE, Data};
use crate::error::{TaskError, TaskResult};
use crate::operator::Output;
use crate::task::{Poll, TaskContext, lock};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The shortest pause between two batches: at high rates a batch has several records.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// After a pause that was longer than this, what was missed is not made up for.
const LONGEST_BACKLOG: Duration = Duration::from_millis(100);

/// A record for each number from 0 up to a count; the same number always gives the same record, so a record that is
/// given again after a failure is the same one. Subtasks have contiguous ranges.
#[derive(Clone)]
pub struct DataGeneratorSource<F> {
    generate: F,
    count: u64,
    records_per_second: Option<f64>,
    block: u64,
    parallelism: u32,
    /// What the subtask may make, whatever the number of its ranges; there since [`SplitSource::open`].
    rate: Option<SharedRate>,
}

impl<F> DataGeneratorSource<F> {
    /// `count` records; `u64::MAX` of them never end.
    pub fn new(generate: F, count: u64) -> Self {
        DataGeneratorSource {
            generate,
            count,
            records_per_second: None,
            block: 1,
            parallelism: 1,
            rate: None,
        }
    }

    /// At most so many records a second, all subtasks together: each makes its share. As in Flink, the share of a subtask that
    /// has nothing (left) to make is not made by the others.
    #[must_use]
    #[doc(alias = "RateLimiterStrategy")]
    pub fn rate_limited(mut self, records_per_second: f64) -> Self {
        self.records_per_second = Some(records_per_second);
        self
    }

    /// Ranges of subtasks begin at multiples of `records`: for records that only make sense together.
    #[must_use]
    pub fn in_blocks_of(mut self, records: u64) -> Self {
        self.block = records.max(1);
        self
    }

    /// Whether it ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.count < u64::MAX
    }
}

/// Makes the records of one range.
pub struct GeneratorReader<F> {
    generate: F,
    next: u64,
    end: u64,
    rate: Option<SharedRate>,
}

impl<T: Data, F: FnMut(u64) -> T + Clone + Send + 'static> SplitSource for DataGeneratorSource<F> {
    type Out = T;
    /// The first number of a range, and the one after its last.
    type Split = (u64, u64);
    type Position = u64;
    type Reader = GeneratorReader<F>;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.parallelism = context.parallelism;
        match self.records_per_second {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => Err(TaskError::failed(format!(
                "a data generator cannot make {rate} records a second: the rate must be more than 0"
            ))),
            rate => {
                let share = rate.map(|all| Rate::new(all / f64::from(self.parallelism)));
                self.rate = share.map(|share| Arc::new(Mutex::new(share)));
                Ok(())
            }
        }
    }

    fn id(&self, (first, end): &(u64, u64)) -> String {
        format!("numbers from {first} up to {end}")
    }

    fn splits(&mut self) -> TaskResult<Vec<(u64, u64)>> {
        let (blocks, parts) = (u128::from(self.count / self.block), u128::from(self.parallelism));
        let cut = |part| if part == parts { self.count } else { (blocks * part / parts) as u64 * self.block };
        Ok((0..parts).map(|part| (cut(part), cut(part + 1))).collect())
    }

    /// After a change of parallelism a subtask may have several ranges: none waits for the end of another.
    fn at_once(&self) -> usize {
        usize::MAX
    }

    fn reader(&mut self, split: &(u64, u64), position: Option<u64>) -> TaskResult<GeneratorReader<F>> {
        let (next, end) = (position.unwrap_or(split.0), split.1);
        Ok(GeneratorReader { generate: self.generate.clone(), next, end, rate: self.rate.clone() })
    }
}

impl<T: Data, F: FnMut(u64) -> T + Send> SplitReader for GeneratorReader<F> {
    type Out = T;
    type Position = u64;

    fn read(&mut self, out: &mut Output<T>) -> TaskResult<Poll> {
        let left = self.end - self.next;
        let wanted = left.min(BATCH_SIZE as u64);
        let allowed = match &self.rate {
            Some(rate) => match lock(rate).take(wanted, Instant::now()) {
                Ok(allowed) => allowed,
                Err(pause) if left > 0 => return Ok(Poll::Wait(pause)),
                Err(_) => 0,
            },
            None => wanted,
        };
        for number in self.next..self.next + allowed {
            out.push((self.generate)(number));
        }
        self.next += allowed;
        Ok(if self.next == self.end { Poll::End } else { Poll::More })
    }

    fn position(&self) -> Option<u64> {
        Some(self.next)
    }
}

/// The rate of a subtask, for all of its readers.
type SharedRate = Arc<Mutex<Rate>>;

/// Lets so many records a second through: a token bucket.
#[derive(Debug)]
struct Rate {
    per_second: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Rate {
    fn new(per_second: f64) -> Rate {
        Rate { per_second, tokens: 1.0, filled: None }
    }

    /// How many of `wanted` may go now, or how long to wait.
    fn take(&mut self, wanted: u64, now: Instant) -> Result<u64, Duration> {
        let passed = self.filled.map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        self.filled = Some(now);
        let most = (self.per_second * LONGEST_BACKLOG.as_secs_f64()).max(1.0);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(most);
        if self.tokens < 1.0 || wanted == 0 {
            let pause = Duration::from_secs_f64(((1.0 - self.tokens) / self.per_second).clamp(0.0, 3600.0));
            return Err(pause.max(SHORTEST_PAUSE));
        }
        let granted = wanted.min(self.tokens as u64);
        self.tokens -= granted as f64;
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_pause_is_not_made_up_for() {
        let mut rate = Rate::new(1000.0);
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let all: u64 = (0..=5000).map(|millis| rate.take(512, at(millis)).unwrap_or(0)).sum();
        assert!((4990..=5002).contains(&all), "{all}");
        assert_eq!(rate.take(512, at(60_000)), Ok(100));
        let pause = rate.take(512, at(60_000)).unwrap_err();
        assert_eq!(pause, SHORTEST_PAUSE);
        let mut slow = Rate::new(0.5);
        assert_eq!(slow.take(9, at(0)), Ok(1));
        assert_eq!(slow.take(9, at(0)), Err(Duration::from_secs(2)));
        assert_eq!(slow.take(9, at(2000)), Ok(1));
    }
}
