//! Restart strategies (`restart-strategy.type`): whether a failed job goes on, and after how long.

use crate::time::Millis;
use std::collections::VecDeque;

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Restart after this span.
    RestartAfter(Millis),
    /// Do not restart; the text says which strategy decided so.
    Suppress(String),
}

/// A strategy with its memory of past failures.
#[derive(Debug, Clone)]
pub enum RestartStrategy {
    /// Never restart.
    None,
    /// A fixed number of restarts, a fixed delay before each.
    FixedDelay {
        /// Restarts left.
        left: u64,
        /// Restarts allowed in all.
        attempts: u64,
        /// Delay before each.
        delay: Millis,
    },
    /// At most so many failures within an interval.
    FailureRate {
        /// Failures allowed within the interval.
        max: usize,
        /// The interval.
        interval: Millis,
        /// Delay before each restart.
        delay: Millis,
        /// When the failures of the last interval happened.
        failures: VecDeque<Millis>,
    },
    /// A delay that grows with each failure and falls back after a quiet time.
    ExponentialDelay(ExponentialDelay),
}

/// See [`RestartStrategy::ExponentialDelay`].
#[derive(Debug, Clone)]
pub struct ExponentialDelay {
    /// The first delay.
    pub initial: Millis,
    /// The longest delay.
    pub max: Millis,
    /// Growth from one delay to the next.
    pub multiplier: f64,
    /// Part of a delay by which it is longer or shorter at random, from 0 to 1: jobs that fail together shall not come back
    /// together.
    pub jitter: f64,
    /// What the randomness of this job comes from: the same failures at the same times have the same delays.
    pub seed: u64,
    /// Quiet time after which the delay falls back.
    pub reset_after: Millis,
    /// Failures allowed before the delay has fallen back, where limited.
    pub attempts: Option<u64>,
    /// The next delay.
    pub current: Millis,
    /// Failures since the delay last fell back.
    pub failures: u64,
    /// The last failure.
    pub last: Option<Millis>,
}

impl RestartStrategy {
    /// The same with a source of randomness of its own.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> RestartStrategy {
        if let RestartStrategy::ExponentialDelay(state) = &mut self {
            state.seed = seed;
        }
        self
    }

    /// Takes note of a failure and decides.
    pub fn on_failure(&mut self, now: Millis) -> Decision {
        match self {
            RestartStrategy::None => suppress("NoRestartBackoffTimeStrategy"),
            RestartStrategy::FixedDelay { left: 0, attempts, delay } => suppress(&format!(
                "FixedDelayRestartBackoffTimeStrategy(maxNumberRestartAttempts={attempts}, backoffTimeMS={})",
                delay.0
            )),
            RestartStrategy::FixedDelay { left, delay, .. } => {
                *left -= 1;
                Decision::RestartAfter(*delay)
            }
            RestartStrategy::FailureRate { max, interval, delay, failures } => {
                failures.push_back(now);
                while failures.front().is_some_and(|f| now.since(*f) > *interval) {
                    failures.pop_front();
                }
                if failures.len() > *max {
                    return suppress(&format!(
                        "FailureRateRestartBackoffTimeStrategy(FailureRateRestartBackoffTimeStrategy(failuresIntervalMS={},backoffTimeMS={},maxFailuresPerInterval={max})",
                        interval.0, delay.0
                    ));
                }
                Decision::RestartAfter(*delay)
            }
            RestartStrategy::ExponentialDelay(state) => state.on_failure(now),
        }
    }
}

impl ExponentialDelay {
    fn on_failure(&mut self, now: Millis) -> Decision {
        let quiet = self.last.is_some_and(|last| now.since(last) >= self.reset_after.plus(self.current));
        if quiet || self.last.is_none() {
            self.current = self.initial;
            self.failures = 0;
        }
        self.last = Some(now);
        self.failures += 1;
        if self.attempts.is_some_and(|allowed| self.failures > allowed) {
            return suppress("ExponentialDelayRestartBackoffTimeStrategy");
        }
        let delay = self.with_jitter(now);
        let grown = (self.current.0 as f64 * self.multiplier).min(self.max.0 as f64);
        self.current = Millis(grown as u64);
        Decision::RestartAfter(delay)
    }
}

