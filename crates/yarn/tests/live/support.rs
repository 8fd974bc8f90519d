//! What live tests share: clients, unmanaged masters, waiting for a state.

use anyhow::{Context, bail};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::credentials::{Credentials, Token};
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, LaunchContext, SubmissionContext};
use kvick_yarn::rpc::{Address, current_user};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(90);

pub fn conf() -> anyhow::Result<HadoopConf> {
    Ok(HadoopConf::load_default()?)
}

pub fn yarn() -> anyhow::Result<YarnClient> {
    Ok(YarnClient::connect(&conf()?, &current_user(), PATIENCE)?)
}

/// The ResourceManager that is active: a standby does not listen.
pub fn active(conf: &HadoopConf) -> anyhow::Result<Address> {
    listening(conf.resource_manager_addresses()?)
}

/// The first of these addresses at which someone listens.
pub fn listening(addresses: Vec<Address>) -> anyhow::Result<Address> {
    let listens = |one: &Address| std::net::TcpStream::connect((one.host.as_str(), one.port)).is_ok();
    addresses.into_iter().find(listens).context("nobody listens")
}

/// A launch of one shell command.
pub fn shell(command: &str) -> LaunchContext {
    LaunchContext { command: vec![command.to_owned()], ..LaunchContext::default() }
}

/// Asks for the report until it is as wished.
pub async fn wait(
    yarn: &YarnClient,
    id: ApplicationId,
    wish: impl Fn(&ApplicationReport) -> bool,
) -> anyhow::Result<ApplicationReport> {
    let begun = Instant::now();
    loop {
        let report = yarn.report(id).await?;
        if wish(&report) {
            return Ok(report);
        }
        if begun.elapsed() > PATIENCE {
            bail!("{id} is still {} ({})", report.state, report.diagnostics);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Submits an application whose master is this process; gives its credentials.
pub async fn unmanaged(yarn: &YarnClient) -> anyhow::Result<(ApplicationId, Credentials)> {
    unmanaged_keeping(yarn, false).await
}

/// As [`unmanaged`]; with `keep`, containers outlive their master.
pub async fn unmanaged_keeping(
    yarn: &YarnClient,
    keep: bool,
) -> anyhow::Result<(ApplicationId, Credentials)> {
    let (id, _) = yarn.new_application().await?;
    let mut context = SubmissionContext::new(id, "live test", LaunchContext::default());
    context.unmanaged = true;
    context.keep_containers = keep;
    context.max_attempts = 1;
    yarn.submit(&context).await?;
    let report = wait(yarn, id, |report| report.am_rm_token.is_some() || report.state.is_terminal()).await?;
    let token: Token = report.am_rm_token.with_context(|| format!("no token: {}", report.diagnostics))?;
    let mut credentials = Credentials::new();
    credentials.add_token("", token);
    Ok((id, credentials))
}
