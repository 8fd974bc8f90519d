//! Jars over the API: upload, list, plan, run, remove. Their programs are scripts that run the tests' own programs.

use crate::support::{Answer, TestCluster, config, job};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use kvick_core::executor::ToExecutor;
use kvick_core::job::Artifact;
use kvick_core::master::MasterMode;
use kvick_jar::{HOST_TARGET, PackEntry, PackSpec};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A jar whose entry points are programs of the tests.
fn jar(cluster: &TestCluster, behaviours: &[&str]) -> Vec<u8> {
    let entry = |behaviour: &&str| {
        let program = cluster.dir.path().join(behaviour);
        let own = std::env::current_exe().unwrap();
        let command = format!("exec {} --exact programs::{behaviour} --ignored --nocapture", own.display());
        std::fs::write(&program, format!("#!/bin/sh\necho \"args: $*\" >&2\n{command}\n")).unwrap();
        PackEntry { entry: (*behaviour).to_string(), target: HOST_TARGET.to_string(), program }
    };
    let spec = PackSpec {
        main_class: Some(behaviours[0].to_string()),
        entries: behaviours.iter().map(entry).collect(),
        files: Vec::new(),
    };
    let path = cluster.dir.path().join("packed.jar");
    kvick_jar::pack(&spec, &path).unwrap();
    std::fs::read(path).unwrap()
}

async fn upload(cluster: &TestCluster, name: &str, content: &[u8]) -> Answer {
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
         Content-Type: application/x-java-archive\r\n\r\n"
    );
    let body = [head.as_bytes(), content, b"\r\n--b--\r\n"].concat();
    let request =
        Request::post("/v1/jars/upload").header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    cluster.send(request.body(Body::from(body)).unwrap()).await
}

/// Uploads a jar and returns its id.
async fn uploaded(cluster: &TestCluster, behaviours: &[&str]) -> String {
    let answer = upload(cluster, "demo.jar", &jar(cluster, behaviours)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["status"], "success");
    let path = PathBuf::from(answer.json()["filename"].as_str().unwrap());
    path.file_name().unwrap().to_str().unwrap().to_string()
}

async fn run(cluster: &TestCluster, id: &str, body: &Value) -> Answer {
    cluster.request(Method::POST, &format!("/jars/{id}/run"), Some(body)).await
}

#[tokio::test]
async fn an_uploaded_jar_is_listed_and_removed() {
    let cluster = TestCluster::start();
    let id = uploaded(&cluster, &["a_plan", "no_job_at_all"]).await;
    let list = cluster.json("/jars").await;
    assert_eq!(list["address"], "http://am:8081");
    let file = &list["files"][0];
    assert_eq!((&file["id"], &file["name"]), (&json!(id), &json!("demo.jar")));
    assert_eq!(file["entry"][0], json!({"name": "a_plan", "description": null}));
    assert!(file["uploaded"].as_u64().unwrap() > 1_700_000_000_000);
    let removed = cluster.request(Method::DELETE, &format!("/jars/{id}"), None).await;
    assert_eq!((removed.status, removed.json()), (StatusCode::OK, json!({})));
    assert_eq!(cluster.json("/jars").await["files"], json!([]));
    let again = cluster.request(Method::DELETE, &format!("/jars/{id}"), None).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_no_job_jar_is_refused_and_not_kept() {
    let cluster = TestCluster::start();
    let text = upload(&cluster, "notes.txt", b"x").await;
    assert_eq!(
        (text.status, text.error().as_str()),
        (StatusCode::BAD_REQUEST, "Only Jar files are allowed.")
    );
    let broken = upload(&cluster, "broken.jar", b"not a zip").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert!(broken.error().starts_with("broken.jar is not a jar"), "{}", broken.error());
    let escaping = upload(&cluster, "../../x.jar", &jar(&cluster, &["a_plan"])).await;
    assert!(escaping.json()["filename"].as_str().unwrap().ends_with("_x.jar"), "{}", escaping.text());
    let kept = std::fs::read_dir(cluster.dir.path().join("uploads/flink-web-upload")).unwrap();
    assert_eq!(kept.count(), 1);
}

#[tokio::test]
async fn a_jar_that_is_too_long_is_refused() {
    let mut config = config();
    config.set("rest.server.max-content-length", "100");
    let cluster = TestCluster::start_as(MasterMode::Session, config);
    let answer = upload(&cluster, "big.jar", &[0; 1_000]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.error().contains("rest.server.max-content-length"), "{}", answer.error());
}

#[tokio::test]
async fn the_plan_of_a_jar_is_shown_without_running_it() {
    let cluster = TestCluster::start();
    let id = uploaded(&cluster, &["no_job_at_all", "a_plan"]).await;
    let plan = cluster.json(&format!("/jars/{id}/plan?entry-class=org.example.a_plan")).await;
    assert_eq!(
        (&plan["plan"]["name"], plan["plan"]["nodes"].as_array().unwrap().len()),
        (&json!("planned"), 3)
    );
    assert_eq!(cluster.json("/jobs").await, json!({"jobs": []}));
}

#[tokio::test]
async fn a_jar_is_run_and_its_job_fetches_it_from_where_it_is() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 2);
    let id = uploaded(&cluster, &["a_job_that_goes_on"]).await;
    let body = json!({"programArgsList": ["--x", "1"], "parallelism": 3, "jobId": "00000000000000000000000000000abc"});
    let answer = run(&cluster, &id, &body).await;
    assert_eq!(answer.json(), json!({"jobid": "00000000000000000000000000000abc"}));
    let started = executor.hear(|m| {
        if let ToExecutor::StartWorker { program, spec } = m { Some((program, spec)) } else { None }
    });
    let (program, spec) = started.await;
    assert_eq!(
        (program.args, program.jar.name.as_str()),
        (vec!["--x".to_string(), "1".to_string()], "demo.jar")
    );
    assert_eq!(spec.config.raw("parallelism.default"), Some("3"));
    let fetched = std::fs::read(program.jar.uri.strip_prefix("file://").unwrap()).unwrap();
    assert_eq!(kvick_jar::sha256_hex(&fetched), program.jar.sha256);
}

