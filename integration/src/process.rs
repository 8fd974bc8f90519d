//! Processes of an application on this machine: found by the container that their environment names, known again by pid
//! and start time, signalled.

use crate::cluster::processes;
use std::collections::BTreeSet;
use std::fs::{read, read_dir, read_link, read_to_string};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a process of an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The application master.
    Master,
    /// A task executor.
    Executor,
    /// A job's program, at work for a task executor.
    Worker,
}

/// How many of the kernel's ticks a second has: `USER_HZ`, which Linux never changes.
const TICKS: f64 = 100.0;

/// One process. A pid alone proves nothing, hence its start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its pid.
    pub pid: u32,
    /// When it started, in the kernel's ticks since the machine did.
    pub started: u64,
    /// Its container.
    pub container: String,
    /// The NodeManager that launched it, by the number in its name; 0 if that cannot be told.
    pub node: u32,
}

impl Process {
    /// Whether it still is there, stopped or not; one that nobody has waited for yet is not.
    pub fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| state != 'Z' && started == self.started)
    }

    /// For how long it has been there.
    pub fn age(&self) -> Duration {
        let uptime = read_to_string("/proc/uptime").unwrap_or_default();
        let now = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        Duration::from_secs_f64((now.unwrap_or_default() - self.started as f64 / TICKS).max(0.0))
    }

    /// Sends it a signal by name (`KILL`, `STOP`, `CONT`). Says whether it was there to take it.
    pub fn signal(&self, name: &str) -> bool {
        let sent = || Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).output();
        self.lives() && sent().is_ok_and(|output| output.status.success())
    }
}

/// The living processes of an application, but for the shells that YARN starts them with and what these run (`ln`, `cp`, `ls`,
/// `find`), which have the same environment.
pub fn of(application: &str) -> Vec<Process> {
    let mut found: Vec<Process> = processes(application).into_iter().filter_map(describe).collect();
    found.retain(Process::lives);
    found.sort();
    found
}

/// The directories on this machine that YARN gave an application for what it need not keep.
pub fn local_dirs(application: &str) -> BTreeSet<PathBuf> {
    let pids = processes(application).into_iter();
    let listed = pids.filter_map(|pid| variable(pid, "LOCAL_DIRS"));
    listed.flat_map(|dirs| dirs.split(',').map(PathBuf::from).collect::<Vec<_>>()).collect()
}

/// The names of what workers of an application have in those directories.
pub fn local_files(application: &str) -> BTreeSet<String> {
    let entries =
        local_dirs(application).into_iter().filter_map(|dir| read_dir(dir).ok()).flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("kvick-")).collect()
}

/// Those of one role.
pub fn in_role(application: &str, role: Role) -> Vec<Process> {
    let mut found = of(application);
    found.retain(|process| process.role == role);
    found
}

fn describe(pid: u32) -> Option<Process> {
    let program = executable(pid)?;
    let role = match name_of(&program)?.as_str() {
        "kvick-appmaster" => Role::Master,
        "kvick-taskexecutor" => Role::Executor,
        "java" => return None,
        _ if is_of_the_system(&program) => return None,
        _ => Role::Worker,
    };
    let dirs = variable(pid, "LOCAL_DIRS").unwrap_or_default();
    let node = dirs.split("/nodemanager").nth(1).and_then(|rest| rest.split('/').next());
    // In application mode the job's program is also a child of the master: as the one that describes the job.
    let parent = executable(parent(pid)?).and_then(|program| name_of(&program));
    if role == Role::Worker && parent.as_deref() == Some("kvick-appmaster") {
        return None;
    }
    Some(Process {
        role,
        pid,
        started: stat(pid)?.1,
        container: variable(pid, "CONTAINER_ID")?,
        node: node.and_then(|number| number.parse().ok()).unwrap_or_default(),
    })
}

/// A variable of a process's environment.
fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = read(format!("/proc/{pid}/environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment);
    let value = environment.split('\0').find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_string)
}

/// Where a process's program is, by no other name than its own.
fn executable(pid: u32) -> Option<PathBuf> {
    read_link(format!("/proc/{pid}/exe")).ok()
}

/// The name of a program; that of one which was replaced meanwhile has ` (deleted)` behind it.
fn name_of(program: &Path) -> Option<String> {
    Some(program.file_name()?.to_str()?.split(' ').next()?.to_string())
}

/// Whether a program came with the machine: no job's does.
fn is_of_the_system(program: &Path) -> bool {
    let places = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec"];
    places.iter().any(|place| program.starts_with(place))
}

/// The pid of a process's parent.
fn parent(pid: u32) -> Option<u32> {
    let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// State and start of a process: fields 3 and 22 of `/proc/PID/stat`. The name before them may hold anything.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Process, Role, describe, stat};
    use crate::wait::until;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn what_a_launch_script_runs_is_no_worker_and_a_job_is_one() {
        let directory = tempfile::tempdir().expect("no temporary directory");
        let job = directory.path().join("sleep");
        let limit = Duration::from_secs(30);
        let container = "container_1_0001_01_000002";
        let mut sleep = Command::new("sleep");
        let mut command = sleep.arg("60").env("CONTAINER_ID", container).spawn().expect("sleep starts");
        // As a program of YARN's makes way for one that came with a job.
        let script = "cp \"$(command -v sleep)\" \"$0\" && exec \"$0\" 60";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(&job).env("CONTAINER_ID", container);
        let mut worker = shell.spawn().expect("sh starts");
        let described = until("the worker", limit, || describe(worker.id()));
        assert_eq!((described.role, described.container.as_str()), (Role::Worker, container));
        assert_eq!(describe(command.id()), None);
        for child in [&mut command, &mut worker] {
            child.kill().expect("it is there");
            child.wait().expect("it ends");
        }
    }

    #[test]
    fn a_process_is_known_by_its_start_and_gone_when_it_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let (_, started) = stat(child.id()).expect("it is there");
        let own = Process { role: Role::Worker, pid: child.id(), started, container: String::new(), node: 0 };
        let another = Process { started: started + 1, ..own.clone() };
        assert!(own.lives() && !another.lives() && !another.signal("KILL"));
        let age = Process { started: started - 200, ..own.clone() }.age().as_secs_f64();
        assert!((2.0..60.0).contains(&age), "{age} s");
        assert!(own.signal("KILL"));
        child.wait().expect("it ends");
        assert!(!own.lives());
    }
}
