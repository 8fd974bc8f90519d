//! Time to live: after which span a value counts as gone, and what counts as use of it. The names are Flink's
//! (`StateTtlConfig`).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What gives a value a new life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TtlUpdate {
    /// Creating and writing it.
    #[default]
    OnCreateAndWrite,
    /// Reading it as well.
    OnReadAndWrite,
}

/// Whether a value that has expired, but is not yet cleaned up, is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateVisibility {
    /// Never.
    #[default]
    NeverReturnExpired,
    /// While it is still there.
    ReturnExpiredIfNotCleanedUp,
}

/// The time to live of a state's values, by processing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTtlConfig {
    /// How long a value lives after its last use.
    pub time_to_live: Duration,
    /// What counts as use.
    pub update: TtlUpdate,
    /// Whether what has expired can be seen.
    pub visibility: StateVisibility,
}

/// The short name by which tables know it.
pub type StateTtl = StateTtlConfig;

impl StateTtlConfig {
    /// Values live this long after they were created or written.
    pub fn new(time_to_live: Duration) -> StateTtlConfig {
        let (update, visibility) = (TtlUpdate::default(), StateVisibility::default());
        StateTtlConfig { time_to_live, update, visibility }
    }

    /// What counts as use.
    #[must_use]
    #[doc(alias = "setUpdateType")]
    pub fn update_type(mut self, update: TtlUpdate) -> StateTtlConfig {
        self.update = update;
        self
    }

    /// Whether what has expired can be seen.
    #[must_use]
    #[doc(alias = "setStateVisibility")]
    pub fn state_visibility(mut self, visibility: StateVisibility) -> StateTtlConfig {
        self.visibility = visibility;
        self
    }
}

/// A value with the time of its last use, in epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamped<V> {
    pub value: V,
    pub at: i64,
}

/// A time to live at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub config: StateTtlConfig,
    pub now: i64,
}

impl Lifetime {
    /// When what was used last `at` a time expires.
    pub fn end_of(&self, at: i64) -> i64 {
        let span = i64::try_from(self.config.time_to_live.as_millis()).unwrap_or(i64::MAX);
        at.saturating_add(span)
    }

    /// Whether what was used last `at` a time has expired.
    pub fn is_past(&self, at: i64) -> bool {
        self.end_of(at) <= self.now
    }

    pub fn is_over<V>(&self, stamped: &Stamped<V>) -> bool {
        self.is_past(stamped.at)
    }

    /// Whether a value is to be shown.
    pub fn shows<V>(&self, stamped: &Stamped<V>) -> bool {
        self.config.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp || !self.is_over(stamped)
    }

    pub fn stamp<V>(&self, value: V) -> Stamped<V> {
        Stamped { value, at: self.now }
    }

    /// Lets `change` see what is to be shown of a value, and stamps what it leaves.
    pub fn change<V, R>(&self, slot: &mut Option<Stamped<V>>, change: impl FnOnce(&mut Option<V>) -> R) -> R {
        let mut value = slot.take().filter(|stamped| self.shows(stamped)).map(|stamped| stamped.value);
        let result = change(&mut value);
        *slot = value.map(|value| self.stamp(value));
        result
    }

    /// Whether reading a value gives it a new life.
    pub fn renews(&self) -> bool {
        self.config.update == TtlUpdate::OnReadAndWrite
    }

    /// Gives a value a new life, unless it has expired.
    pub fn renew<V>(&self, stamped: &mut Stamped<V>) {
        if !self.is_over(stamped) {
            stamped.at = self.now;
        }
    }
}
