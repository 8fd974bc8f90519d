//! Options of the deployment on YARN.

use crate::config::PortRange;
use std::time::Duration;

super::options! {
    /// Virtual cores of the application master's container.
    YARN_AM_VCORES: u32 = "yarn.appmaster.vcores", "1", Used;
    /// Virtual cores of a task executor's container; -1 for as many as slots.
    YARN_CONTAINER_VCORES: i32 = "yarn.containers.vcores", "-1", Used;
    /// How often YARN starts the application master; as often as the cluster allows where not set, once with `high-availability.type: NONE`.
    YARN_ATTEMPTS: Option<u32> = "yarn.application-attempts", none, Used;
    /// Window in which failures of the application master count, in milliseconds; -1 for all.
    YARN_ATTEMPT_WINDOW: i64 = "yarn.application-attempt-failures-validity-interval", "10000", Used;
    /// Seconds between heartbeats to the ResourceManager while nothing is asked for.
    YARN_HEARTBEAT: u64 = "yarn.heartbeat.interval" | "yarn.heartbeat-delay", "5", Used;
    /// Time between heartbeats to the ResourceManager while containers are asked for.
    YARN_REQUEST_HEARTBEAT: Duration = "yarn.heartbeat.container-request-interval", "500 ms", Used;
    /// Directory of the file `.yarn-properties-<user>`; the directory for temporary files where not set.
    YARN_PROPERTIES_LOCATION: Option<String> = "yarn.properties-file.location", none, Used;
    /// Ports that the application master may bind, for task executors and for REST, where `rest.bind-port` is not set.
    YARN_AM_PORT: PortRange = "yarn.application-master.port", "0", Used;
    /// Priority of the application; -1 for none.
    YARN_PRIORITY: i32 = "yarn.application.priority", "-1", Used;
    /// Replication of uploaded files; -1 for the file system's own.
    YARN_FILE_REPLICATION: i32 = "yarn.file-replication", "-1", Used;
    /// Tags of the application, separated by commas.
    YARN_TAGS: String = "yarn.tags", "", Used;
    /// Users and groups who may see the application: `user1,user2 group1,group2` or `*`.
    YARN_VIEW_ACLS: Option<String> = "yarn.view.acls", none, Used;
    /// Users and groups who may change the application: `user1,user2 group1,group2` or `*`.
    YARN_MODIFY_ACLS: Option<String> = "yarn.modify.acls", none, Used;
    /// Directory that holds `.flink`; the user's home directory where not set.
    YARN_STAGING: Option<String> = "yarn.staging-directory", none, Used;
    /// Files and directories to have in every container.
    YARN_SHIP_FILES: Option<Vec<String>> = "yarn.ship-files" | "yarn.ship-directories", none, Used;
    /// Archives to have unpacked in every container.
    YARN_SHIP_ARCHIVES: Option<Vec<String>> = "yarn.ship-archives", none, Used;
    /// Location of Flink's own jar.
    YARN_DIST_JAR: Option<String> = "yarn.flink-dist-jar", none, NoMeaning;
    /// The application to speak to.
    YARN_APPLICATION_ID: Option<String> = "yarn.application.id", none, Used;
    /// The queue of the application.
    YARN_QUEUE: Option<String> = "yarn.application.queue", none, Used;
    /// The name of the application.
    YARN_NAME: Option<String> = "yarn.application.name", none, Used;
    /// The type of the application; `Apache Flink` where not set.
    YARN_TYPE: Option<String> = "yarn.application.type", none, Used;
    /// Node label of the application.
    YARN_NODE_LABEL: Option<String> = "yarn.application.node-label", none, Used;
    /// Node label of task executors.
    YARN_TM_NODE_LABEL: Option<String> = "yarn.taskmanager.node-label", none, Used;
    /// Where the user's jar stands on a class path.
    YARN_INCLUDE_USER_JAR: String = "yarn.classpath.include-user-jar" | "yarn.per-job-cluster.include-user-jar", "ORDER", NoMeaning;
    /// Remote directories with files that need no upload.
    YARN_PROVIDED_LIBS: Option<Vec<String>> = "yarn.provided.lib.dirs", none, Used;
    /// Remote directory `usrlib` with files that need no upload.
    YARN_PROVIDED_USRLIB: Option<String> = "yarn.provided.usrlib.dir", none, NotYet;
    /// Whether to ship the keytab.
    YARN_SHIP_KEYTAB: bool = "yarn.security.kerberos.ship-local-keytab", "true", NotYet;
    /// Name of the keytab in containers.
    YARN_LOCALIZED_KEYTAB: String = "yarn.security.kerberos.localized-keytab-path", "krb5.keytab", NotYet;
    /// Providers whose delegation tokens go into the application master's launch context.
    YARN_TOKEN_SERVICES: String = "yarn.security.appmaster.delegation.token.services", "hadoopfs", NotYet;
    /// The command that starts a JVM.
    YARN_START_COMMAND: String = "yarn.container-start-command-template", "%java% %jvmmem% %jvmopts% %logging% %class% %args% %redirects%", NoMeaning;
    /// Containers that may fail, in versions before 1.5.
    YARN_MAX_FAILED: Option<i32> = "yarn.maximum-failed-containers", none, NoMeaning;
    /// Whether failed containers are asked for again, in versions before 1.5.
    YARN_REALLOCATE: Option<bool> = "yarn.reallocate-failed", none, NoMeaning;
    /// Part of a container that was not heap, in versions before 1.10.
    YARN_CUTOFF: Option<f64> = "containerized.heap-cutoff-ratio" | "yarn.heap-cutoff-ratio", none, NoMeaning;
    /// Least part of a container that was not heap, in mebibytes, in versions before 1.10.
    YARN_CUTOFF_MIN: Option<u64> = "containerized.heap-cutoff-min" | "yarn.heap-cutoff-min", none, NoMeaning;
    /// Whether no more containers are taken on a node where they keep failing. Never more than a third of the nodes is left out.
    YARN_NODE_BLACKLISTING: bool = "yarn.node-blacklisting.enabled", "true", Used;
    /// Failed containers on a node after which no more are taken there.
    YARN_NODE_MAX_FAILURES: u32 = "yarn.node-blacklisting.max-failures-per-node", "3", Used;
    /// How long a failure counts against its node.
    YARN_NODE_FAILURE_WINDOW: Duration = "yarn.node-blacklisting.failures-validity-interval", "10 min", Used;
    /// After which time containers are taken on a node again.
    YARN_NODE_BLACKLIST_TIMEOUT: Duration = "yarn.node-blacklisting.timeout", "1 h", Used;
    /// Log files to aggregate while the application runs.
    YARN_ROLLED_INCLUDE: Option<String> = "yarn.rolled-logs.include-pattern", none, NotYet;
    /// Log files not to aggregate while the application runs.
    YARN_ROLLED_EXCLUDE: Option<String> = "yarn.rolled-logs.exclude-pattern", none, NotYet;
}
