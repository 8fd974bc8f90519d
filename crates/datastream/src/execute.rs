//! `execute()` in each role: here, by handing the graph to a host, or by running the tasks of a worker.

use crate::job_client::remote::{Place, Target};
use crate::job_client::{Embedded, Hosted, JobClient, RestError, Running, lost};
use crate::session::{Link, Session, session};
use crate::stream::DataStream;
use kvick_core::accumulator::Accumulator;
use kvick_core::checkpoint::CheckpointFailure;
use kvick_core::config::{ConfigError, Configuration};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::GraphError;
use kvick_core::host::{FromProgram, HOST_ENV, LOCAL_CONFIG_ENV, ToProgram};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState};
use kvick_core::local_files::tmp_dirs;
use kvick_runtime::element::Data;
use kvick_runtime::embedded::{self, EmbeddedControl};
use kvick_runtime::hash::stable_hash;
use kvick_runtime::host_link::HostError;
use kvick_runtime::program::Program;
use kvick_runtime::sinks::{CollectSink, collect_accumulator};
use kvick_runtime::snapshot::LocalState;
use kvick_runtime::stdio::StandardOutput;
use kvick_runtime::task::JobInfo;
use kvick_runtime::worker;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a job was not run, or not to its end. `Debug` is as readable as `Display`, because that is what a `main()` that
/// returns the error prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The streams do not make a job.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Batch mode with a source that never ends.
    #[error(
        "the source \"{origin}\" never ends, so the job cannot run in batch mode: set execution.runtime-mode to STREAMING"
    )]
    UnboundedBatch {
        /// The source's name.
        origin: String,
    },
    /// A configuration value that means nothing.
    #[error("{key}: \"{value}\" is not one of {expected}")]
    BadOption {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An option has a value that is not of its type.
    #[error(transparent)]
    Option(#[from] ConfigError),
    /// A value of `once` cannot be recorded or read back.
    #[error("once(\"{name}\"): the value cannot be recorded or read back: {source}")]
    Once {
        /// Its name.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The job failed.
    #[error("job {job_id} failed: {failure}")]
    Failed {
        /// The job.
        job_id: JobId,
        /// Why, with all causes.
        failure: Box<Failure>,
    },
    /// The job was cancelled.
    #[error("job {job_id} was cancelled")]
    Canceled {
        /// The job.
        job_id: JobId,
    },
    /// The cluster did not accept the job.
    #[error("the job was not accepted: {0}")]
    Rejected(String),
    /// The program lost its host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A record that was collected cannot be read back.
    #[error("a record that was collected cannot be read back: {0}")]
    Collected(serde_json::Error),
    /// Nobody waited for the job, so its records did not come back.
    #[error(
        "the job was submitted detached: its records cannot be collected; run it attached or write to a sink"
    )]
    NotCollected,
    /// The program is run in a role in which there is no such thing.
    #[error("{0} is not possible where a task executor runs the program")]
    InWorker(&'static str),
    /// Something that was asked about a job.
    #[error("job {job_id} was asked for {what}: {reason}")]
    NotAnswered {
        /// The job.
        job_id: JobId,
        /// What was asked for.
        what: &'static str,
        /// Why there is no answer.
        reason: String,
    },
    /// The jar for a remote cluster cannot be read.
    #[error(
        "cannot read the jar {path}, which create_remote_environment is to upload: {source}; `cargo kvick jar` makes it"
    )]
    Jar {
        /// The jar.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A remote cluster did not answer as hoped.
    #[error(transparent)]
    Remote(Box<RestError>),
    /// A savepoint was not taken.
    #[error("no savepoint: {0}")]
    Savepoint(Box<CheckpointFailure>),
    /// The operating system refused something.
    #[error("cannot run the job in this process: {0}")]
    System(#[from] std::io::Error),
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Whoever spawned this program tells the causes; twice would be once too often.
            JobError::Failed { job_id, .. } if std::env::var_os(HOST_ENV).is_some() => {
                write!(f, "job {job_id} failed")
            }
            _ => fmt::Display::fmt(self, f),
        }
    }
}

