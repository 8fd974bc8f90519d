//! The driver: one task that feeds the master machine with inputs and the time, and has its effects performed.
//!
//! It never awaits a performer: whatever takes time answers with another input.

use crate::checkpoints;
use crate::clock::now;
use crate::cluster::{Cluster, Connection, LogAnswer};
use crate::durable;
use crate::input::Input;
use kvick_core::checkpoint::CheckpointEffect;
use kvick_core::executor::{ExecutorInfo, FromExecutor, ToExecutor};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::job::JobResult;
use kvick_core::master::{Effect, FinalStatus};
use kvick_core::time::Millis;
use kvick_rpc::gateway::encode;
use kvick_rpc::generated::v1::Frame;
use kvick_storage::Outcome;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// How long an application that is over waits for whoever has begun an operation to ask for its outcome.
const LAST_QUESTIONS: Millis = Millis(10_000);

/// What has containers started and given back. Its methods only note what is wanted; they do not wait.
pub trait ResourceDriver: Send {
    /// So many containers are wanted that were not allocated yet.
    fn want(&mut self, count: u32);
    /// Stop a container and give it back.
    fn release(&mut self, executor: &ExecutorId, reason: &str);
    /// Take no containers on these nodes, and on all others again.
    fn exclude(&mut self, hosts: &BTreeSet<String>);
    /// Something seems to be wrong with a container: what YARN knows of it is wanted soon.
    fn hurry(&mut self);
}

/// How the application ended.
#[derive(Debug, Clone)]
pub struct End {
    /// What YARN is told.
    pub status: FinalStatus,
    /// Why.
    pub diagnostics: String,
    /// Only this attempt is over: task executors, YARN's view and what is stored are for a later one.
    pub attempt_over: bool,
}

/// Runs the cluster until the master decides that the application is over.
pub async fn run(
    mut cluster: Cluster,
    mut inbox: mpsc::UnboundedReceiver<Input>,
    mut resources: Box<dyn ResourceDriver>,
) -> (Cluster, End) {
    let mut ending: Option<(End, Millis)> = None;
    loop {
        if let Some((end, until)) =
            ending.take_if(|(_, until)| *until <= now() || !cluster.operations.any_unfetched())
        {
            debug!("waited until {until:?} for those who have begun something to ask for its end");
            return (cluster, end);
        }
        let deadline =
            cluster.master.next_deadline().into_iter().chain(ending.as_ref().map(|(_, until)| *until)).min();
        let pause = deadline.map_or(Duration::from_secs(60), |at| Duration::from_millis(at.since(now()).0));
        tokio::select! {
            biased;
            input = inbox.recv() => match input {
                Some(input) => {
                    if matches!(input, Input::Disconnected(..)) {
                        resources.hurry();
                    }
                    apply(&mut cluster, input);
                }
                None => return (cluster, abandoned()),
            },
            () = tokio::time::sleep(pause) => cluster.with_master(|master, fx| master.tick(now(), fx)),
        }
        if let Some(why) = cluster.attempt_over.take() {
            return (cluster, End { status: FinalStatus::Failed, diagnostics: why, attempt_over: true });
        }
        let decided = std::mem::take(&mut cluster.effects);
        let mut effects = std::mem::take(&mut cluster.released);
        effects.extend(durable::admit(&mut cluster, decided));
        for effect in effects {
            if let Some(end) = perform(&mut cluster, resources.as_mut(), effect) {
                ending = Some((end, now().plus(LAST_QUESTIONS)));
            }
        }
    }
}

fn abandoned() -> End {
    let diagnostics = "the application master lost its own inputs".to_string();
    End { status: FinalStatus::Failed, diagnostics, attempt_over: false }
}

