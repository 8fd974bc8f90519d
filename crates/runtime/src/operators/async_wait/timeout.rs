//! How long a record may wait for an asynchronous function, and what becomes of it then.

use crate::error::BoxError;
use std::sync::Arc;
use std::time::Duration;

type Instead<T, O> = Arc<dyn Fn(&T) -> Result<Vec<O>, BoxError> + Send + Sync>;

/// A limit for each record, all attempts together. Made of a [`Duration`], after which the job fails; zero is no limit, as in
/// Flink. After a restore the time begins anew.
#[derive(Clone)]
#[doc(alias = "timeout")]
pub struct AsyncTimeout<T, O> {
    limit: Option<Duration>,
    instead: Option<Instead<T, O>>,
}

impl<T, O> From<Duration> for AsyncTimeout<T, O> {
    fn from(limit: Duration) -> Self {
        AsyncTimeout { limit: Some(limit).filter(|limit| !limit.is_zero()), instead: None }
    }
}

impl<T, O> AsyncTimeout<T, O> {
    /// After this time the record gets the results that this function has for it, instead of failing the job: what
    /// `AsyncFunction.timeout` is for in Flink. The function is called in the task's own thread and must not wait for anything.
    #[doc(alias = "AsyncFunction.timeout")]
    pub fn or_else(
        limit: Duration,
        instead: impl Fn(&T) -> Result<Vec<O>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        AsyncTimeout { instead: Some(Arc::new(instead)), ..AsyncTimeout::from(limit) }
    }

    /// The time, where there is a limit.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// What a record gets whose time is over.
    pub(super) fn results(&self, record: &T) -> Result<Vec<O>, BoxError> {
        match &self.instead {
            Some(instead) => instead(record),
            None => {
                let limit = self.limit.unwrap_or_default();
                Err(format!("an asynchronous function took longer than {limit:?}").into())
            }
        }
    }
}
