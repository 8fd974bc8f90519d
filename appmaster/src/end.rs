//! The end of an application: task executors are sent home, YARN is told how it went, the staging directory is deleted.

use crate::cluster::Cluster;
use crate::driver::End;
use crate::filesystems;
use crate::settings::Settings;
use crate::yarn_driver::Yarn;
use anyhow::Result;
use kvick_core::config::options;
use kvick_core::executor::ToExecutor;
use kvick_core::master::FinalStatus;
use kvick_ha::Fence;
use kvick_rpc::gateway::encode;
use std::process::ExitCode;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long the end waits for checkpoints to be removed that nobody needs any more.
const LAST_REMOVALS: Duration = Duration::from_secs(20);

/// Ends everything. The exit codes are those of Flink's `ApplicationStatus`: 0 for success and cancellation, 1443 (which
/// the operating system shows as 163) for failure.
///
/// # Errors
/// If YARN cannot be told.
pub async fn finish(cluster: Cluster, end: End, yarn: Yarn) -> Result<ExitCode> {
    if end.attempt_over {
        warn!("this attempt is over: {}", end.diagnostics);
        return Ok(ExitCode::FAILURE);
    }
    info!("the application ends: {:?} {}", end.status, end.diagnostics);
    send_home(&cluster);
    if !cluster.checkpoints.drain(LAST_REMOVALS).await {
        warn!("checkpoints that are not needed any more could not all be removed within {LAST_REMOVALS:?}");
    }
    let settings = cluster.settings.clone();
    let unregistered = yarn.finish(end.status, &end.diagnostics, &history_url(&settings)).await;
    // If YARN does not take it as the end, what survives is for the next attempt.
    unregistered?;
    if let Some(durable) = &cluster.durable
        && let Err(error) = durable.services.clean_up().await
    {
        warn!("what was kept for a later attempt stays behind: {error}");
    }
    delete_staging(&settings).await;
    Ok(match end.status {
        FinalStatus::Succeeded | FinalStatus::Killed => ExitCode::SUCCESS,
        FinalStatus::Failed => ExitCode::from((1443 & 0xff) as u8),
    })
}

/// Ends an attempt when a later one leads, and leaves everything to that. If it is one of another application, YARN is told: any
/// further attempt of this one would end in the same way.
///
/// # Errors
/// If YARN cannot be told.
pub async fn fenced(fence: &Fence, yarn: &Yarn) -> Result<ExitCode> {
    error!("ending, and leaving everything to the later attempt: {}", fence.why);
    if fence.replaced {
        let why = format!(
            "{}: both have the same high-availability.cluster-id, and the later application goes on with the jobs. Give \
             applications that are to run side by side different ids",
            fence.why
        );
        yarn.finish(FinalStatus::Failed, &why, "").await?;
    }
    Ok(ExitCode::FAILURE)
}

fn send_home(cluster: &Cluster) {
    let message = ToExecutor::Shutdown { reason: "the application has ended".to_string() };
    for connection in cluster.connections.values() {
        if let Ok(frame) = encode(cluster.settings.epoch.attempt, &message) {
            // One that is gone needs no telling.
            let _ = connection.frames.send(frame);
        }
    }
}

/// Where YARN's UI leads once the application is gone: the history server, or nowhere.
fn history_url(settings: &Settings) -> String {
    let Ok(Some(address)) = settings.config.get(&options::HISTORY_ADDRESS) else { return String::new() };
    let port = settings.config.get(&options::HISTORY_PORT).unwrap_or(8082);
    format!("http://{address}:{port}")
}

async fn delete_staging(settings: &Settings) {
    let Some(dir) = &settings.spec.staging_dir else { return };
    let filesystems = filesystems::connect(settings);
    let deleted = match filesystems.locate(dir) {
        Ok((fs, path)) => fs.delete(&path, true).await,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(_) => info!("deleted the staging directory {dir}"),
        Err(error) => warn!("could not properly delete {dir}: {error}"),
    }
}
