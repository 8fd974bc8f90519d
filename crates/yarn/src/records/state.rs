//! The states of an application and how it can end.

use std::fmt;

/// Where an application is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApplicationState {
    /// Just made.
    New,
    /// Being written to the ResourceManager's store.
    NewSaving,
    /// Submitted.
    Submitted,
    /// Waiting for its master.
    Accepted,
    /// Its master has registered.
    Running,
    /// Its master has said how it ended.
    Finished,
    /// It ended without its master having said so.
    Failed,
    /// It was killed.
    Killed,
    /// A state that this crate does not know.
    Other(i32),
}

/// Name and number of every known state (`YarnApplicationStateProto`).
const STATES: [(ApplicationState, &str, i32); 8] = [
    (ApplicationState::New, "NEW", 1),
    (ApplicationState::NewSaving, "NEW_SAVING", 2),
    (ApplicationState::Submitted, "SUBMITTED", 3),
    (ApplicationState::Accepted, "ACCEPTED", 4),
    (ApplicationState::Running, "RUNNING", 5),
    (ApplicationState::Finished, "FINISHED", 6),
    (ApplicationState::Failed, "FAILED", 7),
    (ApplicationState::Killed, "KILLED", 8),
];

impl ApplicationState {
    /// Whether nothing will change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

impl From<i32> for ApplicationState {
    fn from(state: i32) -> Self {
        STATES
            .iter()
            .find(|(_, _, number)| *number == state)
            .map_or(Self::Other(state), |(state, _, _)| *state)
    }
}

impl From<ApplicationState> for i32 {
    fn from(state: ApplicationState) -> Self {
        match state {
            ApplicationState::Other(other) => other,
            known => STATES.iter().find(|(state, _, _)| *state == known).map_or(0, |(_, _, number)| *number),
        }
    }
}

impl fmt::Display for ApplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match STATES.iter().find(|(state, _, _)| state == self) {
            Some((_, name, _)) => f.pad(name),
            None => f.pad("UNKNOWN"),
        }
    }
}

/// How an application ended by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalStatus {
    /// Not (yet) said.
    Undefined,
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// It was killed.
    Killed,
    /// Its parts ended in different ways.
    Ended,
}

impl From<i32> for FinalStatus {
    fn from(status: i32) -> Self {
        match status {
            1 => Self::Succeeded,
            2 => Self::Failed,
            3 => Self::Killed,
            4 => Self::Ended,
            _ => Self::Undefined,
        }
    }
}

impl FinalStatus {
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Undefined => 0,
            Self::Succeeded => 1,
            Self::Failed => 2,
            Self::Killed => 3,
            Self::Ended => 4,
        }
    }
}

impl fmt::Display for FinalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Undefined => "UNDEFINED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Ended => "ENDED",
        })
    }
}
