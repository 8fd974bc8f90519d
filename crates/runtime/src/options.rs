//! The options that the data path reads.
//!
//! Values are checked where a job is accepted (`JobSettings::from_config`); nothing is refused here any more.

use kvick_core::checkpoint::CheckpointSettings;
use kvick_core::config::options::{self, ConfigOption};
use kvick_core::config::{ConfigValue, Configuration};
use kvick_core::graph::{JobGraph, RuntimeMode};
use std::time::Duration;

/// The value of an option, under whichever of its names it is set. One that is none has been refused where the job was
/// accepted; should it come here all the same, the option's default holds, with a warning.
pub fn value<T: ConfigValue + Default>(config: &Configuration, option: &ConfigOption<T>) -> T {
    config.get(option).unwrap_or_else(|error| {
        crate::log::warn(&error.to_string());
        Configuration::default().get(option).unwrap_or_default()
    })
}

/// `execution.buffer-timeout.interval` in milliseconds; -1, for never, where `execution.buffer-timeout.enabled` says so.
pub fn buffer_timeout_ms(config: &Configuration) -> i64 {
    if !value(config, &options::BUFFER_TIMEOUT_ENABLED) {
        return -1;
    }
    i64::try_from(value(config, &options::BUFFER_TIMEOUT).as_millis()).unwrap_or(i64::MAX)
}

/// Batches that a channel may hold: `taskmanager.network.memory.buffers-per-channel`, and the channel's share of
/// `taskmanager.network.memory.floating-buffers-per-gate`.
pub fn channel_credit(config: &Configuration, channels: usize) -> u32 {
    let exclusive = value(config, &options::BUFFERS_PER_CHANNEL);
    let floating = value(config, &options::FLOATING_BUFFERS);
    exclusive.saturating_add(floating.div_ceil(channels.max(1) as u32)).max(1)
}

/// `pipeline.auto-watermark-interval`: how often watermarks are made; `None` for 0, never.
pub fn auto_watermark_interval(config: &Configuration) -> Option<Duration> {
    Some(value(config, &options::WATERMARK_INTERVAL)).filter(|interval| !interval.is_zero())
}

/// Whether tasks wait at the end of their data for a checkpoint: where checkpoints are periodic and go on after tasks have
/// finished. A configuration that cannot be read is refused where the job is accepted.
pub fn waits_at_end(graph: &JobGraph, config: &Configuration) -> bool {
    let settings = CheckpointSettings::from_config(&graph.config, config);
    let periodic = settings.is_ok_and(|s| s.interval.is_some() && s.after_tasks_finish);
    periodic && graph.mode == RuntimeMode::Streaming
}

/// Whether barriers may overtake records: `execution.checkpointing.unaligned.enabled`.
pub fn may_overtake(graph: &JobGraph, config: &Configuration) -> bool {
    CheckpointSettings::from_config(&graph.config, config).is_ok_and(|settings| settings.unaligned)
}

/// Whether the job runs in batch mode: its graph says so under `execution.runtime-mode`.
pub fn is_batch(config: &Configuration) -> bool {
    value(config, &options::RUNTIME_MODE) == RuntimeMode::Batch
}

/// `execution.checkpointing.local-backup.enabled`: whether local copies are made; where not set, if they are read
/// (`execution.state-recovery.from-local`).
pub fn local_backup(config: &Configuration) -> bool {
    if config.is_set(&options::LOCAL_BACKUP) {
        value(config, &options::LOCAL_BACKUP)
    } else {
        value(config, &options::FROM_LOCAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Configuration {
        pairs.iter().copied().collect()
    }

    #[test]
    fn buffers_wait_for_the_time_that_is_set_under_either_name_or_for_ever() {
        assert_eq!(buffer_timeout_ms(&config(&[])), 100);
        assert_eq!(buffer_timeout_ms(&config(&[("execution.buffer-timeout", "2 s")])), 2_000);
        assert_eq!(buffer_timeout_ms(&config(&[("execution.buffer-timeout.enabled", "False")])), -1);
    }

    #[test]
    fn local_copies_are_made_where_they_are_read_unless_said_otherwise() {
        let recovers = ("state.backend.local-recovery", "true");
        assert!(local_backup(&config(&[recovers])));
        assert!(!local_backup(&config(&[
            recovers,
            ("execution.checkpointing.local-backup.enabled", "false")
        ])));
    }
}
