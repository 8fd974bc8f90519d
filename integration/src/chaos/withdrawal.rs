//! Containers that YARN takes back though nothing has failed: their tasks move after a checkpoint, and nobody is charged.
//!
//! The job takes no checkpoint by itself while that happens: one that it went on from was taken for the move.

use super::daemons::{node_memory, script};
use super::injection::within;
use super::monitor::{Monitor, now};
use super::output::Output;
use super::report::{Injection, Report};
use super::run::{PATIENCE, add, finish};
use super::target::{PARALLELISM, Target};
use super::{Fault, Options};
use crate::cluster::KilledAtEnd;
use crate::command::{example, flink};
use crate::hdfs::HdfsDir;
use crate::process::{Process, Role, in_role};
use anyhow::{Context, Result, bail};

/// The queue to which the other application goes: that which the job is not in.
const OTHER_QUEUE: &str = "other";

/// Takes a container of a job back, sees the job well again, and looks through what it wrote.
///
/// # Errors
/// What went wrong for good.
pub fn run(options: &Options, fault: Fault) -> Result<Report> {
    let directory = HdfsDir::new(fault.name());
    let mut options = options.clone();
    options.more.push("execution.checkpointing.interval=1h".to_string());
    let size = if fault == Fault::Preempted { node_memory()? / 4 * 3 } else { 1024 };
    let target = Target::submit_sized(&options, directory.root(), size)?;
    let _end = KilledAtEnd(target.application.clone());
    let monitor = Monitor::begin(&target);
    monitor.await_running(now(), PATIENCE).context("the job did not begin")?;
    let before = in_role(&target.application, Role::Executor);
    let (at, restarts) = (now(), monitor.restarts());
    let take_back = if fault == Fault::Preempted { preempt } else { decommission };
    take_back(&before)?;
    monitor.await_running(now(), PATIENCE)?;
    let (felt, view) = (monitor.felt(at, restarts), monitor.last());
    drop(monitor);
    let mut report = Report::default();
    if felt.restarts > 0 {
        report.violations.push(format!("{} restarts were counted", felt.restarts));
    }
    if view.completed == 0 || view.restored == 0 {
        report.violations.push(format!("the tasks did not go on from a checkpoint: {view:?}"));
    }
    finish(&target, &mut report)?;
    let output = Output::read(&target.output)?;
    add(&mut report.verdict, &output.verdict(PARALLELISM));
    // To the end: the first line after the move may come after the subtasks were seen to run.
    let (recovery, restarts, gap) = (felt.recovery, felt.restarts, output.longest_gap((at, u64::MAX)));
    report.injections.push(Injection { fault: fault.name(), recovery, restarts, gap });
    Ok(report)
}

/// An application for which there is no room runs to its end in a queue that has not got its share.
fn preempt(executors: &[Process]) -> Result<()> {
    let (size, jar) = ((node_memory()? / 2).to_string(), example("streaming/WordCount.jar"));
    let line = ["run", "-m", "yarn-cluster", "-yqu", OTHER_QUEUE, "-yjm", "1024", "-ytm", &size, &jar];
    let ran = flink(line);
    if ran.code != 0 {
        bail!("the other queue's application failed:\n{}\n{}", ran.out, ran.err);
    }
    let left = executors.iter().filter(|executor| executor.lives()).count();
    if left + 1 != executors.len() {
        bail!("of {} task executors {left} live on: one had to be given back", executors.len());
    }
    Ok(())
}

/// A node is taken out; when the job has left it, it may stay after all.
fn decommission(executors: &[Process]) -> Result<()> {
    let node = executors.first().context("there is no task executor")?.node;
    let role = format!("nodemanager{node}");
    script(&["decommission", &role])?;
    let there = |executor: &&Process| executor.node == node;
    let left = || !executors.iter().filter(there).any(Process::lives);
    let done = within(PATIENCE, left);
    script(&["recommission", &role])?;
    if !done {
        bail!("after {PATIENCE:?} there still is a task executor on {role}, which is to be taken out");
    }
    Ok(())
}
