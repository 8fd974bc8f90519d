//! Where the jobs of a program go: to an application on YARN of their own, or to a cluster that runs.

use super::Accepted;
use super::interrupt::Cleanup;
use crate::cluster::{Cluster, Running};
use crate::console;
use crate::deploy::{Deployment, Hadoop, Kind, Screen, resources, wait};
use crate::rest::RestClient;
use crate::survivors;
use anyhow::{Context, Result, anyhow};
use kvick_core::application_spec::ApplicationMode;
use kvick_core::config::Configuration;
use kvick_core::ids::JobId;
use kvick_core::job::{Artifact, JobSubmission};
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, FinalStatus};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two looks at where an application's next master is.
const LOOK: Duration = Duration::from_millis(500);
/// How long the next master may take.
const NEXT_MASTER_PATIENCE: Duration = Duration::from_secs(600);
/// How long YARN may name one that does not answer: it notices a lost process within a node's heartbeat, a lost node later.
const OLD_MASTER_PATIENCE: Duration = Duration::from_secs(30);

/// Where jobs go.
pub enum Destination {
    /// Each to an application of its own; the preparation has begun while the program builds its graph.
    PerJob(Preparation),
    /// To this cluster. The jar is uploaded with the first job.
    Cluster {
        /// The cluster.
        rest: RestClient,
        /// The application that it is, where it is one.
        watch: Option<Watch>,
        /// The jar, once it is uploaded.
        jar: Option<Artifact>,
    },
}

/// A deployment that is being prepared, or is ready.
pub enum Preparation {
    /// Under way; bars are drawn once the program waits for it.
    Running(JoinHandle<Result<Deployment>>, Screen),
    /// Done.
    Ready(Arc<Deployment>),
    /// Failed; the error was handed out.
    Failed,
}

impl Preparation {
    /// Begins at once.
    pub fn begin(config: &Configuration, jar: &Path) -> Preparation {
        let (config, jar, screen) = (config.clone(), jar.to_path_buf(), Screen::shared());
        let own = screen.clone();
        let task = async move { Deployment::prepare(&config, Kind::PerJob, Some(&jar), &own).await };
        Preparation::Running(tokio::spawn(task), screen)
    }

    async fn ready(&mut self) -> Result<Arc<Deployment>> {
        match std::mem::replace(self, Preparation::Failed) {
            Preparation::Running(task, screen) => {
                screen.release();
                let deployment = Arc::new(task.await?.context(Kind::PerJob.failed())?);
                *self = Preparation::Ready(Arc::clone(&deployment));
                Ok(deployment)
            }
            Preparation::Ready(deployment) => {
                *self = Preparation::Ready(Arc::clone(&deployment));
                Ok(deployment)
            }
            Preparation::Failed => Err(anyhow!("The deployment could not be prepared.")),
        }
    }
}

/// An application on YARN whose end would explain why its jobs are not heard of any more.
#[derive(Clone)]
pub enum Watch {
    /// Deployed by us.
    Own(Arc<Deployment>, ApplicationId),
    /// Found.
    Found(Arc<Running>),
}

impl Watch {
    /// The application.
    pub fn application(&self) -> ApplicationId {
        match self {
            Watch::Own(_, id) => *id,
            Watch::Found(running) => running.id,
        }
    }

    fn config(&self) -> &Configuration {
        match self {
            Watch::Own(deployment, _) => deployment.config(),
            Watch::Found(running) => &running.config,
        }
    }

