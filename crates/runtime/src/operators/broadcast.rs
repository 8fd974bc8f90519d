//! Broadcast state: a stream that every subtask sees whole fills a map, and the records of another stream are processed by it.
//!
//! Every subtask makes the same changes to its copy of the map, as each sees the same broadcast records. A snapshot has the
//! map of one subtask, and each subtask gets it back.

use super::after_open;
use super::connect::Either;
use super::function::FunctionContext;
use super::keyed_process::{KeyedBase, KeyedContext};
use super::transform::for_each;
use crate::element::{Batch, Data, Event, Key, Namespace};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use kvick_core::checkpoint::Redistribution;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Instant;

/// A map that is the same in every subtask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastState<UK, UV> {
    entries: BTreeMap<UK, UV>,
}

impl<UK, UV> Default for BroadcastState<UK, UV> {
    fn default() -> Self {
        BroadcastState { entries: BTreeMap::new() }
    }
}

impl<UK: Ord, UV> BroadcastState<UK, UV> {
    /// The value of a key.
    pub fn get(&self, key: &UK) -> Option<&UV> {
        self.entries.get(key)
    }

    /// Whether there is a key.
    pub fn contains(&self, key: &UK) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries, in order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = (&UK, &UV)> {
        self.entries.iter()
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: UK, value: UV) {
        self.entries.insert(key, value);
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &UK) -> Option<UV> {
        self.entries.remove(key)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

impl<UK: Namespace, UV: Data> BroadcastState<UK, UV> {
    fn restore(context: &TaskContext, name: &str) -> TaskResult<Self> {
        let entries: Vec<(UK, UV)> = context.restored_list(name)?;
        Ok(BroadcastState { entries: entries.into_iter().collect() })
    }

    fn snapshot(&self, name: &str, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let entries: Vec<(UK, UV)> = self.entries.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(snapshot.list(name, Redistribution::Broadcast, &entries)?)
    }
}

/// User code on a stream and a broadcast stream. Each subtask has its own clone.
pub trait BroadcastProcessFunction<I, B, O, UK, UV>: Clone + Send + 'static {
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut TaskContext) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the stream; the broadcast state can be read.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        value: I,
        state: &BroadcastState<UK, UV>,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called for each broadcast record, in every subtask: each must change the state alike.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: B,
        state: &mut BroadcastState<UK, UV>,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The operator of a [`BroadcastProcessFunction`].
pub struct BroadcastOperator<I, B, O, UK, UV, P> {
    name: String,
    function: P,
    state: BroadcastState<UK, UV>,
    types: PhantomData<fn(I, B) -> O>,
}

impl<I, B, O, UK, UV, P> BroadcastOperator<I, B, O, UK, UV, P> {
    /// The operator of a function whose broadcast state has this name.
    pub fn new(name: String, function: P) -> Self {
        BroadcastOperator { name, function, state: BroadcastState::default(), types: PhantomData }
    }
}

impl<I, B, O, UK, UV, P> Operator for BroadcastOperator<I, B, O, UK, UV, P>
where
    I: Data,
    B: Data,
    O: Data,
    UK: Namespace,
    UV: Data,
    P: BroadcastProcessFunction<I, B, O, UK, UV>,
{
    type In = Either<I, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.state = BroadcastState::restore(context, &self.name)?;
        self.function.open(context).map_err(TaskError::from)
    }

    fn process(&mut self, batch: &mut Batch<Either<I, B>>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            match record {
                Either::Left(value) => self.function.process_element(value, &self.state, out),
                Either::Right(value) => self.function.process_broadcast_element(value, &mut self.state, out),
            }
            .map_err(TaskError::from)
        })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.state.snapshot(&self.name, snapshot)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

/// User code on a keyed stream and a broadcast stream, with state and timers by key. Each subtask has its own clone.
pub trait KeyedBroadcastProcessFunction<K: Key, I, B, O, UK, UV>: Clone + Send + 'static {
    /// Called once, before the first record: opens state.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the keyed stream; the broadcast state can be read.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        value: I,
        context: &mut KeyedContext<'_, K>,
        state: &BroadcastState<UK, UV>,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called for each broadcast record, in every subtask: each must change the state alike.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: B,
        state: &mut BroadcastState<UK, UV>,
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
        _state: &BroadcastState<UK, UV>,
        _out: &mut Output<O>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The operator of a [`KeyedBroadcastProcessFunction`].
pub struct KeyedBroadcastOperator<K: Key, I, B, O, UK, UV, F, P> {
    key: F,
    name: String,
    function: P,
    batch: bool,
    state: BroadcastState<UK, UV>,
    base: Option<KeyedBase<K>>,
    types: PhantomData<fn(I, B) -> O>,
}

impl<K: Key, I, B, O, UK, UV, F, P> KeyedBroadcastOperator<K, I, B, O, UK, UV, F, P> {
    /// The operator of a function on a stream that is keyed by `key`, whose broadcast state has this name. In batch mode,
    /// timers in processing time fire when the input has ended.
    pub fn new(key: F, name: String, function: P, batch: bool) -> Self {
        let state = BroadcastState::default();
        KeyedBroadcastOperator { key, name, function, batch, state, base: None, types: PhantomData }
    }
}

impl<K, I, B, O, UK, UV, F, P> Operator for KeyedBroadcastOperator<K, I, B, O, UK, UV, F, P>
where
    K: Key,
    I: Data,
    B: Data,
    O: Data,
    UK: Namespace,
    UV: Data,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedBroadcastProcessFunction<K, I, B, O, UK, UV>,
{
    type In = Either<I, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.state = BroadcastState::restore(context, &self.name)?;
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
                Either::Right(value) => self.function.process_broadcast_element(value, &mut self.state, out),
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
        self.state.snapshot(&self.name, snapshot)?;
        after_open(&mut self.base)?.snapshot(snapshot)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

impl<K, I, B, O, UK, UV, F, P> KeyedOperator for KeyedBroadcastOperator<K, I, B, O, UK, UV, F, P>
where
    K: Key,
    I: Data,
    B: Data,
    O: Data,
    UK: Namespace,
    UV: Data,
    F: FnMut(&I) -> K + Send + 'static,
    P: KeyedBroadcastProcessFunction<K, I, B, O, UK, UV>,
{
    fn end_key(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.end_key(|at, context| {
            out.set_timestamp(context.timestamp());
            function.on_timer(at, context, &self.state, out).map_err(TaskError::from)
        })
    }
}
