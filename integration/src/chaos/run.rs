//! One run: the job is submitted, faults come one after the other, the input ends, and the output is looked through.

use super::daemons;
use super::flink;
use super::injection::{Blow, Scene, within};
use super::monitor::{Monitor, now};
use super::output::{Output, Verdict};
use super::random::Random;
use super::report::{Injection, Report};
use super::sequences;
use super::target::{PARALLELISM, Target};
use super::{Fault, Options};
use crate::cluster::KilledAtEnd;
use crate::hdfs::HdfsDir;
use crate::process::{Process, Role, in_role};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How long the job may take to be well again, or anything else to come to its end.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How long the job is watched before anything happens to it, so that there is something to compare with.
const CALM: Duration = Duration::from_secs(10);

/// A fault that was felt, and when.
struct Felt {
    fault: Fault,
    recovery: u64,
    restarts: u64,
    span: (u64, u64),
}

/// Runs chaos on the cluster that the environment names.
///
/// # Errors
/// If the run cannot go on: no job, no cluster, a job that hangs or has ended. What is wrong but lets it go on is in the
/// report.
pub fn run(options: &Options) -> Result<Report> {
    let mut report = Report { seed: options.seed, ..Report::default() };
    let faults = allowed(options, &mut report);
    if faults.is_empty() {
        bail!("nothing is left to inject: {}", report.skipped.join("; "));
    }
    say(&format!("seed {}, faults {}", options.seed, names(&faults)));
    if let Some(role) = &options.dead {
        daemons::script(&["kill", role])?;
        say(&format!("{role} is dead from now on"));
    }
    let mut random = Random::new(options.seed);
    // Each of those once in any case, however short the time is.
    for fault in faults.iter().filter(|fault| fault.has_own_job()) {
        apart(options, *fault, &mut random, &mut report);
    }
    if !faults.iter().all(|fault| fault.has_own_job()) {
        let drawn = |fault: &Fault| !fault.has_own_job() || fault.spares_other_jobs();
        let drawn: Vec<Fault> = faults.into_iter().filter(drawn).collect();
        disturb(options, &drawn, &mut random, &mut report)?;
    }
    if options.faults.contains(&Fault::MasterKilled) {
        match flink::measure() {
            Ok(recoveries) => report.flink = recoveries,
            Err(error) => report.skipped.push(format!("am-kill, Apache Flink: {error:#}")),
        }
    }
    Ok(report)
}

/// The faults that were asked for and that this cluster allows; the report tells of the others.
fn allowed(options: &Options, report: &mut Report) -> Vec<Fault> {
    let roles = daemons::roles();
    let is_allowed = |fault: &Fault| {
        let why = fault.hindrance(&roles, options.dead.as_deref());
        report.skipped.extend(why.map(|why| format!("{}: {why}", fault.name())));
        why.is_none()
    };
    options.faults.iter().copied().filter(is_allowed).collect()
}

/// A fault that is done to a job of its own.
fn apart(options: &Options, fault: Fault, random: &mut Random, report: &mut Report) {
    say(fault.name());
    let outcome = sequences::run(options, fault, random);
    sequences::record(fault, outcome, report);
}

/// The job that runs all the time, and what happens to it, and beside it.
fn disturb(options: &Options, faults: &[Fault], random: &mut Random, report: &mut Report) -> Result<()> {
    let directory = HdfsDir::new("chaos");
    let target = Target::submit(options, directory.root())?;
    let _end = KilledAtEnd(target.application.clone());
    say(&format!("{} {}", target.application, target.job));
    let felt = {
        let monitor = Monitor::begin(&target);
        monitor.await_health(now(), PATIENCE).context("the job did not begin")?;
        report.start = monitor.start();
        let began = now();
        std::thread::sleep(CALM);
        let calm = (began, now());
        let mut scene = Scene { options, target: &target, random };
        let felt = inject_all(&mut scene, faults, &monitor, report);
        (calm, felt)
    };
    let (calm, felt) = felt;
    finish(&target, report)?;
    let output = Output::read(&target.output)?;
    report.calm_gap = output.longest_gap(calm);
    let more = output.verdict(PARALLELISM);
    add(&mut report.verdict, &more);
    for Felt { fault, recovery, restarts, span } in felt {
        let gap = output.longest_gap(span);
        report.injections.push(Injection { fault: fault.name(), recovery, restarts, gap });
    }
    Ok(())
}

