//! How the processes of Kvick talk to each other.
//!
//! [`host`]: the conversation between a job program and whoever spawned it, over a Unix socket.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod host;
