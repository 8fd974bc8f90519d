//! Programs in the role of an application. Each is this test binary in another process, running one of the ignored tests.

use crate::program::{ProgramOptions, ProgramOutcome, plan_unpacked, run_unpacked};
use crate::support::{TestCluster, config, graph, job};
use kvick_core::config::Configuration;
use kvick_core::executor::ToExecutor;
use kvick_core::graph::JobGraph;
use kvick_core::host::{FromProgram, HOST_ENV, JobAnswer, JobQuestion, ToProgram};
use kvick_core::ids::JobId;
use kvick_core::job::{JobState, JobSubmission, ProgramSpec};
use kvick_core::task::TaskState;
use kvick_rpc::host::{read_frame, write_frame};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

fn program(behaviour: &str) -> (PathBuf, ProgramSpec) {
    let name = format!("programs::{behaviour}");
    let args = ["--exact", &name, "--ignored", "--nocapture", "--quiet"].map(str::to_string);
    let path = std::env::current_exe().unwrap();
    (path, ProgramSpec { args: args.into(), ..job().program })
}

async fn run(cluster: &TestCluster, behaviour: &str, options: ProgramOptions) -> ProgramOutcome {
    let (path, spec) = program(behaviour);
    run_unpacked(&cluster.handle, &spec, &path, config(), options).await
}

/// The program's side of the conversation.
struct Host(UnixStream);

impl Host {
    async fn connect() -> (Host, Configuration) {
        let host = std::env::var(HOST_ENV).unwrap();
        let stream = UnixStream::connect(host.strip_prefix("application:").unwrap()).await.unwrap();
        let mut host = Host(stream);
        host.say(FromProgram::Hello { engine_version: "0.0.0".to_string() }).await;
        match host.hear().await {
            ToProgram::Welcome { config, .. } => (host, config),
            other => panic!("no welcome but {other:?}"),
        }
    }

    async fn say(&mut self, message: FromProgram) {
        write_frame(&mut self.0, &message).await.unwrap();
    }

    async fn hear(&mut self) -> ToProgram {
        read_frame(&mut self.0).await.unwrap().unwrap()
    }

    async fn ask(&mut self, job_id: JobId, question: JobQuestion) -> Result<JobAnswer, String> {
        self.say(FromProgram::AskJob { request: 7, job_id, question }).await;
        match self.hear().await {
            ToProgram::JobAnswer { request: 7, answer } => answer,
            other => panic!("no answer but {other:?}"),
        }
    }

    async fn execute(&mut self, ordinal: u32, graph: JobGraph, attached: bool) -> ToProgram {
        self.say(FromProgram::Execute { ordinal, graph, once: BTreeMap::new(), attached }).await;
        self.hear().await
    }
}

fn named(name: &str) -> JobGraph {
    JobGraph { name: name.to_string(), ..graph() }
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn two_jobs_one_after_the_other() {
    let (mut host, config) = Host::connect().await;
    assert_eq!(config.raw("parallelism.default"), Some("2"));
    for ordinal in 0..2 {
        let answer = host.execute(ordinal, named(&format!("job {ordinal}")), true).await;
        assert!(matches!(answer, ToProgram::Submitted { .. }), "{answer:?}");
        let ToProgram::Ended { result, .. } = host.hear().await else { panic!("not the end") };
        assert_eq!(result.state, JobState::Finished);
    }
}

#[tokio::test]
async fn the_jobs_of_a_program_follow_each_other_and_know_their_predecessors() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 2);
    let (submitted, mut jobs) = mpsc::unbounded_channel();
    let first = JobId(0x77);
    let options =
        ProgramOptions { job_id: Some(first), submitted: Some(submitted), ..ProgramOptions::default() };
    let serve = async {
        for _ in 0..2 {
            let job = JobSubmission { job_id: jobs.recv().await.unwrap(), ..job() };
            executor.run(&job).await;
            executor.report_all(&job, TaskState::Finished);
        }
    };
    let (outcome, ()) = tokio::join!(run(&cluster, "two_jobs_one_after_the_other", options), serve);
    assert_eq!(outcome.error, None);
    assert_eq!((outcome.jobs.len(), outcome.jobs[0]), (2, first));
    let second = outcome.jobs[1];
    let earlier = cluster.handle.ask(move |c, _| c.master.job(second).unwrap().submission().earlier.clone());
    let earlier = earlier.await.unwrap();
    assert_eq!((earlier.len(), earlier[0].job_id, earlier[0].state), (1, first, JobState::Finished));
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn no_job_at_all() {
    let _host = Host::connect().await;
}

#[tokio::test]
async fn a_program_without_a_job_is_told_what_it_forgot() {
    let cluster = TestCluster::start();
    let outcome = run(&cluster, "no_job_at_all", ProgramOptions::default()).await;
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("The program didn't contain a Flink job. Perhaps you forgot"), "{error}");
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn a_job_and_then_an_error() {
    let (mut host, _) = Host::connect().await;
    host.execute(0, graph(), false).await;
    eprintln!("Error: the second input does not exist");
    std::process::exit(3);
}

