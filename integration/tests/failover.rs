//! The application master is killed while a job runs: the job does not notice, its client follows, nothing is lost or doubled.

use kvick_integration::cluster::{
    KilledAtEnd, application, applications, ended, nothing_left, processes, rest,
};
use kvick_integration::command::{command, example, flink, fs};
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

/// The command that runs the state machine job with its alerts in `name` of a directory.
fn state_machine(dir: &HdfsDir, name: &str, more: &[&str]) -> Command {
    let options = "run -m yarn-cluster -ys 2 -p 2 -Dexecution.checkpointing.interval=1s";
    let (checkpoints, output) = (dir.path("checkpoints"), dir.path(name));
    let mut client = command("flink");
    client
        .args(options.split(' '))
        .args(more)
        .arg(example("streaming/StateMachineExample.jar"))
        .args(["--rps", RATE, "--count", COUNT, "--error-rate", "0.1"])
        .args(["--checkpoint-dir", &checkpoints, "--output", &output]);
    client
}

/// The state machine job with its alerts in `name` of a directory, attached; returns its client and its application.
fn begin(dir: &HdfsDir, name: &str) -> (Child, String) {
    let mut client = state_machine(dir, name, &[])
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

/// The words of a client and its application, once it has ended.
fn ended_badly(client: Child) -> String {
    let output = client.wait_with_output().expect("the client ends");
    assert!(!output.status.success());
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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

/// What follows `marker` in a text, up to the end of the word.
fn word_after<'a>(text: &'a str, marker: &str) -> &'a str {
    let (_, rest) = text.split_once(marker).unwrap_or_else(|| panic!("\"{marker}\" is not in\n{text}"));
    rest.split_whitespace().next().unwrap_or_default()
}

#[test]
fn what_the_last_application_master_leaves_is_named_and_the_job_goes_on_from_there() {
    let dir = HdfsDir::new("last");
    let (mut undisturbed, _) = begin(&dir, "expected");
    assert!(undisturbed.wait().expect("the client ends").success());

    let client = state_machine(&dir, "alerts", &["-Dyarn.application-attempts=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let patience = Duration::from_secs(60);
    let running =
        || applications("RUNNING").into_iter().find(|id| !called(id, "StateMachineExample").is_empty());
    let id = until("the application", patience, running);
    let _end = KilledAtEnd(id.clone());
    until("a checkpoint", patience, || completed(&id).filter(|count| *count > 1));
    let master = called(&id, "kvick-appmaster")[0].to_string();
    assert!(Command::new("kill").args(["-9", &master]).status().expect("kill").success());

    let told = ended_badly(client);
    application_has(&ended(&id), &[("finalStatus", "FAILED")]);
    assert!(told.contains("Diagnostics from YARN:"), "{told}");
    let job = word_after(&told, "Job has been submitted with JobID ");
    assert!(told.contains(&format!("The job {job} (")), "{told}");
    let checkpoint = word_after(&told, "flink run -s ");
    assert!(checkpoint.contains("/chk-"), "{told}");
    let asked = flink(["list", "-yid", &id]).fails(1).says(&format!("flink run -s {checkpoint} "));
    let records = word_after(&format!("{}{}", asked.out, asked.err), "hdfs dfs -rm -r ").to_string();

    let again = state_machine(&dir, "alerts", &["-s", checkpoint]).status();
    assert!(again.expect("the client starts").success());
    assert_eq!(alerts(&dir, "alerts"), alerts(&dir, "expected"), "every alert once");
    fs(&["rm", &records]).ok();
    fs(&["rm", &format!(".flink/{id}")]).ok();
    flink(["list", "-yid", &id]).fails(1).says("doesn't run anymore");
    nothing_left(&id);
}
