//! RocksDB as a store of state: no log (checkpoints are what recovery rests on), memory bounded and shared, LZ4 below the
//! first levels, bloom filters.

use crate::abi::{MemoryOptions, StoreOptions};
use crate::list;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Env, Error, IteratorMode, LogLevel, LruCacheOptions,
    Options, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};
use std::path::Path;
use std::sync::Mutex;

const MIB: u64 = 1 << 20;
/// Bytes of a block: Flink's `state.backend.rocksdb.block.blocksize`.
const BLOCK_SIZE: u64 = 4096;
const BLOOM_BITS: f64 = 10.0;

/// Memory and threads that stores share.
pub struct Memory {
    cache: Mutex<Cache>,
    buffers: WriteBufferManager,
    env: Env,
    ratio: f64,
}

/// How a capacity is divided: RocksDB lets write buffers grow to one and a half times their limit, and counts them in the
/// cache, so that both limits are set lower (as Flink's `RocksDBMemoryControllerUtils` does).
fn divide(capacity: u64, ratio: f64) -> (usize, usize) {
    let capacity = capacity as f64;
    let cache = (3.0 - ratio) * capacity / 3.0;
    let buffers = 2.0 * capacity * ratio / 3.0;
    (cache as usize, buffers as usize)
}

impl Memory {
    /// Memory of a capacity.
    ///
    /// # Errors
    /// RocksDB cannot make its threads.
    pub fn new(options: &MemoryOptions) -> Result<Memory, Error> {
        let ratio = options.write_buffer_ratio.clamp(0.0, 1.0);
        let (cache_size, buffer_size) = divide(options.capacity, ratio);
        let mut lru = LruCacheOptions::default();
        lru.set_capacity(cache_size);
        lru.set_num_shard_bits(if options.capacity < 64 * MIB { 0 } else { 4 });
        let cache = Cache::new_lru_cache_opts(&lru);
        let buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(buffer_size, false, cache.clone());
        let mut env = Env::new()?;
        env.set_background_threads(options.threads.max(1) as i32);
        env.set_high_priority_background_threads(1);
        Ok(Memory { cache: Mutex::new(cache), buffers, env, ratio })
    }

    fn cache(&self) -> Cache {
        self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Changes the capacity.
    pub fn resize(&self, capacity: u64) {
        let (cache_size, buffer_size) = divide(capacity, self.ratio);
        self.cache().set_capacity(cache_size);
        self.buffers.set_buffer_size(buffer_size);
    }

    /// Bytes in use: cached blocks and write buffers.
    pub fn usage(&self) -> u64 {
        self.cache().get_usage() as u64
    }
}

/// One store.
pub struct Store {
    db: DB,
    unlogged: WriteOptions,
}

impl Store {
    /// Opens the store in a directory, or makes it.
    ///
    /// # Errors
    /// The directory cannot be used, or what is in it is no store.
    pub fn open(directory: &Path, memory: Option<&Memory>, options: &StoreOptions) -> Result<Store, Error> {
        let tuned = tuned(memory, options);
        let db = if options.read_only {
            DB::open_for_read_only(&tuned, directory, false)?
        } else {
            DB::open(&tuned, directory)?
        };
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        Ok(Store { db, unlogged })
    }

    /// Hands the value of a key to `take`; whether there is one.
    ///
    /// # Errors
    /// RocksDB cannot read it.
    pub fn get(&self, key: &[u8], take: impl FnOnce(&[u8])) -> Result<bool, Error> {
        let value = self.db.get_pinned(key)?;
        Ok(value.map(|value| take(&value)).is_some())
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.db.put_opt(key, value, &self.unlogged)
    }

    /// Adds elements to the list that is the value of a key.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn append(&self, key: &[u8], elements: &[u8]) -> Result<(), Error> {
        self.db.merge_opt(key, elements, &self.unlogged)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn delete(&self, key: &[u8]) -> Result<(), Error> {
        self.db.delete_opt(key, &self.unlogged)
    }

