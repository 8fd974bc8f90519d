//! The master's side of the protocol as a state machine: no clock, no socket, no task.
//! Owns response ids, registration, what is held and released, and when the next call is due; performs nothing.
//!
//! One call is under way at a time. [`Machine::next_call`] gives it when it is due, [`Machine::handle`] takes its outcome,
//! [`Machine::take_outputs`] what the master is to be told. A call whose outcome is unknown is repeated unchanged: the
//! ResourceManager answers a repeated response id with the same answer again, so nothing is lost or done twice.

mod outcomes;

use super::asks::Asks;
use super::containers::Containers;
use super::updates::{ContainerUpdate, Updated, Updates};
use super::{AmConfig, AmEvent, Wanted};
use crate::credentials::Token;
use crate::ids::ContainerId;
use crate::proto::yarn as pb;
use crate::records::{Container, FinalStatus};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the ResourceManager is asked often after it was asked to be.
const HURRY: Duration = Duration::from_secs(5);
/// Pause between heartbeats in that time.
const HURRIED: Duration = Duration::from_millis(200);
/// Least pause between two heartbeats, however much changes.
const LEAST_PAUSE: Duration = Duration::from_millis(5);
/// How long requests may go without any grant before they are made again.
const DOUBT_AFTER: Duration = Duration::from_secs(60);

/// A call to make.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Register(pb::RegisterApplicationMasterRequest),
    Allocate(pb::AllocateRequest),
    Finish(pb::FinishApplicationMasterRequest),
}

/// What became of a call. Only one lives at a time, so that its size is of no account.
#[allow(clippy::large_enum_variant)]
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
    /// It expects another response id than the one sent.
    OutOfStep(i32),
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
    /// What became of a change to a container.
    Updated(ContainerId, Updated),
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
    last_failure: String,
    not_before: Duration,
    last_call: Option<Duration>,
    last_contact: Duration,
    last_progress_of_asks: Duration,
    asks: Asks,
    containers: Containers,
    updates: Updates,
    /// Until when the ResourceManager is asked often, wanted or not.
    hurry_until: Duration,
    blacklist: BTreeSet<String>,
    blacklist_sent: BTreeSet<String>,
    progress: f32,
    tracking_url: Option<String>,
    /// The newest token that came; the ResourceManager repeats it until a connection has used it.
    am_rm_token: Option<Token>,
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
            last_failure: String::new(),
            not_before: now,
            last_call: None,
            last_contact: now,
            last_progress_of_asks: now,
            asks: Asks::default(),
            containers: Containers::default(),
            updates: Updates::default(),
            hurry_until: Duration::ZERO,
            blacklist: BTreeSet::new(),
            blacklist_sent: BTreeSet::new(),
            progress: 0.0,
            tracking_url: None,
            am_rm_token: None,
            ending: None,
            outputs: Vec::new(),
        }
    }

    // ---- what the master says ----

    /// Sets how many containers of a shape there shall be.
    pub fn set_wanted(&mut self, now: Duration, wanted: Wanted) {
        let priority = wanted.priority;
        self.asks.want(wanted);
        self.asks.set_held(priority, self.containers.held_of(priority));
        self.last_progress_of_asks = now;
    }

    /// Gives a container back.
    pub fn release(&mut self, now: Duration, id: ContainerId) {
        if let Some(priority) = self.containers.release(now, id) {
            self.asks.drop_one(priority);
        }
    }

    /// Asks for a change to a held container.
    pub fn update(&mut self, container: &Container, update: &ContainerUpdate) {
        let former = self.updates.ask(container, update);
        self.outputs.extend(former.map(|refused| Output::Updated(container.id, Err(refused))));
    }

    /// Hosts to take no containers of, or to take them of again.
    pub fn blacklist(&mut self, additions: Vec<String>, removals: &[String]) {
        self.blacklist.extend(additions);
        for host in removals {
            self.blacklist.remove(host);
        }
    }

    /// Something is about to be known of containers.
    pub fn hurry(&mut self, now: Duration) {
        self.hurry_until = now + HURRY;
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
        last + if self.has_news() { LEAST_PAUSE } else { self.interval(last) }
    }

    fn interval(&self, last: Duration) -> Duration {
        if self.asks.missing() == 0 {
            let hurried = last < self.hurry_until;
            return if hurried { HURRIED.min(self.config.idle_interval) } else { self.config.idle_interval };
        }
        let eager = last.saturating_sub(self.last_progress_of_asks) < self.config.eager_for;
        if eager { self.config.eager_interval } else { self.config.waiting_interval }
    }

    fn has_news(&self) -> bool {
        self.asks.needs_telling()
            || self.containers.has_unsent()
            || self.updates.has_unsent()
            || self.blacklist != self.blacklist_sent
            || self.tracking_url.is_some()
    }

    fn gave_up(&mut self, now: Duration) -> bool {
        let silence = now.saturating_sub(self.last_contact);
        let expired = self.failures > 0 && silence > self.config.expiry;
        if expired {
            let seconds = silence.as_secs();
            let last = std::mem::take(&mut self.last_failure);
            self.shut_down(format!("the ResourceManager did not answer for {seconds} s: {last}"));
        }
        expired
    }

    fn shut_down(&mut self, reason: String) {
        self.phase = Phase::Over;
        self.outputs.push(Output::Event(AmEvent::ShutdownRequested { reason }));
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
        if now.saturating_sub(self.last_progress_of_asks) > DOUBT_AFTER {
            self.asks.doubt();
            self.last_progress_of_asks = now;
        }
        let request = pb::AllocateRequest {
            ask: self.asks.requests(&self.blacklist),
            release: self.containers.take_unsent(now),
            blacklist_request: self.blacklist_request(),
            response_id: Some(self.response_id),
            progress: Some(self.progress),
            update_requests: self.updates.take_unsent(),
            tracking_url: self.tracking_url.take(),
        };
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

    #[cfg(test)]
    pub fn account(&self, priority: i32) -> (u32, u32) {
        self.asks.account(priority)
    }

    #[cfg(test)]
    pub fn held(&self) -> impl Iterator<Item = &ContainerId> {
        self.containers.held()
    }

    #[cfg(test)]
    pub fn blacklisted(&self) -> &BTreeSet<String> {
        &self.blacklist
    }

    #[cfg(test)]
    pub fn is_quiet(&self) -> bool {
        !self.under_way && !self.has_news() && self.request.is_none() && self.phase == Phase::Registered
    }
}

fn finish_request(ending: &Ending) -> pb::FinishApplicationMasterRequest {
    pb::FinishApplicationMasterRequest {
        diagnostics: Some(ending.diagnostics.clone()),
        tracking_url: Some(ending.tracking_url.clone()),
        final_application_status: Some(ending.status.number()),
    }
}
