//! How many records a task takes at a time: as many as come, unless it is so slow that a barrier would have to wait for it.

use std::time::Duration;

/// Longer than this nobody should wait for a batch.
const TOO_LONG: Duration = Duration::from_millis(50);
/// How many are taken before anything is known.
const FIRST: usize = 16;
/// What a part of a batch should take.
const AIM: Duration = Duration::from_millis(20);

/// The largest number of records to take at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    limit: usize,
}

impl Pace {
    /// Nothing is known so far.
    pub fn new() -> Pace {
        Pace { limit: FIRST }
    }

    /// How many records may be taken.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// So many records took so long.
    pub fn took(&mut self, records: usize, span: Duration) {
        if span > TOO_LONG {
            let fitting = records as u128 * AIM.as_nanos() / span.as_nanos().max(1);
            self.limit = (fitting as usize).max(1);
        } else if span < AIM / 2 && records >= self.limit {
            self.limit = self.limit.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_task_takes_less_at_a_time_and_more_again_when_it_is_quick() {
        let mut pace = Pace::new();
        (0..10).for_each(|_| pace.took(pace.limit(), Duration::from_micros(40)));
        assert!(pace.limit() > 10_000);
        pace.took(512, Duration::from_millis(40));
        assert!(pace.limit() > 10_000);
        pace.took(500, Duration::from_secs(5));
        assert_eq!(pace.limit(), 2);
        pace.took(2, Duration::from_secs(1));
        assert_eq!(pace.limit(), 1);
        pace.took(1, Duration::from_millis(1));
        assert_eq!(pace.limit(), 2);
        pace.took(1, Duration::from_millis(1));
        assert_eq!(pace.limit(), 2, "less than allowed says nothing");
    }
}