#[tokio::test]
async fn a_program_that_fails_tells_its_last_words_and_takes_its_jobs_along() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 2);
    let (submitted, mut jobs) = mpsc::unbounded_channel();
    let options = ProgramOptions { submitted: Some(submitted), ..ProgramOptions::default() };
    let serve = async {
        jobs.recv().await.unwrap();
        executor.hear(|m| matches!(m, ToExecutor::StopWorker { .. }).then_some(())).await;
    };
    let (outcome, ()) = tokio::join!(run(&cluster, "a_job_and_then_an_error", options), serve);
    let error = outcome.error.unwrap();
    assert!(error.message.ends_with("ended with exit code 3"), "{error}");
    assert!(error.detail.contains("Error: the second input does not exist"), "{error}");
    let path = format!("/jobs/{}/status", outcome.jobs[0]);
    assert_eq!(cluster.json(&path).await, json!({"status": "CANCELED"}));
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn a_job_that_is_cancelled_and_one_that_is_refused() {
    let (mut host, _) = Host::connect().await;
    let ToProgram::Submitted { job_id, .. } = host.execute(0, graph(), false).await else {
        panic!("not accepted")
    };
    let ToProgram::Rejected { reason, .. } = host.execute(1, JobGraph::default(), true).await else {
        panic!("a graph without operators was accepted");
    };
    assert!(reason.contains("has no operators"), "{reason}");
    host.say(FromProgram::CancelJob { job_id }).await;
}

#[tokio::test]
async fn a_program_cancels_its_job_and_hears_of_a_refusal() {
    let cluster = TestCluster::start();
    let outcome =
        run(&cluster, "a_job_that_is_cancelled_and_one_that_is_refused", ProgramOptions::default()).await;
    assert_eq!((outcome.error, outcome.jobs.len()), (None, 1));
    let path = format!("/jobs/{}/status", outcome.jobs[0]);
    assert_eq!(cluster.json(&path).await, json!({"status": "CANCELED"}));
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn a_job_that_is_asked_about() {
    let (mut host, _) = Host::connect().await;
    let ToProgram::Submitted { job_id, .. } = host.execute(0, graph(), false).await else {
        panic!("not accepted")
    };
    assert_eq!(host.ask(job_id, JobQuestion::Result).await, Ok(JobAnswer::Result(None)));
    let Err(none) = host.ask(job_id, JobQuestion::Savepoint { target: None }).await else {
        panic!("a savepoint without a directory")
    };
    assert!(none.contains("No savepoint location given"), "{none}");
    let foreign = host.ask(JobId(5), JobQuestion::State).await.unwrap_err();
    assert!(foreign.contains("did not submit"), "{foreign}");
    host.say(FromProgram::CancelJob { job_id }).await;
    let ended = loop {
        if let Ok(JobAnswer::Result(Some(result))) = host.ask(job_id, JobQuestion::Result).await {
            break result.state;
        }
    };
    assert_eq!(ended, JobState::Canceled);
    assert_eq!(host.ask(job_id, JobQuestion::State).await, Ok(JobAnswer::State(ended)));
}

#[tokio::test]
async fn a_program_asks_about_a_job_that_it_does_not_wait_for() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 2);
    let (submitted, mut jobs) = mpsc::unbounded_channel();
    let options = ProgramOptions { submitted: Some(submitted), ..ProgramOptions::default() };
    let serve = async {
        let job = JobSubmission { job_id: jobs.recv().await.unwrap(), ..job() };
        executor.run(&job).await;
        executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
        executor.report_all(&job, TaskState::Canceled);
    };
    let (outcome, ()) = tokio::join!(run(&cluster, "a_job_that_is_asked_about", options), serve);
    assert_eq!(outcome.error, None);
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn a_plan() {
    let (mut host, _) = Host::connect().await;
    assert_eq!(host.execute(0, named("planned"), true).await, ToProgram::PlanTaken);
}

#[tokio::test]
#[ignore = "a program that the tests run"]
async fn a_job_that_goes_on() {
    let (mut host, _) = Host::connect().await;
    host.execute(0, graph(), true).await;
    host.hear().await;
}

#[tokio::test]
async fn a_plan_is_taken_without_running_the_job() {
    let (path, spec) = program("a_plan");
    let plan = plan_unpacked(&spec, &path, config()).await.unwrap();
    assert_eq!(plan.name, "planned");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named() {
    let cluster = TestCluster::start();
    let missing = PathBuf::from("/nonexistent/program");
    let spec = job().program;
    let outcome = run_unpacked(&cluster.handle, &spec, &missing, config(), ProgramOptions::default()).await;
    let error = outcome.error.unwrap().to_string();
    assert!(error.contains("/nonexistent/program") && error.contains("Caused by: No such file"), "{error}");
}
