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
use kvick_ha::HaError;
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
            let id = submission.job_id;
            // An earlier attempt may have begun it, or even ended it.
            if cluster.master.job(id).is_none() && !cluster.results.contains_key(&id) {
                submit(cluster, handle, submission).await;
            }
        }
        ApplicationMode::Application { program } => run_main(cluster, handle.clone(), program.clone()),
    }
    Ok(())
}

async fn submit(cluster: &mut Cluster, handle: &ClusterHandle, submission: JobSubmission) {
    let source = checkpoints::restore_source(&cluster.settings, &submission).await;
    let now = clock::now();
    let accepted = source
        .map_err(|error| error.to_string())
        .and_then(|source| cluster.submit(submission, source).map_err(|error| error.to_string()));
    match accepted {
        Ok(recorded) => drop(tokio::spawn(end_if_not_recorded(handle.clone(), recorded))),
        Err(refused) => {
            error!("the job was not accepted: {refused}");
            cluster.with_master(|master, fx| master.stop(now, FinalStatus::Failed, &refused, fx));
        }
    }
}

/// The application is there for this job alone.
async fn end_if_not_recorded(
    handle: ClusterHandle,
    recorded: impl Future<Output = Result<(), HaError>> + Send,
) {
    if let Err(error) = recorded.await
        && !error.is_fenced()
    {
        let why = format!("the job would not survive its application master: {error}");
        handle.send(Input::ShutdownRequested(why));
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
fn run_main(cluster: &Cluster, handle: ClusterHandle, program: ProgramSpec) {
    // An earlier attempt may have run it already: it meets its jobs by their ids, and what it drew once stays drawn.
    let options = ProgramOptions {
        application: handle.settings.application(),
        once: cluster.once.clone(),
        ..ProgramOptions::default()
    };
    tokio::spawn(async move {
        let jar = PathBuf::from(&program.jar.name);
        let config = handle.settings.config.clone();
        let outcome = run_program(&handle, &program, &jar, config, options).await;
        if let Some(failure) = &outcome.error {
            error!("the program failed: {failure}");
        }
        handle.send(Input::ProgramEnded(outcome.error));
    });
}
