//! Asynchronous functions: many records of a subtask wait for something outside at the same time.
//!
//! Futures run on a small runtime beside the task's thread, which alone emits. A record counts as in flight until its results
//! are emitted; what is in flight is state, and is called for again after a restore. Watermarks are not overtaken by results.

mod queue;
mod retry;
mod timeout;

pub use retry::{AsyncRetryStrategy, RetryDelay};
pub use timeout::AsyncTimeout;

use super::{after_open, transform::for_each};
use crate::element::{Batch, Data, Event};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::task::{TaskContext, TaskControl};
use kvick_core::checkpoint::Redistribution;
use queue::Queue;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const STATE: &str = "async-in-flight";
/// A result wakes the task; this is how long it may sleep should that be missed.
const RECHECK: Duration = Duration::from_millis(20);

/// How an asynchronous function is run.
#[derive(Clone)]
pub struct AsyncSettings<T, O> {
    /// Whether results are emitted in the order of the records.
    pub ordered: bool,
    /// How long a record may take, all attempts together, and what becomes of it then.
    pub timeout: AsyncTimeout<T, O>,
    /// How many records may be in flight.
    pub capacity: usize,
    /// When to call again.
    pub retry: AsyncRetryStrategy<O>,
}

/// How the calls for a record ended.
enum Outcome<O> {
    Answered(Result<Vec<O>, BoxError>),
    TimedOut,
}

/// What became of a record.
struct Done<O> {
    id: u64,
    outcome: Outcome<O>,
}

/// Reports what became of a record, in any case: a future that panics is dropped.
struct Report<O> {
    id: u64,
    done: Sender<Done<O>>,
    control: Arc<TaskControl>,
    outcome: Option<Outcome<O>>,
}

impl<O> Drop for Report<O> {
    fn drop(&mut self) {
        let panicked = || Outcome::Answered(Err("an asynchronous function panicked".into()));
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        // A task that has ended does not listen.
        let _ = self.done.send(Done { id: self.id, outcome });
        self.control.nudge();
    }
}

struct Opened<T, O> {
    runtime: Runtime,
    control: Arc<TaskControl>,
    sender: Sender<Done<O>>,
    receiver: Receiver<Done<O>>,
    queue: Queue<O>,
    /// The records in flight, with their timestamps.
    records: BTreeMap<u64, (T, Option<i64>)>,
    next: u64,
    /// How many of them have no result yet.
    running: usize,
}

/// Waits for the results of a record, as long as it may take.
async fn within<O>(
    limit: Option<Duration>,
    attempts: impl Future<Output = Result<Vec<O>, BoxError>>,
) -> Outcome<O> {
    match limit {
        None => Outcome::Answered(attempts.await),
        Some(limit) => {
            tokio::time::timeout(limit, attempts).await.map_or(Outcome::TimedOut, Outcome::Answered)
        }
    }
}

/// The operator of an asynchronous function.
pub struct AsyncWait<T, O, F, Fut> {
    function: F,
    settings: AsyncSettings<T, O>,
    opened: Option<Opened<T, O>>,
    types: PhantomData<fn() -> Fut>,
}

