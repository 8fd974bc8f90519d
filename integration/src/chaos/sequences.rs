//! What happens to jobs of their own: their master is killed at a moment that a running job does not have.

use super::Options;
use super::faults::{Fault, within};
use super::monitor::{Monitor, now};
use super::output::Output;
use super::report::{Injection, Report};
use super::run::{add, finish, say};
use super::target::{PARALLELISM, Target};
use crate::cluster::KilledAtEnd;
use crate::hdfs::HdfsDir;
use crate::process::{Role, in_role};
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs one of them to its end.
///
/// # Errors
/// What went wrong for good.
pub fn run(options: &Options, fault: Fault) -> Result<Report> {
    let directory = HdfsDir::new(fault.name());
    let target = Target::submit(options, directory.root())?;
    let _end = KilledAtEnd(target.application.clone());
    let mut report = Report::default();
    if fault != Fault::MasterInDeployment {
        Monitor::begin(&target).await_health(now(), PATIENCE).context("the job did not begin")?;
    }
    match fault {
        Fault::MasterInSavepoint => {
            let body =
                format!("{{\"target-directory\":\"{}/savepoints\",\"cancel-job\":false}}", directory.root());
            target.send("POST", "/savepoints", Some(&body))?;
        }
        Fault::MasterInCancellation => drop(target.send("PATCH", "?mode=cancel", Some(""))?),
        // The client returned when the job was accepted: its tasks are on their way.
        _ => {}
    }
    let at = now();
    kill_master(&target)?;
    if fault == Fault::MasterInCancellation {
        report.injections.push(cancelled(&target, at)?);
        return Ok(report);
    }
    let monitor = Monitor::begin(&target);
    monitor.await_health(at, PATIENCE)?;
    let felt = monitor.felt(at, 0);
    drop(monitor);
    finish(&target, &mut report)?;
    let output = Output::read(&target.output)?;
    add(&mut report.verdict, &output.verdict(PARALLELISM));
    let gap = output.longest_gap(felt.span);
    report.injections.push(Injection {
        fault: fault.name(),
        recovery: felt.recovery,
        restarts: felt.restarts,
        gap,
    });
    Ok(report)
}

/// Adds what came of it to the whole.
pub fn record(fault: Fault, outcome: Result<Report>, report: &mut Report) {
    match outcome {
        Ok(mut one) => {
            for injection in &one.injections {
                say(&format!("{:<20} well again after {} ms", injection.fault, injection.recovery));
            }
            report.injections.append(&mut one.injections);
            add(&mut report.verdict, &one.verdict);
            report.violations.extend(one.violations.iter().map(|text| format!("{}: {text}", fault.name())));
        }
        Err(error) => {
            say(&format!("{} went wrong: {error:#}", fault.name()));
            report.violations.push(format!("{}: {error:#}", fault.name()));
        }
    }
}

fn kill_master(target: &Target) -> Result<()> {
    let masters = in_role(&target.application, Role::Master);
    let master = masters.first().context("there is no application master")?;
    if !master.signal("KILL") {
        bail!("{master:?} was not there to be killed");
    }
    Ok(())
}

/// The next attempt either knows of the cancellation and ends the job, or does not and runs it on: then it can be cancelled.
fn cancelled(target: &Target, at: u64) -> Result<Injection> {
    let monitor = Monitor::begin(target);
    let is_over = || {
        let record = target.record().unwrap_or_default();
        matches!(record["state"].as_str(), Some("FINISHED" | "FAILED" | "KILLED"))
    };
    let runs = || monitor.last().checkpointed > at && monitor.last().all_run;
    if !within(PATIENCE, || is_over() || runs()) {
        bail!("the job neither ends nor runs: {:?}", monitor.last());
    }
    let felt = monitor.felt(at, 0);
    if !is_over() {
        target.send("PATCH", "?mode=cancel", Some(""))?;
    }
    if !within(PATIENCE, is_over) {
        bail!("the job cannot be cancelled any more: {:?}", monitor.last());
    }
    let status = target.record().unwrap_or_default()["finalStatus"].clone();
    if status != "KILLED" {
        bail!("a cancelled application ended as {status}");
    }
    let recovery = if felt.recovery > 0 { felt.recovery } else { now() - at };
    Ok(Injection { fault: Fault::MasterInCancellation.name(), recovery, restarts: 0, gap: 0 })
}
