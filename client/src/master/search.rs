//! Where to ask when an application's master does not answer: decided from what YARN says, and from how long it has been.
//!
//! Pure: asks nobody and reads no clock.

use crate::deploy::wait;
use kvick_yarn::records::{ApplicationReport, FinalStatus};
use std::time::{Duration, Instant};

/// How long a master may be away. YARN notices a lost process at a node's next heartbeat, but a lost node only when it expires:
/// after ten minutes by default.
const PATIENCE: Duration = Duration::from_secs(600);
/// The same for a master that has never answered, while YARN names it: it may be one that cannot be reached from here.
const STRANGER_PATIENCE: Duration = Duration::from_secs(30);
/// After which time the user is told what is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Whether an application has ended, or its master has said that it does.
pub fn is_over(report: &ApplicationReport) -> bool {
    report.state.is_terminal() || report.final_status != FinalStatus::Undefined
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask the master at this address.
    Elsewhere(String),
    /// Ask again where nobody answered: YARN names no other place, and the next master may be at the same.
    Here,
    /// Look again: the next master has not registered yet, or YARN does not answer.
    Look,
    /// There will be no master any more, or none came in time.
    GiveUp,
}

/// The search for the master that comes after one that does not answer.
#[derive(Debug)]
pub struct Search {
    address: String,
    began: Instant,
    /// Since when YARN has been naming the one that does not answer.
    named: Instant,
    /// How long it may do so.
    patience: Duration,
    told: bool,
}

impl Search {
    /// Nobody answers at `address`, where somebody did before if `heard`.
    pub fn begin(now: Instant, address: &str, heard: bool) -> Search {
        let patience = if heard { PATIENCE } else { STRANGER_PATIENCE };
        Search { address: address.to_string(), began: now, named: now, patience, told: false }
    }

    /// What to do, given what YARN says: `None` if it does not answer either.
    pub fn next(&mut self, now: Instant, report: Option<&ApplicationReport>) -> Next {
        if report.is_some_and(is_over) {
            return Next::GiveUp;
        }
        let named = report.map(wait::address_of);
        if let Some(Some(address)) = &named
            && *address != self.address
        {
            return Next::Elsewhere(address.clone());
        }
        if named == Some(None) {
            // The next one is coming.
            self.named = now;
        }
        if now.duration_since(self.began) >= PATIENCE || now.duration_since(self.named) >= self.patience {
            return Next::GiveUp;
        }
        match named {
            Some(Some(_)) => Next::Here,
            _ => Next::Look,
        }
    }

    /// What the user is to know by now: once, and only of a search that takes long.
    pub fn news(&mut self, now: Instant, report: Option<&ApplicationReport>) -> Option<String> {
        if self.told || now.duration_since(self.began) < SILENCE {
            return None;
        }
        self.told = true;
        let (address, minutes) = (&self.address, PATIENCE.as_secs() / 60);
        Some(match report {
            Some(report) => format!(
                "The application master of {} does not answer at {address}, and YARN calls the application {}: waiting for it or for the next one, up to {minutes} minutes.",
                report.id, report.state
            ),
            None => format!(
                "The application master does not answer at {address}, nor does YARN: waiting for both, up to {minutes} minutes."
            ),
        })
    }

    /// Whether the user was told of it.
    pub fn was_told(&self) -> bool {
        self.told
    }
}
