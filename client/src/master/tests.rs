//! The next master is found, and what was asked is asked there.

use super::search::{Next, Search};
use super::testing::{Master, Yarn, client, nobody, report};
use crate::rest::RestError;
use kvick_core::graph::JobGraph;
use kvick_core::ids::JobId;
use kvick_core::job::{Artifact, JobSubmission, ProgramSpec};
use kvick_yarn::records::{ApplicationReport, ApplicationState, FinalStatus};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const JOB: JobId = JobId(7);
const NO_JOBS: Option<(u16, &str)> = Some((200, "{\"jobs\":[]}"));

#[tokio::test]
async fn all_who_share_a_client_follow_to_the_next_master() {
    let next = Master::begin(|_| NO_JOBS).await;
    let master = client(&nobody().await, &Yarn::names(&next.address));
    let other = master.clone();
    assert!(master.ask(|rest| async move { rest.jobs().await }).await.unwrap().is_empty());
    assert_eq!(other.rest().address(), next.address);
    assert!(other.rest().jobs().await.unwrap().is_empty(), "without asking YARN again");
}

#[tokio::test]
async fn the_next_master_may_be_where_the_last_one_was() {
    let first = Master::begin(|_| NO_JOBS).await;
    let address = first.address.clone();
    let yarn = Yarn::names(&address);
    let master = client(&address, &yarn);
    let ask = || master.ask(|rest| async move { rest.jobs().await });
    ask().await.unwrap();
    first.kill().await;
    let mut takeovers = master.takeovers();
    let (answer, second) = tokio::join!(ask(), async {
        yarn.asked().await;
        Master::at(&address, |_| NO_JOBS).await
    });
    assert!(answer.is_ok(), "{answer:?}");
    assert!(takeovers.has_changed().unwrap(), "it knows nothing of what the last one was told");
    takeovers.mark_unchanged();
    ask().await.unwrap();
    assert!(!takeovers.has_changed().unwrap());
    drop(second);
}

#[tokio::test]
async fn nobody_waits_for_the_master_of_an_application_that_is_over() {
    let address = nobody().await;
    for (state, status) in
        [(ApplicationState::Failed, FinalStatus::Failed), (ApplicationState::Running, FinalStatus::Succeeded)]
    {
        let yarn = Yarn::names(&address);
        yarn.says(ApplicationReport { state, final_status: status, ..report(&address) });
        let asked = client(&address, &yarn).ask(|rest| async move { rest.jobs().await }).await;
        assert!(matches!(asked, Err(RestError::Unreachable { .. })), "{asked:?}");
    }
}

#[tokio::test]
async fn what_a_master_refuses_is_asked_of_no_other() {
    let master = Master::begin(|_| Some((404, "{\"errors\":[\"no such job\"]}"))).await;
    let yarn = Yarn::names("127.0.0.1:1");
    let asked = client(&master.address, &yarn).ask(|rest| async move { rest.cancel(JOB).await }).await;
    assert_eq!(asked.unwrap_err().to_string(), "no such job");
}

#[tokio::test]
async fn where_yarn_says_that_the_master_is_it_is_asked() {
    let address = nobody().await;
    let master = client(&address, &Yarn::names(&address));
    master.heed(&report("127.0.0.1:9"));
    assert_eq!(master.rest().address(), "127.0.0.1:9");
    // Between two attempts YARN names nobody.
    let mut between = report("127.0.0.1:9");
    (between.host, between.rpc_port) = ("N/A".to_string(), -1);
    master.heed(&between);
    assert_eq!(master.rest().address(), "127.0.0.1:9");
}

