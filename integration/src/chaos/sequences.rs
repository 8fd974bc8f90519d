//! What happens to jobs of their own: their master is killed at a moment, or in a mode, that the job which runs all the time
//! does not have.

use super::injection::within;
use super::monitor::{Monitor, now};
use super::output::Output;
use super::report::{Injection, Report};
use super::run::{PATIENCE, add, finish, say, unharmed};
use super::target::{PARALLELISM, Target, properties};
use super::{Fault, Options, withdrawal};
use crate::cluster::KilledAtEnd;
use crate::command::yarn_session;
use crate::hdfs::HdfsDir;
use crate::process::{Role, in_role};
use anyhow::{Context, Result, bail};

/// How many jobs the session has.
const JOBS: usize = 3;

/// Runs one of them to its end.
///
/// # Errors
/// What went wrong for good.
pub fn run(options: &Options, fault: Fault) -> Result<Report> {
    if matches!(fault, Fault::Preempted | Fault::Decommissioned) {
        return withdrawal::run(options, fault);
    }
    let directory = HdfsDir::new(fault.name());
    if fault == Fault::MasterOfSession {
        return session(options, &directory);
    }
    let target = match fault {
        Fault::MasterOfApplication => Target::submit_as_application(options, directory.root())?,
        _ => Target::submit(options, directory.root())?,
    };
    let _end = KilledAtEnd(target.application.clone());
    if fault != Fault::MasterInDeployment {
        Monitor::begin(&target).await_health(now(), PATIENCE).context("the job did not begin")?;
    }
    prepare(fault, &target, directory.root())?;
    let (workers, at) = (in_role(&target.application, Role::Worker), now());
    kill_master(&target)?;
    let mut report = Report::default();
    if fault == Fault::MasterInCancellation {
        report.injections.push(cancelled(&target, at)?);
        return Ok(report);
    }
    let monitor = Monitor::begin(&target);
    monitor.await_health(at, PATIENCE)?;
    let felt = monitor.felt(at, 0);
    drop(monitor);
    if fault != Fault::MasterInDeployment {
        unharmed(&target, fault, &workers, felt.restarts, &mut report);
    }
    finish(&target, &mut report)?;
    let output = Output::read(&target.output)?;
    add(&mut report.verdict, &output.verdict(PARALLELISM));
    let gap = output.longest_gap(felt.span);
    let (recovery, restarts) = (felt.recovery, felt.restarts);
    report.injections.push(Injection { fault: fault.name(), recovery, restarts, gap });
    Ok(report)
}

/// Begins what the master is to be killed in.
fn prepare(fault: Fault, target: &Target, directory: &str) -> Result<()> {
    match fault {
        Fault::MasterInSavepoint => {
            let body = format!("{{\"target-directory\":\"{directory}/savepoints\",\"cancel-job\":false}}");
            target.send("POST", "/savepoints", Some(&body)).map(drop)
        }
        Fault::MasterInCancellation => target.send("PATCH", "?mode=cancel", Some("")).map(drop),
        // The client returned when the job was accepted: its tasks are on their way.
        _ => Ok(()),
    }
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

/// A session whose jobs all live through the end of its master.
fn session(options: &Options, directory: &HdfsDir) -> Result<Report> {
    let id = begin_session(options, directory.root())?;
    let _end = KilledAtEnd(id.clone());
    let places: Vec<String> =
        (0..JOBS).map(|number| directory.path(&format!("session-job-{number}"))).collect();
    let targets =
        places.iter().map(|place| Target::submit_to(&id, options, place)).collect::<Result<Vec<_>>>()?;
    let monitors: Vec<Monitor> = targets.iter().map(Monitor::begin).collect();
    let since = now();
    monitors
        .iter()
        .try_for_each(|monitor| monitor.await_health(since, PATIENCE))
        .context("a job did not begin")?;
    let (workers, at) = (in_role(&id, Role::Worker), now());
    kill_master(&targets[0])?;
    let mut report = Report::default();
    monitors.iter().try_for_each(|monitor| monitor.await_health(at, PATIENCE))?;
    let felt: Vec<_> = monitors.iter().map(|monitor| monitor.felt(at, 0)).collect();
    let restarts = felt.iter().map(|one| one.restarts).sum();
    unharmed(&targets[0], Fault::MasterOfSession, &workers, restarts, &mut report);
    for (target, monitor) in targets.iter().zip(&monitors) {
        target.end_input()?;
        if !within(PATIENCE, || monitor.last().is_over()) {
            bail!("a job of the session does not end: {:?}", monitor.last());
        }
        let state = monitor.last().state;
        if state != "FINISHED" {
            report.violations.push(format!("a job of the session ended as {state}"));
        }
    }
    let mut gap = 0;
    for (target, one) in targets.iter().zip(&felt) {
        let output = Output::read(&target.output)?;
        add(&mut report.verdict, &output.verdict(PARALLELISM));
        gap = gap.max(output.longest_gap(one.span));
    }
    let recovery = felt.iter().map(|one| one.recovery).max().unwrap_or_default();
    report.injections.push(Injection { fault: Fault::MasterOfSession.name(), recovery, restarts, gap });
    Ok(report)
}

fn begin_session(options: &Options, directory: &str) -> Result<String> {
    let mut line: Vec<String> = "-d -s 2 -jm 1024 -tm 1024".split(' ').map(str::to_string).collect();
    line.extend(properties(options, directory));
    let ran = yarn_session(line);
    if ran.code != 0 {
        bail!("the session did not start:\n{}\n{}", ran.out, ran.err);
    }
    Ok(ran.application())
}