    /// Where the application's next master is, once YARN knows: `None` if the application has ended, or goes on where it
    /// was, or none comes in time.
    pub async fn next_address(&self, old: &str) -> Option<String> {
        let began = Instant::now();
        let mut seen = began;
        while began.elapsed() < NEXT_MASTER_PATIENCE && seen.elapsed() < OLD_MASTER_PATIENCE {
            let report = match self {
                Watch::Own(deployment, id) => deployment.yarn.report(*id).await,
                Watch::Found(running) => running.yarn.report(running.id).await,
            };
            if let Ok(report) = report {
                if report.state.is_terminal() || report.final_status != FinalStatus::Undefined {
                    return None;
                }
                match address_of(&report) {
                    Some(address) if address != old => return Some(address),
                    // While YARN still names the old one, it may not have noticed; while it names none, one is coming.
                    Some(_) => {}
                    None => seen = Instant::now(),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// Says how the application ended, if it has, and removes what it left when it was ours.
    pub async fn explain(&self, job: JobId, error: anyhow::Error) -> anyhow::Error {
        let report = match self {
            Watch::Own(deployment, id) => deployment.yarn.report(*id).await,
            Watch::Found(running) => running.yarn.report(running.id).await,
        };
        match report {
            Ok(report) if report.state.is_terminal() => {
                let left = survivors::look(self.config(), report.id).await;
                if let Watch::Own(deployment, id) = self
                    && !left.needs_staging
                {
                    // Its master ended without tidying up.
                    deployment.unstage(*id).await;
                }
                wait::ended(&report, &left.text).context(format!("Job failed (JobID: {job})"))
            }
            _ => error,
        }
    }
}

/// `host:port` of a master that has registered.
fn address_of(report: &ApplicationReport) -> Option<String> {
    let port = u16::try_from(report.rpc_port).ok().filter(|port| *port > 0)?;
    let known = !report.host.is_empty() && report.host != "N/A";
    known.then(|| format!("{}:{port}", report.host))
}

impl Destination {
    /// A cluster that runs.
    pub fn cluster(cluster: Cluster) -> Destination {
        let watch = cluster.application.map(|running| Watch::Found(Arc::new(running)));
        Destination::Cluster { rest: cluster.rest, watch, jar: None }
    }

    /// The jar where the cluster finds it.
    ///
    /// # Errors
    /// It cannot be uploaded.
    pub async fn jar(&mut self, config: &Configuration, path: &Path) -> Result<Artifact> {
        match self {
            Destination::PerJob(preparation) => {
                let deployment = preparation.ready().await?;
                deployment.jar().cloned().ok_or_else(|| anyhow!("{} was not uploaded", path.display()))
            }
            Destination::Cluster { jar: Some(artifact), .. } => Ok(artifact.clone()),
            Destination::Cluster { jar, .. } => {
                let artifact = match Hadoop::find(config)? {
                    Some(hadoop) => resources::provide_jar(&hadoop, config, path).await?,
                    // Without Hadoop the cluster is on this machine, or shares its disks.
                    None => resources::local_jar(path).await?,
                };
                *jar = Some(artifact.clone());
                Ok(artifact)
            }
        }
    }

    /// Submits a job.
    ///
    /// # Errors
    /// It is not accepted, or its application does not start.
    pub async fn submit(
        &mut self,
        config: &Configuration,
        job: JobSubmission,
        detached: bool,
        cleanup: &Cleanup,
    ) -> Result<Accepted> {
        let job_id = job.job_id;
        let (rest, watch) = match self {
            Destination::PerJob(preparation) => {
                let deployment = preparation.ready().await?;
                deployment.check_job(&job.config)?;
                deployment.check_job(&job.graph.config)?;
                let (id, address) = deploy_job(&deployment, job, detached, cleanup).await?;
                (RestClient::new(&address, config)?, Some(Watch::Own(deployment, id)))
            }
            Destination::Cluster { rest, watch, .. } => {
                rest.submit(&job).await.context("Failed to execute job.")?;
                (rest.clone(), watch.clone())
            }
        };
        Ok(Accepted { job_id, rest, watch })
    }
}

async fn deploy_job(
    deployment: &Arc<Deployment>,
    job: JobSubmission,
    detached: bool,
    cleanup: &Cleanup,
) -> Result<(ApplicationId, String)> {
    let id = deployment.new_id().await.context(Kind::PerJob.failed())?;
    cleanup.abandon(Arc::clone(deployment), id);
    let mode = ApplicationMode::PerJob { submission: Some(Box::new(job)), detached };
    let report = deployment.deploy(id, mode).await?;
    cleanup.forget();
    if detached {
        console::info(console::DESCRIPTOR, crate::commands::detached_text(&id.to_string()));
        if report.state.is_terminal() {
            // The job was quicker than this client, which has no more to ask of it.
            wait::not_failed(&report)?;
            return Ok((id, format!("{}:{}", report.host, report.rpc_port)));
        }
    }
    Ok((id, wait::rest_address(&report)?))
}