#[tokio::test]
async fn a_program_that_fails_before_its_job_is_told_to_whoever_ran_it() {
    let cluster = TestCluster::start();
    let id = uploaded(&cluster, &["no_job_at_all"]).await;
    let answer = run(&cluster, &id, &json!({})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.error().starts_with("The program didn't contain a Flink job."), "{}", answer.error());
    let other = run(&cluster, &id, &json!({"entryClass": "Nothing"})).await;
    assert!(
        other.error().contains("'Nothing'") && other.error().contains("no_job_at_all"),
        "{}",
        other.error()
    );
    let missing = run(&cluster, "nothing.jar", &json!({})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let bad_id = run(&cluster, &id, &json!({"jobId": "7"})).await;
    assert!(bad_id.error().contains("32 hexadecimal digits"), "{}", bad_id.error());
}

#[tokio::test]
async fn a_submission_may_name_an_uploaded_jar() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 2);
    let id = uploaded(&cluster, &["a_plan"]).await;
    let mut job = job();
    job.program.jar = Artifact { uri: format!("jar://{id}"), ..job.program.jar };
    cluster.submit(&job).await;
    let jar = executor
        .hear(|m| if let ToExecutor::StartWorker { program, .. } = m { Some(program.jar) } else { None });
    let jar = jar.await;
    assert!(jar.uri.starts_with("file:///") && jar.uri.ends_with(&id), "{jar:?}");
    assert_eq!(jar.name, "demo.jar");
}

#[tokio::test]
async fn jars_are_put_into_the_applications_cache_where_there_is_one() {
    let cluster = TestCluster::start_with(MasterMode::Session, config(), |spec, dir| {
        spec.cache_dir = Some(format!("{}/.flink/cache", dir.display()));
        spec.staging_dir = Some(format!("{}/.flink/application_1_0001", dir.display()));
        std::fs::create_dir_all(dir.join(".flink/application_1_0001")).unwrap();
    });
    let mut executor = cluster.executor("te", 2);
    let id = uploaded(&cluster, &["a_job_that_goes_on"]).await;
    assert_eq!(run(&cluster, &id, &json!({})).await.status, StatusCode::OK);
    let jar = executor
        .hear(|m| if let ToExecutor::StartWorker { program, .. } = m { Some(program.jar) } else { None });
    let jar = jar.await;
    let expected = format!("/.flink/cache/{}/demo.jar", jar.sha256);
    assert!(jar.uri.ends_with(&expected), "{jar:?}");
    assert!(cluster.dir.path().join(&expected[1..]).is_file());
    let reference = cluster.dir.path().join(".flink/application_1_0001/.cache").join(&jar.sha256);
    assert!(reference.exists(), "nothing keeps the cached jar from being tidied up");
}

#[tokio::test]
async fn without_web_submission_there_are_no_jars() {
    let mut config = config();
    config.set("web.submit.enable", "false");
    let cluster = TestCluster::start_as(MasterMode::Session, config);
    assert_eq!(cluster.get("/jars").await.status, StatusCode::NOT_FOUND);
    assert_eq!(cluster.json("/config").await["features"]["web-submit"], false);
}
