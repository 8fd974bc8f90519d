//! Where the jobs of a program go: to an application on YARN of their own, or to a cluster that runs.

use super::Accepted;
use super::interrupt::Cleanup;
use crate::cluster::{Cluster, Running};
use crate::console;
use crate::deploy::{Deployment, Hadoop, Kind, Screen, resources, wait};
use crate::master::{MasterClient, Whereabouts};
use crate::rest::RestClient;
use crate::survivors;
use anyhow::{Context, Result, anyhow};
use kvick_core::application_spec::ApplicationMode;
use kvick_core::config::Configuration;
use kvick_core::ids::JobId;
use kvick_core::job::{Artifact, JobSubmission};
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::ApplicationReport;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Where jobs go.
pub enum Destination {
    /// Each to an application of its own; the preparation has begun while the program builds its graph.
    PerJob(Preparation),
    /// To this cluster. The jar is uploaded with the first job.
    Cluster {
        /// Its master.
        master: MasterClient,
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

    /// Says how the application ended, if it has, and removes what it left when it was ours.
    pub async fn explain(&self, job: JobId, error: anyhow::Error) -> anyhow::Error {
        match self.report().await {
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

impl Whereabouts for Watch {
    fn report(&self) -> Pin<Box<dyn Future<Output = Result<ApplicationReport>> + Send + '_>> {
        match self {
            Watch::Own(deployment, id) => Box::pin(async { Ok(deployment.yarn.report(*id).await?) }),
            Watch::Found(running) => running.report(),
        }
    }
}

impl Destination {
    /// A cluster that runs.
    pub fn cluster(cluster: Cluster) -> Destination {
        let watch = cluster.application.map(Watch::Found);
        Destination::Cluster { master: cluster.master, watch, jar: None }
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
        let (master, watch) = match self {
            Destination::PerJob(preparation) => {
                let deployment = preparation.ready().await?;
                deployment.check_job(&job.config)?;
                deployment.check_job(&job.graph.config)?;
                let (id, address) = deploy_job(&deployment, job, detached, cleanup).await?;
                let watch = Watch::Own(deployment, id);
                let whereabouts = Arc::new(watch.clone());
                (MasterClient::new(RestClient::new(&address, config)?, Some(whereabouts)), Some(watch))
            }
            Destination::Cluster { master, watch, .. } => {
                let job = &job;
                let submitted = master.ask(|rest| async move { rest.submit(job).await }).await;
                submitted.context("Failed to execute job.")?;
                (master.clone(), watch.clone())
            }
        };
        Ok(Accepted { job_id, master, watch })
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
