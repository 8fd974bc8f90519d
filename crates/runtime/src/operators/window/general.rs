//! Windows of any kind: any assigner, any trigger, with evictors.
//!
//! State is kept by key and window: what is kept of its records, and what the trigger remembers. A window is removed by a
//! timer once the time that it is kept for is over. Where windows merge, the windows of a key are kept beside them, and the
//! state of a window that is merged moves to the new one.

use super::assigner::{Layout, WindowAssigner};
use super::contents::WindowContents;
use super::emit::{FireContext, WindowEmit};
use super::span::Window;
use super::trigger::{TimerChange, Trigger, TriggerContext, TriggerResult};
use super::{Late, NO_TIMESTAMP, WindowSettings, check_window_state, no_timestamp};
use crate::element::{Batch, Data, Event, Key};
use crate::error::TaskResult;
use crate::operator::{KeyedOperator, Operator, Output};
use crate::operators::{FunctionContext, after_open};
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedStates, Table, TableSpec};
use crate::task::TaskContext;
use crate::time::Clock;
use crate::timers::{TimeDomain, Timers};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The state of one key and window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pane<V, S> {
    /// `None` once it was purged.
    kept: Option<V>,
    trigger: S,
}

impl<V, S: Default> Default for Pane<V, S> {
    fn default() -> Self {
        Pane { kept: None, trigger: S::default() }
    }
}

struct Opened<K: Key, W: Window, V, S> {
    states: KeyedStates<K>,
    panes: Table<K, W, Pane<V, S>>,
    /// The windows of each key, where windows merge.
    merging: Table<K, (), Vec<W>>,
    timers: Timers<K, W>,
    clock: Clock,
    late: Late,
}

type OpenedFor<T, K, A, Tr, C> = Opened<
    K,
    <A as WindowAssigner<T>>::Window,
    <C as WindowContents<T>>::Kept,
    <Tr as Trigger<T, <A as WindowAssigner<T>>::Window>>::State,
>;

/// The operator of windows with any assigner, trigger and evictor.
pub struct WindowOperator<T, K, F, A, Tr, C, M>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<T>,
{
    key: F,
    assigner: A,
    trigger: Tr,
    contents: C,
    emit: M,
    settings: WindowSettings<T>,
    opened: Option<OpenedFor<T, K, A, Tr, C>>,
    windows: Vec<A::Window>,
    changes: Vec<TimerChange>,
}

