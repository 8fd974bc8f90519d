//! The machine against a small ResourceManager, over seeded schedules of losses, repetitions, delays and restarts.
//!
//! Invariant once quiet: for every shape, what the machine holds and what the ResourceManager is still to grant are together
//! what is wanted; both sides agree on which containers are held; none leaks; no end is told twice.

use super::machine::{Call, Ending, Failure, Machine, Outcome, Output};
use super::*;
use crate::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use crate::proto::yarn as pb;
use crate::records::FinalStatus;
use std::collections::{BTreeMap, BTreeSet};

/// A small generator (SplitMix64): the same seed, the same schedule.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// True in `percent` of a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn container_id(number: i64) -> ContainerId {
    let application_id = ApplicationId {
        cluster_timestamp: 1,
        id: 1,
    };
    ContainerId {
        attempt_id: ApplicationAttemptId {
            application_id,
            attempt: 1,
        },
        id: number,
    }
}

fn container(number: i64, priority: i32) -> pb::Container {
    pb::Container {
        id: Some(container_id(number).into()),
        node_id: Some(pb::NodeId {
            host: Some("a".into()),
            port: Some(1),
        }),
        priority: Some(pb::Priority {
            priority: Some(priority),
        }),
        ..Default::default()
    }
}

fn status(number: i64) -> pb::ContainerStatus {
    pb::ContainerStatus {
        container_id: Some(container_id(number).into()),
        state: Some(3),
        exit_status: Some(-100),
        ..Default::default()
    }
}

/// What a ResourceManager keeps of one application.
#[derive(Default)]
struct ResourceManager {
    registered: bool,
    response_id: i32,
    last_answer: Option<pb::AllocateResponse>,
    pending: BTreeMap<i32, i64>,
    /// Granted and not ended, with priority.
    live: BTreeMap<i64, i32>,
    /// Granted and not yet told.
    fresh: Vec<i64>,
    ended: Vec<i64>,
    recovered: Vec<i64>,
    blacklist: BTreeSet<String>,
    next: i64,
}

impl ResourceManager {
    fn register(&mut self) -> Outcome {
        if self.registered {
            return Outcome::Failed(Failure::AlreadyRegistered);
        }
        self.registered = true;
        self.response_id = 0;
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default())
    }

    fn allocate(&mut self, request: &pb::AllocateRequest, dice: &mut Dice) -> Outcome {
        if !self.registered {
            return Outcome::Failed(Failure::NotRegistered);
        }
        if request.response_id() + 1 == self.response_id {
            return Outcome::Allocated(self.last_answer.clone().unwrap());
        }
        assert_eq!(
            request.response_id(),
            self.response_id,
            "the machine lost its place"
        );
        if dice.chance(50) {
            self.grant(dice);
        }
        self.apply(request);
        if dice.chance(20) {
            self.grant(dice);
        }
        Outcome::Allocated(self.answer())
    }

    fn apply(&mut self, request: &pb::AllocateRequest) {
        for ask in request.ask.iter().filter(|ask| ask.resource_name() == "*") {
            self.pending.insert(
                ask.priority.unwrap().priority(),
                i64::from(ask.num_containers()),
            );
        }
        for id in &request.release {
            self.end(id.id());
        }
        let blacklist = request.blacklist_request.clone().unwrap_or_default();
        self.blacklist.extend(blacklist.additions);
        blacklist
            .removals
            .iter()
            .for_each(|host| assert!(self.blacklist.remove(host), "{host} was not on the list"));
    }

    fn answer(&mut self) -> pb::AllocateResponse {
        self.response_id += 1;
        let live = &self.live;
        let told = |ids: &mut Vec<i64>| -> Vec<pb::Container> {
            std::mem::take(ids)
                .into_iter()
                .filter_map(|id| live.get(&id).map(|priority| container(id, *priority)))
                .collect()
        };
        let answer = pb::AllocateResponse {
            response_id: Some(self.response_id),
            allocated_containers: told(&mut self.fresh),
            containers_from_previous_attempts: told(&mut self.recovered),
            completed_container_statuses: std::mem::take(&mut self.ended)
                .into_iter()
                .map(status)
                .collect(),
            ..Default::default()
        };
        self.last_answer = Some(answer.clone());
        answer
    }

    /// A node's heartbeat.
    fn grant(&mut self, dice: &mut Dice) {
        for (priority, pending) in &mut self.pending {
            while *pending > 0 && dice.chance(60) {
                *pending -= 1;
                self.next += 1;
                self.live.insert(self.next, *priority);
                self.fresh.push(self.next);
            }
        }
    }

    fn end(&mut self, id: i64) {
        if self.live.remove(&id).is_some() {
            self.ended.push(id);
        }
    }

    /// Comes back with the containers that ran; those not yet told, and the ends not yet told, are gone or told later.
    fn restart(&mut self, dice: &mut Dice, started: &BTreeSet<ContainerId>) {
        let lost: Vec<i64> = self
            .live
            .keys()
            .copied()
            .filter(|id| !started.contains(&container_id(*id)))
            .collect();
        for id in lost {
            self.live.remove(&id);
            if dice.chance(50) {
                self.ended.push(id);
            }
        }
        self.recovered = self.live.keys().copied().collect();
        *self = Self {
            live: std::mem::take(&mut self.live),
            recovered: std::mem::take(&mut self.recovered),
            ended: std::mem::take(&mut self.ended),
            next: self.next + (1 << 40),
            ..Self::default()
        };
    }
}

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
                    assert!(
                        self.completed.insert(status.id),
                        "{} ended twice",
                        status.id
                    );
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
        let config = AmConfig {
            expiry: Duration::from_secs(1_000_000),
            ..AmConfig::default()
        };
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
            8 => self
                .machine
                .blacklist(vec![format!("h{}", self.dice.roll() % 3)], &[]),
            _ => self
                .machine
                .blacklist(Vec::new(), &[format!("h{}", self.dice.roll() % 3)]),
        }
    }

    fn want(&mut self) {
        let nodes = ["a", "b"].map(|host| NodeHint {
            host: host.into(),
            rack: "/r".into(),
        });
        let priority = self.dice.below(2) as i32;
        let count = self.dice.below(12) as u32;
        let resource = Resource::new(256 << self.dice.below(2), 1);
        self.machine.set_wanted(
            self.now,
            Wanted {
                priority,
                resource,
                count,
                nodes: nodes.to_vec(),
                label: None,
            },
        );
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
        let unknown =
            |id: &&ContainerId| !self.rm.live.contains_key(&id.id) && !ended.contains(&id.id);
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
            let told = self.rm.fresh.is_empty()
                && self.rm.ended.is_empty()
                && self.rm.recovered.is_empty();
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
            assert_eq!(
                pending, expected,
                "priority {priority}: wanted {wanted}, held {held}"
            );
        }
        let live: BTreeSet<ContainerId> = self.rm.live.keys().map(|id| container_id(*id)).collect();
        let held: BTreeSet<ContainerId> = self.machine.held().copied().collect();
        assert_eq!(
            held, self.master.held,
            "the machine and the master disagree"
        );
        assert_eq!(held, live, "a container leaks");
        assert_eq!(
            self.rm.blacklist,
            self.machine_blacklist(),
            "the ResourceManager has another blacklist"
        );
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

