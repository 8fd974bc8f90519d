//! How each fault is done to the job or to the cluster under it.

use super::daemons::{active_resource_manager, script};
use super::monitor::now;
use super::random::Random;
use super::target::Target;
use super::{Fault, Options};
use crate::process::{Process, Role, in_role};
use anyhow::{Context, Result, bail};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something may take that ought to be quick.
const SOON: Duration = Duration::from_secs(90);

/// How old a task executor is of which YARN knows: NodeManagers tell of their containers every second.
const KNOWN: Duration = Duration::from_secs(3);

/// When a fault was there, and since when the job may be well again.
#[derive(Debug, Clone, Copy)]
pub struct Blow {
    /// When it began to be felt, in milliseconds since 1970.
    pub at: u64,
    /// Since when nothing hinders the job any more.
    pub over: u64,
}

/// What faults are done to.
pub struct Scene<'a> {
    /// How long pauses are.
    pub options: &'a Options,
    /// The job.
    pub target: &'a Target,
    /// What chance decides.
    pub random: &'a mut Random,
}

impl Scene<'_> {
    /// Does it. What was killed of the cluster runs again afterwards; of the job nothing is helped up.
    ///
    /// # Errors
    /// If it cannot be done; the job's health is not asked for.
    pub fn inject(&mut self, fault: Fault) -> Result<Blow> {
        match fault {
            Fault::MasterKilled => self.kill(Role::Master),
            Fault::ExecutorKilled => self.kill(Role::Executor),
            Fault::WorkerKilled => self.kill(Role::Worker),
            Fault::MasterPaused => self.pause(Role::Master, self.short()),
            Fault::ExecutorPaused => self.pause(Role::Executor, self.short()),
            Fault::WorkerPaused => self.pause(Role::Worker, self.short()),
            Fault::MasterHung => self.pause(Role::Master, self.options.pause),
            Fault::ExecutorHung => self.pause(Role::Executor, self.options.pause),
            Fault::WorkerHung => self.pause(Role::Worker, self.options.pause),
            Fault::MasterAndExecutor => self.kill_both(),
            Fault::MasterInCheckpoint => self.kill_in_checkpoint(),
            Fault::MasterOutlived => self.outlive(),
            Fault::NodeManagerRestarted => self.restart_node_manager(),
            Fault::NodeLost => self.lose_node(),
            Fault::ResourceManagerRestarted => restart_resource_manager(),
            Fault::ResourceManagerFailover => fail_over(),
            Fault::NameNodeRestarted => restart("namenode", Duration::from_millis(self.random.below(3000))),
            Fault::NameNodeSafeMode => self.safe_mode(),
            Fault::DataNodeRestarted => restart("datanode", Duration::from_millis(self.random.below(3000))),
            Fault::ZooKeeperKilled => self.kill_zookeeper(),
            Fault::DiskFull => self.fill_disk(),
            Fault::TokenRolled => self.roll_token(),
            apart => bail!("{} needs a job of its own", apart.name()),
        }
    }

    /// Less than the time-outs.
    fn short(&self) -> Duration {
        (self.options.time_out() / 4).min(Duration::from_secs(5))
    }

    fn one(&mut self, role: Role) -> Result<Process> {
        let mut all = in_role(&self.target.application, role);
        if role == Role::Executor {
            // Nobody would feel what happens to a spare.
            let workers = in_role(&self.target.application, Role::Worker);
            all.retain(|executor| workers.iter().any(|worker| worker.container == executor.container));
        }
        let one = self.random.pick(&all).cloned();
        one.with_context(|| format!("there is no {role:?} to be found"))
    }

    fn kill(&mut self, role: Role) -> Result<Blow> {
        if role == Role::Master {
            await_known(&self.target.application)?;
        }
        kill(&self.one(role)?)
    }

    fn pause(&mut self, role: Role, time: Duration) -> Result<Blow> {
        let process = self.one(role)?;
        let at = now();
        if !process.signal("STOP") {
            bail!("{process:?} was not stopped");
        }
        // The pause is the fault.
        sleep(time);
        // Whoever gave it up has ended it by now.
        process.signal("CONT");
        Ok(Blow { at, over: now() })
    }

    fn kill_both(&mut self) -> Result<Blow> {
        let (master, executor) = (self.one(Role::Master)?, self.one(Role::Executor)?);
        let mut order = [master, executor];
        if self.random.below(2) == 0 {
            order.reverse();
        }
        let Blow { at, .. } = kill(&order[0])?;
        sleep(Duration::from_millis(self.random.below(1000)));
        let Blow { over, .. } = kill(&order[1])?;
        Ok(Blow { at, over })
    }

    fn kill_in_checkpoint(&mut self) -> Result<Blow> {
        await_known(&self.target.application)?;
        let process = self.one(Role::Master)?;
        let begun = Instant::now();
        while !self.target.view().is_some_and(|view| view.checkpointing) {
            if begun.elapsed() > SOON {
                bail!("no checkpoint was seen under way");
            }
        }
        kill(&process)
    }

    /// Nobody can end the master while its NodeManager is away, so it meets its successor.
    fn outlive(&mut self) -> Result<Blow> {
        let master = self.one(Role::Master)?;
        let node = format!("nodemanager{}", master.node);
        let attempts =
            || self.target.record().and_then(|app| app["amContainerLogs"].as_str().map(str::to_string));
        let before = attempts();
        let at = now();
        script(&["kill", &node])?;
        let outcome = self.wake_beside_successor(&master, before.as_deref());
        script(&["restart", &node])?;
        outcome?;
        Ok(Blow { at, over: now() })
    }

    fn wake_beside_successor(&self, master: &Process, before: Option<&str>) -> Result<()> {
        if !master.signal("STOP") {
            bail!("{master:?} was not stopped");
        }
        let successor = || {
            let Some(app) = self.target.record() else { return false };
            let speaks = app["amRPCAddress"].as_str().is_some_and(|address| !address.ends_with("-1"));
            speaks && app["amContainerLogs"].as_str() != before
        };
        let found = within(self.options.time_out() * 3 + SOON, successor);
        master.signal("CONT");
        if !found {
            bail!("the application master had no successor");
        }
        if !within(SOON, || !master.lives()) {
            bail!("the application master that was outlived did not end itself: pid {}", master.pid);
        }
        Ok(())
    }

    fn restart_node_manager(&mut self) -> Result<Blow> {
        let node = self.one(Role::Executor)?.node;
        restart(&format!("nodemanager{node}"), Duration::from_millis(self.random.below(3000)))
    }

    /// Of a node with a task executor everything is killed. The node comes back, empty.
    fn lose_node(&mut self) -> Result<Blow> {
        let node = self.one(Role::Executor)?.node;
        let at = now();
        script(&["kill", &format!("nodemanager{node}")])?;
        for process in crate::process::of(&self.target.application) {
            if process.node == node {
                process.signal("KILL");
            }
        }
        let over = now();
        // It stays away for longer than YARN believes in it.
        sleep(self.options.pause);
        script(&["restart", &format!("nodemanager{node}")])?;
        Ok(Blow { at, over })
    }

    fn safe_mode(&mut self) -> Result<Blow> {
        let at = now();
        script(&["hdfs", "dfsadmin", "-safemode", "enter"])?;
        sleep(Duration::from_millis(2000 + self.random.below(6000)));
        script(&["hdfs", "dfsadmin", "-safemode", "leave"])?;
        Ok(Blow { at, over: now() })
    }

    fn kill_zookeeper(&mut self) -> Result<Blow> {
        let role = format!("zookeeper{}", 1 + self.random.below(3));
        restart(&role, Duration::from_millis(1000 + self.random.below(4000)))
    }

    /// Fills the file system of a NodeManager's local directories until its task executors are gone or a while has passed.
    fn fill_disk(&mut self) -> Result<Blow> {
        let disk = std::env::var("KVICK_SMALL_DISK").context("KVICK_SMALL_DISK")?;
        let filler = std::path::Path::new(&disk).join("filler");
        let at = now();
        let written = std::fs::File::create(&filler)
            .and_then(|mut file| std::io::copy(&mut std::io::repeat(7), &mut file));
        let full = written.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull);
        sleep(self.options.pause);
        std::fs::remove_file(&filler).context("the filler")?;
        if !full {
            bail!("{disk} did not become full");
        }
        Ok(Blow { at, over: now() })
    }

    fn roll_token(&mut self) -> Result<Blow> {
        let seconds: u64 = std::env::var("KVICK_TOKEN_ROLL_SECONDS")?.parse()?;
        let master = self.one(Role::Master)?;
        let log = std::fs::read_link(format!("/proc/{}/fd/2", master.pid)).context("the master's log")?;
        let log = log.with_file_name("jobmanager.log");
        let rolls =
            || std::fs::read_to_string(&log).unwrap_or_default().matches("token was rolled over").count();
        let before = rolls();
        if !within(Duration::from_secs(seconds * 2), || rolls() > before) {
            bail!("the AMRM token was not rolled over within {} s, says {}", seconds * 2, log.display());
        }
        restart_resource_manager()
    }
}

