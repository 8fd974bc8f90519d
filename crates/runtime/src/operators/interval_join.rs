//! Joins records of two keyed streams whose event times are within an interval of each other.
//!
//! Each side keeps its records by time until the watermark says that no partner can come any more.

use super::after_open;
use super::connect::Either;
use super::transform::for_each;
use crate::element::{Batch, Data, Event, Key, NO_TIMESTAMP};
use crate::error::{TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::side::OutputTag;
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedStates, MapTable, TableSpec};
use crate::task::TaskContext;
use crate::timers::Timers;
use std::marker::PhantomData;

/// Which records belong together: `left + lower <= right <= left + upper`, in milliseconds of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// How much earlier (negative) or later a right record may be at least.
    pub lower: i64,
    /// How much later a right record may be at most.
    pub upper: i64,
}

impl Interval {
    /// The last watermark at which a left record of this time may still find a partner.
    fn left_until(self, at: i64) -> i64 {
        at.saturating_add(self.upper.max(0))
    }

    /// The last watermark at which a right record of this time may still find a partner.
    fn right_until(self, at: i64) -> i64 {
        at.saturating_sub(self.lower.min(0))
    }
}

/// When the records of a pair happened, in milliseconds of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "ProcessJoinFunction.Context")]
pub struct JoinContext {
    left: i64,
    right: i64,
}

impl JoinContext {
    /// Of the first stream's record.
    #[doc(alias = "getLeftTimestamp")]
    pub fn left_timestamp(&self) -> i64 {
        self.left
    }

    /// Of the second stream's record.
    #[doc(alias = "getRightTimestamp")]
    pub fn right_timestamp(&self) -> i64 {
        self.right
    }

    /// The later of the two: that of what the function emits.
    #[doc(alias = "getTimestamp")]
    pub fn timestamp(&self) -> i64 {
        self.left.max(self.right)
    }
}

const LEFT: u8 = 0;
const RIGHT: u8 = 1;

struct Opened<K: Key, A, B> {
    states: KeyedStates<K>,
    left: MapTable<K, (), i64, Vec<A>>,
    right: MapTable<K, (), i64, Vec<B>>,
    /// When records are to be forgotten: the side as namespace.
    timers: Timers<K, u8>,
}

/// Where records go that come too late to be joined.
pub struct LateRecords<A, B> {
    /// Of the first stream.
    pub left: Option<OutputTag<A>>,
    /// Of the second stream.
    pub right: Option<OutputTag<B>>,
}

impl<A, B> Default for LateRecords<A, B> {
    fn default() -> Self {
        LateRecords { left: None, right: None }
    }
}

impl<A, B> Clone for LateRecords<A, B> {
    fn clone(&self) -> Self {
        LateRecords { left: self.left.clone(), right: self.right.clone() }
    }
}

/// The operator of an interval join.
pub struct IntervalJoin<K: Key, A, B, O, F1, F2, J> {
    keys: (F1, F2),
    interval: Interval,
    join: J,
    late: LateRecords<A, B>,
    opened: Option<Opened<K, A, B>>,
    types: PhantomData<fn() -> O>,
}

