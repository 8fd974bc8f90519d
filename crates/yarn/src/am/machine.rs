//! The master's side of the protocol as a state machine: no clock, no socket, no task.
//! Owns response ids, registration, what is held and released, and when the next call is due; performs nothing.
//!
//! One call is under way at a time. [`Machine::next_call`] gives it when it is due, [`Machine::handle`] takes its outcome,
//! [`Machine::take_outputs`] what the master is to be told. A call whose outcome is unknown is repeated unchanged: the
//! ResourceManager answers a repeated response id with the same answer again, so nothing is lost or done twice.

use super::asks::Asks;
use super::{AmConfig, AmEvent, Wanted};
use crate::credentials::Token;
use crate::ids::{ContainerId, NodeId};
use crate::proto::yarn as pb;
use crate::records::{Container, ContainerStatus, FinalStatus, NodeReport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Least pause between two heartbeats, however much changes.
const LEAST_PAUSE: Duration = Duration::from_millis(5);
/// First pause after a failed call.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest pause after failed calls.
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// Pause between two attempts to finish.
const FINISH_PAUSE: Duration = Duration::from_millis(100);
/// How long requests may go without any grant before they are made again.
const DOUBT_AFTER: Duration = Duration::from_secs(60);
/// How long a release is remembered without its container's end being reported.
const RELEASE_MEMORY: Duration = Duration::from_secs(600);
/// How many ended containers are remembered so that none is reported twice.
const ENDED_MEMORY: usize = 20_000;

/// A call to make.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Register(pb::RegisterApplicationMasterRequest),
    Allocate(pb::AllocateRequest),
    Finish(pb::FinishApplicationMasterRequest),
}

/// What became of a call.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Registered(pb::RegisterApplicationMasterResponse),
    Allocated(pb::AllocateResponse),
    Finished(bool),
    Failed(Failure),
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The ResourceManager does not know that this master registered.
    NotRegistered,
    /// It knows already (the answer to an earlier call was lost).
    AlreadyRegistered,
    /// It knows of no such attempt any more.
    AttemptOver(String),
    /// It refuses what is asked for.
    InvalidRequest(String),
    /// Anything else: it may or may not have been done.
    Unknown(String),
}

/// What the machine wants done or told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    Event(AmEvent),
    /// Registered for the first time.
    Registered(Box<pb::RegisterApplicationMasterResponse>),
    /// Use this token for new connections.
    AmRmToken(Token),
    /// Unregistered.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unregistered,
    Registered,
    Over,
}

/// How the application ends.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub status: FinalStatus,
    pub diagnostics: String,
    pub tracking_url: String,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    config: AmConfig,
    phase: Phase,
    ever_registered: bool,
    response_id: i32,
    /// Number of the last call made, and whether it is under way.
    call: u64,
    under_way: bool,
    /// The heartbeat whose outcome is unknown.
    request: Option<pb::AllocateRequest>,
    failures: u32,
    not_before: Duration,
    last_call: Option<Duration>,
    last_contact: Duration,
    last_progress_of_asks: Duration,
    asks: Asks,
    held: BTreeMap<ContainerId, i32>,
    /// Released, their end not yet reported, and since when.
    releasing: BTreeMap<ContainerId, Duration>,
    unsent_releases: BTreeSet<ContainerId>,
    /// Granted beyond what is wanted and given back; the master never heard of them.
    surplus: BTreeSet<ContainerId>,
    ended: BTreeSet<ContainerId>,
    ended_order: VecDeque<ContainerId>,
    blacklist: BTreeSet<String>,
    blacklist_sent: BTreeSet<String>,
    progress: f32,
    tracking_url: Option<String>,
    ending: Option<Ending>,
    outputs: Vec<Output>,
}

impl Machine {
    /// A master that has not registered; times are since any fixed moment.
    pub fn new(config: AmConfig, now: Duration) -> Self {
        Self {
            config,
            phase: Phase::Unregistered,
            ever_registered: false,
            response_id: 0,
            call: 0,
            under_way: false,
            request: None,
            failures: 0,
            not_before: now,
            last_call: None,
            last_contact: now,
            last_progress_of_asks: now,
            asks: Asks::default(),
            held: BTreeMap::new(),
            releasing: BTreeMap::new(),
            unsent_releases: BTreeSet::new(),
            surplus: BTreeSet::new(),
            ended: BTreeSet::new(),
            ended_order: VecDeque::new(),
            blacklist: BTreeSet::new(),
            blacklist_sent: BTreeSet::new(),
            progress: 0.0,
            tracking_url: None,
            ending: None,
            outputs: Vec::new(),
        }
    }

    // ---- what the master says ----

