//! `flink run` and `flink run-application`.

use crate::args::ProgramArgs;
use crate::cluster;
use crate::console;
use crate::deploy::{Deployment, Hadoop, Kind, Screen, wait};
use crate::execution::{self, Destination, Execution, Preparation};
use crate::jar::{self, UnpackedProgram};
use crate::outcome::AlreadyTold;
use crate::settings::{Settings, Target};
use anyhow::{Context, Result, anyhow, bail};
use kvick_core::application_spec::ApplicationMode;
use kvick_core::config::Configuration;
use kvick_core::host::LOCAL_CONFIG_ENV;
use kvick_core::job::ProgramSpec;
use kvick_rpc::host::ProgramExit;
use std::os::unix::process::ExitStatusExt;
use tokio::process::Command;

/// `flink run`
pub async fn run(args: &ProgramArgs) -> Result<()> {
    let settings = Settings::resolve(&args.cluster)?.with_program(args);
    settings.report(&args.cluster.warnings)?;
    if args.cluster.query {
        return super::session::query(&settings).await;
    }
    if settings.target == Target::YarnApplication {
        bail!(
            "The target yarn-application runs the program on the cluster: use flink run-application -t yarn-application."
        );
    }
    let program = jar::unpack(&args.jar, args.entry.as_deref())?;
    let destination = match &settings.target {
        Target::Local => return local(&settings.config, &program, &args.args).await,
        Target::YarnPerJob => {
            console::warn(
                console::DESCRIPTOR,
                "Job Clusters are deprecated since Flink 1.15. Please use an Application Cluster/Application Mode instead.",
            );
            Destination::PerJob(Preparation::begin(&settings.config, &program.jar))
        }
        _ => Destination::cluster(cluster::connect(&settings).await?),
    };
    let (entry, args) = (args.entry.as_deref(), args.args.as_slice());
    execution::run(Execution { program: &program, entry, args, config: &settings.config, destination }).await
}

/// The program runs its jobs itself; its exit code is ours.
async fn local(config: &Configuration, program: &UnpackedProgram, args: &[String]) -> Result<()> {
    let mut config = config.clone();
    // The program reads no Hadoop configuration of its own; without one it still reads local files.
    for (key, value) in Hadoop::find(&config)?.map(|hadoop| hadoop.properties()).unwrap_or_default() {
        config.set(format!("flink.hadoop.{key}"), value);
    }
    let mut command = Command::new(&program.program);
    command.args(args).env(LOCAL_CONFIG_ENV, serde_json::to_string(&config)?);
    let status =
        command.status().await.with_context(|| format!("Cannot start {}", program.program.display()))?;
    match (ProgramExit::from(status), status.signal()) {
        (exit, _) if exit.success() => Ok(()),
        (ProgramExit::Code(code), _) => Err(AlreadyTold(u8::try_from(code).unwrap_or(1)).into()),
        (exit, _) => Err(anyhow!("The main method caused an error: the program ended with {exit}.")),
    }
}

/// `flink run-application`
pub async fn run_application(args: &ProgramArgs) -> Result<()> {
    let settings = Settings::resolve(&args.cluster)?.with_program(args);
    settings.report(&args.cluster.warnings)?;
    if settings.target != Target::YarnApplication {
        let actual = args.cluster.target.as_deref().unwrap_or("none");
        return Err(anyhow!("Expected deployment.target=yarn-application but actual one was {actual}")
            .context("Couldn't deploy Yarn Application Cluster."));
    }
    let jar = jar::check(&args.jar, args.entry.as_deref())?;
    let deployment =
        Deployment::prepare(&settings.config, Kind::Application, Some(&jar), &Screen::free()).await;
    let deployment = deployment.context(Kind::Application.failed())?;
    let artifact = deployment.jar().cloned().ok_or_else(|| anyhow!("{} was not uploaded", jar.display()))?;
    let program = ProgramSpec { jar: artifact, entry: args.entry.clone(), args: args.args.clone() };
    let id = deployment.new_id().await?;
    let report = tokio::select! {
        report = deployment.deploy(id, ApplicationMode::Application { program }) => report?,
        interrupted = execution::signalled() => {
            deployment.abandon(id).await;
            return Err(AlreadyTold(interrupted.0).into());
        }
    };
    // A program that was quicker than this client has left nothing to point to.
    if report.state.is_terminal() {
        return wait::not_failed(&report);
    }
    wait::rest_address(&report).map(|_| ())
}
