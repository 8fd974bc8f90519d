//! Jobs with state in RocksDB on the real cluster: the state machine example, which is stopped and goes on at another parallelism
//! and on the other backend, and a job that was written from the documentation alone, whose worker is killed.
//!
//! The plugin must be there: `scripts/build-plugins.sh`.

use kvick_integration::cluster::{KilledAtEnd, processes, rest};
use kvick_integration::command::{example, flink, required, yarn_session};
use kvick_integration::hdfs::{HdfsDir, committed};
use kvick_integration::http::json;
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::NamedTempFile;

const LIMIT: Duration = Duration::from_secs(90);

#[track_caller]
fn completed(session: &str, job: &str, count: u64) {
    let url = format!("{}/jobs/{job}/checkpoints", rest(session));
    let enough = || (json(&url)["counts"]["completed"].as_u64() >= Some(count)).then_some(());
    until("completed checkpoints", LIMIT, enough);
}

#[track_caller]
fn in_state(session: &str, job: &str, state: &str) {
    let url = format!("{}/jobs/{job}", rest(session));
    until(&format!("the job {state}"), LIMIT, || (json(&url)["state"] == state).then_some(()));
}

/// The alerts of an undisturbed run in one process.
fn undisturbed(events: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("no temporary directory");
    let output = format!("file://{}", dir.path().join("out").display());
    let jar = example("streaming/StateMachineExample.jar");
    flink([
        "run",
        "-t",
        "local",
        &jar,
        "--error-rate",
        "0.3",
        "--count",
        events,
        "--rps",
        "1000000",
        "--output",
        &output,
    ])
    .ok();
    let mut lines = Vec::new();
    for bucket in std::fs::read_dir(dir.path().join("out")).expect("no output").flatten() {
        for part in std::fs::read_dir(bucket.path()).expect("no bucket").flatten() {
            if !part.file_name().to_string_lossy().starts_with('.') {
                let text = std::fs::read_to_string(part.path()).expect("no part");
                lines.extend(text.lines().map(str::to_string));
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn the_state_machine_is_stopped_and_goes_on_at_another_parallelism_and_on_the_other_backend() {
    // More than are read while it is stopped twice; the last one reads what is left as fast as it can.
    const EVENTS: &str = "72000";
    let session = yarn_session(["-d", "-s", "3", "-jm", "1024", "-tm", "2048"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let dir = HdfsDir::new("state-machine");
    let (checkpoints, output) = (dir.path("checkpoints"), dir.path("out"));
    let savepoints = format!("-Dexecution.checkpointing.savepoint-dir={}", dir.path("savepoints"));
    let jar = example("streaming/StateMachineExample.jar");
    let submit = |more: &[&str], backend: &str, rate: &str| {
        let mut line =
            vec!["run", "-d", "-yid", &session, &savepoints, "-Dexecution.checkpointing.interval=1s"];
        line.extend_from_slice(more);
        line.extend([
            jar.as_str(),
            "--error-rate",
            "0.3",
            "--count",
            EVENTS,
            "--rps",
            rate,
            "--backend",
            backend,
        ]);
        line.extend([
            "--incremental-checkpoints",
            "true",
            "--checkpoint-dir",
            &checkpoints,
            "--output",
            &output,
        ]);
        flink(line).ok().job()
    };
    let path = |out: &str| {
        out.split("Path: ").nth(1).expect("a path").lines().next().expect("a line").trim().to_string()
    };

    let first = submit(&["-p", "1"], "rocksdb", "1200");
    completed(&session, &first, 2);
    let taken = flink(["savepoint", "-yid", &session, &first]).ok();
    assert!(path(&taken.out).starts_with(&dir.path("savepoints")), "{}", taken.out);
    let stopped = path(&flink(["stop", "-yid", &session, &first]).ok().out);
    in_state(&session, &first, "FINISHED");

    let second = submit(&["-p", "3", "-s", &stopped], "hashmap", "1200");
    completed(&session, &second, 2);
    let stopped = path(&flink(["stop", "-yid", &session, &second]).ok().out);
    in_state(&session, &second, "FINISHED");

    let third = submit(&["-p", "2", "-s", &stopped], "rocksdb", "1000000");
    in_state(&session, &third, "FINISHED");
    let (alerts, expected) = (committed(&output), undisturbed(EVENTS));
    assert_eq!(alerts.len(), expected.len());
    assert!(alerts == expected, "other alerts than those of an undisturbed run");
}

/// What the ledger must hold: `<meter> <second> <sum> <total>`.
fn ledger(meters: u64, readings: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for meter in 0..meters {
        let mut seconds = BTreeMap::<i64, u64>::new();
        for n in 0..readings {
            *seconds.entry(n as i64 / 10 + meter as i64 * 3600).or_default() += n % 7 + meter;
        }
        let mut total = 0;
        for (second, sum) in seconds {
            total += sum;
            lines.push(format!("meter-{meter} {second} {sum} {total}"));
        }
    }
    lines.sort();
    lines
}

fn written(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let shown = files.filter(|file| !file.file_name().to_string_lossy().starts_with('.'));
    sorted_lines(&shown.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect::<String>())
}

#[test]
fn a_job_from_outside_with_its_own_source_and_sink_loses_and_doubles_nothing_when_its_worker_is_killed() {
    let session = yarn_session(["-d", "-s", "2", "-jm", "1024", "-tm", "2048"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let dir = HdfsDir::new("meters");
    let local = tempfile::tempdir().expect("no temporary directory");
    let ledger_dir = local.path().join("ledger").display().to_string();
    let checkpoints = format!("-Dexecution.checkpointing.dir={}", dir.path("checkpoints"));
    let (jobs, held) = (required("KVICK_TEST_JOBS"), NamedTempFile::new().expect("no temporary file"));
    let hold = held.path().display().to_string();
    let mut line = vec!["run", "-d", "-yid", &session, "-p", "2", "-c", "meters", &checkpoints];
    line.extend(["-Dstate.backend.type=rocksdb", "-Dexecution.checkpointing.interval=500ms"]);
    line.extend(["-Drestart-strategy.type=fixed-delay", "-Drestart-strategy.fixed-delay.attempts=10"]);
    line.extend([
        jobs.as_str(),
        "--ledger",
        &ledger_dir,
        "--meters",
        "4",
        "--readings",
        "300",
        "--pause",
        "20",
        "--while",
        &hold,
    ]);
    let job = flink(line).ok().job();
    completed(&session, &job, 3);
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let worker = processes(&session).into_iter().find(|pid| name(pid).trim() == "meters").expect("a worker");
    let killed = Command::new("kill").args(["-9", &worker.to_string()]).status();
    assert!(killed.expect("kill runs").success());
    drop(held);
    in_state(&session, &job, "FINISHED");
    assert_eq!(written(Path::new(&ledger_dir)), ledger(4, 300));
}
