//! The memory model: from a process size (or its parts) to the size of every part, byte for byte as Flink computes it.
//!
//! A process is Flink's memory plus metaspace plus overhead; a native process has the last two as ordinary memory, and
//! [`NativeBudget`] says what it may use for what. A container smaller than Flink would accept gets its fixed parts scaled
//! down ([`Fit::Scaled`]), unless the user has set them.

mod application_master;
mod fraction;
mod task_executor;

pub use application_master::ApplicationMasterMemory;
pub use task_executor::{NativeBudget, TaskExecutorMemory};

use super::options::ConfigOption;
use super::{ConfigError, Configuration, MemorySize};
use fraction::times;

/// Whether the process is as large as Flink's defaults need it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Every part has the size that Flink gives it.
    AsFlink,
    /// The fixed parts were scaled down to fit.
    Scaled,
}

/// Sizes that do not go together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// A value is not a size.
    #[error(transparent)]
    Value(#[from] ConfigError),
    /// Metaspace and overhead leave nothing.
    #[error(
        "{process} memory configuration failed: Sum of configured JVM Metaspace ({metaspace}) and JVM Overhead ({overhead}) exceed configured Total Process Memory ({total})."
    )]
    ProcessTooSmall {
        /// `TaskManager` or `JobManager`.
        process: &'static str,
        /// As configured.
        metaspace: MemorySize,
        /// As derived.
        overhead: MemorySize,
        /// As configured.
        total: MemorySize,
    },
    /// The parts of a task executor are more than the whole.
    #[error(
        "TaskManager memory configuration failed: Sum of configured {parts} exceed configured Total Flink Memory ({total})."
    )]
    PartsExceedFlink {
        /// Names and sizes of the parts.
        parts: String,
        /// As configured or derived.
        total: MemorySize,
    },
    /// The application master's off-heap memory leaves no heap.
    #[error(
        "JobManager memory configuration failed: The configured Total Flink Memory ({total}) is less than the configured Off-heap Memory ({off_heap})."
    )]
    OffHeapExceedsFlink {
        /// As configured or derived.
        total: MemorySize,
        /// As configured.
        off_heap: MemorySize,
    },
    /// A derived size is outside the limits that are set for it.
    #[error(
        "{process} memory configuration failed: Derived {part} ({derived}) is not in configured {part} range [{min}, {max}]."
    )]
    OutOfRange {
        /// `TaskManager` or `JobManager`.
        process: &'static str,
        /// `JVM Overhead` or `Network Memory`.
        part: &'static str,
        /// What results from the other sizes.
        derived: MemorySize,
        /// Least.
        min: MemorySize,
        /// Most.
        max: MemorySize,
    },
    /// A fraction that is none.
    #[error(
        "{process} memory configuration failed: The fraction '{key}' must be at least 0 and below 1, not {value}."
    )]
    Fraction {
        /// `TaskManager` or `JobManager`.
        process: &'static str,
        /// The option.
        key: &'static str,
        /// Its value.
        value: f64,
    },
    /// Less than the process needs to run at all.
    #[error(
        "{process} memory configuration failed: The configured Total Process Memory ({total}) is less than the {least} that the process needs."
    )]
    BelowMinimum {
        /// `TaskManager` or `JobManager`.
        process: &'static str,
        /// As configured.
        total: MemorySize,
        /// The least that is accepted.
        least: MemorySize,
    },
}

/// A fraction of some memory between two limits.
#[derive(Debug, Clone, Copy)]
struct Share {
    process: &'static str,
    part: &'static str,
    min: u64,
    max: u64,
    fraction: f64,
}

impl Share {
    /// The share of `base`, kept within the limits.
    fn of(self, base: u64) -> u64 {
        self.clamp(times(base, self.fraction))
    }

    /// The share of the whole of which `rest` is the other part, kept within the limits.
    fn beside(self, rest: u64) -> u64 {
        self.clamp(times(rest, self.fraction / (1.0 - self.fraction)))
    }

    /// Flink prefers the lower limit where both contradict each other.
    fn clamp(self, derived: u64) -> u64 {
        derived.min(self.max).max(self.min)
    }

    fn check(self, derived: u64) -> Result<u64, MemoryError> {
        if (self.min..=self.max).contains(&derived) {
            return Ok(derived);
        }
        Err(MemoryError::OutOfRange {
            process: self.process,
            part: self.part,
            derived: MemorySize(derived),
            min: MemorySize(self.min),
            max: MemorySize(self.max),
        })
    }
}

/// Metaspace and overhead, common to both processes.
#[derive(Debug, Clone, Copy)]
struct JvmParts {
    process: &'static str,
    metaspace: u64,
    overhead: Share,
}

/// What a process is divided into at the outermost level, in bytes.
#[derive(Debug, Clone, Copy)]
struct Division {
    flink: u64,
    metaspace: u64,
    overhead: u64,
}

impl JvmParts {
    /// From the size of the process.
    fn within(self, process: u64) -> Result<Division, MemoryError> {
        let overhead = self.overhead.of(process);
        match process.checked_sub(self.metaspace + overhead) {
            Some(flink) => Ok(Division { flink, metaspace: self.metaspace, overhead }),
            None => Err(MemoryError::ProcessTooSmall {
                process: self.process,
                metaspace: MemorySize(self.metaspace),
                overhead: MemorySize(overhead),
                total: MemorySize(process),
            }),
        }
    }

    /// From Flink's memory, and the size of the process where that is set as well.
    fn around(self, flink: u64, process: Option<u64>) -> Result<Division, MemoryError> {
        let inner = flink + self.metaspace;
        let overhead = match process {
            None => self.overhead.beside(inner),
            Some(process) => self.overhead.check(process.saturating_sub(inner))?,
        };
        Ok(Division { flink, metaspace: self.metaspace, overhead })
    }
}

/// The fraction an option sets, as the `float` that Flink reads it as.
fn fraction(
    config: &Configuration,
    process: &'static str,
    option: &ConfigOption<f64>,
) -> Result<f64, MemoryError> {
    let value = config.get(option)?;
    if !(0.0..1.0).contains(&value) {
        return Err(MemoryError::Fraction { process, key: option.key(), value });
    }
    Ok(f64::from(value as f32))
}

/// Below this a process is not started: the program, its threads and its connections need so much.
const LEAST_PROCESS: MemorySize = MemorySize::mib(64);

fn check_least(process: &'static str, total: MemorySize) -> Result<(), MemoryError> {
    if total < LEAST_PROCESS {
        return Err(MemoryError::BelowMinimum { process, total, least: LEAST_PROCESS });
    }
    Ok(())
}