/// Keys of Flink's configuration that are meant for Hadoop's, without this prefix.
const HADOOP_PREFIX: &str = "flink.hadoop.";

/// The result of a job that finished, or whose end nobody waits for; an error for any other end.
pub(crate) fn ended(result: JobResult) -> Result<JobResult, JobError> {
    let job_id = result.job_id;
    match result.state {
        JobState::Finished => Ok(result),
        JobState::Canceled => Err(JobError::Canceled { job_id }),
        _ => {
            let unknown =
                || Failure::new(FailureKind::Error, format!("it ended in state {:?}", result.state));
            Err(JobError::Failed { job_id, failure: Box::new(result.failure.unwrap_or_else(unknown)) })
        }
    }
}

/// Which `execute()` of the program this is: from 0, over all environments whose jobs do not stay in this process.
fn next_ordinal(session: &mut Session) -> u32 {
    session.executed += 1;
    session.executed - 1
}

pub(crate) fn execute(
    program: Program,
    config: &Configuration,
    remote: Option<&Target>,
) -> Result<JobResult, JobError> {
    let mut session = session();
    let ordinal = next_ordinal(&mut session);
    match (&session.link, remote) {
        (Link::Embedded, Some(target)) => {
            let result = submit_remote(session, target, ordinal, program, config)?.wait()?;
            crate::session::session().earlier.insert(ordinal, result.clone());
            Ok(result)
        }
        (Link::Embedded, None) => {
            drop(session);
            ended(run_embedded(embedded_job(&program, config)?, program))
        }
        (Link::Hosted { .. }, _) => {
            submit(&mut session, ordinal, &program, true)?;
            ended(wait_for_end(&mut session, ordinal)?)
        }
        (Link::Worker { .. }, _) => work(session, ordinal, program),
    }
}

/// Runs a job in this process, whatever the process is run for.
pub(crate) fn execute_here(program: Program, config: &Configuration) -> Result<JobResult, JobError> {
    ended(embedded::run(embedded_job(&program, config)?, program, &EmbeddedControl::default()))
}

/// Starts a job in this process, whatever the process is run for.
pub(crate) fn start_here(program: Program, config: &Configuration) -> Result<JobClient, JobError> {
    let job = embedded_job(&program, config)?;
    Ok(JobClient::of(job.job_id, Running::Here(Embedded::start(job, program)?)))
}

pub(crate) fn execute_async(
    program: Program,
    config: &Configuration,
    remote: Option<&Target>,
) -> Result<JobClient, JobError> {
    let mut session = session();
    let ordinal = next_ordinal(&mut session);
    match (&session.link, remote) {
        (Link::Embedded, Some(target)) => submit_remote(session, target, ordinal, program, config),
        (Link::Embedded, None) => {
            drop(session);
            start_here(program, config)
        }
        (Link::Hosted { .. }, _) => {
            let job_id = submit(&mut session, ordinal, &program, false)?;
            Ok(JobClient::of(job_id, Running::Hosted(Hosted::new(ordinal))))
        }
        (Link::Worker { .. }, _) => {
            let job_id = work(session, ordinal, program)?.job_id;
            Ok(JobClient::of(job_id, Running::Hosted(Hosted::new(ordinal))))
        }
    }
}

/// Submits a job to a cluster from this process.
fn submit_remote(
    session: MutexGuard<'static, Session>,
    target: &Target,
    ordinal: u32,
    program: Program,
    config: &Configuration,
) -> Result<JobClient, JobError> {
    let job_id = random_job_id();
    // One whose end is not known went well so far.
    let told = |ordinal| session.earlier.get(&ordinal).cloned().unwrap_or_else(|| unknown_end(job_id));
    let place = Place { ordinal, once: session.once.clone(), earlier: (0..ordinal).map(told).collect() };
    drop(session);
    Ok(JobClient::of(job_id, Running::Remote(target.submit(job_id, program, config.clone(), place)?)))
}

fn unknown_end(job_id: JobId) -> JobResult {
    let (state, accumulators) = (JobState::Finished, BTreeMap::new());
    JobResult { job_id, state, net_runtime_ms: 0, accumulators, failure: None }
}

