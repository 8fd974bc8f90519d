//! What goes wrong outside of a job is named: the disk, the sink's target, the savepoint. (Records that cannot be read, functions
//! that panic, servers that are not there: `embedded.rs`, `files.rs`; checkpoints that cannot be written: `checkpoints.rs`.)

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::sinks::{BasePathBucketAssigner, DiscardingSink, FileSink, RollingPolicy, TextEncoder};
use kvick::sources::DataGeneratorSource;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A job that never ends by itself: numbers counted by their last digit.
fn numbers(env: &StreamExecutionEnvironment, uid: &str) -> DataStream<(u64, u64)> {
    env.from_data_generator(DataGeneratorSource::new(|n| (n % 10, 1_u64), u64::MAX).rate_limited(50_000.0))
        .uid("numbers")
        .key_by(|(digit, _)| *digit)
        .sum(|(_, count)| count)
        .name("counter")
        .uid(uid)
}

fn environment(checkpoints: &Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1).set_runtime_mode(RuntimeMode::Streaming);
    env.set_option("execution.checkpointing.interval", "20 ms");
    env.set_option("execution.checkpointing.dir", checkpoints.to_str().unwrap());
    env.set_option("execution.checkpointing.data-inline-threshold", "0 kb");
    env.set_option("restart-strategy.type", "none");
    env
}

fn files(directory: &Path) -> FileSink<TextEncoder, BasePathBucketAssigner> {
    FileSink::for_row_format(directory.to_str().unwrap(), TextEncoder)
        .with_bucket_assigner(BasePathBucketAssigner)
        .with_rolling_policy(RollingPolicy::on_checkpoint())
}

/// A file system of 128 KiB for as long as this lives; `None` where this process may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=128k", "none"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_named_by_whoever_writes_to_it() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tested: only root may mount a small disk");
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let out = disk.0.path().join("out");
    let env = environment(elsewhere.path());
    numbers(&env, "counts").sink_to_files(files(&out));
    let error = env.execute("full").unwrap_err().to_string();
    assert!(error.contains("No space left on device") && error.contains(out.to_str().unwrap()), "{error}");

    std::fs::remove_dir_all(&out).unwrap();
    let env = environment(&disk.0.path().join("checkpoints"));
    // Every record is a new key, so that the state grows.
    env.from_data_generator(DataGeneratorSource::new(|n| (n, 1_u64), u64::MAX).rate_limited(50_000.0))
        .key_by(|(number, _)| *number)
        .sum(|(_, count)| count)
        .sink_to("none", || DiscardingSink);
    let error = env.execute("checkpoints").unwrap_err().to_string();
    assert!(error.contains("tolerable failure threshold"), "{error}");
    assert!(error.contains("No space left on device") && error.contains("/checkpoints/"), "{error}");
}

#[test]
fn a_target_that_goes_away_while_the_job_runs_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let gone = out.clone();
    let env = environment(&directory.path().join("checkpoints"));
    let counts = numbers(&env, "counts").map(move |count| {
        if count == (7, 1_000) {
            std::fs::remove_dir_all(&gone).unwrap();
            std::fs::write(&gone, "a file").unwrap();
        }
        count
    });
    counts.sink_to_files(files(&out));
    let error = env.execute("gone").unwrap_err().to_string();
    assert!(error.contains(out.to_str().unwrap()), "{error}");
}

/// A savepoint of the job.
fn savepoint(directory: &Path, uid: &str) -> PathBuf {
    let env = environment(&directory.join("checkpoints"));
    numbers(&env, uid).sink_to("none", || DiscardingSink);
    let client = env.execute_async("saved").unwrap();
    let target = directory.to_str().unwrap();
    let taken = loop {
        match client.stop_with_savepoint(false, Some(target)) {
            Ok(path) => break path,
            Err(error) => assert!(error.to_string().contains("Not all required tasks"), "{error}"),
        }
    };
    client.wait().unwrap();
    PathBuf::from(taken.trim_start_matches("file:"))
}

/// Why a job with that operator does not start from a savepoint.
fn refused(directory: &Path, uid: &str, path: &Path) -> String {
    let env = environment(&directory.join("checkpoints"));
    env.set_option("execution.state-recovery.path", path.to_str().unwrap());
    numbers(&env, uid).sink_to("none", || DiscardingSink);
    env.execute("refused").unwrap_err().to_string()
}

#[test]
fn a_savepoint_of_another_job_or_of_a_newer_engine_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = savepoint(directory.path(), "counts");
    let other = refused(directory.path(), "totals", &path);
    assert!(other.contains("counter") && other.contains("--allowNonRestoredState"), "{other}");

    let metadata = path.join("_metadata");
    let mut bytes = std::fs::read(&metadata).unwrap();
    // The version stands behind the eight bytes of the magic.
    bytes[11] = 99;
    std::fs::write(&metadata, bytes).unwrap();
    let newer = refused(directory.path(), "counts", &path);
    assert!(newer.contains("version 99") && newer.contains("use a newer engine"), "{newer}");
    assert!(newer.contains(path.to_str().unwrap()), "{newer}");

    std::fs::write(&metadata, b"\x49\x60\x67\x2d a savepoint of the JVM").unwrap();
    let foreign = refused(directory.path(), "counts", &path);
    assert!(foreign.contains("Flink") && foreign.contains(path.to_str().unwrap()), "{foreign}");
    let nothing = refused(directory.path(), "counts", &directory.path().join("nowhere"));
    assert!(nothing.contains("nowhere"), "{nothing}");
}