/// Kills a process. What it still did while the signal was sent is not taken for its successor's work.
///
/// # Errors
/// If it is not there.
pub fn kill(process: &Process) -> Result<Blow> {
    let at = now();
    if !process.signal("KILL") {
        bail!("{process:?} was not there to be killed");
    }
    Ok(Blow { at, over: now() })
}

/// Waits until YARN knows of all task executors of an application. One of which it does not know when their master dies is not
/// kept for the next master: that is YARN's way, and costs the job a restart.
///
/// # Errors
/// If there is always another one that has just begun.
pub fn await_known(application: &str) -> Result<()> {
    let known = || in_role(application, Role::Executor).iter().all(|executor| executor.age() >= KNOWN);
    if !within(SOON, known) {
        bail!("for {SOON:?} there was a task executor that had just begun");
    }
    Ok(())
}

/// Whether something becomes true in time.
pub fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if is_so() {
            return true;
        }
        sleep(Duration::from_millis(50));
    }
    false
}

/// Kills a daemon, and starts it again after a while.
fn restart(role: &str, away: Duration) -> Result<Blow> {
    let at = now();
    script(&["kill", role])?;
    sleep(away);
    script(&["restart", role])?;
    Ok(Blow { at, over: now() })
}

/// The role of the ResourceManager that is active, or becomes it soon.
fn await_active() -> Result<&'static str> {
    let mut active = None;
    within(SOON, || {
        active = active_resource_manager();
        active.is_some()
    });
    active.context("no ResourceManager is active")
}

fn restart_resource_manager() -> Result<Blow> {
    let role = await_active()?;
    let at = now();
    script(&["kill", role])?;
    script(&["restart", role])?;
    Ok(Blow { at, over: now() })
}

/// The other one becomes active, by itself or because it is told to; the killed one comes back as a standby.
fn fail_over() -> Result<Blow> {
    let killed = await_active()?;
    let other = if killed == "resourcemanager" { "rm2" } else { "rm1" };
    let at = now();
    script(&["kill", killed])?;
    if std::env::var_os("KVICK_ZOOKEEPER_QUORUM").is_none() {
        script(&["yarn", "rmadmin", "-transitionToActive", "--forceactive", other])?;
    }
    if !within(SOON, || active_resource_manager().is_some_and(|role| role != killed)) {
        bail!("no other ResourceManager became active");
    }
    let over = now();
    script(&["restart", killed])?;
    Ok(Blow { at, over })
}
