//! Tumbling and sliding windows that fire at their end.
//!
//! Time is cut into slices at every start and end of a window, so that each window is a run of whole slices and each record
//! belongs to one slice, however many windows overlap there. State is kept by key and slice; a window that fires merges its
//! slices. A slice is dropped once its last window, and the lateness that is allowed, are over.

use super::assigner::{Layout, Panes};
use super::contents::WindowContents;
use super::emit::{FireContext, WindowEmit};
use super::progress::Progress;
use super::slice::Slice;
use super::span::Window;
use super::{Late, NO_TIMESTAMP, WindowSettings, check_window_state, no_timestamp};
use crate::element::{Batch, Data, Event, Key};
use crate::error::{TaskError, TaskResult};
use crate::operator::{KeyedOperator, Operator, Output};
use crate::operators::{FunctionContext, after_open};
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedStates, Table, TableSpec};
use crate::task::TaskContext;
use crate::time::Clock;
use crate::timers::TimeDomain;
use hashbrown::HashTable;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Instant;

/// What an opened operator has.
struct Opened<K: Key, V> {
    states: KeyedStates<K>,
    table: Table<K, i64, V>,
    /// The keys of each slice, by the slice's end.
    slices: BTreeMap<i64, Vec<Keyed<K>>>,
    /// Where the keys of each slice stand in its list, where what is kept is added to without being read.
    known: Option<BTreeMap<i64, HashTable<usize>>>,
    /// The ends of the windows that are to fire.
    ends: BTreeSet<i64>,
    progress: Progress,
    clock: Clock,
    late: Late,
    /// The slice of the last record.
    current: Slice,
}

impl<K: Key, V: Data> Opened<K, V> {
    /// Notes that a slice has state for a key which it had none for.
    fn index(&mut self, slice: &Slice, slide: i64, key: Keyed<K>) {
        let (ends, slowest) = (&mut self.ends, self.progress.slowest());
        let keys = self.slices.entry(slice.end).or_insert_with(|| {
            ends.extend(slice.windows(slide).filter(|end| *end - 1 > slowest));
            Vec::new()
        });
        keys.push(key);
        if let Some(known) = &mut self.known {
            let (places, last) = (known.entry(slice.end).or_default(), keys.len() - 1);
            places.insert_unique(keys[last].hash, last, |place| keys[*place].hash);
        }
    }

    /// Whether a slice has state for a key, as far as that is noted.
    fn is_indexed(&self, slice: &Slice, key: &Keyed<K>) -> bool {
        let places = self.known.as_ref().and_then(|known| known.get(&slice.end));
        let (Some(places), Some(keys)) = (places, self.slices.get(&slice.end)) else { return false };
        places.find(key.hash, |place| keys[*place].key == key.key).is_some()
    }

    /// The keys of a slice are not needed any more.
    fn forget(&mut self, slice: i64) {
        if let Some(known) = &mut self.known {
            known.remove(&slice);
        }
    }

    fn restore(&mut self, panes: &Panes) -> TaskResult {
        let mut found = Vec::new();
        self.table.for_each(|key, end, _| found.push((key.clone(), *end)))?;
        for (key, end) in found {
            let keyed = self.states.keyed(key);
            self.index(&Slice::at(panes, end - 1), panes.slide, keyed);
        }
        Ok(())
    }

    /// Drops the slices that are over.
    fn expire(&mut self, panes: &Panes, lateness: i64) -> TaskResult {
        while let Some(first) = self.slices.first_entry() {
            if !Slice::at(panes, *first.key() - 1).is_over(lateness, self.progress.watermark()) {
                break;
            }
            let (end, keys) = first.remove_entry();
            self.forget(end);
            for key in keys {
                self.table.remove(&key, &end)?;
            }
        }
        Ok(())
    }
}

/// The operator of tumbling and sliding windows with the default trigger and without evictor.
pub struct SliceOperator<T, K: Key, F, W, C: WindowContents<T>, M> {
    key: F,
    contents: C,
    emit: M,
    panes: Panes,
    domain: TimeDomain,
    settings: WindowSettings<T>,
    opened: Option<Opened<K, C::Kept>>,
    windows: PhantomData<fn() -> W>,
}

