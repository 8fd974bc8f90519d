//! The operator interface, and how operators are chained within one thread.
//!
//! An [`Operator`] works on a whole batch, so the user's closure is inlined into the loop over its records. A [`Stage`] is
//! an operator together with everything chained behind it, with the types of all but its input erased: one dynamic call
//! per batch and operator. Buffers between operators are reused.

use crate::element::{BATCH_SIZE, Batch, Event};
use crate::error::{TaskError, TaskResult};
use crate::side::{OutputTag, SideBatch, SideBuffer};
use crate::snapshot::OperatorSnapshot;
use crate::task::{OperatorIdentity, TaskContext};
use std::time::Instant;

/// Whatever takes the elements of a stream inside a task: a chained operator, an exchange, several of these.
pub trait Stage<T>: Send {
    /// Prepares everything from the end of the chain to its start.
    ///
    /// # Errors
    /// Whatever an operator fails with.
    fn open(&mut self, context: &mut TaskContext) -> TaskResult;
    /// Takes all records of a batch and leaves it empty; its buffer may be kept or exchanged.
    ///
    /// # Errors
    /// Whatever an operator fails with, or [`TaskError::Canceled`].
    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult;
    /// Takes records of a side output of the operator before it. Those that nobody asked for are dropped.
    ///
    /// # Errors
    /// As [`Stage::batch`].
    fn side(&mut self, _tag: &str, _batch: SideBatch) -> TaskResult {
        Ok(())
    }
    /// Takes a watermark or a change of idleness, after all records that came before it. Barriers come by
    /// [`Stage::snapshot`].
    ///
    /// # Errors
    /// As [`Stage::batch`].
    fn event(&mut self, event: Event) -> TaskResult;
    /// A barrier arrived: takes the snapshot of every operator in order, each before what is behind it.
    ///
    /// # Errors
    /// Whatever keeps state from being handed over, or as [`Stage::batch`].
    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult;
    /// A checkpoint is durable, and with it all before it.
    ///
    /// # Errors
    /// Whatever committing fails with, or as [`Stage::batch`].
    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult;
    /// A checkpoint will not come to be; what was prepared for it belongs to the next one.
    fn checkpoint_aborted(&mut self, checkpoint: u64);
    /// Runs what is due and tells when it wants to be called next.
    ///
    /// # Errors
    /// As [`Stage::batch`].
    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>>;
    /// Sends what outputs hold back for want of room, as far as there is room now; tells when to ask again at the latest.
    ///
    /// # Errors
    /// As [`Stage::batch`].
    fn drain(&mut self, _now: Instant) -> TaskResult<Option<Instant>> {
        Ok(None)
    }
    /// The input has ended: emits what is left, and ends the next stage.
    ///
    /// # Errors
    /// As [`Stage::batch`].
    fn end(&mut self) -> TaskResult;
    /// Frees what [`Stage::open`] took, also after a failure.
    fn close(&mut self);
}

/// A stage of any kind.
pub type BoxStage<T> = Box<dyn Stage<T>>;

/// One step of a stream: records in, records out.
pub trait Operator: Send + 'static {
    /// The records it reads.
    type In: Send + 'static;
    /// The records it writes.
    type Out: Send + 'static;

    /// Called once, before the first record.
    ///
    /// # Errors
    /// Whatever keeps the operator from starting.
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    /// Takes all records of a batch.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn process(&mut self, batch: &mut Batch<Self::In>, out: &mut Output<Self::Out>) -> TaskResult;

    /// A watermark arrived; by default it is passed on.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn watermark(&mut self, watermark: i64, out: &mut Output<Self::Out>) -> TaskResult {
        out.event(Event::Watermark(watermark))
    }

    /// An event that is no watermark, or a barrier, is about to be passed on: an operator that holds back what it need not keep
    /// emits it now, so that it stays before the event.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn before_event(&mut self, _out: &mut Output<Self::Out>) -> TaskResult {
        Ok(())
    }

    /// A barrier arrived: everything before it has been processed, nothing after it. The state is handed over as shared
    /// segments and serialised later, in another thread: this must be quick. The barrier is passed on afterwards.
    ///
    /// # Errors
    /// Whatever keeps the state from being handed over.
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(())
    }

    /// A checkpoint is durable: what was prepared for it, and for all before it, is to be committed.
    ///
    /// # Errors
    /// Whatever committing fails with.
    fn checkpoint_complete(&mut self, _checkpoint: u64, _out: &mut Output<Self::Out>) -> TaskResult {
        Ok(())
    }

    /// A checkpoint will not come to be; what was prepared for it belongs to the next one.
    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    /// Fires the processing-time timers that are due and tells the next one.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn timer(&mut self, _now: Instant, _out: &mut Output<Self::Out>) -> TaskResult<Option<Instant>> {
        Ok(None)
    }

    /// The input has ended; the last records can be emitted.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn end(&mut self, _out: &mut Output<Self::Out>) -> TaskResult {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// An operator whose state belongs to keys, and that can be given one key after the other: batch mode.
