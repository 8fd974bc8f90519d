//! Actions on the jobs of a running cluster: list, cancel, stop, savepoint, checkpoint.

use super::listing::{Wanted, listed};
use crate::args::typed::SavepointAction;
use crate::args::{CancelArgs, CheckpointArgs, ClusterArgs, ListArgs, ModifyArgs, SavepointArgs, StopArgs};
use crate::cluster;
use crate::console;
use crate::master::MasterClient;
use crate::rest::{Operation, RestClient, RestError};
use crate::settings::Settings;
use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use kvick_core::config::options;
use kvick_core::ids::JobId;
use serde_json::{Value, json};
use std::time::Duration;

async fn connect(args: &ClusterArgs) -> Result<(Settings, MasterClient)> {
    let settings = Settings::resolve(args)?;
    settings.report(&args.warnings)?;
    let master = cluster::connect(&settings).await?.master;
    Ok((settings, master))
}

/// `flink list`
pub async fn list(args: &ListArgs) -> Result<()> {
    let (_, master) = connect(&args.cluster).await?;
    console::line("Waiting for response...");
    let jobs = master.ask(|rest| async move { rest.jobs().await }).await;
    let jobs = jobs.context("Failed to retrieve job list.")?;
    let wanted = Wanted { running: args.running, scheduled: args.scheduled, terminated: args.all };
    console::print(&listed(&jobs, wanted, &TimeZone::system()));
    Ok(())
}

/// `flink cancel`
pub async fn cancel(args: &CancelArgs) -> Result<()> {
    let job = args.job;
    if let Some(directory) = &args.savepoint {
        return cancel_with_savepoint(args, directory.as_deref()).await;
    }
    console::line(format!("Cancelling job {job}."));
    let (_, master) = connect(&args.cluster).await?;
    let cancelled = master.ask(|rest| async move { rest.cancel(job).await }).await;
    cancelled.with_context(|| format!("Could not cancel job {job}."))?;
    console::line(format!("Cancelled job {job}."));
    Ok(())
}

async fn cancel_with_savepoint(args: &CancelArgs, directory: Option<&str>) -> Result<()> {
    let job = args.job;
    let format = args.format.as_str();
    console::line(
        "DEPRECATION WARNING: Cancelling a job with savepoint is deprecated. Use \"stop\" instead.",
    );
    console::line(match directory {
        Some(directory) => format!("Cancelling job {job} with {format} savepoint to {directory}."),
        None => format!("Cancelling job {job} with {format} savepoint to default savepoint directory."),
    });
    let (settings, master) = connect(&args.cluster).await?;
    let body = json!({ "target-directory": directory, "cancel-job": true, "formatType": format });
    let taken = operation(&settings, &master, job, "savepoints", &body).await;
    let location = location(taken.with_context(|| format!("Could not cancel job {job}."))?);
    console::line(format!("Cancelled job {job}. Savepoint stored in {location}."));
    Ok(())
}

/// `flink stop`
pub async fn stop(args: &StopArgs) -> Result<()> {
    let job = args.job;
    let format = args.format.as_str();
    let how = if args.drain { "Draining job" } else { "Suspending job" };
    console::line(format!("{how} \"{job}\" with a {format} savepoint."));
    let (settings, master) = connect(&args.cluster).await?;
    let body = json!({ "targetDirectory": args.directory, "drain": args.drain, "formatType": format });
    let failed = || format!("Could not stop with a savepoint job \"{job}\".");
    if args.detached {
        console::line(format!("Triggering stop-with-savepoint in detached mode for job {job}."));
        let id = trigger(&master, &format!("jobs/{job}/stop"), &body).await.with_context(failed)?;
        console::line(format!("Successfully trigger stop-with-savepoint in detached mode, triggerId: {id}"));
        return Ok(());
    }
    console::line(format!("Triggering stop-with-savepoint for job {job}."));
    console::line("Waiting for response...");
    let stopped = operation(&settings, &master, job, "stop", &body).await.with_context(failed)?;
    console::line(format!("Savepoint completed. Path: {}", location(stopped)));
    Ok(())
}

/// `flink savepoint`
pub async fn savepoint(args: &SavepointArgs) -> Result<()> {
    if args.too_many {
        console::line("Provided more arguments than required. Ignoring not needed arguments.");
    }
    match &args.what {
        SavepointAction::Take(job, directory) => take(args, *job, directory.as_deref()).await,
        SavepointAction::Dispose(path) => dispose(args, path).await,
    }
}

