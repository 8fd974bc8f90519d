//! Assigns timestamps to records and makes watermarks.
//!
//! A batch goes on as it is, with timestamps beside its records; only a watermark in its middle divides it. In batch mode no
//! watermark is needed before the end of the input.

use crate::element::{Batch, Data, Event, NO_TIMESTAMP};
use crate::error::{TaskError, TaskResult};
use crate::operator::{Operator, Output, earlier};
use crate::options;
use crate::task::{TaskContext, TaskControl};
use crate::time::alignment::Member;
use crate::time::foresight::Foresight;
use crate::time::{
    Clock, SplitTurn, TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy,
};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is to be said of watermarks, behind which record of a batch.
type Marks = Vec<(usize, WatermarkOutput)>;

/// When a stream counts as idle.
struct Idleness {
    span: Duration,
    last_record: Instant,
}

/// The operator of a watermark strategy.
pub struct AssignTimestamps<T, G, A> {
    strategy: WatermarkStrategy<G, A>,
    batch: bool,
    clock: Clock,
    interval: Option<Duration>,
    next_emit: Option<Instant>,
    idleness: Option<Idleness>,
    member: Option<(Arc<Member>, Arc<TaskControl>)>,
    /// Whether batches are held here, since the task goes on reading whatever is ahead.
    holds: bool,
    idle: bool,
    emitted: i64,
    foresight: Foresight,
    output: WatermarkOutput,
    types: PhantomData<fn(T)>,
}

impl<T, G, A> AssignTimestamps<T, G, A> {
    /// The operator of a strategy; in batch mode it only assigns timestamps.
    pub fn new(strategy: WatermarkStrategy<G, A>, batch: bool) -> Self {
        AssignTimestamps {
            strategy,
            batch,
            clock: Clock::system(),
            interval: None,
            next_emit: None,
            idleness: None,
            member: None,
            holds: false,
            idle: false,
            emitted: i64::MIN,
            foresight: Foresight::default(),
            output: WatermarkOutput::default(),
            types: PhantomData,
        }
    }
}

impl<T: Data, G: WatermarkGenerator<T>, A: TimestampAssigner<T>> AssignTimestamps<T, G, A> {
    /// Tells the timestamps of all records, and behind which of them there is something to say of watermarks.
    fn timestamps(&mut self, batch: &mut Batch<T>) -> TaskResult<(Vec<i64>, Marks)> {
        let now = if A::USES_CLOCK { self.clock.now() } else { 0 };
        let recorded = batch.timestamps.take();
        let mut recorded = recorded.iter().flatten().copied();
        let (mut stamps, mut marks) = (Vec::with_capacity(batch.len()), Vec::new());
        for (index, record) in batch.records.iter().enumerate() {
            let recorded = recorded.next().filter(|at| *at != NO_TIMESTAMP);
            let Some(at) = self.strategy.assigner.extract_timestamp(record, recorded, now) else {
                return Err(missing());
            };
            stamps.push(at);
            if self.batch {
                continue;
            }
            self.strategy.generator.on_event(record, at, &mut self.output);
            if !self.output.is_empty() {
                marks.push((index, std::mem::take(&mut self.output)));
            }
        }
        Ok((stamps, marks))
    }

