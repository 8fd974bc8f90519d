//! The configuration keys that the data path reads, with Flink's names and defaults.

use kvick_core::checkpoint::CheckpointSettings;
use kvick_core::config::Configuration;
use kvick_core::graph::{JobGraph, RuntimeMode};
use std::time::Duration;

/// A duration as Flink writes it: `100 ms`, `5s`, `1 min`, or a bare number of milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let amount: u64 = text[..digits].parse().ok()?;
    let nanos = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "min" | "m" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        _ => return None,
    };
    Some(Duration::from_nanos(amount.checked_mul(nanos)?))
}

/// The duration of a key, or the default where it is missing or no duration.
pub fn duration(config: &Configuration, key: &str, default: Duration) -> Duration {
    let Some(text) = config.raw(key) else { return default };
    parse_duration(text).unwrap_or_else(|| {
        crate::log::warn(&format!("{key}: \"{text}\" is no duration; using {default:?}"));
        default
    })
}

/// `execution.buffer-timeout.interval` (or the older `execution.buffer-timeout`): milliseconds, -1 for never.
pub fn buffer_timeout_ms(config: &Configuration) -> i64 {
    if config.raw("execution.buffer-timeout.enabled") == Some("false") {
        return -1;
    }
    let keys = ["execution.buffer-timeout.interval", "execution.buffer-timeout"];
    let Some(text) = keys.iter().find_map(|key| config.raw(key)) else { return 100 };
    if text.trim().starts_with('-') {
        return -1;
    }
    parse_duration(text).map_or(100, |span| span.as_millis() as i64)
}

/// Batches that a channel may hold: `taskmanager.network.memory.buffers-per-channel` (2), and the channel's share of
/// `taskmanager.network.memory.floating-buffers-per-gate` (8).
pub fn channel_credit(config: &Configuration, channels: usize) -> u32 {
    let number = |key, default| config.raw(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default);
    let exclusive: u32 = number("taskmanager.network.memory.buffers-per-channel", 2);
    let floating: u32 = number("taskmanager.network.memory.floating-buffers-per-gate", 8);
    exclusive.saturating_add(floating.div_ceil(channels.max(1) as u32)).max(1)
}

/// `worker.host-loss-timeout`: how long a worker goes on without whoever spawned it; at once by default: a task executor outlives its application master, and a worker without its task executor would go on unseen.
pub fn host_loss_timeout(config: &Configuration) -> Duration {
    duration(config, "worker.host-loss-timeout", Duration::ZERO)
}

/// Whether a key is set to `true`.
pub fn flag(config: &Configuration, key: &str) -> bool {
    config.raw(key).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// `pipeline.auto-watermark-interval`: how often watermarks are made, 200 ms; `None` for 0, never.
pub fn auto_watermark_interval(config: &Configuration) -> Option<Duration> {
    let interval = duration(config, "pipeline.auto-watermark-interval", Duration::from_millis(200));
    Some(interval).filter(|interval| !interval.is_zero())
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
    config.raw("execution.runtime-mode").is_some_and(|mode| mode.trim().eq_ignore_ascii_case("BATCH"))
}

/// `execution.sorted-inputs.enabled`: whether keyed operators are given one key after the other in batch mode; they are.
pub fn sorts_inputs(config: &Configuration) -> bool {
    first_flag(config, &["execution.sorted-inputs.enabled"]).unwrap_or(true)
}

/// The first of these keys that is set.
fn first_flag(config: &Configuration, keys: &[&str]) -> Option<bool> {
    let (key, text) = keys.iter().find_map(|key| Some((key, config.raw(key)?)))?;
    let value = text.trim().to_ascii_lowercase().parse().ok();
    if value.is_none() {
        crate::log::warn(&format!("{key}: \"{text}\" is neither true nor false; using false"));
    }
    value.or(Some(false))
}

/// `execution.state-recovery.from-local` (or the older `state.backend.local-recovery`): whether state is read from local copies.
pub fn local_recovery(config: &Configuration) -> bool {
    first_flag(config, &["execution.state-recovery.from-local", "state.backend.local-recovery"])
        .unwrap_or(false)
}

/// `execution.checkpointing.local-backup.enabled`: whether local copies are made; where not set, if they are read.
pub fn local_backup(config: &Configuration) -> bool {
    let set = first_flag(config, &["execution.checkpointing.local-backup.enabled"]);
    set.unwrap_or_else(|| local_recovery(config))
}