impl<K, A, B, O, F1, F2, J> IntervalJoin<K, A, B, O, F1, F2, J>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(&A) -> K + Send + 'static,
    F2: FnMut(&B) -> K + Send + 'static,
    J: FnMut(&A, &B, JoinContext, &mut Output<O>) + Send + 'static,
{
    /// Joins streams that are keyed by `first` and `second`.
    pub fn new(first: F1, second: F2, interval: Interval, join: J, late: LateRecords<A, B>) -> Self {
        IntervalJoin { keys: (first, second), interval, join, late, opened: None, types: PhantomData }
    }

    fn left(&mut self, record: A, at: i64, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        if at < opened.timers.watermark() {
            self.late.left.iter().for_each(|tag| out.emit_to(tag, record.clone()));
            return Ok(());
        }
        let key = opened.states.keyed((self.keys.0)(&record));
        let (from, to) = (at.saturating_add(self.interval.lower), at.saturating_add(self.interval.upper));
        opened.right.for_each_of(&key, &(), |time, others| {
            if (from..=to).contains(time) {
                let context = JoinContext { left: at, right: *time };
                out.set_timestamp(Some(context.timestamp()));
                others.iter().for_each(|other| (self.join)(&record, other, context, out));
            }
        })?;
        let until = self.interval.left_until(at);
        keep(&mut opened.left, &key, at, record)?;
        Ok(opened.timers.register_event_time(&key, &LEFT, until)?)
    }

    fn right(&mut self, record: B, at: i64, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        if at < opened.timers.watermark() {
            self.late.right.iter().for_each(|tag| out.emit_to(tag, record.clone()));
            return Ok(());
        }
        let key = opened.states.keyed((self.keys.1)(&record));
        let (from, to) = (at.saturating_sub(self.interval.upper), at.saturating_sub(self.interval.lower));
        opened.left.for_each_of(&key, &(), |time, others| {
            if (from..=to).contains(time) {
                let context = JoinContext { left: *time, right: at };
                out.set_timestamp(Some(context.timestamp()));
                others.iter().for_each(|other| (self.join)(other, &record, context, out));
            }
        })?;
        let until = self.interval.right_until(at);
        keep(&mut opened.right, &key, at, record)?;
        Ok(opened.timers.register_event_time(&key, &RIGHT, until)?)
    }
}

fn keep<K: Key, T: Data>(
    table: &mut MapTable<K, (), i64, Vec<T>>,
    key: &Keyed<K>,
    at: i64,
    record: T,
) -> TaskResult {
    let mut records = table.remove(key, &(), &at)?.unwrap_or_default();
    records.push(record);
    Ok(table.put(key, &(), at, records)?)
}

fn no_timestamp() -> TaskError {
    TaskError::failed(
        "a record without a timestamp reached an interval join: call assign_timestamps_and_watermarks on both streams",
    )
}

impl<K, A, B, O, F1, F2, J> Operator for IntervalJoin<K, A, B, O, F1, F2, J>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(&A) -> K + Send + 'static,
    F2: FnMut(&B) -> K + Send + 'static,
    J: FnMut(&A, &B, JoinContext, &mut Output<O>) + Send + 'static,
{
    type In = Either<A, B>;
    type Out = O;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut states = KeyedStates::new(context.keyed_backend::<K>()?);
        let left = states.backend().map_table(TableSpec::new("left-records"))?;
        let right = states.backend().map_table(TableSpec::new("right-records"))?;
        let timers = Timers::open(states.backend())?;
        self.opened = Some(Opened { states, left, right, timers });
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<Either<A, B>>, out: &mut Output<O>) -> TaskResult {
        for_each(batch, out, |record, out| {
            let at = out.timestamp().filter(|at| *at != NO_TIMESTAMP).ok_or_else(no_timestamp)?;
            match record {
                Either::Left(record) => self.left(record, at, out),
                Either::Right(record) => self.right(record, at, out),
            }
        })
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        opened.timers.advance_watermark(watermark);
        while let Some((key, side, at)) = opened.timers.pop_event()? {
            if side == LEFT {
                let time = at.saturating_sub(self.interval.upper.max(0));
                opened.left.remove(&key, &(), &time)?;
            } else {
                let time = at.saturating_add(self.interval.lower.min(0));
                opened.right.remove(&key, &(), &time)?;
            }
        }
        out.event(Event::Watermark(watermark))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        snapshot.map_table(&mut opened.left)?;
        snapshot.map_table(&mut opened.right)?;
        opened.timers.snapshot(snapshot)?;
        opened.states.snapshot(snapshot)?;
        Ok(())
    }
}

impl<K, A, B, O, F1, F2, J> KeyedOperator for IntervalJoin<K, A, B, O, F1, F2, J>
where
    K: Key,
    A: Data,
    B: Data,
    O: Data,
    F1: FnMut(&A) -> K + Send + 'static,
    F2: FnMut(&B) -> K + Send + 'static,
    J: FnMut(&A, &B, JoinContext, &mut Output<O>) + Send + 'static,
{
    fn end_key(&mut self, _out: &mut Output<O>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        // Timers only forget records, and all of them are forgotten.
        opened.timers.end_key();
        while opened.timers.pop_last()?.is_some() {}
        opened.timers.begin_key();
        opened.left.clear_all()?;
        opened.right.clear_all()?;
        Ok(opened.states.clear()?)
    }
}
