//! The three modes, each as a person types it, with YARN's own view of it, and nothing left afterwards.

use kvick_integration::cluster::{
    application, applications, container_sizes, ended, kill, nothing_left, rest,
};
use kvick_integration::command::{Ran, command, example, flink, fs, run, yarn_session};
use kvick_integration::http::{json, request};
use kvick_integration::wait::until;
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// A file on HDFS that is deleted when the test is over.
struct HdfsDir(String);

impl HdfsDir {
    fn new(name: &str) -> HdfsDir {
        let dir = format!("kvick-test-{}-{name}", std::process::id());
        HdfsDir(fs(&["uri", &dir]).ok().out.trim().to_string())
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    fn put(&self, name: &str, content: &str) -> String {
        let mut local = tempfile::NamedTempFile::new().unwrap();
        local.write_all(content.as_bytes()).unwrap();
        let path = self.path(name);
        fs(&["put", &local.path().display().to_string(), &path]).ok();
        path
    }
}

impl Drop for HdfsDir {
    fn drop(&mut self) {
        fs(&["rm", &self.0]);
    }
}

fn sorted_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort();
    lines
}

#[track_caller]
fn expect_app(app: &Value, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(app[key].as_str(), Some(*value), "{key} in {app:#}");
    }
}

fn job_finished(ran: &Ran) {
    assert!(ran.out.contains("Program execution finished"), "{}", ran.out);
    assert!(ran.out.contains(&format!("Job with JobID {} has finished.", ran.job())), "{}", ran.out);
    assert!(ran.out.lines().any(|l| l.starts_with("Job Runtime: ") && l.ends_with(" ms")), "{}", ran.out);
}

#[test]
fn per_job_mode_counts_words_on_hdfs() {
    let dir = HdfsDir::new("per-job");
    let input = dir.put("poem.txt", "to be or not to be\nthat is the question\n");
    let output = dir.path("counts");
    let jar = example("batch/WordCount.jar");
    let ran = flink(["run", "-m", "yarn-cluster", &jar, "--input", &input, "--output", &output]).ok();
    job_finished(&ran);
    let counts = fs(&["cat", &output]).ok().out;
    let expected = ["be 2", "is 1", "not 1", "or 1", "question 1", "that 1", "the 1", "to 2"];
    assert_eq!(sorted_lines(&counts), expected);
    let app = ended(&ran.application());
    expect_app(
        &app,
        &[
            ("name", "Flink per-job cluster"),
            ("applicationType", "Apache Flink"),
            ("queue", "root.default"),
            ("finalStatus", "SUCCEEDED"),
        ],
    );
    nothing_left(&ran.application());
}

#[test]
fn the_old_flags_choose_sizes_and_detach() {
    let jar = example("streaming/TopSpeedWindowing.jar");
    let options =
        "run -m yarn-cluster -yn 2 -yjm 1024 -ytm 1024 -ys 4 -yd -yD env.test=1 -ynm old -yqu other -p 5";
    let ran = flink(options.split(' ').chain([jar.as_str()])).ok();
    let (id, job) = (ran.application(), ran.job());
    assert!(ran.out.contains(&format!("yarn application -kill {id}")), "{}", ran.out);
    until("both task executors", SECONDS(30), || (container_sizes(&id) == [1024, 1024, 1024]).then_some(()));
    let app = application(&id);
    expect_app(&app, &[("name", "old"), ("queue", "root.other"), ("state", "RUNNING")]);
    let config = json(&format!("{}/jobmanager/config", rest(&id)));
    assert!(
        config.as_array().unwrap().iter().any(|e| e["key"] == "env.test" && e["value"] == "1"),
        "{config}"
    );
    let list = flink(["list", "-yid", &id]).ok();
    assert!(list.out.contains(&format!("{job} : ")) && list.out.contains("(RUNNING)"), "{}", list.out);
    flink(["cancel", "-yid", &id, &job]).ok().says(&format!("Cancelled job {job}."));
    expect_app(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
}

#[test]
fn a_detached_session_runs_lists_and_cancels_jobs() {
    let started =
        yarn_session("-n 2 -tm 800 -s 1 -d".split(' ')).ok().says("JobManager Web Interface: http://");
    let id = started.application();
    started.says(&format!("echo \"stop\" | ./bin/yarn-session.sh -id {id}"));
    let ran = flink(["run", &example("streaming/WordCount.jar")]).ok().says("Found Yarn properties file");
    job_finished(&ran);
    assert_eq!(container_sizes(&id)[1..], [1024], "800 MB are rounded up to YARN's step of 256 MB");
    let endless = flink(["run", "-d", &example("streaming/TopSpeedWindowing.jar")]).ok().job();
    flink(["list"]).ok().says(&format!("{endless} : ")).says("Running/Restarting Jobs");
    flink(["list", "-a"]).ok().says(&format!("{} : ", ran.job())).says("Terminated Jobs");
    flink(["cancel", &endless]).ok().says(&format!("Cancelling job {endless}.")).says("Cancelled job");
    let url = format!("{}/jobs/{endless}", rest(&id));
    until("the cancelled job", SECONDS(20), || (json(&url)["state"] == "CANCELED").then_some(()));
    stop_session(&id);
    flink(["list", "-yid", &id]).fails(1).says("doesn't run anymore");
}

fn stop_session(id: &str) {
    let mut child = command("yarn-session.sh")
        .args(["-id", id])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"stop\n").unwrap();
    assert!(child.wait().unwrap().success());
    expect_app(
        &ended(id),
        &[("state", "FINISHED"), ("finalStatus", "SUCCEEDED"), ("name", "Flink session cluster")],
    );
    nothing_left(id);
}

