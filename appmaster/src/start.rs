//! What the application begins with: nothing in a session, the job in per-job mode, the program in application mode.

use crate::cluster::Cluster;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::program::{ProgramOptions, run_program};
use crate::{checkpoints, clock, filesystems};
use anyhow::{Context, Result};
use kvick_core::application_spec::ApplicationMode;
use kvick_core::job::{JobSubmission, ProgramSpec};
use kvick_core::master::FinalStatus;
use std::path::PathBuf;
use tracing::error;

/// The file in the staging directory that holds a job which is too large for the launch context.
const JOB_GRAPH_FILE: &str = "job.graph";

/// Begins what the application is there for.
///
/// # Errors
/// If the job cannot be read.
pub async fn begin(cluster: &mut Cluster, handle: &ClusterHandle) -> Result<()> {
    let settings = cluster.settings.clone();
    match &settings.spec.mode {
        ApplicationMode::Session => {}
        ApplicationMode::PerJob { submission, .. } => {
            let submission = match submission {
                Some(submission) => (**submission).clone(),
                None => staged_job(cluster).await?,
            };
            submit(cluster, submission).await;
        }
        ApplicationMode::Application { program } => run_main(handle.clone(), program.clone()),
    }
    Ok(())
}

async fn submit(cluster: &mut Cluster, submission: JobSubmission) {
    let source = checkpoints::restore_source(&cluster.settings, &submission).await;
    let now = clock::now();
    let accepted = source.map_err(|error| error.to_string()).and_then(|source| {
        let submitted =
            cluster.with_master(|master, fx| master.submit_restored(now, submission, source.as_ref(), fx));
        submitted.map_err(|error| error.to_string())
    });
    if let Err(refused) = accepted {
        error!("the job was not accepted: {refused}");
        cluster.with_master(|master, fx| master.stop(now, FinalStatus::Failed, &refused, fx));
    }
}

async fn staged_job(cluster: &Cluster) -> Result<JobSubmission> {
    let staging = cluster
        .settings
        .spec
        .staging_dir
        .as_deref()
        .context("there is neither a job nor a staging directory")?;
    let filesystems = filesystems::connect(&cluster.settings);
    let (fs, path) = filesystems.locate(&format!("{staging}/{JOB_GRAPH_FILE}"))?;
    let bytes = fs.read(&path).await.with_context(|| format!("reading the job from {path}"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("the job in {path}"))
}

/// Runs the application's own program beside the driver, and tells the driver how it ended.
fn run_main(handle: ClusterHandle, program: ProgramSpec) {
    tokio::spawn(async move {
        let jar = PathBuf::from(&program.jar.name);
        let config = handle.settings.config.clone();
        let outcome = run_program(&handle, &program, &jar, config, ProgramOptions::default()).await;
        if let Some(failure) = &outcome.error {
            error!("the program failed: {failure}");
        }
        handle.send(Input::ProgramEnded(outcome.error));
    });
}
