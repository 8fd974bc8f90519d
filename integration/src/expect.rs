//! What several tests expect in the same words.

use crate::cluster::{ended, nothing_left};
use crate::command::{Ran, command};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Stdio};

/// Asserts the values of some text fields of YARN's record of an application.
#[track_caller]
pub fn application_has(application: &Value, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(application[key].as_str(), Some(*value), "{key} in {application:#}");
    }
}

/// Asserts that a command told the end of the job that it told the submission of.
#[track_caller]
pub fn job_finished(ran: &Ran) {
    let has = |wanted: &str| ran.out.lines().any(|line| line == wanted);
    assert!(has("Program execution finished"), "{}", ran.out);
    assert!(has(&format!("Job with JobID {} has finished.", ran.job())), "{}", ran.out);
    assert!(ran.out.lines().any(is_runtime), "{}", ran.out);
}

fn is_runtime(line: &str) -> bool {
    let number = line.strip_prefix("Job Runtime: ").and_then(|rest| rest.strip_suffix(" ms"));
    number.is_some_and(|digits| digits.parse::<u64>().is_ok())
}

/// Types `stop` into an attached session, and asserts that it ends well and leaves nothing.
#[track_caller]
pub fn session_stops(mut session: Child, id: &str) {
    session.stdin.take().expect("piped").write_all(b"stop\n").expect("it does not listen");
    assert!(session.wait().expect("it runs").success());
    application_has(&ended(id), &[("state", "FINISHED"), ("finalStatus", "SUCCEEDED")]);
    nothing_left(id);
}

/// Stops a session as the documentation says.
#[track_caller]
pub fn stop_session(id: &str) {
    let mut stop = command("yarn-session.sh");
    stop.args(["-id", id]).stdin(Stdio::piped()).stdout(Stdio::null());
    session_stops(stop.spawn().expect("yarn-session.sh does not start"), id);
}
