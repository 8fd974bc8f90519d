//! Options of the processes' surroundings: logs, JVM options, metrics.

use crate::config::PortRange;
use std::time::Duration;

super::options! {
    /// Options of every JVM.
    JAVA_OPTS: String = "env.java.opts.all" | "env.java.opts", "", NoMeaning;
    /// Options of the application master's JVM.
    JAVA_OPTS_JM: String = "env.java.opts.jobmanager", "", NoMeaning;
    /// Options of task executors' JVMs.
    JAVA_OPTS_TM: String = "env.java.opts.taskmanager", "", NoMeaning;
    /// Options of the client's JVM.
    JAVA_OPTS_CLIENT: String = "env.java.opts.client", "", NoMeaning;
    /// Options of the history server's JVM.
    JAVA_OPTS_HISTORY: String = "env.java.opts.historyserver", "", NoMeaning;
    /// Where Java is.
    JAVA_HOME: Option<String> = "env.java.home", none, NoMeaning;
    /// Directory of log files.
    LOG_DIR: Option<String> = "env.log.dir", none, Used;
    /// Directory of files with process ids.
    PID_DIR: String = "env.pid.dir", "/tmp", NoMeaning;
    /// Old log files of a container that are kept.
    LOG_MAX: u32 = "env.log.max", "10", Used;
    /// Least level of what containers log.
    LOG_LEVEL: String = "env.log.level", "INFO", Used;
    /// Options of `ssh` in the scripts.
    SSH_OPTS: Option<String> = "env.ssh.opts", none, NoMeaning;
    /// Names of the metrics reporters.
    REPORTERS: Option<String> = "metrics.reporters", none, NotYet;
    /// Time between latency markers; 0 for none.
    LATENCY_INTERVAL: Duration = "metrics.latency.interval", "0", NotYet;
    /// Ports of the metrics service.
    METRICS_PORT: PortRange = "metrics.internal.query-service.port", "0", NoMeaning;
    /// How old metrics in the web interface may be; workers report theirs every second.
    METRICS_FETCH: Duration = "metrics.fetcher.update-interval", "10 s", NoMeaning;
    /// Whether metrics of the machine are gathered.
    METRICS_SYSTEM: bool = "metrics.system-resource", "false", NotYet;
}
