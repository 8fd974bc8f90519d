//! The environment in which the application master starts its task executors.

/// `host:port` of the application master.
pub const MASTER_ENV: &str = "KVICK_MASTER";
/// Which application master it is: an [`crate::ha::Epoch`], by its key.
pub const EPOCH_ENV: &str = "KVICK_EPOCH";
/// The application's directory with what survives an application master, where there is one: a task executor finds the next
/// attempt there ([`crate::ha::LEADER_FILE`]).
pub const HA_DIR_ENV: &str = "KVICK_HA_DIR";
/// The least level of what a container logs, as Flink's scripts have it.
pub const LOG_LEVEL_ENV: &str = "ROOT_LOG_LEVEL";
/// How many older log files a container keeps, as Flink's scripts have it.
pub const LOG_FILES_ENV: &str = "MAX_LOG_FILE_NUMBER";
/// How many slots the task executor offers.
pub const SLOTS_ENV: &str = "KVICK_SLOTS";
/// The name of the task executor's program in its working directory.
pub const EXECUTOR_PROGRAM: &str = "kvick-taskexecutor";
/// The name of the RocksDB plugin's file: in the directory `plugins` of a distribution, and in the working directories of
/// containers.
pub const ROCKSDB_PLUGIN: &str = "libkvick_state_rocksdb.so";
/// The environment variable that names another directory with plugins.
pub const PLUGINS_DIR_ENV: &str = "KVICK_PLUGINS_DIR";
/// The name of the application master's program in its working directory.
pub const MASTER_PROGRAM: &str = "kvick-appmaster";