fn apply(cluster: &mut Cluster, input: Input) {
    let at = now();
    match input {
        Input::Connected { info, connection, .. } if cluster.master.is_overtaken(&info.id, connection) => {
            // Its connection ends with the frames for it. The task executor has a newer one.
            info!(executor = %info.id, "passed over registration {connection}, which a later one has overtaken");
        }
        Input::Connected { info, .. } if cluster.master.is_premature(&info.id) => {
            // Its connection ends in the same way, and it tries again until it is decided who stays.
            debug!(executor = %info.id, "YARN has not named this container of an earlier attempt yet");
        }
        Input::Connected { info, holdings, connection, serial, frames } => {
            let executor = info.id.clone();
            let register = FromExecutor::Register { info: info.clone(), holdings, connection };
            connected(cluster, *info, serial, frames);
            durable::executor_registers(cluster, &executor);
            cluster.with_master(|m, fx| m.from_executor(now(), &executor, register, fx));
        }
        Input::Executor(executor, serial, message) => {
            // What was said over an earlier connection is part of what was told with the registration on this one.
            if cluster.connections.get(&executor).is_some_and(|c| c.serial == serial) {
                from_executor(cluster, &executor, message);
            }
        }
        Input::Disconnected(executor, serial) => {
            if cluster.connections.get(&executor).is_some_and(|c| c.serial == serial) {
                warn!(%executor, "the connection to a task executor broke");
                cluster.connections.remove(&executor);
                cluster.master.executor_disconnected(at, &executor);
            }
        }
        Input::ContainerStarting(executor, host) => {
            cluster.with_master(|m, fx| m.container_starting(at, executor, &host, fx));
        }
        Input::ContainerEnded(executor, failure) => {
            info!(%executor, "{}", failure.message);
            cluster.connections.remove(&executor);
            cluster.with_master(|m, fx| m.container_ended(at, &executor, failure, fx));
        }
        Input::ProgramEnded(failure) => cluster.with_master(|m, fx| m.program_ended(at, failure, fx)),
        Input::ShutdownRequested(why) => {
            cluster.with_master(|m, fx| m.stop(at, FinalStatus::Failed, &why, fx));
        }
        Input::Checkpoint(outcome) => checkpoint_outcome(cluster, outcome),
        Input::Durable => {
            let released = durable::release(cluster);
            cluster.released.extend(released);
        }
        Input::AttemptOver(why) => cluster.attempt_over = Some(why),
        Input::Request(request) => request(cluster, at),
    }
}

fn connected(cluster: &mut Cluster, info: ExecutorInfo, serial: u64, frames: mpsc::UnboundedSender<Frame>) {
    let executor = info.id.clone();
    info!(%executor, host = %info.host, slots = info.slots, "a task executor registers");
    let metrics = kvick_core::executor::ExecutorMetrics::default();
    let connection = Connection { serial, frames, info, metrics, last_heard: now() };
    cluster.connections.insert(executor, connection);
}

fn from_executor(cluster: &mut Cluster, executor: &ExecutorId, message: FromExecutor) {
    if let Some(connection) = cluster.connections.get_mut(executor) {
        connection.last_heard = now();
        if let FromExecutor::Heartbeat { metrics } = &message {
            connection.metrics = *metrics;
            let reply = Effect::Send { executor: executor.clone(), message: Box::new(ToExecutor::Heartbeat) };
            // Nothing has to be durable for this, and without it the task executor ends itself.
            cluster.released.push(reply);
        }
    }
    match message {
        FromExecutor::Logs { request, files } => answer(cluster, request, LogAnswer::Files(files)),
        FromExecutor::LogContent { request, content } => {
            answer(cluster, request, LogAnswer::Content(content))
        }
        message => cluster.with_master(|m, fx| m.from_executor(now(), executor, message, fx)),
    }
}

fn answer(cluster: &mut Cluster, request: u64, answer: LogAnswer) {
    if let Some(waiter) = cluster.log_waiters.remove(&request) {
        let _ = waiter.send(answer);
    }
}

