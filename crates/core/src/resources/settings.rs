//! What of the configuration the resource manager acts on.

use crate::config::{ConfigError, Configuration, options};
use crate::time::Millis;

/// The part of the configuration that decides how many task executors there are.
#[derive(Debug, Clone)]
pub struct ResourceSettings {
    /// `taskmanager.numberOfTaskSlots`.
    pub slots_per_executor: u32,
    /// `slotmanager.number-of-slots.min`.
    pub min_slots: u32,
    /// `slotmanager.number-of-slots.max`, where limited.
    pub max_slots: Option<u32>,
    /// `slotmanager.redundant-taskmanager-num`.
    pub redundant_executors: u32,
    /// `resourcemanager.taskmanager-timeout`: how long an executor may be idle.
    pub idle_timeout: Millis,
    /// `resourcemanager.taskmanager-registration.timeout`: how long a container has to register.
    pub registration_timeout: Millis,
    /// `heartbeat.timeout`.
    pub heartbeat_timeout: Millis,
    /// How long an executor whose connection broke has to come back.
    pub reconnect_timeout: Millis,
    /// `resourcemanager.previous-worker.recovery.timeout`: how long, under a new application master, the task executors of the one before have to register.
    pub reconciliation_timeout: Millis,
    /// `resourcemanager.start-worker.max-failure-rate`, per minute.
    pub max_start_failures_per_minute: f64,
    /// `resourcemanager.start-worker.retry-interval`.
    pub start_retry_interval: Millis,
    /// `cluster.evenly-spread-out-slots`, `taskmanager.load-balance.mode: SLOTS`.
    pub spread_out: bool,
    /// Whether executors may register that nobody asked for (a standalone cluster).
    pub accept_unknown: bool,
    /// When no more containers are taken on a node.
    pub exclusion: NodeExclusion,
    /// How long tasks wait for slots elsewhere once YARN wants their container back: it leaves 15 s by default
    /// (`yarn.resourcemanager.monitor.capacity.preemption.max_wait_before_kill`).
    pub preemption_patience: Millis,
}

/// When no more containers are taken on a node, because they keep failing there.
#[derive(Debug, Clone)]
pub struct NodeExclusion {
    /// `yarn.node-blacklisting.enabled`.
    pub enabled: bool,
    /// `yarn.node-blacklisting.max-failures-per-node`.
    pub max_failures: u32,
    /// `yarn.node-blacklisting.failures-validity-interval`.
    pub window: Millis,
    /// `yarn.node-blacklisting.timeout`.
    pub timeout: Millis,
}

impl Default for NodeExclusion {
    fn default() -> Self {
        NodeExclusion { enabled: true, max_failures: 3, window: Millis(600_000), timeout: Millis(3_600_000) }
    }
}

impl Default for ResourceSettings {
    fn default() -> Self {
        ResourceSettings {
            slots_per_executor: 1,
            min_slots: 0,
            max_slots: None,
            redundant_executors: 0,
            idle_timeout: Millis(30_000),
            registration_timeout: Millis(300_000),
            heartbeat_timeout: Millis(50_000),
            reconnect_timeout: Millis(2_000),
            reconciliation_timeout: Millis(10_000),
            max_start_failures_per_minute: 10.0,
            start_retry_interval: Millis(3_000),
            spread_out: false,
            accept_unknown: false,
            exclusion: NodeExclusion::default(),
            preemption_patience: Millis(5_000),
        }
    }
}

impl ResourceSettings {
    /// Reads the settings of an application whose task executors offer so many slots each.
    ///
    /// # Errors
    /// The first value that is not of its option's type.
    pub fn from_config(config: &Configuration, slots: u32) -> Result<ResourceSettings, ConfigError> {
        let defaults = ResourceSettings::default();
        let reconciliation = config.get(&options::PREVIOUS_WORKER_TIMEOUT)?;
        Ok(ResourceSettings {
            slots_per_executor: slots,
            min_slots: config.get(&options::SLOTS_MIN)?,
            max_slots: config.get(&options::SLOTS_MAX)?,
            redundant_executors: config.get(&options::REDUNDANT_TMS)?,
            idle_timeout: config.get(&options::TM_IDLE_TIMEOUT)?.into(),
            registration_timeout: config.get(&options::TM_START_TIMEOUT)?.into(),
            heartbeat_timeout: config.get(&options::HEARTBEAT_TIMEOUT)?.into(),
            reconciliation_timeout: reconciliation.map_or(defaults.reconciliation_timeout, Millis::from),
            max_start_failures_per_minute: config.get(&options::START_FAILURE_RATE)?,
            start_retry_interval: config.get(&options::START_RETRY)?.into(),
            spread_out: config.get(&options::SPREAD_SLOTS)? || balances_slots(config),
            exclusion: NodeExclusion {
                enabled: config.get(&options::YARN_NODE_BLACKLISTING)?,
                max_failures: config.get(&options::YARN_NODE_MAX_FAILURES)?.max(1),
                window: config.get(&options::YARN_NODE_FAILURE_WINDOW)?.into(),
                timeout: config.get(&options::YARN_NODE_BLACKLIST_TIMEOUT)?.into(),
            },
            ..defaults
        })
    }
}

/// Whether `taskmanager.load-balance.mode` asks for slots to be spread out.
fn balances_slots(config: &Configuration) -> bool {
    config.get(&options::LOAD_BALANCE).is_ok_and(|mode| mode.trim().eq_ignore_ascii_case("slots"))
}
