//! The options of the RocksDB backend: Flink's names and defaults (`RocksDBOptions`, `RocksDBConfigurableOptions`).

use super::abi::{MemoryOptions, StoreOptions};
use crate::state::StateError;
use kvick_core::config::options::{self, ConfigOption};
use kvick_core::config::{ConfigError, ConfigValue, Configuration, MemorySize};
use kvick_core::local_files::store_dirs;

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

/// The refusal of an option.
fn refused(error: ConfigError) -> StateError {
    StateError::Backend { act: "read its options", reason: error.to_string() }
}

struct Reader<'a>(&'a Configuration);

impl Reader<'_> {
    fn get<T: ConfigValue>(&self, option: &ConfigOption<T>) -> Result<T, StateError> {
        self.0.get(option).map_err(refused)
    }

    fn size(&self, option: &ConfigOption<Option<MemorySize>>) -> Result<Option<u64>, StateError> {
        Ok(self.get(option)?.map(|size| size.0))
    }

    fn count(&self, option: &ConfigOption<Option<u32>>) -> Result<Option<u32>, StateError> {
        let count = self.get(option)?;
        self.only(count != Some(0), option, "a positive number")?;
        Ok(count)
    }

    fn share(&self, option: &ConfigOption<f64>) -> Result<f64, StateError> {
        let share = self.get(option)?;
        self.only((0.0..=1.0).contains(&share), option, "a number from 0 to 1")?;
        Ok(share)
    }

    fn only<T>(
        &self,
        fits: bool,
        option: &ConfigOption<T>,
        expected: &'static str,
    ) -> Result<(), StateError> {
        if fits { Ok(()) } else { Err(refused(self.0.unexpected(option, expected))) }
    }
}

impl RocksDbOptions {
    /// From the configuration.
    ///
    /// # Errors
    /// A value that is none, named with its key.
    pub fn of(config: &Configuration) -> Result<RocksDbOptions, StateError> {
        let reader = Reader(config);
        let threads = reader.count(&options::ROCKSDB_THREADS)?;
        let transfers = reader.get(&options::ROCKSDB_TRANSFER_THREADS)?;
        reader.only(transfers > 0, &options::ROCKSDB_TRANSFER_THREADS, "a positive number")?;
        let mut store = predefined(&reader)?;
        let over = |value: &mut u64, set: Option<u64>| *value = set.unwrap_or(*value);
        over(&mut store.block_size, reader.size(&options::ROCKSDB_BLOCK_SIZE)?);
        over(&mut store.block_cache, reader.size(&options::ROCKSDB_BLOCK_CACHE)?);
        over(&mut store.write_buffer_size, reader.size(&options::ROCKSDB_BUFFER_SIZE)?);
        over(&mut store.target_file_size, reader.size(&options::ROCKSDB_FILE_SIZE)?);
        over(&mut store.level_size, reader.size(&options::ROCKSDB_LEVEL_SIZE)?);
        store.write_buffers = reader.count(&options::ROCKSDB_BUFFERS)?.unwrap_or(store.write_buffers);
        store.threads = threads.unwrap_or(store.threads);
        Ok(RocksDbOptions {
            memory: memory(&reader, threads.unwrap_or(2))?,
            store,
            transfer_threads: transfers as usize,
            local_dirs: store_dirs(config),
        })
    }
}

fn memory(reader: &Reader<'_>, threads: u32) -> Result<Option<MemoryOptions>, StateError> {
    let fixed = reader.size(&options::ROCKSDB_FIXED_PER_SLOT)?;
    let managed = reader.get(&options::ROCKSDB_MANAGED)?;
    let write_buffer_ratio = reader.share(&options::ROCKSDB_WRITE_BUFFER_RATIO)?;
    let high_priority_ratio = reader.share(&options::ROCKSDB_HIGH_PRIORITY_RATIO)?;
    let capacity = match (fixed, managed) {
        (Some(fixed), _) => fixed,
        (None, true) => managed_per_slot(reader.0)?,
        (None, false) => return Ok(None),
    };
    Ok(Some(MemoryOptions { capacity, write_buffer_ratio, high_priority_ratio, threads }))
}

/// A slot's share of the managed memory, as the task executor has sized it.
pub(crate) fn managed_per_slot(config: &Configuration) -> Result<u64, StateError> {
    let managed = config.get(&options::TM_MANAGED).map_err(refused)?;
    let slots = config.get(&options::TASK_SLOTS).map_err(refused)?;
    Ok(managed.map_or(DEFAULT_MANAGED, |size| size.0 / u64::from(slots.max(1))))
}

/// `predefined-options`, with the sizes that Flink's `PredefinedOptions` has.
fn predefined(reader: &Reader<'_>) -> Result<StoreOptions, StateError> {
    let spinning = StoreOptions { threads: 4, ..StoreOptions::default() };
    let option = &options::ROCKSDB_PREDEFINED;
    Ok(match reader.get(option)?.trim().to_ascii_uppercase().as_str() {
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
        _ => {
            let known =
                "DEFAULT, SPINNING_DISK_OPTIMIZED, SPINNING_DISK_OPTIMIZED_HIGH_MEM or FLASH_SSD_OPTIMIZED";
            return Err(refused(reader.0.unexpected(option, known)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RocksDbOptions, String> {
        let config: Configuration = pairs.iter().copied().collect();
        RocksDbOptions::of(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn memory_is_a_slots_share_unless_it_is_fixed_or_not_managed() {
        let sized = [("taskmanager.memory.managed.size", "512 mb"), ("taskmanager.numberOfTaskSlots", "2")];
        assert_eq!(read(&sized).unwrap().memory.unwrap().capacity, 256 * MIB);
        let fixed = [sized.as_slice(), &[("state.backend.rocksdb.memory.fixed-per-slot", "64mb")]].concat();
        assert_eq!(read(&fixed).unwrap().memory.unwrap().capacity, 64 * MIB);
        let own = [("state.backend.rocksdb.memory.managed", "false")];
        assert_eq!(read(&own).unwrap().memory, None);
    }

    #[test]
    fn what_is_set_beats_what_is_predefined() {
        let set = read(&[
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
        let error = read(&[("state.backend.rocksdb.memory.write-buffer-ratio", "2")]).unwrap_err();
        let named =
            "'2' for key 'state.backend.rocksdb.memory.write-buffer-ratio': expected a number from 0 to 1";
        assert!(error.contains(named), "{error}");
        let error = read(&[("state.backend.rocksdb.writebuffer.count", "0")]).unwrap_err();
        assert!(error.contains("writebuffer.count': expected a positive number"), "{error}");
    }
}
