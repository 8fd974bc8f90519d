//! Batch jobs on the real cluster: over several workers, with fewer slots than subtasks side by side, and with a worker killed
//! when others are to read what it has kept.
//!
//! `KVICK_TEST_MEGABYTES` sets how much they read; `scripts/test-large.sh` runs this with 300.

use kvick_integration::cluster::{KilledAtEnd, rest};
use kvick_integration::command::{Ran, example, flink, fs, required, yarn_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::{json, request};
use kvick_integration::process::{Process, Role, in_role, local_files};
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use kvick_integration::words::{counted_by_awk, megabytes, shell, write_keyed, write_text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// A session that has so many task executors, with one slot each, and never gets more.
fn session(executors: u32) -> (String, KilledAtEnd) {
    let slots = ["min", "max"].map(|bound| format!("-Dslotmanager.number-of-slots.{bound}={executors}"));
    let options = "-d -s 1 -jm 1024 -tm 1024 -Dtaskmanager.memory.managed.size=8mb";
    let started = yarn_session(options.split(' ').chain(slots.iter().map(String::as_str))).ok();
    let id = started.application();
    let there = || (json(&format!("{}/overview", rest(&id)))["taskmanagers"] == executors).then_some(());
    until("the task executors", LIMIT, there);
    (id.clone(), KilledAtEnd(id))
}

/// `flink run` in a session, with checkpoints as far as there are any.
fn run(session: &str, parallelism: u32, arguments: &[&str]) -> Ran {
    let parallelism = parallelism.to_string();
    let options = ["run", "-yid", session, "-p", &parallelism, "-Dexecution.checkpointing.interval=200ms"];
    flink(options.iter().chain(arguments)).ok()
}

/// A vertex of the join by its part in it, others by their name.
fn part(vertex: &Value) -> String {
    let name = vertex["name"].as_str().unwrap_or_default();
    ["left", "right", "join"].into_iter().find(|part| name.contains(part)).unwrap_or(name).to_string()
}

/// The attempts of each vertex: of each subtask the number and the container.
fn attempts(session: &str, job: &str) -> BTreeMap<String, Vec<(u64, String)>> {
    let url = format!("{}/jobs/{job}", rest(session));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let of = |vertex: &Value| {
        let subtasks = json(&format!("{url}/vertices/{}", text(&vertex["id"])))["subtasks"].clone();
        let one = |subtask: &Value| {
            (subtask["attempt"].as_u64().expect("a number"), text(&subtask["taskmanager-id"]))
        };
        (part(vertex), subtasks.as_array().expect("subtasks").iter().map(one).collect())
    };
    json(&url)["vertices"].as_array().expect("vertices").iter().map(of).collect()
}

/// What holds of every batch job that has finished undisturbed in a session.
#[track_caller]
fn nothing_was_done_twice_or_left(session: &str, job: &str) {
    let all = attempts(session, job);
    assert!(all.values().flatten().all(|(attempt, _)| *attempt == 0), "{all:?}");
    no_checkpoints_and_no_files(session, job);
}

#[track_caller]
fn no_checkpoints_and_no_files(session: &str, job: &str) {
    let url = format!("{}/jobs/{job}/checkpoints", rest(session));
    let (status, body) = request("GET", &url, None).expect("an answer");
    assert_eq!(status, 404, "there are no checkpoints in batch mode: {body}");
    until("the removal of files", LIMIT, || local_files(session).is_empty().then_some(()));
}

#[test]
fn four_subtasks_side_by_side_run_in_one_slot_and_in_two() {
    let local = tempfile::NamedTempFile::new().expect("no temporary file");
    write_text(local.path());
    let expected = counted_by_awk(local.path());
    assert!(expected.len() > 1000, "awk counted {} words", expected.len());
    let dir = HdfsDir::new("batch-words");
    let input = dir.path("text.txt");
    fs(&["put", &local.path().display().to_string(), &input]).ok();
    for slots in [1, 2] {
        let (session, _end) = session(slots);
        let output = dir.path(&format!("counts-{slots}"));
        let jar = example("batch/WordCount.jar");
        let ran = run(&session, 4, &[&jar, "--input", &input, "--output", &output]);
        let counts = sorted_lines(&dir.read(&format!("counts-{slots}")));
        assert!(counts == expected, "{} counts differ from awk's {}", counts.len(), expected.len());
        assert_eq!(json(&format!("{}/overview", rest(&session)))["taskmanagers"], slots);
        nothing_was_done_twice_or_left(&session, &ran.job());
        println!("{} MB in {slots} slots:\n{}", megabytes(), ran.out);
    }
}

/// Two files to join, here and on HDFS; each key is in either about three times.
struct Sides {
    local: tempfile::TempDir,
    remote: HdfsDir,
}

impl Sides {
    fn new(name: &str, megabytes: usize) -> Sides {
        let (local, remote) = (tempfile::tempdir().expect("no directory"), HdfsDir::new(name));
        // A line is about 30 bytes long.
        let (bytes, keys) = (megabytes * 500_000, megabytes as u64 * 500_000 / 30 / 3);
        for side in ["left", "right"] {
            let path = local.path().join(side);
            write_keyed(&path, bytes, keys, side);
            fs(&["put", &path.display().to_string(), &remote.path(side)]).ok();
        }
        Sides { local, remote }
    }

    /// The arguments of the job.
    fn arguments(&self) -> Vec<String> {
        let [left, right, out] = ["left", "right", "out"].map(|name| self.remote.path(name));
        let jar = required("KVICK_TEST_JOBS");
        ["-c", "joins", &jar, "--left", &left, "--right", &right, "--output", &out].map(String::from).into()
    }

    /// Asserts that the output is what the tools `sort` and `join` make of the same files.
    #[track_caller]
    fn are_joined(&self) {
        let (fs, out) = (required("KVICK_FS"), self.remote.path("out"));
        let script = format!(
            "sort -k1,1 left > l; sort -k1,1 right > r; join l r | sort > expected; \"{fs}\" cat {out} | sort > found; \
             test -s expected; cmp expected found"
        );
        shell(self.local.path(), &script).ok();
    }
}

fn spilled(session: &str, job: &str) -> u64 {
    let url = format!("{}/jobs/{job}", rest(session));
    let vertices = json(&url)["vertices"].clone();
    let of = |vertex: &Value| {
        let id = vertex["id"].as_str().unwrap_or_default();
        let metrics = json(&format!("{url}/vertices/{id}/subtasks/metrics?get=numBytesSpilled"));
        metrics[0]["sum"].as_f64().unwrap_or_default() as u64
    };
    vertices.as_array().expect("vertices").iter().map(of).sum()
}

#[test]
fn a_join_over_two_workers_is_what_sort_and_join_make_of_it() {
    let sides = Sides::new("batch-join", megabytes());
    let (session, _end) = session(2);
    let arguments = sides.arguments();
    let ran = run(&session, 4, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    sides.are_joined();
    nothing_was_done_twice_or_left(&session, &ran.job());
    println!("{} MB joined, {} bytes spilled:\n{}", megabytes(), spilled(&session, &ran.job()), ran.out);
}

/// The worker in a container.
#[track_caller]
fn worker_in(session: &str, container: &str) -> Process {
    let workers = in_role(session, Role::Worker).into_iter();
    let mut there = workers.filter(|worker| worker.container == container);
    there.next().unwrap_or_else(|| panic!("no worker in {container}"))
}

#[test]
fn what_a_killed_worker_had_kept_is_made_again_and_nothing_else() {
    let sides = Sides::new("batch-killed", 4);
    let (session, _end) = session(2);
    let gate = sides.local.path().join("gate");
    let mut arguments: Vec<String> = ["-d", "-Drestart-strategy.type=fixed-delay"].map(String::from).into();
    arguments.extend(
        ["-Drestart-strategy.fixed-delay.attempts=1", "-Drestart-strategy.fixed-delay.delay=1ms"]
            .map(String::from),
    );
    arguments.extend(sides.arguments());
    arguments.extend(["--until".to_string(), gate.display().to_string()]);
    let job = run(&session, 2, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).job();
    reads_what_is_kept(&session, &job);

    let before = attempts(&session, &job);
    let victim = before["left"][0].1.clone();
    let worker = worker_in(&session, &victim);
    let own = |names: &str| names.contains(&format!("-{}-", worker.pid));
    assert!(local_files(&session).iter().any(|name| own(name)), "it keeps files");
    assert!(worker.signal("KILL"));
    let gone = || local_files(&session).iter().all(|name| !own(name)).then_some(());
    until("the removal of what it has left", LIMIT, gone);
    let url = format!("{}/jobs/{job}", rest(&session));
    // The consumer in the other worker cannot be stopped before the gate opens.
    until("the restart", LIMIT, || (json(&url)["state"] == "RESTARTING").then_some(()));
    File::create(&gate).expect("the gate");

    until("the end", LIMIT, || (json(&url)["state"] == "FINISHED").then_some(()));
    sides.are_joined();
    for (vertex, after) in attempts(&session, &job) {
        let ran_there = |(_, container): &(u64, String)| *container == victim;
        let expected: Vec<u64> =
            before[&vertex].iter().map(|task| u64::from(vertex == "join" || ran_there(task))).collect();
        assert_eq!(
            after.iter().map(|task| task.0).collect::<Vec<_>>(),
            expected,
            "{vertex}, before: {before:?}"
        );
    }
    no_checkpoints_and_no_files(&session, &job);
}

/// Waits until the first stage has finished and the second one has begun: it waits at the gate while it opens.
#[track_caller]
fn reads_what_is_kept(session: &str, job: &str) {
    let url = format!("{}/jobs/{job}", rest(session));
    // A vertex begins with its first subtask: all of them are to wait.
    let state = |vertex: &Value| match part(vertex).as_str() {
        "join" => vertex["tasks"]["INITIALIZING"] == 2,
        _ => vertex["status"] == "FINISHED",
    };
    let all =
        || json(&url)["vertices"].as_array().filter(|all| all.len() == 3)?.iter().all(state).then_some(());
    until("the second stage", LIMIT, all);
}