/// A registered machine whose calls are answered by hand.
fn registered() -> Machine {
    let mut machine = Machine::new(AmConfig::default(), Duration::ZERO);
    let (number, call) = machine.next_call(Duration::ZERO).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(
        Duration::ZERO,
        number,
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default()),
    );
    machine.take_outputs();
    machine
}

fn wanted(count: u32) -> Wanted {
    Wanted {
        priority: 1,
        resource: Resource::new(256, 1),
        count,
        nodes: Vec::new(),
        label: None,
    }
}

fn allocate(machine: &mut Machine, now: Duration) -> (u64, pb::AllocateRequest) {
    match machine.next_call(now) {
        Some((number, Call::Allocate(request))) => (number, request),
        other => panic!("{other:?}"),
    }
}

fn answer(id: i32) -> pb::AllocateResponse {
    pb::AllocateResponse {
        response_id: Some(id),
        ..Default::default()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn heartbeats_are_slow_when_idle_fast_when_waiting_and_at_once_on_a_change() {
    let mut machine = registered();
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(SECOND, number, Outcome::Allocated(answer(1)));
    let idle = AmConfig::default().idle_interval;
    assert_eq!(machine.next_due(), Some(SECOND + idle));
    machine.set_wanted(SECOND, wanted(2));
    let due = machine.next_due().unwrap();
    assert!(due < SECOND + Duration::from_millis(10), "{due:?}");
    let (number, request) = allocate(&mut machine, due);
    assert_eq!(request.ask[0].num_containers(), 2);
    machine.handle(due, number, Outcome::Allocated(answer(2)));
    assert_eq!(
        machine.next_due(),
        Some(due + AmConfig::default().eager_interval)
    );
}

#[test]
fn a_lost_answer_repeats_the_request_unchanged() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(2));
    let (number, first) = allocate(&mut machine, SECOND);
    machine.handle(
        SECOND,
        number,
        Outcome::Failed(Failure::Unknown("eof".into())),
    );
    machine.set_wanted(SECOND, wanted(5));
    let (number, second) = allocate(&mut machine, 2 * SECOND);
    assert_eq!(first, second);
    machine.handle(2 * SECOND, number, Outcome::Allocated(answer(1)));
    let (_, third) = allocate(&mut machine, 3 * SECOND);
    assert_eq!((third.response_id(), third.ask[0].num_containers()), (1, 5));
}

