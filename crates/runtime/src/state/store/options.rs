//! The options of the RocksDB backend: Flink's names and defaults (`RocksDBOptions`, `RocksDBConfigurableOptions`).

use super::abi::{MemoryOptions, StoreOptions};
use crate::state::StateError;
use kvick_core::config::{ConfigValue, Configuration, MemorySize};
use kvick_core::local_files::store_dirs;

const PREFIX: &str = "state.backend.rocksdb.";
/// Managed memory of a slot where nobody has sized the process: that of Flink's embedded cluster.
pub(crate) const DEFAULT_MANAGED: u64 = 128 << 20;
const MIB: u64 = 1 << 20;

/// How RocksDB is set up for a job.
#[derive(Debug, Clone, PartialEq)]
pub struct RocksDbOptions {
    /// Memory that all stores of a worker share, for one slot; none where each store has its own (`memory.managed: false`).
    pub memory: Option<MemoryOptions>,
    /// How a store is opened.
    pub store: StoreOptions,
    /// `checkpoint.transfer.thread.num`: files moved at once, up or down.
    pub transfer_threads: usize,
    /// `localdir`: where stores are, instead of the directories for temporary files.
    pub local_dirs: Vec<String>,
}

fn refused(key: &str, text: &str, wanted: &str) -> StateError {
    StateError::Backend { act: "read its options", reason: format!("{key}: \"{text}\" is no {wanted}") }
}

struct Reader<'a>(&'a Configuration);

