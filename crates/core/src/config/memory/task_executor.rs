//! The parts of a task executor's memory, and what a native task executor may use for what.

use super::{Division, Fit, JvmParts, MemoryError, Share, check_least, fraction, times};
use crate::config::{Configuration, MemorySize, options};

const PROCESS: &str = "TaskManager";

/// A task executor's memory where nothing is configured, as in Flink's shipped configuration.
const DEFAULT_PROCESS: MemorySize = MemorySize::mib(1728);

/// The sizes of a task executor, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskExecutorMemory {
    /// The whole: what the container is asked for.
    pub process: MemorySize,
    /// Without metaspace and overhead.
    pub flink: MemorySize,
    /// `taskmanager.memory.framework.heap.size`.
    pub framework_heap: MemorySize,
    /// `taskmanager.memory.framework.off-heap.size`.
    pub framework_off_heap: MemorySize,
    /// `taskmanager.memory.task.heap.size`.
    pub task_heap: MemorySize,
    /// `taskmanager.memory.task.off-heap.size`.
    pub task_off_heap: MemorySize,
    /// Between `taskmanager.memory.network.min` and `.max`.
    pub network: MemorySize,
    /// `taskmanager.memory.managed.size`.
    pub managed: MemorySize,
    /// `taskmanager.memory.jvm-metaspace.size`.
    pub metaspace: MemorySize,
    /// Between `taskmanager.memory.jvm-overhead.min` and `.max`.
    pub overhead: MemorySize,
    /// Whether Flink would have accepted these sizes.
    pub fit: Fit,
}

/// What a native task executor may use, in bytes. What is left of the process is not given out: it is for what no
/// accounting sees (code, stacks, fragmentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeBudget {
    /// The task executor itself and what its workers need beside their tasks.
    pub framework: MemorySize,
    /// Buffers of exchanges.
    pub network: MemorySize,
    /// Sorting, hash tables, caches of state.
    pub managed: MemorySize,
    /// What user functions and state on the heap use.
    pub task: MemorySize,
}

impl NativeBudget {
    /// The part of one slot; the framework is shared and stays whole.
    pub fn per_slot(&self, slots: u32) -> NativeBudget {
        let part = |size: MemorySize| MemorySize(size.0 / u64::from(slots.max(1)));
        NativeBudget {
            framework: self.framework,
            network: part(self.network),
            managed: part(self.managed),
            task: part(self.task),
        }
    }
}

impl TaskExecutorMemory {
    /// Derives the sizes.
    ///
    /// # Errors
    /// A value that is no size, or sizes that contradict each other.
    pub fn from_config(config: &Configuration) -> Result<TaskExecutorMemory, MemoryError> {
        let process = config.get(&options::TM_PROCESS)?;
        let flink = config.get(&options::TM_FLINK)?;
        let parts = Parts::read(config)?;
        match (parts.task_heap, parts.managed, flink, process) {
            (Some(heap), Some(managed), ..) => parts.around_tasks(config, heap, managed, process),
            (_, _, Some(flink), _) => {
                parts.divide(parts.jvm.around(flink.0, process.map(|size| size.0))?, Fit::AsFlink)
            }
            _ => parts.within(config, process.unwrap_or(DEFAULT_PROCESS)),
        }
    }

    /// What a native task executor may use for what: metaspace and the framework's heap, which it does not need, go to
    /// the tasks; the overhead stays a reserve.
    pub fn native(&self) -> NativeBudget {
        let task = self.task_heap.0 + self.task_off_heap.0 + self.framework_heap.0 + self.metaspace.0;
        NativeBudget {
            framework: self.framework_off_heap,
            network: self.network,
            managed: self.managed,
            task: MemorySize(task),
        }
    }

