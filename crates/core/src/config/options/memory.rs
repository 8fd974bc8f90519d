//! Options of the memory model: sizes of the processes and of their parts.

use crate::config::MemorySize;

super::options! {
    /// Memory of the application master's container.
    JM_PROCESS: Option<MemorySize> = "jobmanager.memory.process.size" | "jobmanager.heap.size", none, Used;
    /// Memory of the application master without metaspace and overhead.
    JM_FLINK: Option<MemorySize> = "jobmanager.memory.flink.size", none, Used;
    /// Heap of the application master.
    JM_HEAP: Option<MemorySize> = "jobmanager.memory.heap.size", none, Used;
    /// Off-heap memory of the application master.
    JM_OFF_HEAP: MemorySize = "jobmanager.memory.off-heap.size", "128m", Used;
    /// JVM metaspace of the application master; a native process has this as ordinary memory.
    JM_METASPACE: MemorySize = "jobmanager.memory.jvm-metaspace.size", "256m", Used;
    /// Least JVM overhead of the application master.
    JM_OVERHEAD_MIN: MemorySize = "jobmanager.memory.jvm-overhead.min", "192m", Used;
    /// Most JVM overhead of the application master.
    JM_OVERHEAD_MAX: MemorySize = "jobmanager.memory.jvm-overhead.max", "1g", Used;
    /// JVM overhead of the application master as a fraction of its process size.
    JM_OVERHEAD_FRACTION: f64 = "jobmanager.memory.jvm-overhead.fraction", "0.1", Used;
    /// Whether the JVM limits direct memory.
    JM_DIRECT_LIMIT: bool = "jobmanager.memory.enable-jvm-direct-memory-limit", "false", NoMeaning;
    /// Memory of a task executor's container.
    TM_PROCESS: Option<MemorySize> = "taskmanager.memory.process.size" | "taskmanager.heap.size", none, Used;
    /// Memory of a task executor without metaspace and overhead.
    TM_FLINK: Option<MemorySize> = "taskmanager.memory.flink.size", none, Used;
    /// Heap of the framework in a task executor.
    TM_FRAMEWORK_HEAP: MemorySize = "taskmanager.memory.framework.heap.size", "128m", Used;
    /// Off-heap memory of the framework in a task executor.
    TM_FRAMEWORK_OFF_HEAP: MemorySize = "taskmanager.memory.framework.off-heap.size", "128m", Used;
    /// Heap of the tasks.
    TM_TASK_HEAP: Option<MemorySize> = "taskmanager.memory.task.heap.size", none, Used;
    /// Off-heap memory of the tasks.
    TM_TASK_OFF_HEAP: MemorySize = "taskmanager.memory.task.off-heap.size", "0", Used;
    /// Managed memory: sorting, hash tables and state caches.
    TM_MANAGED: Option<MemorySize> = "taskmanager.memory.managed.size", none, Used;
    /// Managed memory as a fraction of a task executor's memory, where no size is set.
    TM_MANAGED_FRACTION: f64 = "taskmanager.memory.managed.fraction", "0.4", Used;
    /// How managed memory is divided among kinds of consumers.
    TM_MANAGED_WEIGHTS: String = "taskmanager.memory.managed.consumer-weights", "OPERATOR:70,STATE_BACKEND:70,PYTHON:30", NotYet;
    /// Least memory for network buffers.
    TM_NETWORK_MIN: MemorySize = "taskmanager.memory.network.min" | "taskmanager.network.memory.min", "64m", Used;
    /// Most memory for network buffers; unlimited where not set.
    TM_NETWORK_MAX: Option<MemorySize> = "taskmanager.memory.network.max" | "taskmanager.network.memory.max", none, Used;
    /// Memory for network buffers as a fraction of a task executor's memory.
    TM_NETWORK_FRACTION: f64 = "taskmanager.memory.network.fraction" | "taskmanager.network.memory.fraction", "0.1", Used;
    /// JVM metaspace of a task executor; a native process has this as ordinary memory.
    TM_METASPACE: MemorySize = "taskmanager.memory.jvm-metaspace.size", "256m", Used;
    /// Least JVM overhead of a task executor.
    TM_OVERHEAD_MIN: MemorySize = "taskmanager.memory.jvm-overhead.min", "192m", Used;
    /// Most JVM overhead of a task executor.
    TM_OVERHEAD_MAX: MemorySize = "taskmanager.memory.jvm-overhead.max", "1g", Used;
    /// JVM overhead of a task executor as a fraction of its process size.
    TM_OVERHEAD_FRACTION: f64 = "taskmanager.memory.jvm-overhead.fraction", "0.1", Used;
    /// Size of a network buffer.
    SEGMENT_SIZE: MemorySize = "taskmanager.memory.segment-size", "32k", NotYet;
    /// Least size of a network buffer.
    MIN_SEGMENT_SIZE: MemorySize = "taskmanager.memory.min-segment-size", "256b", NotYet;
    /// Slots that a task executor offers.
    TASK_SLOTS: u32 = "taskmanager.numberOfTaskSlots", "1", Used;
    /// Processors of a task executor; as many as slots where not set.
    CPU_CORES: Option<f64> = "taskmanager.cpu.cores", none, Used;
}
