//! Bringing an application to YARN: checks, upload, submission, waiting; and taking it away again when that fails.

mod checks;
pub mod hadoop;
mod launch;
mod plugins;
mod progress;
pub mod resources;
mod ship;
mod sizes;
pub mod wait;
mod wanted;

pub use hadoop::Hadoop;
pub use progress::Screen;

use crate::console;
use anyhow::{Context, Result};
use checks::{Label, Offer};
use kvick_core::application_spec::{ApplicationMode, ApplicationSpec, ExecutorProfile};
use kvick_core::config::{Configuration, PortRange, check_values, options};
use kvick_core::job::{Artifact, JobSubmission};
use kvick_core::launch::ROCKSDB_PLUGIN;
use kvick_filesystem::CreateOptions;
use kvick_yarn::client::{ClientError, YarnClient};
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, NodeState};
use kvick_yarn::rpc::RpcError;
use launch::Submission;
use resources::Resources;
use sizes::Sizes;
use std::path::Path;
use std::time::Duration;

/// Secrets beyond this would burden the ResourceManager's state store: the job then travels as a file.
const LARGEST_SPEC: usize = 512 * 1024;
/// The name of that file in the application's staging directory.
const JOB_FILE: &str = "job.graph";
/// Cached files that nobody used for so long, and no application refers to, are removed.
const CACHE_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long removing them may take before an invocation of the client no longer waits for it.
const CLEAN_PATIENCE: Duration = Duration::from_secs(2);

/// The three ways of deploying, with the name that the application has where none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yarn-session`
    Session,
    /// `run -m yarn-cluster`
    PerJob,
    /// `run-application`
    Application,
}

impl Kind {
    fn default_name(self) -> &'static str {
        match self {
            Kind::Session => "Flink session cluster",
            Kind::PerJob => "Flink per-job cluster",
            Kind::Application => "Flink Application Cluster",
        }
    }

    /// What is said when it fails.
    pub fn failed(self) -> &'static str {
        match self {
            Kind::Session => "Couldn't deploy Yarn session cluster",
            Kind::PerJob => "Could not deploy Yarn job cluster.",
            Kind::Application => "Couldn't deploy Yarn Application Cluster",
        }
    }
}

/// Everything that is checked and uploaded: applications can be submitted.
pub struct Deployment {
    /// Hadoop's configuration, the user, file systems.
    pub hadoop: Hadoop,
    /// The ResourceManager.
    pub yarn: YarnClient,
    kind: Kind,
    config: Configuration,
    label: Label,
    sizes: Sizes,
    resources: Resources,
}

impl Deployment {
    /// Checks what can be checked and uploads what the cache lacks.
    ///
    /// # Errors
    /// Whatever would keep the application from running, found before anything is submitted.
    pub async fn prepare(
        config: &Configuration,
        kind: Kind,
        jar: Option<&Path>,
        screen: &Screen,
    ) -> Result<Deployment> {
        let sizes = Sizes::from_config(config)?;
        let label = Label::from_config(config, kind.default_name())?;
        let hadoop = Hadoop::load(config)?;
        let yarn = hadoop.yarn()?;
        let offer = offer(&yarn, &hadoop).await?;
        sizes.tell();
        checks::check(&sizes, &label, &offer)?;
        console::info(console::DESCRIPTOR, format!("Cluster specification: {sizes}"));
        let resources = resources::provide(&hadoop, config, jar, screen).await?;
        let config = effective(config, &sizes)?;
        Ok(Deployment { hadoop, yarn, kind, config, label, sizes, resources })
    }

    /// Refuses a job whose program has set an option to what it cannot be, or has chosen a state backend that the
    /// application's containers do not have.
    ///
    /// # Errors
    /// As said.
    pub fn check_job(&self, config: &Configuration) -> Result<()> {
        check_values(config)?;
        plugins::check(config, self.resources.executor.contains_key(ROCKSDB_PLUGIN))
    }

    /// The effective configuration.
    pub fn config(&self) -> &Configuration {
        &self.config
    }

    /// The uploaded jar.
    pub fn jar(&self) -> Option<&Artifact> {
        self.resources.jar.as_ref().map(|(_, artifact)| artifact)
    }

