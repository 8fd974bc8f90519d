//! Asynchronous functions on streams.

use crate::stream::DataStream;
use kvick_runtime::element::Data;
use kvick_runtime::error::BoxError;
use kvick_runtime::operators::async_wait::{AsyncRetryStrategy, AsyncSettings, AsyncWait};
use std::future::Future;
use std::time::Duration;

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
pub struct AsyncDataStream;

impl AsyncDataStream {
    /// Emits results as they come; watermarks are not overtaken.
    pub fn unordered_wait<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: Duration,
        capacity: usize,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let retry = AsyncRetryStrategy::no_retry();
        wait(input, function, AsyncSettings { ordered: false, timeout, capacity, retry })
    }

    /// Emits results in the order of the records.
    pub fn ordered_wait<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: Duration,
        capacity: usize,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        let retry = AsyncRetryStrategy::no_retry();
        wait(input, function, AsyncSettings { ordered: true, timeout, capacity, retry })
    }

    /// [`AsyncDataStream::unordered_wait`] with further attempts; the time-out is for all attempts together.
    pub fn unordered_wait_with_retry<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: Duration,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        wait(input, function, AsyncSettings { ordered: false, timeout, capacity, retry })
    }

    /// [`AsyncDataStream::ordered_wait`] with further attempts; the time-out is for all attempts together.
    pub fn ordered_wait_with_retry<T, O, F, Fut>(
        input: &DataStream<T>,
        function: F,
        timeout: Duration,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O>
    where
        T: Data,
        O: Data,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
    {
        wait(input, function, AsyncSettings { ordered: true, timeout, capacity, retry })
    }
}

fn wait<T, O, F, Fut>(input: &DataStream<T>, function: F, settings: AsyncSettings<O>) -> DataStream<O>
where
    T: Data,
    O: Data,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
{
    input.transform("async wait operator", move || AsyncWait::new(function.clone(), settings.clone()))
}
