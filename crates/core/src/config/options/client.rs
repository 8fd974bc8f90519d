//! Options of the command line client, of `execute()` and of the pipeline.

use crate::config::MemorySize;
use crate::graph::RuntimeMode;
use std::time::Duration;

super::options! {
    /// Where jobs are run: `local`, `remote`, `yarn-session`, `yarn-per-job` or `yarn-application`.
    TARGET: Option<String> = "execution.target", none, Used;
    /// Whether the client waits for the end of a job.
    ATTACHED: bool = "execution.attached", "false", Used;
    /// Whether the job is cancelled when an attached client ends.
    SHUTDOWN_ON_EXIT: bool = "execution.shutdown-on-attached-exit", "false", Used;
    /// Whether an application ends with its program.
    SHUTDOWN_ON_FINISH: bool = "execution.shutdown-on-application-finish", "true", NotYet;
    /// Whether a program that fails in application mode shows as a failed job.
    SUBMIT_FAILED_JOB: bool = "execution.submit-failed-job-on-application-error", "false", NotYet;
    /// Streaming or batch.
    RUNTIME_MODE: RuntimeMode = "execution.runtime-mode", "STREAMING", Used;
    /// After which time a buffer is sent though it is not full; 0 for after every record.
    BUFFER_TIMEOUT: Duration = "execution.buffer-timeout.interval" | "execution.buffer-timeout", "100 ms", Used;
    /// Whether buffers are sent before they are full.
    BUFFER_TIMEOUT_ENABLED: bool = "execution.buffer-timeout.enabled", "true", Used;
    /// Exchange between tasks of batch jobs.
    BATCH_SHUFFLE: String = "execution.batch-shuffle-mode", "ALL_EXCHANGES_BLOCKING", Used;
    /// Whether records are sorted by key in batch jobs.
    SORTED_INPUTS: bool = "execution.sorted-inputs.enabled", "true", Used;
    /// Parallelism of operators that set none.
    PARALLELISM: u32 = "parallelism.default", "1", Used;
    /// Number of key groups; -1 to derive it from the parallelism.
    MAX_PARALLELISM: i32 = "pipeline.max-parallelism", "-1", Used;
    /// Name of a job whose program gives it none.
    PIPELINE_NAME: Option<String> = "pipeline.name", none, Used;
    /// Jars of the job, beside the one that the command line names.
    PIPELINE_JARS: Option<Vec<String>> = "pipeline.jars", none, NotYet;
    /// URLs on the user's class path.
    PIPELINE_CLASSPATHS: Option<Vec<String>> = "pipeline.classpaths", none, NoMeaning;
    /// Whether records are handed on without copy; they always are.
    OBJECT_REUSE: bool = "pipeline.object-reuse", "false", NoMeaning;
    /// Whether operators are chained.
    CHAINING: bool = "pipeline.operator-chaining.enabled" | "pipeline.operator-chaining", "true", Used;
    /// Time between automatic watermarks.
    WATERMARK_INTERVAL: Duration = "pipeline.auto-watermark-interval", "200 ms", Used;
    /// Parallelism of single vertices.
    VERTEX_PARALLELISM: String = "pipeline.jobvertex-parallelism-overrides", "", NotYet;
    /// Whether generic types are allowed.
    GENERIC_TYPES: bool = "pipeline.generic-types", "true", NoMeaning;
    /// Time that a client waits for cancel, stop and savepoints.
    CLIENT_TIMEOUT: Duration = "client.timeout", "60 s", Used;
    /// Time between questions for a job's state, at most.
    CLIENT_RETRY: Duration = "client.retry-period", "2 s", NoMeaning;
    /// Time between heartbeats of a client for whom the job shall be cancelled when it ends.
    CLIENT_HEARTBEAT: Duration = "client.heartbeat.interval", "30 s", Used;
    /// After which time without heartbeat such a job is cancelled.
    CLIENT_HEARTBEAT_TIMEOUT: Duration = "client.heartbeat.timeout", "180 s", Used;
    /// Order in which classes are found.
    CLASSLOADER_ORDER: String = "classloader.resolve-order", "child-first", NoMeaning;
    /// Classes that are found in the parent first.
    CLASSLOADER_PARENT_FIRST: Option<String> = "classloader.parent-first-patterns.default", none, NoMeaning;
    /// More classes that are found in the parent first.
    CLASSLOADER_PARENT_FIRST_MORE: Option<String> = "classloader.parent-first-patterns.additional", none, NoMeaning;
    /// Whether leaked class loaders are looked for.
    CLASSLOADER_LEAK: bool = "classloader.check-leaked-classloader", "true", NoMeaning;
    /// Whether errors of metaspace are explained.
    CLASSLOADER_METASPACE: bool = "classloader.fail-on-metaspace-oom-error", "true", NoMeaning;
    /// File system of paths without scheme.
    FS_DEFAULT_SCHEME: Option<String> = "fs.default-scheme", none, Used;
    /// Whether file sinks overwrite what is there.
    FS_OVERWRITE: bool = "fs.overwrite-files", "false", Used;
    /// Whether file sinks make a directory for a single file; they always do.
    FS_ALWAYS_DIRECTORY: bool = "fs.output.always-create-directory", "false", NoMeaning;
    /// Schemes for which Hadoop's file systems may be used.
    FS_FALLBACK: String = "fs.allowed-fallback-filesystems", "", NoMeaning;
    /// Directory with Hadoop's configuration files.
    HADOOP_CONF_DIR: Option<String> = "env.hadoop.conf.dir", none, Used;
    /// Directory with YARN's configuration files.
    YARN_CONF_DIR: Option<String> = "env.yarn.conf.dir", none, Used;
    /// Size from which buffers of records sent to a sink count.
    COLLECT_BATCH: MemorySize = "collect-sink.batch-size.max", "2 mb", NotYet;
}
