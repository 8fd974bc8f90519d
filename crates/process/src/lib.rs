//! What every long-running process of Kvick does the same way: its log file ([`log`]), its memory figures ([`memory`]),
//! the wish to end ([`stop`]) and what YARN says to it ([`container`]). It knows nothing of jobs.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod container;
pub mod log;
pub mod memory;
mod rolling;
pub mod stop;
