//! A small ResourceManager and dice: what the machine is tested against.

use crate::am::machine::{Failure, Outcome};
use crate::ids::{ApplicationAttemptId, ApplicationId, ContainerId};
use crate::proto::yarn as pb;
use std::collections::{BTreeMap, BTreeSet};

/// A small generator (SplitMix64): the same seed, the same schedule.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// True in `percent` of a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub(super) fn container_id(number: i64) -> ContainerId {
    let application_id = ApplicationId { cluster_timestamp: 1, id: 1 };
    ContainerId { attempt_id: ApplicationAttemptId { application_id, attempt: 1 }, id: number }
}

pub(super) fn container(number: i64, priority: i32) -> pb::Container {
    pb::Container {
        id: Some(container_id(number).into()),
        node_id: Some(pb::NodeId { host: Some("a".into()), port: Some(1) }),
        priority: Some(pb::Priority { priority: Some(priority) }),
        ..Default::default()
    }
}

pub(super) fn status(number: i64) -> pb::ContainerStatus {
    pb::ContainerStatus {
        container_id: Some(container_id(number).into()),
        state: Some(3),
        exit_status: Some(-100),
        ..Default::default()
    }
}

/// What a ResourceManager keeps of one application.
#[derive(Default)]
pub(super) struct ResourceManager {
    pub(super) registered: bool,
    response_id: i32,
    last_answer: Option<pb::AllocateResponse>,
    pub(super) pending: BTreeMap<i32, i64>,
    /// Granted and not ended, with priority.
    pub(super) live: BTreeMap<i64, i32>,
    /// Granted and not yet told.
    pub(super) fresh: Vec<i64>,
    pub(super) ended: Vec<i64>,
    pub(super) recovered: Vec<i64>,
    pub(super) blacklist: BTreeSet<String>,
    next: i64,
}

impl ResourceManager {
    pub(super) fn register(&mut self) -> Outcome {
        if self.registered {
            return Outcome::Failed(Failure::AlreadyRegistered);
        }
        self.registered = true;
        self.response_id = 0;
        Outcome::Registered(pb::RegisterApplicationMasterResponse::default())
    }

    pub(super) fn allocate(&mut self, request: &pb::AllocateRequest, dice: &mut Dice) -> Outcome {
        if !self.registered {
            return Outcome::Failed(Failure::NotRegistered);
        }
        if request.response_id() + 1 == self.response_id {
            return Outcome::Allocated(self.last_answer.clone().unwrap());
        }
        assert_eq!(request.response_id(), self.response_id, "the machine lost its place");
        if dice.chance(50) {
            self.grant(dice);
        }
        self.apply(request);
        if dice.chance(20) {
            self.grant(dice);
        }
        Outcome::Allocated(self.answer())
    }

    pub(super) fn apply(&mut self, request: &pb::AllocateRequest) {
        for ask in request.ask.iter().filter(|ask| ask.resource_name() == "*") {
            self.pending.insert(ask.priority.unwrap().priority(), i64::from(ask.num_containers()));
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

    pub(super) fn answer(&mut self) -> pb::AllocateResponse {
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
            completed_container_statuses: std::mem::take(&mut self.ended).into_iter().map(status).collect(),
            ..Default::default()
        };
        self.last_answer = Some(answer.clone());
        answer
    }

    /// A node's heartbeat.
    pub(super) fn grant(&mut self, dice: &mut Dice) {
        for (priority, pending) in &mut self.pending {
            while *pending > 0 && dice.chance(60) {
                *pending -= 1;
                self.next += 1;
                self.live.insert(self.next, *priority);
                self.fresh.push(self.next);
            }
        }
    }

    pub(super) fn end(&mut self, id: i64) {
        if self.live.remove(&id).is_some() {
            self.ended.push(id);
        }
    }

    /// Comes back with the containers that ran; those not yet told, and the ends not yet told, are gone or told later.
    pub(super) fn restart(&mut self, dice: &mut Dice, started: &BTreeSet<ContainerId>) {
        let lost: Vec<i64> =
            self.live.keys().copied().filter(|id| !started.contains(&container_id(*id))).collect();
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
