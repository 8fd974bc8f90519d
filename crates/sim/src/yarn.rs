//! A model of the cluster that lends containers: nodes, some of which are bad; containers that are wanted back; nodes that are
//! taken out and come back.
//!
//! YARN gives no promise to tell a thing once: the end of a container is told by the node that is asked and by the
//! ResourceManager's heartbeat, each in its own words; what it wants back it says with every heartbeat, of containers that
//! have just ended too; and that a node leaves it says again after each registration.

use crate::world::{Happening, World};
use kvick_core::executor::FromExecutor;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::resources::WantedBack;
use kvick_core::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// How long YARN waits between its wish and the kill (`max_wait_before_kill`), in milliseconds.
const BEFORE_KILL: u64 = 15_000;
/// How long a node stays that is being decommissioned.
const DECOMMISSIONING: u64 = 40_000;

/// A container that was granted and has not ended as far as YARN's books go.
#[derive(Debug, Default)]
pub struct Lent {
    /// The application master has asked YARN to take it back.
    pub given_back: bool,
    /// Since when its task executor is gone, if it is, and there is somebody to be told.
    pub gone_since: Option<u64>,
}

/// The nodes, and what the scheduler wants.
#[derive(Debug, Default)]
pub struct ModelYarn {
    /// How many nodes there are.
    pub nodes: u64,
    /// Where each container is.
    pub hosts: BTreeMap<ExecutorId, String>,
    /// Containers that are lent: every one that was granted and whose end was not told.
    pub lent: BTreeMap<ExecutorId, Lent>,
    /// A node on which no container starts.
    pub bad: Option<String>,
    /// Nodes that are being taken out, or are.
    pub leaving: BTreeSet<String>,
    /// Nodes on which the application master wants no containers.
    pub excluded: BTreeSet<String>,
    /// How many containers can be lent at once, where there is no room for all that jobs ask for.
    pub room: Option<u64>,
    /// How many containers each job would take there, for all of its subtasks side by side.
    pub wished: BTreeMap<JobId, u64>,
    /// Containers that are wanted back and have not come: whether others would do.
    pub wanted_back: BTreeMap<ExecutorId, bool>,
}

/// Happenings on the cluster's side.
#[derive(Debug)]
pub enum ClusterEvent {
    /// The scheduler wants containers back.
    Preempt,
    /// It says so again.
    Remind,
    /// It has waited long enough for this one.
    Kill(ExecutorId),
    /// A node is to be taken out.
    Decommission,
    /// It is taken out now.
    Gone(String),
    /// It takes containers again.
    Back(String),
    /// The end of a container is told once more, by somebody else.
    EndedAgain(ExecutorId),
}

impl ModelYarn {
    /// A cluster of some nodes.
    pub fn new(nodes: u64, bad: Option<u64>) -> ModelYarn {
        ModelYarn { nodes, bad: bad.map(name), ..ModelYarn::default() }
    }
}

fn name(node: u64) -> String {
    format!("node-{node}")
}

pub(crate) fn withdrawn(text: &str) -> Failure {
    Failure::new(FailureKind::Withdrawn, text)
}

impl World {
    /// A node that takes containers, chosen at random.
    pub(crate) fn place(&mut self) -> Option<String> {
        if self.yarn.room.is_some_and(|room| self.yarn.lent.len() as u64 >= room) {
            return None;
        }
        let open = |host: &String| !self.yarn.leaving.contains(host) && !self.yarn.excluded.contains(host);
        let hosts: Vec<String> = (0..self.yarn.nodes).map(name).filter(open).collect();
        (!hosts.is_empty()).then(|| hosts[self.random.between(0, hosts.len() as u64 - 1) as usize].clone())
    }

