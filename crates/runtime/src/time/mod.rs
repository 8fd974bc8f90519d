//! Time as operators see it.

mod clock;

pub use clock::Clock;
