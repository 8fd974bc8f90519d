//! When a window speaks.
//!
//! A trigger is asked for each record and for each timer that it set, and answers with a [`TriggerResult`]. What it must
//! remember for a key and window is its [`Trigger::State`], which is kept, snapshotted and removed together with the window.

mod counted;
mod timed;

pub use counted::{CountTrigger, DeltaTrigger, NeverTrigger, PurgingTrigger};
pub use timed::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, EventTimeTrigger, ProcessingTimeTrigger,
};

use super::span::Window;
use crate::element::Data;

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
pub(in crate::operators::window) enum TimerChange {
    SetEvent(i64),
    SetProcessing(i64),
    DeleteEvent(i64),
    DeleteProcessing(i64),
}

/// What a trigger can see and do.
pub struct TriggerContext<'a> {
    pub(in crate::operators::window) watermark: i64,
    pub(in crate::operators::window) now: i64,
    pub(in crate::operators::window) is_new: bool,
    pub(in crate::operators::window) changes: &'a mut Vec<TimerChange>,
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
