//! What was typed, as types: one struct for each action, and what they share.

use super::action::Action;
use kvick_core::config::MemorySize;
use kvick_core::ids::JobId;

/// What `flink` was asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    /// Nothing was typed.
    NoAction,
    /// The help, of one action or of all.
    Help(Option<Action>),
    /// The version.
    Version,
    /// An action that does not exist.
    UnknownAction(String),
    /// `run`
    Run(ProgramArgs),
    /// `run-application`
    RunApplication(ProgramArgs),
    /// `info`
    Info(ProgramArgs),
    /// `list`
    List(ListArgs),
    /// `stop`
    Stop(StopArgs),
    /// `cancel`
    Cancel(CancelArgs),
    /// `savepoint`
    Savepoint(SavepointArgs),
    /// `checkpoint`
    Checkpoint(CheckpointArgs),
    /// `modify`
    Modify(ModifyArgs),
    /// `yarn-session`
    Session(SessionArgs),
}

/// Which cluster, and how it is configured; common to all actions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterArgs {
    /// `-t`, `-e`
    pub target: Option<String>,
    /// `-m`
    pub jobmanager: Option<String>,
    /// `-yid`, `-id`
    pub application_id: Option<String>,
    /// `-z`, `-yz`
    pub namespace: Option<String>,
    /// `-D`, `-yD`, in order.
    pub dynamic: Vec<(String, String)>,
    /// `-yjm`, `-jm`
    pub job_manager_memory: Option<MemorySize>,
    /// `-ytm`, `-tm`
    pub task_manager_memory: Option<MemorySize>,
    /// `-ys`, `-s`
    pub slots: Option<u32>,
    /// `-yqu`, `-qu`
    pub queue: Option<String>,
    /// `-ynm`, `-nm`
    pub name: Option<String>,
    /// `-yat`, `-at`
    pub application_type: Option<String>,
    /// `-ynl`, `-nl`
    pub node_label: Option<String>,
    /// `-yt`, `-t`
    pub ship: Vec<String>,
    /// `-d`, `-yd`
    pub detached: bool,
    /// `-yq`, `-q`
    pub query: bool,
    /// Whether an option of the YARN dialect was given, other than those that only detach: then a session that was left
    /// in a properties file is not looked for.
    pub yarn_options: bool,
    /// What to tell about options that were accepted without meaning.
    pub warnings: Vec<String>,
}

/// A program and how to run it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProgramArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// The jar.
    pub jar: String,
    /// `-c`
    pub entry: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// `-p`
    pub parallelism: Option<u32>,
    /// `-sae`
    pub shutdown_on_exit: bool,
    /// `-s`
    pub savepoint: Option<String>,
    /// `-n`
    pub allow_non_restored: bool,
    /// `-cm`, `-rm`: `CLAIM`, `NO_CLAIM` or `LEGACY`.
    pub claim_mode: Option<&'static str>,
}

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// Running jobs.
    pub running: bool,
    /// Jobs that wait.
    pub scheduled: bool,
    /// All, those that have ended too.
    pub all: bool,
}

/// The two formats of a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SavepointFormat {
    /// Independent of the state backend.
    #[default]
    Canonical,
    /// As the state backend writes it.
    Native,
}

impl SavepointFormat {
    /// As the REST API and the messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            SavepointFormat::Canonical => "CANONICAL",
            SavepointFormat::Native => "NATIVE",
        }
    }
}

/// Stopping with a savepoint.
#[derive(Debug, Clone, PartialEq)]
pub struct StopArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// The job.
    pub job: JobId,
    /// Where the savepoint goes; the configured directory otherwise.
    pub directory: Option<String>,
    /// Whether to emit the last watermark.
    pub drain: bool,
    /// Format of the savepoint.
    pub format: SavepointFormat,
    /// Whether not to wait.
    pub detached: bool,
}

/// Cancelling a job.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// The job.
    pub job: JobId,
    /// `-s`: with a savepoint, in this directory or in the configured one.
    pub savepoint: Option<Option<String>>,
    /// Format of the savepoint.
    pub format: SavepointFormat,
}

/// Taking or deleting a savepoint.
#[derive(Debug, Clone, PartialEq)]
pub struct SavepointArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// What to do.
    pub what: SavepointAction,
    /// Format of the savepoint.
    pub format: SavepointFormat,
    /// Whether not to wait.
    pub detached: bool,
    /// Whether more was given than is needed.
    pub too_many: bool,
}

/// Taking or deleting.
#[derive(Debug, Clone, PartialEq)]
pub enum SavepointAction {
    /// Of a job, into this directory or the configured one.
    Take(JobId, Option<String>),
    /// The savepoint at this path.
    Dispose(String),
}

/// Taking a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// The job.
    pub job: JobId,
    /// Whether it shall be a full one.
    pub full: bool,
}

/// Changing a running job.
#[derive(Debug, Clone, PartialEq)]
pub struct ModifyArgs {
    /// Where.
    pub cluster: ClusterArgs,
    /// The job.
    pub job: JobId,
    /// Its new parallelism.
    pub parallelism: u32,
}

/// A YARN session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionArgs {
    /// How it is configured.
    pub cluster: ClusterArgs,
}
