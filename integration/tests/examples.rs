//! The examples of the distribution on YARN, each with what it must print or write, in per-job, session and application mode.

use kvick_integration::cluster::{KilledAtEnd, ended, nothing_left, rest};
use kvick_integration::command::{Ran, example, flink, yarn_session};
use kvick_integration::expect::{application_has, job_finished};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::{json, request};
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

const SESSIONS: [&str; 5] = ["(a,1,1)", "(a,10,1)", "(b,1,3)", "(c,11,1)", "(c,6,1)"];

/// What SessionWindowing writes.
#[track_caller]
fn sessions_are_right(written: &str) {
    assert_eq!(sorted_lines(written), SESSIONS);
}

/// All that the task executors of an application have printed.
fn printed(application: &str) -> String {
    let rest = rest(application);
    let executors = json(&format!("{rest}/taskmanagers"))["taskmanagers"].clone();
    let ids = executors.as_array().into_iter().flatten().filter_map(|e| e["id"].as_str());
    let stdout = ids.map(|id| request("GET", &format!("{rest}/taskmanagers/{id}/stdout"), None));
    stdout
        .filter_map(|answer| answer.ok().filter(|(status, _)| *status == 200))
        .map(|(_, text)| text)
        .collect()
}

/// Waits until so many printed lines hold a text.
#[track_caller]
fn prints(application: &str, text: &str, count: usize) -> String {
    until(&format!("{count} lines with {text}"), LIMIT, || {
        let all = printed(application);
        (all.lines().filter(|line| line.contains(text)).count() >= count).then_some(all)
    })
}

/// Waits until a metric of an operator is shown for the first subtask of a vertex.
#[track_caller]
fn measures(application: &str, job: &str, metric: &str) {
    let job = format!("{}/jobs/{job}", rest(application));
    let vertices = json(&job)["vertices"].clone();
    let ids: Vec<&str> = vertices.as_array().into_iter().flatten().filter_map(|v| v["id"].as_str()).collect();
    until(&format!("the metric {metric}"), LIMIT, || {
        let shown = ids.iter().map(|id| json(&format!("{job}/vertices/{id}/metrics")).to_string());
        shown.into_iter().any(|all| all.contains("\"0.Window") && all.contains(metric)).then_some(())
    });
}

/// SocketWindowWordCount: words are served as long as they are not counted.
#[track_caller]
fn socket_words(session: &str) {
    let server = TcpListener::bind("127.0.0.1:0").expect("no port");
    server.set_nonblocking(true).expect("a socket");
    let port = server.local_addr().expect("an address").port().to_string();
    let jar = example("streaming/SocketWindowWordCount.jar");
    let job =
        flink(["run", "-d", "-yid", session, &jar, "--hostname", "127.0.0.1", "--port", &port]).ok().job();
    let (mut stream, _) = until("the reader of words", LIMIT, || server.accept().ok());
    stream.write_all(b"sphinx of black quartz\nsphinx of sphinx\n").expect("nobody reads on");
    // The words may come to lie in two windows.
    let counted = |all: &str, word: &str| {
        let counts =
            all.lines().filter_map(|line| line.split_once(&format!("{word} : "))?.1.parse::<u64>().ok());
        counts.sum::<u64>()
    };
    let all_counted =
        |all: String| (counted(&all, "sphinx") == 3 && counted(&all, "quartz") == 1).then_some(());
    until("the counts of all words", LIMIT, || all_counted(printed(session)));
    drop(stream);
    let url = format!("{}/jobs/{job}", rest(session));
    until("the end of the stream", LIMIT, || (json(&url)["state"] == "FINISHED").then_some(()));
}

#[test]
fn in_per_job_mode() {
    let dir = HdfsDir::new("examples-per-job");
    let output = dir.path("sessions");
    let per_job = |arguments: &[&str]| -> Ran {
        let ran = flink(["run", "-m", "yarn-cluster", "-ytm", "1024"].iter().chain(arguments)).ok();
        job_finished(&ran);
        application_has(&ended(&ran.application()), &[("finalStatus", "SUCCEEDED")]);
        nothing_left(&ran.application());
        ran
    };
    per_job(&[&example("streaming/SessionWindowing.jar"), "--output", &output]);
    sessions_are_right(&dir.read("sessions"));
    per_job(&[
        &example("streaming/WindowJoin.jar"),
        "--rate",
        "200",
        "--count",
        "200",
        "--windowSize",
        "500",
    ]);
}

#[test]
fn in_application_mode() {
    let dir = HdfsDir::new("examples-application");
    let output = dir.path("counts");
    let run = |arguments: &[&str]| {
        let line = ["run-application", "-t", "yarn-application", "-Dtaskmanager.memory.process.size=1g"];
        let id = flink(line.iter().chain(arguments)).ok().application();
        application_has(&ended(&id), &[("finalStatus", "SUCCEEDED")]);
        nothing_left(&id);
    };
    run(&[&example("streaming/SideOutput.jar"), "--output", &output]);
    let counts = dir.read("counts");
    let parsed = |line: &str| {
        let (word, count) = line.trim_matches(['(', ')']).split_once(',')?;
        Some((word.to_string(), count.parse::<u64>().ok()?))
    };
    let counts: Vec<(String, u64)> = counts.lines().filter_map(parsed).collect();
    // Words of more than five letters went to the side output; the rest may lie in two windows.
    assert!(counts.iter().all(|(word, _)| word.len() <= 5), "{counts:?}");
    assert_eq!(counts.iter().filter(|(word, _)| word == "not").map(|(_, n)| n).sum::<u64>(), 2, "{counts:?}");
    run(&[&example("streaming/FraudDetection.jar"), "--rate", "1000", "--count", "500"]);
}

#[test]
fn in_a_session() {
    let id = yarn_session(["-d", "-s", "4", "-jm", "1024", "-tm", "2048"]).ok().application();
    let _end = KilledAtEnd(id.clone());
    let run = |arguments: &[&str]| job_finished(&flink(["run", "-yid", &id].iter().chain(arguments)).ok());

    // Accounts pay in turn; round 7 and 8 of every 20 are account 3's fraud.
    run(&[&example("streaming/FraudDetection.jar"), "--rate", "1000", "--count", "500"]);
    prints(&id, "Alert{id=3}", 5);
    run(&[&example("streaming/WindowJoin.jar"), "--rate", "200", "--count", "200", "--windowSize", "500"]);
    prints(&id, "(alice,", 1);
    let dir = HdfsDir::new("examples-session");
    run(&[&example("streaming/SessionWindowing.jar"), "--output", &dir.path("sessions")]);
    sessions_are_right(&dir.read("sessions"));

    socket_words(&id);

    let endless = flink(["run", "-d", "-yid", &id, &example("streaming/TopSpeedWindowing.jar")]).ok().job();
    // (car, speed, distance, time)
    prints(&id, "(0,", 1);
    prints(&id, "(1,", 1);
    measures(&id, &endless, "numLateRecordsDropped");
    flink(["cancel", "-yid", &id, &endless]).ok();
}
