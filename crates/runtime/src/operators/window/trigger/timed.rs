//! Triggers that go by time: at a window's end, and at intervals.

use super::{Trigger, TriggerContext, TriggerResult};
use crate::operator::earlier;
use crate::operators::window::Window;
use std::time::Duration;

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

/// The first multiple of the interval after a time.
fn next_multiple(time: i64, interval: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(interval)).saturating_add(interval)
}

fn interval_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
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

/// Fires at regular intervals of processing time, and when the clock has passed the window's end. A window of event time may be over
/// before that: what comes after the last interval is not emitted then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuousProcessingTimeTrigger(i64);

impl ContinuousProcessingTimeTrigger {
    /// Fires at this interval, at least 1 ms.
    pub fn of(interval: Duration) -> ContinuousProcessingTimeTrigger {
        ContinuousProcessingTimeTrigger(interval_of(interval))
    }
}

/// When to fire next: at `at`, or at the window's end if that is still to come and comes first.
fn within<W: Window>(window: &W, now: i64, at: i64) -> i64 {
    if now <= window.max_timestamp() { at.min(window.max_timestamp()) } else { at }
}

impl<T, W: Window> Trigger<T, W> for ContinuousProcessingTimeTrigger {
    /// The next time to fire.
    type State = Option<i64>;

    fn on_element(
        &mut self,
        _: &T,
        _: i64,
        window: &W,
        next: &mut Option<i64>,
        context: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.is_none() {
            let at = within(window, context.now, next_multiple(context.now, self.0));
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
        let at = within(window, time, time.saturating_add(self.0));
        *next = Some(at).filter(|_| time < window.max_timestamp());
        next.iter().for_each(|at| context.register_processing_time_timer(*at));
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