/// Performs one effect; `Some` ends the application.
fn perform(cluster: &mut Cluster, resources: &mut dyn ResourceDriver, effect: Effect) -> Option<End> {
    match effect {
        Effect::WantContainers(count) => {
            info!("{count} more containers are wanted");
            resources.want(count);
        }
        Effect::ReleaseContainer { executor, reason } => {
            info!(%executor, "giving a container back: {reason}");
            send(cluster, &executor, &ToExecutor::Shutdown { reason: reason.clone() });
            cluster.connections.remove(&executor);
            resources.release(&executor, &reason);
        }
        Effect::ExcludeNodes(hosts) => {
            if hosts.is_empty() {
                info!("containers are taken on all nodes again");
            } else {
                warn!(
                    "containers fail again and again on some nodes; none are taken there for now: {hosts:?}"
                );
            }
            resources.exclude(&hosts);
        }
        Effect::Send { executor, message } => send(cluster, &executor, &message),
        Effect::JobStateChanged { job, state } => info!(%job, "job is now {state:?}"),
        Effect::JobRestarted { job, restarts } => {
            info!(%job, "regions start again, for the {restarts}. time")
        }
        Effect::JobGraphChanged { job } => info!(%job, "the job goes on with another parallelism"),
        Effect::JobEnded { result } => job_ended(cluster, *result),
        Effect::Checkpoint { job, effect } => checkpoint_effect(cluster, job, effect),
        Effect::JobForgotten { job } => {
            cluster.results.remove(&job);
            cluster.checkpoints.forget(job);
            durable::job_forgotten(cluster, job);
        }
        Effect::Finish { status, diagnostics } => {
            return Some(End { status, diagnostics, attempt_over: false });
        }
    }
    None
}

fn checkpoint_effect(cluster: &mut Cluster, job: JobId, effect: CheckpointEffect) {
    checkpoints::log_effect(job, &effect);
    match effect {
        CheckpointEffect::Answer { caller, outcome } => {
            let outcome = outcome.map(Some).map_err(checkpoints::as_failure);
            cluster.operations.end(now(), caller, outcome);
        }
        CheckpointEffect::Discard { checkpoint: Some(id), .. } => {
            cluster.checkpoints.perform(job, effect);
            durable::being_removed(cluster, job, id);
        }
        effect => cluster.checkpoints.perform(job, effect),
    }
}

fn checkpoint_outcome(cluster: &mut Cluster, outcome: Outcome) {
    checkpoints::log_outcome(&outcome);
    match &outcome {
        Outcome::Stored { job, checkpoint, outcome: Ok(path) }
            if durable::record_checkpoint(cluster, *job, *checkpoint, path.as_ref()) =>
        {
            return;
        }
        Outcome::Stored { job, checkpoint, outcome: Err(_) } => {
            durable::forget_checkpoint(cluster, *job, *checkpoint);
        }
        _ => {}
    }
    cluster.with_master(|master, fx| match outcome {
        Outcome::Prepared { job, token, outcome } => {
            master.savepoint_prepared(now(), job, token, outcome, fx)
        }
        Outcome::Stored { job, checkpoint, outcome } => {
            master.checkpoint_stored(now(), job, checkpoint, outcome, fx);
        }
    });
}

fn send(cluster: &Cluster, executor: &ExecutorId, message: &ToExecutor) {
    let Some(connection) = cluster.connections.get(executor) else { return };
    match encode(cluster.settings.epoch.attempt, message) {
        // A broken connection is told by its reader.
        Ok(frame) => drop(connection.frames.send(frame)),
        Err(error) => warn!(%executor, "a message was not sent: {error}"),
    }
}

fn job_ended(cluster: &mut Cluster, result: JobResult) {
    let job = result.job_id;
    match &result.failure {
        Some(failure) => warn!(%job, "job ended as {:?}: {failure}", result.state),
        None => info!(%job, "job ended as {:?} after {} ms", result.state, result.net_runtime_ms),
    }
    for waiter in cluster.result_waiters.remove(&job).unwrap_or_default() {
        let _ = waiter.send(result.clone());
    }
    cluster.results.insert(job, result);
}