#[test]
fn an_attached_session_stops_when_told_to() {
    let before = applications("RUNNING");
    let mut session = command("yarn-session.sh")
        .args("-s 3 -tm 2048".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = until("the session", SECONDS(30), || {
        applications("RUNNING").into_iter().find(|a| !before.contains(a))
    });
    until("the properties file", SECONDS(30), || {
        flink(["list"]).out.contains("No running jobs.").then_some(())
    });
    let ran = flink(["run", "-p", "3", &example("streaming/WordCount.jar")]).ok();
    job_finished(&ran);
    assert_eq!(container_sizes(&id)[1..], [2048], "three slots fit into one task executor");
    session.stdin.take().unwrap().write_all(b"stop\n").unwrap();
    assert!(session.wait().unwrap().success());
    expect_app(&ended(&id), &[("finalStatus", "SUCCEEDED")]);
    nothing_left(&id);
    let listed = flink(["list"]).fails(1);
    assert!(
        listed.took < SECONDS(10),
        "a session that is gone is told within seconds, not {:?}",
        listed.took
    );
}

#[test]
fn application_mode_runs_main_in_the_application_master() {
    let jar = example("streaming/WordCount.jar");
    let ran = flink([
        "run-application",
        "-t",
        "yarn-application",
        "-Djobmanager.memory.process.size=2048m",
        "-Dtaskmanager.memory.process.size=4096m",
        "-Dyarn.application.name=MyWordCount",
        &jar,
    ])
    .ok();
    let app = ended(&ran.application());
    expect_app(
        &app,
        &[("name", "MyWordCount"), ("finalStatus", "SUCCEEDED"), ("applicationType", "Apache Flink")],
    );
    nothing_left(&ran.application());
}

#[test]
fn words_are_counted_over_two_task_executors_on_two_nodes() {
    let dir = HdfsDir::new("nodes");
    let text: String = (0..20_000).map(|i| format!("w{} w{} common\n", i % 97, i % 1013)).collect();
    let input = dir.put("text.txt", &text);
    let output = dir.path("counts");
    let options = "run -m yarn-cluster -p 4 -ys 2 -ytm 1024";
    let jar = example("batch/WordCount.jar");
    let arguments = options.split(' ').chain([jar.as_str(), "--input", &input, "--output", &output]);
    job_finished(&run(command("flink").args(arguments)).ok());
    let mut expected = std::collections::BTreeMap::new();
    text.split_whitespace().for_each(|w| *expected.entry(w).or_insert(0) += 1);
    let expected: Vec<String> = expected.iter().map(|(w, n)| format!("{w} {n}")).collect();
    let mut counts = sorted_lines(&fs(&["cat", &output]).ok().out);
    let mut expected = expected;
    expected.sort();
    counts.sort();
    assert_eq!(counts, expected);
}

#[test]
fn a_job_is_cancelled_while_it_waits_for_containers() {
    let jar = example("streaming/TopSpeedWindowing.jar");
    // More task executors than the cluster has room for.
    let ran = flink("run -d -m yarn-cluster -ytm 8192 -p 5".split(' ').chain([jar.as_str()])).ok();
    let (id, job) = (ran.application(), ran.job());
    flink(["cancel", "-yid", &id, &job]).ok();
    expect_app(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
}

#[test]
fn the_rest_address_works_through_the_proxy_of_yarn() {
    let started = yarn_session(["-d", "-nm", "proxied"]).ok();
    let id = started.application();
    let proxied = application(&id)["trackingUrl"].as_str().unwrap().trim_end_matches('/').to_string();
    assert!(proxied.contains("/proxy/"), "{proxied}");
    let overview = json(&format!("{proxied}/overview"));
    assert_eq!(overview["taskmanagers"], 0);
    let job = flink(["run", "-d", &example("streaming/TopSpeedWindowing.jar")]).ok().job();
    // The proxy carries only GET and PUT: hence this one.
    let (status, _) = request("GET", &format!("{proxied}/jobs/{job}/yarn-cancel"), None).unwrap();
    assert_eq!(status, 202);
    until("the cancelled job", SECONDS(20), || {
        (json(&format!("{proxied}/jobs/{job}"))["state"] == "CANCELED").then_some(())
    });
    kill(&id);
    let gone = flink(["list"]).fails(1).says(&id);
    assert!(gone.took < SECONDS(10));
    std::fs::remove_file(format!("/tmp/.yarn-properties-{}", whoami())).unwrap();
}

fn whoami() -> String {
    run(std::process::Command::new("id").arg("-un")).ok().out.trim().to_string()
}