impl<T, K, F, W, C, M> SliceOperator<T, K, F, W, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    W: Window,
    C: WindowContents<T>,
    M: WindowEmit<K, W, C::Kept>,
{
    /// Windows over a stream that is keyed by `key`.
    pub fn new(
        key: F,
        contents: C,
        emit: M,
        panes: Panes,
        domain: TimeDomain,
        settings: WindowSettings<T>,
    ) -> Self {
        SliceOperator { key, contents, emit, panes, domain, settings, opened: None, windows: PhantomData }
    }

    fn lateness(&self) -> i64 {
        if self.domain == TimeDomain::EventTime { self.settings.allowed_lateness } else { 0 }
    }

    #[inline]
    fn record(&mut self, record: T, timestamp: i64, out: &mut Output<M::Output>) -> TaskResult {
        let lateness = self.lateness();
        let opened = after_open(&mut self.opened)?;
        if !opened.current.contains(timestamp) {
            opened.current = Slice::at(&self.panes, timestamp);
        }
        let slice = opened.current;
        let key = opened.states.keyed((self.key)(&record));
        let reached = opened.progress.of_group(key.group);
        if slice.is_over(lateness, reached) {
            self.late(record, timestamp, reached, out);
            return Ok(());
        }
        let contents = &mut self.contents;
        let is_new = if opened.known.is_some() {
            opened.table.append_to_stored(&key, &slice.end, &contents.first(record, timestamp))?;
            !opened.is_indexed(&slice, &key)
        } else {
            opened.table.update(&key, &slice.end, |kept| match kept {
                Some(kept) => {
                    contents.add(kept, record, timestamp);
                    false
                }
                None => {
                    *kept = Some(contents.first(record, timestamp));
                    true
                }
            })?
        };
        if lateness > 0 && slice.first_window - 1 <= reached {
            self.fire_again(&key, &slice, reached, out)?;
        }
        if is_new && let Some(opened) = &mut self.opened {
            opened.index(&slice, self.panes.slide, key);
        }
        Ok(())
    }

    #[cold]
    fn late(&mut self, record: T, timestamp: i64, reached: i64, out: &mut Output<M::Output>) {
        let is_late = timestamp.saturating_add(self.settings.allowed_lateness) <= reached;
        if let (Some(opened), true) = (&self.opened, is_late) {
            opened.late.take(record, timestamp, &self.settings, out);
        }
    }

    /// A record came late, but not too late, for windows that have fired: they fire again, for its key.
    #[cold]
    fn fire_again(
        &mut self,
        key: &Keyed<K>,
        slice: &Slice,
        reached: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let lateness = self.settings.allowed_lateness;
        let wanted = |end: &i64| *end - 1 <= reached && (*end - 1).saturating_add(lateness) > reached;
        for end in slice.windows(self.panes.slide).filter(wanted) {
            let opened = after_open(&mut self.opened)?;
            let mut merged: Option<C::Kept> = None;
            for slice in opened.slices.range(end - self.panes.size + 1..=end).map(|(end, _)| *end) {
                merge_into(&mut merged, opened.table.get(key, &slice)?, &mut self.contents);
            }
            // The slice of the record is not indexed yet when it is the key's first one there.
            if !opened.slices.contains_key(&slice.end) {
                merge_into(&mut merged, opened.table.get(key, &slice.end)?, &mut self.contents);
            }
            if let Some(kept) = merged {
                self.emit_one(key, end, kept, reached, out)?;
            }
        }
        Ok(())
    }

    fn emit_one(
        &mut self,
        key: &Keyed<K>,
        end: i64,
        kept: C::Kept,
        watermark: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let window: W = self.window_to(end)?;
        let opened = after_open(&mut self.opened)?;
        out.set_timestamp(Some(window.max_timestamp()));
        let now = opened.clock.now();
        let mut context = FireContext { states: &mut opened.states, watermark, now };
        self.emit.emit_last(key, &window, kept, &mut context, out)
    }

    /// The window that ends there.
    fn window_to(&self, end: i64) -> TaskResult<W> {
        let spanning = W::spanning(end - self.panes.size, end);
        spanning.ok_or_else(|| TaskError::failed("windows of this kind have no beginning and no end"))
    }

    /// Fires all windows that end at or before a watermark, and drops what no window wants any more.
    fn advance(&mut self, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        loop {
            let opened = after_open(&mut self.opened)?;
            match opened.ends.first() {
                Some(end) if *end - 1 <= watermark => {}
                _ => break,
            }
            let Some(end) = opened.ends.pop_first() else { break };
            self.fire(end, watermark, out)?;
        }
        let lateness = self.lateness();
        let opened = after_open(&mut self.opened)?;
        opened.progress.advance(watermark);
        opened.expire(&self.panes, lateness)
    }

    fn fire(&mut self, end: i64, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        let lateness = self.lateness();
        let opened = after_open(&mut self.opened)?;
        let mut slices =
            opened.slices.range(end.saturating_sub(self.panes.size - 1)..=end).map(|(end, _)| *end);
        let Some(first) = slices.next() else { return Ok(()) };
        if slices.next().is_some() {
            return self.fire_merged(end, watermark, out);
        }
        let slice = Slice::at(&self.panes, first - 1);
        let is_last = slice.last_window <= end && slice.is_over(lateness, watermark);
        self.fire_single(first, is_last, end, watermark, out)
    }

    /// Fires a window all of whose records are in one slice.
    fn fire_single(
        &mut self,
        slice: i64,
        is_last: bool,
        end: i64,
        watermark: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let window: W = self.window_to(end)?;
        let opened = after_open(&mut self.opened)?;
        let Some(keys) = opened.slices.remove(&slice) else { return Ok(()) };
        out.set_timestamp(Some(window.max_timestamp()));
        let now = opened.clock.now();
        for key in &keys {
            if opened.progress.of_group(key.group) >= end - 1 {
                if is_last {
                    opened.table.remove(key, &slice)?;
                }
                continue;
            }
            let mut context = FireContext { states: &mut opened.states, watermark, now };
            if is_last {
                if let Some(kept) = opened.table.remove(key, &slice)? {
                    self.emit.emit_last(key, &window, kept, &mut context, out)?;
                }
            } else if let Some(kept) = opened.table.get(key, &slice)? {
                self.emit.emit(key, &window, kept, &mut context, out)?;
            }
        }
        if is_last {
            opened.forget(slice);
        } else {
            opened.slices.insert(slice, keys);
        }
        Ok(())
    }

    /// Fires a window by merging its slices, for each key.
    fn fire_merged(&mut self, end: i64, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let mut places: HashTable<usize> = HashTable::new();
        let mut merged: Vec<(Keyed<K>, Option<C::Kept>)> = Vec::new();
        for (slice, keys) in opened.slices.range(end.saturating_sub(self.panes.size - 1)..=end) {
            for key in keys.iter().filter(|key| opened.progress.of_group(key.group) < end - 1) {
                let found = places.find(key.hash, |place| merged[*place].0.key == key.key).copied();
                let place = found.unwrap_or_else(|| {
                    merged.push((key.clone(), None));
                    places.insert_unique(key.hash, merged.len() - 1, |place| merged[*place].0.hash);
                    merged.len() - 1
                });
                merge_into(&mut merged[place].1, opened.table.get(key, slice)?, &mut self.contents);
            }
        }
        for (key, kept) in merged {
            if let Some(kept) = kept {
                self.emit_one(&key, end, kept, watermark, out)?;
            }
        }
        Ok(())
    }
}

