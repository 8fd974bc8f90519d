//! The examples of the distribution on YARN, each with what it must print or write, in per-job, session and application mode.

use kvick_integration::cluster::{KilledAtEnd, ended, nothing_left, rest};
use kvick_integration::command::{example, flink, yarn_session};
use kvick_integration::expect::{application_has, job_finished};
use kvick_integration::hdfs::{HdfsDir, committed};
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

/// What SideOutput writes: words of more than five letters went to the side output; the rest may lie in two windows.
#[track_caller]
fn counts_are_right(written: &str) {
    let parsed = |line: &str| {
        let (word, count) = line.trim_matches(['(', ')']).split_once(',')?;
        Some((word.to_string(), count.parse::<u64>().ok()?))
    };
    let counts: Vec<(String, u64)> = written.lines().filter_map(parsed).collect();
    assert!(counts.iter().all(|(word, _)| word.len() <= 5), "{counts:?}");
    assert_eq!(counts.iter().filter(|(word, _)| word == "not").map(|(_, n)| n).sum::<u64>(), 2, "{counts:?}");
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

/// Runs the examples that end by themselves and write or print, each with `run`, and looks at what they have written.
#[track_caller]
fn examples_that_end(mode: &str, run: impl Fn(&str, &[&str])) {
    let dir = HdfsDir::new(&format!("examples-{mode}"));
    run("SessionWindowing", &["--output", &dir.path("sessions")]);
    sessions_are_right(&dir.read("sessions"));
    run("SideOutput", &["--output", &dir.path("counts")]);
    counts_are_right(&dir.read("counts"));
    let alerts = dir.path("alerts");
    run(
        "StateMachineExample",
        &["--error-rate", "0.3", "--rps", "10000", "--count", "2000", "--output", &alerts],
    );
    let alerts = committed(&alerts);
    assert!(!alerts.is_empty() && alerts.iter().all(|line| line.starts_with("ALERT: ")), "{alerts:?}");
    run("FraudDetection", &["--rate", "1000", "--count", "500"]);
    run("WindowJoin", &["--rate", "200", "--count", "200", "--windowSize", "500"]);
}

fn jar(name: &str) -> String {
    example(&format!("streaming/{name}.jar"))
}

/// SocketWindowWordCount: words are served as long as they are not counted. `start` runs the example, which does not wait for its
/// end, and says in which application.
#[track_caller]
fn socket_words(start: impl FnOnce(&[&str]) -> String) {
    let server = TcpListener::bind("127.0.0.1:0").expect("no port");
    server.set_nonblocking(true).expect("a socket");
    let port = server.local_addr().expect("an address").port().to_string();
    let application = start(&[&jar("SocketWindowWordCount"), "--hostname", "127.0.0.1", "--port", &port]);
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
    until("the counts of all words", LIMIT, || all_counted(printed(&application)));
}

/// The application ends with its job, and leaves nothing.
#[track_caller]
fn ended_well(application: &str) {
    application_has(&ended(application), &[("finalStatus", "SUCCEEDED")]);
    nothing_left(application);
}

#[test]
fn in_per_job_mode() {
    let options = ["run", "-m", "yarn-cluster", "-ytm", "1024"];
    examples_that_end("per-job", |name, arguments| {
        let ran = flink(options.iter().chain(&[jar(name).as_str()]).chain(arguments)).ok();
        job_finished(&ran);
        ended_well(&ran.application());
    });
    let mut application = String::new();
    socket_words(|program| {
        application = flink(options.iter().chain(&["-d"]).chain(program)).ok().application();
        application.clone()
    });
    ended_well(&application);
}

#[test]
fn in_application_mode() {
    let options = ["run-application", "-t", "yarn-application", "-Dtaskmanager.memory.process.size=1g"];
    examples_that_end("application", |name, arguments| {
        ended_well(&flink(options.iter().chain(&[jar(name).as_str()]).chain(arguments)).ok().application());
    });
    let mut application = String::new();
    socket_words(|program| {
        application = flink(options.iter().chain(program)).ok().application();
        application.clone()
    });
    ended_well(&application);
}

#[test]
fn in_a_session() {
    let id = yarn_session(["-d", "-s", "4", "-jm", "1024", "-tm", "2048"]).ok().application();
    let _end = KilledAtEnd(id.clone());
    examples_that_end("session", |name, arguments| {
        job_finished(&flink(["run", "-yid", &id, &jar(name)].iter().chain(arguments)).ok());
    });
    // Accounts pay in turn; round 7 and 8 of every 20 are account 3's fraud.
    prints(&id, "Alert{id=3}", 5);
    prints(&id, "(alice,", 1);

    let mut job = String::new();
    socket_words(|program| {
        job = flink(["run", "-d", "-yid", &id].iter().chain(program)).ok().job();
        id.clone()
    });
    let url = format!("{}/jobs/{job}", rest(&id));
    until("the end of the stream", LIMIT, || (json(&url)["state"] == "FINISHED").then_some(()));

    let endless = flink(["run", "-d", "-yid", &id, &jar("TopSpeedWindowing")]).ok().job();
    // (car, speed, distance, time)
    prints(&id, "(0,", 1);
    prints(&id, "(1,", 1);
    measures(&id, &endless, "numLateRecordsDropped");
    flink(["cancel", "-yid", &id, &endless]).ok();
}
