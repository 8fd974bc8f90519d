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

/// The directory that is full, and what the system says of it, when this program runs itself.
const FULL: (&str, &str) = ("KVICK_TEST_FULL_DISK", "KVICK_TEST_FULL_REASON");

/// Lets a sink and checkpoints write to a disk until it is full, and says what each job failed with.
fn fill(disk: &Path) -> (String, String) {
    let elsewhere = tempfile::tempdir().unwrap();
    let out = disk.join("out");
    let env = environment(elsewhere.path());
    numbers(&env, "counts").sink_to_files(files(&out));
    let sink = env.execute("full").unwrap_err().to_string();

    std::fs::remove_dir_all(&out).unwrap();
    let env = environment(&disk.join("checkpoints"));
    // Every record is a new key, so that the state grows.
    env.from_data_generator(DataGeneratorSource::new(|n| (n, 1_u64), u64::MAX).rate_limited(50_000.0))
        .key_by(|(number, _)| *number)
        .sum(|(_, count)| count)
        .sink_to("none", || DiscardingSink);
    (sink, env.execute("checkpoints").unwrap_err().to_string())
}

fn assert_named(disk: &Path, reason: &str) {
    let (sink, checkpoints) = fill(disk);
    assert!(sink.contains(reason) && sink.contains(disk.join("out").to_str().unwrap()), "{sink}");
    assert!(checkpoints.contains("tolerable failure threshold"), "{checkpoints}");
    assert!(checkpoints.contains(reason) && checkpoints.contains("/checkpoints/"), "{checkpoints}");
}

/// Runs the test of that name in a process of its own, with a directory for `$DISK`, after the shell has done what comes before.
fn run_itself(shell: &[&str], before: &str, test: &str, reason: &str) {
    let disk = tempfile::tempdir().unwrap();
    let script = format!("DISK=${}; {before} && exec \"$0\" --exact \"$1\"", FULL.0);
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .envs([(FULL.0, disk.path().as_os_str()), (FULL.1, reason.as_ref())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{reason}: {said}\n{output:?}");
}

/// Root of a namespace of its own, whose mounts go with it.
const NAMESPACE: [&str; 4] = ["unshare", "--map-root-user", "--mount", "sh"];
const MOUNT: &str = "mount -t tmpfs -o size=128k none \"$DISK\"";

fn may_mount() -> bool {
    let disk = tempfile::tempdir().unwrap();
    let mut mount = Command::new(NAMESPACE[0]);
    mount.args(&NAMESPACE[1..]).args(["-c", MOUNT]).env("DISK", disk.path());
    mount.output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_is_named_by_whoever_writes_to_it() {
    let test = "a_full_disk_is_named_by_whoever_writes_to_it";
    if let (Some(disk), Ok(reason)) = (std::env::var_os(FULL.0), std::env::var(FULL.1)) {
        return assert_named(Path::new(&disk), &reason);
    }
    // What nobody has to permit: files that cannot grow, so that the kernel refuses a write half-way.
    run_itself(&["sh"], "trap '' XFSZ && ulimit -f 4", test, "File too large");
    // Where namespaces are permitted, a disk that is small as well.
    if may_mount() {
        run_itself(&NAMESPACE, MOUNT, test, "No space left on device");
    }
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

#[test]
fn a_maximum_parallelism_that_cannot_be_is_refused_where_it_was_set() {
    let said = |set: &dyn Fn(&StreamExecutionEnvironment) -> Option<u32>| {
        let env = StreamExecutionEnvironment::get_execution_environment();
        let numbers = env.from_sequence(1, 10).key_by(|number| *number).sum(|number| number).name("sums");
        let numbers = match set(&env) {
            Some(max) => numbers.set_max_parallelism(max),
            None => numbers,
        };
        numbers.execute_and_collect("numbers").map(|sums| sums.len()).map_err(|error| error.to_string())
    };
    let option = |value: &'static str| {
        said(&move |env| {
            env.set_option("pipeline.max-parallelism", value);
            None
        })
    };
    let error = option("many").unwrap_err();
    assert!(error.contains("'many'") && error.contains("'pipeline.max-parallelism'"), "{error}");
    for value in ["0", "-2", "32769"] {
        let error = option(value).unwrap_err();
        assert!(error.contains(&format!("pipeline.max-parallelism: \"{value}\"")), "{error}");
        assert!(error.contains("from 1 to 32768"), "{error}");
    }
    let error = said(&|env| {
        env.set_max_parallelism(40_000);
        None
    })
    .unwrap_err();
    assert!(error.contains("set_max_parallelism: \"40000\"") && error.contains("from 1 to 32768"), "{error}");
    for max in [0, 40_000] {
        let error = said(&move |_| Some(max)).unwrap_err();
        assert!(error.contains("sums") && error.contains(&format!("from 1 to 32768, not {max}")), "{error}");
    }
    assert_eq!((option("-1"), option(" 32768 ")), (Ok(10), Ok(10)));
}