    /// Sets how many containers of a shape there shall be.
    pub fn set_wanted(&mut self, now: Duration, wanted: Wanted) {
        let priority = wanted.priority;
        self.asks.want(wanted);
        let held = self.held.values().filter(|held| **held == priority).count();
        self.asks
            .set_held(priority, u32::try_from(held).unwrap_or(u32::MAX));
        self.last_progress_of_asks = now;
    }

    /// Gives a container back.
    pub fn release(&mut self, now: Duration, id: ContainerId) {
        if let Some(priority) = self.held.remove(&id) {
            self.asks.drop_one(priority);
        }
        if !self.ended.contains(&id) {
            self.releasing.insert(id, now);
            self.unsent_releases.insert(id);
        }
    }

    /// Hosts to take no containers of, or to take them of again.
    pub fn blacklist(&mut self, additions: Vec<String>, removals: &[String]) {
        self.blacklist.extend(additions);
        for host in removals {
            self.blacklist.remove(host);
        }
    }

    /// How far the application is, 0 to 1.
    pub fn set_progress(&mut self, progress: f32) {
        self.progress = progress.clamp(0.0, 1.0);
    }

    /// Where the master's web pages are from now on.
    pub fn set_tracking_url(&mut self, url: String) {
        self.config.tracking_url.clone_from(&url);
        self.tracking_url = Some(url);
    }

    /// Ends the application.
    pub fn finish(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }

    // ---- what is to be done ----

    /// Whether there is nothing more to do.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What the master is to be told, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// The call that is due, with its number; `None` while one is under way or none is due.
    pub fn next_call(&mut self, now: Duration) -> Option<(u64, Call)> {
        if self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        if self.gave_up(now) {
            return None;
        }
        let call = match (self.phase, &self.ending) {
            (Phase::Over, _) => return None,
            (Phase::Unregistered, _) => Call::Register(self.registration()),
            (Phase::Registered, Some(ending)) => Call::Finish(finish_request(ending)),
            (Phase::Registered, None) => Call::Allocate(self.heartbeat(now)),
        };
        self.call += 1;
        self.under_way = true;
        self.last_call = Some(now);
        Some((self.call, call))
    }

    /// When [`next_call`](Self::next_call) is to be asked again; `None` while it depends on an outcome.
    pub fn next_due(&self) -> Option<Duration> {
        if self.under_way || self.phase == Phase::Over {
            return None;
        }
        Some(self.not_before.max(self.due_by_cadence()))
    }

    fn due_by_cadence(&self) -> Duration {
        let Some(last) = self.last_call else {
            return Duration::ZERO;
        };
        let beginning_or_end =
            self.phase == Phase::Unregistered || self.ending.is_some() || self.request.is_some();
        if beginning_or_end {
            return Duration::ZERO;
        }
        last + if self.has_news() {
            LEAST_PAUSE
        } else {
            self.interval(last)
        }
    }

    fn interval(&self, last: Duration) -> Duration {
        if self.asks.missing() == 0 {
            return self.config.idle_interval;
        }
        let eager = last.saturating_sub(self.last_progress_of_asks) < self.config.eager_for;
        if eager {
            self.config.eager_interval
        } else {
            self.config.waiting_interval
        }
    }

    fn has_news(&self) -> bool {
        self.asks.needs_telling()
            || !self.unsent_releases.is_empty()
            || self.blacklist != self.blacklist_sent
            || self.tracking_url.is_some()
    }

    fn gave_up(&mut self, now: Duration) -> bool {
        let silence = now.saturating_sub(self.last_contact);
        let expired = self.failures > 0 && silence > self.config.expiry;
        if expired {
            self.shut_down(format!(
                "no ResourceManager could be reached for {} s",
                silence.as_secs()
            ));
        }
        expired
    }

    fn shut_down(&mut self, reason: String) {
        self.phase = Phase::Over;
        self.outputs
            .push(Output::Event(AmEvent::ShutdownRequested { reason }));
    }

    fn registration(&self) -> pb::RegisterApplicationMasterRequest {
        pb::RegisterApplicationMasterRequest {
            host: Some(self.config.host.clone()),
            rpc_port: Some(self.config.rpc_port),
            tracking_url: Some(self.config.tracking_url.clone()),
        }
    }

    /// The heartbeat of unknown outcome again, or a new one.
    fn heartbeat(&mut self, now: Duration) -> pb::AllocateRequest {
        if let Some(request) = &self.request {
            return request.clone();
        }
        self.forget_old_releases(now);
        if now.saturating_sub(self.last_progress_of_asks) > DOUBT_AFTER {
            self.asks.doubt();
            self.last_progress_of_asks = now;
        }
        let request = pb::AllocateRequest {
            ask: self.asks.requests(&self.blacklist),
            release: self.unsent_releases.iter().map(|id| (*id).into()).collect(),
            blacklist_request: self.blacklist_request(),
            response_id: Some(self.response_id),
            progress: Some(self.progress),
            tracking_url: self.tracking_url.take(),
        };
        self.unsent_releases.clear();
        self.blacklist_sent.clone_from(&self.blacklist);
        self.request = Some(request.clone());
        request
    }

