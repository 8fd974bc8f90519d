//! Options of checkpoints, state and high availability.

use crate::config::{BackendKind, MemorySize, PortRange};
use std::time::Duration;

super::options! {
    /// Time between checkpoints; none are taken where not set.
    CHECKPOINT_INTERVAL: Option<Duration> = "execution.checkpointing.interval", none, Used;
    /// `EXACTLY_ONCE` or `AT_LEAST_ONCE`.
    CHECKPOINT_MODE: String = "execution.checkpointing.mode", "EXACTLY_ONCE", Used;
    /// How long a checkpoint may take.
    CHECKPOINT_TIMEOUT: Duration = "execution.checkpointing.timeout", "10 min", Used;
    /// Least time between two checkpoints.
    CHECKPOINT_MIN_PAUSE: Duration = "execution.checkpointing.min-pause", "0 s", Used;
    /// Checkpoints at a time.
    CHECKPOINT_CONCURRENT: u32 = "execution.checkpointing.max-concurrent-checkpoints", "1", Used;
    /// Failed checkpoints that a job bears.
    CHECKPOINT_TOLERABLE: u32 = "execution.checkpointing.tolerable-failed-checkpoints", "0", Used;
    /// What becomes of checkpoints when a job ends.
    CHECKPOINT_RETENTION: String = "execution.checkpointing.externalized-checkpoint-retention", "NO_EXTERNALIZED_CHECKPOINTS", Used;
    /// Whether checkpoints overtake data in flight.
    UNALIGNED: bool = "execution.checkpointing.unaligned.enabled" | "execution.checkpointing.unaligned", "false", Used;
    /// After which time an aligned checkpoint becomes an unaligned one.
    ALIGNED_TIMEOUT: Duration = "execution.checkpointing.aligned-checkpoint-timeout", "0 s", Used;
    /// Whether unaligned checkpoints are forced.
    UNALIGNED_FORCED: bool = "execution.checkpointing.unaligned.forced", "false", NoMeaning;
    /// Subtasks whose channel state shares a file.
    UNALIGNED_FILE: u32 = "execution.checkpointing.unaligned.max-subtasks-per-channel-state-file", "5", NoMeaning;
    /// Time between checkpoints while a source has a backlog.
    CHECKPOINT_BACKLOG: Option<Duration> = "execution.checkpointing.interval-during-backlog", none, NotYet;
    /// Whether checkpoints go on after tasks have finished.
    CHECKPOINT_AFTER_FINISH: bool = "execution.checkpointing.checkpoints-after-tasks-finish", "true", Used;
    /// Where checkpoints are kept: `jobmanager` or `filesystem`.
    CHECKPOINT_STORAGE: Option<String> = "execution.checkpointing.storage" | "state.checkpoint-storage", none, Used;
    /// Directory of checkpoints.
    CHECKPOINT_DIR: Option<String> = "execution.checkpointing.dir" | "state.checkpoints.dir", none, Used;
    /// Directory of savepoints.
    SAVEPOINT_DIR: Option<String> = "execution.checkpointing.savepoint-dir" | "state.savepoints.dir", none, Used;
    /// Whether every job has a directory of its own.
    CHECKPOINT_SUBDIR: bool = "execution.checkpointing.create-subdir" | "state.checkpoints.create-subdir", "true", Used;
    /// Checkpoints that are kept.
    CHECKPOINT_RETAINED: u32 = "execution.checkpointing.num-retained" | "state.checkpoints.num-retained", "1", Used;
    /// Whether checkpoints hold only what changed.
    INCREMENTAL: bool = "execution.checkpointing.incremental" | "state.backend.incremental", "false", Used;
    /// Size below which state is kept in the metadata file.
    INLINE_THRESHOLD: MemorySize = "execution.checkpointing.data-inline-threshold" | "state.storage.fs.memory-threshold", "20 kb", Used;
    /// Buffer of a checkpoint file, in bytes.
    CHECKPOINT_BUFFER: u32 = "execution.checkpointing.write-buffer-size" | "state.storage.fs.write-buffer-size", "4096", NotYet;
    /// Whether state is kept on the node as well.
    LOCAL_BACKUP: bool = "execution.checkpointing.local-backup.enabled", "false", Used;
    /// Where on the node; the directories for temporary files where not set.
    LOCAL_DIRS: Option<String> = "execution.checkpointing.local-backup.dirs" | "taskmanager.state.local.root-dirs", none, Used;
    /// Whether state on the node is used for recovery.
    FROM_LOCAL: bool = "execution.state-recovery.from-local" | "state.backend.local-recovery", "false", Used;
    /// Whether small checkpoint files are merged.
    FILE_MERGING: bool = "execution.checkpointing.file-merging.enabled", "false", NotYet;
    /// Largest merged file.
    FILE_MERGING_MAX: MemorySize = "execution.checkpointing.file-merging.max-file-size", "32 mb", NotYet;
    /// Whether snapshots are compressed.
    SNAPSHOT_COMPRESSION: bool = "execution.checkpointing.snapshot-compression" | "execution.checkpointing.compression", "false", NotYet;
    /// `hashmap` or `rocksdb`.
    STATE_BACKEND: BackendKind = "state.backend.type" | "state.backend", "hashmap", Used;
    /// Savepoint or checkpoint from which a job starts.
    RESTORE_PATH: Option<String> = "execution.state-recovery.path" | "execution.savepoint.path", none, Used;
    /// Whether state that no operator claims is left out.
    RESTORE_IGNORE: bool = "execution.state-recovery.ignore-unclaimed-state" | "execution.savepoint.ignore-unclaimed-state", "false", Used;
    /// To whom the restored files belong: `CLAIM`, `NO_CLAIM` or `LEGACY`.
    RESTORE_CLAIM: String = "execution.state-recovery.claim-mode" | "execution.savepoint-restore-mode", "NO_CLAIM", Used;
    /// `filesystem`, `zookeeper` or `NONE`; on YARN the file system where not set.
    HA_TYPE: Option<String> = "high-availability.type" | "high-availability", none, Used;
    /// Directory of what must survive an application master; the application's staging directory where not set.
    HA_STORAGE: Option<String> = "high-availability.storageDir", none, Used;
    /// Name of the cluster in the HA store; the application's id on YARN.
    HA_CLUSTER_ID: String = "high-availability.cluster-id", "/default", Used;
    /// Ports of an application master with high availability.
    HA_JM_PORT: PortRange = "high-availability.jobmanager.port", "0", NoMeaning;
    /// ZooKeeper's servers.
    HA_ZK_QUORUM: Option<String> = "high-availability.zookeeper.quorum", none, Used;
    /// ZooKeeper's root node.
    HA_ZK_ROOT: String = "high-availability.zookeeper.path.root", "/flink", Used;
    /// ZooKeeper's node of job graphs.
    HA_ZK_GRAPHS: String = "high-availability.zookeeper.path.jobgraphs", "/jobgraphs", NoMeaning;
    /// ZooKeeper's session timeout.
    HA_ZK_SESSION: Duration = "high-availability.zookeeper.client.session-timeout", "60 s", Used;
    /// ZooKeeper's connection timeout.
    HA_ZK_CONNECTION: Duration = "high-availability.zookeeper.client.connection-timeout", "15 s", Used;
    /// Wait before ZooKeeper is tried again.
    HA_ZK_RETRY: Duration = "high-availability.zookeeper.client.retry-wait", "5 s", Used;
    /// Attempts at ZooKeeper.
    HA_ZK_ATTEMPTS: u32 = "high-availability.zookeeper.client.max-retry-attempts", "3", Used;
    /// ZooKeeper's access rights: `open` or `creator`.
    HA_ZK_ACL: String = "high-availability.zookeeper.client.acl", "open", Used;
    /// Whether a suspended connection to ZooKeeper is borne.
    HA_ZK_SUSPENDED: bool = "high-availability.zookeeper.client.tolerate-suspended-connections", "false", NoMeaning;
    /// Directory of results of jobs.
    RESULT_STORE: Option<String> = "job-result-store.storage-path", none, NotYet;
    /// Whether results are deleted once they are cleaned up.
    RESULT_DELETE: bool = "job-result-store.delete-on-commit", "true", NotYet;
    /// How cleaning up is tried again.
    CLEANUP_STRATEGY: String = "cleanup-strategy.type" | "cleanup-strategy", "exponential-delay", NotYet;
}
