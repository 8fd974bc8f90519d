//! By what records are found, as a text too: the path of a record below its application.

use crate::ids::JobId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// By what a record is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RecordKey {
    /// A job that is to be run.
    Job(JobId),
    /// A completed checkpoint of a job.
    Checkpoint(JobId, u64),
    /// How a job ended.
    Result(JobId),
    /// How often a job was started again.
    Restarts(JobId),
    /// That a job has a client that must be there.
    Client(JobId),
    /// What the application's own program recorded with `once`.
    Once,
}

/// The text of [`RecordKey::Once`].
const ONCE: &str = "program/once";

impl fmt::Display for RecordKey {
    /// A relative path, with the names that Flink uses in ZooKeeper.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordKey::Job(job) => write!(f, "jobgraphs/{job}"),
            // 19 digits, as `ZooKeeperCheckpointStoreUtil` names them: they sort as text.
            RecordKey::Checkpoint(job, id) => write!(f, "checkpoints/{job}/{id:019}"),
            RecordKey::Result(job) => write!(f, "results/{job}"),
            RecordKey::Restarts(job) => write!(f, "restarts/{job}"),
            RecordKey::Client(job) => write!(f, "clients/{job}"),
            RecordKey::Once => f.write_str(ONCE),
        }
    }
}

/// A text that names no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the key of a record")]
pub struct KeyError(pub String);

impl FromStr for RecordKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<RecordKey, KeyError> {
        if text == ONCE {
            return Ok(RecordKey::Once);
        }
        let wrong = || KeyError(text.to_string());
        let parts: Vec<&str> = text.split('/').collect();
        let job = parts.get(1).and_then(|id| id.parse().ok()).ok_or_else(wrong)?;
        match (parts[0], parts.get(2), parts.len()) {
            ("jobgraphs", None, _) => Ok(RecordKey::Job(job)),
            ("results", None, _) => Ok(RecordKey::Result(job)),
            ("restarts", None, _) => Ok(RecordKey::Restarts(job)),
            ("clients", None, _) => Ok(RecordKey::Client(job)),
            ("checkpoints", Some(id), 3) => {
                id.parse().map(|id| RecordKey::Checkpoint(job, id)).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

impl From<RecordKey> for String {
    fn from(key: RecordKey) -> String {
        key.to_string()
    }
}

impl TryFrom<String> for RecordKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<RecordKey, KeyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_nothing_else_is_one() {
        for key in [
            RecordKey::Job(JobId(7)),
            RecordKey::Checkpoint(JobId(7), 12),
            RecordKey::Result(JobId(1)),
            RecordKey::Restarts(JobId(2)),
            RecordKey::Client(JobId(3)),
            RecordKey::Once,
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for text in
            ["", "jobgraphs", "jobgraphs/xyz", "checkpoints/00000000000000000000000000000007", "a/b/c/d"]
        {
            assert_eq!(text.parse::<RecordKey>(), Err(KeyError(text.to_string())));
        }
    }
}
