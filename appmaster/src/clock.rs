//! The one place that reads the clock for the machines: the time of day at the start, and from there a clock that nobody can set.

use kvick_core::time::Millis;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, as far as the time of day was right at the first call. Someone who sets the machine's
/// clock moves no time-out: from then on only the monotonic clock counts.
pub fn now() -> Millis {
    static START: OnceLock<(Millis, Instant)> = OnceLock::new();
    let (at, since) = START.get_or_init(|| {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Millis::from(at), Instant::now())
    });
    at.plus(Millis::from(since.elapsed()))
}
