//! The machine against the model over seeded schedules of losses, repetitions, delays and restarts.
//!
//! Invariant once quiet: for every shape, what the machine holds and what the ResourceManager is still to grant are together
//! what is wanted; both sides agree on which containers are held; none leaks; no end is told twice.

use super::model::{Dice, ResourceManager, container_id};
use crate::am::machine::{Call, Failure, Machine, Outcome, Output};
use crate::am::{AmConfig, AmEvent, NodeHint, Wanted};
use crate::ids::ContainerId;
use crate::records::Resource;
use std::collections::BTreeSet;
use std::time::Duration;

/// The master's own account, kept only from what it is told.
#[derive(Default)]
struct Master {
    held: BTreeSet<ContainerId>,
    completed: BTreeSet<ContainerId>,
    registered: u32,
}

impl Master {
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Registered(_) => self.registered += 1,
                Output::Event(AmEvent::Allocated(container)) => self.hold(container.id),
                Output::Event(AmEvent::PreviousContainers(all)) => {
                    all.iter().for_each(|container| self.hold(container.id))
                }
                Output::Event(AmEvent::Completed(status)) => {
                    assert!(self.completed.insert(status.id), "{} ended twice", status.id);
                    self.held.remove(&status.id);
                }
                _ => {}
            }
        }
    }

    fn hold(&mut self, id: ContainerId) {
        assert!(!self.completed.contains(&id), "{id} was told after its end");
        assert!(self.held.insert(id), "{id} was told twice");
    }
}

struct World {
    dice: Dice,
    now: Duration,
    machine: Machine,
    rm: ResourceManager,
    master: Master,
    /// Answers on their way.
    answers: Vec<(u64, Outcome)>,
    trouble: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = AmConfig { expiry: Duration::from_secs(1_000_000), ..AmConfig::default() };
        Self {
            dice: Dice(seed),
            now: Duration::ZERO,
            machine: Machine::new(config, Duration::ZERO),
            rm: ResourceManager::default(),
            master: Master::default(),
            answers: Vec::new(),
            trouble: true,
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.dice.below(80));
        if self.trouble && self.dice.chance(25) {
            self.meddle();
        }
        if let Some((number, call)) = self.machine.next_call(self.now) {
            self.perform(number, &call);
        } else if !self.answers.is_empty() {
            // Any of them: late ones overtake.
            let which = self.dice.below(self.answers.len() as u64) as usize;
            let (number, outcome) = self.answers.swap_remove(which);
            self.machine.handle(self.now, number, outcome);
        } else if self.dice.chance(30) {
            self.rm.grant(&mut self.dice);
        }
        self.master.take(self.machine.take_outputs());
    }

    fn perform(&mut self, number: u64, call: &Call) {
        let lost = |world: &mut Self| world.trouble && world.dice.chance(15);
        let unknown = || Outcome::Failed(Failure::Unknown("lost".into()));
        if lost(self) {
            return self.answers.push((number, unknown()));
        }
        let outcome = match call {
            Call::Register(_) => self.rm.register(),
            Call::Allocate(request) => self.rm.allocate(request, &mut self.dice),
            Call::Finish(_) => unreachable!("nobody finishes"),
        };
        if lost(self) {
            // Done, but the answer comes only after the failure, if at all.
            self.answers.push((number, unknown()));
        }
        self.answers.push((number, outcome.clone()));
        if lost(self) {
            self.answers.push((number, outcome));
        }
    }

    fn meddle(&mut self) {
        match self.dice.below(10) {
            0..=2 => self.want(),
            3..=4 => self.release_one(),
            5..=6 => self.end_one(),
            7 => self.rm.restart(&mut self.dice, &self.master.held),
            8 => self.machine.blacklist(vec![format!("h{}", self.dice.roll() % 3)], &[]),
            _ => self.machine.blacklist(Vec::new(), &[format!("h{}", self.dice.roll() % 3)]),
        }
    }

    fn want(&mut self) {
        let nodes = ["a", "b"].map(|host| NodeHint { host: host.into(), rack: "/r".into() });
        let priority = self.dice.below(2) as i32;
        let count = self.dice.below(12) as u32;
        let resource = Resource::new(256 << self.dice.below(2), 1);
        self.machine
            .set_wanted(self.now, Wanted { priority, resource, count, nodes: nodes.to_vec(), label: None });
    }

    fn release_one(&mut self) {
        let held: Vec<ContainerId> = self.master.held.iter().copied().collect();
        if !held.is_empty() {
            let id = held[self.dice.below(held.len() as u64) as usize];
            self.master.held.remove(&id);
            self.machine.release(self.now, id);
        }
    }

    fn end_one(&mut self) {
        let live: Vec<i64> = self.rm.live.keys().copied().collect();
        if !live.is_empty() {
            let id = live[self.dice.below(live.len() as u64) as usize];
            self.rm.end(id);
        }
    }

    /// Containers that an earlier ResourceManager granted just before it died cannot be started; the master gives them back.
    fn fail_to_start_phantoms(&mut self) {
        let ended: Vec<i64> = self.rm.ended.clone();
        let unknown = |id: &&ContainerId| !self.rm.live.contains_key(&id.id) && !ended.contains(&id.id);
        let phantoms: Vec<ContainerId> = self.master.held.iter().filter(unknown).copied().collect();
        for id in phantoms {
            self.master.held.remove(&id);
            self.machine.release(self.now, id);
        }
    }

    /// No more trouble, no more grants beyond what is pending: runs until nothing changes.
    fn settle(&mut self) {
        self.trouble = false;
        for _ in 0..4000 {
            self.step();
            if self.answers.is_empty() {
                self.fail_to_start_phantoms();
            }
            let told = self.rm.fresh.is_empty() && self.rm.ended.is_empty() && self.rm.recovered.is_empty();
            if told && self.answers.is_empty() && self.machine.is_quiet() && self.rm.registered {
                return;
            }
        }
        panic!("no quiet: {:?}", self.machine);
    }

    fn check(&self) {
        for priority in [0, 1] {
            let (wanted, held) = self.machine.account(priority);
            let pending = *self.rm.pending.get(&priority).unwrap_or(&0);
            let expected = i64::from(wanted.saturating_sub(held));
            assert_eq!(pending, expected, "priority {priority}: wanted {wanted}, held {held}");
        }
        let live: BTreeSet<ContainerId> = self.rm.live.keys().map(|id| container_id(*id)).collect();
        let held: BTreeSet<ContainerId> = self.machine.held().copied().collect();
        assert_eq!(held, self.master.held, "the machine and the master disagree");
        assert_eq!(held, live, "a container leaks");
        assert_eq!(self.rm.blacklist, self.machine_blacklist(), "the ResourceManager has another blacklist");
        assert_eq!(self.master.registered, 1);
    }

    fn machine_blacklist(&self) -> BTreeSet<String> {
        self.machine.blacklisted().clone()
    }
}

#[test]
fn seeded_schedules_keep_the_accounts() {
    for seed in 0..4000 {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..150 {
                world.step();
            }
            world.settle();
            world.check();
        });
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