    /// Hands on a batch with watermarks between its records.
    fn divided(
        &mut self,
        batch: &mut Batch<T>,
        stamps: Vec<i64>,
        marks: Marks,
        out: &mut Output<T>,
    ) -> TaskResult {
        let mut marks = marks.into_iter().peekable();
        for (index, (record, at)) in batch.records.drain(..).zip(stamps).enumerate() {
            out.set_timestamp(Some(at));
            out.push(record);
            if let Some((_, mut output)) = marks.next_if(|(mark, _)| *mark == index) {
                self.say(&mut output, out)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, output: &mut WatermarkOutput, out: &mut Output<T>) -> TaskResult {
        let (watermark, idle) = output.take();
        if let Some(watermark) = watermark.filter(|watermark| *watermark > self.emitted) {
            self.emitted = watermark;
            self.foresight.made(watermark);
            self.member.iter().for_each(|(member, _)| member.tell(Some(watermark)));
            out.event(Event::Watermark(watermark))?;
        }
        idle.map_or(Ok(()), |idle| self.set_idle(idle, out))
    }

    /// How far the stream, or the split that is being read, is before a watermark says so. Nobody knows when watermarks come
    /// that are not made at intervals.
    fn reached(&mut self, stamps: &[i64]) {
        let Some((member, _)) = self.member.as_ref().filter(|_| self.interval.is_some()) else { return };
        match &self.strategy.turn {
            Some(turn) => turn.reached(stamps),
            None => member.reach(self.foresight.after(stamps)),
        }
    }

    /// Makes a watermark, if it is time to.
    fn emit_periodically(&mut self, now: Instant, out: &mut Output<T>) -> TaskResult {
        let Some(interval) = self.interval.filter(|_| self.next_emit.is_some_and(|due| due <= now)) else {
            return Ok(());
        };
        self.next_emit = Some(now + interval);
        let mut output = std::mem::take(&mut self.output);
        self.strategy.generator.on_periodic_emit(&mut output);
        // The built-in generators repeat themselves; only a new watermark ends idleness.
        let (watermark, idle) = output.take();
        let watermark = watermark.filter(|watermark| *watermark > self.emitted);
        if !self.foresight.was_due(watermark.is_some()) {
            self.member.iter().for_each(|(member, _)| member.reach(i64::MIN));
        }
        let mut said = WatermarkOutput::default();
        match watermark {
            Some(watermark) => said.emit_watermark(watermark),
            None if idle == Some(true) => said.mark_idle(),
            None => {}
        }
        self.say(&mut said, out)
    }

    /// Tells that the stream is idle once it is; when that may be, otherwise.
    fn watch_idleness(&mut self, now: Instant, out: &mut Output<T>) -> TaskResult<Option<Instant>> {
        let waits = self.waits_for_others();
        let Some(idleness) = self.idleness.as_mut().filter(|_| !self.idle) else { return Ok(None) };
        if waits {
            // A stream that may not go on is not idle: the others would take it for one that need not be waited for.
            idleness.last_record = now;
        }
        let at = idleness.last_record + idleness.span;
        if at <= now {
            self.set_idle(true, out)?;
            return Ok(None);
        }
        Ok(Some(at))
    }

    /// Whether the source is not read, or part of it is not, because that is ahead of others.
    fn waits_for_others(&self) -> bool {
        let ahead = self.member.as_ref().is_some_and(|(member, _)| member.is_ahead());
        ahead || self.strategy.turn.as_ref().is_some_and(SplitTurn::is_any_ahead)
    }

    fn set_idle(&mut self, idle: bool, out: &mut Output<T>) -> TaskResult {
        if self.idle == idle {
            return Ok(());
        }
        self.idle = idle;
        let told = (!idle).then_some(self.emitted);
        self.member.iter().for_each(|(member, _)| member.tell(told));
        out.event(if idle { Event::Idle } else { Event::Active })
    }
}

fn missing() -> TaskError {
    TaskError::failed(
        "a record has no timestamp: the source gives none, so the watermark strategy needs with_timestamp_assigner(...)",
    )
}

impl<T: Data, G: WatermarkGenerator<T>, A: TimestampAssigner<T>> Operator for AssignTimestamps<T, G, A> {
    type In = T;
    type Out = T;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.clock = context.clock.clone();
        self.batch |= options::is_batch(&context.job.config);
        if self.batch {
            return Ok(());
        }
        let now = Instant::now();
        self.interval = options::auto_watermark_interval(&context.job.config);
        self.next_emit = self.interval.map(|interval| now + interval);
        self.member = self.strategy.alignment.as_ref().map(|alignment| {
            let member = Arc::new(context.job.alignment.join(context.execution, alignment));
            context.control.aligns(&member);
            self.strategy.turn.iter().for_each(|turn| turn.aligns(&member));
            self.holds = !context.control.waits_before_reading();
            (member, Arc::clone(&context.control))
        });
        self.idleness = self.strategy.idleness.map(|span| Idleness { span, last_record: now });
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<T>) -> TaskResult {
        if let Some(idleness) = &mut self.idleness {
            idleness.last_record = Instant::now();
            self.set_idle(false, out)?;
        }
        if let Some((member, control)) = self.member.as_ref().filter(|_| self.holds) {
            member.hold(control);
        }
        let (stamps, marks) = self.timestamps(batch)?;
        self.reached(&stamps);
        if !marks.is_empty() {
            return self.divided(batch, stamps, marks, out);
        }
        batch.timestamps = Some(stamps);
        out.batch(batch)
    }

    /// Watermarks from before this operator mean nothing to its own timestamps, except the last one of all.
    fn watermark(&mut self, watermark: i64, out: &mut Output<T>) -> TaskResult {
        if watermark == i64::MAX && self.emitted != i64::MAX {
            self.emitted = watermark;
            self.member.iter().for_each(|(member, _)| member.tell(None));
            return out.event(Event::Watermark(watermark));
        }
        Ok(())
    }

    fn close(&mut self) {
        self.member = None;
    }

    fn timer(&mut self, now: Instant, out: &mut Output<T>) -> TaskResult<Option<Instant>> {
        self.emit_periodically(now, out)?;
        let idle_at = self.watch_idleness(now, out)?;
        Ok(earlier(self.next_emit, idle_at))
    }
}
