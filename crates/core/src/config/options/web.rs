//! Options of the REST API, the web interface and the history server.

use crate::config::PortRange;
use std::time::Duration;

super::options! {
    /// Address under which clients find the REST API.
    REST_ADDRESS: Option<String> = "rest.address" | "web.address" | "jobmanager.web.address", none, Used;
    /// Port under which clients find the REST API.
    REST_PORT: u16 = "rest.port" | "web.port" | "jobmanager.web.port", "8081", Used;
    /// Path of the REST API behind a proxy.
    REST_PATH: String = "rest.path", "", NotYet;
    /// Ports that the REST API binds; 0 on YARN unless set.
    REST_BIND_PORT: PortRange = "rest.bind-port", "8081", Used;
    /// Address that the REST API binds.
    REST_BIND_ADDRESS: Option<String> = "rest.bind-address", none, Used;
    /// Prefix of every path of the REST API.
    REST_PREFIX: String = "rest.url-prefix", "/", NotYet;
    /// Longest request that the server takes, in bytes.
    REST_SERVER_MAX: u64 = "rest.server.max-content-length", "104857600", Used;
    /// Longest answer that the client takes, in bytes.
    REST_CLIENT_MAX: u64 = "rest.client.max-content-length", "104857600", NoMeaning;
    /// How long a connection may take, in milliseconds where no unit is given.
    REST_CONNECT_TIMEOUT: Duration = "rest.connection-timeout", "15 s", Used;
    /// How long a connection may be idle.
    REST_IDLE_TIMEOUT: Duration = "rest.idleness-timeout", "5 min", NoMeaning;
    /// How long a client waits for a leader.
    REST_LEADER_TIMEOUT: Duration = "rest.await-leader-timeout", "30 s", NoMeaning;
    /// Attempts of a client at a request.
    REST_RETRIES: u32 = "rest.retry.max-attempts", "20", Used;
    /// Wait before a client tries again.
    REST_RETRY_DELAY: Duration = "rest.retry.delay", "3 s", Used;
    /// How long results of triggered operations are kept.
    REST_ASYNC_STORE: Duration = "rest.async.store-duration", "5 min", Used;
    /// Whether flame graphs are offered.
    REST_FLAMEGRAPH: bool = "rest.flamegraph.enabled", "false", NotYet;
    /// Whether profiling is offered.
    REST_PROFILING: bool = "rest.profiling.enabled", "false", NotYet;
    /// Statistics of checkpoints that are kept.
    REST_CHECKPOINT_CACHE: u32 = "rest.cache.checkpoint-statistics.size", "1000", NotYet;
    /// Milliseconds between refreshes of the web interface.
    WEB_REFRESH: Duration = "web.refresh-interval" | "jobmanager.web.refresh-interval", "3 s", Used;
    /// Whether jobs can be submitted in the web interface.
    WEB_SUBMIT: bool = "web.submit.enable" | "jobmanager.web.submit.enable", "true", Used;
    /// Whether jobs can be cancelled in the web interface.
    WEB_CANCEL: bool = "web.cancel.enable", "true", Used;
    /// Whether jobs can be rescaled in the web interface.
    WEB_RESCALE: bool = "web.rescale.enable", "true", NotYet;
    /// Checkpoints that the web interface remembers.
    WEB_CHECKPOINTS: u32 = "web.checkpoints.history" | "jobmanager.web.checkpoints.history", "10", Used;
    /// Exceptions that the web interface remembers.
    WEB_EXCEPTIONS: u32 = "web.exception-history-size", "16", Used;
    /// How long requests of the web interface may take.
    WEB_TIMEOUT: Duration = "web.timeout", "10 min", NoMeaning;
    /// Which origins may use the REST API.
    WEB_ORIGIN: String = "web.access-control-allow-origin" | "jobmanager.web.access-control-allow-origin", "*", Used;
    /// Directory for temporary files of the web server.
    WEB_TMPDIR: Option<String> = "web.tmpdir" | "jobmanager.web.tmpdir", none, Used;
    /// Directory of uploaded jars.
    WEB_UPLOAD: Option<String> = "web.upload.dir" | "jobmanager.web.upload.dir", none, Used;
    /// Log file shown in the web interface.
    WEB_LOG: Option<String> = "web.log.path" | "jobmanager.web.log.path", none, NotYet;
    /// Address of a history server, to which YARN's pages lead once an application is gone.
    HISTORY_ADDRESS: Option<String> = "historyserver.web.address", none, Used;
    /// Port of the history server.
    HISTORY_PORT: u16 = "historyserver.web.port", "8082", Used;
    /// Directories that the history server reads.
    HISTORY_DIRS: Option<String> = "historyserver.archive.fs.dir", none, NotYet;
    /// Time between its looks at them.
    HISTORY_REFRESH: Duration = "historyserver.archive.fs.refresh-interval", "10 s", NotYet;
    /// Jobs that it keeps; -1 for all.
    HISTORY_RETAINED: i32 = "historyserver.archive.retained-jobs", "-1", NotYet;
    /// Where logs of application masters are found.
    HISTORY_JM_LOG: Option<String> = "historyserver.log.jobmanager.url-pattern", none, NotYet;
    /// Where logs of task executors are found.
    HISTORY_TM_LOG: Option<String> = "historyserver.log.taskmanager.url-pattern", none, NotYet;
}
