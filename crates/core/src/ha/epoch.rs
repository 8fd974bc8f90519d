//! Which application master is the later one: the order in which those that share records take over from each other.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One application master among all that may lead with the same records: an attempt of an application. A greater one is the
/// later one.
///
/// With `high-availability.cluster-id` an application goes on with the records of an earlier one, whose attempts were counted
/// for themselves. YARN's ids of applications are in the order of submission, and so the application counts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch {
    /// Start time of the ResourceManager that gave the application its id (`ApplicationIdProto.cluster_timestamp`),
    /// milliseconds since 1970; 0 in records that were made before applications were told apart.
    #[serde(default)]
    pub cluster_timestamp: u64,
    /// Number of the application under that ResourceManager (`ApplicationIdProto.id`).
    #[serde(default)]
    pub application: u32,
    /// The YARN attempt, from 1. Within the application it alone is the epoch of what is said.
    #[serde(rename = "epoch")]
    pub attempt: u64,
}

impl Epoch {
    /// An attempt of an application that is not known, which is earlier than every one that is.
    pub const fn of_attempt(attempt: u64) -> Epoch {
        Epoch { cluster_timestamp: 0, application: 0, attempt }
    }

    /// Whether both are attempts of the same application.
    pub fn same_application(&self, other: &Epoch) -> bool {
        (self.cluster_timestamp, self.application) == (other.cluster_timestamp, other.application)
    }

    /// The name of its directory, and its form wherever a program reads it. [`str::parse`] is the inverse.
    pub fn key(&self) -> String {
        let Epoch { cluster_timestamp, application, attempt } = self;
        if self.same_application(&Epoch::of_attempt(0)) {
            return format!("{attempt:010}");
        }
        format!("{cluster_timestamp:013}-{application:010}-{attempt:010}")
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}", self.attempt)?;
        match self.same_application(&Epoch::of_attempt(0)) {
            true => Ok(()),
            false => write!(f, " of application_{}_{:04}", self.cluster_timestamp, self.application),
        }
    }
}

/// A text that is the key of no [`Epoch`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no attempt of an application")]
pub struct EpochError(pub String);

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Epoch, EpochError> {
        let number = |part: &str| part.parse::<u64>().ok();
        let parts: Option<Vec<u64>> = text.split('-').map(number).collect();
        let epoch = match parts.as_deref() {
            Some([attempt]) => Some(Epoch::of_attempt(*attempt)),
            Some([cluster_timestamp, application, attempt]) => {
                u32::try_from(*application).ok().map(|application| Epoch {
                    cluster_timestamp: *cluster_timestamp,
                    application,
                    attempt: *attempt,
                })
            }
            _ => None,
        };
        epoch.ok_or_else(|| EpochError(text.to_string()))
    }
}

/// The attempt whose directory has this name; `None` for any other name.
pub fn epoch_of_directory(name: &str) -> Option<Epoch> {
    name.parse().ok().filter(|epoch: &Epoch| epoch.key() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(application: u32, attempt: u64) -> Epoch {
        Epoch { cluster_timestamp: 1_410_901_177_871, application, attempt }
    }

    #[test]
    fn the_application_counts_before_its_attempt_and_what_has_none_is_oldest() {
        assert!(epoch(8, 1) > epoch(7, 3));
        assert!(epoch(7, 3) > epoch(7, 2));
        assert!(epoch(1, 1) > Epoch::of_attempt(9));
        assert!(Epoch { cluster_timestamp: 1_500_000_000_000, ..epoch(1, 1) } > epoch(999, 9));
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_sorts_as_text() {
        for epoch in [epoch(12, 3), Epoch::of_attempt(3)] {
            assert_eq!(epoch.key().parse(), Ok(epoch));
            assert_eq!(epoch_of_directory(&epoch.key()), Some(epoch));
        }
        assert!(epoch(10, 1).key() > epoch(9, 2).key());
        assert_eq!("3".parse(), Ok(Epoch::of_attempt(3)), "as earlier engines wrote it");
        for name in ["3", "records", "1-2", "1410901177871-8-1", "1-2-3-4", ""] {
            assert_eq!(epoch_of_directory(name), None, "{name}");
        }
    }

    #[test]
    fn a_person_reads_the_application_as_yarn_writes_it() {
        assert_eq!(epoch(12, 3).to_string(), "attempt 3 of application_1410901177871_0012");
        assert_eq!(Epoch::of_attempt(3).to_string(), "attempt 3");
    }
}