pub(super) fn add(sum: &mut Verdict, more: &Verdict) {
    sum.numbers += more.numbers;
    sum.lost += more.lost;
    sum.doubled += more.doubled;
    sum.miscounted += more.miscounted;
}

/// Round after round, each fault once in each; what goes wrong for good ends it early, and is in the report.
fn inject_all(scene: &mut Scene<'_>, faults: &[Fault], monitor: &Monitor, report: &mut Report) -> Vec<Felt> {
    let (begun, options) = (Instant::now(), scene.options);
    let (mut felt, mut queue, mut done) = (Vec::new(), Vec::new(), 0);
    while begun.elapsed() < options.time && done < options.count {
        if queue.is_empty() {
            queue = scene.random.shuffled(faults);
        }
        let Some(fault) = queue.pop() else { break };
        done += 1;
        if fault.has_own_job() {
            beside(scene, fault, monitor, report);
            continue;
        }
        match inject(scene, fault, monitor, report) {
            Ok(one) => felt.push(one),
            Err(error) => {
                report.violations.push(format!("{}: {error:#}", fault.name()));
                say(&format!("{} went wrong: {error:#}", fault.name()));
                break;
            }
        }
        // So that faults come at any point between two checkpoints.
        std::thread::sleep(Duration::from_millis(scene.random.below(1500)));
    }
    felt
}

/// What is done to a job of its own leaves the one alone that runs all the time.
fn beside(scene: &mut Scene<'_>, fault: Fault, monitor: &Monitor, report: &mut Report) {
    let (workers, restarts) = (in_role(&scene.target.application, Role::Worker), monitor.restarts());
    apart(scene.options, fault, scene.random, report);
    unharmed(scene.target, fault, &workers, monitor.restarts() - restarts, report);
}

fn inject(scene: &mut Scene<'_>, fault: Fault, monitor: &Monitor, report: &mut Report) -> Result<Felt> {
    let workers = in_role(&scene.target.application, Role::Worker);
    let restarts = monitor.restarts();
    let Blow { at, over } = scene.inject(fault)?;
    monitor.await_health(over, PATIENCE)?;
    let felt = monitor.felt(at, restarts);
    say(&format!(
        "{:<20} well again after {} ms, {} restarts (injected at {at})",
        fault.name(),
        felt.recovery,
        felt.restarts
    ));
    // A NodeManager that is away for longer than YARN waits for it takes its containers with it.
    let patience = scene.options.time_out().as_millis() as u64 - 2000;
    let brief = fault != Fault::NodeManagerRestarted || over - at < patience;
    if fault.spares_workers() && brief {
        unharmed(scene.target, fault, &workers, felt.restarts, report);
    }
    Ok(Felt { fault, recovery: felt.recovery, restarts: felt.restarts, span: felt.span })
}

/// Takes note if workers were replaced or a restart was counted.
pub(super) fn unharmed(
    target: &Target,
    fault: Fault,
    before: &[Process],
    restarts: u64,
    report: &mut Report,
) {
    let after = in_role(&target.application, Role::Worker);
    let pids = |workers: &[Process]| workers.iter().map(|worker| worker.pid).collect::<Vec<_>>();
    if after != before {
        let text = format!("{}: workers {:?} became {:?}", fault.name(), pids(before), pids(&after));
        report.violations.push(text);
    }
    if restarts > 0 {
        report.violations.push(format!("{}: {restarts} restarts", fault.name()));
    }
}

/// Ends the input, and waits for the job and its application to end as they should.
pub(super) fn finish(target: &Target, report: &mut Report) -> Result<()> {
    target.end_input()?;
    let mut record = serde_json::Value::Null;
    let ended = within(PATIENCE, || {
        record = target.record().unwrap_or_default();
        matches!(record["state"].as_str(), Some("FINISHED" | "FAILED" | "KILLED"))
    });
    if !ended {
        let view = target.view();
        bail!("{} does not end though its input did: {view:?}", target.application);
    }
    if record["finalStatus"] != "SUCCEEDED" {
        let said = record["diagnostics"].as_str().unwrap_or_default();
        report.violations.push(format!("the application ended as {}: {said}", record["finalStatus"]));
    }
    Ok(())
}

fn names(faults: &[Fault]) -> String {
    faults.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(",")
}

/// Progress goes to standard error: the table is the result.
pub(super) fn say(text: &str) {
    eprintln!("chaos: {text}");
}
