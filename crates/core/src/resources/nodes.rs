//! Nodes on which containers keep failing: no more are taken there for a while.

use super::settings::NodeExclusion;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Never more than one node in so many is excluded: what fails everywhere is not the nodes' fault.
const ONE_IN: u32 = 3;

/// The failures of each node, and which nodes are excluded until when.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// How many nodes the cluster has; 0 while that is not known.
    total: u32,
    failures: BTreeMap<String, VecDeque<Millis>>,
    excluded: BTreeMap<String, Millis>,
}

impl Nodes {
    /// A container on a node failed. Says whether the node is excluded from now on.
    pub fn failed(&mut self, now: Millis, host: &str, settings: &NodeExclusion) -> bool {
        if !settings.enabled || host.is_empty() || self.excluded.contains_key(host) {
            return false;
        }
        let failures = self.failures.entry(host.to_string()).or_default();
        failures.push_back(now);
        while failures.front().is_some_and(|at| now.since(*at) > settings.window) {
            failures.pop_front();
        }
        let excluded = failures.len() >= settings.max_failures as usize && self.has_room();
        if excluded {
            self.failures.remove(host);
            self.excluded.insert(host.to_string(), now.plus(settings.timeout));
        }
        excluded
    }

    fn has_room(&self) -> bool {
        (self.excluded.len() as u32) < self.total / ONE_IN
    }

    /// The cluster has so many nodes. Says whether some may be used again because there are fewer than before.
    pub fn set_total(&mut self, total: u32) -> bool {
        self.total = total;
        let most = (total / ONE_IN) as usize;
        let before = self.excluded.len();
        while self.excluded.len() > most {
            let soonest = self.excluded.iter().min_by_key(|(_, until)| **until).map(|(host, _)| host.clone());
            soonest.map(|host| self.excluded.remove(&host));
        }
        self.excluded.len() < before
    }

    /// Time has passed. Says whether some may be used again.
    pub fn expire(&mut self, now: Millis) -> bool {
        let before = self.excluded.len();
        self.excluded.retain(|_, until| *until > now);
        self.excluded.len() < before
    }

    /// When the next node may be used again.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.excluded.values().min().copied()
    }

    /// The nodes that are excluded.
    pub fn excluded(&self) -> BTreeSet<String> {
        self.excluded.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> NodeExclusion {
        NodeExclusion { enabled: true, max_failures: 2, window: Millis(1_000), timeout: Millis(10_000) }
    }

    #[test]
    fn a_node_is_excluded_after_so_many_failures_in_the_window_and_comes_back() {
        let mut nodes = Nodes::default();
        nodes.set_total(6);
        assert!(!nodes.failed(Millis(0), "a", &settings()));
        assert!(!nodes.failed(Millis(2_000), "a", &settings()), "the first one is long ago");
        assert!(nodes.failed(Millis(2_500), "a", &settings()));
        assert_eq!(nodes.next_deadline(), Some(Millis(12_500)));
        assert!(!nodes.expire(Millis(12_499)));
        assert!(nodes.expire(Millis(12_500)) && nodes.excluded().is_empty());
    }

    #[test]
    fn never_more_than_a_third_of_the_nodes_is_excluded() {
        let mut nodes = Nodes::default();
        let fail = |nodes: &mut Nodes, host| {
            nodes.failed(Millis(0), host, &settings());
            nodes.failed(Millis(0), host, &settings());
        };
        fail(&mut nodes, "before the number is known");
        nodes.set_total(2);
        fail(&mut nodes, "a");
        assert!(nodes.excluded().is_empty());
        nodes.set_total(6);
        ["a", "b", "c"].iter().for_each(|host| fail(&mut nodes, host));
        assert_eq!(nodes.excluded(), BTreeSet::from(["a".to_string(), "b".to_string()]));
        assert!(nodes.set_total(5));
        assert_eq!(nodes.excluded().len(), 1);
    }
}
