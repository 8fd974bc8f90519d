//! What is said to a program in the role of an application: its jobs are submitted, and it is told how they end.

use super::{ProgramOptions, fixed_job_id, questions, random_job_id};
use crate::checkpoints;
use crate::handle::ClusterHandle;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kvick_core::config::Configuration;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::JobGraph;
use kvick_core::host::{FromProgram, ToProgram};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState, JobSubmission, ProgramSpec};
use kvick_rpc::host::{HostError, Inbox, Outbox};
use std::collections::BTreeMap;
use tracing::{info, warn};

/// The conversation with one program, and its jobs.
pub struct Conversation {
    cluster: ClusterHandle,
    program: ProgramSpec,
    config: Configuration,
    options: ProgramOptions,
    outbox: Outbox,
    /// How each `execute()` so far ended, by ordinal: what a worker is told that passes them on its way.
    earlier: Vec<JobResult>,
    jobs: Vec<JobId>,
    /// Ends that the program waits for.
    awaited: FuturesUnordered<BoxFuture<'static, (u32, Option<JobResult>)>>,
    /// Answers about jobs that are on their way.
    answers: FuturesUnordered<BoxFuture<'static, ToProgram>>,
}

impl Conversation {
    /// A conversation that has not begun.
    pub fn new(
        cluster: &ClusterHandle,
        program: &ProgramSpec,
        config: Configuration,
        options: ProgramOptions,
        outbox: Outbox,
    ) -> Conversation {
        Conversation {
            cluster: cluster.clone(),
            program: program.clone(),
            config,
            options,
            outbox,
            earlier: Vec::new(),
            jobs: Vec::new(),
            awaited: FuturesUnordered::new(),
            answers: FuturesUnordered::new(),
        }
    }

    /// Answers the program until it closes its side.
    ///
    /// # Errors
    /// If it cannot be understood any more.
    pub async fn hold(&mut self, inbox: &mut Inbox) -> Result<(), HostError> {
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.answer(message?).await,
                    None => return Ok(()),
                },
                Some((ordinal, result)) = self.awaited.next() => self.tell_end(ordinal, result),
                Some(answer) = self.answers.next() => self.outbox.send(answer),
            }
        }
    }

    async fn answer(&mut self, message: FromProgram) {
        match message {
            FromProgram::Hello { engine_version } => {
                info!("the program speaks as engine version {engine_version}");
                self.outbox.send(ToProgram::Welcome {
                    config: self.config.clone(),
                    once: self.options.once.clone(),
                });
            }
            FromProgram::Execute { ordinal, graph, once, attached } => {
                self.execute(ordinal, graph, once, attached).await;
            }
            FromProgram::CancelJob { job_id } if self.jobs.contains(&job_id) => {
                cancel(&self.cluster, job_id).await
            }
            FromProgram::CancelJob { job_id } => {
                warn!(job = %job_id, "the program cancels a job that is not its own")
            }
            FromProgram::AskJob { request, job_id, question } => {
                let (cluster, own) = (self.cluster.clone(), self.jobs.contains(&job_id));
                self.answers.push(Box::pin(async move {
                    let answer = match own {
                        true => questions::answer(&cluster, job_id, question).await,
                        false => Err(format!("the program did not submit the job {job_id}")),
                    };
                    ToProgram::JobAnswer { request, answer }
                }));
            }
            other => warn!("the program says what only a worker says: {other:?}"),
        }
    }

    async fn execute(
        &mut self,
        ordinal: u32,
        graph: JobGraph,
        once: BTreeMap<String, String>,
        attached: bool,
    ) {
        let fixed = self.options.application.as_deref().map(|name| fixed_job_id(name, ordinal));
        let job_id = self.options.job_id.take().or(fixed).unwrap_or_else(random_job_id);
        if fixed == Some(job_id) && is_known(&self.cluster, job_id).await {
            info!(job = %job_id, "the program meets a job of its earlier run");
            return self.accepted(ordinal, job_id, attached).await;
        }
        let submission = JobSubmission {
            job_id,
            ordinal,
            program: self.program.clone(),
            graph,
            config: self.config.clone(),
            once,
            earlier: self.earlier.clone(),
        };
        match submit(&self.cluster, submission).await {
            Ok(()) => self.accepted(ordinal, job_id, attached).await,
            Err(reason) => {
                self.earlier.push(refused(job_id, &reason));
                self.outbox.send(ToProgram::Rejected { ordinal, reason });
            }
        }
    }

    async fn accepted(&mut self, ordinal: u32, job_id: JobId, attached: bool) {
        info!(job = %job_id, "Job has been submitted with JobID {job_id}");
        self.jobs.push(job_id);
        if let Some(submitted) = &self.options.submitted {
            // Nobody is left who wants to know: the job runs all the same.
            let _ = submitted.send(job_id);
        }
        self.outbox.send(ToProgram::Submitted { ordinal, job_id });
        // Stands for a job that is not waited for; the end of one that is replaces it.
        self.earlier.push(started(job_id));
        if attached {
            let end = self.cluster.ask(move |cluster, _| cluster.await_result(job_id)).await.flatten();
            self.awaited.push(Box::pin(async move {
                match end {
                    Some(end) => (ordinal, end.await.ok()),
                    None => (ordinal, None),
                }
            }));
        }
    }

    fn tell_end(&mut self, ordinal: u32, result: Option<JobResult>) {
        let Some(place) = self.earlier.get_mut(ordinal as usize) else { return };
        let gone = || refused(place.job_id, "the application ended before the job did");
        let result = result.unwrap_or_else(gone);
        *place = result.clone();
        self.outbox.send(ToProgram::Ended { ordinal, result });
    }

    /// Cancels what still runs of the program's jobs.
    pub async fn cancel_jobs(&mut self) {
        for job in &self.jobs {
            cancel(&self.cluster, *job).await;
        }
    }

    /// The jobs that were accepted.
    pub fn into_jobs(self) -> Vec<JobId> {
        self.jobs
    }
}

