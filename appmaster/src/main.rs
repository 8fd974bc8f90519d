//! The application master's program.
//!
//! `main` reads top to bottom: settings or exit, log, bind, register, drive until the end, clean up, unregister.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use anyhow::{Context, Result};
use kvick_appmaster::cluster::Cluster;
use kvick_appmaster::handle::ClusterHandle;
use kvick_appmaster::input::Input;
use kvick_appmaster::settings::Settings;
use kvick_appmaster::takeover::Leading;
use kvick_appmaster::{checkpoints, clock, driver, end, server, start, takeover, yarn_driver};
use kvick_core::master::Master;
use kvick_ha::{Fence, HaServices};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{error, info};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code of a start-up failure (`ClusterEntrypoint.STARTUP_FAILURE_RETURN_CODE`).
const STARTUP_FAILED: u8 = 1;

fn main() -> ExitCode {
    let settings = match Settings::from_environment() {
        Ok(settings) => Arc::new(settings),
        Err(error) => {
            eprintln!("cannot start the application master: {error:#}");
            return ExitCode::from(STARTUP_FAILED);
        }
    };
    match run(settings) {
        Ok(code) => code,
        Err(error) => {
            error!("application master ends: {error:#}");
            eprintln!("application master ends: {error:#}");
            ExitCode::from(STARTUP_FAILED)
        }
    }
}

fn run(settings: Arc<Settings>) -> Result<ExitCode> {
    let log = settings.log_dir.join("jobmanager.log");
    kvick_process::log::to_file(&log).with_context(|| format!("cannot write {}", log.display()))?;
    info!(attempt = settings.epoch.attempt, name = %settings.spec.name, "starting application master");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Arc<Settings>) -> Result<ExitCode> {
    let (inbox, inputs) = mpsc::unbounded_channel();
    let handle = ClusterHandle::new(inbox, settings.clone());
    let listener = server::bind(&settings.config).await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(server::serve(listener, handle.clone()));
    let (yarn, leading) =
        tokio::join!(yarn_driver::register(&settings, port, handle.clone()), takeover::lead(&handle, port));
    let yarn = yarn?;
    let kept = match leading? {
        Leading::Alone => None,
        Leading::Keeps(services, contents) => Some((services, contents)),
        Leading::Fenced(fence) => return end::fenced(&fence, &yarn).await,
    };
    let master = Master::new(clock::now(), settings.master()?);
    let mut cluster = Cluster::new(settings.clone(), master, checkpoints::performer(&handle)?);
    let services = kept.as_ref().map(|(services, _)| services.clone());
    if let Some((services, contents)) = kept {
        takeover::recover(&mut cluster, &handle, services, contents, yarn.previous_executors()).await?;
    }
    start::begin(&mut cluster, &handle).await?;
    // What was decided so far is performed with the first input.
    handle.send(Input::Request(Box::new(|_, _| ())));
    if let Some(services) = services.clone() {
        tokio::spawn(end_if_unusable(services, handle.clone()));
    }
    let driving = driver::run(cluster, inputs, yarn.driver());
    let (cluster, end) = tokio::select! {
        ended = driving => ended,
        ended = server => return Err(ended?.err().unwrap_or_else(|| anyhow::anyhow!("the server ended"))),
        fence = fenced(services.as_ref()) => return end::fenced(&fence, &yarn).await,
        signal = kvick_process::stop::requested() => {
            info!("ending on {}", signal?);
            return Ok(ExitCode::FAILURE);
        }
    };
    end::finish(cluster, end, yarn).await
}

/// An application that was to survive its application master, and cannot, fails with the reason.
async fn end_if_unusable(services: HaServices, handle: ClusterHandle) {
    let why = services.unusable().await;
    handle.send(Input::ShutdownRequested(format!("what must survive cannot be kept: {why}")));
}

/// Waits until a later attempt has taken over.
async fn fenced(services: Option<&HaServices>) -> Fence {
    match services {
        Some(services) => services.fenced().await,
        None => std::future::pending().await,
    }
}
