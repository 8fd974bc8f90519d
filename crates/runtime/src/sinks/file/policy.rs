//! When a part file is closed and the next one begun, and how parts are named.

use std::time::Duration;

/// When a part file is closed. The defaults are those of Flink's `DefaultRollingPolicy`: 128 MiB, a minute, a minute without
/// a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "DefaultRollingPolicy")]
pub struct RollingPolicy {
    pub(super) max_part_size: u64,
    pub(super) rollover_interval: Duration,
    pub(super) inactivity_interval: Duration,
    pub(super) on_checkpoint: bool,
}

impl Default for RollingPolicy {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        RollingPolicy {
            max_part_size: 128 << 20,
            rollover_interval: minute,
            inactivity_interval: minute,
            on_checkpoint: false,
        }
    }
}

impl RollingPolicy {
    /// Closes parts at every checkpoint, besides what the other rules say. Records are then seen by readers as soon as a
    /// checkpoint is complete, in more and smaller files.
    #[doc(alias = "OnCheckpointRollingPolicy")]
    pub fn on_checkpoint() -> RollingPolicy {
        RollingPolicy { on_checkpoint: true, ..RollingPolicy::default() }
    }

    /// A part that has this many bytes is closed.
    #[must_use]
    #[doc(alias = "withMaxPartSize")]
    pub fn with_max_part_size(mut self, bytes: u64) -> Self {
        self.max_part_size = bytes.max(1);
        self
    }

    /// A part that was begun this long ago is closed.
    #[must_use]
    #[doc(alias = "withRolloverInterval")]
    pub fn with_rollover_interval(mut self, interval: Duration) -> Self {
        self.rollover_interval = interval;
        self
    }

    /// A part that was last written to this long ago is closed.
    #[must_use]
    #[doc(alias = "withInactivityInterval")]
    pub fn with_inactivity_interval(mut self, interval: Duration) -> Self {
        self.inactivity_interval = interval;
        self
    }
}

/// What stands before and behind the unique part of a file's name: `<prefix>-<uid>-<n><suffix>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFileConfig {
    /// `part` by default.
    pub prefix: String,
    /// Empty by default; `.csv`, say.
    pub suffix: String,
}

impl Default for OutputFileConfig {
    fn default() -> Self {
        OutputFileConfig { prefix: "part".to_string(), suffix: String::new() }
    }
}
