//! Apache Hadoop YARN for Rust: its RPC, its protocols for clients, masters and containers, its credentials and its
//! configuration files. Knows nothing of what an application does in its containers.
//!
//! Read in this order: [`ids`] and [`records`] are the words; [`conf`] finds the cluster; [`client`] submits and asks;
//! [`am`] is what a master does (a pure state machine and the tokio shell around it); [`nm`] starts containers.
//! Below them [`rpc`] and [`sasl`] carry the calls, and [`credentials`] holds the tokens.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod am;
pub mod client;
pub mod conf;
pub mod credentials;
#[cfg(test)]
mod golden;
pub mod ids;
pub mod nm;
mod proto;
pub mod records;
pub mod rpc;
pub mod sasl;
