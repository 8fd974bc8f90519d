//! One session, three jobs at once: one panics, one aborts its process, and the third does not notice.

use kvick_integration::cluster::{kill, rest};
use kvick_integration::command::{command, flink, fs, required, run, yarn_session};
use kvick_integration::http::json;
use kvick_integration::wait::until;
use std::time::Duration;

#[test]
fn a_panic_and_an_abort_are_reported_and_a_third_job_finishes_with_the_right_result() {
    let jar = required("KVICK_TEST_JOBS");
    let id = yarn_session(["-d", "-s", "3", "-nm", "isolation"]).ok().application();
    let output =
        fs(&["uri", &format!("kvick-test-isolation-{}", std::process::id())]).ok().out.trim().to_string();
    let mut slow =
        command("flink").args(["run", "-c", "slow-sum", &jar, "--output", &output]).spawn().unwrap();
    let all_running = || {
        let jobs = json(&format!("{}/jobs/overview", rest(&id)));
        (jobs["jobs"][0]["tasks"]["running"].as_u64() > Some(0)).then_some(())
    };
    until("the third job's tasks", Duration::from_secs(30), all_running);
    flink(["run", "-c", "panics", &jar])
        .fails(1)
        .says("the user's function gives up at record 7")
        .says("panics.rs");
    flink(["run", "-c", "aborts", &jar]).fails(1).says("SIGABRT");
    assert!(slow.wait().unwrap().success());
    // 0 + 1 + … + 999, summed by a job of which two neighbours died in the same task executor.
    assert_eq!(fs(&["cat", &output]).ok().out.trim().lines().last().unwrap(), "499500");
    let states = json(&format!("{}/jobs/overview", rest(&id)));
    let mut states: Vec<&str> =
        states["jobs"].as_array().unwrap().iter().filter_map(|j| j["state"].as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["FAILED", "FAILED", "FINISHED"]);
    fs(&["rm", &output]).ok();
    kill(&id);
    let properties =
        run(std::process::Command::new("sh").args(["-c", "rm -f /tmp/.yarn-properties-$(id -un)"]));
    properties.ok();
}
