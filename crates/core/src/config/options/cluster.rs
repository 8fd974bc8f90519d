//! Options of the application master: jobs, slots, task executors, restarts.

use crate::config::{MemorySize, PortRange};
use std::time::Duration;

super::options! {
    /// Address of the application master.
    JM_RPC_ADDRESS: Option<String> = "jobmanager.rpc.address", none, Used;
    /// Port of the application master for task executors; they use that of the REST API.
    JM_RPC_PORT: u16 = "jobmanager.rpc.port", "6123", NoMeaning;
    /// Address that the application master binds.
    JM_BIND_HOST: Option<String> = "jobmanager.bind-host", none, Used;
    /// Port that the application master binds for task executors; that of the REST API.
    JM_RPC_BIND_PORT: Option<u16> = "jobmanager.rpc.bind-port", none, NoMeaning;
    /// What restarts when a task fails: `region`, all tasks that exchange records with it, or `full`, all tasks of the job.
    FAILOVER_STRATEGY: String = "jobmanager.execution.failover-strategy", "region", Used;
    /// Attempts of a task that are remembered.
    ATTEMPTS_HISTORY: u32 = "jobmanager.execution.attempts-history-size", "16", NotYet;
    /// `Default`, `Adaptive` or `AdaptiveBatch`.
    SCHEDULER: String = "jobmanager.scheduler", "Default", NotYet;
    /// `reactive` to use all slots there are.
    SCHEDULER_MODE: Option<String> = "scheduler-mode", none, NotYet;
    /// How long the adaptive scheduler waits for slots.
    ADAPTIVE_WAIT: Duration = "jobmanager.adaptive-scheduler.resource-wait-timeout", "5 min", NotYet;
    /// How long slots must be stable for the adaptive scheduler.
    ADAPTIVE_STABLE: Duration = "jobmanager.adaptive-scheduler.resource-stabilization-timeout", "10 s", NotYet;
    /// Least increase for which the adaptive scheduler rescales.
    ADAPTIVE_INCREASE: u32 = "jobmanager.adaptive-scheduler.min-parallelism-increase", "1", NotYet;
    /// Least time between two rescales.
    ADAPTIVE_INTERVAL_MIN: Duration = "jobmanager.adaptive-scheduler.scaling-interval.min", "30 s", NotYet;
    /// Time after which the adaptive scheduler rescales in any case.
    ADAPTIVE_INTERVAL_MAX: Option<Duration> = "jobmanager.adaptive-scheduler.scaling-interval.max", none, NotYet;
    /// Directory to which finished jobs are archived.
    ARCHIVE_DIR: Option<String> = "jobmanager.archive.fs.dir", none, NotYet;
    /// Where finished jobs are remembered.
    JOBSTORE_TYPE: String = "jobstore.type", "File", NoMeaning;
    /// Memory for finished jobs, in bytes.
    JOBSTORE_CACHE: u64 = "jobstore.cache-size", "52428800", NoMeaning;
    /// Seconds for which a finished job is remembered.
    JOBSTORE_EXPIRATION: u64 = "jobstore.expiration-time", "3600", Used;
    /// Finished jobs that are remembered.
    JOBSTORE_CAPACITY: Option<u64> = "jobstore.max-capacity", none, NotYet;
    /// How long a job waits for a slot.
    SLOT_REQUEST_TIMEOUT: Duration = "slot.request.timeout", "5 min", Used;
    /// How long a job keeps a slot that it does not use; it gives it back at once.
    SLOT_IDLE_TIMEOUT: Duration = "slot.idle.timeout", "50 s", NoMeaning;
    /// How long a task executor without jobs is kept.
    TM_IDLE_TIMEOUT: Duration = "resourcemanager.taskmanager-timeout", "30 s", Used;
    /// How long a started container may take to register.
    TM_START_TIMEOUT: Duration = "resourcemanager.taskmanager-registration.timeout", "5 min", Used;
    /// Failed starts per minute above which the application master pauses.
    START_FAILURE_RATE: f64 = "resourcemanager.start-worker.max-failure-rate", "10.0", Used;
    /// How long it pauses.
    START_RETRY: Duration = "resourcemanager.start-worker.retry-interval", "3 s", Used;
    /// How long containers of an earlier attempt may take to register; 10 s where not set.
    PREVIOUS_WORKER_TIMEOUT: Option<Duration> = "resourcemanager.previous-worker.recovery.timeout", none, Used;
    /// How long the resource manager waits for a job master.
    RM_JOB_TIMEOUT: Duration = "resourcemanager.job.timeout", "5 min", NoMeaning;
    /// Slots to have at least.
    SLOTS_MIN: u32 = "slotmanager.number-of-slots.min", "0", Used;
    /// Slots to have at most.
    SLOTS_MAX: Option<u32> = "slotmanager.number-of-slots.max", none, Used;
    /// Task executors beyond those needed.
    REDUNDANT_TMS: u32 = "slotmanager.redundant-taskmanager-num", "0", Used;
    /// Processors to have at least.
    MIN_CPU: Option<f64> = "slotmanager.min-total-resource.cpu", none, NotYet;
    /// Processors to have at most.
    MAX_CPU: Option<f64> = "slotmanager.max-total-resource.cpu", none, NotYet;
    /// Memory to have at least.
    MIN_MEMORY: Option<MemorySize> = "slotmanager.min-total-resource.memory", none, NotYet;
    /// Memory to have at most.
    MAX_MEMORY: Option<MemorySize> = "slotmanager.max-total-resource.memory", none, NotYet;
    /// How long requirements are gathered before they are met.
    REQUIREMENT_DELAY: Duration = "slotmanager.requirement-check.delay", "50 ms", NoMeaning;
    /// How long needs are gathered before they are declared.
    DECLARE_DELAY: Duration = "slotmanager.declare-needed-resource.delay", "50 ms", NoMeaning;
    /// Whether tasks are spread over all task executors.
    SPREAD_SLOTS: bool = "cluster.evenly-spread-out-slots", "false", Used;
    /// How tasks are spread: `NONE`, `SLOTS`.
    LOAD_BALANCE: String = "taskmanager.load-balance.mode", "NONE", Used;
    /// First wait before a registration is tried again.
    REGISTRATION_INITIAL: Duration = "cluster.registration.initial-timeout", "100 ms", NoMeaning;
    /// Longest wait before a registration is tried again.
    REGISTRATION_MAX: Duration = "cluster.registration.max-timeout", "30 s", NoMeaning;
    /// Wait after a registration that failed.
    REGISTRATION_ERROR: Duration = "cluster.registration.error-delay", "10 s", NoMeaning;
    /// Wait after a registration that was refused.
    REGISTRATION_REFUSED: Duration = "cluster.registration.refused-registration-delay", "30 s", NoMeaning;
    /// How long services may take to end.
    SHUTDOWN_TIMEOUT: Duration = "cluster.services.shutdown-timeout", "30 s", NotYet;
    /// Threads for blocking work.
    IO_POOL: Option<u32> = "cluster.io-pool.size", none, NoMeaning;
    /// Time between heartbeats of task executors.
    HEARTBEAT_INTERVAL: Duration = "heartbeat.interval", "10 s", Used;
    /// After which time without a heartbeat the other side counts as lost.
    HEARTBEAT_TIMEOUT: Duration = "heartbeat.timeout", "50 s", Used;
    /// Failed calls after which the other side counts as lost.
    HEARTBEAT_FAILURES: i32 = "heartbeat.rpc-failure-threshold", "2", NoMeaning;
    /// How long a call between processes may take.
    ASK_TIMEOUT: Duration = "pekko.ask.timeout" | "akka.ask.timeout", "10 s", NoMeaning;
    /// Longest message between processes.
    FRAME_SIZE: String = "pekko.framesize" | "akka.framesize", "10485760b", NoMeaning;
    /// How long a connection may take.
    TCP_TIMEOUT: Duration = "pekko.tcp.timeout" | "akka.tcp.timeout", "20 s", NoMeaning;
    /// How a failed job is restarted: `none`, `fixed-delay`, `failure-rate`, `exponential-delay`.
    RESTART_STRATEGY: Option<String> = "restart-strategy.type" | "restart-strategy", none, Used;
    /// Restarts by `fixed-delay`.
    RESTART_FIXED_ATTEMPTS: u32 = "restart-strategy.fixed-delay.attempts", "1", Used;
    /// Wait before a restart by `fixed-delay`.
    RESTART_FIXED_DELAY: Duration = "restart-strategy.fixed-delay.delay", "1 s", Used;
    /// Failures per interval that `failure-rate` bears.
    RESTART_RATE_FAILURES: u32 = "restart-strategy.failure-rate.max-failures-per-interval", "1", Used;
    /// The interval of `failure-rate`.
    RESTART_RATE_INTERVAL: Duration = "restart-strategy.failure-rate.failure-rate-interval", "1 min", Used;
    /// Wait before a restart by `failure-rate`.
    RESTART_RATE_DELAY: Duration = "restart-strategy.failure-rate.delay", "1 s", Used;
    /// First wait of `exponential-delay`.
    RESTART_EXP_INITIAL: Duration = "restart-strategy.exponential-delay.initial-backoff", "1 s", Used;
    /// Longest wait of `exponential-delay`.
    RESTART_EXP_MAX: Duration = "restart-strategy.exponential-delay.max-backoff", "1 min", Used;
    /// Factor from one wait of `exponential-delay` to the next.
    RESTART_EXP_MULTIPLIER: f64 = "restart-strategy.exponential-delay.backoff-multiplier", "1.5", Used;
    /// Time without failure after which `exponential-delay` begins anew.
    RESTART_EXP_RESET: Duration = "restart-strategy.exponential-delay.reset-backoff-threshold", "1 h", Used;
    /// Part of a wait of `exponential-delay` that is random.
    RESTART_EXP_JITTER: f64 = "restart-strategy.exponential-delay.jitter-factor", "0.1", Used;
    /// Restarts by `exponential-delay` before it gives up; unlimited where not set.
    RESTART_EXP_ATTEMPTS: Option<u32> = "restart-strategy.exponential-delay.attempts-before-reset-backoff", none, Used;
    /// Directory of a process.
    WORKING_DIR: Option<String> = "process.working-dir", none, NotYet;
    /// Directory of an application master.
    JM_WORKING_DIR: Option<String> = "process.jobmanager.working-dir", none, NotYet;
    /// Directory of a task executor.
    TM_WORKING_DIR: Option<String> = "process.taskmanager.working-dir", none, NotYet;
    /// Ports of the blob server.
    BLOB_PORT: PortRange = "blob.server.port", "0", NoMeaning;
    /// Directory of the blob server.
    BLOB_DIR: Option<String> = "blob.storage.directory", none, NoMeaning;
    /// Attempts to fetch a blob.
    BLOB_RETRIES: u32 = "blob.fetch.retries", "5", NoMeaning;
    /// Blobs that are fetched at a time.
    BLOB_CONCURRENT: u32 = "blob.fetch.num-concurrent", "50", NoMeaning;
    /// Waiting connections of the blob server.
    BLOB_BACKLOG: u32 = "blob.fetch.backlog", "1000", NoMeaning;
    /// Seconds between clean-ups of blobs.
    BLOB_CLEANUP: u64 = "blob.service.cleanup.interval", "3600", NoMeaning;
    /// Bytes from which something becomes a blob.
    BLOB_MIN: u64 = "blob.offload.minsize", "1048576", NoMeaning;
    /// Names of external resources.
    EXTERNAL_RESOURCES: String = "external-resources", "none", NotYet;
}
