//! Windows: finite parts of a keyed stream, and what is computed of each.
//!
//! Reading order: [`span`] (what a window is) → [`assigner`] (which windows a record belongs to) → [`trigger`] and
//! [`evictor`] (when a window speaks, and of what) → [`contents`] (what is kept of its records) → [`emit`] (what comes out).
//! Three operators do the work: [`slices`] for tumbling and sliding windows that fire at their end, [`sessions`] for sessions
//! that do, and [`general`] for everything else. [`partial`] does a part of it before the exchange.

pub mod assigner;
pub mod contents;
pub mod emit;
pub mod evictor;
pub mod general;
pub mod partial;
mod progress;
pub mod sessions;
mod slice;
pub mod slices;
pub mod span;
pub mod trigger;

pub use assigner::{
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows,
    GlobalWindows, Layout, Panes, ProcessingTimeSessionWindows, SlidingEventTimeWindows,
    SlidingProcessingTimeWindows, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};
pub use contents::{AggregateFunction, Aggregated, Elements, Listed, Reduced, WindowContents};
pub use emit::{
    ApplyEach, ApplyList, EmitResult, Evicting, Finish, FireContext, FoldList, Itself, ProcessEach,
    ProcessList, ProcessWindowFunction, ResultOf, WindowContext, WindowEmit,
};
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor};
pub use general::WindowOperator;
pub use partial::{PartialWindows, Partials};
pub use sessions::SessionOperator;
pub use slices::SliceOperator;
pub use span::{GlobalWindow, TimeWindow, Window};
pub use trigger::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger,
    EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, PurgingTrigger, Trigger, TriggerContext,
    TriggerResult,
};

use crate::element::Key;
pub(crate) use crate::element::NO_TIMESTAMP;
use crate::error::{TaskError, TaskResult};
use crate::metrics::Counter;
use crate::operator::Output;
use crate::side::OutputTag;
use crate::state::KeyedStates;
use crate::task::TaskContext;

/// What all window operators are told besides assigner, trigger and contents.
pub struct WindowSettings<T> {
    /// How long a window is kept after the watermark has passed its end, in milliseconds.
    pub allowed_lateness: i64,
    /// Where records go that come later than that; without one they are dropped.
    pub late_output: Option<OutputTag<T>>,
    /// Whether the input is read to its end before anything is emitted.
    pub batch: bool,
}

/// An event-time window met a record without an event time.
fn no_timestamp() -> TaskError {
    TaskError::failed(
        "a record without a timestamp reached an event-time window: call assign_timestamps_and_watermarks on the stream \
         before the window, or use processing-time windows",
    )
}

/// State by window needs windows that stay what they are, and an operator that knows when each of them is over.
fn check_window_state<K: Key>(states: &KeyedStates<K>, announced: bool, layout: Layout) -> TaskResult {
    if layout == Layout::Sessions && (announced || states.has_window_state()) {
        return Err(TaskError::failed(
            "state by window is not allowed where windows merge: keep state by key in session windows",
        ));
    }
    if states.has_window_state() && !announced {
        return Err(TaskError::failed(
            "a ProcessWindowFunction opened state by window without saying so: add `const WINDOW_STATE: bool = true;` to it",
        ));
    }
    Ok(())
}

/// What becomes of records that come too late.
pub(crate) struct Late {
    dropped: Counter,
}

impl Late {
    /// Counts what is dropped under Flink's name for it.
    fn open(context: &TaskContext) -> Late {
        Late { dropped: context.metric_group().counter("numLateRecordsDropped") }
    }

    /// Sends a record to the side output for late ones, or drops it.
    #[cold]
    fn take<T: Send + 'static, O>(
        &self,
        record: T,
        timestamp: i64,
        settings: &WindowSettings<T>,
        out: &mut Output<O>,
    ) {
        match &settings.late_output {
            Some(tag) => {
                out.set_timestamp(Some(timestamp));
                out.emit_to(tag, record);
            }
            None => self.dropped.inc(),
        }
    }
}
