//! What the outcome of a call changes in the machine, and what the master is told of it.
//! Owns the reading of answers and failures; decides on no call.

use super::{Failure, Machine, Outcome, Output, Phase};
use crate::am::AmEvent;
use crate::credentials::Token;
use crate::ids::NodeId;
use crate::proto::yarn as pb;
use crate::records::{Container, ContainerStatus, NodeReport};
use std::time::Duration;

/// `AMCommandProto.AM_RESYNC`.
const AM_RESYNC: i32 = 1;
/// `AMCommandProto.AM_SHUTDOWN`.
const AM_SHUTDOWN: i32 = 2;
/// First pause after a failed call.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest pause after failed calls.
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// Pause between two attempts to finish.
const FINISH_PAUSE: Duration = Duration::from_millis(100);

impl Machine {
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
            Failure::OutOfStep(expected) => {
                self.forget_what_was_told();
                self.response_id = expected;
                self.asks.doubt();
            }
            Failure::InvalidRequest(reason) => self.rejected(now, reason),
            Failure::Unknown(reason) => {
                self.failures += 1;
                self.last_failure.clone_from(&reason);
                self.not_before =
                    now + FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(8)).min(LONGEST_RETRY);
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
        self.containers.resend();
        self.updates.resend();
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
        self.containers.resend();
        self.updates.resend();
        self.blacklist_sent.clear();
        self.outputs.push(Output::Event(AmEvent::RequestRejected { priorities, reason }));
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
        self.take_am_rm_token(&response);
        self.take_nm_tokens(&response.nm_tokens);
        self.take_previous(&response.containers_from_previous_attempts);
        for container in response.allocated_containers.iter().filter_map(Container::from_wire) {
            self.granted(now, container);
        }
        self.asks.told();
        let answers = self.updates.answered(&response);
        self.outputs.extend(answers.into_iter().map(|(id, answer)| Output::Updated(id, answer)));
        for status in response.completed_container_statuses.iter().filter_map(ContainerStatus::from_wire) {
            self.completed(status);
        }
        self.take_news(&response);
    }

    fn take_am_rm_token(&mut self, response: &pb::AllocateResponse) {
        let token = response.am_rm_token.as_ref().map(Token::from);
        if token.is_some() && token != self.am_rm_token {
            self.outputs.extend(token.clone().map(Output::AmRmToken));
            self.am_rm_token = token;
        }
    }

    fn take_nm_tokens(&mut self, tokens: &[pb::NmToken]) {
        for token in tokens {
            if let (Some(node), Some(token)) = (&token.node_id, &token.token) {
                self.outputs
                    .push(Output::Event(AmEvent::NmToken { node: NodeId::from(node), token: token.into() }));
            }
        }
    }

    fn take_news(&mut self, response: &pb::AllocateResponse) {
        let nodes: Vec<NodeReport> =
            response.updated_nodes.iter().filter_map(NodeReport::from_wire).collect();
        if !nodes.is_empty() {
            self.outputs.push(Output::Event(AmEvent::NodesUpdated(nodes)));
        }
        if let Some(message) = &response.preempt {
            self.outputs.push(Output::Event(AmEvent::Preemption(message.into())));
        }
    }

    /// Containers that run already: held, wanted or not; the master decides about them.
    fn take_previous(&mut self, containers: &[pb::Container]) {
        let mut news = Vec::new();
        for container in containers.iter().filter_map(Container::from_wire) {
            self.containers.insist(container.id);
            if !self.containers.is_known(&container.id) {
                self.containers.hold(container.id, container.priority);
                self.asks.hold(container.priority);
                news.push(container);
            }
        }
        if !news.is_empty() {
            self.outputs.push(Output::Event(AmEvent::PreviousContainers(news)));
        }
    }

    fn granted(&mut self, now: Duration, container: Container) {
        if self.containers.is_known(&container.id) {
            return;
        }
        self.asks.granted(container.priority);
        self.last_progress_of_asks = now;
        if self.asks.has_room(container.priority) {
            self.asks.hold(container.priority);
            self.containers.hold(container.id, container.priority);
            self.outputs.push(Output::Event(AmEvent::Allocated(container)));
        } else {
            self.containers.give_back(now, container.id);
        }
    }

    fn completed(&mut self, status: ContainerStatus) {
        if let Some(refused) = self.updates.ended(status.id) {
            self.outputs.push(Output::Updated(status.id, Err(refused)));
        }
        let Some(end) = self.containers.end(status.id) else {
            return;
        };
        if let Some(priority) = end.held {
            self.asks.drop_one(priority);
        } else if !end.released {
            // Granted and ended before we were told of it: the ResourceManager's counts are lower than we think.
            self.asks.doubt();
        }
        if !end.surplus {
            self.outputs.push(Output::Event(AmEvent::Completed(status)));
        }
    }
}
