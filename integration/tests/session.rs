//! Sessions: started detached and attached, jobs in them, and their end.

use kvick_integration::cluster::{KilledAtEnd, application, applications, container_sizes, kill, rest};
use kvick_integration::command::{command, example, flink, required, yarn_session};
use kvick_integration::expect::{application_has, job_finished, session_stops, stop_session};
use kvick_integration::http::{json, request};
use kvick_integration::wait::until;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// How long a command may take that has only to say that there is no session: less than any time-out that it could run into.
const AT_ONCE: Duration = Duration::from_secs(30);

/// The file in which a session is remembered.
fn properties_file() -> PathBuf {
    let dir = PathBuf::from(required("FLINK_CONF_DIR"));
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.into_iter().find(|name| name.starts_with(".yarn-properties-"));
    dir.join(name.unwrap_or_else(|| ".yarn-properties-nobody".to_string()))
}

#[test]
fn a_detached_session_runs_lists_and_cancels_jobs() {
    let started = yarn_session("-n 2 -tm 800 -s 1 -d".split(' ')).ok();
    let id = started.application();
    let _end = KilledAtEnd(id.clone());
    let started = started.says("JobManager Web Interface: http://");
    started.says(&format!("echo \"stop\" | ./bin/yarn-session.sh -id {id}"));
    application_has(
        &application(&id),
        &[("name", "Flink session cluster"), ("applicationType", "Apache Flink"), ("state", "RUNNING")],
    );
    let remembered = std::fs::read_to_string(properties_file()).expect("no properties file");
    assert!(remembered.lines().any(|line| line == format!("applicationID={id}")), "{remembered}");

    let ran = flink(["run", &example("streaming/WordCount.jar")]).ok().says("Found Yarn properties file");
    job_finished(&ran);
    assert_eq!(container_sizes(&id), [1792, 1024], "1600 and 800 MB, rounded up to YARN's step of 256 MB");
    let endless = flink(["run", "-d", &example("streaming/TopSpeedWindowing.jar")]).ok().job();
    let running = || flink(["list"]).ok().out.contains(&format!("{endless} : ")).then_some(());
    until("the job in the list", LIMIT, running);
    flink(["list"]).ok().says("Running/Restarting Jobs");
    flink(["list", "-a"]).ok().says(&format!("{} : ", ran.job())).says("Terminated Jobs");
    flink(["cancel", &endless]).ok().says(&format!("Cancelling job {endless}.")).says("Cancelled job");
    let url = format!("{}/jobs/{endless}", rest(&id));
    until("the cancelled job", LIMIT, || (json(&url)["state"] == "CANCELED").then_some(()));
    flink(["list"]).ok().says("No running jobs.");

    stop_session(&id);
    assert!(!properties_file().exists(), "the session's properties file is still there");
    flink(["list", "-yid", &id]).fails(1).says("doesn't run anymore");
}

#[test]
fn an_attached_session_stops_when_told_to() {
    let before = applications("RUNNING");
    let mut start = command("yarn-session.sh");
    start.args("-s 3 -tm 2048".split(' ')).stdin(Stdio::piped()).stdout(Stdio::null());
    let session = start.spawn().expect("yarn-session.sh does not start");
    let fresh = || applications("RUNNING").into_iter().find(|id| !before.contains(id));
    let id = until("the session", LIMIT, fresh);
    let _end = KilledAtEnd(id.clone());
    let line = format!("applicationID={id}");
    let remembered = || std::fs::read_to_string(properties_file()).unwrap_or_default();
    // Another session's may be there until then.
    until("the properties file", LIMIT, || remembered().lines().any(|one| one == line).then_some(()));
    let ran = flink(["run", "-p", "3", &example("streaming/WordCount.jar")]).ok();
    job_finished(&ran);
    assert_eq!(container_sizes(&id), [2048, 1792], "three slots fit into one task executor");
    session_stops(session, &id);
    let listed = flink(["list"]).fails(1);
    assert!(listed.took < AT_ONCE, "no session: told at once, not after {:?}", listed.took);
}

#[test]
fn the_rest_api_works_through_the_proxy_of_yarn() {
    let id = yarn_session(["-d", "-nm", "proxied", "-qu", "other"]).ok().application();
    let _end = KilledAtEnd(id.clone());
    let record = application(&id);
    application_has(&record, &[("name", "proxied"), ("queue", "root.other")]);
    let proxied = record["trackingUrl"].as_str().unwrap_or_default().trim_end_matches('/').to_string();
    assert!(proxied.contains("/proxy/"), "{proxied}");
    assert_eq!(json(&format!("{proxied}/overview"))["taskmanagers"], 0);
    let job = flink(["run", "-d", &example("streaming/TopSpeedWindowing.jar")]).ok().job();
    // The proxy carries only GET and PUT: hence this way to cancel.
    let (status, _) = request("GET", &format!("{proxied}/jobs/{job}/yarn-cancel"), None).expect("no answer");
    assert_eq!(status, 202);
    let cancelled = || (json(&format!("{proxied}/jobs/{job}"))["state"] == "CANCELED").then_some(());
    until("the cancelled job", LIMIT, cancelled);
    stop_session(&id);
}

#[test]
fn a_session_that_was_killed_is_named_at_once() {
    let id = yarn_session(["-d"]).ok().application();
    kill(&id);
    let path = properties_file();
    let ran = flink(["run", &example("streaming/WordCount.jar")]).fails(1).says(&id);
    assert!(ran.took < AT_ONCE, "it took {:?}", ran.took);
    // A person has to be told why a cluster was looked for that nobody named.
    ran.says(&path.display().to_string());
    std::fs::remove_file(path).expect("the properties file");
}

#[test]
fn the_cluster_is_described() {
    let ran = yarn_session(["-q"]).ok();
    for text in ["NodeManagers in the ClusterClient 2", "totalMemory", "Queue: default", "Queue: other"] {
        assert!(ran.out.contains(text), "no \"{text}\" in\n{}", ran.out);
    }
}
