//! Side outputs: records that leave an operator beside its main output, found again by a tag.
//!
//! The types of side outputs are erased on the way through the stage of the main output. An [`OutputTag`] has the type on
//! both ends; two tags of one name and different types are found out when the first record does not fit.

use crate::element::{Batch, Event};
use crate::error::{TaskError, TaskResult};
use crate::operator::{BoxStage, Stage, earlier};
use crate::snapshot::OperatorSnapshot;
use crate::task::TaskContext;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

/// Names a side output of records of type `T`. Make it once and use it on both ends, or make two of the same name and type.
///
/// ```
/// use kvick_runtime::side::OutputTag;
/// const REJECTED: OutputTag<String> = OutputTag::named("rejected");
/// ```
pub struct OutputTag<T> {
    name: Cow<'static, str>,
    types: PhantomData<fn() -> T>,
}

impl<T> OutputTag<T> {
    /// A tag of this name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> OutputTag<T> {
        OutputTag { name: name.into(), types: PhantomData }
    }

    /// A tag of this name, as a constant.
    pub const fn named(name: &'static str) -> OutputTag<T> {
        OutputTag { name: Cow::Borrowed(name), types: PhantomData }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        OutputTag { name: self.name.clone(), types: PhantomData }
    }
}

impl<T> fmt::Debug for OutputTag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputTag({:?})", self.name)
    }
}

/// A `Batch<U>` of a type that only its two ends know.
pub type SideBatch = Box<dyn Any + Send>;

/// Records that wait to leave by one side output.
pub(crate) struct SideBuffer {
    tag: Cow<'static, str>,
    batch: SideBatch,
    len: usize,
    take: fn(&mut SideBatch) -> SideBatch,
}

fn take_batch<U: Send + 'static>(batch: &mut SideBatch) -> SideBatch {
    std::mem::replace(batch, Box::new(Batch::<U>::new()))
}

impl SideBuffer {
    pub fn new<U: Send + 'static>(tag: &OutputTag<U>) -> SideBuffer {
        SideBuffer {
            tag: tag.name.clone(),
            batch: Box::new(Batch::<U>::new()),
            len: 0,
            take: take_batch::<U>,
        }
    }

    pub fn is(&self, name: &str) -> bool {
        self.tag == name
    }

    /// Adds a record and tells how many there are.
    pub fn push<U: Send + 'static>(&mut self, record: U, timestamp: Option<i64>) -> TaskResult<usize> {
        let Some(batch) = self.batch.downcast_mut::<Batch<U>>() else { return Err(wrong_type(&self.tag)) };
        batch.push(record, timestamp);
        self.len += 1;
        Ok(self.len)
    }

    /// Hands on what is there.
    pub fn flush<T>(&mut self, next: &mut BoxStage<T>) -> TaskResult {
        if self.len == 0 {
            return Ok(());
        }
        self.len = 0;
        let full = (self.take)(&mut self.batch);
        next.side(&self.tag, full)
    }
}

fn wrong_type(tag: &str) -> TaskError {
    TaskError::failed(format!("the output tag \"{tag}\" is used for records of two types"))
}

/// A stage of records of one type, as the end of a side output.
struct Erased<U>(BoxStage<U>);

impl<U: Send + 'static> Stage<SideBatch> for Erased<U> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.0.open(context)
    }

    fn batch(&mut self, batches: &mut Batch<SideBatch>) -> TaskResult {
        for batch in batches.records.drain(..) {
            let Ok(mut batch) = batch.downcast::<Batch<U>>() else {
                return Err(TaskError::failed(format!(
                    "an output tag is used for records of two types: one is {}",
                    std::any::type_name::<U>()
                )));
            };
            self.0.batch(&mut batch)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.0.event(event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.0.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.0.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.0.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.0.tick(now)
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.0.drain(now)
    }

    fn end(&mut self) -> TaskResult {
        self.0.end()
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// The consumers of one side output.
pub struct Side {
    tag: String,
    stage: BoxStage<SideBatch>,
}

impl Side {
    /// Gives the records of a tag to a stage.
    pub fn new<U: Send + 'static>(tag: &str, stage: BoxStage<U>) -> Side {
        Side { tag: tag.to_string(), stage: Box::new(Erased(stage)) }
    }
}

/// The main output of an operator and its side outputs.
pub struct Sided<T> {
    main: BoxStage<T>,
    sides: Vec<Side>,
}

impl<T: 'static> Sided<T> {
    /// One stage for all outputs of an operator.
    pub fn of(main: BoxStage<T>, sides: Vec<Side>) -> BoxStage<T> {
        if sides.is_empty() { main } else { Box::new(Sided { main, sides }) }
    }
}

impl<T> Sided<T> {
    fn sides(&mut self) -> impl Iterator<Item = &mut BoxStage<SideBatch>> {
        self.sides.iter_mut().map(|side| &mut side.stage)
    }
}

impl<T> Stage<T> for Sided<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.sides().try_for_each(|side| side.open(context))?;
        self.main.open(context)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.main.batch(batch)
    }

    fn side(&mut self, tag: &str, batch: SideBatch) -> TaskResult {
        match self.sides.iter_mut().find(|side| side.tag == tag) {
            Some(side) => side.stage.batch(&mut Batch::of(vec![batch])),
            None => Ok(()),
        }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.sides().try_for_each(|side| side.event(event.clone()))?;
        self.main.event(event)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        self.sides().try_for_each(|side| side.snapshot(snapshot))?;
        self.main.snapshot(snapshot)
    }

    fn checkpoint_complete(&mut self, checkpoint: u64) -> TaskResult {
        self.sides().try_for_each(|side| side.checkpoint_complete(checkpoint))?;
        self.main.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: u64) {
        self.sides().for_each(|side| side.checkpoint_aborted(checkpoint));
        self.main.checkpoint_aborted(checkpoint);
    }

    fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        let sides =
            self.sides().try_fold(None, |next, side| TaskResult::Ok(earlier(next, side.tick(now)?)))?;
        Ok(earlier(sides, self.main.tick(now)?))
    }

    fn drain(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        let sides =
            self.sides().try_fold(None, |next, side| TaskResult::Ok(earlier(next, side.drain(now)?)))?;
        Ok(earlier(sides, self.main.drain(now)?))
    }

    fn end(&mut self) -> TaskResult {
        self.sides().try_for_each(|side| side.end())?;
        self.main.end()
    }

    fn close(&mut self) {
        self.sides().for_each(|side| side.close());
        self.main.close();
    }
}
