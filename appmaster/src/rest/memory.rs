//! The memory of a task executor as the API shows it: Flink's parts, from the configuration that the executor sent.

use kvick_core::config::Configuration;
use kvick_core::config::memory::TaskExecutorMemory;
use serde_json::{Value, json};

/// The parts in bytes; all zero where the configuration cannot be divided, which the executor would have refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    framework_heap: u64,
    framework_off_heap: u64,
    task_heap: u64,
    task_off_heap: u64,
    metaspace: u64,
    overhead: u64,
    total_flink: u64,
    /// Buffers of exchanges.
    pub network: u64,
    /// Sorting, hash tables, caches of state.
    pub managed: u64,
    /// The container.
    pub total_process: u64,
}

impl Memory {
    /// The memory that a configuration means.
    pub fn of(config: &Configuration) -> Memory {
        let Ok(sizes) = TaskExecutorMemory::from_config(config) else { return Memory::default() };
        Memory {
            framework_heap: sizes.framework_heap.0,
            framework_off_heap: sizes.framework_off_heap.0,
            task_heap: sizes.task_heap.0,
            task_off_heap: sizes.task_off_heap.0,
            metaspace: sizes.metaspace.0,
            overhead: sizes.overhead.0,
            total_flink: sizes.flink.0,
            network: sizes.network.0,
            managed: sizes.managed.0,
            total_process: sizes.process.0,
        }
    }

    /// `memoryConfiguration` of a task executor.
    pub fn shape(&self) -> Value {
        json!({
            "frameworkHeap": self.framework_heap,
            "taskHeap": self.task_heap,
            "frameworkOffHeap": self.framework_off_heap,
            "taskOffHeap": self.task_off_heap,
            "networkMemory": self.network,
            "managedMemory": self.managed,
            "jvmMetaspace": self.metaspace,
            "jvmOverhead": self.overhead,
            "totalFlinkMemory": self.total_flink,
            "totalProcessMemory": self.total_process,
        })
    }

    /// A resource profile: so many of `of` slots, in MiB, with a processor each.
    pub fn profile(&self, slots: u32, of: u32) -> Value {
        let part = |bytes: u64| bytes * u64::from(slots) / u64::from(of.max(1)) / (1024 * 1024);
        json!({
            "cpuCores": f64::from(slots),
            "taskHeapMemory": part(self.task_heap),
            "taskOffHeapMemory": part(self.task_off_heap),
            "managedMemory": part(self.managed),
            "networkMemory": part(self.network),
            "extendedResources": {},
        })
    }
}
