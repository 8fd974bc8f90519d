//! What the client tells an application master: written by the client into the container's credentials, read once at start.

use crate::job::{JobSubmission, ProgramSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The alias of the secret that holds the effective [`crate::config::Configuration`] as JSON.
pub const CONFIG_SECRET: &str = "kvick.config";
/// The alias of the secret that holds the [`ApplicationSpec`] as JSON.
pub const APPLICATION_SECRET: &str = "kvick.application";
/// The alias of the secret that holds the client's resolved Hadoop properties as a JSON object (site files, not defaults).
pub const HADOOP_SECRET: &str = "kvick.hadoop";
/// The alias of the secret that authenticates the processes of one application to each other: 64 hexadecimal digits.
pub const SHARED_SECRET: &str = "kvick.secret";

/// How the application lives and ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApplicationMode {
    /// Takes jobs until it is told to stop.
    Session,
    /// Runs one job whose graph the client built, and ends with it.
    PerJob {
        /// The job. `None`: it is too large to travel here and stands in the file `job.graph` of the staging directory.
        submission: Option<Box<JobSubmission>>,
        /// Whether nobody waits for the result: then the application ends as soon as the job has.
        detached: bool,
    },
    /// Runs the program's `main()` itself, and ends with it.
    Application {
        /// The program.
        program: ProgramSpec,
    },
}

/// A file that YARN localises into a container's working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalFile {
    /// Where it is (`hdfs://…`).
    pub uri: String,
    /// Length in bytes.
    pub size: u64,
    /// Its modification time in epoch milliseconds; YARN refuses the container if it differs.
    pub timestamp: u64,
    /// Whether YARN unpacks it.
    #[serde(default)]
    pub archive: bool,
    /// Who may share the node's copy.
    pub visibility: Visibility,
}

/// Who may share a node's copy of a localised file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Everybody on the node.
    Public,
    /// The applications of one user.
    Private,
    /// This application.
    Application,
}

/// The size of a task executor's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorProfile {
    /// Memory of the container, in MiB.
    pub memory_mb: u64,
    /// Virtual cores of the container.
    pub vcores: u32,
    /// Slots that a task executor of this size offers.
    pub slots: u32,
    /// Where containers may be (`yarn.taskmanager.node-label`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_label: Option<String>,
}

/// All that an application master is told by the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationSpec {
    /// Session, per-job or application.
    pub mode: ApplicationMode,
    /// The application's name, as YARN shows it.
    pub name: String,
    /// The user who submitted, and as whom HDFS is accessed.
    pub user: String,
    /// Directory of this application to delete at its end (`…/.flink/<application id>`), where one was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging_dir: Option<String>,
    /// Base directory of the content-addressed cache (`…/.flink/cache`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<String>,
    /// What a task executor asks of YARN.
    pub executor: ExecutorProfile,
    /// Files in a task executor's working directory, by the name they have there.
    #[serde(default)]
    pub executor_files: BTreeMap<String, LocalFile>,
    /// Environment of task executors beyond what they need (`containerized.taskmanager.env.*`).
    #[serde(default)]
    pub executor_env: BTreeMap<String, String>,
}
