//! The master's inputs from the cluster that lends it containers.

use super::{Effect, Master};
use crate::failure::Failure;
use crate::ids::ExecutorId;
use crate::resources::WantedBack;
use crate::time::Millis;

impl Master {
    /// Input: a container was allocated on a node and is being started.
    pub fn container_starting(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        host: &str,
        fx: &mut Vec<Effect>,
    ) {
        self.with_resources(now, fx, |r, e| r.container_starting(now, executor, host, e));
    }

    /// Input: a container has ended, or could not be started. The failure is of the kind
    /// [`FailureKind::Withdrawn`](crate::failure::FailureKind::Withdrawn) where the container did nothing wrong.
    pub fn container_ended(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failure: Failure,
        fx: &mut Vec<Effect>,
    ) {
        self.with_resources(now, fx, |r, e| r.container_ended(now, executor, failure, e));
        self.gone_while_recovering(now, executor, fx);
    }

    /// Input: the cluster wants containers back.
    pub fn wanted_back(&mut self, now: Millis, wanted: &WantedBack, fx: &mut Vec<Effect>) {
        self.with_resources(now, fx, |r, e| r.wanted_back(now, wanted, e));
    }

    /// Input: a node is being taken out of the cluster; in so long at the latest its containers end.
    pub fn node_leaves(&mut self, now: Millis, host: &str, within: Millis, fx: &mut Vec<Effect>) {
        self.with_resources(now, fx, |r, e| r.node_leaves(now, host, within, e));
    }

    /// Input: a node takes containers (again).
    pub fn node_stays(&mut self, now: Millis, host: &str, fx: &mut Vec<Effect>) {
        self.with_resources(now, fx, |r, e| r.node_stays(host, e));
    }

    /// Input: the cluster has so many nodes.
    pub fn cluster_size(&mut self, now: Millis, nodes: u32, fx: &mut Vec<Effect>) {
        self.with_resources(now, fx, |r, e| r.cluster_size(nodes, e));
    }

    /// Input, while it is being found out what runs: a container of an earlier attempt is on this node.
    pub fn found_on(&mut self, executor: &ExecutorId, host: &str) {
        self.resources.found_on(executor, host);
    }
}
