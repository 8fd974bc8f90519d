//! Hadoop RPC version 9 over tokio: one connection carries many calls of one protocol under one identity.
//! Owns frames, the handshake, connections, time-outs and failover; knows no protocol's methods.
//!
//! From the bottom: [`frame`] turns messages into bytes, `handshake` opens a connection, [`Connection`] multiplexes
//! calls over it, [`RpcClient`] keeps one connection alive over several addresses and retries by Hadoop's rules.

mod connection;
mod error;
mod failover;
pub mod frame;
mod handshake;
mod identity;
mod pumps;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;
mod waiters;

pub use connection::{Connection, Options};
pub use error::{RemoteException, RpcError};
pub use failover::RpcClient;
pub use identity::{Identity, current_user};

use std::fmt;

/// Host and port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name or numeric address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// An address from its parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
