//! The application master is killed while a job runs: the job does not notice, its client follows, nothing is lost or doubled.

use kvick_integration::cluster::{KilledAtEnd, application, ended, nothing_left, processes, rest};
use kvick_integration::command::{command, example, fs};
use kvick_integration::expect::application_has;
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Records of the job, and how many of them a second: it runs for half a minute.
const COUNT: &str = "45000";
const RATE: &str = "1500";

/// The state machine job with its alerts in `name` of a directory, attached; returns its client and its application.
fn begin(dir: &HdfsDir, name: &str) -> (Child, String) {
    let jar = example("streaming/StateMachineExample.jar");
    let options = "run -m yarn-cluster -ys 2 -p 2 -Dexecution.checkpointing.interval=1s";
    let (checkpoints, output) = (dir.path("checkpoints"), dir.path(name));
    let parameters = ["--rps", RATE, "--count", COUNT, "--error-rate", "0.1"];
    let mut client = command("flink")
        .args(options.split(' '))
        .arg(&jar)
        .args(parameters)
        .args(["--checkpoint-dir", &checkpoints, "--output", &output])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the client starts");
    let mut lines = BufReader::new(client.stdout.take().expect("its output is ours")).lines();
    let mut application = None;
    for line in lines.by_ref() {
        let line = line.expect("text");
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        application = words.map(str::to_string).find(|word| word.starts_with("application_")).or(application);
        if line.starts_with("Job has been submitted") {
            break;
        }
    }
    // The rest is read to its end, so that the client is never held up by it.
    std::thread::spawn(move || lines.for_each(drop));
    (client, application.expect("the client names the application"))
}

/// The processes of an application whose program is called so.
fn called(id: &str, name: &str) -> Vec<u32> {
    let program = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let mut pids = processes(id);
    pids.retain(|pid| program(pid).file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)));
    pids.sort_unstable();
    pids
}

/// How many checkpoints of the application's job are complete, as its present master counts them.
fn completed(id: &str) -> Option<u64> {
    let jobs = json(&format!("{}/jobs/overview", rest(id)));
    let job = jobs["jobs"].get(0)?["jid"].as_str()?.to_string();
    json(&format!("{}/jobs/{job}/checkpoints", rest(id)))["counts"]["completed"].as_u64()
}

/// What a file sink wrote into its buckets.
fn alerts(dir: &HdfsDir, name: &str) -> Vec<String> {
    let listed = fs(&["ls", &dir.path(name)]).ok().out;
    let buckets = listed.lines().filter_map(|line| line.split_whitespace().last()?.rsplit('/').next());
    let texts: Vec<String> = buckets.map(|bucket| dir.read(&format!("{name}/{bucket}"))).collect();
    sorted_lines(&texts.concat())
}

#[test]
fn a_killed_application_master_costs_a_running_job_nothing() {
    let dir = HdfsDir::new("failover");
    let (mut undisturbed, _) = begin(&dir, "expected");
    assert!(undisturbed.wait().expect("the client ends").success());

    let (mut client, id) = begin(&dir, "alerts");
    let _end = KilledAtEnd(id.clone());
    let patience = Duration::from_secs(60);
    until("a checkpoint", patience, || completed(&id).filter(|count| *count > 1));
    let (masters, workers) = (called(&id, "kvick-appmaster"), called(&id, "StateMachineExample"));
    assert_eq!((masters.len(), workers.len()), (1, 1));
    let killed = Command::new("kill").args(["-9", &masters[0].to_string()]).status();
    assert!(killed.expect("kill").success());

    let second = || application(&id)["amContainerLogs"].as_str()?.contains("_02_000001").then_some(());
    until("the second attempt", patience, second);
    let again = || called(&id, "kvick-appmaster").first().copied().filter(|pid| *pid != masters[0]);
    until("its process", patience, again);
    let speaks = || application(&id)["amRPCAddress"].as_str().filter(|a| !a.ends_with("-1")).map(drop);
    until("its address", patience, speaks);
    until("a checkpoint under it", patience, || completed(&id).filter(|count| *count > 0));
    assert_eq!(called(&id, "StateMachineExample"), workers, "the worker is still the same process");

    assert!(client.wait().expect("the client ends").success(), "the attached client sees its job through");
    application_has(&ended(&id), &[("finalStatus", "SUCCEEDED")]);
    assert_eq!(alerts(&dir, "alerts"), alerts(&dir, "expected"), "every alert once");
    nothing_left(&id);
}