    /// A fresh id for an application.
    ///
    /// # Errors
    /// The ResourceManager does not answer.
    pub async fn new_id(&self) -> Result<ApplicationId> {
        Ok(self.yarn.new_application().await?.0)
    }

    /// Submits an application and waits until it runs. What was begun is undone when that fails; when this future is
    /// dropped before its end, [`Deployment::abandon`] does the same.
    ///
    /// # Errors
    /// YARN refuses it, or it fails to start.
    pub async fn deploy(&self, id: ApplicationId, mode: ApplicationMode) -> Result<ApplicationReport> {
        let deployed = self.submit_and_wait(id, mode).await;
        if deployed.is_err() {
            self.abandon(id).await;
        }
        deployed.context(self.kind.failed())
    }

    async fn submit_and_wait(&self, id: ApplicationId, mode: ApplicationMode) -> Result<ApplicationReport> {
        let staging_dir = self.stage(id).await?;
        let spec = self.spec(id, mode, staging_dir).await?;
        let mut files = self.resources.master.clone();
        if let (ApplicationMode::Application { .. }, Some((file, artifact))) =
            (&spec.mode, &self.resources.jar)
        {
            files.insert(artifact.name.clone(), file.clone());
        }
        let submission = Submission {
            id,
            label: &self.label,
            sizes: &self.sizes,
            config: &self.config,
            files: &files,
            spec: &spec,
            hadoop: &self.hadoop,
        };
        console::info(console::DESCRIPTOR, format!("Submitting application master {id}"));
        self.yarn.submit(&submission.context()?).await?;
        console::info(console::YARN_CLIENT, format!("Submitted application {id}"));
        let (report, ()) = tokio::join!(wait::until_running(&self.yarn, id), self.clean_cache());
        report
    }

    /// Makes the application's directory and notes there which cached files it uses.
    async fn stage(&self, id: ApplicationId) -> Result<String> {
        let (staging, id) = (&self.resources.staging, id.to_string());
        let directory = staging.create(&id).await?;
        staging.cache().refer(&id, &self.resources.cached).await?;
        Ok(directory.to_string())
    }

    async fn spec(
        &self,
        id: ApplicationId,
        mode: ApplicationMode,
        staging_dir: String,
    ) -> Result<ApplicationSpec> {
        let mode = self.without_large_job(id, mode).await?;
        let cache = self.resources.cached.first().and_then(|file| file.path.parent()?.parent());
        Ok(ApplicationSpec {
            mode,
            name: self.label.name.clone(),
            user: self.hadoop.user.clone(),
            staging_dir: Some(staging_dir),
            cache_dir: cache.map(|path| path.to_string()),
            executor: ExecutorProfile {
                memory_mb: self.sizes.executor_mb(),
                vcores: self.sizes.executor_vcores,
                slots: self.sizes.slots,
                node_label: self.config.get(&options::YARN_TM_NODE_LABEL)?,
            },
            executor_files: self.resources.executor.clone(),
            executor_env: launch::executor_env(&self.config),
        })
    }

    /// A job that is too large for the launch context goes into a file of the staging directory.
    async fn without_large_job(&self, id: ApplicationId, mode: ApplicationMode) -> Result<ApplicationMode> {
        let ApplicationMode::PerJob { submission: Some(job), detached } = mode else { return Ok(mode) };
        let bytes = serde_json::to_vec::<JobSubmission>(&job)?;
        if bytes.len() <= LARGEST_SPEC {
            return Ok(ApplicationMode::PerJob { submission: Some(job), detached });
        }
        let staging = &self.resources.staging;
        let path = staging.application_directory(&id.to_string())?.join(JOB_FILE);
        let private = CreateOptions::default().mode(0o600);
        staging.file_system().write(&path, bytes.into(), &private).await?;
        Ok(ApplicationMode::PerJob { submission: None, detached })
    }

