//! One session, three jobs at once: one panics, one aborts its process, and the third does not notice.

use kvick_integration::cluster::{KilledAtEnd, rest};
use kvick_integration::command::{command, required, run, yarn_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::wait::until;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Name and state of every job of a session, sorted.
fn jobs(session: &str) -> Vec<(String, String)> {
    let overview = json(&format!("{}/jobs/overview", rest(session)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let jobs = overview["jobs"].as_array().cloned().unwrap_or_default();
    let mut jobs: Vec<_> = jobs.iter().map(|job| (text(&job["name"]), text(&job["state"]))).collect();
    jobs.sort();
    jobs
}

fn job(session: &str, class: &str, jar: &str, arguments: &[&str]) -> Command {
    let mut flink = command("flink");
    flink.args(["run", "-yid", session, "-c", class, jar]).args(arguments);
    flink.stdout(Stdio::piped()).stderr(Stdio::piped());
    flink
}

fn states(expected: [(&str, &str); 3]) -> Vec<(String, String)> {
    expected.iter().map(|(name, state)| (name.to_string(), state.to_string())).collect()
}

#[test]
fn a_panic_and_an_abort_are_reported_and_a_third_job_finishes_with_the_right_result() {
    let jar = required("KVICK_TEST_JOBS");
    let dir = HdfsDir::new("isolation");
    // Three slots in one task executor: the jobs have everything in common that they can.
    let session = yarn_session(["-d", "-s", "3", "-nm", "isolation"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let (mut panics, mut aborts) = (job(&session, "panics", &jar, &[]), job(&session, "aborts", &jar, &[]));
    let mut slow_sum = job(&session, "slow-sum", &jar, &["--output", &dir.path("sum")]);
    let (panics, aborts, slow_sum) = std::thread::scope(|scope| {
        let commands = [&mut panics, &mut aborts, &mut slow_sum].map(|command| scope.spawn(|| run(command)));
        let all = states([("aborts", "RUNNING"), ("panics", "RUNNING"), ("slow sum", "RUNNING")]);
        until("three running jobs", LIMIT, || (jobs(&session) == all).then_some(()));
        let [panics, aborts, slow_sum] = commands.map(|job| job.join().expect("the command cannot be run"));
        (panics, aborts, slow_sum)
    });
    panics.fails(1).says("the user's function gives up at record 7").says("panics.rs");
    aborts.fails(1).says("SIGABRT");
    slow_sum.ok().says("Job Runtime: ");
    // 0 + 1 + … + 999, summed by a job beside which two others died in the same task executor. Every update is written.
    let sums = dir.read("sum");
    assert_eq!(sums.lines().filter_map(|line| line.parse::<u64>().ok()).max(), Some(499_500));
    assert_eq!(sums.lines().count(), 1000);
    assert_eq!(
        jobs(&session),
        states([("aborts", "FAILED"), ("panics", "FAILED"), ("slow sum", "FINISHED")])
    );
}