    /// The sizes as options, for the process to find.
    pub fn derived(&self) -> Configuration {
        let mut derived = Configuration::default();
        for (option, size) in [
            (&options::TM_FRAMEWORK_HEAP, self.framework_heap),
            (&options::TM_FRAMEWORK_OFF_HEAP, self.framework_off_heap),
            (&options::TM_TASK_OFF_HEAP, self.task_off_heap),
            (&options::TM_NETWORK_MIN, self.network),
            (&options::TM_METASPACE, self.metaspace),
            (&options::TM_OVERHEAD_MIN, self.overhead),
            (&options::TM_OVERHEAD_MAX, self.overhead),
        ] {
            derived.set_option(option, bytes(size));
        }
        for (option, size) in [
            (&options::TM_PROCESS, self.process),
            (&options::TM_TASK_HEAP, self.task_heap),
            (&options::TM_MANAGED, self.managed),
            (&options::TM_NETWORK_MAX, self.network),
        ] {
            derived.set_option(option, bytes(size));
        }
        derived
    }
}

fn bytes(size: MemorySize) -> String {
    format!("{}b", size.0)
}

/// What is configured or a fixed default.
#[derive(Clone, Copy)]
struct Parts {
    jvm: JvmParts,
    framework_heap: u64,
    framework_off_heap: u64,
    task_heap: Option<u64>,
    task_off_heap: u64,
    managed: Option<u64>,
    managed_fraction: f64,
    network: Share,
}

impl Parts {
    fn read(config: &Configuration) -> Result<Parts, MemoryError> {
        let overhead = Share {
            process: PROCESS,
            part: "JVM Overhead",
            min: config.get(&options::TM_OVERHEAD_MIN)?.0,
            max: config.get(&options::TM_OVERHEAD_MAX)?.0,
            fraction: fraction(config, PROCESS, &options::TM_OVERHEAD_FRACTION)?,
        };
        let network = Share {
            process: PROCESS,
            part: "Network Memory",
            min: config.get(&options::TM_NETWORK_MIN)?.0,
            max: config.get(&options::TM_NETWORK_MAX)?.map_or(u64::MAX, |size| size.0),
            fraction: fraction(config, PROCESS, &options::TM_NETWORK_FRACTION)?,
        };
        let metaspace = config.get(&options::TM_METASPACE)?.0;
        Ok(Parts {
            jvm: JvmParts { process: PROCESS, metaspace, overhead },
            framework_heap: config.get(&options::TM_FRAMEWORK_HEAP)?.0,
            framework_off_heap: config.get(&options::TM_FRAMEWORK_OFF_HEAP)?.0,
            task_heap: config.get(&options::TM_TASK_HEAP)?.map(|size| size.0),
            task_off_heap: config.get(&options::TM_TASK_OFF_HEAP)?.0,
            managed: config.get(&options::TM_MANAGED)?.map(|size| size.0),
            managed_fraction: fraction(config, PROCESS, &options::TM_MANAGED_FRACTION)?,
            network,
        })
    }

    /// Task heap and managed memory are set: network is what remains of Flink's memory, or beside them.
    fn around_tasks(
        &self,
        config: &Configuration,
        task_heap: u64,
        managed: u64,
        process: Option<MemorySize>,
    ) -> Result<TaskExecutorMemory, MemoryError> {
        let inner = self.framework() + task_heap + self.task_off_heap + managed;
        let flink = match config.get(&options::TM_FLINK)? {
            Some(flink) => {
                let network = flink.0.checked_sub(inner).ok_or_else(|| self.exceeded(flink.0, managed, 0))?;
                self.network.check(network)?;
                flink.0
            }
            None => inner + self.network.beside(inner),
        };
        let division = self.jvm.around(flink, process.map(|size| size.0))?;
        Ok(self.sizes(division, task_heap, managed, flink - inner, Fit::AsFlink))
    }

    fn within(&self, config: &Configuration, process: MemorySize) -> Result<TaskExecutorMemory, MemoryError> {
        check_least(PROCESS, process)?;
        let as_flink = self.jvm.within(process.0).and_then(|division| self.divide(division, Fit::AsFlink));
        as_flink.or_else(|refused| {
            if self.user_set_a_fixed_part(config) { Err(refused) } else { self.scaled(process.0) }
        })
    }

