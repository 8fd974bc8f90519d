//! What of the configuration a job master acts on.

use super::{ExponentialDelay, RestartStrategy};
use crate::checkpoint::CheckpointSettings;
use crate::config::{ConfigError, Configuration, options};
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
    /// `execution.checkpointing.*`.
    pub checkpoints: CheckpointSettings,
    /// Whether regions that are cut apart by blocking exchanges ask for slots one by one; not where slots cost nothing.
    pub by_stage: bool,
}

impl Default for JobSettings {
    fn default() -> Self {
        JobSettings {
            restart: RestartStrategy::None,
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
    /// The first value that is not of its option's type.
    pub fn from_config(program: &Configuration, client: &Configuration) -> Result<JobSettings, ConfigError> {
        let mut config = client.clone();
        config.overlay(program);
        Ok(JobSettings {
            restart: restart_strategy(&config)?,
            slot_request_timeout: config.get(&options::SLOT_REQUEST_TIMEOUT)?.into(),
            cancellation_timeout: config.get(&options::CANCEL_TIMEOUT)?.into(),
            checkpoints: CheckpointSettings::from_config(program, client)?,
            by_stage: true,
        })
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
        _ => RestartStrategy::None,
    })
}

fn exponential(config: &Configuration) -> Result<RestartStrategy, ConfigError> {
    let initial = config.get(&options::RESTART_EXP_INITIAL)?.into();
    Ok(RestartStrategy::ExponentialDelay(ExponentialDelay {
        initial,
        current: initial,
        max: config.get(&options::RESTART_EXP_MAX)?.into(),
        multiplier: config.get(&options::RESTART_EXP_MULTIPLIER)?,
        reset_after: config.get(&options::RESTART_EXP_RESET)?.into(),
        attempts: config.get(&options::RESTART_EXP_ATTEMPTS)?.map(u64::from),
        failures: 0,
        last: None,
    }))
}
