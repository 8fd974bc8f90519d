//! Broadcast state beside state and timers by key.

use super::BroadcastStates;
use crate::element::{Batch, Data, Event, Key};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::operators::keyed_process::{KeyedBase, KeyedContext};
use crate::operators::transform::for_each;
use crate::operators::{Either, FunctionContext, after_open};
use crate::snapshot::OperatorSnapshot;
use crate::state::EveryKey;
use crate::task::TaskContext;
use std::marker::PhantomData;
use std::time::Instant;

/// What a keyed function can see and reach while a broadcast record is processed, which has no key. Times are epoch milliseconds.
#[doc(alias = "KeyedBroadcastProcessFunction.Context")]
pub struct KeyedBroadcastContext<'a, K: Key> {
    base: &'a mut KeyedBase<K>,
    timestamp: Option<i64>,
}

impl<K: Key> KeyedBroadcastContext<'_, K> {
    /// The event time of the broadcast record; `None` for a record without one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The watermark; `i64::MIN` before the first.
    #[doc(alias = "currentWatermark")]
    pub fn current_watermark(&self) -> i64 {
        self.base.timers.watermark()
    }

    /// The machine's time.
    #[doc(alias = "currentProcessingTime")]
    pub fn current_processing_time(&self) -> i64 {
        self.base.clock.now()
    }

    /// Calls the function for every key of this subtask that has something in a state, with that key as the current one: it can
    /// read and change all states of the key and set timers, and the keys come in no particular order. The keys, but not their
    /// states, are in memory at once. In batch mode there are none: broadcast records come before all keys.
    ///
    /// # Errors
    /// The first one of the function, or what the state backend fails with.
    #[doc(alias = "applyToKeyedState")]
    pub fn apply_to_keyed_state(
        &mut self,
        state: &impl EveryKey,
        mut function: impl FnMut(&mut KeyedContext<'_, K>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let keys = state.every_key(&mut self.base.states)?;
        let timestamp = self.timestamp;
        keys.into_iter().try_for_each(|key| function(&mut self.base.record(key, timestamp)?))?;
        self.base.states.take_current();
        Ok(())
    }
}

/// User code on a keyed stream and a broadcast stream, with state and timers by key. Each subtask has its own clone. `S` is what is
/// broadcast: a [`BroadcastState`](super::BroadcastState), or a tuple of several.
pub trait KeyedBroadcastProcessFunction<K: Key, I, B, O, S>: Clone + Send + 'static {
    /// Called once, before the first record: opens state.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the keyed stream; the broadcast state can be read. Side outputs are reached by
    /// [`Output::emit_to`].
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        value: I,
        context: &mut KeyedContext<'_, K>,
        state: &S,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called for each broadcast record, in every subtask: each must change the broadcast state alike.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &mut KeyedBroadcastContext<'_, K>,
        state: &mut S,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called when a timer of the current key is due.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(
        &mut self,
        _timestamp: i64,
        _context: &mut KeyedContext<'_, K>,
        _state: &S,
        _out: &mut Output<O>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The operator of a [`KeyedBroadcastProcessFunction`].
pub struct KeyedBroadcastOperator<K: Key, I, B, O, S, F, P> {
    key: F,
    function: P,
    batch: bool,
    state: S,
    base: Option<KeyedBase<K>>,
    types: PhantomData<fn(I, B) -> O>,
}

impl<K: Key, I, B, O, S, F, P> KeyedBroadcastOperator<K, I, B, O, S, F, P> {
    /// The operator of a function on a stream that is keyed by `key`, with these broadcast states. In batch mode, timers in
    /// processing time fire when the input has ended.
    pub fn new(key: F, state: S, function: P, batch: bool) -> Self {
        KeyedBroadcastOperator { key, function, batch, state, base: None, types: PhantomData }
    }
}

impl<K, I, B, O, S, F, P> Operator for KeyedBroadcastOperator<K, I, B, O, S, F, P>
where
    K: Key,
    I: Data,
    B: Data,
    O: Data,
    S: BroadcastStates,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedBroadcastProcessFunction<K, I, B, O, S>,
{
    type In = Either<I, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.state.restore(context)?;
        let mut base = KeyedBase::open(context)?;
        self.function.open(&mut FunctionContext::new(&mut base.states, context)).map_err(TaskError::from)?;
        self.base = Some(base);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<Either<I, B>>, out: &mut Output<O>) -> TaskResult {
        let base = after_open(&mut self.base)?;
        for_each(batch, out, |record, out| {
            let at = out.timestamp();
            match record {
                Either::Left(value) => {
                    let mut context = base.record((self.key)(&value), at)?;
                    self.function.process_element(value, &mut context, &self.state, out)
                }
                Either::Right(value) => {
                    let mut context = KeyedBroadcastContext { base, timestamp: at };
                    self.function.process_broadcast_element(value, &mut context, &mut self.state, out)
                }
            }
            .map_err(TaskError::from)
        })
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.watermark(watermark, |at, context| {
            out.set_timestamp(Some(at));
            function.on_timer(at, context, &self.state, out).map_err(TaskError::from)
        })?;
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, _now: Instant, out: &mut Output<O>) -> TaskResult<Option<Instant>> {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.tick(|at, context| {
            out.set_timestamp(None);
            function.on_timer(at, context, &self.state, out).map_err(TaskError::from)
        })
    }

    fn end(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        if !self.batch {
            return Ok(());
        }
        base.fire_processing_once(|at, context| {
            out.set_timestamp(None);
            function.on_timer(at, context, &self.state, out).map_err(TaskError::from)
        })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.state.snapshot(snapshot)?;
        after_open(&mut self.base)?.snapshot(snapshot)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

impl<K, I, B, O, S, F, P> KeyedOperator for KeyedBroadcastOperator<K, I, B, O, S, F, P>
where
    K: Key,
    I: Data,
    B: Data,
    O: Data,
    S: BroadcastStates,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedBroadcastProcessFunction<K, I, B, O, S>,
{
    fn end_key(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.end_key(|at, context| {
            out.set_timestamp(context.timestamp());
            function.on_timer(at, context, &self.state, out).map_err(TaskError::from)
        })
    }
}
