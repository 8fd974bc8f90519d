//! The application master: dispatcher, resource manager and job masters of one YARN application, and its REST API.
//!
//! A library, so that tests drive the very same pieces; the program is `main.rs`. Reading order: [`settings`] (what it is
//! told) → [`driver`] (the one loop around the machines) → [`yarn_driver`] (containers) → [`rest`] and [`gateway`] (who
//! asks and who is told) → [`end`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checkpoints;
pub mod clock;
pub mod cluster;
pub mod container_end;
pub mod driver;
pub mod durable;
pub mod end;
pub mod filesystems;
pub mod gateway;
pub mod handle;
pub mod input;
pub mod launch;
pub mod operations;
pub mod previous;
pub mod program;
pub mod rest;
pub mod server;
pub mod settings;
pub mod start;
pub mod takeover;
pub mod yarn_driver;
