//! What the next watermark of a stream will be: a stream that is aligned with others need not wait for it to stop in time.

/// Foresees watermarks where they follow the timestamps, and notices where they do not.
#[derive(Debug)]
pub(crate) struct Foresight {
    /// The largest timestamp, and how far the last watermark was behind it.
    latest: i64,
    lag: i64,
    /// Whether there were records since watermarks were made last.
    any_new: bool,
    /// Whether records made for a new watermark when it was time for one.
    holds_true: bool,
}

impl Default for Foresight {
    fn default() -> Self {
        Foresight { latest: i64::MIN, lag: 0, any_new: false, holds_true: true }
    }
}

impl Foresight {
    /// Records came: what the next watermark will be; [`i64::MIN`] where that cannot be said.
    pub fn after(&mut self, stamps: &[i64]) -> i64 {
        self.latest = stamps.iter().copied().fold(self.latest, i64::max);
        self.any_new = true;
        if self.holds_true { self.latest.saturating_sub(self.lag) } else { i64::MIN }
    }

    /// A watermark was made.
    pub fn made(&mut self, watermark: i64) {
        self.lag = self.latest.saturating_sub(watermark).max(0);
    }

    /// It was time to make a watermark, and there was a new one or not. Says whether what was foreseen may come at all.
    pub fn was_due(&mut self, new: bool) -> bool {
        if std::mem::take(&mut self.any_new) || new {
            self.holds_true = new;
        }
        self.holds_true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_timestamps_is_foreseen_and_what_does_not_is_not() {
        let mut foresight = Foresight::default();
        assert_eq!(foresight.after(&[100, 40]), 100);
        foresight.made(69);
        assert!(foresight.was_due(true));
        assert_eq!(foresight.after(&[200]), 169);
        assert!(
            foresight.was_due(true) && foresight.was_due(false),
            "nothing came, so nothing was to be expected"
        );
        foresight.after(&[300]);
        assert!(!foresight.was_due(false));
        assert_eq!(foresight.after(&[400]), i64::MIN);
        foresight.made(350);
        assert!(foresight.was_due(true));
        assert_eq!(foresight.after(&[500]), 450);
    }
}