pub trait KeyedOperator: Operator {
    /// All records of a key were given: its timers fire, in event time first, then in processing time; those that are set
    /// now never do. Then all state of the key is dropped, and event time begins anew.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn end_key(&mut self, out: &mut Output<Self::Out>) -> TaskResult;
}

/// The output of an operator: a buffer that is handed on when it is full, and at the end of each input batch.
pub struct Output<T> {
    batch: Batch<T>,
    timestamp: Option<i64>,
    failed: Option<TaskError>,
    next: BoxStage<T>,
    sides: Vec<SideBuffer>,
}

impl<T> Output<T> {
    /// An output that writes to the next stage.
    pub fn new(next: BoxStage<T>) -> Output<T> {
        Output { batch: Batch::new(), timestamp: None, failed: None, next, sides: Vec::new() }
    }

    /// Emits a record, with the event time that was set last.
    ///
    /// When the next stage fails, the failure is kept and returned at the next [`Output::flush`]; what is pushed in
    /// between is dropped.
    #[inline]
    pub fn push(&mut self, record: T) {
        self.batch.push(record, self.timestamp);
        if self.batch.len() >= BATCH_SIZE {
            self.hand_over();
        }
    }

    /// Emits a record: [`Output::push`] by the name that Flink's `Collector` has for it.
    #[inline]
    pub fn collect(&mut self, record: T) {
        self.push(record);
    }

    /// Emits a record to a side output, with the event time that was set last. Flink's `ctx.output(tag, record)`.
    ///
    /// A failure is kept as by [`Output::push`].
    #[doc(alias = "output")]
    pub fn emit_to<U: Send + 'static>(&mut self, tag: &OutputTag<U>, record: U) {
        let known = self.sides.iter().position(|side| side.is(tag.name()));
        let index = known.unwrap_or_else(|| {
            self.sides.push(SideBuffer::new(tag));
            self.sides.len() - 1
        });
        let side = &mut self.sides[index];
        let pushed = match side.push(record, self.timestamp) {
            Ok(count) if count >= BATCH_SIZE => side.flush(&mut self.next),
            pushed => pushed.map(drop),
        };
        if let Err(error) = pushed {
            self.failed.get_or_insert(error);
        }
    }

    /// The event time that the next record is emitted with.
    #[inline]
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The event time of the records that follow.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: Option<i64>) {
        self.timestamp = timestamp;
    }

    /// Passes a whole batch on, after what was pushed before.
    ///
    /// # Errors
    /// What the next stage fails with.
    pub fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.flush()?;
        self.next.batch(batch)
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// What the next stage failed with, now or at an earlier [`Output::push`].
    pub fn flush(&mut self) -> TaskResult {
        if !self.batch.is_empty() {
            self.hand_over();
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let next = &mut self.next;
        self.sides.iter_mut().try_for_each(|side| side.flush(next))
    }

    #[cold]
    #[inline(never)]
    fn hand_over(&mut self) {
        if self.failed.is_none() {
            self.failed = self.next.batch(&mut self.batch).err();
        }
        self.batch.clear();
        // An exchange takes the buffer along with the records.
        if self.batch.records.capacity() == 0 {
            self.batch.records.reserve_exact(BATCH_SIZE);
        }
    }

    /// Emits an event, after all records before it.
    ///
    /// # Errors
    /// What the next stage fails with.
    pub fn event(&mut self, event: Event) -> TaskResult {
        self.flush()?;
        self.next.event(event)
    }

    pub(crate) fn next(&mut self) -> &mut BoxStage<T> {
        &mut self.next
    }
}

/// An operator and its output, as a stage.
pub struct Chained<O: Operator> {
    operator: O,
    output: Output<O::Out>,
}