impl<T, O, F, Fut> AsyncWait<T, O, F, Fut>
where
    T: Data,
    O: Data,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
{
    /// Calls the function for each record.
    pub fn new(function: F, settings: AsyncSettings<T, O>) -> Self {
        AsyncWait { function, settings, opened: None, types: PhantomData }
    }

    fn submit(&mut self, record: T, timestamp: Option<i64>, out: &mut Output<O>) -> TaskResult {
        self.wait_for_room(out)?;
        let opened = after_open(&mut self.opened)?;
        let id = opened.next;
        opened.next += 1;
        opened.running += 1;
        opened.records.insert(id, (record.clone(), timestamp));
        opened.queue.push(id, timestamp);
        let (done, control) = (opened.sender.clone(), Arc::clone(&opened.control));
        let (limit, function) = (self.settings.timeout.limit(), self.function.clone());
        let attempts = self.settings.retry.clone().run(function, record);
        opened.runtime.spawn(async move {
            let mut report = Report { id, done, control, outcome: None };
            report.outcome = Some(within(limit, attempts).await);
        });
        Ok(())
    }

    /// Waits until fewer records than the capacity are in flight.
    fn wait_for_room(&mut self, out: &mut Output<O>) -> TaskResult {
        let capacity = self.settings.capacity.max(1);
        self.wait_while(out, |opened| opened.records.len() >= capacity)
    }

    fn wait_while(&mut self, out: &mut Output<O>, wait: impl Fn(&Opened<T, O>) -> bool) -> TaskResult {
        loop {
            let opened = after_open(&mut self.opened)?;
            if !wait(opened) {
                return Ok(());
            }
            opened.control.check()?;
            if let Ok(done) = opened.receiver.try_recv() {
                self.finished(done, out)?;
                continue;
            }
            // What is ready need not wait for what is not.
            out.flush()?;
            if let Ok(done) = opened.receiver.recv_timeout(RECHECK) {
                self.finished(done, out)?;
            }
        }
    }

    /// Emits what has become ready.
    fn collect(&mut self, out: &mut Output<O>) -> TaskResult {
        loop {
            let opened = after_open(&mut self.opened)?;
            let Ok(done) = opened.receiver.try_recv() else { return Ok(()) };
            self.finished(done, out)?;
        }
    }

    fn finished(&mut self, done: Done<O>, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        opened.running -= 1;
        let results = match (done.outcome, opened.records.get(&done.id)) {
            (Outcome::Answered(results), _) => results,
            (Outcome::TimedOut, Some((record, _))) => self.settings.timeout.results(record),
            // Whatever is emitted is not in flight any more.
            (Outcome::TimedOut, None) => return Ok(()),
        };
        opened.queue.finished(done.id, results.map_err(TaskError::from)?);
        self.emit(out)
    }

    fn emit(&mut self, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        while let Some(ready) = opened.queue.pop(self.settings.ordered) {
            match ready {
                queue::Ready::Results { id, timestamp, results } => {
                    opened.records.remove(&id);
                    out.set_timestamp(timestamp);
                    results.into_iter().for_each(|result| out.push(result));
                }
                queue::Ready::Watermark(watermark) => out.event(Event::Watermark(watermark))?,
            }
        }
        Ok(())
    }
}

impl<T, O, F, Fut> Operator for AsyncWait<T, O, F, Fut>
where
    T: Data,
    O: Data,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
{
    type In = T;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let name = format!("async-{}", context.subtask() + 1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| {
                TaskError::caused("cannot start a runtime for asynchronous functions", &error)
            })?;
        let (sender, receiver) = channel();
        let (queue, records) = (Queue::default(), BTreeMap::new());
        let restored: Vec<(T, Option<i64>)> = context.restored_list(STATE)?;
        let control = Arc::clone(&context.control);
        let mut opened = Opened { runtime, control, sender, receiver, queue, records, next: 0, running: 0 };
        // Called for by the first timer, where there is an output.
        for (record, timestamp) in restored {
            opened.records.insert(opened.next, (record, timestamp));
            opened.next += 1;
        }
        self.opened = Some(opened);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<O>) -> TaskResult {
        self.resume(out)?;
        for_each(batch, out, |record, out| {
            let timestamp = out.timestamp();
            self.submit(record, timestamp, out)
        })?;
        self.collect(out)
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        self.resume(out)?;
        let opened = after_open(&mut self.opened)?;
        opened.queue.watermark(watermark);
        self.collect(out)?;
        self.emit(out)
    }

    fn timer(&mut self, now: Instant, out: &mut Output<O>) -> TaskResult<Option<Instant>> {
        self.resume(out)?;
        self.collect(out)?;
        let waiting = self.opened.as_ref().is_some_and(|opened| opened.running > 0);
        Ok(waiting.then(|| now + RECHECK))
    }

    fn end(&mut self, out: &mut Output<O>) -> TaskResult {
        self.resume(out)?;
        self.wait_while(out, |opened| !opened.records.is_empty())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let records: Vec<&(T, Option<i64>)> = opened.records.values().collect();
        let records: Vec<(T, Option<i64>)> = records.into_iter().cloned().collect();
        Ok(snapshot.list(STATE, Redistribution::Split, &records)?)
    }

    fn close(&mut self) {
        if let Some(opened) = self.opened.take() {
            opened.runtime.shutdown_background();
        }
    }
}

impl<T, O, F, Fut> AsyncWait<T, O, F, Fut>
where
    T: Data,
    O: Data,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Vec<O>, BoxError>> + Send + 'static,
{
    /// Calls for the records that were restored, which are in flight but not in the queue yet.
    fn resume(&mut self, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        if opened.next == 0 || !opened.queue.is_new() {
            return Ok(());
        }
        let restored = std::mem::take(&mut opened.records);
        restored.into_values().try_for_each(|(record, timestamp)| self.submit(record, timestamp, out))
    }
}
