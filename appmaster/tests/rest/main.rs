//! The REST API against the real driver and machines: shapes are compared with what Apache Flink 1.20 answered.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/cluster.rs"]
mod cluster;
#[path = "../../src/driver.rs"]
mod driver;
#[path = "../../src/rest/mod.rs"]
mod rest;

mod errors;
mod lifecycle;
mod logs;
mod metrics;
mod settings;
mod shapes;
mod support;
