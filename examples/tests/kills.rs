//! Exactly once, end to end: a job with source, keyed state and file sink whose whole process is killed at random moments,
//! and started again from its latest checkpoint. What it has written in the end is what an undisturbed run writes.
//!
//! `KVICK_KILLS=50 cargo test -p kvick-examples --test kills` is the long form.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const PROGRAM: &str = env!("CARGO_BIN_EXE_state-machine");

/// Starts the job: at a parallelism, at most so fast, from a checkpoint where there is one.
fn job(directory: &Path, parallelism: u64, events: u64, rate: u64, from: Option<&Path>) -> Command {
    let mut config = serde_json::json!({
        "execution.checkpointing.interval": "40 ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "parallelism.default": parallelism.to_string(),
        "pipeline.max-parallelism": "16",
    });
    if let Some(path) = from {
        config["execution.savepoint.path"] = path.to_str().unwrap().into();
    }
    let mut command = Command::new(PROGRAM);
    command
        .args(["--error-rate", "0.3", "--count", &events.to_string(), "--rps", &rate.to_string()])
        .args(["--checkpoint-dir", directory.join("checkpoints").to_str().unwrap()])
        .args(["--output", directory.join("out").to_str().unwrap()])
        .env("KVICK_LOCAL_CONFIG", config.to_string())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join("log")).unwrap());
    command
}

/// The directory of the checkpoint that was completed last, of any attempt.
fn latest_checkpoint(directory: &Path) -> Option<PathBuf> {
    let mut all: Vec<(SystemTime, PathBuf)> = Vec::new();
    for job in fs::read_dir(directory.join("checkpoints")).into_iter().flatten() {
        for checkpoint in fs::read_dir(job.unwrap().path()).into_iter().flatten() {
            let path = checkpoint.unwrap().path();
            if let Ok(metadata) = fs::metadata(path.join("_metadata")) {
                all.push((metadata.modified().unwrap(), path));
            }
        }
    }
    all.into_iter().max().map(|(_, path)| path)
}

/// The lines that a reader sees, sorted.
fn written(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for bucket in fs::read_dir(directory.join("out")).unwrap() {
        for part in fs::read_dir(bucket.unwrap().path()).unwrap() {
            let part = part.unwrap();
            if !part.file_name().to_str().unwrap().starts_with('.') {
                lines.extend(fs::read_to_string(part.path()).unwrap().lines().map(str::to_string));
            }
        }
    }
    lines.sort_unstable();
    lines
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap()
}

/// Records a second of a job that is to be killed.
const RATE: u64 = 10_000;

/// How long a job may take from its start to its first checkpoint.
const LIMIT: Duration = Duration::from_secs(30);

/// How often the process was killed, and how often of that while its job was running.
#[derive(Default)]
struct Kills {
    all: u64,
    hits: u64,
    /// The checkpoint that the job goes on from.
    from: Option<PathBuf>,
}

impl Kills {
    /// Starts the job, at another number of subtasks each time, and kills its process at some moment. A kill hit the
    /// running job where the process has completed a checkpoint before. Every third does not wait for that: it may come
    /// while the job starts.
    fn kill(&mut self, directory: &Path, events: u64) {
        let mut child =
            job(directory, 1 + (self.all + 1) % 3, events, RATE, self.from.as_deref()).spawn().unwrap();
        if self.all % 3 < 2 {
            self.await_checkpoint(directory);
        }
        std::thread::sleep(Duration::from_millis(kvick_examples::random(self.all) % 400));
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before kill {}: {ended:?}\n{}", self.all + 1, log(directory));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "{}", log(directory));
        self.all += 1;
        let latest = latest_checkpoint(directory);
        self.hits += u64::from(latest != self.from);
        self.from = latest;
    }

    /// Waits until the job has completed a checkpoint since it was started.
    fn await_checkpoint(&self, directory: &Path) {
        let begun = Instant::now();
        while latest_checkpoint(directory) == self.from {
            assert!(begun.elapsed() < LIMIT, "no checkpoint within {LIMIT:?}\n{}", log(directory));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_job_whose_process_is_killed_writes_what_an_undisturbed_one_does() {
    let wanted: u64 = std::env::var("KVICK_KILLS").ok().map_or(5, |text| text.parse().unwrap());
    // Those that come while the job starts are one in three.
    let most = wanted * 3 / 2 + 1;
    // More than it can read in all the time that it is given: 200 ms for each kill, and what a machine that is busy needs
    // for a checkpoint. The two halves that two subtasks begin with must not divide a client between them.
    let events = (most * RATE * 3 / 2).next_multiple_of(24_000);
    let undisturbed = tempfile::tempdir().unwrap();
    assert!(job(undisturbed.path(), 2, events, 10_000_000, None).status().unwrap().success());
    let expected = written(undisturbed.path());
    assert!(expected.len() as u64 > events / 5, "{}", expected.len());

    let disturbed = tempfile::tempdir().unwrap();
    let directory = disturbed.path();
    let mut kills = Kills::default();
    while kills.hits < wanted && kills.all < most {
        kills.kill(directory, events);
    }
    println!("{} kills, {} of them while the job was running", kills.all, kills.hits);
    assert_eq!(kills.hits, wanted, "of {} kills so many hit the running job", kills.all);
    let last = job(directory, 2, events, 10_000_000, kills.from.as_deref()).status().unwrap();
    assert!(last.success(), "{}", log(directory));
    let written = written(directory);
    assert!(written == expected, "{} lines, expected {}\n{}", written.len(), expected.len(), log(directory));
}
