//! What is wanted, what is held, and what the ResourceManager believes is still to be granted.
//! Owns the absolute requests (`AllocateRequest.ask`); knows nothing of calls and their order.
//!
//! The ResourceManager keeps a count per (priority, resource name) and lowers it as it grants. A request sets the count, so one
//! is sent only when our own idea of it differs from what remains to be granted. Grants on their way while a request is set
//! come on top; they are given back where they arrive.

use super::Wanted;
use crate::proto::yarn as pb;
use std::collections::{BTreeMap, BTreeSet};

/// Resource name of "anywhere" (`ResourceRequest.ANY`).
const ANYWHERE: &str = "*";
/// Most nodes named in one request.
const MAX_NODES: usize = 200;

/// One shape's account.
#[derive(Debug)]
struct Shape {
    wanted: Wanted,
    held: u32,
    /// What the ResourceManager still has to grant as far as we know; `None`: it must be told.
    believed: Option<u32>,
    /// What the request under way says.
    sending: Option<u32>,
    /// Containers were granted while the request was under way.
    raced: bool,
    /// Nodes and racks that the ResourceManager may have counts for.
    named: BTreeSet<String>,
    /// The ResourceManager refused the shape.
    rejected: bool,
}

impl Shape {
    fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            held: 0,
            believed: Some(0),
            sending: None,
            raced: false,
            named: BTreeSet::new(),
            rejected: false,
        }
    }

    /// What remains to be granted.
    fn missing(&self) -> u32 {
        if self.rejected { 0 } else { self.wanted.count.saturating_sub(self.held) }
    }

    fn needs_telling(&self) -> bool {
        !self.rejected && self.believed != Some(self.missing())
    }

    /// Counts by resource name for `missing` containers spread over the usable named nodes.
    fn counts(&self, missing: u32, blacklist: &BTreeSet<String>) -> BTreeMap<String, u32> {
        // What was named before and is no longer must be set to nothing.
        let mut counts: BTreeMap<String, u32> = self.named.iter().map(|name| (name.clone(), 0)).collect();
        let nodes: Vec<_> =
            self.wanted.nodes.iter().filter(|node| !blacklist.contains(&node.host)).take(MAX_NODES).collect();
        let share = missing.div_ceil(nodes.len().max(1) as u32);
        for node in nodes {
            for name in [&node.host, &node.rack] {
                let count = counts.entry(name.clone()).or_default();
                *count = (*count + share).min(missing);
            }
        }
        counts.insert(ANYWHERE.to_owned(), missing);
        counts
    }

    fn request(&self, name: &str, count: u32) -> pb::ResourceRequest {
        pb::ResourceRequest {
            priority: Some(pb::Priority { priority: Some(self.wanted.priority) }),
            resource_name: Some(name.to_owned()),
            capability: Some((&self.wanted.resource).into()),
            num_containers: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            relax_locality: Some(true),
            node_label_expression: if name == ANYWHERE { self.wanted.label.clone() } else { None },
            allocation_request_id: None,
        }
    }
}

/// The accounts of all shapes.
#[derive(Debug, Default)]
pub(super) struct Asks {
    shapes: BTreeMap<i32, Shape>,
}

impl Asks {
    /// Sets what is wanted of a shape.
    pub fn want(&mut self, wanted: Wanted) {
        match self.shapes.get_mut(&wanted.priority) {
            None => {
                self.shapes.insert(wanted.priority, Shape::new(wanted));
            }
            Some(shape) => {
                let same = shape.wanted.resource == wanted.resource && shape.wanted.label == wanted.label;
                if !same {
                    // A request under way says the old thing and settles nothing.
                    shape.believed = None;
                    shape.sending = None;
                }
                shape.rejected = false;
                shape.wanted = wanted;
            }
        }
    }

    /// Whether one more container of that priority is wanted.
    pub fn has_room(&self, priority: i32) -> bool {
        self.shapes.get(&priority).is_some_and(|shape| shape.held < shape.wanted.count)
    }

    /// A container is now held.
    pub fn hold(&mut self, priority: i32) {
        if let Some(shape) = self.shapes.get_mut(&priority) {
            shape.held += 1;
        }
    }

    /// A container is no longer held.
    pub fn drop_one(&mut self, priority: i32) {
        if let Some(shape) = self.shapes.get_mut(&priority) {
            shape.held = shape.held.saturating_sub(1);
        }
    }

    /// Sets what is held, for a shape that is wanted only after containers of it were found.
    pub fn set_held(&mut self, priority: i32, held: u32) {
        if let Some(shape) = self.shapes.get_mut(&priority) {
            shape.held = held;
        }
    }

    /// The ResourceManager granted a container of that priority, wanted or not.
    pub fn granted(&mut self, priority: i32) {
        let Some(shape) = self.shapes.get_mut(&priority) else {
            return;
        };
        match shape.sending {
            None => shape.believed = shape.believed.map(|count| count.saturating_sub(1)),
            // Grants that come with the answer to a request were made before it was set, or just after: nobody can tell.
            Some(_) => shape.raced = true,
        }
    }