impl Reader<'_> {
    fn parse<T>(
        &self,
        key: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, StateError> {
        let key = format!("{PREFIX}{key}");
        let Some(text) = self.0.raw(&key) else { return Ok(None) };
        parse(text.trim()).map(Some).ok_or_else(|| refused(&key, text, wanted))
    }

    fn size(&self, key: &str) -> Result<Option<u64>, StateError> {
        self.parse(key, "size of memory", |text| MemorySize::parse(text).map(|size| size.0))
    }

    fn count(&self, key: &str) -> Result<Option<u32>, StateError> {
        self.parse(key, "positive number", |text| text.parse().ok().filter(|count| *count > 0))
    }

    fn share(&self, key: &str, default: f64) -> Result<f64, StateError> {
        let share = |text: &str| text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        Ok(self.parse(key, "number from 0 to 1", share)?.unwrap_or(default))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, StateError> {
        Ok(self.parse(key, "boolean", |text| text.to_ascii_lowercase().parse().ok())?.unwrap_or(default))
    }
}

impl RocksDbOptions {
    /// From the configuration.
    ///
    /// # Errors
    /// A value that is none, named with its key.
    pub fn of(config: &Configuration) -> Result<RocksDbOptions, StateError> {
        let reader = Reader(config);
        let threads = reader.count("thread.num")?;
        let mut store = predefined(&reader)?;
        let over = |value: &mut u64, set: Option<u64>| *value = set.unwrap_or(*value);
        over(&mut store.block_size, reader.size("block.blocksize")?);
        over(&mut store.block_cache, reader.size("block.cache-size")?);
        over(&mut store.write_buffer_size, reader.size("writebuffer.size")?);
        over(&mut store.target_file_size, reader.size("compaction.level.target-file-size-base")?);
        over(&mut store.level_size, reader.size("compaction.level.max-size-level-base")?);
        store.write_buffers = reader.count("writebuffer.count")?.unwrap_or(store.write_buffers);
        store.threads = threads.unwrap_or(store.threads);
        Ok(RocksDbOptions {
            memory: memory(&reader, threads.unwrap_or(2))?,
            store,
            transfer_threads: reader.count("checkpoint.transfer.thread.num")?.unwrap_or(4) as usize,
            local_dirs: store_dirs(config),
        })
    }
}

fn memory(reader: &Reader<'_>, threads: u32) -> Result<Option<MemoryOptions>, StateError> {
    let fixed = reader.size("memory.fixed-per-slot")?;
    let managed = reader.flag("memory.managed", true)?;
    let write_buffer_ratio = reader.share("memory.write-buffer-ratio", 0.5)?;
    let high_priority_ratio = reader.share("memory.high-prio-pool-ratio", 0.1)?;
    let capacity = match (fixed, managed) {
        (Some(fixed), _) => fixed,
        (None, true) => managed_per_slot(reader.0)?,
        (None, false) => return Ok(None),
    };
    Ok(Some(MemoryOptions { capacity, write_buffer_ratio, high_priority_ratio, threads }))
}

/// A slot's share of the managed memory, as the task executor has sized it.
pub(crate) fn managed_per_slot(config: &Configuration) -> Result<u64, StateError> {
    let key = "taskmanager.memory.managed.size";
    let Some(text) = config.raw(key) else { return Ok(DEFAULT_MANAGED) };
    let size = MemorySize::parse(text).ok_or_else(|| refused(key, text, "size of memory"))?;
    let slots = config.raw("taskmanager.numberOfTaskSlots").and_then(|text| text.trim().parse().ok());
    Ok(size.0 / slots.filter(|slots| *slots > 0).unwrap_or(1))
}

/// `predefined-options`, with the sizes that Flink's `PredefinedOptions` has.
fn predefined(reader: &Reader<'_>) -> Result<StoreOptions, StateError> {
    let known = |name: &str| {
        let spinning = StoreOptions { threads: 4, ..StoreOptions::default() };
        Some(match name.to_ascii_uppercase().as_str() {
            "DEFAULT" => StoreOptions::default(),
            "SPINNING_DISK_OPTIMIZED" | "FLASH_SSD_OPTIMIZED" => spinning,
            "SPINNING_DISK_OPTIMIZED_HIGH_MEM" => StoreOptions {
                block_size: 128 << 10,
                block_cache: 256 * MIB,
                write_buffers: 4,
                target_file_size: 256 * MIB,
                level_size: 1024 * MIB,
                ..spinning
            },
            _ => return None,
        })
    };
    let wanted = "DEFAULT, SPINNING_DISK_OPTIMIZED, SPINNING_DISK_OPTIMIZED_HIGH_MEM or FLASH_SSD_OPTIMIZED";
    Ok(reader.parse("predefined-options", wanted, known)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Result<RocksDbOptions, String> {
        let config: Configuration = pairs.iter().copied().collect();
        RocksDbOptions::of(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn memory_is_a_slots_share_unless_it_is_fixed_or_not_managed() {
        let sized = [("taskmanager.memory.managed.size", "512 mb"), ("taskmanager.numberOfTaskSlots", "2")];
        assert_eq!(options(&sized).unwrap().memory.unwrap().capacity, 256 * MIB);
        let fixed = [sized.as_slice(), &[("state.backend.rocksdb.memory.fixed-per-slot", "64mb")]].concat();
        assert_eq!(options(&fixed).unwrap().memory.unwrap().capacity, 64 * MIB);
        let own = [("state.backend.rocksdb.memory.managed", "false")];
        assert_eq!(options(&own).unwrap().memory, None);
    }

    #[test]
    fn what_is_set_beats_what_is_predefined() {
        let set = options(&[
            ("state.backend.rocksdb.predefined-options", "spinning_disk_optimized_high_mem"),
            ("state.backend.rocksdb.block.blocksize", "32kb"),
            ("state.backend.rocksdb.localdir", "/a, /b"),
        ])
        .unwrap();
        assert_eq!((set.store.block_size, set.store.write_buffers), (32 << 10, 4));
        assert_eq!(set.local_dirs, ["/a", "/b"]);
    }

    #[test]
    fn a_bad_value_is_named_with_its_key() {
        let error = options(&[("state.backend.rocksdb.memory.write-buffer-ratio", "2")]).unwrap_err();
        assert!(error.contains("state.backend.rocksdb.memory.write-buffer-ratio: \"2\" is no number from 0"));
        let error = options(&[("state.backend.rocksdb.writebuffer.count", "0")]).unwrap_err();
        assert!(error.contains("writebuffer.count: \"0\" is no positive number"), "{error}");
    }
}
