//! Processing time: epoch milliseconds that never run backwards, and their place on the clock by which threads wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of one task. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The latest time that was shown.
    latest: Arc<AtomicI64>,
    by_hand: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::system()
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock { latest: Arc::new(AtomicI64::new(i64::MIN)), by_hand: false }
    }

    /// A clock that stands still until it is set; for tests.
    pub fn by_hand(now: i64) -> Clock {
        Clock { latest: Arc::new(AtomicI64::new(now)), by_hand: true }
    }

    /// Sets the time of a clock set by hand, and the lower bound of any other. It never goes back.
    pub fn set(&self, now: i64) {
        self.latest.fetch_max(now, Ordering::Relaxed);
    }

    /// Now, in epoch milliseconds; never less than it was before.
    #[inline]
    pub fn now(&self) -> i64 {
        if self.by_hand {
            return self.latest.load(Ordering::Relaxed);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_millis() as i64);
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// When an epoch time will be; now, for one that has passed. On a clock set by hand a later time is far away.
    pub fn instant(&self, epoch_ms: i64) -> Instant {
        let (now, instant) = (self.now(), Instant::now());
        let ahead = u64::try_from(epoch_ms.saturating_sub(now)).unwrap_or(0);
        let far = Duration::from_secs(24 * 3600);
        let span = if self.by_hand && ahead > 0 { far } else { Duration::from_millis(ahead).min(far) };
        instant + span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards_and_stands_still_when_set_by_hand() {
        let clock = Clock::system();
        let now = clock.now();
        clock.set(now + 3_600_000);
        assert!(clock.now() >= now + 3_600_000);
        let still = Clock::by_hand(5);
        assert_eq!(still.clone().now(), 5);
        still.set(9);
        still.set(7);
        assert_eq!(still.now(), 9);
        assert!(still.instant(9) <= Instant::now());
        assert!(still.instant(10) > Instant::now() + Duration::from_secs(60));
    }
}
