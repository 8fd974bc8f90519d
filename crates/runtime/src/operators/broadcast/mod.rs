//! Broadcast state: a stream that every subtask sees whole fills maps, and the records of another stream are processed by them.
//!
//! Every subtask makes the same changes to its copy of the maps, as each sees the same broadcast records. A snapshot has the
//! maps of one subtask, and each subtask gets them back.

mod keyed;
mod state;

pub use keyed::{KeyedBroadcastContext, KeyedBroadcastOperator, KeyedBroadcastProcessFunction};
pub use state::{BroadcastDescriptors, BroadcastState, BroadcastStates};

use super::Either;
use super::transform::for_each;
use crate::element::{Batch, Data, Event};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use crate::time::Clock;
use std::marker::PhantomData;

/// The times that a function on a stream and a broadcast stream can see; all in epoch milliseconds.
#[derive(Debug)]
#[doc(alias = "ReadOnlyContext")]
pub struct BroadcastContext<'a> {
    timestamp: Option<i64>,
    watermark: i64,
    clock: &'a Clock,
}

impl BroadcastContext<'_> {
    /// The event time of the record; `None` for a record without one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The watermark; `i64::MIN` before the first.
    #[doc(alias = "currentWatermark")]
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The machine's time.
    #[doc(alias = "currentProcessingTime")]
    pub fn current_processing_time(&self) -> i64 {
        self.clock.now()
    }
}

/// User code on a stream and a broadcast stream. Each subtask has its own clone. `S` is what is broadcast: a [`BroadcastState`], or a
/// tuple of several.
pub trait BroadcastProcessFunction<I, B, O, S>: Clone + Send + 'static {
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut TaskContext) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the stream; the broadcast state can be read. Side outputs are reached by
    /// [`Output::emit_to`].
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        value: I,
        context: &BroadcastContext<'_>,
        state: &S,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called for each broadcast record, in every subtask: each must change the state alike.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &BroadcastContext<'_>,
        state: &mut S,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The operator of a [`BroadcastProcessFunction`].
pub struct BroadcastOperator<I, B, O, S, P> {
    function: P,
    state: S,
    watermark: i64,
    clock: Clock,
    types: PhantomData<fn(I, B) -> O>,
}

impl<I, B, O, S, P> BroadcastOperator<I, B, O, S, P> {
    /// The operator of a function with these broadcast states.
    pub fn new(state: S, function: P) -> Self {
        BroadcastOperator { function, state, watermark: i64::MIN, clock: Clock::system(), types: PhantomData }
    }
}

impl<I, B, O, S, P> Operator for BroadcastOperator<I, B, O, S, P>
where
    I: Data,
    B: Data,
    O: Data,
    S: BroadcastStates,
    P: BroadcastProcessFunction<I, B, O, S>,
{
    type In = Either<I, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.state.restore(context)?;
        self.clock = context.clock.clone();
        self.function.open(context).map_err(TaskError::from)
    }

    fn process(&mut self, batch: &mut Batch<Either<I, B>>, out: &mut Output<O>) -> TaskResult {
        let (function, state) = (&mut self.function, &mut self.state);
        for_each(batch, out, |record, out| {
            let timestamp = out.timestamp();
            let context = BroadcastContext { timestamp, watermark: self.watermark, clock: &self.clock };
            match record {
                Either::Left(value) => function.process_element(value, &context, state, out),
                Either::Right(value) => function.process_broadcast_element(value, &context, state, out),
            }
            .map_err(TaskError::from)
        })
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        self.watermark = watermark;
        out.event(Event::Watermark(watermark))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.state.snapshot(snapshot)
    }

    fn close(&mut self) {
        self.function.close();
    }
}
