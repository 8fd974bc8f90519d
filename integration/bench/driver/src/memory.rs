//! Resident memory as /proc tells it: of a command while it runs, and of an application's containers.

use anyhow::{Result, ensure};
use kvick_integration::cluster::processes;
use kvick_integration::command::Ran;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running command is looked at. The kernel keeps the peak, so only what a process takes in its last
/// moments, and a process that lives for less than this, can be missed.
const INTERVAL: Duration = Duration::from_millis(5);

/// A line of `/proc/PID/status` in MB (of 1,048,576 bytes).
fn status(pid: u32, key: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()? / 1024.0)
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The sum of the peaks so far of a living process and of those that it started and that still live.
fn held(pid: u32) -> f64 {
    status(pid, "VmHWM").unwrap_or_default() + children(pid).into_iter().map(held).sum::<f64>()
}

/// Runs a command that must succeed; also answers the most that it and the processes it started held at a time, in MB.
pub fn peak_while(command: &mut Command) -> Result<(Ran, f64)> {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (out, err) = (reader(stdout), reader(stderr));
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(held(child.id()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(INTERVAL);
    };
    let took = begin.elapsed();
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let ran = Ran { code: status.code().unwrap_or(-1), out: text(out), err: text(err), took };
    ensure!(ran.code == 0, "{command:?} ended with code {}:\n{}{}", ran.code, ran.out, ran.err);
    Ok((ran, peak))
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What a session's processes hold, in MB.
pub struct Containers {
    /// The application master.
    pub master: f64,
    /// The largest of the task executors.
    pub executor: Option<f64>,
}

/// Looks at the processes in an application's containers: in each the largest, which is the program itself and not the
/// shell that started it.
pub fn containers(application: &str) -> Option<Containers> {
    let mut largest: BTreeMap<String, f64> = BTreeMap::new();
    for pid in processes(application) {
        let (Some(container), Some(resident)) = (container(pid), status(pid, "VmRSS")) else { continue };
        let known = largest.entry(container).or_default();
        *known = known.max(resident);
    }
    let executors = largest.iter().filter(|(id, _)| !id.ends_with("_000001")).map(|(_, resident)| *resident);
    let executor = executors.reduce(f64::max);
    let master = largest.iter().find(|(id, _)| id.ends_with("_000001")).map(|(_, resident)| *resident)?;
    Some(Containers { master, executor })
}

fn container(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&environment).into_owned();
    text.split('\0').find_map(|variable| variable.strip_prefix("CONTAINER_ID=").map(str::to_string))
}
