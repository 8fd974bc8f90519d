//! Finding the cluster that an action is about.

use crate::console;
use crate::deploy::{Hadoop, wait};
use crate::master::{MasterClient, Whereabouts};
use crate::rest::RestClient;
use crate::settings::{Settings, Target};
use crate::survivors;
use anyhow::{Context, Result, bail};
use kvick_core::config::{ConfigError, Configuration};
use kvick_yarn::client::YarnClient;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, FinalStatus};
use std::pin::Pin;
use std::sync::Arc;

/// A running application on YARN.
pub struct Running {
    /// The ResourceManager.
    pub yarn: YarnClient,
    /// The application.
    pub id: ApplicationId,
    /// `host:port` of its REST API when it was found.
    pub address: String,
    /// The configuration with which it was found.
    pub config: Configuration,
}

impl Running {
    /// A client of its master, and of those after it.
    ///
    /// # Errors
    /// A value of the configuration that is none.
    pub fn master(self: &Arc<Running>) -> Result<MasterClient, ConfigError> {
        let rest = RestClient::new(&self.address, &self.config)?;
        Ok(MasterClient::new(rest, Some(Arc::clone(self) as Arc<dyn Whereabouts>)))
    }
}

impl Whereabouts for Running {
    fn report(&self) -> Pin<Box<dyn Future<Output = Result<ApplicationReport>> + Send + '_>> {
        Box::pin(async { Ok(self.yarn.report(self.id).await?) })
    }
}

/// A cluster that can be spoken to.
pub struct Cluster {
    /// Its master.
    pub master: MasterClient,
    /// What YARN knows of it, where it is an application there.
    pub application: Option<Arc<Running>>,
}

/// The cluster that the settings name.
///
/// # Errors
/// None is named, or it does not run.
pub async fn connect(settings: &Settings) -> Result<Cluster> {
    match &settings.target {
        Target::Remote(address) => {
            let master = MasterClient::new(RestClient::new(address, &settings.config)?, None);
            Ok(Cluster { master, application: None })
        }
        Target::YarnSession(id) => {
            let running = Arc::new(running(settings, id).await?);
            Ok(Cluster { master: running.master()?, application: Some(running) })
        }
        Target::Local | Target::YarnPerJob | Target::YarnApplication | Target::YarnSessionUnknown => {
            bail!("No cluster id was specified. Please specify a cluster to which you would like to connect.")
        }
    }
}

/// Looks an application up at the ResourceManager first: one that has ended is told at once.
///
/// # Errors
/// It does not run, or nobody knows it.
pub async fn running(settings: &Settings, id: &str) -> Result<Running> {
    let (yarn, report) = report(settings, id).await?;
    let report = wait::past_takeover(&yarn, report).await?;
    if report.state.is_terminal() && report.final_status != FinalStatus::Succeeded {
        let left = survivors::look(&settings.config, report.id).await;
        return Err(with_properties_file(settings, wait::does_not_run(&report, &left.text)));
    }
    match wait::rest_address(&report) {
        Ok(address) => Ok(Running { yarn, id: report.id, address, config: settings.config.clone() }),
        Err(error) => Err(with_properties_file(settings, error)),
    }
}

/// The report of an application.
///
/// # Errors
/// Nobody knows it.
pub async fn report(settings: &Settings, id: &str) -> Result<(YarnClient, ApplicationReport)> {
    if let Some(session) = &settings.session {
        console::info(
            console::SESSION_CLI,
            format!("Found Yarn properties file under {}.", session.path.display()),
        );
    }
    let id: ApplicationId = id.parse()?;
    let yarn = Hadoop::load(&settings.config)?.yarn()?;
    let report = yarn.report(id).await.context("Couldn't retrieve Yarn cluster");
    match report {
        Ok(report) => Ok((yarn, report)),
        Err(error) => Err(with_properties_file(settings, error)),
    }
}

/// Who did not name the application does not know where its id came from.
fn with_properties_file(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let Some(session) = &settings.session else { return error };
    let (id, path) = (&session.application_id, session.path.display());
    error.context(format!(
        "The session {id} cannot be used. Its id was found in the YARN properties file {path}: delete that file if the session is gone, or name another cluster with -m or -yid"
    ))
}
