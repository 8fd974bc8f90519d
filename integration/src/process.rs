//! Processes of an application on this machine: found by the container that their environment names, known again by pid
//! and start time, signalled.

use crate::cluster::processes;
use std::collections::BTreeSet;
use std::fs::{read, read_dir, read_link, read_to_string};
use std::path::PathBuf;
use std::process::Command;

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

    /// Sends it a signal by name (`KILL`, `STOP`, `CONT`). Says whether it was there to take it.
    pub fn signal(&self, name: &str) -> bool {
        let sent = || Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).output();
        self.lives() && sent().is_ok_and(|output| output.status.success())
    }
}

/// The living processes of an application, but for the shells that YARN starts them with.
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
    let role = match program_of(pid)?.as_str() {
        "kvick-appmaster" => Role::Master,
        "kvick-taskexecutor" => Role::Executor,
        "bash" | "dash" | "sh" | "java" => return None,
        _ => Role::Worker,
    };
    let dirs = variable(pid, "LOCAL_DIRS").unwrap_or_default();
    let node = dirs.split("/nodemanager").nth(1).and_then(|rest| rest.split('/').next());
    // In application mode the job's program is also a child of the master: as the one that describes the job.
    if role == Role::Worker && program_of(parent(pid)?).as_deref() == Some("kvick-appmaster") {
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

/// The name of a process's program; that of one which was replaced meanwhile has ` (deleted)` behind it.
fn program_of(pid: u32) -> Option<String> {
    let program = read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(program.file_name()?.to_str()?.split(' ').next()?.to_string())
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
    #[test]
    fn a_process_is_known_by_its_start_and_gone_when_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let (_, started) = super::stat(child.id()).expect("it is there");
        let own = super::Process {
            role: super::Role::Worker,
            pid: child.id(),
            started,
            container: String::new(),
            node: 0,
        };
        let another = super::Process { started: started + 1, ..own.clone() };
        assert!(own.lives() && !another.lives() && !another.signal("KILL"));
        assert!(own.signal("KILL"));
        child.wait().expect("it ends");
        assert!(!own.lives());
    }
}
