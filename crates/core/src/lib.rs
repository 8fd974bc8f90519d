//! The decisions of Kvick, and the words they use.
//!
//! Everything here is a pure value: ids, configuration, the job graph, the messages that processes exchange, and the
//! state machines that decide (dispatcher, resource manager, job master). A machine is driven by
//! `handle(now, event, &mut effects)` and tells its next deadline; it never awaits, and it knows no socket, file, clock,
//! random source or hash-map order. The shells (`appmaster`, `taskexecutor`, `client`) perform what is decided here.
//!
//! Reading order: [`ids`] → [`graph`] → [`job`] (what is submitted and what comes back) → [`host`] (a job program and
//! whoever spawned it) → [`executor`] (a task executor and the application master).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accumulator;
pub mod alignment;
pub mod application_spec;
pub mod checkpoint;
pub mod config;
pub mod executor;
pub mod failure;
pub mod graph;
pub mod ha;
pub mod host;
pub mod ids;
pub mod job;
pub mod jobmaster;
pub mod launch;
pub mod local_files;
pub mod master;
pub mod resources;
pub mod task;
pub mod time;

/// The engine's version, as `flink --version`, the REST API and a jar's manifest state it.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Flink whose commands, keys and REST API this engine answers to.
pub const COMPATIBLE_FLINK_VERSION: &str = "1.20";
