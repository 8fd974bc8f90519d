//! The parts of the application master's memory.

use super::{Division, Fit, JvmParts, MemoryError, Share, check_least, fraction};
use crate::config::{Configuration, MemorySize, options};

const PROCESS: &str = "JobManager";

/// The application master's memory where nothing is configured, as in Flink's shipped configuration.
const DEFAULT_PROCESS: MemorySize = MemorySize::mib(1600);

/// The sizes of an application master, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationMasterMemory {
    /// The whole: what the container is asked for.
    pub process: MemorySize,
    /// Without metaspace and overhead.
    pub flink: MemorySize,
    /// `jobmanager.memory.heap.size`.
    pub heap: MemorySize,
    /// `jobmanager.memory.off-heap.size`.
    pub off_heap: MemorySize,
    /// `jobmanager.memory.jvm-metaspace.size`.
    pub metaspace: MemorySize,
    /// Between `jobmanager.memory.jvm-overhead.min` and `.max`.
    pub overhead: MemorySize,
    /// Whether Flink would have accepted these sizes.
    pub fit: Fit,
}

impl ApplicationMasterMemory {
    /// Derives the sizes.
    ///
    /// # Errors
    /// A value that is no size, or sizes that contradict each other.
    pub fn from_config(config: &Configuration) -> Result<ApplicationMasterMemory, MemoryError> {
        let process = config.get(&options::JM_PROCESS)?;
        let flink = config.get(&options::JM_FLINK)?;
        let heap = config.get(&options::JM_HEAP)?;
        let parts = Parts::read(config)?;
        match (heap, flink, process) {
            (Some(heap), ..) => parts.around(heap.0 + parts.off_heap, process),
            (None, Some(flink), _) => parts.around(flink.0, process),
            (None, None, process) => parts.within(config, process.unwrap_or(DEFAULT_PROCESS)),
        }
    }

    /// The sizes as options, for the process to find.
    pub fn derived(&self) -> Configuration {
        let bytes = |size: MemorySize| format!("{}b", size.0);
        let mut derived = Configuration::default();
        derived.set_option(&options::JM_PROCESS, bytes(self.process));
        derived.set_option(&options::JM_HEAP, bytes(self.heap));
        derived.set_option(&options::JM_OFF_HEAP, bytes(self.off_heap));
        derived.set_option(&options::JM_METASPACE, bytes(self.metaspace));
        derived.set_option(&options::JM_OVERHEAD_MIN, bytes(self.overhead));
        derived.set_option(&options::JM_OVERHEAD_MAX, bytes(self.overhead));
        derived
    }
}

struct Parts {
    jvm: JvmParts,
    off_heap: u64,
}

impl Parts {
    fn read(config: &Configuration) -> Result<Parts, MemoryError> {
        let overhead = Share {
            process: PROCESS,
            part: "JVM Overhead",
            min: config.get(&options::JM_OVERHEAD_MIN)?.0,
            max: config.get(&options::JM_OVERHEAD_MAX)?.0,
            fraction: fraction(config, PROCESS, &options::JM_OVERHEAD_FRACTION)?,
        };
        let metaspace = config.get(&options::JM_METASPACE)?.0;
        let jvm = JvmParts { process: PROCESS, metaspace, overhead };
        Ok(Parts { jvm, off_heap: config.get(&options::JM_OFF_HEAP)?.0 })
    }

    fn around(
        &self,
        flink: u64,
        process: Option<MemorySize>,
    ) -> Result<ApplicationMasterMemory, MemoryError> {
        self.divide(self.jvm.around(flink, process.map(|size| size.0))?, Fit::AsFlink)
    }

    fn within(
        &self,
        config: &Configuration,
        process: MemorySize,
    ) -> Result<ApplicationMasterMemory, MemoryError> {
        check_least(PROCESS, process)?;
        let as_flink = self.jvm.within(process.0).and_then(|parts| self.divide(parts, Fit::AsFlink));
        as_flink.or_else(|refused| self.scaled(config, process.0)?.ok_or(refused))
    }

    /// The fixed parts as parts of the process, where the user set none of them.
    fn scaled(
        &self,
        config: &Configuration,
        process: u64,
    ) -> Result<Option<ApplicationMasterMemory>, MemoryError> {
        let fixed = [&options::JM_METASPACE, &options::JM_OVERHEAD_MIN, &options::JM_OFF_HEAP];
        if fixed.iter().any(|option| config.is_set(option)) {
            return Ok(None);
        }
        let part = process / 8;
        let parts = Division { flink: process - 2 * part, metaspace: part, overhead: part };
        Parts { off_heap: part, ..*self }.divide(parts, Fit::Scaled).map(Some)
    }