    fn blacklist_request(&self) -> Option<pb::ResourceBlacklistRequest> {
        let difference = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect();
        (self.blacklist != self.blacklist_sent).then(|| pb::ResourceBlacklistRequest {
            additions: difference(&self.blacklist, &self.blacklist_sent),
            removals: difference(&self.blacklist_sent, &self.blacklist),
        })
    }

    fn forget_old_releases(&mut self, now: Duration) {
        self.releasing
            .retain(|_, since| now.saturating_sub(*since) < RELEASE_MEMORY);
    }

    // ---- what became of it ----

    /// Takes the outcome of call `number`; that of an earlier call changes nothing.
    pub fn handle(&mut self, now: Duration, number: u64, outcome: Outcome) {
        if number != self.call || !self.under_way {
            return;
        }
        self.under_way = false;
        if !matches!(outcome, Outcome::Failed(Failure::Unknown(_))) {
            self.failures = 0;
            self.last_contact = now;
        }
        match outcome {
            Outcome::Registered(response) => self.registered(now, response),
            Outcome::Allocated(response) => self.allocated(now, response),
            Outcome::Finished(true) => self.finished(),
            Outcome::Finished(false) => self.not_before = now + FINISH_PAUSE,
            Outcome::Failed(failure) => self.failed(now, failure),
        }
    }

    fn failed(&mut self, now: Duration, failure: Failure) {
        match failure {
            Failure::NotRegistered => self.resynchronise(now),
            Failure::AlreadyRegistered => {
                self.registered(now, pb::RegisterApplicationMasterResponse::default())
            }
            Failure::AttemptOver(reason) => self.shut_down(reason),
            Failure::InvalidRequest(reason) => self.rejected(now, reason),
            Failure::Unknown(reason) => {
                self.failures += 1;
                self.not_before = now
                    + FIRST_RETRY
                        .saturating_mul(1 << (self.failures - 1).min(8))
                        .min(LONGEST_RETRY);
                tracing::debug!(%reason, failures = self.failures, "a call to the ResourceManager failed");
            }
        }
    }

    /// The ResourceManager restarted: register, then say everything again.
    fn resynchronise(&mut self, now: Duration) {
        self.phase = Phase::Unregistered;
        self.not_before = now;
        self.forget_what_was_told();
    }

    /// Whatever the ResourceManager was told is to be told anew.
    fn forget_what_was_told(&mut self) {
        self.request = None;
        self.response_id = 0;
        self.asks.forgotten();
        self.unsent_releases = self.releasing.keys().copied().collect();
        self.blacklist_sent.clear();
    }

    fn registered(&mut self, now: Duration, response: pb::RegisterApplicationMasterResponse) {
        self.phase = Phase::Registered;
        self.forget_what_was_told();
        self.last_progress_of_asks = now;
        self.take_nm_tokens(&response.nm_tokens_from_previous_attempts);
        let previous = response.containers_from_previous_attempts.clone();
        if std::mem::replace(&mut self.ever_registered, true) {
            self.outputs.push(Output::Event(AmEvent::Reregistered));
        } else {
            self.outputs.push(Output::Registered(Box::new(response)));
        }
        self.take_previous(&previous);
    }

    /// The whole heartbeat was refused; all of it but the requests is to be said again.
    fn rejected(&mut self, now: Duration, reason: String) {
        let priorities = self.asks.refused();
        if priorities.is_empty() {
            return self.failed(now, Failure::Unknown(reason));
        }
        self.request = None;
        self.unsent_releases = self.releasing.keys().copied().collect();
        self.blacklist_sent.clear();
        self.outputs.push(Output::Event(AmEvent::RequestRejected {
            priorities,
            reason,
        }));
    }

    fn finished(&mut self) {
        self.phase = Phase::Over;
        self.outputs.push(Output::Finished);
    }

    fn allocated(&mut self, now: Duration, response: pb::AllocateResponse) {
        if response.am_command == Some(AM_SHUTDOWN) {
            return self.shut_down("the ResourceManager told the master to shut down".to_owned());
        }
        if response.am_command == Some(AM_RESYNC) {
            return self.resynchronise(now);
        }
        self.request = None;
        self.response_id = response.response_id();
        if let Some(token) = &response.am_rm_token {
            self.outputs.push(Output::AmRmToken(token.into()));
        }
        self.take_nm_tokens(&response.nm_tokens);
        self.take_previous(&response.containers_from_previous_attempts);
        for container in response
            .allocated_containers
            .iter()
            .filter_map(Container::from_wire)
        {
            self.granted(now, container);
        }
        self.asks.told();
        for status in response
            .completed_container_statuses
            .iter()
            .filter_map(ContainerStatus::from_wire)
        {
            self.completed(status);
        }
        self.take_news(&response);
    }

