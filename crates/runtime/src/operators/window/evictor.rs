//! Which records a window leaves out when it fires.

use super::contents::Elements;
use super::span::Window;
use std::time::Duration;

/// What an evictor can see.
#[derive(Debug, Clone, Copy)]
pub struct EvictorContext {
    pub(super) watermark: i64,
    pub(super) now: i64,
}

impl EvictorContext {
    /// The watermark, in epoch milliseconds.
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The machine's time, in epoch milliseconds.
    pub fn current_processing_time(&self) -> i64 {
        self.now
    }
}

/// Removes records from a window when it fires, before or after it is evaluated. Removed records stay away.
pub trait Evictor<T, W: Window>: Clone + Send + 'static {
    /// The window is about to be evaluated.
    fn evict_before(&mut self, elements: &mut Elements<T>, window: &W, context: &EvictorContext);

    /// The window was evaluated.
    fn evict_after(&mut self, _elements: &mut Elements<T>, _window: &W, _context: &EvictorContext) {}
}

macro_rules! before_or_after {
    ($($bounds:tt)*) => {
        fn evict_before(&mut self, elements: &mut Elements<T>, _window: &W, _context: &EvictorContext) {
            if !self.after {
                self.evict(elements);
            }
        }

        fn evict_after(&mut self, elements: &mut Elements<T>, _window: &W, _context: &EvictorContext) {
            if self.after {
                self.evict(elements);
            }
        }
    };
}

/// Keeps the last so many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountEvictor {
    keep: usize,
    after: bool,
}

impl CountEvictor {
    /// Keeps the last `count` records before the window is evaluated.
    pub fn of(count: usize) -> CountEvictor {
        CountEvictor { keep: count, after: false }
    }

    /// Keeps the last `count` records after the window was evaluated.
    pub fn of_after(count: usize) -> CountEvictor {
        CountEvictor { keep: count, after: true }
    }

    fn evict<T>(&self, elements: &mut Elements<T>) {
        let surplus = elements.len().saturating_sub(self.keep);
        elements.records.drain(..surplus);
        elements.timestamps.drain(..surplus);
    }
}

impl<T, W: Window> Evictor<T, W> for CountEvictor {
    before_or_after!();
}

/// Keeps the records that are not older than so much before the youngest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEvictor {
    keep: i64,
    after: bool,
}

impl TimeEvictor {
    /// Keeps records younger than `span` before the youngest, before the window is evaluated.
    pub fn of(span: Duration) -> TimeEvictor {
        TimeEvictor { keep: i64::try_from(span.as_millis()).unwrap_or(i64::MAX), after: false }
    }

    /// Keeps records younger than `span` before the youngest, after the window was evaluated.
    pub fn of_after(span: Duration) -> TimeEvictor {
        TimeEvictor { after: true, ..TimeEvictor::of(span) }
    }

    fn evict<T>(&self, elements: &mut Elements<T>) {
        let youngest = elements.timestamps.iter().copied().max().unwrap_or(i64::MIN);
        let cut = youngest.saturating_sub(self.keep);
        elements.retain(|_, _, at| at > cut);
    }
}

impl<T, W: Window> Evictor<T, W> for TimeEvictor {
    before_or_after!();
}

/// Keeps the records that differ from the last one by less than a threshold.
#[derive(Debug, Clone, Copy)]
pub struct DeltaEvictor<F> {
    threshold: f64,
    delta: F,
    after: bool,
}

impl<F> DeltaEvictor<F> {
    /// Removes records with `delta(record, last) >= threshold` before the window is evaluated.
    pub fn of<T>(threshold: f64, delta: F) -> DeltaEvictor<F>
    where
        F: FnMut(&T, &T) -> f64 + Clone + Send + 'static,
    {
        DeltaEvictor { threshold, delta, after: false }
    }

    /// The same, after the window was evaluated.
    pub fn of_after<T>(threshold: f64, delta: F) -> DeltaEvictor<F>
    where
        F: FnMut(&T, &T) -> f64 + Clone + Send + 'static,
    {
        DeltaEvictor { threshold, delta, after: true }
    }

    fn evict<T: Clone>(&mut self, elements: &mut Elements<T>)
    where
        F: FnMut(&T, &T) -> f64,
    {
        let Some(last) = elements.records.last().cloned() else { return };
        elements.retain(|_, record, _| (self.delta)(record, &last) < self.threshold);
    }
}

impl<T, W, F> Evictor<T, W> for DeltaEvictor<F>
where
    T: Clone,
    W: Window,
    F: FnMut(&T, &T) -> f64 + Clone + Send + 'static,
{
    before_or_after!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::window::GlobalWindow;

    const CONTEXT: EvictorContext = EvictorContext { watermark: 0, now: 0 };

    fn elements() -> Elements<i64> {
        Elements { records: vec![1, 9, 3, 4], timestamps: vec![10, 40, 30, 35] }
    }

    #[test]
    fn evictors_keep_what_they_say_and_records_stay_with_their_timestamps() {
        let mut all = elements();
        CountEvictor::of(2).evict_before(&mut all, &GlobalWindow, &CONTEXT);
        assert_eq!(all, Elements { records: vec![3, 4], timestamps: vec![30, 35] });
        let mut all = elements();
        TimeEvictor::of(Duration::from_millis(10)).evict_before(&mut all, &GlobalWindow, &CONTEXT);
        assert_eq!(all, Elements { records: vec![9, 4], timestamps: vec![40, 35] });
        let mut all = elements();
        let mut delta = DeltaEvictor::of(2.0, |a: &i64, b: &i64| (a - b).abs() as f64);
        delta.evict_before(&mut all, &GlobalWindow, &CONTEXT);
        assert_eq!(all, Elements { records: vec![3, 4], timestamps: vec![30, 35] });
        let mut after = CountEvictor::of_after(0);
        after.evict_before(&mut all, &GlobalWindow, &CONTEXT);
        assert_eq!(all.len(), 2);
        after.evict_after(&mut all, &GlobalWindow, &CONTEXT);
        assert!(all.is_empty());
    }
}
