//! When a window speaks.
//!
//! A trigger is asked for each record and for each timer that it set, and answers with a [`TriggerResult`]. What it must
//! remember for a key and window is its [`Trigger::State`], which is kept, snapshotted and removed together with the window.

use super::span::Window;
use crate::element::Data;
use std::time::Duration;

/// What becomes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// It is evaluated and kept.
    Fire,
    /// Its records are removed without being evaluated.
    Purge,
    /// It is evaluated, and its records are removed.
    FireAndPurge,
}

impl TriggerResult {
    /// Whether the window is evaluated.
    pub fn is_fire(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Whether its records are removed.
    pub fn is_purge(self) -> bool {
        matches!(self, TriggerResult::Purge | TriggerResult::FireAndPurge)
    }
}

/// A timer that a trigger sets or takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimerChange {
    SetEvent(i64),
    SetProcessing(i64),
    DeleteEvent(i64),
    DeleteProcessing(i64),
}

/// What a trigger can see and do.
pub struct TriggerContext<'a> {
    pub(super) watermark: i64,
    pub(super) now: i64,
    pub(super) is_new: bool,
    pub(super) changes: &'a mut Vec<TimerChange>,
}

impl TriggerContext<'_> {
    /// The watermark, in epoch milliseconds; `i64::MIN` before the first.
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The machine's time, in epoch milliseconds.
    pub fn current_processing_time(&self) -> i64 {
        self.now
    }

    /// Whether the record is the first of its key and window, so that timers of the window have not been set yet.
    pub fn is_new_window(&self) -> bool {
        self.is_new
    }

    /// Asks for [`Trigger::on_event_time`] once the watermark has reached this time.
    pub fn register_event_time_timer(&mut self, time: i64) {
        self.changes.push(TimerChange::SetEvent(time));
    }

    /// Asks for [`Trigger::on_processing_time`] once the clock has passed this time.
    pub fn register_processing_time_timer(&mut self, time: i64) {
        self.changes.push(TimerChange::SetProcessing(time));
    }

    /// Takes a timer back.
    pub fn delete_event_time_timer(&mut self, time: i64) {
        self.changes.push(TimerChange::DeleteEvent(time));
    }

    /// Takes a timer back.
    pub fn delete_processing_time_timer(&mut self, time: i64) {
        self.changes.push(TimerChange::DeleteProcessing(time));
    }
}

