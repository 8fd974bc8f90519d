//! Jobs that share a session and a task executor: one panics, one aborts its process, one needs more memory than there is, and the
//! other does not notice.

use kvick_integration::cluster::{KilledAtEnd, rest};
use kvick_integration::command::{command, required, run, yarn_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::process::{Role, in_role};
use kvick_integration::wait::until;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::NamedTempFile;

const LIMIT: Duration = Duration::from_secs(90);

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

/// The job that is to live on: it does until the file is gone.
fn slow_sum(session: &str, jar: &str, dir: &HdfsDir, held: &NamedTempFile) -> Command {
    job(session, "slow-sum", jar, &["--output", &dir.path("sum"), "--while", &path(held)])
}

/// A file that holds jobs as long as it is there; a test that fails removes it, too, and so need not wait for them.
fn hold() -> NamedTempFile {
    NamedTempFile::new().expect("no temporary file")
}

fn path(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

fn states(expected: [(&str, &str); 3]) -> Vec<(String, String)> {
    expected.iter().map(|(name, state)| (name.to_string(), state.to_string())).collect()
}

/// 0 + 1 + … + 999, summed by a job beside which others died in the same task executor. Every update is written, once.
#[track_caller]
fn sum_is_right(dir: &HdfsDir) {
    let sums = dir.read("sum");
    assert_eq!(sums.lines().filter_map(|line| line.parse::<u64>().ok()).max(), Some(499_500));
    assert_eq!(sums.lines().count(), 1000);
}

#[test]
fn a_panic_and_an_abort_are_reported_and_a_third_job_finishes_with_the_right_result() {
    let jar = required("KVICK_TEST_JOBS");
    let dir = HdfsDir::new("isolation");
    // Three slots in one task executor: the jobs have everything in common that they can.
    let session = yarn_session(["-d", "-s", "3", "-nm", "isolation"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let (dying, living) = (hold(), hold());
    let mut dies = ["panics", "aborts"].map(|class| job(&session, class, &jar, &["--while", &path(&dying)]));
    let mut slow_sum = slow_sum(&session, &jar, &dir, &living);
    let ([panics, aborts], slow_sum) = std::thread::scope(|scope| {
        let dies = dies.each_mut().map(|command| scope.spawn(|| run(command)));
        let lives = scope.spawn(|| run(&mut slow_sum));
        let all = states([("aborts", "RUNNING"), ("panics", "RUNNING"), ("slow sum", "RUNNING")]);
        until("three running jobs", LIMIT, || (jobs(&session) == all).then_some(()));
        drop(dying);
        let dead = dies.map(|job| job.join().expect("the command cannot be run"));
        drop(living);
        (dead, lives.join().expect("the command cannot be run"))
    });
    panics.fails(1).says("the user's function gives up at record 7").says("panics.rs");
    aborts.fails(1).says("SIGABRT");
    slow_sum.ok().says("Job Runtime: ");
    sum_is_right(&dir);
    assert_eq!(
        jobs(&session),
        states([("aborts", "FAILED"), ("panics", "FAILED"), ("slow sum", "FINISHED")])
    );
}

#[test]
fn a_job_that_outgrows_its_container_is_ended_with_a_word_about_it_and_the_other_lives_on() {
    let jar = required("KVICK_TEST_JOBS");
    let dir = HdfsDir::new("memory");
    let session = yarn_session(["-d", "-s", "2", "-tm", "1024", "-nm", "memory"]).ok().application();
    let _end = KilledAtEnd(session.clone());
    let held = hold();
    // Most of what is there at once, and the rest within a quarter of a minute.
    let mut hoards = job(&session, "hoards", &jar, &["--at-once", "800"]);
    let mut slow_sum = slow_sum(&session, &jar, &dir, &held);
    let (hoards, slow_sum, executors) = std::thread::scope(|scope| {
        let slow_sum = scope.spawn(|| run(&mut slow_sum));
        let first = || (!in_role(&session, Role::Worker).is_empty()).then_some(());
        until("the job that is to live on", LIMIT, first);
        let executors = in_role(&session, Role::Executor);
        let hoards = run(&mut hoards);
        drop(held);
        (hoards, slow_sum.join().expect("the command cannot be run"), executors)
    });
    // What there is, what to change, and another way.
    let hoards = hoards.fails(1).says("was ended because memory ran out: it has ");
    let hoards = hoards.says(" MB of 1024 MB (taskmanager.memory.process.size)");
    hoards.says("Give task executors more memory").says("state.backend.type: rocksdb");
    slow_sum.ok();
    sum_is_right(&dir);
    assert_eq!(executors.len(), 1, "both jobs share a task executor");
    assert_eq!(in_role(&session, Role::Executor), executors, "YARN ended no container");
}