fn submission() -> JobSubmission {
    let jar = Artifact { name: "a.jar".into(), uri: "file:///a.jar".into(), sha256: String::new(), size: 1 };
    JobSubmission {
        job_id: JOB,
        ordinal: 0,
        program: ProgramSpec { jar, entry: None, args: Vec::new() },
        graph: JobGraph::default(),
        config: Default::default(),
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

#[tokio::test]
async fn a_submission_whose_answer_was_lost_is_sent_again_and_known_again() {
    let silent = Master::begin(|_| None).await;
    let mut next =
        Master::begin(|_| Some((409, "{\"errors\":[\"job 7 has already been submitted\"]}"))).await;
    let (master, job) = (client(&silent.address, &Yarn::names(&next.address)), submission());
    let job = &job;
    master.ask(|rest| async move { rest.submit(job).await }).await.unwrap();
    assert!(next.request().await.starts_with("POST /v1/jobs "));
}

#[tokio::test]
async fn the_next_master_is_told_to_do_what_the_last_one_had_begun() {
    let begun = |line: &str| match line.starts_with("POST ") {
        true => Some((202, "{\"request-id\":\"1\"}")),
        false => None,
    };
    let done = |line: &str| match line.starts_with("POST ") {
        true => Some((202, "{\"request-id\":\"2\"}")),
        false if line.starts_with("GET ") && line.contains("/savepoints/2 ") => {
            Some((200, "{\"status\":{\"id\":\"COMPLETED\"},\"operation\":{\"location\":\"hdfs:///s\"}}"))
        }
        false => None,
    };
    let (mut first, mut next) = (Master::begin(begun).await, Master::begin(done).await);
    let master = client(&first.address, &Yarn::names(&next.address));
    let body = json!({ "drain": false });
    let stopped = master.operate(&format!("jobs/{JOB}/stop"), &body, Duration::from_secs(10)).await.unwrap();
    assert_eq!(stopped.location.as_deref(), Some("hdfs:///s"));
    let (told, told_again) = (first.request().await, next.request().await);
    assert!(told_again.starts_with(&format!("POST /v1/jobs/{JOB}/stop ")), "{told_again}");
    let id = |request: &str| request.split_once("\"triggerId\":").map(|(_, id)| id.to_string());
    assert!(id(&told).is_some_and(|id| id.len() > 32), "{told}");
    assert_eq!(id(&told), id(&told_again), "so that no master begins it twice");
}

/// The seconds at which a search gives up if YARN says the same all the time, and what it said to the user on its way.
fn given_up(heard: bool, named: Option<&str>) -> (u64, Vec<String>) {
    let began = Instant::now();
    let mut search = Search::begin(began, "old:1", heard);
    let report = named.map(report);
    let mut news = Vec::new();
    for second in 0..=700 {
        let now = began + Duration::from_secs(second);
        if search.next(now, report.as_ref()) == Next::GiveUp {
            return (second, news);
        }
        news.extend(search.news(now, report.as_ref()));
    }
    panic!("it goes on for ever");
}

#[test]
fn a_master_that_has_answered_is_waited_for_as_long_as_yarn_needs_to_miss_it() {
    let (second, news) = given_up(true, Some("old:1"));
    assert_eq!(second, 600);
    let [line] = news.as_slice() else { panic!("once: {news:?}") };
    assert!(line.contains("does not answer at old:1") && line.contains("up to 10 minutes"), "{line}");
    assert_eq!(given_up(true, None).0, 600, "no ResourceManager answers");
    // Who cannot be reached at all is told soon.
    assert_eq!(given_up(false, Some("old:1")).0, 30);
    assert_eq!(given_up(false, Some("N/A:0")).0, 600, "its next attempt waits for a container");
}

#[test]
fn yarn_says_where_to_ask_next() {
    let began = Instant::now();
    let mut search = Search::begin(began, "old:1", true);
    assert_eq!(search.next(began, Some(&report("old:1"))), Next::Here);
    assert_eq!(search.next(began, Some(&report("N/A:0"))), Next::Look);
    assert_eq!(search.next(began, None), Next::Look);
    assert_eq!(search.next(began, Some(&report("old:2"))), Next::Elsewhere("old:2".to_string()));
}
