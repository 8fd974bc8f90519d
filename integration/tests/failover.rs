//! The application master is killed while a job or a session runs: the job does not notice, whoever is attached follows, nothing
//! is lost or doubled.

use kvick_integration::chaos::await_known;
use kvick_integration::cluster::{
    KilledAtEnd, application, applications, ended, no_checkpoint_left, nothing_left, processes, rest,
};
use kvick_integration::command::{command, example, flink, fs, yarn_session};
use kvick_integration::expect::{application_has, session_stops, stop_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Records of the job, and how many of them a second: it runs for half a minute.
const COUNT: u32 = 45_000;
const RATE: u32 = 1500;

/// The command that runs the state machine job with its alerts in `name` of a directory.
fn state_machine(dir: &HdfsDir, name: &str, more: &[&str]) -> Command {
    let own = ["-m", "yarn-cluster", "-ys", "2"];
    state_machine_of(COUNT, dir, name, &[&own, more].concat())
}

/// The same with so many records, wherever the options say.
fn state_machine_of(count: u32, dir: &HdfsDir, name: &str, options: &[&str]) -> Command {
    let (checkpoints, output) = (dir.path("checkpoints"), dir.path(name));
    let mut client = command("flink");
    client
        .args(["run", "-p", "2", "-Dexecution.checkpointing.interval=1s"])
        .args(options)
        .arg(example("streaming/StateMachineExample.jar"))
        .args(["--rps", &RATE.to_string(), "--count", &count.to_string(), "--error-rate", "0.1"])
        .args(["--checkpoint-dir", &checkpoints, "--output", &output]);
    client
}

/// The state machine job with its alerts in `name` of a directory, attached; returns its client and its application.
fn begin(dir: &HdfsDir, name: &str) -> (Child, String) {
    attached(state_machine(dir, name, &[]), "Job has been submitted")
}

/// Starts a client, and reads what it says up to a line; returns it and the application that it names.
fn attached(mut client: Command, up_to: &str) -> (Child, String) {
    let mut client = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the client starts");
    let mut lines = BufReader::new(client.stdout.take().expect("its output is ours")).lines();
    let mut application = None;
    for line in lines.by_ref() {
        let line = line.expect("text");
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        application = words.map(str::to_string).find(|word| word.starts_with("application_")).or(application);
        if line.starts_with(up_to) {
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

/// Kills the master of an application with `kill -9`, once YARN knows of what is to outlive it, and waits until the next one has told
/// YARN where it is.
fn replace_master(id: &str) {
    await_known(id).expect("its task executors stay");
    let masters = called(id, "kvick-appmaster");
    assert_eq!(masters.len(), 1);
    let killed = Command::new("kill").args(["-9", &masters[0].to_string()]).status();
    assert!(killed.expect("kill").success());
    let second = || application(id)["amContainerLogs"].as_str()?.contains("_02_000001").then_some(());
    until("the second attempt", PATIENCE, second);
    let again = || called(id, "kvick-appmaster").first().copied().filter(|pid| *pid != masters[0]);
    until("its process", PATIENCE, again);
    let speaks = || application(id)["amRPCAddress"].as_str().filter(|a| !a.ends_with("-1")).map(drop);
    until("its address", PATIENCE, speaks);
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
    until("a checkpoint", PATIENCE, || completed(&id).filter(|count| *count > 1));
    let workers = called(&id, "StateMachineExample");
    assert_eq!(workers.len(), 1);
    replace_master(&id);
    until("a checkpoint under it", PATIENCE, || completed(&id).filter(|count| *count > 0));
    assert_eq!(called(&id, "StateMachineExample"), workers, "the worker is still the same process");

    assert!(client.wait().expect("the client ends").success(), "the attached client sees its job through");
    application_has(&ended(&id), &[("finalStatus", "SUCCEEDED")]);
    assert_eq!(alerts(&dir, "alerts"), alerts(&dir, "expected"), "every alert once");
    nothing_left(&id);
    no_checkpoint_left(&dir, "checkpoints");
}

#[test]
fn an_attached_session_follows_to_the_next_application_master_and_stops_it() {
    let mut start = command("yarn-session.sh");
    start.stdin(Stdio::piped());
    let (session, id) = attached(start, "JobManager Web Interface");
    let _end = KilledAtEnd(id.clone());
    replace_master(&id);
    session_stops(session, &id);
}

#[test]
fn a_client_attached_to_a_job_of_a_session_sees_it_through() {
    let session = yarn_session(["-d", "-s", "2"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let dir = HdfsDir::new("attached");
    let job = state_machine_of(15_000, &dir, "alerts", &["-yid", &session]);
    let (mut client, _) = attached(job, "Job has been submitted");
    until("a checkpoint", PATIENCE, || completed(&session).filter(|count| *count > 1));
    replace_master(&session);
    assert!(client.wait().expect("the client ends").success());
    stop_session(&session);
    no_checkpoint_left(&dir, "checkpoints");
}

#[test]
fn a_job_that_shall_end_with_its_client_does_so_under_the_next_application_master_too() {
    let dir = HdfsDir::new("with-its-client");
    let heartbeats = ["-Dclient.heartbeat.interval=500ms", "-Dclient.heartbeat.timeout=5s"];
    let options = ["-m", "yarn-cluster", "-ys", "2", "-sae", heartbeats[0], heartbeats[1]];
    // More than it comes to.
    let job = state_machine_of(10 * COUNT, &dir, "alerts", &options);
    let (mut client, id) = attached(job, "Job has been submitted");
    let _end = KilledAtEnd(id.clone());
    until("a checkpoint", PATIENCE, || completed(&id).filter(|count| *count > 1));
    replace_master(&id);
    // One a second: it goes on for longer than one heartbeat holds.
    until("checkpoints under it", PATIENCE, || completed(&id).filter(|count| *count > 6));
    client.kill().expect("the client is there");
    client.wait().expect("the client ends");
    // Otherwise it would go on to its own end, and succeed.
    application_has(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
    no_checkpoint_left(&dir, "checkpoints");
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
    let running =
        || applications("RUNNING").into_iter().find(|id| !called(id, "StateMachineExample").is_empty());
    let id = until("the application", PATIENCE, running);
    let _end = KilledAtEnd(id.clone());
    until("a checkpoint", PATIENCE, || completed(&id).filter(|count| *count > 1));
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
