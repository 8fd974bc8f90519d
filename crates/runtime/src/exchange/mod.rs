//! How records get from a producing to a consuming subtask, in the same worker or in another.
//!
//! Reading order: [`gate`] (what a consumer reads from) → [`channel`] (what a producer writes to) → `lane` (what waits for a
//! channel) → [`writer`] (which channel a record goes to) → [`wire`] and [`network`] (between workers) → [`in_flight`] (what
//! barriers have overtaken, as state) → [`blocking`] (results that are kept until they are whole).

pub mod blocking;
pub mod channel;
pub mod gate;
pub mod in_flight;
mod lane;
pub mod network;
pub mod wire;
pub mod writer;

use channel::{ChannelKey, ChannelTable};
use gate::Gate;
use network::{ConnectError, Connections};
use std::sync::Arc;

/// All channels of a process.
pub struct Exchanges {
    table: Arc<ChannelTable>,
    own_address: String,
    connections: Option<Connections>,
}

impl Exchanges {
    /// Channels within one process alone.
    pub fn local(own_address: &str) -> Exchanges {
        Exchanges { table: Arc::default(), own_address: own_address.to_string(), connections: None }
    }

    /// Channels within this process, and to others over TCP.
    pub fn networked(own_address: &str, table: Arc<ChannelTable>, connections: Connections) -> Exchanges {
        Exchanges { table, own_address: own_address.to_string(), connections: Some(connections) }
    }

    /// The channels of this process.
    pub fn table(&self) -> &ChannelTable {
        &self.table
    }

    /// Connects a channel of a gate to its producer.
    ///
    /// # Errors
    /// The producer's worker cannot be reached.
    pub fn connect(
        &self,
        address: &str,
        key: ChannelKey,
        gate: &Arc<Gate>,
        index: usize,
    ) -> Result<(), ConnectError> {
        match &self.connections {
            Some(connections) if address != self.own_address => {
                connections.open(address, key, gate, index, self.table.results().are_read_by(&key))
            }
            _ => {
                let channel = self.table.opened(key);
                channel.connect_local(Arc::clone(gate), index);
                self.table.connected(key, &channel);
                Ok(())
            }
        }
    }
}
