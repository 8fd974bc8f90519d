//! Exactly once, end to end: a job with source, keyed state and file sink whose whole process is killed at random moments,
//! and started again from its latest checkpoint. What it has written in the end is what an undisturbed run writes.
//!
//! `KVICK_KILLS=50 cargo test -p kvick-examples --test kills` is the long form.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

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

#[test]
fn a_job_whose_process_is_killed_writes_what_an_undisturbed_one_does() {
    let kills: u64 = std::env::var("KVICK_KILLS").ok().map_or(5, |text| text.parse().unwrap());
    // About 400 ms of work for each kill. The two halves that two subtasks begin with must not divide a client between them.
    let (rate, events) = (20_000, ((kills + 1) * 9_000).next_multiple_of(24_000));
    let undisturbed = tempfile::tempdir().unwrap();
    assert!(job(undisturbed.path(), 2, events, 10_000_000, None).status().unwrap().success());
    let expected = written(undisturbed.path());
    assert!(expected.len() as u64 > events / 5, "{}", expected.len());

    let disturbed = tempfile::tempdir().unwrap();
    let directory = disturbed.path();
    let (mut from, mut killed, mut went_on, mut finished) = (None, 0, 0, false);
    for round in 0..kills {
        // Another number of subtasks each time.
        let mut child = job(directory, 1 + (round + 1) % 3, events, rate, from.as_deref()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + kvick_examples::random(round) % 400));
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{}", log(directory));
            finished = true;
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let latest = latest_checkpoint(directory);
        went_on += u64::from(latest != from);
        from = latest;
    }
    assert!(killed > kills / 2 && went_on > 0, "{killed} kills, {went_on} times it went on");
    if !finished {
        let last = job(directory, 2, events, 10_000_000, from.as_deref()).status().unwrap();
        assert!(last.success(), "{}", log(directory));
    }
    let written = written(directory);
    assert!(written == expected, "{} lines, expected {}\n{}", written.len(), expected.len(), log(directory));
}
