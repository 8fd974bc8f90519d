//! When an asynchronous function is called again for the same record.

use crate::error::BoxError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RetryDelay {
    /// Always the same.
    Fixed(Duration),
    /// More each time.
    Exponential {
        /// Before the second attempt.
        initial: Duration,
        /// At most.
        max: Duration,
        /// How much more each time.
        multiplier: f64,
    },
}

impl RetryDelay {
    /// The wait after attempt `attempt`, counted from 1.
    fn after(self, attempt: u32) -> Duration {
        match self {
            RetryDelay::Fixed(delay) => delay,
            RetryDelay::Exponential { initial, max, multiplier } => {
                let factor = multiplier.max(1.0).powi(attempt.saturating_sub(1).min(1000) as i32);
                let seconds = (initial.as_secs_f64() * factor).min(max.as_secs_f64());
                Duration::try_from_secs_f64(seconds).unwrap_or(max)
            }
        }
    }
}

type ResultPredicate<O> = Arc<dyn Fn(&[O]) -> bool + Send + Sync>;
type ErrorPredicate = Arc<dyn Fn(&BoxError) -> bool + Send + Sync>;

/// How often an asynchronous function is called for one record, and after what.
#[derive(Clone)]
#[doc(alias = "AsyncRetryStrategies")]
pub struct AsyncRetryStrategy<O> {
    max_attempts: u32,
    delay: RetryDelay,
    if_result: Option<ResultPredicate<O>>,
    if_error: ErrorPredicate,
}

impl<O> AsyncRetryStrategy<O> {
    /// Each record is tried once.
    #[doc(alias = "NO_RETRY_STRATEGY")]
    pub fn no_retry() -> Self {
        Self::with(1, RetryDelay::Fixed(Duration::ZERO))
    }

    /// At most so many attempts, with a fixed wait between them.
    #[doc(alias = "FixedDelayRetryStrategy")]
    pub fn fixed_delay(max_attempts: u32, delay: Duration) -> Self {
        Self::with(max_attempts, RetryDelay::Fixed(delay))
    }

    /// At most so many attempts, with a wait between them that grows.
    #[doc(alias = "ExponentialBackoffDelayRetryStrategy")]
    pub fn exponential_backoff(max_attempts: u32, initial: Duration, max: Duration, multiplier: f64) -> Self {
        Self::with(max_attempts, RetryDelay::Exponential { initial, max, multiplier })
    }

    fn with(max_attempts: u32, delay: RetryDelay) -> Self {
        AsyncRetryStrategy { max_attempts, delay, if_result: None, if_error: Arc::new(|_| true) }
    }

    /// Also tries again after results for which this holds.
    #[must_use]
    #[doc(alias = "ifResult")]
    pub fn if_result(mut self, again: impl Fn(&[O]) -> bool + Send + Sync + 'static) -> Self {
        self.if_result = Some(Arc::new(again));
        self
    }

    /// Tries again only after errors for which this holds, instead of after any.
    #[must_use]
    #[doc(alias = "ifException")]
    pub fn if_error(mut self, again: impl Fn(&BoxError) -> bool + Send + Sync + 'static) -> Self {
        self.if_error = Arc::new(again);
        self
    }

    /// Whether any record may be tried more than once.
    pub fn is_any(&self) -> bool {
        self.max_attempts > 1
    }

    fn wants_more(&self, result: &Result<Vec<O>, BoxError>) -> bool {
        match result {
            Ok(results) => self.if_result.as_ref().is_some_and(|again| again(results)),
            Err(error) => (self.if_error)(error),
        }
    }

    /// Calls the function for a record, as often as needed and allowed.
    pub(super) async fn run<T, F, Fut>(self, mut function: F, record: T) -> Result<Vec<O>, BoxError>
    where
        T: Clone,
        F: FnMut(T) -> Fut,
        Fut: Future<Output = Result<Vec<O>, BoxError>>,
    {
        let mut attempt = 1;
        while attempt < self.max_attempts {
            let result = function(record.clone()).await;
            if !self.wants_more(&result) {
                return result;
            }
            drop(result);
            tokio::time::sleep(self.delay.after(attempt)).await;
            attempt += 1;
        }
        function(record).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_limit() {
        let (initial, max) = (Duration::from_millis(10), Duration::from_millis(50));
        let delay = RetryDelay::Exponential { initial, max, multiplier: 2.0 };
        assert_eq!([1, 2, 3, 4, 9].map(|n| delay.after(n).as_millis()), [10, 20, 40, 50, 50]);
    }
}