impl<T, K, F, A, Tr, C, M> WindowOperator<T, K, F, A, Tr, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    /// Windows over a stream that is keyed by `key`.
    pub fn new(key: F, assigner: A, trigger: Tr, contents: C, emit: M, settings: WindowSettings<T>) -> Self {
        let (windows, changes) = (Vec::new(), Vec::new());
        WindowOperator { key, assigner, trigger, contents, emit, settings, opened: None, windows, changes }
    }

    fn is_event_time(&self) -> bool {
        self.assigner.time_domain() == TimeDomain::EventTime
    }

    /// When a window is removed; `None` for one that is kept for ever.
    fn cleanup_time(&self, window: &A::Window) -> Option<i64> {
        let last = window.max_timestamp();
        let lateness = if self.is_event_time() { self.settings.allowed_lateness } else { 0 };
        Some(last.saturating_add(lateness)).filter(|at| *at != i64::MAX)
    }

    fn is_late(&self, window: &A::Window, watermark: i64) -> bool {
        self.is_event_time() && self.cleanup_time(window).is_some_and(|at| at <= watermark)
    }

    fn record(&mut self, record: T, timestamp: i64, now: i64, out: &mut Output<M::Output>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let key = opened.states.keyed((self.key)(&record));
        let watermark = opened.timers.watermark();
        let mut windows = std::mem::take(&mut self.windows);
        windows.clear();
        let at = if self.is_event_time() { timestamp } else { now };
        self.assigner.assign(&record, at, &mut windows);
        windows.retain(|window| A::LAYOUT == Layout::Sessions || !self.is_late(window, watermark));
        let refused = match windows.split_last() {
            Some((last, others)) => {
                for window in others {
                    self.put(&key, window, record.clone(), timestamp, now, out)?;
                }
                self.put(&key, last, record, timestamp, now, out)?
            }
            None => Some(record),
        };
        if let Some(record) = refused {
            self.late(record, timestamp, watermark, out);
        }
        self.windows = windows;
        Ok(())
    }

    fn late(&mut self, record: T, timestamp: i64, watermark: i64, out: &mut Output<M::Output>) {
        let is_late =
            self.is_event_time() && timestamp.saturating_add(self.settings.allowed_lateness) <= watermark;
        if let (Some(opened), true) = (&self.opened, is_late) {
            opened.late.take(record, timestamp, &self.settings, out);
        }
    }

    /// Puts a record into a window. Gives it back if the window, or what it merges into, is over.
    fn put(
        &mut self,
        key: &Keyed<K>,
        window: &A::Window,
        record: T,
        timestamp: i64,
        now: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult<Option<T>> {
        let merged = match A::LAYOUT {
            Layout::Sessions => match self.merge(key, window, now)? {
                Some(window) => window,
                None => return Ok(Some(record)),
            },
            _ => window.clone(),
        };
        let opened = after_open(&mut self.opened)?;
        let (trigger, contents, changes) = (&mut self.trigger, &mut self.contents, &mut self.changes);
        let watermark = opened.timers.watermark();
        let (result, is_new) = opened.panes.update(key, &merged, |slot| {
            let is_new = slot.is_none();
            let pane = slot.get_or_insert_default();
            let mut context = TriggerContext { watermark, now, is_new, changes };
            let result = trigger.on_element(&record, timestamp, &merged, &mut pane.trigger, &mut context);
            match &mut pane.kept {
                Some(kept) => contents.add(kept, record, timestamp),
                None => pane.kept = Some(contents.first(record, timestamp)),
            }
            (result, is_new)
        })?;
        if is_new {
            self.register_cleanup(key, &merged)?;
        }
        self.apply(key, &merged, result, now, out)?;
        Ok(None)
    }

    fn register_cleanup(&mut self, key: &Keyed<K>, window: &A::Window) -> TaskResult {
        let Some(at) = self.cleanup_time(window) else { return Ok(()) };
        let is_event_time = self.is_event_time();
        let opened = after_open(&mut self.opened)?;
        if is_event_time {
            opened.timers.register_event_time(key, window, at)?;
        } else {
            opened.timers.register_processing_time(key, window, at)?;
        }
        Ok(())
    }

    /// Does what a trigger asked for: timers, then firing and purging.
    fn apply(
        &mut self,
        key: &Keyed<K>,
        window: &A::Window,
        result: TriggerResult,
        now: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        self.change_timers(key, window)?;
        if result.is_fire() {
            self.fire(key, window, now, out)?;
        }
        if result.is_purge() {
            self.purge(key, window)?;
        }
        Ok(())
    }

    fn change_timers(&mut self, key: &Keyed<K>, window: &A::Window) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        for change in self.changes.drain(..) {
            match change {
                TimerChange::SetEvent(at) => opened.timers.register_event_time(key, window, at)?,
                TimerChange::SetProcessing(at) => opened.timers.register_processing_time(key, window, at)?,
                TimerChange::DeleteEvent(at) => opened.timers.delete_event_time(key, window, at)?,
                TimerChange::DeleteProcessing(at) => opened.timers.delete_processing_time(key, window, at)?,
            }
        }
        Ok(())
    }

    fn fire(
        &mut self,
        key: &Keyed<K>,
        window: &A::Window,
        now: i64,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        out.set_timestamp(Some(window.max_timestamp()));
        let watermark = opened.timers.watermark();
        let mut context = FireContext { states: &mut opened.states, watermark, now };
        if M::EVICTS {
            let emit = &mut self.emit;
            return opened.panes.update(key, window, |slot| {
                let kept = slot.as_mut().and_then(|pane| pane.kept.as_mut());
                kept.map_or(Ok(()), |kept| emit.emit_evicting(key, window, kept, &mut context, out))
            })?;
        }
        match opened.panes.get(key, window)?.and_then(|pane| pane.kept.as_ref()) {
            Some(kept) => self.emit.emit(key, window, kept, &mut context, out),
            None => Ok(()),
        }
    }

    /// Removes a window's records; the window itself too, where nothing would remove it later.
    fn purge(&mut self, key: &Keyed<K>, window: &A::Window) -> TaskResult {
        let is_kept_for_ever = self.cleanup_time(window).is_none();
        let opened = after_open(&mut self.opened)?;
        let trigger = &self.trigger;
        opened.panes.update(key, window, |slot| {
            if let Some(pane) = slot {
                pane.kept = None;
                if is_kept_for_ever && trigger.is_initial(&pane.trigger) {
                    *slot = None;
                }
            }
        })?;
        Ok(())
    }

    /// The window that a new one becomes together with those of the key that it merges with; `None` if that is over.
    fn merge(&mut self, key: &Keyed<K>, window: &A::Window, now: i64) -> TaskResult<Option<A::Window>> {
        let opened = after_open(&mut self.opened)?;
        let watermark = opened.timers.watermark();
        let known = opened.merging.get(key, &())?.cloned().unwrap_or_default();
        let (mut whole, mut absorbed, mut others) = (window.clone(), Vec::new(), Vec::new());
        for other in known {
            match other.merged(window) {
                Some(_) => {
                    whole = whole.merged(&other).unwrap_or(whole);
                    absorbed.push(other);
                }
                None => others.push(other),
            }
        }
        if self.is_late(&whole, watermark) {
            return Ok(None);
        }
        if absorbed.len() == 1 && absorbed.first() == Some(&whole) {
            return Ok(Some(whole));
        }
        others.push(whole.clone());
        let opened = after_open(&mut self.opened)?;
        opened.merging.put(key, &(), others)?;
        if !absorbed.is_empty() {
            self.move_state(key, absorbed, &whole, now)?;
        }
        Ok(Some(whole))
    }

    /// Moves the state of windows to the one that they have become.
    fn move_state(
        &mut self,
        key: &Keyed<K>,
        absorbed: Vec<A::Window>,
        whole: &A::Window,
        now: i64,
    ) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let watermark = opened.timers.watermark();
        let mut moved: Pane<C::Kept, Tr::State> = Pane::default();
        for window in absorbed {
            let Some(pane) = opened.panes.remove(key, &window)? else { continue };
            self.trigger.merge(&mut moved.trigger, pane.trigger);
            match (&mut moved.kept, pane.kept) {
                (Some(kept), Some(more)) => self.contents.merge(kept, more),
                (kept, more) => *kept = kept.take().or(more),
            }
        }
        // Timers of windows that are gone find no state when they come up.
        let mut context = TriggerContext { watermark, now, is_new: false, changes: &mut self.changes };
        self.trigger.on_merge(whole, &mut moved.trigger, &mut context);
        opened.panes.put(key, whole, moved)?;
        self.change_timers(key, whole)?;
        self.register_cleanup(key, whole)
    }

    fn on_timer(
        &mut self,
        key: &Keyed<K>,
        window: &A::Window,
        at: i64,
        domain: TimeDomain,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let (watermark, now) = (opened.timers.watermark(), opened.clock.now());
        let (trigger, changes) = (&mut self.trigger, &mut self.changes);
        let result = opened.panes.update(key, window, |slot| {
            let Some(pane) = slot else { return TriggerResult::Continue };
            let mut context = TriggerContext { watermark, now, is_new: false, changes };
            match domain {
                TimeDomain::EventTime => trigger.on_event_time(at, window, &mut pane.trigger, &mut context),
                TimeDomain::ProcessingTime => {
                    trigger.on_processing_time(at, window, &mut pane.trigger, &mut context)
                }
            }
        })?;
        self.apply(key, window, result, now, out)?;
        if domain == self.assigner.time_domain() && self.cleanup_time(window) == Some(at) {
            self.forget(key, window)?;
        }
        Ok(())
    }

    fn forget(&mut self, key: &Keyed<K>, window: &A::Window) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let known = opened.panes.remove(key, window)?.is_some();
        if M::WINDOW_STATE && known {
            let (watermark, now) = (opened.timers.watermark(), opened.clock.now());
            let mut context = FireContext { states: &mut opened.states, watermark, now };
            self.emit.window_over(key, window, &mut context)?;
        }
        if A::LAYOUT == Layout::Sessions {
            opened.merging.update(key, &(), |slot| {
                let windows = slot.take().unwrap_or_default();
                let rest: Vec<A::Window> = windows.into_iter().filter(|other| other != window).collect();
                *slot = Some(rest).filter(|rest| !rest.is_empty());
            })?;
        }
        Ok(())
    }

    fn fire_processing(&mut self, now: i64, out: &mut Output<M::Output>) -> TaskResult {
        loop {
            let opened = after_open(&mut self.opened)?;
            let Some((key, window, at)) = opened.timers.pop_processing(now)? else { return Ok(()) };
            self.on_timer(&key, &window, at, TimeDomain::ProcessingTime, out)?;
        }
    }
}

