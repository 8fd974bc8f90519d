//! Triggers that go by records, and the one that makes others purge.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::element::Data;
use crate::operators::window::Window;

/// Never fires: what [`crate::operators::window::GlobalWindows`] have by default.
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
