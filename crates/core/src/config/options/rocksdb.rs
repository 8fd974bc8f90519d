//! Options of the RocksDB state backend (`RocksDBOptions`, `RocksDBConfigurableOptions`).

use crate::config::MemorySize;

super::options! {
    /// Whether stores share a slot's managed memory; if not, each has memory of its own.
    ROCKSDB_MANAGED: bool = "state.backend.rocksdb.memory.managed", "true", Used;
    /// Memory that stores share in each slot, instead of managed memory.
    ROCKSDB_FIXED_PER_SLOT: Option<MemorySize> = "state.backend.rocksdb.memory.fixed-per-slot", none, Used;
    /// Memory that stores share in each task executor, instead of managed memory.
    ROCKSDB_FIXED_PER_TM: Option<MemorySize> = "state.backend.rocksdb.memory.fixed-per-tm", none, NotYet;
    /// Part of shared memory for write buffers.
    ROCKSDB_WRITE_BUFFER_RATIO: f64 = "state.backend.rocksdb.memory.write-buffer-ratio", "0.5", Used;
    /// Part of shared memory for index and filter blocks; the cache keeps them by RocksDB's own default.
    ROCKSDB_HIGH_PRIORITY_RATIO: f64 = "state.backend.rocksdb.memory.high-prio-pool-ratio", "0.1", NoMeaning;
    /// Whether index and filter blocks are partitioned.
    ROCKSDB_PARTITIONED: bool = "state.backend.rocksdb.memory.partitioned-index-filters", "false", NotYet;
    /// Directories of stores; the directories for temporary files where not set.
    ROCKSDB_LOCAL_DIRS: Option<String> = "state.backend.rocksdb.localdir", none, Used;
    /// Files that are copied at a time when a checkpoint is taken or restored.
    ROCKSDB_TRANSFER_THREADS: u32 = "state.backend.rocksdb.checkpoint.transfer.thread.num", "4", Used;
    /// A set of options for a kind of disk: `DEFAULT`, `SPINNING_DISK_OPTIMIZED`, `SPINNING_DISK_OPTIMIZED_HIGH_MEM` or
    /// `FLASH_SSD_OPTIMIZED`.
    ROCKSDB_PREDEFINED: String = "state.backend.rocksdb.predefined-options", "DEFAULT", Used;
    /// A class with options.
    ROCKSDB_FACTORY: Option<String> = "state.backend.rocksdb.options-factory", none, NoMeaning;
    /// Where timers are: `ROCKSDB` or `HEAP`.
    ROCKSDB_TIMERS: String = "state.backend.rocksdb.timer-service.factory", "ROCKSDB", NotYet;
    /// Timers that are kept in memory for each key group.
    ROCKSDB_TIMER_CACHE: u32 = "state.backend.rocksdb.timer-service.cache-size", "128", NotYet;
    /// Threads for flushes and compactions; 2, or what is predefined, where not set.
    ROCKSDB_THREADS: Option<u32> = "state.backend.rocksdb.thread.num", none, Used;
    /// Files that a store may have open; -1 for all.
    ROCKSDB_OPEN_FILES: i32 = "state.backend.rocksdb.files.open", "-1", NotYet;
    /// How much RocksDB logs.
    ROCKSDB_LOG_LEVEL: String = "state.backend.rocksdb.log.level", "INFO_LEVEL", NotYet;
    /// Where RocksDB logs.
    ROCKSDB_LOG_DIR: Option<String> = "state.backend.rocksdb.log.dir", none, NotYet;
    /// Size of a log file.
    ROCKSDB_LOG_SIZE: MemorySize = "state.backend.rocksdb.log.max-file-size", "25mb", NotYet;
    /// Log files that are kept.
    ROCKSDB_LOG_FILES: u32 = "state.backend.rocksdb.log.file-num", "4", NotYet;
    /// `LEVEL`, `UNIVERSAL`, `FIFO` or `NONE`.
    ROCKSDB_COMPACTION: String = "state.backend.rocksdb.compaction.style", "LEVEL", NotYet;
    /// Whether the sizes of levels follow the amount of data.
    ROCKSDB_DYNAMIC_LEVELS: bool = "state.backend.rocksdb.compaction.level.use-dynamic-size", "false", NotYet;
    /// Size of a file of the first level.
    ROCKSDB_FILE_SIZE: Option<MemorySize> = "state.backend.rocksdb.compaction.level.target-file-size-base", none, Used;
    /// Size of the first level.
    ROCKSDB_LEVEL_SIZE: Option<MemorySize> = "state.backend.rocksdb.compaction.level.max-size-level-base", none, Used;
    /// Entries after which a compaction looks at the time again.
    ROCKSDB_FILTER_TIME: u64 = "state.backend.rocksdb.compaction.filter.query-time-after-num-entries", "1000", NotYet;
    /// Age at which files are compacted again, to be rid of what has expired.
    ROCKSDB_FILTER_PERIOD: Option<String> = "state.backend.rocksdb.compaction.filter.periodic-compaction-time", none, NotYet;
    /// Compression of each level.
    ROCKSDB_COMPRESSION: Option<String> = "state.backend.rocksdb.compression.per.level", none, NotYet;
    /// Size of a write buffer.
    ROCKSDB_BUFFER_SIZE: Option<MemorySize> = "state.backend.rocksdb.writebuffer.size", none, Used;
    /// Write buffers of a table, at most.
    ROCKSDB_BUFFERS: Option<u32> = "state.backend.rocksdb.writebuffer.count", none, Used;
    /// Write buffers that are merged before they are written.
    ROCKSDB_BUFFERS_MERGED: u32 = "state.backend.rocksdb.writebuffer.number-to-merge", "1", NotYet;
    /// Size of a block.
    ROCKSDB_BLOCK_SIZE: Option<MemorySize> = "state.backend.rocksdb.block.blocksize", none, Used;
    /// Size of a block of an index.
    ROCKSDB_METADATA_BLOCK: MemorySize = "state.backend.rocksdb.block.metadata-blocksize", "4kb", NotYet;
    /// Cache of blocks of a store that has memory of its own.
    ROCKSDB_BLOCK_CACHE: Option<MemorySize> = "state.backend.rocksdb.block.cache-size", none, Used;
    /// Size of batches in which a store is filled.
    ROCKSDB_BATCH_SIZE: MemorySize = "state.backend.rocksdb.write-batch-size", "2mb", NotYet;
    /// Whether tables have bloom filters; they always do.
    ROCKSDB_BLOOM: bool = "state.backend.rocksdb.use-bloom-filter", "false", NoMeaning;
    /// Bits of a bloom filter for each key.
    ROCKSDB_BLOOM_BITS: f64 = "state.backend.rocksdb.bloom-filter.bits-per-key", "10.0", NotYet;
    /// Whether bloom filters are made by block.
    ROCKSDB_BLOOM_BLOCKS: bool = "state.backend.rocksdb.bloom-filter.block-based-mode", "false", NoMeaning;
    /// Overlap from which a restored store is used as it is.
    ROCKSDB_OVERLAP: f64 = "state.backend.rocksdb.restore-overlap-fraction-threshold", "0.0", NotYet;
    /// Whether restored files are ingested instead of copied.
    ROCKSDB_INGEST: bool = "state.backend.rocksdb.use-ingest-db-restore-mode", "false", NotYet;
    /// Whether restored stores are compacted in the background.
    ROCKSDB_RESTORE_COMPACT: bool = "state.backend.rocksdb.incremental-restore-async-compact-after-rescale", "false", NotYet;
    /// Whether whole files are removed of what another subtask has.
    ROCKSDB_DELETE_FILES: bool = "state.backend.rocksdb.rescaling.use-delete-files-in-range", "false", NotYet;
}
