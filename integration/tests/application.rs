//! Application mode: `main()` runs in the application master.

use kvick_integration::cluster::{KilledAtEnd, application, container_sizes, ended, nothing_left, rest};
use kvick_integration::command::{example, flink};
use kvick_integration::expect::application_has;
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::text::sorted_lines;
use kvick_integration::wait::until;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

const OPTIONS: [&str; 6] = [
    "run-application",
    "-t",
    "yarn-application",
    "-Djobmanager.memory.process.size=2048m",
    "-Dtaskmanager.memory.process.size=4096m",
    "-Dyarn.application.name=MyWordCount",
];

#[test]
fn words_on_hdfs_are_counted() {
    let dir = HdfsDir::new("application");
    let input = dir.put("poem.txt", "to be or not to be\n");
    let output = dir.path("counts");
    let jar = example("batch/WordCount.jar");
    let program = [jar.as_str(), "--input", &input, "--output", &output];
    let ran = flink(OPTIONS.iter().chain(&program)).ok();
    let id = ran.application();
    application_has(
        &ended(&id),
        &[("name", "MyWordCount"), ("applicationType", "Apache Flink"), ("finalStatus", "SUCCEEDED")],
    );
    assert_eq!(sorted_lines(&dir.read("counts")), ["be 2", "not 1", "or 1", "to 2"]);
    nothing_left(&id);
}

#[test]
fn the_containers_have_the_sizes_that_were_asked_for() {
    let jar = example("streaming/TopSpeedWindowing.jar");
    let id = flink(OPTIONS.iter().chain(&[jar.as_str()])).ok().application();
    let _end = KilledAtEnd(id.clone());
    let both = || (container_sizes(&id) == [4096, 2048]).then_some(());
    until("the task executor's container", LIMIT, both);
    application_has(&application(&id), &[("state", "RUNNING"), ("name", "MyWordCount")]);
    let overview = format!("{}/jobs/overview", rest(&id));
    let running = || json(&overview)["jobs"][0]["jid"].as_str().map(str::to_string);
    let job = until("the job", LIMIT, running);
    flink(["cancel", "-t", "yarn-application", &format!("-Dyarn.application.id={id}"), &job]).ok();
    application_has(&ended(&id), &[("finalStatus", "KILLED")]);
    nothing_left(&id);
}

#[test]
fn a_program_that_fails_fails_the_application() {
    let dir = HdfsDir::new("application-fails");
    let (jar, input) = (example("batch/WordCount.jar"), dir.path("nothing-here"));
    let ran = flink(["run-application", "-t", "yarn-application", &jar, "--input", &input]);
    let application = ended(&ran.application());
    application_has(&application, &[("finalStatus", "FAILED")]);
    let diagnostics = application["diagnostics"].as_str().unwrap_or_default();
    assert!(diagnostics.contains("nothing-here"), "the cause is not told: {diagnostics}");
    nothing_left(&ran.application());
}
