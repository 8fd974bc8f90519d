//! Which windows a record belongs to.

use super::span::{GlobalWindow, TimeWindow, Window};
use super::trigger::{EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, Trigger};
use crate::timers::TimeDomain;
use std::time::Duration;

/// What an assigner's windows have in common: which operator suits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Windows of one size at regular distances: records are kept once, in slices that windows share.
    Slices,
    /// Windows that grow and merge as records come.
    Sessions,
    /// Anything else.
    Free,
}

/// Windows of `size` that begin every `slide`, shifted by `offset`; in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// How long each window is.
    pub size: i64,
    /// How far apart windows begin.
    pub slide: i64,
    /// How far the first window begins after 1970-01-01T00:00Z.
    pub offset: i64,
}

impl Panes {
    /// The start of the last window that begins at or before a timestamp.
    pub fn last_start(&self, timestamp: i64) -> i64 {
        timestamp.saturating_sub(timestamp.saturating_sub(self.offset).rem_euclid(self.slide))
    }

    fn check(self) -> Panes {
        assert!(self.size > 0 && self.slide > 0, "a window's size and slide must be at least 1 ms");
        self
    }
}

/// Assigns records to windows.
pub trait WindowAssigner<T>: Clone + Send + 'static {
    /// The windows it makes.
    type Window: Window;
    /// The trigger that its windows have unless the program names another.
    type Trigger: Trigger<T, Self::Window>;
    /// What the windows have in common.
    const LAYOUT: Layout;

    /// The time that windows go by.
    fn time_domain(&self) -> TimeDomain;

    /// Adds the windows of a record. `timestamp` is its event time, or the present for windows of processing time.
    fn assign(&mut self, record: &T, timestamp: i64, windows: &mut Vec<Self::Window>);

    /// The default trigger.
    fn default_trigger(&self) -> Self::Trigger;

    /// Size, slide and offset, of [`Layout::Slices`].
    fn panes(&self) -> Option<Panes> {
        None
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

macro_rules! pane_assigner {
    ($(#[$doc:meta])* $name:ident, $trigger:ident, $domain:ident, $($constructor:tt)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(Panes);

        impl $name {
            $($constructor)*
        }

        impl<T> WindowAssigner<T> for $name {
            type Window = TimeWindow;
            type Trigger = $trigger;
            const LAYOUT: Layout = Layout::Slices;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            fn assign(&mut self, _record: &T, timestamp: i64, windows: &mut Vec<TimeWindow>) {
                let Panes { size, slide, .. } = self.0;
                let mut start = self.0.last_start(timestamp);
                while start > timestamp.saturating_sub(size) {
                    windows.push(TimeWindow::new(start, start.saturating_add(size)));
                    start = start.saturating_sub(slide);
                }
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }

            fn panes(&self) -> Option<Panes> {
                Some(self.0)
            }
        }
    };
}

macro_rules! tumbling {
    () => {
        /// Windows of this size.
        ///
        /// # Panics
        /// A size below 1 ms.
        pub fn of(size: Duration) -> Self {
            Self::with_offset(size, Duration::ZERO)
        }

        /// Windows of this size that begin `offset` after the full one: `of(1 day)` with an offset of 16 hours are the days of
        /// a place eight hours ahead of UTC.
        ///
        /// # Panics
        /// A size below 1 ms.
        pub fn with_offset(size: Duration, offset: Duration) -> Self {
            Self(Panes { size: millis(size), slide: millis(size), offset: millis(offset) }.check())
        }
    };
}

macro_rules! sliding {
    () => {
        /// Windows of this size, one beginning every `slide`.
        ///
        /// # Panics
        /// A size or slide below 1 ms.
        pub fn of(size: Duration, slide: Duration) -> Self {
            Self::with_offset(size, slide, Duration::ZERO)
        }

        /// Windows of this size, one beginning every `slide`, all shifted by `offset`.
        ///
        /// # Panics
        /// A size or slide below 1 ms.
        pub fn with_offset(size: Duration, slide: Duration, offset: Duration) -> Self {
            Self(Panes { size: millis(size), slide: millis(slide), offset: millis(offset) }.check())
        }
    };
}

pane_assigner! {
    /// Windows of one size, one after the other, by the records' timestamps.
    TumblingEventTimeWindows, EventTimeTrigger, EventTime, tumbling!();
}
pane_assigner! {
    /// Windows of one size, one after the other, by the machine's clock.
    TumblingProcessingTimeWindows, ProcessingTimeTrigger, ProcessingTime, tumbling!();
}
pane_assigner! {
    /// Windows of one size that overlap, by the records' timestamps.
    SlidingEventTimeWindows, EventTimeTrigger, EventTime, sliding!();
}
pane_assigner! {
    /// Windows of one size that overlap, by the machine's clock.
    SlidingProcessingTimeWindows, ProcessingTimeTrigger, ProcessingTime, sliding!();
}

/// The span that a record's session lasts if no other record follows.
fn session(timestamp: i64, gap: i64) -> TimeWindow {
    TimeWindow::new(timestamp, timestamp.saturating_add(gap.max(1)))
}

macro_rules! session_assigner {
    ($(#[$doc:meta])* $name:ident, $trigger:ident, $domain:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(i64);

        impl $name {
            /// Sessions that end when no record of the key came for this long.
            ///
            /// # Panics
            /// A gap below 1 ms.
            pub fn with_gap(gap: Duration) -> Self {
                assert!(millis(gap) > 0, "the gap between sessions must be at least 1 ms");
                Self(millis(gap))
            }
        }

        impl<T> WindowAssigner<T> for $name {
            type Window = TimeWindow;
            type Trigger = $trigger;
            const LAYOUT: Layout = Layout::Sessions;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            #[inline]
            fn assign(&mut self, _record: &T, timestamp: i64, windows: &mut Vec<TimeWindow>) {
                windows.push(session(timestamp, self.0));
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }
        }
    };
}

session_assigner! {
    /// Sessions by the records' timestamps, with one gap for all.
    EventTimeSessionWindows, EventTimeTrigger, EventTime
}
session_assigner! {
    /// Sessions by the machine's clock, with one gap for all.
    ProcessingTimeSessionWindows, ProcessingTimeTrigger, ProcessingTime
}

macro_rules! dynamic_session_assigner {
    ($(#[$doc:meta])* $name:ident, $trigger:ident, $domain:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<F>(F);

        impl<F> $name<F> {
            /// Sessions whose gap after a record is what the function says; a gap below 1 ms counts as 1 ms.
            pub fn with_dynamic_gap<T>(gap: F) -> Self
            where
                F: FnMut(&T) -> Duration + Clone + Send + 'static,
            {
                Self(gap)
            }
        }

        impl<T, F: FnMut(&T) -> Duration + Clone + Send + 'static> WindowAssigner<T> for $name<F> {
            type Window = TimeWindow;
            type Trigger = $trigger;
            const LAYOUT: Layout = Layout::Sessions;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            #[inline]
            fn assign(&mut self, record: &T, timestamp: i64, windows: &mut Vec<TimeWindow>) {
                windows.push(session(timestamp, millis((self.0)(record))));
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }
        }
    };
}

dynamic_session_assigner! {
    /// Sessions by the records' timestamps, with a gap that depends on the record.
    DynamicEventTimeSessionWindows, EventTimeTrigger, EventTime
}
dynamic_session_assigner! {
    /// Sessions by the machine's clock, with a gap that depends on the record.
    DynamicProcessingTimeSessionWindows, ProcessingTimeTrigger, ProcessingTime
}

/// One window for all records of a key. It never fires by itself: it needs a trigger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GlobalWindows;

impl GlobalWindows {
    /// One window for all records of a key.
    pub fn create() -> GlobalWindows {
        GlobalWindows
    }
}

impl<T> WindowAssigner<T> for GlobalWindows {
    type Window = GlobalWindow;
    type Trigger = NeverTrigger;
    const LAYOUT: Layout = Layout::Free;

    fn time_domain(&self) -> TimeDomain {
        // As in Flink: no record is late for a window that never ends.
        TimeDomain::ProcessingTime
    }

    #[inline]
    fn assign(&mut self, _record: &T, _timestamp: i64, windows: &mut Vec<GlobalWindow>) {
        windows.push(GlobalWindow);
    }

    fn default_trigger(&self) -> NeverTrigger {
        NeverTrigger
    }
}
