//! What a window is: a span of time, or everything.

use crate::element::Namespace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A finite part of a stream, as a namespace of state.
pub trait Window: Namespace {
    /// The largest timestamp that belongs to the window, in epoch milliseconds; the timestamp of what it emits.
    fn max_timestamp(&self) -> i64;

    /// The window of this kind from `start` up to, not including, `end`; `None` where there is no such window.
    fn spanning(start: i64, end: i64) -> Option<Self>;

    /// The one window that two become, in assigners that merge; `None` where they stay two.
    fn merged(&self, other: &Self) -> Option<Self>;
}

/// From `start` up to, not including, `end`, in epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first millisecond.
    pub start: i64,
    /// One after the last millisecond.
    pub end: i64,
}

impl TimeWindow {
    /// A window from `start` up to, not including, `end`.
    pub fn new(start: i64, end: i64) -> TimeWindow {
        TimeWindow { start, end }
    }

    /// The largest timestamp that belongs to the window.
    pub fn max_timestamp(&self) -> i64 {
        self.end - 1
    }

    /// Whether two windows overlap or touch.
    pub fn intersects(&self, other: &TimeWindow) -> bool {
        self.start <= other.end && self.end >= other.start
    }

    /// The smallest window that covers both.
    pub fn cover(&self, other: &TimeWindow) -> TimeWindow {
        TimeWindow { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeWindow{{start={}, end={}}}", self.start, self.end)
    }
}

impl Window for TimeWindow {
    fn max_timestamp(&self) -> i64 {
        self.end - 1
    }

    fn spanning(start: i64, end: i64) -> Option<TimeWindow> {
        Some(TimeWindow { start, end })
    }

    fn merged(&self, other: &TimeWindow) -> Option<TimeWindow> {
        self.intersects(other).then(|| self.cover(other))
    }
}

/// All records of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalWindow;

impl fmt::Display for GlobalWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GlobalWindow")
    }
}

impl Window for GlobalWindow {
    fn max_timestamp(&self) -> i64 {
        i64::MAX
    }

    fn spanning(_start: i64, _end: i64) -> Option<GlobalWindow> {
        None
    }

    fn merged(&self, _other: &GlobalWindow) -> Option<GlobalWindow> {
        None
    }
}
