//! What every long-running process of Kvick does the same way: its log file ([`log`]), its memory figures ([`memory`]) and
//! the wish to end ([`stop`]). It knows nothing of jobs.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod log;
pub mod memory;
mod rolling;
pub mod stop;
