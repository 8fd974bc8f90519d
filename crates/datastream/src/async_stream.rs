//! Asynchronous functions on streams.

use crate::stream::DataStream;
use kvick_runtime::element::Data;
use kvick_runtime::error::BoxError;
use kvick_runtime::operators::async_wait::{AsyncRetryStrategy, AsyncSettings, AsyncTimeout, AsyncWait};
use std::future::Future;

/// Lets records wait for something outside, many at a time.
///
/// The function is called on a Tokio runtime beside the subtask, so anything that is built on Tokio can be awaited in it.
///
/// ```
/// # use kvick::prelude::*;
/// # use kvick::AsyncDataStream;
/// # use std::time::Duration;
/// # async fn look_up(id: u64) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
/// # let env = StreamExecutionEnvironment::get_execution_environment();
/// # let ids = env.from_collection([7_u64]);
/// let names = AsyncDataStream::unordered_wait(
///     &ids,
///     |id| async move { Ok(vec![look_up(id).await?]) },
///     Duration::from_secs(10), // a record that takes longer fails the job
///     100,                     // records in flight
/// );
/// # assert_eq!(names.execute_and_collect("names").unwrap(), ["user 7"]);
/// ```
///
/// With an [`AsyncTimeout`] instead of the duration, a record that takes longer gets other results. A time-out of zero is none, as in Flink.
///
/// ```
/// # use kvick::prelude::*;
/// # use kvick::{AsyncDataStream, AsyncTimeout};
/// # use std::time::Duration;
/// # async fn look_up(_: u64) -> Result<String, std::io::Error> { std::future::pending().await }
/// # let env = StreamExecutionEnvironment::get_execution_environment();
/// # let ids = env.from_collection([7_u64]);
/// let names = AsyncDataStream::unordered_wait(
///     &ids,
///     |id| async move { Ok(vec![look_up(id).await?]) },
///     AsyncTimeout::or_else(Duration::from_millis(10), |id: &u64| Ok(vec![format!("unknown {id}")])),
///     100,
/// );
/// # assert_eq!(names.execute_and_collect("names").unwrap(), ["unknown 7"]);
/// ```
pub struct AsyncDataStream;

impl AsyncDataStream {
    /// Emits results as they come; watermarks are not overtaken.
    ///
    /// # Panics
    /// A capacity of 0.
    #[doc(alias = "unorderedWait")]
    #[track_caller]
    pub fn unordered_wait<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: impl Into<AsyncTimeout<T, O>>,
        capacity: usize,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let (timeout, retry) = (timeout.into(), AsyncRetryStrategy::no_retry());
        wait(input, function, AsyncSettings { ordered: false, timeout, capacity, retry })
    }

    /// Emits results in the order of the records.
    ///
    /// # Panics
    /// A capacity of 0.
    #[doc(alias = "orderedWait")]
    #[track_caller]
    pub fn ordered_wait<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: impl Into<AsyncTimeout<T, O>>,
        capacity: usize,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let (timeout, retry) = (timeout.into(), AsyncRetryStrategy::no_retry());
        wait(input, function, AsyncSettings { ordered: true, timeout, capacity, retry })
    }

    /// [`AsyncDataStream::unordered_wait`] with further attempts; the time-out is for all attempts together.
    ///
    /// # Panics
    /// A capacity of 0; a time-out of zero, which would be none: a record could be tried for ever.
    #[doc(alias = "unorderedWaitWithRetry")]
    #[track_caller]
    pub fn unordered_wait_with_retry<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: impl Into<AsyncTimeout<T, O>>,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let timeout = timeout.into();
        wait(input, function, AsyncSettings { ordered: false, timeout, capacity, retry })
    }

    /// [`AsyncDataStream::ordered_wait`] with further attempts; the time-out is for all attempts together.
    ///
    /// # Panics
    /// A capacity of 0; a time-out of zero, which would be none: a record could be tried for ever.
    #[doc(alias = "orderedWaitWithRetry")]
    #[track_caller]
    pub fn ordered_wait_with_retry<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: impl Into<AsyncTimeout<T, O>>,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let timeout = timeout.into();
        wait(input, function, AsyncSettings { ordered: true, timeout, capacity, retry })
    }
}

#[track_caller]
fn wait<T, O, F, Fut>(input: &DataStream<T>, function: F, settings: AsyncSettings<T, O>) -> DataStream<O>
where
    T: Data,
    O: Data,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
{
    let AsyncSettings { timeout, capacity, retry, .. } = &settings;
    assert!(
        *capacity > 0,
        "an asynchronous function needs a capacity of at least 1: how many records may be in flight"
    );
    assert!(
        timeout.limit().is_some() || !retry.is_any(),
        "an asynchronous function that is tried again needs a time-out above 0, for all attempts together"
    );
    input.transform("async wait operator", move || AsyncWait::new(function.clone(), settings.clone()))
}
