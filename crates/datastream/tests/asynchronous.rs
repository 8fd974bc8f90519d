//! Asynchronous functions in whole jobs: order, attempts, what is refused.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::{AsyncDataStream, AsyncRetryStrategy, AsyncTimeout};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn numbers<const N: usize>(numbers: [u64; N]) -> DataStream<u64> {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1).set_runtime_mode(RuntimeMode::Streaming);
    env.from_collection(numbers)
}

/// Waits until somebody has set the flag.
async fn set(flag: &AtomicBool) {
    std::future::poll_fn(|context| match flag.load(Ordering::SeqCst) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[test]
fn results_come_in_the_order_of_the_records_or_as_they_are_there() {
    let answered = Arc::new(AtomicBool::new(false));
    let ordered = AsyncDataStream::ordered_wait(
        &numbers([1, 2, 3]),
        move |n| {
            let answered = Arc::clone(&answered);
            async move {
                match n {
                    1 => set(&answered).await,
                    n => {
                        answered.fetch_or(n == 3, Ordering::SeqCst);
                    }
                }
                Ok(vec![n * 10, n * 10 + 1])
            }
        },
        PATIENCE,
        10,
    );
    assert_eq!(ordered.execute_and_collect("ordered").unwrap(), [10, 11, 20, 21, 30, 31]);

    let emitted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&emitted);
    let unordered = AsyncDataStream::unordered_wait(
        &numbers([1, 2, 3]),
        move |n| {
            let emitted = Arc::clone(&emitted);
            async move {
                if n == 1 {
                    set(&emitted).await;
                }
                Ok(vec![n * 10])
            }
        },
        PATIENCE,
        10,
    );
    let unordered = unordered.map(move |n| {
        seen.fetch_or(n == 30, Ordering::SeqCst);
        n
    });
    assert_eq!(unordered.execute_and_collect("unordered").unwrap().last(), Some(&10));
}

/// Answers a record at its n-th attempt, n being the record: with an error before that, or with nothing.
fn reluctant(
    errors: bool,
    attempts: &Arc<Mutex<BTreeMap<u64, u64>>>,
) -> impl FnMut(u64) -> std::future::Ready<Result<Vec<u64>, BoxError>> + Clone + Send + use<> {
    let attempts = Arc::clone(attempts);
    move |n| {
        let mut attempts = attempts.lock().unwrap();
        let attempt = attempts.entry(n).or_default();
        *attempt += 1;
        std::future::ready(match (*attempt >= n, errors) {
            (true, _) => Ok(vec![n * 10]),
            (false, true) => Err(format!("attempt {attempt} of {n}").into()),
            (false, false) => Ok(Vec::new()),
        })
    }
}

#[test]
fn records_are_tried_again_and_keep_their_order_where_that_is_asked_for() {
    let attempts = Arc::default();
    let retry = AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(1));
    let function = reluctant(true, &attempts);
    let ordered =
        AsyncDataStream::ordered_wait_with_retry(&numbers([3, 2, 1]), function, PATIENCE, 10, retry);
    assert_eq!(ordered.execute_and_collect("ordered").unwrap(), [30, 20, 10]);
    assert_eq!(*attempts.lock().unwrap(), BTreeMap::from([(1, 1), (2, 2), (3, 3)]));

    let attempts = Arc::default();
    let millis = Duration::from_millis;
    let retry =
        AsyncRetryStrategy::exponential_backoff(3, millis(1), millis(4), 2.0).if_result(|all| all.is_empty());
    let function = reluctant(false, &attempts);
    let unordered =
        AsyncDataStream::unordered_wait_with_retry(&numbers([4, 3, 2, 1]), function, PATIENCE, 10, retry);
    let mut told = unordered.execute_and_collect("unordered").unwrap();
    told.sort_unstable();
    // Three attempts are not enough for 4: the last answer counts, and it is empty.
    assert_eq!(told, [10, 20, 30]);
    assert_eq!(*attempts.lock().unwrap(), BTreeMap::from([(1, 1), (2, 2), (3, 3), (4, 3)]));

    let retry = AsyncRetryStrategy::fixed_delay(2, Duration::from_millis(1));
    let function = reluctant(true, &Arc::default());
    let failing = AsyncDataStream::ordered_wait_with_retry(&numbers([3]), function, PATIENCE, 10, retry);
    let error = failing.execute_and_collect("failing").unwrap_err().to_string();
    assert!(error.contains("attempt 2 of 3"), "{error}");
}

#[test]
fn a_record_that_is_not_answered_in_time_gets_what_the_program_has_for_it() {
    let silent = |n: u64| async move {
        if n == 2 {
            std::future::pending::<()>().await;
        }
        Ok(vec![n * 10])
    };
    let unknown = AsyncTimeout::or_else(Duration::from_millis(300), |n: &u64| Ok(vec![n + 1000]));
    let told = AsyncDataStream::ordered_wait(&numbers([1, 2, 3]), silent, unknown, 10);
    assert_eq!(told.execute_and_collect("in time").unwrap(), [10, 1002, 30]);
}

#[test]
#[should_panic(expected = "needs a time-out above 0")]
fn further_attempts_without_a_time_out_are_refused() {
    let retry = AsyncRetryStrategy::fixed_delay(2, Duration::ZERO);
    let function = |n: u64| async move { Ok(vec![n]) };
    AsyncDataStream::ordered_wait_with_retry(&numbers([1]), function, Duration::ZERO, 1, retry);
}

#[test]
#[should_panic(expected = "needs a capacity of at least 1")]
fn a_capacity_of_nothing_is_refused() {
    AsyncDataStream::unordered_wait(&numbers([1]), |n| async move { Ok(vec![n]) }, PATIENCE, 0);
}
