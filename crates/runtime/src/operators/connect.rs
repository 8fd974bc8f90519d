//! Two streams in one operator: functions for the records of each, with common state.

use super::after_open;
use super::function::FunctionContext;
use super::keyed_process::{KeyedBase, KeyedContext};
use super::process::Process;
use super::transform::for_each;
use crate::element::{Batch, Data, Event, Key};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::Instant;

/// A record of one of two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Either<A, B> {
    /// Of the first stream.
    Left(A),
    /// Of the second stream.
    Right(B),
}

/// One function for the records of each of two streams; each pushes any number of records.
pub struct CoFlatMap<A, B, O, F1, F2> {
    first: F1,
    second: F2,
    types: PhantomData<fn(A, B) -> O>,
}

impl<A, B, O, F1, F2> CoFlatMap<A, B, O, F1, F2> {
    /// The operator of two functions.
    pub fn new(first: F1, second: F2) -> Self {
        CoFlatMap { first, second, types: PhantomData }
    }
}

impl<A, B, O, F1, F2> Operator for CoFlatMap<A, B, O, F1, F2>
where
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(A, &mut Output<O>) + Send + 'static,
    F2: FnMut(B, &mut Output<O>) + Send + 'static,
{
    type In = Either<A, B>;
    type Out = O;

    fn process(&mut self, batch: &mut Batch<Either<A, B>>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            match record {
                Either::Left(record) => (self.first)(record, out),
                Either::Right(record) => (self.second)(record, out),
            }
            Ok(())
        })
    }
}

/// User code on two streams with a life cycle. Each subtask has its own clone.
pub trait CoProcessFunction<A, B, O>: Clone + Send + 'static {
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut TaskContext, _process: &mut Process) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process1(&mut self, value: A, process: &mut Process, out: &mut Output<O>) -> Result<(), BoxError>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process2(&mut self, value: B, process: &mut Process, out: &mut Output<O>) -> Result<(), BoxError>;

    /// Called when a timer set by [`Process::set_timer`] is due.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(&mut self, _process: &mut Process, _out: &mut Output<O>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Hands over state at a checkpoint; it is given back by [`TaskContext::restored_list`] in [`CoProcessFunction::open`].
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called when both inputs have ended.
    ///
    /// # Errors
    /// Fails the task.
    fn end(&mut self, _out: &mut Output<O>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// Lets a function of two streams be run as one of a single stream.
#[derive(Clone)]
pub struct BothInputs<F>(pub F);

impl<A: Data, B: Data, O, F: CoProcessFunction<A, B, O>> super::ProcessFunction<Either<A, B>, O>
    for BothInputs<F>
{
    fn open(&mut self, context: &mut TaskContext, process: &mut Process) -> Result<(), BoxError> {
        self.0.open(context, process)
    }

    #[inline]
    fn process(
        &mut self,
        record: Either<A, B>,
        process: &mut Process,
        out: &mut Output<O>,
    ) -> Result<(), BoxError> {
        match record {
            Either::Left(record) => self.0.process1(record, process, out),
            Either::Right(record) => self.0.process2(record, process, out),
        }
    }

    fn on_timer(&mut self, process: &mut Process, out: &mut Output<O>) -> Result<(), BoxError> {
        self.0.on_timer(process, out)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> Result<(), BoxError> {
        self.0.snapshot(snapshot)
    }

    fn end(&mut self, out: &mut Output<O>) -> Result<(), BoxError> {
        self.0.end(out)
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// User code on two streams that are keyed alike, with state and timers by key. Each subtask has its own clone.
pub trait KeyedCoProcessFunction<K: Key, A, B, O>: Clone + Send + 'static {
    /// Called once, before the first record: opens state.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process1(
        &mut self,
        value: A,
        context: &mut KeyedContext<'_, K>,
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process2(
        &mut self,
        value: B,
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

/// The operator of a [`KeyedCoProcessFunction`].
pub struct KeyedCoProcessOperator<K: Key, A, B, O, F1, F2, P> {
    keys: (F1, F2),
    function: P,
    batch: bool,
    base: Option<KeyedBase<K>>,
    types: PhantomData<fn(A, B) -> O>,
}

impl<K: Key, A, B, O, F1, F2, P> KeyedCoProcessOperator<K, A, B, O, F1, F2, P> {
    /// The operator of a function on streams that are keyed by `first` and `second`. In batch mode, timers in processing time
    /// fire when the input has ended.
    pub fn new(first: F1, second: F2, function: P, batch: bool) -> Self {
        KeyedCoProcessOperator { keys: (first, second), function, batch, base: None, types: PhantomData }
    }
}

impl<K, A, B, O, F1, F2, P> Operator for KeyedCoProcessOperator<K, A, B, O, F1, F2, P>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(&A) -> K + Send + 'static,
    F2: FnMut(&B) -> K + Send + 'static,
    P: KeyedCoProcessFunction<K, A, B, O>,
{
    type In = Either<A, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut base = KeyedBase::open(context)?;
        self.function.open(&mut FunctionContext::new(&mut base.states, context)).map_err(TaskError::from)?;
        self.base = Some(base);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<Either<A, B>>, out: &mut Output<O>) -> TaskResult {
        let base = after_open(&mut self.base)?;
        for_each(batch, out, |record, out| {
            let at = out.timestamp();
            match record {
                Either::Left(value) => {
                    let mut context = base.record((self.keys.0)(&value), at)?;
                    self.function.process1(value, &mut context, out)
                }
                Either::Right(value) => {
                    let mut context = base.record((self.keys.1)(&value), at)?;
                    self.function.process2(value, &mut context, out)
                }
            }
            .map_err(TaskError::from)
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

impl<K, A, B, O, F1, F2, P> KeyedOperator for KeyedCoProcessOperator<K, A, B, O, F1, F2, P>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(&A) -> K + Send + 'static,
    F2: FnMut(&B) -> K + Send + 'static,
    P: KeyedCoProcessFunction<K, A, B, O>,
{
    fn end_key(&mut self, out: &mut Output<O>) -> TaskResult {
        let (base, function) = (after_open(&mut self.base)?, &mut self.function);
        base.end_key(|at, context| {
            out.set_timestamp(context.timestamp());
            function.on_timer(at, context, out).map_err(TaskError::from)
        })
    }
}
