//! Running the user's program here, and taking its jobs to a cluster.
//!
//! The program speaks first; each `execute()` becomes a submission, and when it is waited for, its end goes back. What is
//! printed about a job is printed here.

mod destination;
mod interrupt;
mod questions;
mod report;

pub use destination::{Destination, Preparation, Watch};
pub use interrupt::signalled;

use crate::console;
use crate::deploy::wait;
use crate::jar::UnpackedProgram;
use crate::master::MasterClient;
use crate::outcome::{AlreadyTold, NoJob};
use crate::rest::{LONG_POLL, Pauses, RestError};
use anyhow::{Result, anyhow, bail};
use interrupt::{Cleanup, Heartbeat, Interrupted};
use kvick_core::accumulator::Accumulators;
use kvick_core::config::{Configuration, options};
use kvick_core::graph::JobGraph;
use kvick_core::host::{FromProgram, Role, ToProgram};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState, JobSubmission, ProgramSpec};
use kvick_rpc::host::{Outbox, Program, ProgramExit};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tokio::process::Command;

/// The program to run and how.
pub struct Execution<'a> {
    /// The program.
    pub program: &'a UnpackedProgram,
    /// The entry point that was asked for.
    pub entry: Option<&'a str>,
    /// Its arguments.
    pub args: &'a [String],
    /// The effective configuration.
    pub config: &'a Configuration,
    /// Where its jobs go.
    pub destination: Destination,
}

/// Runs the program to its end.
///
/// # Errors
/// The program or a job of it failed, or there was no job.
pub async fn run(mut execution: Execution<'_>) -> Result<()> {
    let config = execution.config;
    let cleanup = Cleanup::default();
    let mut jobs = Jobs {
        attached: config.get(&options::ATTACHED)?,
        heartbeat: match config.get(&options::SHUTDOWN_ON_EXIT)? {
            true => Some(Heartbeat::from_config(config)?),
            false => None,
        },
        results: Vec::new(),
        submitted: 0,
        cleanup: cleanup.clone(),
    };
    let program = launch(Role::Client, &execution.program.program, execution.args)?;
    tokio::select! {
        // Ctrl-C ends the program too; that is no failure of its own then.
        biased;
        Interrupted(code) = interrupt::signalled() => {
            cleanup.run().await;
            Err(AlreadyTold(code).into())
        }
        outcome = jobs.converse(&mut execution, program) => outcome,
    }
}

/// Starts a program; its standard streams are ours.
pub fn launch(role: Role, program: &Path, args: &[String]) -> Result<Program> {
    let mut command = Command::new(program);
    command.args(args);
    Ok(Program::launch(role, command)?)
}

/// The jobs of a program, as they come.
struct Jobs {
    attached: bool,
    /// `-sae`: the job ends when its client does.
    heartbeat: Option<Heartbeat>,
    results: Vec<JobResult>,
    submitted: u32,
    cleanup: Cleanup,
}

/// A job that a cluster has accepted.
#[derive(Clone)]
pub struct Accepted {
    /// Its id.
    pub job_id: JobId,
    /// Whom to ask for it.
    pub master: MasterClient,
    /// Who knows how its application ended.
    pub watch: Option<Watch>,
}

impl Accepted {
    /// Waits for the end of the job, with one application master after the other if it has to be.
    async fn result(&self) -> Result<JobResult> {
        let job = self.job_id;
        let mut pauses = Pauses::default();
        loop {
            let asked = Instant::now();
            let answer = self.master.ask(|rest| async move { rest.result(job, LONG_POLL).await }).await;
            match answer {
                Ok(Some(result)) => return Ok(result),
                Ok(None) => {}
                Err(error) => return Err(self.explained(error).await),
            }
            // A server that answered at once does not hold its answers back.
            if asked.elapsed() < LONG_POLL / 2 {
                pauses.next().await;
            }
        }
    }

    /// Asks for the end of the job.
    async fn cancel(&self) -> Result<(), RestError> {
        let job = self.job_id;
        self.master.ask(|rest| async move { rest.cancel(job).await }).await
    }

    /// Why the job is not heard of any more: with how its application ended, where it has.
    async fn explained(&self, error: RestError) -> anyhow::Error {
        let error = anyhow::Error::new(error).context(report::lost_job(self.job_id));
        match &self.watch {
            Some(watch) => watch.explain(self.job_id, error).await,
            None => error,
        }
    }
}