impl ExponentialDelay {
    /// The delay that is due, by up to the factor longer or shorter, and never above the limit.
    fn with_jitter(&self, now: Millis) -> Millis {
        let spread = 2.0 * unit(self.seed ^ now.0) - 1.0;
        let delay = self.current.0 as f64 * (1.0 + self.jitter * spread);
        Millis((delay.round() as u64).min(self.max.0))
    }
}

/// A number from 0 up to 1 that looks random for every seed: SplitMix64's finalizer (Steele, Lea, Flood, 2014).
fn unit(seed: u64) -> f64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // A double holds 53 bits exactly.
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn suppress(strategy: &str) -> Decision {
    Decision::Suppress(format!("Recovery is suppressed by {strategy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_number_of_restarts_and_no_more() {
        let mut strategy = RestartStrategy::FixedDelay { left: 2, attempts: 2, delay: Millis(7) };
        assert_eq!(strategy.on_failure(Millis(0)), Decision::RestartAfter(Millis(7)));
        assert_eq!(strategy.on_failure(Millis(1)), Decision::RestartAfter(Millis(7)));
        let Decision::Suppress(why) = strategy.on_failure(Millis(2)) else {
            panic!("restarted a third time")
        };
        assert!(why.contains("maxNumberRestartAttempts=2, backoffTimeMS=7"), "{why}");
    }

    #[test]
    fn a_failure_rate_counts_only_its_interval() {
        let mut strategy = RestartStrategy::FailureRate {
            max: 1,
            interval: Millis(100),
            delay: Millis(0),
            failures: VecDeque::new(),
        };
        assert_eq!(strategy.on_failure(Millis(0)), Decision::RestartAfter(Millis(0)));
        assert_eq!(strategy.on_failure(Millis(101)), Decision::RestartAfter(Millis(0)));
        assert!(matches!(strategy.on_failure(Millis(150)), Decision::Suppress(_)));
    }

    fn exponential(jitter: f64, max: Millis) -> RestartStrategy {
        RestartStrategy::ExponentialDelay(ExponentialDelay {
            initial: Millis(1000),
            max,
            multiplier: 2.0,
            jitter,
            seed: 0,
            reset_after: Millis(10_000),
            attempts: None,
            current: Millis(1000),
            failures: 0,
            last: None,
        })
    }

    #[test]
    fn jobs_that_fail_together_come_back_one_by_one() {
        let first = |seed| match exponential(0.1, Millis(3000)).seeded(seed).on_failure(Millis(5)) {
            Decision::RestartAfter(delay) => delay.0,
            Decision::Suppress(why) => panic!("{why}"),
        };
        let delays: Vec<u64> = (0..100).map(first).collect();
        assert!(delays.iter().all(|delay| (900..=1100).contains(delay)), "{delays:?}");
        assert!(
            delays.iter().any(|delay| *delay < 950) && delays.iter().any(|delay| *delay > 1050),
            "{delays:?}"
        );
        assert_eq!(first(7), first(7));
        let limited = exponential(1.0, Millis(1000));
        for seed in 0..100 {
            let decision = limited.clone().seeded(seed).on_failure(Millis(0));
            assert!(
                matches!(decision, Decision::RestartAfter(delay) if delay <= Millis(1000)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn an_exponential_delay_grows_to_its_limit_and_falls_back_when_quiet() {
        let mut strategy = exponential(0.0, Millis(3000));
        let delays: Vec<_> = [0, 1, 2, 20_000].map(|t| strategy.on_failure(Millis(t))).to_vec();
        let expected = [1000, 2000, 3000, 1000].map(|d| Decision::RestartAfter(Millis(d)));
        assert_eq!(delays, expected);
    }
}