/// Runs a job in this process. Under `flink run -t local` it says what the command says of a job elsewhere.
fn run_embedded(job: JobInfo, program: Program) -> JobResult {
    let told = std::env::var_os(LOCAL_CONFIG_ENV).is_some();
    if told {
        println!("Job has been submitted with JobID {}", job.job_id);
    }
    let result = embedded::run(job, program, &EmbeddedControl::default());
    if told && result.state == JobState::Finished {
        print!("{}", result.finished_lines());
    }
    result
}

fn embedded_job(program: &Program, config: &Configuration) -> Result<JobInfo, JobError> {
    let mut effective = config.clone();
    effective.overlay(&program.graph.config);
    let hadoop = effective.below(HADOOP_PREFIX).map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let job_id = random_job_id();
    let tmp_dirs = tmp_dirs(&effective).unwrap_or_else(|| vec![std::env::temp_dir().display().to_string()]);
    Ok(JobInfo {
        job_id,
        name: program.graph.name.clone(),
        files: kvick_runtime::task::file_systems(&hadoop, "", &effective),
        local: LocalState::of(&effective, &tmp_dirs, job_id, "embedded"),
        config: Arc::new(effective),
        tmp_dirs,
        stdout: StandardOutput::current()?,
        alignment: Arc::default(),
    })
}

/// Unlikely to be used twice on one machine; embedded jobs are seen by nobody else.
fn random_job_id() -> JobId {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos());
    let seed = (nanos as u64, std::process::id());
    JobId(u128::from(stable_hash(&seed)) << 64 | u128::from(stable_hash(&(seed, "low"))))
}

/// Hands the graph to the host and waits until it is accepted.
fn submit(session: &mut Session, ordinal: u32, program: &Program, attached: bool) -> Result<JobId, JobError> {
    let once = session.once.clone();
    let Link::Hosted { link, reader } = &mut session.link else {
        return Err(JobError::InWorker("this call"));
    };
    link.send(&FromProgram::Execute { ordinal, graph: program.graph.clone(), once, attached })?;
    loop {
        match reader.receive()? {
            ToProgram::Submitted { ordinal: number, job_id } if number == ordinal => return Ok(job_id),
            ToProgram::Rejected { ordinal: number, reason } if number == ordinal => {
                return Err(JobError::Rejected(reason));
            }
            ToProgram::PlanTaken => std::process::exit(0),
            // The end of an earlier job that was not waited for.
            _ => {}
        }
    }
}

fn wait_for_end(session: &mut Session, ordinal: u32) -> Result<JobResult, JobError> {
    let Link::Hosted { reader, .. } = &mut session.link else {
        return Err(JobError::InWorker("this call"));
    };
    loop {
        match reader.receive()? {
            ToProgram::Ended { ordinal: number, result } if number == ordinal => return Ok(result),
            _ => {}
        }
    }
}

/// In a worker: the recorded result of an earlier job, or the tasks of this one, after which the process ends.
fn work(
    mut session: MutexGuard<'static, Session>,
    ordinal: u32,
    program: Program,
) -> Result<JobResult, JobError> {
    let Link::Worker { link, reader, spec, stdout } = &mut session.link else {
        return Err(JobError::InWorker("this call"));
    };
    if ordinal < spec.ordinal {
        let earlier = spec.earlier.get(ordinal as usize).cloned();
        return ended(earlier.unwrap_or_else(|| lost(spec.job_id)));
    }
    let Some(reader) = reader.take() else {
        return Err(JobError::InWorker("a second execute()"));
    };
    let (link, spec, stdout) = (link.clone(), spec.clone(), stdout.clone());
    drop(session);
    std::process::exit(worker::run(&spec, program, &link, reader, stdout));
}

pub(crate) fn execute_and_collect<T: Data>(stream: &DataStream<T>, name: &str) -> Result<Vec<T>, JobError> {
    stream.sink_to("Collect", CollectSink::default);
    let result = stream.env.execute(name)?;
    let Some(Accumulator::List(records)) = result.accumulators.get(&collect_accumulator()) else {
        return Err(JobError::NotCollected);
    };
    records.iter().map(|text| serde_json::from_str(text).map_err(JobError::Collected)).collect()
}