    /// Removes the keys from `from` up to `to`.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        batch.delete_range(from, to);
        self.db.write_opt(batch, &self.unlogged)
    }

    /// Does several changes at once: keys with their new values, or none.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        self.db.write_opt(batch, &self.unlogged)
    }

    /// Visits the entries from `from` up to `to`, until `visit` answers `false`.
    ///
    /// # Errors
    /// RocksDB cannot read on.
    pub fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek(from);
        while let Some((key, value)) = entries.item() {
            if !visit(key, value) {
                return Ok(());
            }
            entries.next();
        }
        entries.status()
    }

    /// Makes a directory with all that is in the store now.
    ///
    /// # Errors
    /// The directory exists, or cannot be made.
    pub fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        // Without a log, only what is flushed is in it.
        self.flush()?;
        Checkpoint::new(&self.db)?.create_checkpoint(directory)
    }

    /// Writes the write buffers into files.
    ///
    /// # Errors
    /// RocksDB cannot write.
    pub fn flush(&self) -> Result<(), Error> {
        self.db.flush()
    }

    /// About how many keys there are.
    pub fn keys(&self) -> u64 {
        self.property("rocksdb.estimate-num-keys")
    }

    /// Bytes in use beside a shared cache: write buffers, and what open files keep.
    pub fn usage(&self) -> u64 {
        self.property("rocksdb.cur-size-all-mem-tables") + self.property("rocksdb.estimate-table-readers-mem")
    }

    fn property(&self, name: &str) -> u64 {
        self.db.property_int_value(name).ok().flatten().unwrap_or(0)
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.db.iterator(IteratorMode::Start).next().is_none()
    }
}

fn or(value: u64, default: u64) -> usize {
    (if value == 0 { default } else { value }) as usize
}

fn tuned(memory: Option<&Memory>, wanted: &StoreOptions) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_log_level(LogLevel::Header);
    options.set_keep_log_file_num(1);
    options.set_stats_dump_period_sec(0);
    options.set_max_open_files(-1);
    // Links to files are made at checkpoints; the directory must not be renamed under them.
    options.set_use_fsync(false);
    options.set_write_buffer_size(or(wanted.write_buffer_size, 64 * MIB));
    options.set_max_write_buffer_number(or(u64::from(wanted.write_buffers), 2) as i32);
    options.set_target_file_size_base(or(wanted.target_file_size, 64 * MIB) as u64);
    options.set_max_bytes_for_level_base(or(wanted.level_size, 256 * MIB) as u64);
    options.set_level_compaction_dynamic_level_bytes(true);
    compress(&mut options);
    options.set_merge_operator_associative(list::NAME, |_, list, added| {
        list::join(&list.into_iter().chain(added.iter()).collect::<Vec<_>>())
    });
    options.set_block_based_table_factory(&table(memory, wanted));
    match memory {
        Some(memory) => {
            options.set_env(&memory.env);
            options.set_write_buffer_manager(&memory.buffers);
        }
        None => options.increase_parallelism(or(u64::from(wanted.threads), 2) as i32),
    }
    options
}

/// The upper levels are rewritten often: they stay as they are.
fn compress(options: &mut Options) {
    let plain = [DBCompressionType::None; 2];
    let packed = [DBCompressionType::Lz4; 5];
    options.set_compression_per_level(&[plain.as_slice(), packed.as_slice()].concat());
}

fn table(memory: Option<&Memory>, wanted: &StoreOptions) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_size(or(wanted.block_size, BLOCK_SIZE));
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_format_version(5);
    match memory {
        Some(memory) => {
            table.set_block_cache(&memory.cache());
            // Whatever is read is in the cache, so that the cache's limit is the limit.
            table.set_cache_index_and_filter_blocks(true);
            table.set_cache_index_and_filter_blocks_with_high_priority(true);
            table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        }
        None => table.set_block_cache(&Cache::new_lru_cache(or(wanted.block_cache, 8 * MIB))),
    }
    table
}
