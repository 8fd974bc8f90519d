//! `yarn-session`: starts a session on YARN or attaches to one, and ends it when told.

mod repl;
mod table;

use crate::args::SessionArgs;
use crate::cluster::{self, Running};
use crate::console;
use crate::deploy::{Deployment, Hadoop, Kind, Screen, wait};
use crate::execution;
use crate::master::{self, MasterClient};
use crate::outcome::AlreadyTold;
use crate::settings::{SessionProperties, Settings, properties};
use crate::survivors;
use anyhow::{Context, Result};
use kvick_core::application_spec::ApplicationMode;
use kvick_yarn::records::{FinalStatus, NodeState};
use repl::End;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take until an application master takes the word to stop: the next one may have to come first.
const WORD_PATIENCE: Duration = Duration::from_secs(60);
/// How long an application may take to end after it was told to.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// `yarn-session`
pub async fn session(args: &SessionArgs) -> Result<()> {
    let mut cluster_args = args.cluster.clone();
    // A session is started anew whatever an earlier one left behind.
    cluster_args.yarn_options = true;
    let settings = Settings::resolve(&cluster_args)?;
    settings.report(&cluster_args.warnings)?;
    if cluster_args.query {
        return query(&settings).await;
    }
    match &cluster_args.application_id {
        Some(id) => attach(&settings, id).await,
        None => start(&settings, args).await,
    }
}

async fn start(settings: &Settings, args: &SessionArgs) -> Result<()> {
    let deployment = Deployment::prepare(&settings.config, Kind::Session, None, &Screen::free()).await;
    let deployment = deployment.context(Kind::Session.failed())?;
    let id = deployment.new_id().await?;
    let deployed = async {
        let report = deployment.deploy(id, ApplicationMode::Session).await?;
        wait::rest_address(&report)
    };
    let address = tokio::select! {
        address = deployed => address?,
        interrupted = execution::signalled() => {
            deployment.abandon(id).await;
            return Err(AlreadyTold(interrupted.0).into());
        }
    };
    let path = properties::location(&settings.config)?;
    let dynamic = args.cluster.dynamic.iter().cloned().collect();
    let session = SessionProperties { path, application_id: id.to_string(), dynamic };
    if let Err(error) = properties::write(&session) {
        deployment.abandon(id).await;
        return Err(error);
    }
    console::line(format!("JobManager Web Interface: http://{address}"));
    if args.cluster.detached {
        console::info(console::SESSION_CLI, super::detached_text(&session.application_id));
        return Ok(());
    }
    let running = Arc::new(Running { yarn: deployment.yarn, id, address, config: settings.config.clone() });
    let master = running.master()?;
    match repl::run(&running, &master).await? {
        End::Stop => stop(&running, &master, &session.path).await,
        End::Interrupted(code) => {
            // Who started the session takes it along.
            stop(&running, &master, &session.path).await?;
            Err(AlreadyTold(code).into())
        }
        End::Gone => gone(&running, &session.path).await,
    }
}

async fn attach(settings: &Settings, id: &str) -> Result<()> {
    let running = Arc::new(cluster::running(settings, id).await?);
    let master = running.master()?;
    let path = properties::location(&settings.config)?;
    console::line(format!("JobManager Web Interface: http://{}", running.address));
    match repl::run(&running, &master).await? {
        End::Stop => stop(&running, &master, &path).await,
        // Who only looked in leaves it as it is.
        End::Interrupted(code) => Err(AlreadyTold(code).into()),
        End::Gone => gone(&running, &path).await,
    }
}

/// Tells the application to end; one that does not is killed.
async fn stop(running: &Running, master: &MasterClient, properties: &Path) -> Result<()> {
    if let Err(why) = say_stop(master).await
        && !master::is_over(&running.yarn.report(running.id).await?)
    {
        let text = format!("The application does not take the word to stop: {why}");
        console::warn(console::SESSION_CLI, text);
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while !running.yarn.report(running.id).await?.state.is_terminal() {
        if Instant::now() > deadline {
            console::warn(console::SESSION_CLI, "The application did not stop in time and is killed.");
            running.yarn.kill(running.id, "The session did not stop when told to").await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gone(running, properties).await
}

/// Tells whichever application master there is, or why none heard it. One that is killed instead could not tidy up.
async fn say_stop(master: &MasterClient) -> Result<(), String> {
    let told = master.ask(|rest| async move { rest.shut_down().await });
    match tokio::time::timeout(WORD_PATIENCE, told).await {
        Ok(told) => told.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no application master answered within {} s", WORD_PATIENCE.as_secs())),
    }
}

/// Says how the application ended.
async fn gone(running: &Running, path: &Path) -> Result<()> {
    if properties::delete(path, &running.id.to_string()) {
        console::info(console::SESSION_CLI, format!("Deleted Yarn properties file at {}", path.display()));
    }
    let report = running.yarn.report(running.id).await?;
    console::info(
        console::SESSION_CLI,
        format!(
            "Application {} finished with state {} and final state {} at {}",
            report.id, report.state, report.final_status, report.finish_time
        ),
    );
    let ended_badly = report.state.is_terminal() && report.final_status != FinalStatus::Succeeded;
    if ended_badly {
        let left = survivors::look(&running.config, report.id).await;
        if !left.text.is_empty() {
            console::warn(console::SESSION_CLI, left.text);
        }
    }
    if report.final_status == FinalStatus::Failed {
        console::warn(console::SESSION_CLI, format!("Application diagnostics: {}", report.diagnostics));
        console::warn(console::SESSION_CLI, wait::logs_hint(report.id));
        return Err(AlreadyTold(1).into());
    }
    Ok(())
}

/// Prints the resources of the YARN cluster.
pub async fn query(settings: &Settings) -> Result<()> {
    let yarn = Hadoop::load(&settings.config)?.yarn()?;
    let running = [NodeState::Running];
    let (nodes, metrics, queues) = tokio::try_join!(yarn.nodes(&running), yarn.metrics(), yarn.queues())?;
    console::line(table::table(&nodes, metrics.node_managers, &queues));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::testing::{Master, Yarn, client, nobody};

    #[tokio::test]
    async fn the_word_to_stop_reaches_the_master_of_the_next_attempt() {
        let mut next = Master::begin(|_| Some((200, "{}"))).await;
        let master = client(&nobody().await, &Yarn::names(&next.address));
        say_stop(&master).await.unwrap();
        assert!(next.request().await.starts_with("DELETE /v1/cluster "));
    }
}
