//! Sources in different workers that are aligned in event time: the quick one waits for the slow one.

use kvick_integration::cluster::{KilledAtEnd, application, rest};
use kvick_integration::command::{Ran, flink, required, yarn_session};
use kvick_integration::http::json;
use kvick_integration::process::{Role, in_role};
use kvick_integration::wait::until;
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// How far the quick source may be ahead: its drift of a second, and what it makes up for at once when it may go on, which is
/// 100 ms at ten times the speed of time; and as much again and more for delays on the way. Without alignment it is further.
const AHEAD: i64 = 4500;

/// An accumulator of the job's result.
#[track_caller]
fn accumulated(ran: &Ran, name: &str) -> i64 {
    let start = format!("- {name} (java.lang.Long): ");
    let value = ran.out.lines().find_map(|line| line.strip_prefix(&start));
    value.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{}", ran.out))
}

/// The task executors that ran a job, which has one subtask for each vertex.
fn executors(session: &str, job: &str) -> BTreeSet<String> {
    let address = rest(session);
    let vertices = json(&format!("{address}/jobs/{job}"))["vertices"].clone();
    let executor = |vertex: &serde_json::Value| {
        let id = vertex["id"].as_str().expect("a vertex has an id");
        let subtasks = json(&format!("{address}/jobs/{job}/vertices/{id}"))["subtasks"].clone();
        subtasks[0]["taskmanager-id"].as_str().expect("a subtask has a task executor").to_string()
    };
    vertices.as_array().expect("a job has vertices").iter().map(executor).collect()
}

/// How many records the slow source of the session's job has made so far; none where it has not begun.
fn slow_records(session: &str) -> Option<u64> {
    let address = rest(session);
    let overview = json(&format!("{address}/jobs/overview"));
    let job = overview["jobs"].get(0)?["jid"].as_str()?;
    let job = json(&format!("{address}/jobs/{job}"));
    let slow = job["vertices"]
        .as_array()?
        .iter()
        .find(|v| v["name"].as_str().is_some_and(|name| name.contains("slow")))?;
    slow["metrics"]["write-records"].as_u64()
}

#[test]
fn a_source_in_another_worker_is_waited_for() {
    let session = yarn_session(["-d", "-s", "1", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let jar = required("KVICK_TEST_JOBS");
    let run = |more: &[&str]| {
        let line = ["run", "-yid", &session, "-c", "aligned", &jar];
        let ran = flink(line.iter().chain(more)).ok();
        assert_eq!(accumulated(&ran, "records"), 2000, "{}", ran.out);
        ran
    };
    // Ten seconds of event time, which the quick source has read in one.
    assert!(accumulated(&run(&[]), "ahead") > 5000);
    let aligned = run(&["--drift", "1000"]);
    assert_eq!(executors(&session, &aligned.job()).len(), 3, "each source has a worker of its own");
    assert!(accumulated(&aligned, "ahead") <= AHEAD, "{}", aligned.out);
}

#[test]
fn sources_go_on_together_under_the_next_application_master() {
    let session = yarn_session(["-d", "-s", "1", "-jm", "1024", "-tm", "1024"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let jar = required("KVICK_TEST_JOBS");
    let line = ["run", "-yid", &session, "-c", "aligned", &jar, "--drift", "1000", "--seconds", "25"];
    let ran = std::thread::scope(|scope| {
        let client = scope.spawn(|| flink(line));
        // YARN keeps only containers that their nodes have told it of, which they do every second.
        until("records of three seconds", LIMIT, || (slow_records(&session)? >= 300).then_some(()));
        let workers = in_role(&session, Role::Worker);
        assert_eq!(workers.len(), 3, "each source has a worker of its own");
        for master in in_role(&session, Role::Master) {
            assert!(master.signal("KILL"));
        }
        let second =
            || application(&session)["amContainerLogs"].as_str()?.contains("_02_000001").then_some(());
        until("the second attempt", LIMIT, second);
        assert_eq!(in_role(&session, Role::Worker), workers, "nothing was started again");
        client.join().expect("the command cannot be run").ok()
    });
    // Both have read everything, so neither waited for ever.
    assert_eq!(accumulated(&ran, "records"), 5000, "{}", ran.out);
    assert!(accumulated(&ran, "ahead") <= AHEAD, "{}", ran.out);
}
