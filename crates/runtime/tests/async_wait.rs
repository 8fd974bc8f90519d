//! Asynchronous functions: order, capacity, time-outs, retries, and what is in flight when a snapshot is taken.

#![allow(clippy::unwrap_used)]

use kvick_runtime::error::BoxError;
use kvick_runtime::operators::async_wait::{AsyncRetryStrategy, AsyncSettings, AsyncTimeout, AsyncWait};
use kvick_runtime::testing::{Emitted, Harness};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

fn settings(ordered: bool, retry: AsyncRetryStrategy<u64>) -> AsyncSettings<u64, u64> {
    AsyncSettings { ordered, timeout: Duration::from_secs(30).into(), capacity: 10, retry }
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Result<Vec<u64>, BoxError>> + Send>>;

/// A function whose odd records wait until the gate is open.
fn gated(gate: watch::Receiver<bool>) -> impl FnMut(u64) -> Answer + Clone + Send {
    move |n| {
        let mut gate = gate.clone();
        Box::pin(async move {
            if n % 2 == 1 {
                gate.wait_for(|open| *open).await?;
            }
            Ok(vec![n * 10])
        })
    }
}

/// Ticks until so many elements came out.
fn emitted(harness: &mut Harness<u64, u64>, count: usize) -> Vec<Emitted<u64>> {
    let (mut all, start) = (Vec::new(), Instant::now());
    while all.len() < count && start.elapsed() < Duration::from_secs(20) {
        harness.tick(Instant::now()).unwrap();
        all.extend(harness.take());
        std::thread::yield_now();
    }
    all
}

#[test]
fn without_order_a_slow_record_holds_up_only_what_is_behind_the_next_watermark() {
    let (open, gate) = watch::channel(false);
    let retry = AsyncRetryStrategy::no_retry();
    let mut harness = Harness::open(AsyncWait::new(gated(gate), settings(false, retry))).unwrap();
    (1..=2).for_each(|n| harness.process(n, n as i64).unwrap());
    harness.watermark(5).unwrap();
    harness.process(4, 6).unwrap();
    assert_eq!(emitted(&mut harness, 1), [Emitted::Record(20, Some(2))]);
    open.send(true).unwrap();
    let rest = emitted(&mut harness, 3);
    assert_eq!(rest, [Emitted::Record(10, Some(1)), Emitted::Watermark(5), Emitted::Record(40, Some(6))]);
}

#[test]
fn with_order_results_come_as_the_records_did_and_the_end_waits_for_all() {
    let (open, gate) = watch::channel(false);
    let retry = AsyncRetryStrategy::no_retry();
    let mut harness = Harness::open(AsyncWait::new(gated(gate), settings(true, retry))).unwrap();
    (1..=4).for_each(|n| harness.process_unstamped(n).unwrap());
    open.send(true).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take_records(), [10, 20, 30, 40]);
}

#[test]
fn what_is_in_flight_is_asked_for_again_after_a_restore() {
    let (_open, gate) = watch::channel(false);
    let make = |gate| AsyncWait::new(gated(gate), settings(false, AsyncRetryStrategy::no_retry()));
    let mut harness = Harness::open(make(gate)).unwrap();
    (1..=3).for_each(|n| harness.process(n, n as i64).unwrap());
    assert_eq!(emitted(&mut harness, 1), [Emitted::Record(20, Some(2))]);
    let state = harness.snapshot().unwrap();
    let (_open, gate) = watch::channel(true);
    let mut restored = Harness::restored(make(gate), &[state], 0, 1).unwrap();
    let mut all = emitted(&mut restored, 2);
    all.sort_by_key(|emitted| matches!(emitted, Emitted::Record(30, _)));
    assert_eq!(all, [Emitted::Record(10, Some(1)), Emitted::Record(30, Some(3))]);
}

#[test]
fn a_failing_call_is_tried_again_as_often_as_allowed_and_then_fails_the_task() {
    let calls = Arc::new(AtomicU32::new(0));
    let function = {
        let calls = Arc::clone(&calls);
        move |n: u64| {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                if call.is_multiple_of(3) {
                    Ok(vec![n])
                } else {
                    Err(BoxError::from(format!("call {call} failed")))
                }
            }
        }
    };
    let retry = AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(1));
    let mut harness = Harness::open(AsyncWait::new(function.clone(), settings(true, retry))).unwrap();
    harness.process_unstamped(7).unwrap();
    harness.end().unwrap();
    assert_eq!((harness.take_records(), calls.load(Ordering::SeqCst)), (vec![7], 3));
    let retry = AsyncRetryStrategy::fixed_delay(2, Duration::from_millis(1));
    let mut harness = Harness::open(AsyncWait::new(function, settings(true, retry))).unwrap();
    harness.process_unstamped(7).unwrap();
    let error = harness.end().unwrap_err().to_string();
    assert!(error.contains("call 5 failed"), "{error}");
}

#[test]
fn a_call_that_takes_too_long_and_one_that_panics_fail_the_task_in_words() {
    let retry = AsyncRetryStrategy::no_retry;
    let short = AsyncSettings { timeout: Duration::from_millis(5).into(), ..settings(false, retry()) };
    let never = |_: u64| std::future::pending::<Result<Vec<u64>, BoxError>>();
    let mut harness = Harness::open(AsyncWait::new(never, short)).unwrap();
    harness.process_unstamped(1).unwrap();
    let error = harness.end().unwrap_err().to_string();
    assert!(error.contains("took longer than 5ms"), "{error}");
    let panics = |_: u64| async { panic!("no") };
    let mut harness = Harness::open(AsyncWait::new(panics, settings(false, retry()))).unwrap();
    harness.process_unstamped(1).unwrap();
    let error = harness.end().unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
}

#[test]
fn a_call_that_takes_too_long_may_have_results_all_the_same_and_without_a_limit_none_does() {
    let (open, gate) = watch::channel(false);
    let unknown = AsyncTimeout::or_else(Duration::from_millis(5), |n: &u64| match n {
        5 => Err("five must be known".into()),
        n => Ok(vec![n + 1000]),
    });
    let short = AsyncSettings { timeout: unknown, ..settings(true, AsyncRetryStrategy::no_retry()) };
    let mut harness = Harness::open(AsyncWait::new(gated(gate.clone()), short)).unwrap();
    (1..=3).for_each(|n| harness.process(n, n as i64).unwrap());
    let expected = [1001, 20, 1003].into_iter().zip(1..).map(|(n, at)| Emitted::Record(n, Some(at)));
    assert_eq!(emitted(&mut harness, 3), expected.collect::<Vec<_>>());
    harness.process_unstamped(5).unwrap();
    let error = harness.end().unwrap_err().to_string();
    assert!(error.contains("five must be known"), "{error}");

    let none =
        AsyncSettings { timeout: Duration::ZERO.into(), ..settings(true, AsyncRetryStrategy::no_retry()) };
    let mut harness = Harness::open(AsyncWait::new(gated(gate), none)).unwrap();
    (1..=2).for_each(|n| harness.process_unstamped(n).unwrap());
    let patient = Instant::now() + Duration::from_millis(50);
    while Instant::now() < patient {
        harness.tick(Instant::now()).unwrap();
    }
    open.send(true).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take_records(), [10, 20]);
}
