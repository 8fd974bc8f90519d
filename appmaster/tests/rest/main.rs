//! The REST API against the real driver and machines: shapes are compared with what Apache Flink 1.20 answered.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/cluster.rs"]
mod cluster;
#[path = "../../src/driver.rs"]
mod driver;
#[path = "../../src/filesystems.rs"]
mod filesystems;
#[path = "../../src/gateway.rs"]
mod gateway;
#[path = "../../src/program/mod.rs"]
mod program;
#[path = "../../src/rest/mod.rs"]
mod rest;
#[path = "../../src/server.rs"]
mod server;
#[path = "../../src/settings.rs"]
mod settings;

mod errors;
mod jars;
mod lifecycle;
mod logs;
mod metrics;
mod port;
mod programs;
mod shapes;
mod support;
