//! What this process is run for: nobody's program (embedded), a client's or application master's, or a worker.

use crate::environment::Shared;
use kvick_core::config::Configuration;
use kvick_core::host::{LOCAL_CONFIG_ENV, Role, ToProgram, WorkerSpec};
use kvick_core::job::JobResult;
use kvick_runtime::host_link::{self, HostError, HostLink, HostReader};
use kvick_runtime::stdio::StandardOutput;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The role of this process, with its end of the conversation.
pub(crate) enum Link {
    /// Nobody spawned this program.
    Embedded,
    /// A client or an application master did.
    Hosted { link: HostLink, reader: HostReader },
    /// A task executor did.
    Worker { link: HostLink, reader: Option<HostReader>, spec: Box<WorkerSpec>, stdout: StandardOutput },
}

/// The state of this process, shared by all environments.
pub(crate) struct Session {
    pub link: Link,
    pub config: Configuration,
    pub once: BTreeMap<String, String>,
    /// How many `execute()` calls there were.
    pub executed: u32,
    /// How jobs ended that this process submitted to a remote cluster, by `execute()`.
    pub earlier: BTreeMap<u32, JobResult>,
    /// What was said of the program's configuration.
    pub told: BTreeSet<String>,
}

impl Session {
    fn new(link: Link, config: Configuration, once: BTreeMap<String, String>) -> Session {
        let (earlier, told) = (BTreeMap::new(), BTreeSet::new());
        Session { link, config, once, executed: 0, earlier, told }
    }
}

static SESSION: OnceLock<Mutex<Session>> = OnceLock::new();

/// The session of this process; talks to the host the first time.
pub(crate) fn session() -> MutexGuard<'static, Session> {
    let session = SESSION.get_or_init(|| match start() {
        Ok(session) => Mutex::new(session),
        Err(error) => {
            eprintln!("Error: {error}");
            std::process::exit(1);
        }
    });
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> Result<Session, HostError> {
    match host_link::from_environment()? {
        None => Ok(Session::new(Link::Embedded, local_config(), BTreeMap::new())),
        Some((Role::Worker, path)) => start_worker(&path),
        Some((_, path)) => start_hosted(&path),
    }
}

/// What `flink run -t local` configured; nothing for a program that a person started.
fn local_config() -> Configuration {
    let Ok(text) = std::env::var(LOCAL_CONFIG_ENV) else { return Configuration::default() };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        eprintln!("Error: {LOCAL_CONFIG_ENV} is no JSON object of keys and values: {error}");
        std::process::exit(1);
    })
}

fn start_hosted(path: &str) -> Result<Session, HostError> {
    let (link, mut reader) = host_link::connect(path)?;
    match reader.receive()? {
        ToProgram::Welcome { config, once } => Ok(Session::new(Link::Hosted { link, reader }, config, once)),
        _ => Err(HostError::Unexpected { expected: "welcome" }),
    }
}

fn start_worker(path: &str) -> Result<Session, HostError> {
    let stdout = StandardOutput::take()?;
    let (link, mut reader) = host_link::connect(path)?;
    match reader.receive()? {
        ToProgram::Work { spec } => {
            let mut config = spec.config.clone();
            // What the deployed graph was built with decides, whatever the cluster configures for itself.
            config.overlay(&spec.graph.config);
            let once = spec.once.clone();
            let link = Link::Worker { link, reader: Some(reader), spec, stdout };
            Ok(Session::new(link, config, once))
        }
        _ => Err(HostError::Unexpected { expected: "work" }),
    }
}

/// A worker's `main()` is about to end without having reached its job: says so to the host.
pub(crate) fn environment_dropped(_shared: &Shared) {
    let Some(session) = SESSION.get() else { return };
    let session = session.lock().unwrap_or_else(PoisonError::into_inner);
    if let Link::Worker { link, reader: Some(_), spec, .. } = &session.link {
        let failure = kvick_runtime::worker::never_executed(spec.ordinal, session.executed);
        kvick_runtime::log::error(&failure.to_string());
        let _ = link.send(&kvick_core::host::FromProgram::WorkerFailed { failure });
    }
}
