//! Time as the machines see it: a number that is passed in, never read.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, or a span of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl From<std::time::Duration> for Millis {
    fn from(span: std::time::Duration) -> Millis {
        Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Millis {
    /// This instant moved later by a span; stays at the far end instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }

    /// The span from an earlier instant to this one; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}
