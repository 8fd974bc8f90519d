//! The REST API against the real driver and machines: shapes are compared with what Apache Flink 1.20 answered.

#![allow(clippy::unwrap_used)]

use kvick_appmaster::{
    checkpoints, clock, cluster, driver, durable, handle, input, operations, program, rest, server, settings,
    takeover,
};

mod errors;

mod jars;
mod lifecycle;
mod logs;
mod metrics;
mod port;
mod programs;
mod records;
mod shapes;
mod snapshots;
mod support;
mod takeovers;