    fn user_set_a_fixed_part(&self, config: &Configuration) -> bool {
        let fixed = [
            &options::TM_METASPACE,
            &options::TM_OVERHEAD_MIN,
            &options::TM_FRAMEWORK_HEAP,
            &options::TM_FRAMEWORK_OFF_HEAP,
            &options::TM_TASK_OFF_HEAP,
            &options::TM_NETWORK_MIN,
        ];
        let sized = self.managed.is_some() || self.task_heap.is_some();
        sized || fixed.iter().any(|option| config.is_set(option))
    }

    /// The fixed parts as an eighth of what they are a part of: so that the shares add up to less than the whole.
    fn scaled(&self, process: u64) -> Result<TaskExecutorMemory, MemoryError> {
        let part = process / 8;
        let division = Division { flink: process - 2 * part, metaspace: part, overhead: part };
        let inner = division.flink / 8;
        let parts = Parts {
            framework_heap: inner,
            framework_off_heap: inner,
            network: Share { min: self.network.min.min(inner), ..self.network },
            ..*self
        };
        parts.divide(division, Fit::Scaled)
    }

    fn framework(&self) -> u64 {
        self.framework_heap + self.framework_off_heap
    }

    /// Managed memory and network are shares of Flink's memory; the tasks' heap is what remains. Where the heap is set,
    /// the network is what remains.
    fn divide(&self, division: Division, fit: Fit) -> Result<TaskExecutorMemory, MemoryError> {
        let flink = division.flink;
        let managed = self.managed.unwrap_or_else(|| times(flink, self.managed_fraction));
        let fixed = self.framework() + self.task_off_heap + managed;
        if let Some(task_heap) = self.task_heap {
            let network = flink.checked_sub(fixed + task_heap);
            let network = network.ok_or_else(|| self.exceeded(flink, managed, 0))?;
            return Ok(self.sizes(division, task_heap, managed, self.network.check(network)?, fit));
        }
        let network = self.network.of(flink);
        let task_heap = flink.checked_sub(fixed + network);
        let task_heap = task_heap.ok_or_else(|| self.exceeded(flink, managed, network))?;
        Ok(self.sizes(division, task_heap, managed, network, fit))
    }

    fn exceeded(&self, flink: u64, managed: u64, network: u64) -> MemoryError {
        let mut parts = vec![
            ("Framework Heap Memory", self.framework_heap),
            ("Framework Off-Heap Memory", self.framework_off_heap),
            ("Task Off-Heap Memory", self.task_off_heap),
            ("Managed Memory", managed),
        ];
        match self.task_heap {
            Some(heap) => parts.insert(2, ("Task Heap Memory", heap)),
            None => parts.push(("Network Memory", network)),
        }
        let shown: Vec<String> =
            parts.iter().map(|(name, size)| format!("{name} ({})", MemorySize(*size))).collect();
        let (last, first) = shown
            .split_last()
            .map_or((String::new(), String::new()), |(last, first)| (last.clone(), first.join(", ")));
        MemoryError::PartsExceedFlink { parts: format!("{first} and {last}"), total: MemorySize(flink) }
    }

    fn sizes(
        &self,
        division: Division,
        task_heap: u64,
        managed: u64,
        network: u64,
        fit: Fit,
    ) -> TaskExecutorMemory {
        TaskExecutorMemory {
            process: MemorySize(division.flink + division.metaspace + division.overhead),
            flink: MemorySize(division.flink),
            framework_heap: MemorySize(self.framework_heap),
            framework_off_heap: MemorySize(self.framework_off_heap),
            task_heap: MemorySize(task_heap),
            task_off_heap: MemorySize(self.task_off_heap),
            network: MemorySize(network),
            managed: MemorySize(managed),
            metaspace: MemorySize(division.metaspace),
            overhead: MemorySize(division.overhead),
            fit,
        }
    }
}

#[cfg(test)]
mod tests;
