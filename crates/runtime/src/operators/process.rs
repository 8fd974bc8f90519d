//! The process function: the record, the clock, timers and the task's context in the author's own hands.

use super::transform::for_each;
use crate::element::{Batch, Event};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{Operator, Output, earlier};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use crate::time::Clock;
use std::time::{Duration, Instant};

/// What a process function can do besides emitting records.
pub struct Process {
    due: Option<Instant>,
    watermark: i64,
    clock: Clock,
}

impl Process {
    /// The watermark, in epoch milliseconds; `i64::MIN` before the first.
    #[doc(alias = "currentWatermark")]
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The machine's time, in epoch milliseconds.
    #[doc(alias = "currentProcessingTime")]
    pub fn current_processing_time(&self) -> i64 {
        self.clock.now()
    }

    /// Asks for [`ProcessFunction::on_timer`] after this span; of several timers the earliest is kept.
    pub fn set_timer(&mut self, after: Duration) {
        self.due = earlier(self.due, Some(Instant::now() + after));
    }
}

/// User code with a life cycle. Each subtask has its own clone.
pub trait ProcessFunction<I, O>: Clone + Send + 'static {
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut TaskContext, _process: &mut Process) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record.
    ///
    /// # Errors
    /// Fails the task.
    fn process(&mut self, record: I, process: &mut Process, out: &mut Output<O>) -> Result<(), BoxError>;

    /// Called when a timer set by [`Process::set_timer`] is due.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(&mut self, _process: &mut Process, _out: &mut Output<O>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Hands over state at a checkpoint, as lists of elements (`snapshot.list(...)`); it is given back by
    /// [`TaskContext::restored_list`] in [`ProcessFunction::open`].
    ///
    /// # Errors
    /// Fails the task.
    #[doc(alias("CheckpointedFunction", "snapshotState"))]
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called when the input has ended.
    ///
    /// # Errors
    /// Fails the task.
    fn end(&mut self, _out: &mut Output<O>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The operator of a process function.
pub struct ProcessOperator<I, O, F> {
    function: F,
    process: Process,
    types: std::marker::PhantomData<fn(I) -> O>,
}

impl<I, O, F> ProcessOperator<I, O, F> {
    /// The operator of a process function.
    pub fn new(function: F) -> Self {
        ProcessOperator {
            function,
            process: Process { due: None, watermark: i64::MIN, clock: Clock::system() },
            types: std::marker::PhantomData,
        }
    }
}

impl<I: Send + 'static, O: Send + 'static, F: ProcessFunction<I, O>> Operator for ProcessOperator<I, O, F> {
    type In = I;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.process.clock = context.clock.clone();
        self.function.open(context, &mut self.process).map_err(TaskError::from)
    }

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            self.function.process(record, &mut self.process, out).map_err(TaskError::from)
        })
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        self.process.watermark = watermark;
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, now: Instant, out: &mut Output<O>) -> TaskResult<Option<Instant>> {
        if self.process.due.is_some_and(|due| due <= now) {
            self.process.due = None;
            out.set_timestamp(None);
            self.function.on_timer(&mut self.process, out).map_err(TaskError::from)?;
        }
        Ok(self.process.due)
    }

    fn end(&mut self, out: &mut Output<O>) -> TaskResult {
        out.set_timestamp(None);
        self.function.end(out).map_err(TaskError::from)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.function.snapshot(snapshot).map_err(TaskError::from)
    }

    fn close(&mut self) {
        self.function.close();
    }
}
