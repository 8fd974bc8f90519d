//! The part of windows over a whole stream that runs before the exchange, in every subtask of the producer.
//!
//! All records of such a stream meet in one subtask. Where a window keeps one value of them all, each producer combines its
//! own records of a slice first, and sends one value for all of them: before the watermark that lets the slice's first window
//! fire, and before anything else that might let others go on without it. So nothing is kept for a snapshot, and nothing
//! comes later than it would by itself.

use super::assigner::Panes;
use super::contents::WindowContents;
use super::slice::Slice;
use super::{NO_TIMESTAMP, no_timestamp};
use crate::element::{Batch, Data, Event};
use crate::error::TaskResult;
use crate::operator::{Operator, Output};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// So many slices are kept at most: where time jumps to and fro more than that, values are sent earlier.
const SLICES: usize = 1024;

/// Combines the records of each slice of tumbling or sliding windows of event time.
pub struct PartialWindows<T, C: WindowContents<T>> {
    contents: C,
    panes: Panes,
    /// By the slice's end: what its records were combined to, with the timestamp of the first.
    kept: BTreeMap<i64, (i64, C::Kept)>,
    watermark: i64,
    /// The slice of the last record.
    current: Slice,
    types: PhantomData<fn(T)>,
}

impl<T, C: WindowContents<T>> PartialWindows<T, C> {
    /// Combines what windows of these panes keep.
    pub fn new(contents: C, panes: Panes) -> Self {
        let (kept, current) = (BTreeMap::new(), Slice::nowhere());
        PartialWindows { contents, panes, kept, watermark: i64::MIN, current, types: PhantomData }
    }

    #[inline]
    fn record(&mut self, record: T, at: i64, out: &mut Output<C::Kept>) {
        if !self.current.contains(at) {
            self.current = Slice::at(&self.panes, at);
        }
        if let Some((_, kept)) = self.kept.get_mut(&self.current.end) {
            return self.contents.add(kept, record, at);
        }
        let first = self.contents.first(record, at);
        if self.current.has_fired(self.watermark) {
            // Late: whoever has the windows says what becomes of each such record.
            return emit(at, first, out);
        }
        if self.kept.len() >= SLICES {
            self.emit_all(out);
        }
        self.kept.insert(self.current.end, (at, first));
    }

    fn emit_all(&mut self, out: &mut Output<C::Kept>) {
        std::mem::take(&mut self.kept).into_values().for_each(|(at, kept)| emit(at, kept, out));
    }
}

fn emit<V>(at: i64, kept: V, out: &mut Output<V>) {
    out.set_timestamp(Some(at));
    out.push(kept);
}

impl<T: Data, C: WindowContents<T>> Operator for PartialWindows<T, C> {
    type In = T;
    type Out = C::Kept;

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<C::Kept>) -> TaskResult {
        let Some(stamps) = batch.timestamps.take() else {
            return if batch.records.is_empty() { Ok(()) } else { Err(no_timestamp()) };
        };
        for (record, at) in batch.records.drain(..).zip(stamps) {
            if at == NO_TIMESTAMP {
                return Err(no_timestamp());
            }
            self.record(record, at, out);
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<C::Kept>) -> TaskResult {
        self.watermark = self.watermark.max(watermark);
        while let Some(first) = self.kept.first_entry() {
            if !Slice::at(&self.panes, *first.key() - 1).has_fired(watermark) {
                break;
            }
            let (at, kept) = first.remove();
            emit(at, kept, out);
        }
        out.event(Event::Watermark(watermark))
    }

    fn before_event(&mut self, out: &mut Output<C::Kept>) -> TaskResult {
        self.emit_all(out);
        Ok(())
    }

    fn end(&mut self, out: &mut Output<C::Kept>) -> TaskResult {
        self.emit_all(out);
        Ok(())
    }
}

/// What is kept of the values that [`PartialWindows`] has sent: the same as of the records themselves.
pub struct Partials<T, C> {
    contents: C,
    types: PhantomData<fn(T)>,
}

impl<T, C> Partials<T, C> {
    /// The second half of these contents.
    pub fn new(contents: C) -> Self {
        Partials { contents, types: PhantomData }
    }
}

impl<T, C: Clone> Clone for Partials<T, C> {
    fn clone(&self) -> Self {
        Partials::new(self.contents.clone())
    }
}

impl<T: 'static, C: WindowContents<T>> WindowContents<C::Kept> for Partials<T, C> {
    type Kept = C::Kept;

    fn first(&mut self, value: C::Kept, _timestamp: i64) -> C::Kept {
        value
    }

    fn add(&mut self, kept: &mut C::Kept, value: C::Kept, _timestamp: i64) {
        self.contents.merge(kept, value);
    }

    fn merge(&mut self, kept: &mut C::Kept, other: C::Kept) {
        self.contents.merge(kept, other);
    }
}
