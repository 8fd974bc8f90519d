//! The keyed process function: records, timers and state of one key at a time in the author's own hands.

use super::after_open;
use super::function::FunctionContext;
use crate::element::{Batch, Data, Event, Key};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedStates, StateAccess, StateError};
use crate::task::TaskContext;
use crate::time::Clock;
use crate::timers::{TimeDomain, Timers};
use std::marker::PhantomData;
use std::time::Instant;

/// What keyed user code can see and reach while a record or a timer is processed: its key, the time, timers and state.
pub struct KeyedContext<'a, K: Key> {
    pub(super) states: &'a mut KeyedStates<K>,
    pub(super) timers: &'a mut Timers<K, ()>,
    pub(super) clock: &'a Clock,
    pub(super) timestamp: Option<i64>,
    pub(super) domain: Option<TimeDomain>,
}

impl<K: Key> KeyedContext<'_, K> {
    /// The key of the record or timer.
    ///
    /// # Panics
    /// Never while a record or a timer is processed.
    #[doc(alias = "getCurrentKey")]
    pub fn current_key(&self) -> &K {
        match self.states.current() {
            Ok(key) => &key.key,
            Err(_) => unreachable!("a key is current whenever user code has this context"),
        }
    }

    /// The event time of the record, or the time of the timer, in epoch milliseconds; `None` for a record without one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// Whose time the timer goes by; `None` while a record is processed.
    #[doc(alias = "timeDomain")]
    pub fn time_domain(&self) -> Option<TimeDomain> {
        self.domain
    }

    /// The clocks and timers of the current key.
    #[doc(alias = "timerService")]
    pub fn timer_service(&mut self) -> TimerService<'_, K> {
        TimerService { states: self.states, timers: self.timers, clock: self.clock }
    }
}

impl<K: Key> StateAccess<K> for KeyedContext<'_, K> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.states
    }
}

/// The clocks, and the timers of the current key. Times are epoch milliseconds.
pub struct TimerService<'a, K: Key> {
    states: &'a KeyedStates<K>,
    timers: &'a mut Timers<K, ()>,
    clock: &'a Clock,
}

#[allow(clippy::missing_errors_doc, reason = "all fail alike: timers that cannot be kept")]
impl<K: Key> TimerService<'_, K> {
    /// The watermark; `i64::MIN` before the first.
    #[doc(alias = "currentWatermark")]
    pub fn current_watermark(&self) -> i64 {
        self.timers.watermark()
    }

    /// The machine's time.
    #[doc(alias = "currentProcessingTime")]
    pub fn current_processing_time(&self) -> i64 {
        self.clock.now()
    }

    /// Asks to be called once the watermark has reached this time. Setting the same timer twice is setting it once.
    #[doc(alias = "registerEventTimeTimer")]
    pub fn register_event_time_timer(&mut self, time: i64) -> Result<(), StateError> {
        self.timers.register_event_time(self.states.current()?, &(), time)
    }

    /// Asks to be called once the clock has passed this time. Setting the same timer twice is setting it once.
    #[doc(alias = "registerProcessingTimeTimer")]
    pub fn register_processing_time_timer(&mut self, time: i64) -> Result<(), StateError> {
        self.timers.register_processing_time(self.states.current()?, &(), time)
    }

    /// Takes a timer back; one that is not set is no error.
    #[doc(alias = "deleteEventTimeTimer")]
    pub fn delete_event_time_timer(&mut self, time: i64) -> Result<(), StateError> {
        self.timers.delete_event_time(self.states.current()?, &(), time)
    }

    /// Takes a timer back; one that is not set is no error.
    #[doc(alias = "deleteProcessingTimeTimer")]
    pub fn delete_processing_time_timer(&mut self, time: i64) -> Result<(), StateError> {
        self.timers.delete_processing_time(self.states.current()?, &(), time)
    }
}

