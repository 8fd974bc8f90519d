//! How large the containers of an application are, from the configuration.

use crate::console;
use anyhow::{Result, bail};
use kvick_core::config::memory::{ApplicationMasterMemory, Fit, TaskExecutorMemory};
use kvick_core::config::{Configuration, options};
use std::fmt;

/// The containers of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Memory of the application master.
    pub master: ApplicationMasterMemory,
    /// Memory of a task executor.
    pub executor: TaskExecutorMemory,
    /// Slots of a task executor.
    pub slots: u32,
    /// Virtual cores of the application master.
    pub master_vcores: u32,
    /// Virtual cores of a task executor.
    pub executor_vcores: u32,
}

impl Sizes {
    /// Derives them.
    ///
    /// # Errors
    /// Values that are none, or sizes that contradict each other.
    pub fn from_config(config: &Configuration) -> Result<Sizes> {
        let slots = config.get(&options::TASK_SLOTS)?;
        if slots == 0 {
            bail!("'taskmanager.numberOfTaskSlots' must be at least 1");
        }
        Ok(Sizes {
            master: ApplicationMasterMemory::from_config(config)?,
            executor: TaskExecutorMemory::from_config(config)?,
            slots,
            master_vcores: config.get(&options::YARN_AM_VCORES)?.max(1),
            executor_vcores: executor_vcores(config, slots)?,
        })
    }

    /// Memory of the application master's container in MiB; part of one counts as one.
    pub fn master_mb(&self) -> u64 {
        self.master.process.0.div_ceil(1 << 20)
    }

    /// Memory of a task executor's container in MiB; part of one counts as one.
    pub fn executor_mb(&self) -> u64 {
        self.executor.process.0.div_ceil(1 << 20)
    }

    /// Says where a size is smaller than Flink would take.
    pub fn tell(&self) {
        let small = |process: &str, mb| {
            console::info(
                console::DESCRIPTOR,
                format!(
                    "{mb} MB is less than a JVM {process} would need; a native one runs in it: its fixed parts are scaled down."
                ),
            );
        };
        if self.master.fit == Fit::Scaled {
            small("JobManager", self.master_mb());
        }
        if self.executor.fit == Fit::Scaled {
            small("TaskManager", self.executor_mb());
        }
    }
}

/// `yarn.containers.vcores`, else `taskmanager.cpu.cores` rounded up, else as many as slots.
fn executor_vcores(config: &Configuration, slots: u32) -> Result<u32> {
    if let Ok(vcores) = u32::try_from(config.get(&options::YARN_CONTAINER_VCORES)?) {
        return Ok(vcores.max(1));
    }
    let cores = config.get(&options::CPU_CORES)?.map(|cores| cores.ceil().clamp(1.0, 65536.0) as u32);
    Ok(cores.unwrap_or(slots))
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ClusterSpecification{{masterMemoryMB={}, taskManagerMemoryMB={}, slotsPerTaskManager={}}}",
            self.master_mb(),
            self.executor_mb(),
            self.slots
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(pairs: &[(&str, &str)]) -> Sizes {
        Sizes::from_config(&pairs.iter().copied().collect()).unwrap()
    }

    #[test]
    fn the_usual_session() {
        let sizes = sizes(&[
            ("jobmanager.memory.process.size", "1024m"),
            ("taskmanager.memory.process.size", "2048m"),
            ("taskmanager.numberOfTaskSlots", "3"),
        ]);
        assert_eq!(
            sizes.to_string(),
            "ClusterSpecification{masterMemoryMB=1024, taskManagerMemoryMB=2048, slotsPerTaskManager=3}"
        );
        assert_eq!((sizes.master_vcores, sizes.executor_vcores), (1, 3));
    }

    #[test]
    fn cores_may_be_set_in_two_ways() {
        assert_eq!(
            sizes(&[("yarn.containers.vcores", "5"), ("taskmanager.cpu.cores", "2")]).executor_vcores,
            5
        );
        assert_eq!(sizes(&[("taskmanager.cpu.cores", "1.5")]).executor_vcores, 2);
    }
}