    /// Containers that remain to be granted.
    pub fn missing(&self) -> u64 {
        self.shapes.values().map(|shape| u64::from(shape.missing())).sum()
    }

    /// Whether the ResourceManager must be told something.
    pub fn needs_telling(&self) -> bool {
        self.shapes.values().any(Shape::needs_telling)
    }

    /// The requests that tell it.
    pub fn requests(&mut self, blacklist: &BTreeSet<String>) -> Vec<pb::ResourceRequest> {
        let mut requests = Vec::new();
        for shape in self.shapes.values_mut().filter(|shape| shape.needs_telling()) {
            let missing = shape.missing();
            let counts = shape.counts(missing, blacklist);
            requests.extend(counts.iter().map(|(name, count)| shape.request(name, *count)));
            shape.named = counts.into_keys().filter(|name| name != ANYWHERE).collect();
            shape.sending = Some(missing);
        }
        requests
    }

    /// The requests have been taken; to be called after the answer's grants.
    pub fn told(&mut self) {
        for shape in self.shapes.values_mut() {
            if let Some(sent) = shape.sending.take() {
                shape.believed = Some(sent).filter(|_| !shape.raced);
            }
            shape.raced = false;
        }
    }

    /// The requests were refused; gives the shapes that were in them.
    pub fn refused(&mut self) -> Vec<i32> {
        let mut refused = Vec::new();
        for (priority, shape) in &mut self.shapes {
            if shape.sending.take().is_some() {
                shape.rejected = true;
                shape.believed = None;
                refused.push(*priority);
            }
        }
        refused
    }

    /// The ResourceManager forgot everything.
    pub fn forgotten(&mut self) {
        for shape in self.shapes.values_mut() {
            shape.believed = Some(0);
            shape.sending = None;
            shape.named.clear();
        }
    }

    /// The ResourceManager's counts are in doubt: all are to be set again.
    pub fn doubt(&mut self) {
        for shape in self.shapes.values_mut().filter(|shape| shape.missing() > 0) {
            shape.believed = None;
        }
    }

    #[cfg(test)]
    pub fn account(&self, priority: i32) -> (u32, u32) {
        self.shapes.get(&priority).map_or((0, 0), |shape| (shape.wanted.count, shape.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::am::NodeHint;
    use crate::records::Resource;

    fn wanted(count: u32, hosts: &[&str]) -> Wanted {
        let nodes = hosts.iter().map(|host| NodeHint { host: (*host).into(), rack: "/r".into() }).collect();
        Wanted { priority: 1, resource: Resource::new(256, 1), count, nodes, label: None }
    }

    fn told(asks: &mut Asks, blacklist: &[&str]) -> BTreeMap<String, i32> {
        let blacklist = blacklist.iter().map(|host| (*host).to_owned()).collect();
        let requests = asks.requests(&blacklist);
        asks.told();
        requests
            .iter()
            .map(|request| (request.resource_name().to_owned(), request.num_containers()))
            .collect()
    }

    fn table(entries: &[(&str, i32)]) -> BTreeMap<String, i32> {
        entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn a_request_is_spread_over_the_named_nodes() {
        let mut asks = Asks::default();
        asks.want(wanted(8, &["a", "b", "c"]));
        assert_eq!(told(&mut asks, &["c"]), table(&[("*", 8), ("/r", 8), ("a", 4), ("b", 4)]));
        assert!(told(&mut asks, &[]).is_empty(), "nothing changed");
    }

    #[test]
    fn grants_lower_the_count_without_another_request() {
        let mut asks = Asks::default();
        asks.want(wanted(3, &["a"]));
        told(&mut asks, &[]);
        for _ in 0..3 {
            asks.granted(1);
            asks.hold(1);
        }
        assert!(!asks.needs_telling());
        asks.drop_one(1);
        assert_eq!(told(&mut asks, &[]), table(&[("*", 1), ("/r", 1), ("a", 1)]), "a lost one is replaced");
    }

    #[test]
    fn nodes_named_before_are_set_to_nothing() {
        let mut asks = Asks::default();
        asks.want(wanted(2, &["a"]));
        told(&mut asks, &[]);
        asks.want(wanted(4, &["b"]));
        assert_eq!(told(&mut asks, &[]), table(&[("*", 4), ("/r", 4), ("a", 0), ("b", 4)]));
    }

    #[test]
    fn a_refused_shape_is_not_asked_for_until_wanted_anew() {
        let mut asks = Asks::default();
        asks.want(wanted(2, &[]));
        asks.requests(&BTreeSet::new());
        assert_eq!(asks.refused(), [1]);
        assert!(!asks.needs_telling() && asks.missing() == 0);
        asks.want(wanted(1, &[]));
        assert_eq!(told(&mut asks, &[]), table(&[("*", 1)]));
    }
}