impl Jobs {
    async fn converse(&mut self, execution: &mut Execution<'_>, mut program: Program) -> Result<()> {
        let mut accepted_jobs: BTreeMap<JobId, Accepted> = BTreeMap::new();
        let mut failed = None;
        while let Some(message) = program.inbox.recv().await {
            match message? {
                FromProgram::Hello { engine_version } => {
                    check_version(&engine_version)?;
                    let config = execution.config.clone();
                    program.outbox.send(ToProgram::Welcome { config, once: BTreeMap::new() });
                }
                FromProgram::Execute { ordinal, graph, once, attached } => {
                    let accepted = match self.submit(execution, ordinal, graph, once).await {
                        Ok(accepted) => accepted,
                        Err(error) => {
                            // The program gets a line and may go on, the user gets the whole chain of causes.
                            program.outbox.send(ToProgram::Rejected { ordinal, reason: error.to_string() });
                            failed = Some(error);
                            continue;
                        }
                    };
                    program.outbox.send(ToProgram::Submitted { ordinal, job_id: accepted.job_id });
                    accepted_jobs.insert(accepted.job_id, accepted.clone());
                    failed = self.after_submission(ordinal, accepted, attached, &program.outbox).await?;
                }
                FromProgram::CancelJob { job_id } => match accepted_jobs.get(&job_id) {
                    // The program expects no answer, and has other things to do than to cancel.
                    Some(job) => job.cancel().await.unwrap_or_else(|error| {
                        let text = format!("The job {job_id} could not be cancelled: {error}");
                        console::warn(console::DESCRIPTOR, text);
                    }),
                    None => bail!("The program asked to cancel the job {job_id}, which it did not submit"),
                },
                FromProgram::AskJob { request, job_id, question } => {
                    let answer = match accepted_jobs.get(&job_id) {
                        Some(job) => questions::answer(job, question, execution.config).await,
                        None => Err(format!("the program did not submit the job {job_id}")),
                    };
                    program.outbox.send(ToProgram::JobAnswer { request, answer });
                }
                _ => bail!(
                    "The program speaks as a worker; was it started by something else than this client?"
                ),
            }
        }
        self.end(program.process.exited().await, failed)
    }

    async fn submit(
        &mut self,
        execution: &mut Execution<'_>,
        ordinal: u32,
        graph: JobGraph,
        once: BTreeMap<String, String>,
    ) -> Result<Accepted> {
        graph.validate()?;
        let jar = execution.destination.jar(execution.config, &execution.program.jar).await?;
        let program =
            ProgramSpec { jar, entry: execution.entry.map(str::to_string), args: execution.args.to_vec() };
        let job = JobSubmission {
            job_id: random_job_id()?,
            ordinal,
            program,
            graph,
            config: execution.config.clone(),
            once,
            earlier: self.results.clone(),
        };
        let detached = !self.attached;
        let accepted = execution.destination.submit(execution.config, job, detached, &self.cleanup).await?;
        self.submitted += 1;
        console::line(format!("Job has been submitted with JobID {}", accepted.job_id));
        Ok(accepted)
    }

    /// Waits for the job if somebody waits; why it failed, if it did.
    async fn after_submission(
        &mut self,
        ordinal: u32,
        accepted: Accepted,
        waited_for: bool,
        outbox: &Outbox,
    ) -> Result<Option<anyhow::Error>> {
        if !waited_for {
            return Ok(None);
        }
        if !self.attached {
            // A detached client never learns the end: the program goes on as if it had come.
            let result = unknown_end(accepted.job_id);
            self.results.push(result.clone());
            outbox.send(ToProgram::Ended { ordinal, result });
            return Ok(None);
        }
        if self.heartbeat.is_some() {
            self.cleanup.cancel_job(accepted.master.clone(), accepted.job_id);
        }
        let _heartbeats = self.heartbeat.map(|heartbeat| heartbeat.begin(&accepted));
        let result = accepted.result().await?;
        self.cleanup.forget();
        if result.state == JobState::Finished {
            console::print(&result.finished_lines());
        }
        self.results.push(result.clone());
        outbox.send(ToProgram::Ended { ordinal, result: result.clone() });
        let hint = accepted.watch.as_ref().map(|watch| wait::logs_hint(watch.application()));
        Ok((result.state != JobState::Finished).then(|| report::failure(&result, hint)))
    }

    /// A program that went on after a failed job decided that itself; one that ended badly after it failed because of it.
    fn end(&self, exit: ProgramExit, failed: Option<anyhow::Error>) -> Result<()> {
        match (exit.success(), failed) {
            (true, None) if self.submitted == 0 => Err(NoJob.into()),
            (true, _) => Ok(()),
            (false, Some(error)) => Err(in_main(error)),
            (false, None) => Err(anyhow!("The main method caused an error: the program ended with {exit}.")),
        }
    }
}

fn in_main(error: anyhow::Error) -> anyhow::Error {
    let message = format!("The main method caused an error: {error}");
    error.context(message)
}

/// As long as the version is 0.x, programs and engine must agree in major and minor.
fn check_version(program: &str) -> Result<()> {
    let engine = kvick_core::ENGINE_VERSION;
    let series = |version: &str| version.split('.').take(2).map(str::to_string).collect::<Vec<_>>();
    if series(program) != series(engine) {
        bail!(
            "The program was built with version {program} of the engine, this is version {engine}: build it again with this version."
        );
    }
    Ok(())
}

fn random_job_id() -> Result<JobId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(JobId(u128::from_be_bytes(bytes)))
}

fn unknown_end(job_id: JobId) -> JobResult {
    let accumulators = Accumulators::new();
    JobResult { job_id, state: JobState::Finished, net_runtime_ms: 0, accumulators, failure: None }
}
