//! Names that nobody else chooses: for temporary files beside their final place. Owns nothing but a counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A short text that differs from every other one in this process, and from other processes' and machines' by the
/// process id and the time in nanoseconds.
pub(crate) fn suffix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    format!("{:x}-{:x}-{:x}", nanos, std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
