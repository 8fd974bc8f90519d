//! Identifiers of applications, attempts, containers and nodes, in YARN's text form both ways.
//! Owns their grammar; knows nothing of what they identify.

use crate::proto::yarn as pb;
use std::fmt;
use std::str::FromStr;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}: expected {expected}")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

/// An application: when its ResourceManager started (ms since 1970) and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationId {
    /// Start time of the ResourceManager that gave the id, milliseconds since 1970.
    pub cluster_timestamp: i64,
    /// Number of the application under that ResourceManager, from 1.
    pub id: i32,
}

/// One attempt to run an application's master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationAttemptId {
    /// The application.
    pub application_id: ApplicationId,
    /// Number of the attempt, from 1.
    pub attempt: i32,
}

/// One container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId {
    /// The attempt that was given the container.
    pub attempt_id: ApplicationAttemptId,
    /// Epoch of the ResourceManager (how often it restarted) `<< 40`, plus a sequence number from 1.
    pub id: i64,
}

/// A NodeManager by the address of its container management service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// Host name as the NodeManager registered it.
    pub host: String,
    /// Port of the container management service.
    pub port: u16,
}

/// Bits of a container id that are its sequence number; those above are the epoch.
const SEQUENCE_BITS: u32 = 40;

impl ContainerId {
    /// How often the ResourceManager had restarted when it gave the container.
    pub fn epoch(&self) -> i64 {
        self.id >> SEQUENCE_BITS
    }

    /// Number of the container within its attempt and epoch; the master's own is 1.
    pub fn sequence(&self) -> i64 {
        self.id & ((1 << SEQUENCE_BITS) - 1)
    }
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "application_{}_{:04}", self.cluster_timestamp, self.id)
    }
}

impl fmt::Display for ApplicationAttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.application_id;
        write!(f, "appattempt_{}_{:04}_{:06}", app.cluster_timestamp, app.id, self.attempt)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("container_")?;
        if self.epoch() > 0 {
            write!(f, "e{:02}_", self.epoch())?;
        }
        let app = self.attempt_id.application_id;
        write!(
            f,
            "{}_{:04}_{:02}_{:06}",
            app.cluster_timestamp,
            app.id,
            self.attempt_id.attempt,
            self.sequence()
        )
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A non-negative decimal number without sign or spaces.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The parts of `text` after `prefix`, if there are exactly `N`.
fn parts<'a, const N: usize>(text: &'a str, prefix: &str) -> Option<[&'a str; N]> {
    let parts: Vec<&str> = text.strip_prefix(prefix)?.split('_').collect();
    parts.try_into().ok()
}

fn parse_application(text: &str) -> Option<ApplicationId> {
    let [timestamp, id] = parts(text, "application_")?;
    Some(ApplicationId { cluster_timestamp: number(timestamp)?, id: number(id)? })
}

fn parse_attempt(text: &str) -> Option<ApplicationAttemptId> {
    let [timestamp, id, attempt] = parts(text, "appattempt_")?;
    let application_id = ApplicationId { cluster_timestamp: number(timestamp)?, id: number(id)? };
    Some(ApplicationAttemptId { application_id, attempt: number(attempt)? })
}

/// The epoch (0 without one) and the rest, in which the prefix no longer is.
fn split_epoch(text: &str) -> Option<(i64, &str)> {
    let rest = text.strip_prefix("container_")?;
    match rest.strip_prefix('e') {
        None => Some((0, rest)),
        Some(rest) => {
            let (epoch, rest) = rest.split_once('_')?;
            Some((number(epoch)?, rest))
        }
    }
}

fn parse_container(text: &str) -> Option<ContainerId> {
    let (epoch, rest) = split_epoch(text)?;
    let [timestamp, id, attempt, sequence] = parts(rest, "")?;
    let sequence: i64 = number(sequence)?;
    if epoch >= 1 << (63 - SEQUENCE_BITS) || sequence >= 1 << SEQUENCE_BITS {
        return None;
    }
    let application_id = ApplicationId { cluster_timestamp: number(timestamp)?, id: number(id)? };
    let attempt_id = ApplicationAttemptId { application_id, attempt: number(attempt)? };
    Some(ContainerId { attempt_id, id: epoch << SEQUENCE_BITS | sequence })
}

fn parse_node(text: &str) -> Option<NodeId> {
    let (host, port) = text.rsplit_once(':')?;
    (!host.is_empty()).then_some(())?;
    Some(NodeId { host: host.to_owned(), port: number(port)? })
}