async fn take(args: &SavepointArgs, job: JobId, directory: Option<&str>) -> Result<()> {
    let (settings, master) = connect(&args.cluster).await?;
    let body =
        json!({ "target-directory": directory, "cancel-job": false, "formatType": args.format.as_str() });
    let failed = || format!("Failed to trigger a savepoint for the job {job}.");
    if args.detached {
        console::line(format!("Triggering savepoint in detached mode for job {job}."));
        let id = trigger(&master, &format!("jobs/{job}/savepoints"), &body).await.with_context(failed)?;
        console::line(format!("Successfully trigger manual savepoint, triggerId: {id}"));
        return Ok(());
    }
    console::line(format!("Triggering savepoint for job {job}."));
    console::line("Waiting for response...");
    let taken = operation(&settings, &master, job, "savepoints", &body).await.with_context(failed)?;
    console::line(format!("Savepoint completed. Path: {}", location(taken)));
    console::line("You can resume your program from this savepoint with the run command.");
    Ok(())
}

async fn dispose(args: &SavepointArgs, path: &str) -> Result<()> {
    let (settings, master) = connect(&args.cluster).await?;
    console::line(format!("Disposing savepoint '{path}'."));
    console::line("Waiting for response...");
    let failed = || format!("Disposing the savepoint '{path}' failed.");
    let body = json!({ "savepoint-path": path });
    master.operate("savepoint-disposal", &body, timeout(&settings)?).await.with_context(failed)?;
    console::line(format!("Savepoint '{path}' disposed."));
    Ok(())
}

/// `flink checkpoint`
pub async fn checkpoint(args: &CheckpointArgs) -> Result<()> {
    let job = args.job;
    let (settings, master) = connect(&args.cluster).await?;
    console::line(format!("Triggering checkpoint for job {job}."));
    console::line("Waiting for response...");
    let kind = if args.full { "FULL" } else { "CONFIGURED" };
    let taken = operation(&settings, &master, job, "checkpoints", &json!({ "checkpointType": kind })).await;
    let taken = taken.with_context(|| format!("Failed to trigger a checkpoint for the job {job}."))?;
    let id = taken.checkpoint_id.unwrap_or_default();
    let shown = if args.full { "(FULL)" } else { "" };
    console::line(format!("Checkpoint{shown} {id} for job {job} completed."));
    console::line("You can resume your program from this checkpoint with the run command.");
    Ok(())
}

/// `flink modify`
pub async fn modify(args: &ModifyArgs) -> Result<()> {
    let (job, parallelism) = (args.job, args.parallelism);
    console::line(format!("Modify job {job}."));
    let (settings, master) = connect(&args.cluster).await?;
    let failed = || format!("Could not rescale job {job}.");
    // The slots, a checkpoint and the restart, each of which has a limit of its own in the cluster.
    let patience = timeout(&settings)?
        + settings.config.get(&options::SLOT_REQUEST_TIMEOUT)?
        + settings.config.get(&options::CHECKPOINT_TIMEOUT)?;
    let rescaling = |rest: RestClient| async move {
        let path = format!("jobs/{job}/rescaling");
        let id = rest.rescale(&format!("{path}?parallelism={parallelism}")).await?;
        rest.operation(&format!("{path}/{id}"), patience).await
    };
    master.ask(rescaling).await.with_context(failed)?;
    console::line(format!("Rescaled job {job}. Its new parallelism is {parallelism}."));
    Ok(())
}

/// Triggers an operation on a job and waits for its end.
async fn operation(
    settings: &Settings,
    master: &MasterClient,
    job: JobId,
    kind: &str,
    body: &Value,
) -> Result<Operation> {
    Ok(master.operate(&format!("jobs/{job}/{kind}"), body, timeout(settings)?).await?)
}

/// Triggers one whose end is not waited for; its id.
async fn trigger(master: &MasterClient, path: &str, body: &Value) -> Result<String, RestError> {
    master.ask(|rest| async move { rest.trigger(path, body).await }).await
}

fn timeout(settings: &Settings) -> Result<Duration> {
    Ok(settings.config.get(&options::CLIENT_TIMEOUT)?)
}

fn location(operation: Operation) -> String {
    operation.location.unwrap_or_default()
}