    fn divide(&self, parts: Division, fit: Fit) -> Result<ApplicationMasterMemory, MemoryError> {
        let heap = parts.flink.checked_sub(self.off_heap).filter(|heap| *heap > 0);
        let heap = heap.ok_or(MemoryError::OffHeapExceedsFlink {
            total: MemorySize(parts.flink),
            off_heap: MemorySize(self.off_heap),
        })?;
        Ok(ApplicationMasterMemory {
            process: MemorySize(parts.flink + parts.metaspace + parts.overhead),
            flink: MemorySize(parts.flink),
            heap: MemorySize(heap),
            off_heap: MemorySize(self.off_heap),
            metaspace: MemorySize(parts.metaspace),
            overhead: MemorySize(parts.overhead),
            fit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(pairs: &[(&str, &str)]) -> Result<ApplicationMasterMemory, MemoryError> {
        ApplicationMasterMemory::from_config(&pairs.iter().copied().collect())
    }

    fn of_process(size: &str) -> ApplicationMasterMemory {
        memory(&[("jobmanager.memory.process.size", size)]).unwrap()
    }

    #[test]
    fn the_sizes_are_flinks_to_the_byte() {
        let table = [
            ("600m", 159_383_552, 25_165_824, 201_326_592),
            ("1024m", 603_979_776, 469_762_048, 201_326_592),
            ("1600m", 1_207_959_552, 1_073_741_824, 201_326_592),
            ("2048m", 1_664_299_824, 1_530_082_096, 214_748_368),
        ];
        for (size, flink, heap, overhead) in table {
            let m = of_process(size);
            assert_eq!(
                (m.flink.0, m.heap.0, m.overhead.0, m.off_heap.0, m.metaspace.0, m.fit),
                (flink, heap, overhead, 134_217_728, 268_435_456, Fit::AsFlink),
                "{size}"
            );
        }
    }

    #[test]
    fn a_size_that_flink_refuses_is_scaled_and_adds_up() {
        for size in ["64m", "200m", "448m", "500m"] {
            let m = of_process(size);
            assert_eq!(m.fit, Fit::Scaled, "{size}");
            assert_eq!(m.heap.0 + m.off_heap.0 + m.metaspace.0 + m.overhead.0, m.process.0);
        }
        assert_eq!(
            memory(&[("jobmanager.memory.process.size", "32m")]).unwrap_err().to_string(),
            "JobManager memory configuration failed: The configured Total Process Memory (32.000mb (33554432 bytes)) is less than the 64.000mb (67108864 bytes) that the process needs."
        );
    }

    #[test]
    fn parts_that_the_user_set_are_kept_and_refused_as_flink_does() {
        let set = ("jobmanager.memory.jvm-metaspace.size", "256m");
        let error = memory(&[("jobmanager.memory.process.size", "200m"), set]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "JobManager memory configuration failed: Sum of configured JVM Metaspace (256.000mb (268435456 bytes)) and JVM Overhead (192.000mb (201326592 bytes)) exceed configured Total Process Memory (200.000mb (209715200 bytes))."
        );
        let error = memory(&[("jobmanager.memory.process.size", "448m"), set]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "JobManager memory configuration failed: The configured Total Flink Memory (0 bytes) is less than the configured Off-heap Memory (128.000mb (134217728 bytes))."
        );
    }

    #[test]
    fn heap_or_flink_size_lead_to_the_process_size() {
        let m = memory(&[("jobmanager.memory.heap.size", "469762048b")]).unwrap();
        assert_eq!((m.flink.0, m.process), (603_979_776, MemorySize::mib(1024)));
        let m = memory(&[("jobmanager.memory.flink.size", "603979776b")]).unwrap();
        assert_eq!((m.heap.0, m.process), (469_762_048, MemorySize::mib(1024)));
    }

    #[test]
    fn the_derived_options_lead_to_the_same_sizes() {
        for size in ["200m", "1024m", "4g"] {
            let m = of_process(size);
            let again = ApplicationMasterMemory::from_config(&m.derived()).unwrap();
            assert_eq!(ApplicationMasterMemory { fit: m.fit, ..again }, m, "{size}");
        }
    }
}
