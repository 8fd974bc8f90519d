//! Sources in different workers that are aligned in event time: the quick one waits for the slow one.

use kvick_integration::cluster::{KilledAtEnd, rest};
use kvick_integration::command::{Ran, flink, required, yarn_session};
use kvick_integration::http::json;
use std::collections::BTreeSet;

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
    // The drift, and what the source makes up for at once when it may go on: 100 ms at ten times the speed of time.
    let ahead = accumulated(&aligned, "ahead");
    assert!(ahead <= 3000, "{ahead} ms ahead");
}