impl<O: Operator> Chained<O> {
    /// Chains an operator in front of a stage.
    pub fn before(operator: O, next: BoxStage<O::Out>) -> BoxStage<O::In> {
        Box::new(Chained { operator, output: Output::new(next) })
    }
}

impl<O: Operator> Stage<O::In> for Chained<O> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.output.next.open(context)?;
        self.operator.open(context)
    }

    fn batch(&mut self, batch: &mut Batch<O::In>) -> TaskResult {
        self.operator.process(batch, &mut self.output)?;
        batch.clear();
        self.output.flush()
    }

    fn event(&mut self, event: Event) -> TaskResult {
        match event {
            Event::Watermark(watermark) => {
                self.operator.watermark(watermark, &mut self.output)?;
                self.output.flush()
            }
            _ => {
                self.operator.before_event(&mut self.output)?;
                self.output.event(event)
            }
        }
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.operator.before_event(&mut self.output)?;
        self.operator.snapshot(snapshot)?;
        self.output.flush()?;
        self.output.next.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.operator.checkpoint_complete(checkpoint, &mut self.output)?;
        self.output.flush()?;
        self.output.next.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.operator.checkpoint_aborted(checkpoint);
        self.output.next.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        let own = self.operator.timer(now, &mut self.output)?;
        self.output.flush()?;
        Ok(earlier(own, self.output.next.tick(now)?))
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.output.next.drain(now)
    }

    fn end(&mut self) -> TaskResult {
        self.operator.end(&mut self.output)?;
        self.output.flush()?;
        self.output.next.end()
    }

    fn close(&mut self) {
        self.operator.close();
        self.output.next.close();
    }
}

/// A stage that belongs to one operator of the job graph: state is found by its identity.
pub struct Scoped<T> {
    identity: OperatorIdentity,
    stage: BoxStage<T>,
}

impl<T: 'static> Scoped<T> {
    /// Lets a stage be opened, and its snapshots be taken, under an identity.
    pub fn around(identity: OperatorIdentity, stage: BoxStage<T>) -> BoxStage<T> {
        Box::new(Scoped { identity, stage })
    }
}

impl<T> Stage<T> for Scoped<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let outer = std::mem::replace(&mut context.operator, self.identity.clone());
        let opened = self.stage.open(context);
        context.operator = outer;
        opened
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.stage.batch(batch)
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.stage.event(event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let outer = snapshot.enter(self.identity.clone());
        let taken = self.stage.snapshot(snapshot);
        snapshot.enter(outer);
        taken
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.stage.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.stage.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.tick(now)
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.drain(now)
    }

    fn end(&mut self) -> TaskResult {
        self.stage.end()
    }

    fn close(&mut self) {
        self.stage.close();
    }
}

/// The earlier of two deadlines, of whatever clock.
pub(crate) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Several consumers of one stream: all but the last get clones.
pub struct Fanout<T> {
    stages: Vec<BoxStage<T>>,
}

impl<T: Clone + Send + 'static> Fanout<T> {
    /// One stage for all of them: the only one itself, a fan-out, or one that drops everything.
    pub fn of(mut stages: Vec<BoxStage<T>>) -> BoxStage<T> {
        match stages.len() {
            1 => stages.remove(0),
            _ => Box::new(Fanout { stages }),
        }
    }
}

impl<T: Clone + Send> Stage<T> for Fanout<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.stages.iter_mut().try_for_each(|stage| stage.open(context))
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        if let Some((last, others)) = self.stages.split_last_mut() {
            for stage in others {
                stage.batch(&mut batch.clone())?;
            }
            last.batch(batch)?;
        }
        batch.clear();
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.stages.iter_mut().try_for_each(|stage| stage.event(event.clone()))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.stages.iter_mut().try_for_each(|stage| stage.snapshot(snapshot))
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.stages.iter_mut().try_for_each(|stage| stage.checkpoint_complete(checkpoint))
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.stages.iter_mut().for_each(|stage| stage.checkpoint_aborted(checkpoint));
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stages.iter_mut().try_fold(None, |next, stage| Ok(earlier(next, stage.tick(now)?)))
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stages.iter_mut().try_fold(None, |next, stage| Ok(earlier(next, stage.drain(now)?)))
    }

    fn end(&mut self) -> TaskResult {
        self.stages.iter_mut().try_for_each(|stage| stage.end())
    }

    fn close(&mut self) {
        self.stages.iter_mut().for_each(|stage| stage.close());
    }
}
