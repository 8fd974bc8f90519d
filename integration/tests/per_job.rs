//! Per-job mode as a person types it, with YARN's own view of it, and nothing left afterwards.

use kvick_integration::cluster::{KilledAtEnd, application, container_sizes, ended, nothing_left, rest};
use kvick_integration::command::{example, flink};
use kvick_integration::expect::{application_has, job_finished};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

const POEM: &str = "to be or not to be\nthat is the question\n";
const COUNTS: [&str; 8] = ["be 2", "is 1", "not 1", "or 1", "question 1", "that 1", "the 1", "to 2"];

#[test]
fn words_on_hdfs_are_counted() {
    let dir = HdfsDir::new("per-job");
    let input = dir.put("poem.txt", POEM);
    let output = dir.path("counts");
    let jar = example("batch/WordCount.jar");
    let ran = flink(["run", "-m", "yarn-cluster", &jar, "--input", &input, "--output", &output]).ok();
    job_finished(&ran);
    assert_eq!(sorted_lines(&dir.read("counts")), COUNTS);
    let id = ran.application();
    application_has(
        &ended(&id),
        &[
            ("name", "Flink per-job cluster"),
            ("applicationType", "Apache Flink"),
            ("queue", "root.default"),
            ("finalStatus", "SUCCEEDED"),
        ],
    );
    nothing_left(&id);
}

#[test]
fn the_target_option_means_the_same_as_the_old_address() {
    let dir = HdfsDir::new("target");
    let input = dir.put("poem.txt", POEM);
    let output = dir.path("counts");
    let jar = example("batch/WordCount.jar");
    // Also the old examples' way to write parameters.
    let ran = flink(["run", "-t", "yarn-per-job", &jar, "-input", &input, "-output", &output]).ok();
    job_finished(&ran);
    assert_eq!(sorted_lines(&dir.read("counts")), COUNTS);
    application_has(&ended(&ran.application()), &[("finalStatus", "SUCCEEDED")]);
    nothing_left(&ran.application());
}

#[test]
fn a_detached_job_with_the_old_flags_ends_its_application_by_itself() {
    let jar = example("batch/WordCount.jar");
    let options = "run -m yarn-cluster -yn 2 -yjm 1024 -ytm 1024 -ys 4 -yd -yD k=v";
    let ran = flink(options.split(' ').chain([jar.as_str()])).ok();
    let id = ran.application();
    assert!(ran.out.contains(&format!("yarn application -kill {id}")), "{}", ran.out);
    assert!(!ran.out.contains("Job Runtime"), "a detached command does not wait:\n{}", ran.out);
    application_has(&ended(&id), &[("finalStatus", "SUCCEEDED"), ("queue", "root.default")]);
    nothing_left(&id);
}

#[test]
fn the_old_flags_choose_sizes_slots_queue_name_and_configuration() {
    let jar = example("streaming/TopSpeedWindowing.jar");
    let options = "run -m yarn-cluster -yn 2 -yjm 768 -ytm 1024 -ys 4 -yd -yD k=v -ynm old -yqu other -p 5";
    let ran = flink(options.split(' ').chain([jar.as_str()])).ok();
    let (id, job) = (ran.application(), ran.job());
    let _end = KilledAtEnd(id.clone());
    // Five subtasks need two task executors of four slots.
    let sizes = || (container_sizes(&id) == [1024, 1024, 768]).then_some(());
    until("two task executors", LIMIT, sizes);
    application_has(&application(&id), &[("name", "old"), ("queue", "root.other"), ("state", "RUNNING")]);
    let config = json(&format!("{}/jobmanager/config", rest(&id)));
    let config = config.as_array().expect("a list");
    assert!(config.iter().any(|entry| entry["key"] == "k" && entry["value"] == "v"), "{config:?}");
    let running = || flink(["list", "-yid", &id]).ok().out.contains("(RUNNING)").then_some(());
    until("the job in the list", LIMIT, running);
    flink(["list", "-yid", &id]).ok().says(&format!("{job} : "));
    flink(["cancel", "-yid", &id, &job]).ok().says(&format!("Cancelled job {job}."));
    application_has(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
}

#[test]
fn a_job_is_cancelled_while_it_waits_for_containers() {
    let jar = example("streaming/TopSpeedWindowing.jar");
    // More task executors than the cluster has room for.
    let ran = flink("run -d -m yarn-cluster -ytm 8192 -p 5".split(' ').chain([jar.as_str()])).ok();
    let (id, job) = (ran.application(), ran.job());
    let _end = KilledAtEnd(id.clone());
    flink(["cancel", "-yid", &id, &job]).ok().says(&format!("Cancelled job {job}."));
    application_has(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
}
