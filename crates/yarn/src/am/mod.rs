//! What a master does (`ApplicationMasterProtocol`): register, keep the ResourceManager informed of what is wanted, be told
//! what is granted and what has ended, finish. `machine` decides (pure: events and the time in, calls and events out),
//! [`AmClient`] performs. Knows nothing of what runs in the containers.
//!
//! Containers are asked for by resource requests; scheduling requests (placement constraints) and opportunistic
//! containers are not supported.

mod asks;
mod client;
mod containers;
mod machine;
mod updates;

pub use client::{AmClient, AmError, AmEvents, Registration};
pub use updates::{ContainerUpdate, UpdateRefused};

use crate::credentials::Token;
use crate::ids::NodeId;
use crate::records::{Container, ContainerStatus, NodeReport, Preemption, Resource};
use std::time::Duration;

/// A node that a container may go to at once: named, a node can be granted many containers in one heartbeat, while the
/// CapacityScheduler gives only one for "anywhere".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeHint {
    /// Host as in the node's [`NodeId`].
    pub host: String,
    /// Its rack.
    pub rack: String,
}

/// How many containers of one shape there shall be. The priority is the shape's key: use another for each shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Key of the shape, and what YARN gives first (the smaller, the sooner).
    pub priority: i32,
    /// What each has.
    pub resource: Resource,
    /// How many in all, those already held included. A held one that ends is replaced until this is lowered.
    pub count: u32,
    /// Nodes to name besides "anywhere", spread evenly.
    pub nodes: Vec<NodeHint>,
    /// Label of the nodes; the application's if `None`.
    pub label: Option<String>,
}

/// What a master is told.
#[derive(Debug, Clone, PartialEq)]
pub enum AmEvent {
    /// A container was granted: start it or release it.
    Allocated(Container),
    /// A container has ended; told once.
    Completed(ContainerStatus),
    /// These containers of earlier attempts, or from before the ResourceManager's restart, still run.
    PreviousContainers(Vec<Container>),
    /// Nodes changed.
    NodesUpdated(Vec<NodeReport>),
    /// The scheduler wants containers back.
    Preemption(Preemption),
    /// A token for a node came; [`AmClient::nm_tokens`] has it already.
    NmToken {
        /// The node.
        node: NodeId,
        /// The token.
        token: Token,
    },
    /// The ResourceManager refused these requests for good; they are not asked for again until wanted anew.
    RequestRejected {
        /// Priorities of the refused shapes.
        priorities: Vec<i32>,
        /// Its words.
        reason: String,
    },
    /// The ResourceManager had restarted; the master has registered again and repeats its requests.
    Reregistered,
    /// This attempt is over: stop, without touching what a later attempt may have.
    ShutdownRequested {
        /// Why.
        reason: String,
    },
}

/// How a master presents itself and how often it calls.
#[derive(Debug, Clone)]
pub struct AmConfig {
    /// Host shown to clients.
    pub host: String,
    /// Port shown to clients; -1 for none.
    pub rpc_port: i32,
    /// Where its web pages are; behind YARN's proxy.
    pub tracking_url: String,
    /// Pause between heartbeats while containers have been wanted for a short time.
    pub eager_interval: Duration,
    /// How long that is.
    pub eager_for: Duration,
    /// Pause between heartbeats while containers are wanted for longer.
    pub waiting_interval: Duration,
    /// Pause between heartbeats when nothing is wanted.
    pub idle_interval: Duration,
    /// Who calls, for the ResourceManager's audit log, as `product_application_1_0001`.
    pub caller_context: Option<String>,
    /// How long the ResourceManager may be away before the attempt gives up.
    pub expiry: Duration,
}

impl Default for AmConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            rpc_port: -1,
            tracking_url: String::new(),
            eager_interval: Duration::from_millis(50),
            eager_for: Duration::from_secs(10),
            waiting_interval: Duration::from_millis(500),
            idle_interval: Duration::from_secs(1),
            caller_context: None,
            expiry: Duration::from_secs(900),
        }
    }
}

#[cfg(test)]
mod tests;
