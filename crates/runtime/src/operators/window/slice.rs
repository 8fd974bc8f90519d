//! The slices of time that windows share.

use super::assigner::Panes;

/// A stretch of time that no window begins or ends within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// The first millisecond.
    pub start: i64,
    /// The millisecond behind the last.
    pub end: i64,
    /// The ends of the first and the last window that it belongs to; of none, `first > last`.
    pub first_window: i64,
    /// See `first_window`.
    pub last_window: i64,
}

impl Slice {
    /// One that no timestamp lies in.
    pub fn nowhere() -> Slice {
        Slice { start: 0, end: 0, first_window: i64::MAX, last_window: i64::MIN }
    }

    /// The slice that a timestamp lies in.
    pub fn at(panes: &Panes, timestamp: i64) -> Slice {
        let base = panes.last_start(timestamp);
        let (cut, next) = (base.saturating_add(panes.size % panes.slide), base.saturating_add(panes.slide));
        let (start, end) = if timestamp < cut { (base, cut) } else { (cut, next) };
        let first_start = panes.last_start(end.saturating_sub(panes.size).saturating_add(panes.slide - 1));
        let first_window = first_start.saturating_add(panes.size);
        let last_window = base.saturating_add(panes.size);
        if last_window < end {
            return Slice { start, end, first_window: i64::MAX, last_window: i64::MIN };
        }
        Slice { start, end, first_window, last_window }
    }

    #[inline]
    pub fn contains(&self, timestamp: i64) -> bool {
        self.start <= timestamp && timestamp < self.end
    }

    /// The ends of the windows that it belongs to.
    pub fn windows(&self, slide: i64) -> impl Iterator<Item = i64> {
        let last = self.last_window;
        let next = move |end: &i64| end.checked_add(slide).filter(|end| *end <= last);
        std::iter::successors(Some(self.first_window).filter(|first| *first <= last), next)
    }

    /// Whether no window that it belongs to is wanted at a watermark any more.
    #[inline]
    pub fn is_over(&self, lateness: i64, watermark: i64) -> bool {
        self.last_window == i64::MIN || (self.last_window - 1).saturating_add(lateness) <= watermark
    }

    /// Whether it belongs to no window, or to one that has fired at a watermark.
    #[inline]
    pub fn has_fired(&self, watermark: i64) -> bool {
        self.last_window == i64::MIN || self.first_window - 1 <= watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_lie_between_the_starts_and_ends_of_windows() {
        let panes = Panes { size: 10, slide: 4, offset: 1 };
        // Windows: [-7, 3) [-3, 7) [1, 11) [5, 15) …: cut at 1, 3, 5, 7, ….
        let at = |timestamp| {
            let slice = Slice::at(&panes, timestamp);
            (slice.start, slice.end, slice.windows(4).collect::<Vec<_>>())
        };
        assert_eq!(at(1), (1, 3, vec![3, 7, 11]));
        assert_eq!(at(2), (1, 3, vec![3, 7, 11]));
        assert_eq!(at(3), (3, 5, vec![7, 11]));
        assert_eq!(at(0), (-1, 1, vec![3, 7]));
        let gaps = Panes { size: 3, slide: 10, offset: 0 };
        assert_eq!(Slice::at(&gaps, 2).windows(10).collect::<Vec<_>>(), [3]);
        assert_eq!(Slice::at(&gaps, 3).windows(10).count(), 0);
        let tumbling = Panes { size: 5, slide: 5, offset: 0 };
        let slice = Slice::at(&tumbling, -1);
        assert_eq!((slice.start, slice.end), (-5, 0));
        assert_eq!(slice.windows(5).collect::<Vec<_>>(), [0]);
    }
}