/// User code on a keyed stream, with a life cycle, state and timers by key. Each subtask has its own clone.
pub trait KeyedProcessFunction<K: Key, I, O>: Clone + Send + 'static {
    /// Called once, before the first record: opens state.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record.
    ///
    /// # Errors
    /// Fails the task.
    fn process(
        &mut self,
        value: I,
        context: &mut KeyedContext<'_, K>,
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
        _out: &mut Output<O>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// What every operator with a keyed function has once it is opened: states, timers, clock.
pub(super) struct KeyedBase<K: Key> {
    pub states: KeyedStates<K>,
    pub timers: Timers<K, ()>,
    pub clock: Clock,
}

impl<K: Key> KeyedBase<K> {
    pub fn open(context: &mut TaskContext) -> TaskResult<KeyedBase<K>> {
        let mut states = KeyedStates::new(context.keyed_backend::<K>()?);
        let timers = Timers::open(states.backend())?;
        Ok(KeyedBase { states, timers, clock: context.clock.clone() })
    }

    /// The context for a record of this key.
    #[inline]
    pub fn record(&mut self, key: K, timestamp: Option<i64>) -> TaskResult<KeyedContext<'_, K>> {
        let key = self.states.keyed(key);
        self.context(key, timestamp, None)
    }

    #[inline]
    fn context(
        &mut self,
        key: Keyed<K>,
        timestamp: Option<i64>,
        domain: Option<TimeDomain>,
    ) -> TaskResult<KeyedContext<'_, K>> {
        self.states.set_current(key)?;
        let KeyedBase { states, timers, clock } = self;
        Ok(KeyedContext { states, timers, clock, timestamp, domain })
    }

    /// Fires the timers that a watermark has reached.
    pub fn watermark(
        &mut self,
        watermark: i64,
        mut fire: impl FnMut(i64, &mut KeyedContext<'_, K>) -> TaskResult,
    ) -> TaskResult {
        self.timers.advance_watermark(watermark);
        while let Some((key, (), at)) = self.timers.pop_event()? {
            fire(at, &mut self.context(key, Some(at), Some(TimeDomain::EventTime))?)?;
        }
        Ok(())
    }

    /// Fires the timers that the clock has passed, and tells when to come again.
    pub fn tick(
        &mut self,
        mut fire: impl FnMut(i64, &mut KeyedContext<'_, K>) -> TaskResult,
    ) -> TaskResult<Option<Instant>> {
        if self.timers.next_processing().is_some() {
            let now = self.clock.now();
            while let Some((key, (), at)) = self.timers.pop_processing(now)? {
                fire(at, &mut self.context(key, None, Some(TimeDomain::ProcessingTime))?)?;
            }
        }
        Ok(self.timers.next_processing().map(|at| self.clock.instant(at)))
    }

    /// Fires the timers in processing time that are set now, whenever they are due: the input has ended. Those that they set
    /// do not fire any more, or a job with a periodic timer would never end.
    pub fn fire_processing_once(
        &mut self,
        mut fire: impl FnMut(i64, &mut KeyedContext<'_, K>) -> TaskResult,
    ) -> TaskResult {
        let mut set = Vec::new();
        while let Some(timer) = self.timers.pop_processing(i64::MAX)? {
            set.push(timer);
        }
        for (key, (), at) in set {
            fire(at, &mut self.context(key, None, Some(TimeDomain::ProcessingTime))?)?;
        }
        Ok(())
    }

    /// All records of a key were given: fires its timers and drops its state.
    pub fn end_key(
        &mut self,
        mut fire: impl FnMut(i64, &mut KeyedContext<'_, K>) -> TaskResult,
    ) -> TaskResult {
        self.timers.end_key();
        while let Some((key, (), at, domain)) = self.timers.pop_last()? {
            let timestamp = (domain == TimeDomain::EventTime).then_some(at);
            fire(at, &mut self.context(key, timestamp, Some(domain))?)?;
        }
        self.timers.begin_key();
        Ok(self.states.clear()?)
    }

    pub fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.timers.snapshot(snapshot)?;
        self.states.snapshot(snapshot)?;
        Ok(())
    }
}

/// The operator of a keyed process function.
pub struct KeyedProcessOperator<K: Key, I, O, F, P> {
    key: F,
    function: P,
    batch: bool,
    base: Option<KeyedBase<K>>,
    types: PhantomData<fn(I) -> O>,
}

impl<K: Key, I, O, F, P> KeyedProcessOperator<K, I, O, F, P> {
    /// The operator of a function on a stream that is keyed by `key`. In batch mode, timers in processing time fire when the
    /// input has ended.
    pub fn new(key: F, function: P, batch: bool) -> Self {
        KeyedProcessOperator { key, function, batch, base: None, types: PhantomData }
    }
}

impl<K, I, O, F, P> Operator for KeyedProcessOperator<K, I, O, F, P>
where
    K: Key,
    I: Data,
    O: Data,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedProcessFunction<K, I, O>,
{
    type In = I;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut base = KeyedBase::open(context)?;
        self.function.open(&mut FunctionContext::new(&mut base.states, context)).map_err(TaskError::from)?;
        self.base = Some(base);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<I>, out: &mut Output<O>) -> TaskResult {
        let base = after_open(&mut self.base)?;
        super::transform::for_each(batch, out, |value, out| {
            let mut context = base.record((self.key)(&value), out.timestamp())?;
            self.function.process(value, &mut context, out).map_err(TaskError::from)
        })
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.watermark(watermark, |at, context| {
            out.set_timestamp(Some(at));
            function.on_timer(at, context, out).map_err(TaskError::from)
        })?;
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, _now: Instant, out: &mut Output<O>) -> TaskResult<Option<Instant>> {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.tick(|at, context| {
            out.set_timestamp(None);
            function.on_timer(at, context, out).map_err(TaskError::from)
        })
    }

    fn end(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        if !self.batch {
            return Ok(());
        }
        base.fire_processing_once(|at, context| {
            out.set_timestamp(None);
            function.on_timer(at, context, out).map_err(TaskError::from)
        })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        after_open(&mut self.base)?.snapshot(snapshot)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

impl<K, I, O, F, P> KeyedOperator for KeyedProcessOperator<K, I, O, F, P>
where
    K: Key,
    I: Data,
    O: Data,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedProcessFunction<K, I, O>,
{
    fn end_key(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.end_key(|at, context| {
            out.set_timestamp(context.timestamp());
            function.on_timer(at, context, out).map_err(TaskError::from)
        })
    }
}