    /// Old files go while YARN is busy starting the master; that they could not is no reason to fail.
    async fn clean_cache(&self) {
        let cache = self.resources.staging.cache();
        match tokio::time::timeout(CLEAN_PATIENCE, cache.clean(CACHE_AGE)).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => {
                console::warn(console::DESCRIPTOR, format!("Old files of the upload cache stay: {error}"));
            }
        }
    }

    /// Kills an application that shall not be, and removes its directory.
    pub async fn abandon(&self, id: ApplicationId) {
        console::info(console::DESCRIPTOR, "Killing YARN application");
        // An id that was never submitted is not known: there is nothing to kill then.
        match self.yarn.kill(id, "The client gave up the deployment").await {
            Err(error) if !error.is_application_not_found() => {
                console::warn(console::DESCRIPTOR, format!("Could not kill {id}: {error}"));
            }
            _ => {}
        }
        self.unstage(id).await;
    }

    /// Removes an application's directory.
    pub async fn unstage(&self, id: ApplicationId) {
        let staging = &self.resources.staging;
        let Ok(directory) = staging.application_directory(&id.to_string()) else { return };
        console::info(console::DESCRIPTOR, format!("Deleting files in {directory}."));
        if let Err(error) = staging.delete(&id.to_string()).await {
            console::warn(console::DESCRIPTOR, format!("Could not delete {directory}: {error}"));
        }
    }
}

/// What the cluster offers, asked for all at once.
async fn offer(yarn: &YarnClient, hadoop: &Hadoop) -> Result<Offer> {
    let running = [NodeState::Running];
    let (application, nodes, queues) =
        tokio::join!(yarn.new_application(), yarn.nodes(&running), yarn.queues());
    let minimum_mb = hadoop.conf.get_u64("yarn.scheduler.minimum-allocation-mb", 1024)?;
    let maximum = application.map_err(unreachable)?.1;
    Ok(Offer { maximum, nodes: nodes?, queues: queues?, minimum_mb })
}

/// What to look at when the ResourceManager does not answer.
fn unreachable(error: ClientError) -> anyhow::Error {
    let away = error.rpc().is_some_and(RpcError::is_transport);
    let error = anyhow::Error::new(error);
    match away {
        true => error.context("The YARN ResourceManager does not answer. Is it running, and is HADOOP_CONF_DIR (or YARN_CONF_DIR) that of this cluster?"),
        false => error,
    }
}

/// Whether no option says which ports the application master may bind: several may run on one node.
fn binds_any_port(config: &Configuration) -> Result<bool> {
    let bind: PortRange = config.get(&options::REST_BIND_PORT)?;
    let is_limited = if config.is_set(&options::REST_BIND_PORT) {
        !bind.is_ephemeral()
    } else {
        config.is_set(&options::YARN_AM_PORT)
    };
    Ok(!is_limited)
}

/// The configuration as the containers see it: sizes as derived, nothing bound to this machine, a free REST port.
fn effective(config: &Configuration, sizes: &Sizes) -> Result<Configuration> {
    let mut effective = config.clone();
    effective.overlay(&sizes.master.derived());
    effective.overlay(&sizes.executor.derived());
    for option in [&options::JM_BIND_HOST, &options::TM_BIND_HOST, &options::REST_BIND_ADDRESS] {
        if config.raw(option.key()).is_some_and(|host| host == "localhost") {
            effective.0.remove(option.key());
            console::info(
                console::DESCRIPTOR,
                format!(
                    "Removing 'localhost' Key: '{}' , default: null (fallback keys: []) setting from effective configuration; using '0.0.0.0' instead.",
                    option.key()
                ),
            );
        }
    }
    for option in [&options::TM_HOST, &options::REST_ADDRESS, &options::JM_RPC_ADDRESS] {
        effective.0.remove(option.key());
    }
    if binds_any_port(config)? {
        effective.set_option(&options::REST_BIND_PORT, "0");
    }
    Ok(effective)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_master_binds_any_port_unless_one_of_two_options_says_which() {
        let any = |pairs: &[(&str, &str)]| binds_any_port(&pairs.iter().copied().collect()).unwrap();
        let limited = ("yarn.application-master.port", "50100-50200");
        assert!(any(&[]) && any(&[("rest.bind-port", "0")]) && any(&[("rest.bind-port", "0"), limited]));
        assert!(!any(&[limited]) && !any(&[("rest.bind-port", "8081-8090")]));
    }
}
