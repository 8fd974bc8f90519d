//! The graph of a job that runs, as it would be at another parallelism: its program is asked again.
//!
//! What is chained and how edges are partitioned depends on the parallelism, so only the program itself can say. Workers will
//! build the same graph, since it carries the parallelism that it was built with.

use super::conversation;
use super::process::Running;
use super::{NO_JOB, unpack};
use crate::filesystems;
use crate::settings::Settings;
use kvick_core::config::{Configuration, options};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::graph::JobGraph;
use kvick_core::job::{Artifact, JobSubmission};
use std::path::{Path, PathBuf};

/// The graph at another parallelism.
///
/// # Errors
/// Why there is none: the jar cannot be fetched, the program does not build one, or sets its parallelism itself.
pub async fn replan(
    settings: &Settings,
    submission: &JobSubmission,
    parallelism: u32,
) -> Result<JobGraph, Failure> {
    let config = config_at(submission, parallelism)?;
    let jar = fetch(settings, &submission.program.jar).await?;
    let path = unpack(&submission.program, &jar, None).await?;
    let mut running = Running::start(&path, &submission.program.args)?;
    let outbox = running.outbox();
    let graph = match conversation::graph_again(running.inbox(), &outbox, &config, submission).await {
        Ok(Some(graph)) => graph,
        Ok(None) => {
            return Err(running.end().await.err().unwrap_or_else(|| error(NO_JOB)));
        }
        Err(broken) => return Err(running.kill(broken).await),
    };
    let same = graph.vertices.iter().map(|v| v.parallelism).eq(submission
        .graph
        .vertices
        .iter()
        .map(|v| v.parallelism));
    let asked = graph.vertices.iter().any(|vertex| vertex.parallelism == parallelism);
    if same && !asked {
        return Err(error(
            "the program sets the parallelism of its operators itself, so that it cannot be changed from outside",
        ));
    }
    Ok(graph)
}

/// The configuration that makes the program build its graph so. What no vertex can be is refused at once.
fn config_at(submission: &JobSubmission, parallelism: u32) -> Result<Configuration, Failure> {
    let most = submission.graph.vertices.iter().map(|v| v.max_parallelism).max().unwrap_or(parallelism);
    if parallelism > most {
        return Err(error(&format!(
            "the parallelism {parallelism} is above the maximum parallelism {most}, which a job keeps for life \
             (pipeline.max-parallelism)"
        )));
    }
    let mut config = submission.config.clone();
    config.set_option(&options::PARALLELISM, parallelism.to_string());
    Ok(config)
}

/// The job's jar as a local file: it may be that only task executors have had it so far.
async fn fetch(settings: &Settings, jar: &Artifact) -> Result<PathBuf, Failure> {
    let here = PathBuf::from(&jar.name);
    if matches(&here, jar) {
        return Ok(here);
    }
    let failed = |why: String| error(&format!("cannot fetch the job's jar {}: {why}", jar.uri));
    let (fs, path) = filesystems::connect(settings).locate(&jar.uri).map_err(|e| failed(e.to_string()))?;
    let bytes = fs.read(&path).await.map_err(|e| failed(e.to_string()))?;
    let file = tempfile::Builder::new().prefix("job-").suffix(".jar").tempfile();
    let file = file.map_err(|e| failed(e.to_string()))?;
    // It is not needed beyond this process, whose directory goes with it.
    let (_, local) = file.keep().map_err(|e| failed(e.to_string()))?;
    tokio::fs::write(&local, &bytes).await.map_err(|e| failed(e.to_string()))?;
    if matches(&local, jar) { Ok(local) } else { Err(failed("its content has changed".to_string())) }
}

fn matches(path: &Path, jar: &Artifact) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() == jar.size)
        && std::fs::read(path).is_ok_and(|bytes| kvick_jar::sha256_hex(&bytes) == jar.sha256)
}

fn error(text: &str) -> Failure {
    Failure::new(FailureKind::Error, text)
}
