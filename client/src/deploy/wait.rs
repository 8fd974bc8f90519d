//! Waiting for a submitted application to run, and finding one that does.

use crate::console;
use anyhow::{Result, anyhow, bail};
use kvick_yarn::client::YarnClient;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, ApplicationState, FinalStatus};
use std::time::{Duration, Instant};

/// Between two looks while an application normally starts.
const QUICK: Duration = Duration::from_millis(50);
/// Between two looks when it takes longer.
const SLOW: Duration = Duration::from_millis(250);
/// How long the quick looks go on.
const QUICK_FOR: Duration = Duration::from_secs(5);
/// How often it is said that it takes long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the next master of an application is waited for.
const NEXT_MASTER_PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the application runs, or has ended well already.
///
/// # Errors
/// It failed or was killed; the message says how to find out more.
pub async fn until_running(yarn: &YarnClient, id: ApplicationId) -> Result<ApplicationReport> {
    console::info(console::DESCRIPTOR, "Waiting for the cluster to be allocated");
    let started = Instant::now();
    let (mut last, mut told) = (ApplicationState::New, started);
    loop {
        let report = yarn.report(id).await?;
        match report.state {
            ApplicationState::Running | ApplicationState::Finished => {
                console::info(console::DESCRIPTOR, "YARN application has been deployed successfully.");
                return Ok(report);
            }
            ApplicationState::Failed | ApplicationState::Killed => bail!(switched(&report)),
            state if state != last && state > ApplicationState::NewSaving => {
                console::info(console::DESCRIPTOR, format!("Deploying cluster, current state {state}"));
                last = state;
            }
            _ => {}
        }
        if told.elapsed() > PATIENCE {
            told = Instant::now();
            console::info(
                console::DESCRIPTOR,
                format!(
                    "Deployment took more than {} seconds. Please check if the requested resources are available in the YARN cluster",
                    started.elapsed().as_secs()
                ),
            );
        }
        tokio::time::sleep(if started.elapsed() < QUICK_FOR { QUICK } else { SLOW }).await;
    }
}

fn switched(report: &ApplicationReport) -> String {
    format!(
        "The YARN application unexpectedly switched to state {} during deployment. \nDiagnostics from YARN: {}\n{}",
        report.state,
        report.diagnostics.trim(),
        logs_hint(report.id)
    )
}

/// How to see the logs of an application.
pub fn logs_hint(id: ApplicationId) -> String {
    format!(
        "If log aggregation is enabled on your cluster, use this command to further investigate the issue:\nyarn logs -applicationId {id}"
    )
}

/// Whether an application that has ended already, has ended well; one that runs has not failed yet.
///
/// # Errors
/// It has failed or was killed; the message says why and how to find out more.
pub fn not_failed(report: &ApplicationReport) -> Result<()> {
    if !report.state.is_terminal() || report.final_status == FinalStatus::Succeeded {
        return Ok(());
    }
    Err(ended(report, ""))
}

/// How an application ended, what its jobs have left, and how to find out more.
pub fn ended(report: &ApplicationReport, left: &str) -> anyhow::Error {
    anyhow!(
        "The application {} has ended with final status {}.\n{}",
        report.id,
        report.final_status,
        details(report, left)
    )
}

fn details(report: &ApplicationReport, left: &str) -> String {
    let diagnostics = match report.diagnostics.trim() {
        "" => String::new(),
        told => format!("Diagnostics from YARN: {told}\n"),
    };
    let left = if left.is_empty() { String::new() } else { format!("{left}\n") };
    format!("{diagnostics}{left}{}", logs_hint(report.id))
}

/// An application that was to be used has ended; with what its jobs have left.
pub fn does_not_run(report: &ApplicationReport, left: &str) -> anyhow::Error {
    let (id, status) = (report.id, report.final_status);
    console::error(
        console::DESCRIPTOR,
        format!(
            "The application {id} doesn't run anymore. It has previously completed with final status: {status}"
        ),
    );
    let mut text = format!("The Yarn application {id} doesn't run anymore.");
    if status != FinalStatus::Succeeded {
        text = format!("{text}\n{}", details(report, left));
    }
    anyhow!(text).context("Couldn't retrieve Yarn cluster")
}

/// The report of an application once it has a master again, if it has lost one and the next is on its way; else as it is.
///
/// # Errors
/// YARN does not answer.
pub async fn past_takeover(yarn: &YarnClient, mut report: ApplicationReport) -> Result<ApplicationReport> {
    let (started, id) = (Instant::now(), report.id);
    if is_between_masters(&report) {
        let text = format!("The application {id} is between two masters: waiting for the next one.");
        console::info(console::DESCRIPTOR, text);
    }
    while is_between_masters(&report) && started.elapsed() < NEXT_MASTER_PATIENCE {
        tokio::time::sleep(SLOW).await;
        report = yarn.report(id).await?;
    }
    Ok(report)
}

/// Whether an application runs that has no master, but has had one.
fn is_between_masters(report: &ApplicationReport) -> bool {
    let has_had_one = report.attempt.is_some_and(|attempt| attempt.attempt > 1);
    !report.state.is_terminal() && has_had_one && address_of(report).is_none()
}

/// `host:port` of a master that has registered: of its REST API.
pub fn address_of(report: &ApplicationReport) -> Option<String> {
    let port = u16::try_from(report.rpc_port).ok().filter(|port| *port > 0)?;
    let known = !report.host.is_empty() && report.host != "N/A";
    known.then(|| format!("{}:{port}", report.host))
}

/// The address of the application master's REST API.
///
/// # Errors
/// The application does not run any more, or not yet.
pub fn rest_address(report: &ApplicationReport) -> Result<String> {
    let id = report.id;
    if report.final_status != FinalStatus::Undefined || report.state.is_terminal() {
        return Err(does_not_run(report, ""));
    }
    match address_of(report) {
        Some(address) => {
            console::info(
                console::DESCRIPTOR,
                format!("Found Web Interface {address} of application '{id}'."),
            );
            Ok(address)
        }
        None => Err(anyhow!(
            "The Yarn application {id} is in state {}: its master has not registered yet.",
            report.state
        )
        .context("Couldn't retrieve Yarn cluster")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::testing::report;
    use kvick_yarn::ids::ApplicationAttemptId;

    #[test]
    fn only_an_application_that_had_a_master_waits_for_the_next() {
        let of_attempt = |attempt, address: &str| {
            let mut report = report(address);
            report.attempt = Some(ApplicationAttemptId { application_id: report.id, attempt });
            report
        };
        assert!(is_between_masters(&of_attempt(2, "N/A:0")));
        assert!(!is_between_masters(&of_attempt(2, "host:1")));
        // The first may have to wait for room in its queue, for hours.
        assert!(!is_between_masters(&of_attempt(1, "N/A:0")));
        let failed = ApplicationReport { state: ApplicationState::Failed, ..of_attempt(2, "N/A:0") };
        assert!(!is_between_masters(&failed));
    }
}