/// Decides when a window is evaluated. Each subtask has its own clone.
pub trait Trigger<T, W: Window>: Clone + Send + 'static {
    /// What is remembered for each key and window; `()` for nothing.
    type State: Data + Default;

    /// A record came into the window.
    fn on_element(
        &mut self,
        element: &T,
        timestamp: i64,
        window: &W,
        state: &mut Self::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult;

    /// A timer in event time that this trigger set is due.
    fn on_event_time(
        &mut self,
        _time: i64,
        _window: &W,
        _state: &mut Self::State,
        _context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// A timer in processing time that this trigger set is due.
    fn on_processing_time(
        &mut self,
        _time: i64,
        _window: &W,
        _state: &mut Self::State,
        _context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// Takes in the state of a window that was merged into another.
    fn merge(&mut self, _state: &mut Self::State, _other: Self::State) {}

    /// Windows were merged into this one: timers that it needs are to be set, those of the old ones are gone.
    fn on_merge(&mut self, _window: &W, _state: &mut Self::State, _context: &mut TriggerContext<'_>) {}

    /// Whether the state says nothing that a new one would not: an empty window with such a state is forgotten.
    fn is_initial(&self, _state: &Self::State) -> bool {
        false
    }
}

/// Fires once the watermark has passed the window's end, and for each record that comes after that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventTimeTrigger;

impl EventTimeTrigger {
    /// The trigger.
    pub fn create() -> EventTimeTrigger {
        EventTimeTrigger
    }
}

impl<T, W: Window> Trigger<T, W> for EventTimeTrigger {
    type State = ();

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: i64,
        window: &W,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if window.max_timestamp() <= context.watermark {
            return TriggerResult::Fire;
        }
        if context.is_new {
            context.register_event_time_timer(window.max_timestamp());
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &mut self,
        time: i64,
        window: &W,
        (): &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn on_merge(&mut self, window: &W, (): &mut (), context: &mut TriggerContext<'_>) {
        if window.max_timestamp() > context.watermark {
            context.register_event_time_timer(window.max_timestamp());
        }
    }

    fn is_initial(&self, (): &()) -> bool {
        true
    }
}

/// Fires once the clock has passed the window's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessingTimeTrigger;

impl ProcessingTimeTrigger {
    /// The trigger.
    pub fn create() -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }
}

impl<T, W: Window> Trigger<T, W> for ProcessingTimeTrigger {
    type State = ();

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: i64,
        window: &W,
        (): &mut (),
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if context.is_new {
            context.register_processing_time_timer(window.max_timestamp());
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &mut self,
        time: i64,
        window: &W,
        (): &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn on_merge(&mut self, window: &W, (): &mut (), context: &mut TriggerContext<'_>) {
        context.register_processing_time_timer(window.max_timestamp());
    }

    fn is_initial(&self, (): &()) -> bool {
        true
    }
}

/// Never fires: what [`super::GlobalWindows`] have by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NeverTrigger;

impl<T, W: Window> Trigger<T, W> for NeverTrigger {
    type State = ();

    fn on_element(&mut self, _: &T, _: i64, _: &W, (): &mut (), _: &mut TriggerContext<'_>) -> TriggerResult {
        TriggerResult::Continue
    }
}

/// Fires for each so many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountTrigger(u64);

impl CountTrigger {
    /// Fires for each `count` records; 0 counts as 1.
    pub fn of(count: u64) -> CountTrigger {
        CountTrigger(count.max(1))
    }
}

impl<T, W: Window> Trigger<T, W> for CountTrigger {
    type State = u64;

    #[inline]
    fn on_element(
        &mut self,
        _: &T,
        _: i64,
        _: &W,
        seen: &mut u64,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        *seen += 1;
        if *seen < self.0 {
            return TriggerResult::Continue;
        }
        *seen = 0;
        TriggerResult::Fire
    }

    fn merge(&mut self, seen: &mut u64, other: u64) {
        *seen += other;
    }

    fn is_initial(&self, seen: &u64) -> bool {
        *seen == 0
    }
}

/// The first multiple of the interval after a time.
fn next_multiple(time: i64, interval: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(interval)).saturating_add(interval)
}

fn interval_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Fires at regular intervals of event time while the window is open, and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuousEventTimeTrigger(i64);

impl ContinuousEventTimeTrigger {
    /// Fires at this interval, at least 1 ms.
    pub fn of(interval: Duration) -> ContinuousEventTimeTrigger {
        ContinuousEventTimeTrigger(interval_of(interval))
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousEventTimeTrigger {
    /// The next time to fire.
    type State = Option<i64>;

    fn on_element(
        &mut self,
        _: &T,
        timestamp: i64,
        window: &W,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if window.max_timestamp() <= context.watermark {
            return TriggerResult::Fire;
        }
        if context.is_new {
            context.register_event_time_timer(window.max_timestamp());
        }
        if next.is_none() {
            let at = next_multiple(timestamp, self.0);
            context.register_event_time_timer(at);
            *next = Some(at);
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &mut self,
        time: i64,
        window: &W,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time == window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        let at = time.saturating_add(self.0);
        // After the last watermark only the window's end is left to come.
        let goes_on = at < window.max_timestamp() && context.watermark != i64::MAX;
        *next = Some(at).filter(|_| goes_on);
        if goes_on {
            context.register_event_time_timer(at);
        }
        TriggerResult::Fire
    }

    fn merge(&mut self, next: &mut Option<i64>, other: Option<i64>) {
        *next = earlier(*next, other);
    }

    fn on_merge(&mut self, window: &W, next: &mut Option<i64>, context: &mut TriggerContext<'_>) {
        if window.max_timestamp() > context.watermark {
            context.register_event_time_timer(window.max_timestamp());
        }
        next.iter().for_each(|at| context.register_event_time_timer(*at));
    }

    fn is_initial(&self, next: &Option<i64>) -> bool {
        next.is_none()
    }
}

/// Fires at regular intervals of processing time. In windows of event time, what comes after the last interval is not emitted
/// at the window's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuousProcessingTimeTrigger(i64);

impl ContinuousProcessingTimeTrigger {
    /// Fires at this interval, at least 1 ms.
    pub fn of(interval: Duration) -> ContinuousProcessingTimeTrigger {
        ContinuousProcessingTimeTrigger(interval_of(interval))
    }
}

impl<T, W: Window> Trigger<T, W> for ContinuousProcessingTimeTrigger {
    /// The next time to fire.
    type State = Option<i64>;

    fn on_element(
        &mut self,
        _: &T,
        _: i64,
        _: &W,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.is_none() {
            let at = next_multiple(context.now, self.0);
            context.register_processing_time_timer(at);
            *next = Some(at);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &mut self,
        time: i64,
        window: &W,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if *next != Some(time) {
            return TriggerResult::Continue;
        }
        let at = time.saturating_add(self.0);
        *next = Some(at).filter(|at| *at < window.max_timestamp());
        if next.is_some() {
            context.register_processing_time_timer(at);
        }
        TriggerResult::Fire
    }

    fn merge(&mut self, next: &mut Option<i64>, other: Option<i64>) {
        *next = earlier(*next, other);
    }

    fn on_merge(&mut self, _: &W, next: &mut Option<i64>, context: &mut TriggerContext<'_>) {
        next.iter().for_each(|at| context.register_processing_time_timer(*at));
    }

    fn is_initial(&self, next: &Option<i64>) -> bool {
        next.is_none()
    }
}

/// Fires when a record differs from the one of the last firing by more than a threshold.
#[derive(Debug, Clone, Copy)]
pub struct DeltaTrigger<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaTrigger<F> {
    /// Fires when `delta(last, record)` is greater than the threshold.
    pub fn of<T>(threshold: f64, delta: F) -> DeltaTrigger<F>
    where
        F: FnMut(&T, &T) -> f64 + Clone + Send + 'static,
    {
        DeltaTrigger { threshold, delta }
    }
}

impl<T: Data, W: Window, F: FnMut(&T, &T) -> f64 + Clone + Send + 'static> Trigger<T, W> for DeltaTrigger<F> {
    /// The record of the last firing.
    type State = Option<T>;

    fn on_element(
        &mut self,
        element: &T,
        _: i64,
        _: &W,
        last: &mut Option<T>,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let far = last.as_ref().map(|last| (self.delta)(last, element) > self.threshold);
        if far != Some(false) {
            *last = Some(element.clone());
        }
        if far == Some(true) { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn merge(&mut self, last: &mut Option<T>, other: Option<T>) {
        *last = last.take().or(other);
    }

    fn is_initial(&self, last: &Option<T>) -> bool {
        last.is_none()
    }
}

/// Another trigger, whose windows are purged whenever they fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgingTrigger<Tr>(Tr);

impl<Tr> PurgingTrigger<Tr> {
    /// The trigger, made to purge.
    pub fn of(trigger: Tr) -> PurgingTrigger<Tr> {
        PurgingTrigger(trigger)
    }
}

fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() { TriggerResult::FireAndPurge } else { result }
}

impl<T, W: Window, Tr: Trigger<T, W>> Trigger<T, W> for PurgingTrigger<Tr> {
    type State = Tr::State;

    fn on_element(
        &mut self,
        element: &T,
        timestamp: i64,
        window: &W,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_element(element, timestamp, window, state, context))
    }

    fn on_event_time(
        &mut self,
        time: i64,
        window: &W,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_event_time(time, window, state, context))
    }

    fn on_processing_time(
        &mut self,
        time: i64,
        window: &W,
        state: &mut Tr::State,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_processing_time(time, window, state, context))
    }

    fn merge(&mut self, state: &mut Tr::State, other: Tr::State) {
        self.0.merge(state, other);
    }

    fn on_merge(&mut self, window: &W, state: &mut Tr::State, context: &mut TriggerContext<'_>) {
        self.0.on_merge(window, state, context);
    }

    fn is_initial(&self, state: &Tr::State) -> bool {
        self.0.is_initial(state)
    }
}
