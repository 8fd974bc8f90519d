//! What breaks, and when.

use crate::network::NetworkEvent;
use crate::world::{Happening, World};
use crate::yarn::ClusterEvent;
use kvick_core::ids::ExecutorId;

impl World {
    /// Every few seconds something breaks.
    pub(crate) fn chaos(&mut self) {
        if !self.faults() {
            return;
        }
        if self.random.chance(15) {
            self.at(self.now(), Happening::MasterDies);
        }
        if self.random.chance(10) {
            self.at(self.now(), Happening::Cluster(ClusterEvent::Preempt));
        }
        if self.random.chance(7) {
            self.at(self.now(), Happening::Cluster(ClusterEvent::Decommission));
        }
        let ids: Vec<ExecutorId> = self.executors.keys().cloned().collect();
        if !ids.is_empty() {
            let id = ids[self.random.between(0, ids.len() as u64 - 1) as usize].clone();
            self.outcome.faults += 1;
            match self.random.between(0, 4) {
                0 => self.crash(id),
                1 => self.at(self.now(), Happening::Network(NetworkEvent::Breaks(id))),
                2 => {
                    let span = if self.random.chance(30) { 90_000 } else { 5_000 };
                    let span = self.random.between(1, span);
                    self.at(self.now(), Happening::Network(NetworkEvent::CutOff(id, span)));
                }
                3 => {
                    let span = self.random.between(1, 10_000);
                    self.at(self.now(), Happening::Network(NetworkEvent::Stalls(id, span)));
                }
                _ => self.kill_a_worker(id),
            }
        }
        let pause = self.random.between(500, 20_000);
        self.at(self.now() + pause, Happening::Chaos);
    }

    /// The executor's process dies at once; that its container ended is told later.
    fn crash(&mut self, id: ExecutorId) {
        self.executors.remove(&id);
        if self.random.chance(50)
            && let Some(serial) = self.links.get(&id).copied()
        {
            self.network_soon(100, NetworkEvent::Noticed(id.clone(), serial));
        }
        self.soon(5_000, Happening::ContainerEnds(id));
    }

    fn kill_a_worker(&mut self, id: ExecutorId) {
        let worker = self.executors.get(&id).and_then(|e| e.workers.iter().next());
        if let Some((job, serial)) = worker.map(|(job, w)| (*job, w.serial)) {
            self.at(self.now(), Happening::WorkerDies(id, job, serial));
        }
    }
}
