//! The same kill for Apache Flink, where `FLINK_HOME` names a distribution and there are ZooKeeper servers, which its high
//! availability needs: how long until a job runs again whose master was killed.

use super::injection::within;
use super::monitor::{Monitor, now};
use super::target::Target;
use crate::cluster::{KilledAtEnd, processes};
use crate::command::run;
use crate::hdfs::HdfsDir;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long Flink may take to run again: with its default session time-out it needs two thirds of a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often the master is killed.
const KILLS: usize = 2;

/// Milliseconds from each kill of Flink's master to the moment when its job ran again; nothing without a distribution.
///
/// # Errors
/// If its job does not run, or not again.
pub fn measure() -> Result<Vec<u64>> {
    let (Some(home), Ok(quorum)) = (std::env::var_os("FLINK_HOME"), std::env::var("KVICK_ZOOKEEPER_QUORUM"))
    else {
        return Ok(Vec::new());
    };
    let directory = HdfsDir::new("chaos-flink");
    let target = submit(Path::new(&home), &quorum, directory.root())?;
    let _end = KilledAtEnd(target.application.clone());
    let monitor = Monitor::begin(&target);
    monitor.await_health(now(), PATIENCE).context("Flink's job did not begin")?;
    let mut all = Vec::new();
    for _ in 0..KILLS {
        let master = master(&target).context("Flink's master is not to be found")?;
        let at = now();
        let killed = Command::new("kill").args(["-9", &master.to_string()]).status()?;
        let over = now();
        if !killed.success() || !within(PATIENCE, || self::master(&target) != Some(master)) {
            bail!("Flink's master {master} was not killed");
        }
        monitor.await_health(over, PATIENCE)?;
        all.push(monitor.felt(at, 0).recovery);
    }
    Ok(all)
}

/// An example without end that comes with it, with high availability as its documentation says.
fn submit(home: &Path, quorum: &str, directory: &str) -> Result<Target> {
    let jar = std::fs::read_dir(home.join("examples"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "jar"))
        .context("Flink's examples are missing")?;
    let mut command = Command::new(home.join("bin/flink"));
    if let Ok(classpath) = std::env::var("KVICK_HADOOP_CLASSPATH") {
        command.env("HADOOP_CLASSPATH", classpath);
    }
    command.env("FLINK_CONF_DIR", home.join("conf"));
    command.args("run -d -t yarn-per-job -p 2 -Dtaskmanager.numberOfTaskSlots=1".split(' '));
    command.args(["-Djobmanager.memory.process.size=1024m", "-Dtaskmanager.memory.process.size=1024m"]);
    command.args(["-Dyarn.application-attempts=1000", "-Dhigh-availability.type=zookeeper"]);
    command.arg(format!("-Dhigh-availability.zookeeper.quorum={quorum}"));
    command.arg(format!("-Dhigh-availability.storageDir={directory}/ha"));
    command.args(["-Dexecution.checkpointing.interval=1s"]);
    command.arg(format!("-Dexecution.checkpointing.dir={directory}/checkpoints"));
    command.args(["-c", "org.apache.flink.streaming.examples.windowing.TopSpeedWindowing"]).arg(&jar);
    let ran = run(&mut command);
    if ran.code != 0 {
        bail!("Flink did not take the job:\n{}\n{}", ran.out, ran.err);
    }
    Ok(Target::of(ran.application(), ran.job()))
}

/// The process of Flink's master: the application's Java whose command line names an entry point.
fn master(target: &Target) -> Option<u32> {
    processes(&target.application).into_iter().find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let is_java = words.first().is_some_and(|word| word.ends_with(b"/java"));
        is_java && words.iter().any(|word| word.ends_with(b"ClusterEntrypoint"))
    })
}