/// Takes what a slice keeps into what was merged of the slices before it.
fn merge_into<T, C: WindowContents<T>>(
    merged: &mut Option<C::Kept>,
    more: Option<&C::Kept>,
    contents: &mut C,
) {
    let Some(more) = more.cloned() else { return };
    match merged {
        Some(merged) => contents.merge(merged, more),
        None => *merged = Some(more),
    }
}

impl<T, K, F, W, C, M> Operator for SliceOperator<T, K, F, W, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    W: Window,
    C: WindowContents<T>,
    M: WindowEmit<K, W, C::Kept>,
{
    type In = T;
    type Out = M::Output;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut states = KeyedStates::new(context.keyed_backend::<K>()?);
        let table = states.backend().table(TableSpec::new("window-contents"))?;
        self.emit.open(&mut FunctionContext::new(&mut states, context))?;
        check_window_state(&states, M::WINDOW_STATE, Layout::Slices)?;
        let (slices, ends) = (BTreeMap::new(), BTreeSet::new());
        let (progress, clock) = (Progress::open(context)?, context.clock.clone());
        let current = Slice::nowhere();
        let late = Late::open(context);
        let known = (C::IS_LIST && table.is_stored()).then(BTreeMap::new);
        let mut opened = Opened { states, table, slices, known, ends, progress, clock, late, current };
        opened.restore(&self.panes)?;
        self.opened = Some(opened);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<M::Output>) -> TaskResult {
        if self.domain == TimeDomain::ProcessingTime {
            let now = self.opened.as_ref().map_or(0, |opened| opened.clock.now());
            batch.timestamps = None;
            return batch.records.drain(..).try_for_each(|record| self.record(record, now, out));
        }
        let stamps = batch.timestamps.take();
        let Some(stamps) = stamps else {
            return if batch.records.is_empty() { Ok(()) } else { Err(no_timestamp()) };
        };
        for (record, at) in batch.records.drain(..).zip(stamps) {
            if at == NO_TIMESTAMP {
                return Err(no_timestamp());
            }
            self.record(record, at, out)?;
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        if self.domain == TimeDomain::EventTime {
            self.advance(watermark, out)?;
        }
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, _now: Instant, out: &mut Output<M::Output>) -> TaskResult<Option<Instant>> {
        if self.domain == TimeDomain::EventTime {
            return Ok(None);
        }
        let now = self.opened.as_ref().map_or(0, |opened| opened.clock.now());
        self.advance(now - 1, out)?;
        let next = self.opened.as_ref().and_then(|o| o.ends.first().map(|end| o.clock.instant(*end)));
        Ok(next)
    }

    fn end(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        if self.settings.batch && self.domain == TimeDomain::ProcessingTime {
            self.advance(i64::MAX, out)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        snapshot.table(&mut opened.table)?;
        opened.progress.snapshot(snapshot)?;
        opened.states.snapshot(snapshot)?;
        Ok(())
    }

    fn close(&mut self) {
        self.emit.close();
    }
}

impl<T, K, F, W, C, M> KeyedOperator for SliceOperator<T, K, F, W, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    W: Window,
    C: WindowContents<T>,
    M: WindowEmit<K, W, C::Kept>,
{
    fn end_key(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        self.advance(i64::MAX, out)?;
        let opened = after_open(&mut self.opened)?;
        opened.progress.begin_again();
        Ok(opened.states.clear()?)
    }
}