    pub(crate) fn cluster_event(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Preempt => self.preempt(),
            ClusterEvent::Remind => self.remind(),
            ClusterEvent::Kill(id) => {
                if self.yarn.wanted_back.remove(&id).is_some() && self.executors.contains_key(&id) {
                    self.container_ends(id, withdrawn("the container was preempted"));
                }
            }
            ClusterEvent::Decommission => self.decommission(),
            ClusterEvent::Gone(host) => {
                let there = |(id, at): (&ExecutorId, &String)| (*at == host).then(|| id.clone());
                for id in self.yarn.hosts.iter().filter_map(there).collect::<Vec<_>>() {
                    if self.executors.contains_key(&id) {
                        self.container_ends(id, withdrawn("the node was taken out"));
                    }
                }
                let pause = self.random.between(1_000, 30_000);
                self.at(self.now() + pause, Happening::Cluster(ClusterEvent::Back(host)));
            }
            ClusterEvent::EndedAgain(id) => self.ended_again(id),
            ClusterEvent::Back(host) => {
                self.yarn.leaving.remove(&host);
                self.decide(|m, now, fx| m.node_stays(now, &host, fx));
            }
        }
    }

    /// Notes since when the task executors of lent containers are gone.
    pub(crate) fn note_gone(&mut self) {
        let now = self.now();
        for (id, lent) in &mut self.yarn.lent {
            if !self.executors.contains_key(id) {
                lent.gone_since.get_or_insert(now);
            }
        }
    }

    /// Somebody else will tell of the end of a container, sometimes.
    pub(crate) fn told_again(&mut self, id: ExecutorId) {
        if self.fault(25) {
            let longest = if self.random.chance(70) { 1_000 } else { 20_000 };
            self.soon(longest, Happening::Cluster(ClusterEvent::EndedAgain(id)));
        }
    }

    fn ended_again(&mut self, id: ExecutorId) {
        self.outcome.told_twice += u32::from(self.alive);
        let failure = match self.random.chance(50) {
            true => withdrawn("the node does not know the container"),
            false => Failure::new(FailureKind::ExecutorLost, "the container ended"),
        };
        self.decide(|m, now, fx| m.container_ended(now, &id, failure, fx));
    }

    fn preempt(&mut self) {
        let ids: Vec<ExecutorId> = self.executors.keys().cloned().collect();
        let negotiable = self.random.chance(60);
        for id in ids {
            if self.random.chance(40) && !self.yarn.wanted_back.contains_key(&id) {
                self.outcome.wanted_back += 1;
                self.yarn.wanted_back.insert(id.clone(), negotiable);
                self.at(self.now() + BEFORE_KILL, Happening::Cluster(ClusterEvent::Kill(id)));
            }
        }
        self.remind();
    }

    /// With every heartbeat YARN says what it wants back.
    fn remind(&mut self) {
        if self.yarn.wanted_back.is_empty() {
            return;
        }
        let of = |kind: bool| {
            let those = self.yarn.wanted_back.iter().filter(move |(_, negotiable)| **negotiable == kind);
            those.map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        let wanted = WantedBack { strict: of(false), negotiable: of(true) };
        let executors = &self.executors;
        self.yarn.wanted_back.retain(|id, _| executors.contains_key(id));
        self.decide(|m, now, fx| m.wanted_back(now, &wanted, fx));
        self.at(self.now() + 1_000, Happening::Cluster(ClusterEvent::Remind));
    }

    /// A container was given back: it may do in place of one that YARN would take.
    pub(crate) fn given_back(&mut self, id: &ExecutorId) {
        if let Some(lent) = self.yarn.lent.get_mut(id) {
            lent.given_back = true;
        }
        if self.yarn.wanted_back.remove(id).is_some() {
            self.outcome.gone_in_time += 1;
        } else if let Some(other) =
            self.yarn.wanted_back.iter().find(|(_, negotiable)| **negotiable).map(|(id, _)| id.clone())
        {
            self.yarn.wanted_back.remove(&other);
        } else if self.yarn.hosts.get(id).is_some_and(|host| self.yarn.leaving.contains(host)) {
            self.outcome.gone_in_time += 1;
        }
    }

    fn decommission(&mut self) {
        let Some(host) = self.place().filter(|_| self.yarn.leaving.is_empty()) else { return };
        self.yarn.leaving.insert(host.clone());
        self.at(self.now() + DECOMMISSIONING, Happening::Cluster(ClusterEvent::Gone(host.clone())));
        let twice = self.fault(25);
        for _ in 0..=u32::from(twice) {
            self.decide(|m, now, fx| m.node_leaves(now, &host, Millis(DECOMMISSIONING), fx));
        }
    }

    /// What YARN tells a new attempt of its nodes.
    pub(crate) fn tell_of_nodes(&mut self) {
        let nodes = self.yarn.nodes as u32;
        self.decide(|m, now, fx| m.cluster_size(now, nodes, fx));
        for host in self.yarn.leaving.clone() {
            self.decide(|m, now, fx| m.node_leaves(now, &host, Millis(DECOMMISSIONING), fx));
        }
    }

    /// A sign of life of every executor, as the first thing said.
    pub(crate) fn first_word(&self, id: &ExecutorId, connection: u64) -> FromExecutor {
        let holdings = self.executors.get(id).map(|model| model.holdings.clone()).unwrap_or_default();
        let info = kvick_core::executor::ExecutorInfo {
            id: id.clone(),
            host: self.yarn.hosts.get(id).cloned().unwrap_or_default(),
            slots: self.master.settings().resources.slots_per_executor,
            pid: 1,
            cpu_cores: 1,
            physical_memory: 1,
            log_dir: String::new(),
            config: Default::default(),
        };
        FromExecutor::Register { info: Box::new(info), holdings, connection }
    }
}