#[test]
fn after_a_restart_all_is_said_again_with_response_id_0() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(2));
    machine.blacklist(vec!["bad".into()], &[]);
    let (number, _) = allocate(&mut machine, SECOND);
    let granted = pb::AllocateResponse {
        allocated_containers: vec![container(1, 1), container(2, 1)],
        ..answer(1)
    };
    machine.handle(SECOND, number, Outcome::Allocated(granted));
    machine.release(SECOND, container_id(1));
    let (number, _) = allocate(&mut machine, 2 * SECOND);
    machine.handle(2 * SECOND, number, Outcome::Failed(Failure::NotRegistered));
    let (number, call) = machine.next_call(2 * SECOND).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(
        2 * SECOND,
        number,
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default()),
    );
    assert!(
        machine
            .take_outputs()
            .contains(&Output::Event(AmEvent::Reregistered))
    );
    let (_, request) = allocate(&mut machine, 3 * SECOND);
    assert_eq!(
        (request.response_id(), request.ask[0].num_containers()),
        (0, 1)
    );
    assert_eq!(ContainerId::from(&request.release[0]), container_id(1));
    assert_eq!(request.blacklist_request.unwrap().additions, ["bad"]);
}

#[test]
fn surplus_is_given_back_silently() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(1));
    let (number, _) = allocate(&mut machine, SECOND);
    let granted = pb::AllocateResponse {
        allocated_containers: vec![container(1, 1), container(2, 1), container(3, 9)],
        ..answer(1)
    };
    machine.handle(SECOND, number, Outcome::Allocated(granted));
    assert_eq!(machine.take_outputs().len(), 1);
    let (number, request) = allocate(&mut machine, 2 * SECOND);
    let released: Vec<i64> = request.release.iter().map(pb::ContainerId::id).collect();
    assert_eq!(released, [2, 3]);
    let ended = pb::AllocateResponse {
        completed_container_statuses: vec![status(2), status(3)],
        ..answer(2)
    };
    machine.handle(2 * SECOND, number, Outcome::Allocated(ended));
    assert!(machine.take_outputs().is_empty() && machine.is_quiet());
}

#[test]
fn a_refused_request_is_told_and_the_rest_said_again() {
    let mut machine = registered();
    machine.set_wanted(SECOND, wanted(1));
    machine.release(SECOND, container_id(7));
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(
        SECOND,
        number,
        Outcome::Failed(Failure::InvalidRequest("too large".into())),
    );
    let rejected = AmEvent::RequestRejected {
        priorities: vec![1],
        reason: "too large".into(),
    };
    assert_eq!(machine.take_outputs(), [Output::Event(rejected)]);
    let (_, request) = allocate(&mut machine, 2 * SECOND);
    assert!(request.ask.is_empty());
    assert_eq!((request.release.len(), request.response_id()), (1, 0));
}

#[test]
fn a_long_silence_ends_the_attempt() {
    let mut machine = registered();
    let expiry = AmConfig::default().expiry;
    let (number, _) = allocate(&mut machine, SECOND);
    machine.handle(
        SECOND,
        number,
        Outcome::Failed(Failure::Unknown("refused".into())),
    );
    let (number, _) = allocate(&mut machine, expiry - SECOND);
    machine.handle(
        expiry - SECOND,
        number,
        Outcome::Failed(Failure::Unknown("refused".into())),
    );
    assert!(machine.next_call(expiry + SECOND).is_none() && machine.is_over());
    assert!(matches!(
        machine.take_outputs()[..],
        [Output::Event(AmEvent::ShutdownRequested { .. })]
    ));
}

#[test]
fn finishing_is_repeated_until_unregistered_and_survives_a_restart() {
    let mut machine = registered();
    machine.finish(Ending {
        status: FinalStatus::Succeeded,
        diagnostics: "done".into(),
        tracking_url: String::new(),
    });
    let (number, call) = machine.next_call(SECOND).unwrap();
    assert!(matches!(call, Call::Finish(_)));
    machine.handle(SECOND, number, Outcome::Finished(false));
    let (number, _) = machine.next_call(2 * SECOND).unwrap();
    machine.handle(2 * SECOND, number, Outcome::Failed(Failure::NotRegistered));
    let (number, call) = machine.next_call(3 * SECOND).unwrap();
    assert!(matches!(call, Call::Register(_)));
    machine.handle(
        3 * SECOND,
        number,
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default()),
    );
    let (number, call) = machine.next_call(3 * SECOND).unwrap();
    assert!(matches!(call, Call::Finish(_)));
    machine.handle(3 * SECOND, number, Outcome::Finished(true));
    assert!(machine.is_over() && machine.take_outputs().contains(&Output::Finished));
}