    fn take_nm_tokens(&mut self, tokens: &[pb::NmToken]) {
        for token in tokens {
            if let (Some(node), Some(token)) = (&token.node_id, &token.token) {
                self.outputs.push(Output::Event(AmEvent::NmToken {
                    node: NodeId::from(node),
                    token: token.into(),
                }));
            }
        }
    }

    fn take_news(&mut self, response: &pb::AllocateResponse) {
        let nodes: Vec<NodeReport> = response
            .updated_nodes
            .iter()
            .filter_map(NodeReport::from_wire)
            .collect();
        if !nodes.is_empty() {
            self.outputs
                .push(Output::Event(AmEvent::NodesUpdated(nodes)));
        }
        if let Some(message) = &response.preempt {
            self.outputs
                .push(Output::Event(AmEvent::Preemption(message.into())));
        }
    }

    /// Containers that run already: held, wanted or not; the master decides about them.
    fn take_previous(&mut self, containers: &[pb::Container]) {
        let mut news = Vec::new();
        for container in containers.iter().filter_map(Container::from_wire) {
            if self.releasing.contains_key(&container.id) {
                self.unsent_releases.insert(container.id);
            } else if !self.held.contains_key(&container.id) && !self.ended.contains(&container.id)
            {
                self.held.insert(container.id, container.priority);
                self.asks.hold(container.priority);
                news.push(container);
            }
        }
        if !news.is_empty() {
            self.outputs
                .push(Output::Event(AmEvent::PreviousContainers(news)));
        }
    }

    fn granted(&mut self, now: Duration, container: Container) {
        if self.held.contains_key(&container.id)
            || self.ended.contains(&container.id)
            || self.releasing.contains_key(&container.id)
        {
            return;
        }
        self.asks.granted(container.priority);
        self.last_progress_of_asks = now;
        if self.asks.has_room(container.priority) {
            self.asks.hold(container.priority);
            self.held.insert(container.id, container.priority);
            self.outputs
                .push(Output::Event(AmEvent::Allocated(container)));
        } else {
            self.surplus.insert(container.id);
            self.releasing.insert(container.id, now);
            self.unsent_releases.insert(container.id);
        }
    }

    fn completed(&mut self, status: ContainerStatus) {
        if !self.remember_end(status.id) {
            return;
        }
        let held = self.held.remove(&status.id);
        held.inspect(|priority| self.asks.drop_one(*priority));
        let released = self.releasing.remove(&status.id).is_some();
        if held.is_none() && !released {
            // Granted and ended before we were told of it: the ResourceManager's counts are lower than we think.
            self.asks.doubt();
        }
        self.unsent_releases.remove(&status.id);
        if !self.surplus.remove(&status.id) {
            self.outputs.push(Output::Event(AmEvent::Completed(status)));
        }
    }

    /// `false` if it was known already.
    fn remember_end(&mut self, id: ContainerId) -> bool {
        let new = self.ended.insert(id);
        if new {
            self.ended_order.push_back(id);
            if self.ended_order.len() > ENDED_MEMORY {
                let oldest = self.ended_order.pop_front();
                oldest.inspect(|oldest| {
                    self.ended.remove(oldest);
                });
            }
        }
        new
    }

    #[cfg(test)]
    pub fn account(&self, priority: i32) -> (u32, u32) {
        self.asks.account(priority)
    }

    #[cfg(test)]
    pub fn held(&self) -> impl Iterator<Item = &ContainerId> {
        self.held.keys()
    }

    #[cfg(test)]
    pub fn blacklisted(&self) -> &BTreeSet<String> {
        &self.blacklist
    }

    #[cfg(test)]
    pub fn is_quiet(&self) -> bool {
        !self.under_way
            && !self.has_news()
            && self.request.is_none()
            && self.phase == Phase::Registered
    }
}

/// `AMCommandProto.AM_RESYNC`.
const AM_RESYNC: i32 = 1;
/// `AMCommandProto.AM_SHUTDOWN`.
const AM_SHUTDOWN: i32 = 2;

fn finish_request(ending: &Ending) -> pb::FinishApplicationMasterRequest {
    pb::FinishApplicationMasterRequest {
        diagnostics: Some(ending.diagnostics.clone()),
        tracking_url: Some(ending.tracking_url.clone()),
        final_application_status: Some(ending.status.number()),
    }
}
