//! Event time of a source that reads several splits: each split has its own watermark, and the stream has the least.
//!
//! Records of two splits are each in their own order: a watermark made from both would call those of the slower one late.

use crate::element::{Batch, Data, Element, Event};
use crate::error::TaskResult;
use crate::operator::{BoxStage, Chained, Operator, Output, Stage, earlier};
use crate::operators::AssignTimestamps;
use crate::snapshot::OperatorSnapshot;
use crate::task::{Poll, TaskContext, lock};
use crate::time::{TimestampAssigner, WatermarkGenerator, WatermarkStrategy};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Whether and how a source gives its records event time.
pub trait EventTime<T>: Send + 'static {
    /// What one split has.
    type Clock: Send;

    /// Called once, before the first split.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    fn open(&mut self, context: &mut TaskContext) -> TaskResult;

    /// For a split that is begun.
    fn clock(&self) -> Self::Clock;

    /// Lets a split be read; its records go to `out`.
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn read(
        &mut self,
        clock: &mut Self::Clock,
        read: impl FnOnce(&mut Output<T>) -> TaskResult<Poll>,
        out: &mut Output<T>,
    ) -> TaskResult<Poll>;

    /// Says how far all splits have come, and when to look again. Without any split the stream is idle, if told so.
    ///
    /// # Errors
    /// Whatever is behind the source fails with.
    fn combine<'a>(
        &mut self,
        clocks: impl Iterator<Item = &'a mut Self::Clock>,
        idle_without: bool,
        out: &mut Output<T>,
    ) -> TaskResult<Option<Instant>>
    where
        Self::Clock: 'a;
}

/// No event time from the source itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untimed;

impl<T> EventTime<T> for Untimed {
    type Clock = ();

    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    fn clock(&self) {}

    #[inline]
    fn read(
        &mut self,
        (): &mut (),
        read: impl FnOnce(&mut Output<T>) -> TaskResult<Poll>,
        out: &mut Output<T>,
    ) -> TaskResult<Poll> {
        read(out)
    }

    #[inline]
    fn combine<'a>(
        &mut self,
        _clocks: impl Iterator<Item = &'a mut ()>,
        _idle_without: bool,
        _out: &mut Output<T>,
    ) -> TaskResult<Option<Instant>> {
        Ok(None)
    }
}

/// A watermark strategy for each split.
pub struct PerSplit<T, G, A> {
    operator: AssignTimestamps<T, G, A>,
    emitted: i64,
    idle: bool,
}

impl<T, G, A> PerSplit<T, G, A> {
    /// Event time by a strategy; in batch mode it only assigns timestamps.
    pub fn new(strategy: WatermarkStrategy<G, A>, batch: bool) -> Self {
        PerSplit { operator: AssignTimestamps::new(strategy, batch), emitted: i64::MIN, idle: false }
    }
}

type Captured<T> = Arc<Mutex<Vec<Element<T>>>>;

/// The event time of one split: its records pass through an operator of its own.
pub struct SplitClock<T> {
    input: Output<T>,
    captured: Captured<T>,
    watermark: i64,
    idle: bool,
}

impl<T> SplitClock<T> {
    /// Hands on the records that came out, and notes what was said of time.
    fn absorb(&mut self, out: &mut Output<T>) -> TaskResult {
        let captured = std::mem::take(&mut *lock(&self.captured));
        for element in captured {
            match element {
                Element::Batch(mut batch) => out.batch(&mut batch)?,
                Element::Event(Event::Watermark(watermark)) => self.watermark = self.watermark.max(watermark),
                Element::Event(Event::Idle) => self.idle = true,
                Element::Event(Event::Active) => self.idle = false,
                Element::Event(_) | Element::EndOfInput => {}
            }
        }
        Ok(())
    }
}

impl<T, G, A> EventTime<T> for PerSplit<T, G, A>
where
    T: Data,
    G: WatermarkGenerator<T>,
    A: TimestampAssigner<T>,
{
    type Clock = SplitClock<T>;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.operator.open(context)
    }

    fn clock(&self) -> SplitClock<T> {
        let captured: Captured<T> = Arc::default();
        let end: BoxStage<T> = Box::new(Capture(Arc::clone(&captured)));
        let input = Output::new(Chained::before(self.operator.for_split(), end));
        SplitClock { input, captured, watermark: i64::MIN, idle: false }
    }

    fn read(
        &mut self,
        clock: &mut SplitClock<T>,
        read: impl FnOnce(&mut Output<T>) -> TaskResult<Poll>,
        out: &mut Output<T>,
    ) -> TaskResult<Poll> {
        let polled = read(&mut clock.input)?;
        clock.input.flush()?;
        clock.absorb(out)?;
        Ok(polled)
    }

    fn combine<'a>(
        &mut self,
        clocks: impl Iterator<Item = &'a mut SplitClock<T>>,
        idle_without: bool,
        out: &mut Output<T>,
    ) -> TaskResult<Option<Instant>> {
        let (now, mut due, mut least, mut any) = (Instant::now(), None, None, false);
        for clock in clocks {
            due = earlier(due, clock.input.next().tick(now)?);
            clock.absorb(out)?;
            any = true;
            if !clock.idle {
                least = Some(least.map_or(clock.watermark, |least: i64| least.min(clock.watermark)));
            }
        }
        let idle = least.is_none() && (any || idle_without);
        if idle != self.idle {
            self.idle = idle;
            out.event(if idle { Event::Idle } else { Event::Active })?;
        }
        if let Some(watermark) = least.filter(|least| *least > self.emitted) {
            self.emitted = watermark;
            out.event(Event::Watermark(watermark))?;
        }
        Ok(due)
    }
}

/// Keeps what comes out of a split's operator.
struct Capture<T>(Captured<T>);

impl<T: Send> Stage<T> for Capture<T> {
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        lock(&self.0).push(Element::Batch(std::mem::take(batch)));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        lock(&self.0).push(Element::Event(event));
        Ok(())
    }

    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(())
    }

    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    fn tick(&mut self, _now: Instant) -> TaskResult<Option<Instant>> {
        Ok(None)
    }

    fn end(&mut self) -> TaskResult {
        Ok(())
    }

    fn close(&mut self) {}
}
