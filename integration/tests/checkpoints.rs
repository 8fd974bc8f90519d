//! Checkpoints and savepoints on the real cluster: what a job counted is neither lost nor counted twice, whatever happens to
//! it and however it goes on.

use kvick_integration::cluster::{KilledAtEnd, application, rest};
use kvick_integration::command::{Ran, flink, fs, required, yarn_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::{json, request};
use kvick_integration::process::{Process, Role, in_role};
use kvick_integration::wait::until;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::NamedTempFile;

const LIMIT: Duration = Duration::from_secs(90);

fn jobs() -> String {
    required("KVICK_TEST_JOBS")
}

/// The finished part files of a directory: what is hidden is nobody's result.
fn committed(dir: &str) -> Vec<String> {
    let listed = fs(&["ls", dir]);
    let files = listed.out.lines().filter_map(|line| line.rsplit(' ').next());
    let finished = files.filter(|path| !path.rsplit('/').next().unwrap_or_default().starts_with('.'));
    finished
        .flat_map(|path| fs(&["cat", path]).ok().out.lines().map(str::to_string).collect::<Vec<_>>())
        .collect()
}

/// Every count of every digit is there, once.
#[track_caller]
fn exact(dir: &str, count: u64) {
    let lines = committed(dir);
    let distinct: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(lines.len(), distinct.len(), "something was written twice");
    let expected: BTreeSet<String> =
        (0..10).flat_map(|digit| (1..=count / 10).map(move |n| format!("({digit},{n})"))).collect();
    let missing = expected.iter().find(|line| !distinct.contains(line));
    assert_eq!(missing, None, "of {} lines {} are there", expected.len(), distinct.len());
    assert_eq!(lines.len(), expected.len());
}

/// The file that keeps a job from its end as long as it is there.
fn hold() -> NamedTempFile {
    NamedTempFile::new().expect("no temporary file")
}

/// Submits the counting job to a session, which ends when it is held no more.
fn submit(session: &str, dir: &HdfsDir, count: u64, held: &NamedTempFile, more: &[&str]) -> Ran {
    let (own, output) =
        (format!("-Dexecution.checkpointing.dir={}", dir.path("checkpoints")), dir.path("out"));
    let (jar, count, held) = (jobs(), count.to_string(), held.path().display().to_string());
    let savepoints = format!("-Dexecution.checkpointing.savepoint-dir={}", dir.path("savepoints"));
    let mut line =
        vec!["run", "-d", "-yid", session, "-c", "counts", "-Dexecution.checkpointing.interval=1s"];
    line.extend([own.as_str(), savepoints.as_str(), "-Drestart-strategy.type=fixed-delay"]);
    line.extend(["-Drestart-strategy.fixed-delay.attempts=20", "-Drestart-strategy.fixed-delay.delay=100ms"]);
    line.extend(more);
    line.extend([jar.as_str(), "--count", &count, "--rate", "2000", "--output", &output, "--while", &held]);
    flink(line).ok()
}

/// The checkpoints of a job as REST shows them.
fn checkpoints(session: &str, job: &str) -> Value {
    json(&format!("{}/jobs/{job}/checkpoints", rest(session)))
}

/// Waits until a job has completed so many checkpoints.
#[track_caller]
fn completed(session: &str, job: &str, count: u64) {
    let enough = || (checkpoints(session, job)["counts"]["completed"].as_u64() >= Some(count)).then_some(());
    until("completed checkpoints", LIMIT, enough);
}

#[track_caller]
fn in_state(session: &str, job: &str, state: &str) {
    let url = format!("{}/jobs/{job}", rest(session));
    until(&format!("the job {state}"), LIMIT, || (json(&url)["state"] == state).then_some(()));
}

/// Kills a worker of a session's only job with -9; says which.
#[track_caller]
fn kill_worker(session: &str) -> Process {
    let worker = until("a worker", LIMIT, || in_role(session, Role::Worker).first().cloned());
    assert!(worker.signal("KILL"), "{worker:?} was not there to be killed");
    worker
}

#[test]
fn a_killed_worker_costs_no_count_and_doubles_none() {
    let session = yarn_session(["-d", "-s", "2", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    assert_eq!(application(&session)["state"], "RUNNING");
    let dir = HdfsDir::new("killed-worker");
    let held = hold();
    let job = submit(&session, &dir, 40_000, &held, &["-p", "2"]).job();
    for round in 1..=3 {
        completed(&session, &job, 3 * round);
        kill_worker(&session);
        let restored =
            || (checkpoints(&session, &job)["counts"]["restored"].as_u64() >= Some(round)).then_some(());
        until("the restore", LIMIT, restored);
    }
    drop(held);
    in_state(&session, &job, "FINISHED");
    exact(&dir.path("out"), 40_000);
    // The end is told when the removal is ordered.
    let left = dir.path(&format!("checkpoints/{job}"));
    let removed = || (!fs(&["ls", &left]).out.contains("chk-")).then_some(());
    until("the removal of the finished job's checkpoints", LIMIT, removed);
}

#[test]
fn the_worker_after_a_killed_one_has_its_state_from_the_disk_of_its_node() {
    let session = yarn_session(["-d", "-s", "1", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let dir = HdfsDir::new("local-recovery");
    // State as small as this one's is otherwise part of the checkpoint's metadata, of which there is no copy.
    let local = [
        "-Dexecution.state-recovery.from-local=true",
        "-Dexecution.checkpointing.data-inline-threshold=0 kb",
    ];
    let held = hold();
    let job = submit(&session, &dir, 20_000, &held, &["-p", "2", local[0], local[1]]).job();
    completed(&session, &job, 3);
    let container = kill_worker(&session).container;
    let log = format!("{}/taskmanagers/{container}/logs/taskmanager.err", rest(&session));
    let said = |line: &str| {
        line.contains("local recovery: state of ")
            && line.contains("/chk-")
            && line.contains("is read from its local copies")
    };
    // Nobody has said so before: no worker of this task executor began with state.
    let found = || request("GET", &log, None).ok()?.1.lines().any(said).then_some(());
    until("a word that state was read from local copies", LIMIT, found);
    drop(held);
    in_state(&session, &job, "FINISHED");
    exact(&dir.path("out"), 20_000);
}

#[test]
fn a_job_is_stopped_and_goes_on_at_another_parallelism_and_is_modified_while_it_runs() {
    let session = yarn_session(["-d", "-s", "2", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let dir = HdfsDir::new("stopped");
    let held = hold();
    let first = submit(&session, &dir, 60_000, &held, &["-p", "1"]).job();
    completed(&session, &first, 2);
    let saved = flink(["savepoint", "-yid", &session, &first, &dir.path("elsewhere")]).ok();
    saved.says(&format!("Triggering savepoint for job {first}.")).says("You can resume your program");
    let stopped = flink(["stop", "-yid", &session, &first]).ok();
    let path = stopped.out.split("Savepoint completed. Path: ").nth(1).expect("a path").trim().to_string();
    assert!(path.starts_with(&dir.path(&format!("savepoints/savepoint-{}-", &first[..6]))), "{path}");
    in_state(&session, &first, "FINISHED");

    let second = submit(&session, &dir, 60_000, &held, &["-p", "2", "-s", &path]).job();
    completed(&session, &second, 2);
    assert_eq!(checkpoints(&session, &second)["latest"]["restored"]["external_path"], path);
    let modified = flink(["modify", "-yid", &session, &second, "-p", "3"]).ok();
    modified.says(&format!("Rescaled job {second}. Its new parallelism is 3."));
    let shown = json(&format!("{}/jobs/{second}", rest(&session)));
    assert_eq!(shown["vertices"][0]["parallelism"], 3, "{shown:#}");
    drop(held);
    in_state(&session, &second, "FINISHED");
    exact(&dir.path("out"), 60_000);

    let taken = flink(["savepoint", "-yid", &session, "-d", &path]).ok();
    taken.says(&format!("Savepoint '{path}' disposed."));
    let (jar, output) = (jobs(), dir.path("again"));
    let line = ["run", "-yid", &session, "-s", &path, "-c", "counts", &jar, "--output", &output];
    flink(line.iter().chain(&["--count", "1", "--rate", "1"])).fails(1).says(&path);
}
