//! Identifiers as newtypes, with the text form that users see.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A text that is not the 32 hexadecimal digits of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse id from \"{0}\": expected 32 hexadecimal digits")]
pub struct ParseIdError(pub String);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let well_formed = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
                match u128::from_str_radix(text, 16) {
                    Ok(value) if well_formed => Ok($name(value)),
                    _ => Err(ParseIdError(text.to_string())),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id! {
    /// A job: 32 hexadecimal digits, as in `Job has been submitted with JobID …`.
    JobId
}

hex_id! {
    /// A vertex of the job graph: stable for a given program, derived from `uid` or from the structure of the graph.
    VertexId
}

/// A task executor. On YARN this is its container's id; it is what REST calls `taskmanager-id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutorId(pub String);

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A slot of a task executor, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId {
    /// The task executor that offers the slot.
    pub executor: ExecutorId,
    /// Its index there.
    pub index: u32,
}

/// One attempt at running one subtask of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecutionId {
    /// The vertex.
    pub vertex: VertexId,
    /// The subtask's index, from 0.
    pub subtask: u32,
    /// The attempt, from 0; one more at each restart.
    pub attempt: u32,
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.vertex, self.subtask, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = JobId(0xfd72_014d_4c86_4993_a2e5_a928_7b4a_9c5d);
        assert_eq!(id.to_string(), "fd72014d4c864993a2e5a9287b4a9c5d");
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
    }

    #[test]
    fn a_short_signed_or_non_hexadecimal_text_is_no_id() {
        for text in ["", "zzz", "+d72014d4c864993a2e5a9287b4a9c5d", "fd72014d4c864993a2e5a9287b4a9c5"] {
            assert_eq!(text.parse::<JobId>(), Err(ParseIdError(text.to_string())));
        }
    }
}