/// `FromStr` by a parsing function and what to say when it finds nothing.
macro_rules! from_str {
    ($type:ty, $parse:ident, $what:literal, $expected:literal) => {
        impl FromStr for $type {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                $parse(text).ok_or_else(|| ParseIdError {
                    text: text.to_owned(),
                    what: $what,
                    expected: $expected,
                })
            }
        }
    };
}

from_str!(ApplicationId, parse_application, "application id", "application_<cluster timestamp>_<number>");
from_str!(
    ApplicationAttemptId,
    parse_attempt,
    "attempt id",
    "appattempt_<cluster timestamp>_<number>_<attempt>"
);
from_str!(
    ContainerId,
    parse_container,
    "container id",
    "container_[e<epoch>_]<cluster timestamp>_<number>_<attempt>_<number>"
);
from_str!(NodeId, parse_node, "node id", "<host>:<port>");

impl From<ApplicationId> for pb::ApplicationId {
    fn from(id: ApplicationId) -> Self {
        Self { id: Some(id.id), cluster_timestamp: Some(id.cluster_timestamp) }
    }
}

impl From<&pb::ApplicationId> for ApplicationId {
    fn from(id: &pb::ApplicationId) -> Self {
        Self { cluster_timestamp: id.cluster_timestamp(), id: id.id() }
    }
}

impl From<ApplicationAttemptId> for pb::ApplicationAttemptId {
    fn from(id: ApplicationAttemptId) -> Self {
        Self { application_id: Some(id.application_id.into()), attempt_id: Some(id.attempt) }
    }
}

impl From<&pb::ApplicationAttemptId> for ApplicationAttemptId {
    fn from(id: &pb::ApplicationAttemptId) -> Self {
        let application_id = id.application_id.as_ref().map(ApplicationId::from).unwrap_or(NO_APPLICATION);
        Self { application_id, attempt: id.attempt_id() }
    }
}

/// What an absent application id reads as.
const NO_APPLICATION: ApplicationId = ApplicationId { cluster_timestamp: 0, id: 0 };

impl From<ContainerId> for pb::ContainerId {
    fn from(id: ContainerId) -> Self {
        Self { app_id: None, app_attempt_id: Some(id.attempt_id.into()), id: Some(id.id) }
    }
}

impl From<&pb::ContainerId> for ContainerId {
    fn from(id: &pb::ContainerId) -> Self {
        let attempt_id = id.app_attempt_id.as_ref().map(ApplicationAttemptId::from);
        let attempt_id =
            attempt_id.unwrap_or(ApplicationAttemptId { application_id: NO_APPLICATION, attempt: 0 });
        Self { attempt_id, id: id.id() }
    }
}

impl From<&pb::NodeId> for NodeId {
    fn from(id: &pb::NodeId) -> Self {
        Self { host: id.host().to_owned(), port: u16::try_from(id.port()).unwrap_or(0) }
    }
}

impl From<&NodeId> for pb::NodeId {
    fn from(id: &NodeId) -> Self {
        Self { host: Some(id.host.clone()), port: Some(i32::from(id.port)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        for text in ["application_1795246061534_0001", "application_1795246061534_12345"] {
            assert_eq!(text.parse::<ApplicationId>().unwrap().to_string(), text);
        }
        let text = "appattempt_1795246061534_0001_000002";
        assert_eq!(text.parse::<ApplicationAttemptId>().unwrap().to_string(), text);
        for text in ["container_1795246061534_0001_01_000001", "container_e01_1795246061534_0001_01_1000001"]
        {
            assert_eq!(text.parse::<ContainerId>().unwrap().to_string(), text);
        }
        assert_eq!("h:1".parse::<NodeId>().unwrap().to_string(), "h:1");
    }

    #[test]
    fn epoch_is_in_the_high_bits() {
        let id: ContainerId = "container_e01_1795246061534_0001_01_000001".parse().unwrap();
        assert_eq!((id.id, id.epoch(), id.sequence()), (1_099_511_627_777, 1, 1));
    }

    #[test]
    fn malformed_ids_are_refused_by_name() {
        for text in
            ["", "application_1", "application_1_2_3", "application_-1_2", "application_1_ 2", "job_1_2"]
        {
            let error = text.parse::<ApplicationId>().unwrap_err().to_string();
            assert!(error.contains("is no application id"), "{error}");
        }
        for text in [
            "container_eX_1_2_3_4",
            "container_1_2_3",
            "container_e99999999_1_2_3_4",
            "container_1_2_3_2000000000000",
        ] {
            assert!(text.parse::<ContainerId>().is_err(), "{text}");
        }
        assert!("host:70000".parse::<NodeId>().is_err());
    }
}
