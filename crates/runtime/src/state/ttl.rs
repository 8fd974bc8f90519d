//! Time to live: after which span a value counts as gone, and what counts as use of it. The names are Flink's
//! (`StateTtlConfig`).

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
    pub fn update_type(mut self, update: TtlUpdate) -> StateTtlConfig {
        self.update = update;
        self
    }

    /// Whether what has expired can be seen.
    #[must_use]
    pub fn state_visibility(mut self, visibility: StateVisibility) -> StateTtlConfig {
        self.visibility = visibility;
        self
    }
}
