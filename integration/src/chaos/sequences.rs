//! What happens to jobs of their own: their master is killed at a moment, or in a mode, that the job which runs all the time
//! does not have.

use super::injection::{Blow, await_known, kill, within};
use super::monitor::{Felt, Monitor, now};
use super::output::Output;
use super::random::Random;
use super::report::{Injection, Report};
use super::run::{PATIENCE, add, finish, say, unharmed};
use super::target::{PARALLELISM, Target, properties};
use super::{Fault, Options, withdrawal};
use crate::cluster::KilledAtEnd;
use crate::command::yarn_session;
use crate::hdfs::HdfsDir;
use crate::process::{Process, Role, in_role};
use anyhow::{Context, Result, bail};
use std::thread::sleep;
use std::time::Duration;

/// How many jobs the session has.
const JOBS: usize = 3;

/// Runs one of them to its end.
///
/// # Errors
/// What went wrong for good.
pub fn run(options: &Options, fault: Fault, random: &mut Random) -> Result<Report> {
    match fault {
        Fault::Preempted | Fault::Decommissioned => withdrawal::run(options, fault),
        Fault::MasterOfSession => session(options),
        _ => alone(options, fault, random),
    }
}

/// A job in an application of its own.
fn alone(options: &Options, fault: Fault, random: &mut Random) -> Result<Report> {
    let directory = HdfsDir::new(fault.name());
    let target = match fault {
        Fault::MasterOfApplication => Target::submit_as_application(options, directory.root())?,
        _ => Target::submit(options, directory.root())?,
    };
    let _end = KilledAtEnd(target.application.clone());
    let monitor = Monitor::begin(&target);
    if fault != Fault::MasterInDeployment {
        monitor.await_health(now(), PATIENCE).context("the job did not begin")?;
        await_known(&target.application)?;
    }
    let (workers, restarts) = (in_role(&target.application, Role::Worker), monitor.restarts());
    let master = master_of(&target)?;
    prepare(fault, &target, directory.root(), random)?;
    if fault == Fault::MasterInCancellation {
        let injections = vec![cancelled(&target, &monitor, &master)?];
        return Ok(Report { injections, ..Report::default() });
    }
    let Blow { at, over } = kill(&master)?;
    monitor.await_health(over, PATIENCE)?;
    let felt = monitor.felt(at, restarts);
    drop(monitor);
    let mut report = Report::default();
    if fault != Fault::MasterInDeployment {
        unharmed(&target, fault, &workers, felt.restarts, &mut report);
    }
    finish(&target, &mut report)?;
    let gap = look_through(&target, felt, &mut report)?;
    let (recovery, restarts) = (felt.recovery, felt.restarts);
    report.injections.push(Injection { fault: fault.name(), recovery, restarts, gap });
    Ok(report)
}

/// Adds what became of a job's output; its longest gap while the fault was felt.
fn look_through(target: &Target, felt: Felt, report: &mut Report) -> Result<u64> {
    let output = Output::read(&target.output)?;
    add(&mut report.verdict, &output.verdict(PARALLELISM));
    Ok(output.longest_gap(felt.span))
}

/// Begins what the master is to be killed in, and lets it come to some point of it.
fn prepare(fault: Fault, target: &Target, directory: &str, random: &mut Random) -> Result<()> {
    let millis = match fault {
        Fault::MasterInSavepoint => {
            let body = format!("{{\"target-directory\":\"{directory}/savepoints\",\"cancel-job\":false}}");
            target.send("POST", "/savepoints", Some(&body))?;
            300
        }
        Fault::MasterInCancellation => {
            target.send("PATCH", "?mode=cancel", Some(""))?;
            // Soon afterwards it has ended by itself.
            150
        }
        // The client returned when the job was accepted: its tasks are on their way.
        _ => return Ok(()),
    };
    sleep(Duration::from_millis(random.below(millis)));
    Ok(())
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

fn master_of(target: &Target) -> Result<Process> {
    let masters = in_role(&target.application, Role::Master);
    masters.into_iter().next().context("there is no application master")
}

/// The next attempt either knows of the cancellation and ends the job, or does not and runs it on: then it can be cancelled. A
/// master that was quick has ended everything before anybody could kill it.
fn cancelled(target: &Target, monitor: &Monitor, master: &Process) -> Result<Injection> {
    let at = now();
    if !master.signal("KILL") {
        say("the application master had ended before it was killed");
    }
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
fn session(options: &Options) -> Result<Report> {
    let directory = HdfsDir::new(Fault::MasterOfSession.name());
    let id = begin_session(options, directory.root())?;
    let _end = KilledAtEnd(id.clone());
    let places = (0..JOBS).map(|number| directory.path(&format!("session-job-{number}")));
    let targets = places.map(|place| Target::submit_to(&id, options, &place)).collect::<Result<Vec<_>>>()?;
    let monitors: Vec<Monitor> = targets.iter().map(Monitor::begin).collect();
    let since = now();
    let well = |since| monitors.iter().try_for_each(|monitor| monitor.await_health(since, PATIENCE));
    well(since).context("a job did not begin")?;
    await_known(&id)?;
    let workers = in_role(&id, Role::Worker);
    let before: Vec<u64> = monitors.iter().map(Monitor::restarts).collect();
    let Blow { at, over } = kill(&master_of(&targets[0])?)?;
    well(over)?;
    let felt = monitors.iter().zip(before).map(|(monitor, restarts)| monitor.felt(at, restarts));
    let felt: Vec<Felt> = felt.collect();
    let mut report = Report::default();
    let restarts = felt.iter().map(|one| one.restarts).sum();
    unharmed(&targets[0], Fault::MasterOfSession, &workers, restarts, &mut report);
    end_jobs(&targets, &monitors, &mut report)?;
    let mut gap = 0;
    for (target, one) in targets.iter().zip(&felt) {
        gap = gap.max(look_through(target, *one, &mut report)?);
    }
    let recovery = felt.iter().map(|one| one.recovery).max().unwrap_or_default();
    report.injections.push(Injection { fault: Fault::MasterOfSession.name(), recovery, restarts, gap });
    Ok(report)
}

/// Ends the input of a session's jobs, and waits for each to finish.
fn end_jobs(targets: &[Target], monitors: &[Monitor], report: &mut Report) -> Result<()> {
    for (target, monitor) in targets.iter().zip(monitors) {
        target.end_input()?;
        if !within(PATIENCE, || monitor.last().is_over()) {
            bail!("a job of the session does not end: {:?}", monitor.last());
        }
        let state = monitor.last().state;
        if state != "FINISHED" {
            report.violations.push(format!("a job of the session ended as {state}"));
        }
    }
    Ok(())
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
