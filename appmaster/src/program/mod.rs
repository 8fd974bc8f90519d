//! A job program in the role of an application: its `main()` runs beside the driver, and each `execute()` in it becomes a
//! job of this cluster.
//!
//! Used by application mode, where the program is the application, and by `/jars/:id/run`. Whoever runs a program decides
//! what its end means; here is only what it came to.

mod conversation;
mod process;
mod questions;
mod replan;

use crate::handle::ClusterHandle;
use conversation::Conversation;
use kvick_core::config::Configuration;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::JobGraph;
use kvick_core::ids::JobId;
use kvick_core::job::ProgramSpec;
use kvick_jar::{Jar, JarError};
use process::Running;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

pub use replan::replan;

/// What a person is told whose program ends without having executed a job. Flink's words, which scripts look for.
const NO_JOB: &str = "The program didn't contain a Flink job. Perhaps you forgot to call execute() on the execution environment.";

/// How a program is run.
#[derive(Debug, Default)]
pub struct ProgramOptions {
    /// Where jars are unpacked; a directory `programs` in the working directory without it.
    pub dir: Option<PathBuf>,
    /// The id of the first job; a random one without it.
    pub job_id: Option<JobId>,
    /// The application whose own program it is: its jobs' ids follow from this, so that it meets them again when it is run
    /// anew under a later application master.
    pub application: Option<String>,
    /// What an earlier run recorded with `once`.
    pub once: BTreeMap<String, String>,
    /// Told of every job as soon as it is accepted.
    pub submitted: Option<mpsc::UnboundedSender<JobId>>,
}

/// What a program came to.
#[derive(Debug)]
pub struct ProgramOutcome {
    /// The jobs that were accepted, in order.
    pub jobs: Vec<JobId>,
    /// Why it failed: the exit with the last lines of standard error, or that there was no job in it.
    pub error: Option<Failure>,
}

/// Runs a program to its end. Its standard output is this process's, and so is its standard error. A program that fails
/// takes the jobs with it that still run; one that ends well leaves those alone that it did not wait for.
pub async fn run_program(
    cluster: &ClusterHandle,
    program: &ProgramSpec,
    jar: &Path,
    config: Configuration,
    options: ProgramOptions,
) -> ProgramOutcome {
    let path = match unpack(program, jar, options.dir.clone()).await {
        Ok(path) => path,
        Err(error) => return ProgramOutcome { jobs: Vec::new(), error: Some(error) },
    };
    run_unpacked(cluster, program, &path, config, options).await
}

/// The same for a program that has been unpacked.
pub async fn run_unpacked(
    cluster: &ClusterHandle,
    program: &ProgramSpec,
    path: &Path,
    config: Configuration,
    options: ProgramOptions,
) -> ProgramOutcome {
    let mut running = match Running::start(path, &program.args) {
        Ok(running) => running,
        Err(error) => return ProgramOutcome { jobs: Vec::new(), error: Some(error) },
    };
    let mut conversation = Conversation::new(cluster, program, config, options, running.outbox());
    let spoken = conversation.hold(running.inbox()).await;
    let ended = match spoken {
        Ok(()) => running.end().await,
        Err(broken) => Err(running.kill(broken).await),
    };
    if ended.is_err() {
        conversation.cancel_jobs().await;
    }
    let jobs = conversation.into_jobs();
    let error = ended.err().or_else(|| jobs.is_empty().then(|| Failure::new(FailureKind::Error, NO_JOB)));
    ProgramOutcome { jobs, error }
}

/// Runs a program up to its first `execute()` and returns the graph, without running the job.
///
/// # Errors
/// Why there is no graph.
pub async fn plan_program(
    program: &ProgramSpec,
    jar: &Path,
    config: Configuration,
    options: ProgramOptions,
) -> Result<JobGraph, Failure> {
    let path = unpack(program, jar, options.dir).await?;
    plan_unpacked(program, &path, config).await
}

/// The same for a program that has been unpacked.
///
/// # Errors
/// Why there is no graph.
pub async fn plan_unpacked(
    program: &ProgramSpec,
    path: &Path,
    config: Configuration,
) -> Result<JobGraph, Failure> {
    let mut running = Running::start(path, &program.args)?;
    let outbox = running.outbox();
    match conversation::first_graph(running.inbox(), &outbox, config).await {
        Ok(Some(graph)) => Ok(graph),
        Ok(None) => {
            Err(running.end().await.err().unwrap_or_else(|| Failure::new(FailureKind::Error, NO_JOB)))
        }
        Err(broken) => Err(running.kill(broken).await),
    }
}

/// Unpacks the program that is meant into a directory named by the jar's content.
async fn unpack(program: &ProgramSpec, jar: &Path, dir: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let dir = dir.unwrap_or_else(|| PathBuf::from("programs")).join(&program.jar.sha256);
    let (jar, entry) = (jar.to_path_buf(), program.entry.clone());
    let unpacking = tokio::task::spawn_blocking(move || {
        let jar = Jar::open(&jar)?;
        let selected = jar.select(entry.as_deref(), kvick_jar::HOST_TARGET)?;
        jar.unpack(&selected, &dir)
    });
    match unpacking.await {
        Ok(unpacked) => unpacked.map_err(|error: JarError| process::as_failure(&error)),
        Err(panicked) => Err(process::as_failure(&panicked)),
    }
}

/// The id of the job that an application's own program executes as the `ordinal`th, the same in every run.
pub fn fixed_job_id(application: &str, ordinal: u32) -> JobId {
    let digest = kvick_jar::sha256_of(format!("{application}/{ordinal}").as_bytes()).unwrap_or_default();
    digest.get(..32).and_then(|half| half.parse().ok()).unwrap_or_else(random_job_id)
}

/// A job id that nobody can guess or has had: two hashes with keys from the operating system's random source.
pub fn random_job_id() -> JobId {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    JobId(half() << 64 | half())
}