impl<T, K, F, A, Tr, C, M> Operator for WindowOperator<T, K, F, A, Tr, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    type In = T;
    type Out = M::Output;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut states = KeyedStates::new(context.keyed_backend::<K>()?);
        let panes = states.backend().table(TableSpec::new("window-contents"))?;
        let merging = states.backend().memory_table(TableSpec::new("_merging_windows"))?;
        let timers = Timers::open(states.backend())?;
        self.emit.open(&mut FunctionContext::new(&mut states, context))?;
        check_window_state(&states, M::WINDOW_STATE, A::LAYOUT)?;
        let (clock, late) = (context.clock.clone(), Late::open(context));
        self.opened = Some(Opened { states, panes, merging, timers, clock, late });
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<M::Output>) -> TaskResult {
        let now = self.opened.as_ref().map_or(0, |opened| opened.clock.now());
        let (stamps, is_event_time) = (batch.timestamps.take(), self.is_event_time());
        let mut stamps = stamps.iter().flatten();
        for record in batch.records.drain(..) {
            let at = stamps.next().copied().filter(|at| *at != NO_TIMESTAMP);
            if is_event_time && at.is_none() {
                return Err(no_timestamp());
            }
            self.record(record, at.unwrap_or(now), now, out)?;
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<M::Output>) -> TaskResult {
        if let Some(opened) = &mut self.opened {
            opened.timers.advance_watermark(watermark);
        }
        loop {
            let opened = after_open(&mut self.opened)?;
            let Some((key, window, at)) = opened.timers.pop_event()? else { break };
            self.on_timer(&key, &window, at, TimeDomain::EventTime, out)?;
        }
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, _now: Instant, out: &mut Output<M::Output>) -> TaskResult<Option<Instant>> {
        let opened = after_open(&mut self.opened)?;
        if opened.timers.next_processing().is_none() {
            return Ok(None);
        }
        let clock = opened.clock.clone();
        self.fire_processing(clock.now(), out)?;
        let next = self.opened.as_ref().and_then(|opened| opened.timers.next_processing());
        Ok(next.map(|at| clock.instant(at)))
    }

    fn end(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        if !self.settings.batch {
            return Ok(());
        }
        // Timers that these set do not fire any more, or a periodic trigger would keep the job from ending.
        let opened = after_open(&mut self.opened)?;
        let mut set = Vec::new();
        while let Some(timer) = opened.timers.pop_processing(i64::MAX)? {
            set.push(timer);
        }
        set.into_iter().try_for_each(|(key, window, at)| {
            self.on_timer(&key, &window, at, TimeDomain::ProcessingTime, out)
        })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        snapshot.table(&mut opened.panes)?;
        snapshot.table(&mut opened.merging)?;
        opened.timers.snapshot(snapshot)?;
        opened.states.snapshot(snapshot)?;
        Ok(())
    }

    fn close(&mut self) {
        self.emit.close();
    }
}

impl<T, K, F, A, Tr, C, M> KeyedOperator for WindowOperator<T, K, F, A, Tr, C, M>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Send + 'static,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    fn end_key(&mut self, out: &mut Output<M::Output>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        opened.timers.end_key();
        loop {
            let opened = after_open(&mut self.opened)?;
            let Some((key, window, at, domain)) = opened.timers.pop_last()? else { break };
            self.on_timer(&key, &window, at, domain, out)?;
        }
        let opened = after_open(&mut self.opened)?;
        opened.timers.begin_key();
        // What no timer removes: windows that are kept for ever.
        opened.panes.clear_all()?;
        opened.merging.clear_all()?;
        Ok(opened.states.clear()?)
    }
}
