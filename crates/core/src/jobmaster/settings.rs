//! What of the configuration a job master acts on.

use super::{ExponentialDelay, RestartStrategy};
use crate::checkpoint::CheckpointSettings;
use crate::config::{ConfigError, Configuration, check_values, options};
use crate::time::Millis;
use std::collections::VecDeque;

/// The part of the configuration that decides how a job is run.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// `restart-strategy.*`.
    pub restart: RestartStrategy,
    /// `jobmanager.execution.failover-strategy: full`: whether a failure restarts every task, not only those that exchange
    /// records with the failed one.
    pub restarts_all: bool,
    /// `web.exception-history-size`: how many failures are remembered.
    pub exception_history: usize,
    /// `slot.request.timeout`.
    pub slot_request_timeout: Millis,
    /// `task.cancellation.timeout`.
    pub cancellation_timeout: Millis,
    /// `execution.checkpointing.*`.
    pub checkpoints: CheckpointSettings,
    /// Whether regions that are cut apart by blocking exchanges ask for slots one by one; not where slots cost nothing.
    pub by_stage: bool,
}

impl Default for JobSettings {
    fn default() -> Self {
        JobSettings {
            restart: RestartStrategy::None,
            restarts_all: false,
            exception_history: 16,
            slot_request_timeout: Millis(300_000),
            cancellation_timeout: Millis(180_000),
            checkpoints: CheckpointSettings::default(),
            by_stage: true,
        }
    }
}

impl JobSettings {
    /// Reads the settings of a job: what the program itself configured is stronger than what the client did.
    ///
    /// # Errors
    /// The first value that is not of its option's type, also of options that only workers read: there it would be too late
    /// to say so.
    pub fn from_config(program: &Configuration, client: &Configuration) -> Result<JobSettings, ConfigError> {
        let mut config = client.clone();
        config.overlay(program);
        check_values(&config)?;
        Ok(JobSettings {
            restart: restart_strategy(&config)?,
            restarts_all: restarts_all(&config)?,
            exception_history: config.get(&options::WEB_EXCEPTIONS)? as usize,
            slot_request_timeout: config.get(&options::SLOT_REQUEST_TIMEOUT)?.into(),
            cancellation_timeout: config.get(&options::CANCEL_TIMEOUT)?.into(),
            checkpoints: CheckpointSettings::from_config(program, client)?,
            by_stage: true,
        })
    }
}

fn restarts_all(config: &Configuration) -> Result<bool, ConfigError> {
    let option = &options::FAILOVER_STRATEGY;
    match config.get(option)?.trim().to_ascii_lowercase().as_str() {
        "region" => Ok(false),
        "full" => Ok(true),
        _ => Err(config.unexpected(option, "region or full")),
    }
}

/// The strategy that `restart-strategy.type` names. Without one: exponential delay where checkpoints are on, else none.
fn restart_strategy(config: &Configuration) -> Result<RestartStrategy, ConfigError> {
    let named = config.get(&options::RESTART_STRATEGY)?;
    Ok(match named.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
        Some("fixed-delay" | "fixeddelay") => {
            let attempts = u64::from(config.get(&options::RESTART_FIXED_ATTEMPTS)?);
            let delay = config.get(&options::RESTART_FIXED_DELAY)?.into();
            RestartStrategy::FixedDelay { left: attempts, attempts, delay }
        }
        Some("failure-rate" | "failurerate") => RestartStrategy::FailureRate {
            max: config.get(&options::RESTART_RATE_FAILURES)? as usize,
            interval: config.get(&options::RESTART_RATE_INTERVAL)?.into(),
            delay: config.get(&options::RESTART_RATE_DELAY)?.into(),
            failures: VecDeque::new(),
        },
        Some("exponential-delay" | "exponentialdelay") => exponential(config)?,
        None if config.get(&options::CHECKPOINT_INTERVAL)?.is_some() => exponential(config)?,
        Some("none" | "off" | "disable") | None => RestartStrategy::None,
        Some(_) => {
            let known = "none, fixed-delay, failure-rate or exponential-delay (strategies of one's own cannot be loaded)";
            return Err(config.unexpected(&options::RESTART_STRATEGY, known));
        }
    })
}

fn exponential(config: &Configuration) -> Result<RestartStrategy, ConfigError> {
    let initial = config.get(&options::RESTART_EXP_INITIAL)?.into();
    let jitter = config.get(&options::RESTART_EXP_JITTER)?;
    if !(0.0..=1.0).contains(&jitter) {
        return Err(config.unexpected(&options::RESTART_EXP_JITTER, "a number from 0 to 1"));
    }
    Ok(RestartStrategy::ExponentialDelay(ExponentialDelay {
        initial,
        current: initial,
        max: config.get(&options::RESTART_EXP_MAX)?.into(),
        multiplier: config.get(&options::RESTART_EXP_MULTIPLIER)?,
        jitter,
        seed: 0,
        reset_after: config.get(&options::RESTART_EXP_RESET)?.into(),
        attempts: config.get(&options::RESTART_EXP_ATTEMPTS)?.map(u64::from),
        failures: 0,
        last: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Result<JobSettings, String> {
        let program: Configuration = [(key, value)].into_iter().collect();
        let settings = JobSettings::from_config(&program, &Configuration::default());
        settings.map_err(|error| error.to_string())
    }

    #[test]
    fn a_failure_restarts_a_region_or_everything() {
        assert!(!read("jobmanager.execution.failover-strategy", "region").unwrap().restarts_all);
        assert!(read("jobmanager.execution.failover-strategy", "FULL").unwrap().restarts_all);
    }

    #[test]
    fn strategies_that_there_are_not_are_refused_with_those_that_there_are() {
        for (key, value, expected) in [
            ("jobmanager.execution.failover-strategy", "individual", "expected region or full."),
            (
                "restart-strategy",
                "exponential",
                "expected none, fixed-delay, failure-rate or exponential-delay",
            ),
            ("restart-strategy.type", "org.example.Mine", "strategies of one's own cannot be loaded"),
        ] {
            let refused = read(key, value).unwrap_err();
            assert!(
                refused.contains(key) && refused.contains(value) && refused.contains(expected),
                "{refused}"
            );
        }
        assert!(matches!(read("restart-strategy", "off").unwrap().restart, RestartStrategy::None));
    }

    #[test]
    fn what_only_workers_read_is_refused_with_the_job() {
        for (key, value) in [
            ("state.backend", "rocks"),
            ("state.backend.type", "org.example.MyStateBackendFactory"),
            ("execution.buffer-timeout.enabled", "maybe"),
            ("pipeline.operator-chaining", "no"),
        ] {
            let refused = read(key, value).unwrap_err();
            assert!(
                refused.starts_with(&format!("Could not parse value '{value}' for key '{key}'")),
                "{refused}"
            );
        }
    }
}
