//! How Kvick's processes speak with each other: gRPC between a task executor and the application master ([`gateway`]),
//! and a Unix socket between a job program and whoever spawned it ([`host`]).
//!
//! The messages themselves are plain data of `kvick-core`; every conversion between them and the wire is here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod gateway;
pub mod generated;
pub mod host;
