//! Options of task executors and of the exchange between workers.

use crate::config::PortRange;
use std::time::Duration;

super::options! {
    /// Address of a task executor.
    TM_HOST: Option<String> = "taskmanager.host", none, Used;
    /// Address that a task executor binds.
    TM_BIND_HOST: Option<String> = "taskmanager.bind-host", none, Used;
    /// Ports of a task executor for its master.
    TM_RPC_PORT: PortRange = "taskmanager.rpc.port", "0", NoMeaning;
    /// Port that a task executor binds for its master.
    TM_RPC_BIND_PORT: Option<u16> = "taskmanager.rpc.bind-port", none, NoMeaning;
    /// Ports on which workers listen for exchanges.
    DATA_PORT: PortRange = "taskmanager.data.port", "0", Used;
    /// Ports that workers bind for exchanges; those of `taskmanager.data.port` where not set.
    DATA_BIND_PORT: Option<PortRange> = "taskmanager.data.bind-port", none, Used;
    /// Port of the collect sink.
    COLLECT_PORT: u16 = "taskmanager.collect-sink.port", "0", NoMeaning;
    /// Id of a task executor; that of its container.
    TM_RESOURCE_ID: Option<String> = "taskmanager.resource-id", none, NoMeaning;
    /// How a task executor finds its address.
    TM_BIND_POLICY: String = "taskmanager.network.bind-policy", "ip", NoMeaning;
    /// How long a task executor may take to find its master, after which it ends.
    TM_REGISTRATION_TIMEOUT: Duration = "taskmanager.registration.timeout", "5 min", NotYet;
    /// First wait before a task executor tries its master again.
    TM_REGISTRATION_INITIAL: Duration = "taskmanager.registration.initial-backoff", "500 ms", NotYet;
    /// Longest such wait.
    TM_REGISTRATION_MAX: Duration = "taskmanager.registration.max-backoff", "30 s", NotYet;
    /// Wait after the master refused.
    TM_REGISTRATION_REFUSED: Duration = "taskmanager.registration.refused-backoff", "10 s", NotYet;
    /// How long a slot stays reserved without use.
    TM_SLOT_TIMEOUT: Duration = "taskmanager.slot.timeout", "10 s", NoMeaning;
    /// Milliseconds between attempts to interrupt a task that does not end.
    CANCEL_INTERVAL: Duration = "task.cancellation.interval", "30 s", NoMeaning;
    /// How long a worker goes on without its task executor: not at all by default, for a task executor outlives its application
    /// master, and without it a worker would go on unseen.
    WORKER_HOST_LOSS: Duration = "worker.host-loss-timeout", "0 s", Used;
    /// How long a cancelled task may take to end, after which its worker is killed.
    CANCEL_TIMEOUT: Duration = "task.cancellation.timeout", "180 s", Used;
    /// Wait for timers of a task that ends.
    CANCEL_TIMERS: Duration = "task.cancellation.timers.timeout", "7500 ms", NoMeaning;
    /// Whether a JVM ends when out of memory.
    TM_EXIT_ON_OOM: bool = "taskmanager.jvm-exit-on-oom", "false", NoMeaning;
    /// Whether memory is logged.
    TM_MEMORY_LOG: bool = "taskmanager.debug.memory.log", "false", NotYet;
    /// Buffers of a channel.
    BUFFERS_PER_CHANNEL: u32 = "taskmanager.network.memory.buffers-per-channel", "2", Used;
    /// Buffers shared by the channels of an input.
    FLOATING_BUFFERS: u32 = "taskmanager.network.memory.floating-buffers-per-gate", "8", Used;
    /// Most buffers of a channel.
    MAX_BUFFERS_PER_CHANNEL: u32 = "taskmanager.network.memory.max-buffers-per-channel", "10", NotYet;
    /// Buffers beyond those an output has.
    OVERDRAFT_BUFFERS: u32 = "taskmanager.network.memory.max-overdraft-buffers-per-gate", "5", NotYet;
    /// How long a task waits for buffers.
    BUFFER_REQUEST_TIMEOUT: Duration = "taskmanager.network.memory.exclusive-buffers-request-timeout-ms", "30 s", NotYet;
    /// Whether the amount of data in flight is adapted.
    DEBLOAT: bool = "taskmanager.network.memory.buffer-debloat.enabled", "false", NotYet;
    /// The time for which data may be in flight.
    DEBLOAT_TARGET: Duration = "taskmanager.network.memory.buffer-debloat.target", "1 s", NotYet;
    /// Time between adaptations.
    DEBLOAT_PERIOD: Duration = "taskmanager.network.memory.buffer-debloat.period", "200 ms", NotYet;
    /// First wait before a producer is asked again, in milliseconds.
    REQUEST_BACKOFF_INITIAL: u32 = "taskmanager.network.request-backoff.initial", "100", NotYet;
    /// Longest such wait, in milliseconds.
    REQUEST_BACKOFF_MAX: u32 = "taskmanager.network.request-backoff.max", "10000", NotYet;
    /// Compression of blocking exchanges.
    COMPRESSION: String = "taskmanager.network.compression.codec", "LZ4", NotYet;
    /// Whether blocking exchanges are compressed.
    COMPRESSION_ENABLED: bool = "taskmanager.network.batch-shuffle.compression.enabled", "true", NotYet;
    /// Netty's transport.
    TRANSPORT: String = "taskmanager.network.netty.transport", "auto", NoMeaning;
    /// Directories for temporary files.
    TMP_DIRS: Option<String> = "io.tmp.dirs" | "taskmanager.tmp.dirs", none, Used;
}
