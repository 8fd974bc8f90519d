//! What of the configuration a job master acts on.

use super::{ExponentialDelay, RestartStrategy};
use crate::config::Configuration;
use crate::time::Millis;
use std::collections::VecDeque;

/// The part of the configuration that decides how a job is run.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// `restart-strategy.*`.
    pub restart: RestartStrategy,
    /// `slot.request.timeout`.
    pub slot_request_timeout: Millis,
    /// `task.cancellation.timeout`.
    pub cancellation_timeout: Millis,
}

impl Default for JobSettings {
    fn default() -> Self {
        JobSettings {
            restart: RestartStrategy::None,
            slot_request_timeout: Millis(300_000),
            cancellation_timeout: Millis(180_000),
        }
    }
}

impl Default for ExponentialDelay {
    fn default() -> Self {
        ExponentialDelay {
            initial: Millis(1_000),
            max: Millis(60_000),
            multiplier: 1.5,
            reset_after: Millis(3_600_000),
            attempts: None,
            current: Millis(1_000),
            failures: 0,
            last: None,
        }
    }
}

impl JobSettings {
    /// Reads the settings of a job: what the program itself configured is stronger than what the client did.
    /// A value that cannot be read leaves the default; the client has refused it before.
    pub fn from_config(program: &Configuration, client: &Configuration) -> JobSettings {
        let mut config = client.clone();
        config.overlay(program);
        let defaults = JobSettings::default();
        JobSettings {
            restart: restart_strategy(&config),
            slot_request_timeout: duration(&config, "slot.request.timeout", defaults.slot_request_timeout),
            cancellation_timeout: duration(
                &config,
                "task.cancellation.timeout",
                defaults.cancellation_timeout,
            ),
        }
    }
}

/// The strategy that `restart-strategy.type` names. Without one: exponential delay where checkpoints are on, else none.
fn restart_strategy(config: &Configuration) -> RestartStrategy {
    let checkpoints = config.raw("execution.checkpointing.interval").is_some();
    let named = config.raw("restart-strategy.type").or_else(|| config.raw("restart-strategy"));
    let delay = |key: &str, default| duration(config, key, Millis(default));
    match named.map(|n| n.trim().to_ascii_lowercase()).as_deref() {
        Some("fixed-delay" | "fixeddelay") => {
            let attempts = number(config, "restart-strategy.fixed-delay.attempts", 1);
            let delay = delay("restart-strategy.fixed-delay.delay", 1_000);
            RestartStrategy::FixedDelay { left: attempts, attempts, delay }
        }
        Some("failure-rate" | "failurerate") => RestartStrategy::FailureRate {
            max: number(config, "restart-strategy.failure-rate.max-failures-per-interval", 1) as usize,
            interval: delay("restart-strategy.failure-rate.failure-rate-interval", 60_000),
            delay: delay("restart-strategy.failure-rate.delay", 1_000),
            failures: VecDeque::new(),
        },
        Some("exponential-delay" | "exponentialdelay") => exponential(config),
        None if checkpoints => exponential(config),
        _ => RestartStrategy::None,
    }
}

fn exponential(config: &Configuration) -> RestartStrategy {
    let key = |name: &str| format!("restart-strategy.exponential-delay.{name}");
    let initial = duration(config, &key("initial-backoff"), Millis(1_000));
    let float = |name: &str| config.raw(&key(name)).and_then(|v| v.trim().parse().ok());
    RestartStrategy::ExponentialDelay(ExponentialDelay {
        initial,
        current: initial,
        max: duration(config, &key("max-backoff"), Millis(60_000)),
        multiplier: float("backoff-multiplier").unwrap_or(1.5),
        reset_after: duration(config, &key("reset-backoff-threshold"), Millis(3_600_000)),
        attempts: config.raw(&key("attempts-before-reset-backoff")).and_then(|v| v.trim().parse().ok()),
        ..ExponentialDelay::default()
    })
}

fn number(config: &Configuration, key: &str, default: u64) -> u64 {
    config.raw(key).and_then(|v| v.trim().parse().ok()).unwrap_or(default)
}

fn duration(config: &Configuration, key: &str, default: Millis) -> Millis {
    config.raw(key).and_then(parse_millis).unwrap_or(default)
}

/// `500`, `500 ms`, `3s`, `1 min`, `1 h`, `1 d`.
fn parse_millis(text: &str) -> Option<Millis> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "second" | "seconds" => 1_000,
        "min" | "m" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    Some(Millis(value * unit))
}