async fn submit(cluster: &ClusterHandle, submission: JobSubmission) -> Result<(), String> {
    let source = checkpoints::restore_source(&cluster.settings, &submission).await;
    let source = source.map_err(|error| error.to_string())?;
    let submitted = cluster.ask(move |cluster, _| cluster.submit(submission, source)).await;
    let accepted = submitted.ok_or_else(|| "the application is ending".to_string())?;
    accepted.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())
}

/// Whether an earlier attempt of the application accepted this job.
async fn is_known(cluster: &ClusterHandle, job: JobId) -> bool {
    let known = cluster
        .ask(move |cluster, _| cluster.master.job(job).is_some() || cluster.results.contains_key(&job));
    known.await.unwrap_or(false)
}

async fn cancel(cluster: &ClusterHandle, job: JobId) {
    let cancelled = cluster.ask(move |cluster, now| {
        cluster.with_master(|master, fx| master.cancel(now, job, fx));
    });
    // Without a driver there is no job either.
    let _ = cancelled.await;
}

/// What a worker is told of an `execute()` before its own whose end was not waited for: it went well so far.
fn started(job_id: JobId) -> JobResult {
    JobResult {
        job_id,
        state: JobState::Finished,
        net_runtime_ms: 0,
        accumulators: BTreeMap::new(),
        failure: None,
    }
}

/// What a worker is told of an `execute()` before its own that was not accepted.
fn refused(job_id: JobId, reason: &str) -> JobResult {
    let failure = Some(Failure::new(FailureKind::Error, reason));
    JobResult { state: JobState::Failed, failure, ..started(job_id) }
}

/// Lets a program run up to its first `execute()`; `None` if it closes its side before.
///
/// # Errors
/// If it cannot be understood.
pub async fn first_graph(
    inbox: &mut Inbox,
    outbox: &Outbox,
    config: Configuration,
) -> Result<Option<JobGraph>, HostError> {
    while let Some(message) = inbox.recv().await {
        match message? {
            FromProgram::Hello { .. } => {
                outbox.send(ToProgram::Welcome { config: config.clone(), once: BTreeMap::new() });
            }
            FromProgram::Execute { graph, .. } => {
                outbox.send(ToProgram::PlanTaken);
                return Ok(Some(graph));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Lets a program run up to the `execute()` of a job that it has submitted before, as a worker's does; `None` if it closes its
/// side before.
///
/// # Errors
/// If it cannot be understood.
pub async fn graph_again(
    inbox: &mut Inbox,
    outbox: &Outbox,
    config: &Configuration,
    job: &JobSubmission,
) -> Result<Option<JobGraph>, HostError> {
    while let Some(message) = inbox.recv().await {
        match message? {
            FromProgram::Hello { .. } => {
                outbox.send(ToProgram::Welcome { config: config.clone(), once: job.once.clone() });
            }
            FromProgram::Execute { ordinal, graph, .. } if ordinal == job.ordinal => {
                outbox.send(ToProgram::PlanTaken);
                return Ok(Some(graph));
            }
            FromProgram::Execute { ordinal, attached, .. } => {
                let Some(result) = job.earlier.get(ordinal as usize).cloned() else { return Ok(None) };
                outbox.send(ToProgram::Submitted { ordinal, job_id: result.job_id });
                if attached {
                    outbox.send(ToProgram::Ended { ordinal, result });
                }
            }
            _ => {}
        }
    }
    Ok(None)
}
