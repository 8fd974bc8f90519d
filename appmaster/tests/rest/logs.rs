//! Log files of the application master and, asked for over the conversation, of task executors.

use crate::support::TestCluster;
use axum::http::{StatusCode, header};
use kvick_core::executor::{FromExecutor, LogFile, ToExecutor};
use serde_json::json;

#[tokio::test]
async fn the_masters_own_files_are_listed_and_read() {
    let cluster = TestCluster::start();
    std::fs::write(cluster.dir.path().join("jobmanager.log"), "line\n").unwrap();
    std::fs::create_dir(cluster.dir.path().join("directory")).unwrap();
    let log = cluster.get("/jobmanager/log").await;
    assert_eq!((log.status, log.text().as_str()), (StatusCode::OK, "line\n"));
    assert_eq!(log.headers[header::CONTENT_TYPE], "text/plain; charset=UTF-8");
    let list = cluster.json("/jobmanager/logs").await;
    assert_eq!(list["logs"].as_array().unwrap().len(), 1);
    assert_eq!((&list["logs"][0]["name"], &list["logs"][0]["size"]), (&json!("jobmanager.log"), &json!(5)));
    assert!(list["logs"][0]["mtime"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(cluster.get("/jobmanager/logs/jobmanager.log").await.text(), "line\n");
    assert_eq!(cluster.get("/jobmanager/logs/directory").await.status, StatusCode::NOT_FOUND);
    assert_eq!(cluster.get("/jobmanager/stdout").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_executors_files_come_from_the_executor() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 1);
    let answer = async {
        let request =
            executor.hear(|m| if let ToExecutor::ListLogs { request } = m { Some(request) } else { None });
        let request = request.await;
        let files = vec![LogFile { name: "taskmanager.log".to_string(), size: 3, mtime: 7 }];
        executor.say(FromExecutor::Logs { request, files });
    };
    let (list, ()) = tokio::join!(cluster.json("/taskmanagers/te/logs"), answer);
    assert_eq!(list, json!({"logs": [{"name": "taskmanager.log", "size": 3, "mtime": 7}]}));
}

#[tokio::test]
async fn an_executors_log_is_asked_for_by_its_name() {
    let cluster = TestCluster::start();
    let mut executor = cluster.executor("te", 1);
    for (path, file, content, status) in [
        ("log", "taskmanager.log", Ok("text".to_string()), StatusCode::OK),
        (
            "stdout",
            "taskmanager.out",
            Err("taskmanager.out: no such file".to_string()),
            StatusCode::NOT_FOUND,
        ),
        ("logs/taskmanager.err", "taskmanager.err", Ok("text".to_string()), StatusCode::OK),
    ] {
        let answer = async {
            let asked = executor.hear(|m| match m {
                ToExecutor::ReadLog { request, name, .. } => Some((request, name)),
                _ => None,
            });
            let (request, name) = asked.await;
            assert_eq!(name, file);
            executor.say(FromExecutor::LogContent { request, content });
        };
        let path = format!("/taskmanagers/te/{path}");
        let (log, ()) = tokio::join!(cluster.get(&path), answer);
        assert_eq!(log.status, status, "{path}: {}", log.text());
    }
}

#[tokio::test]
async fn a_thread_dump_is_declined_in_its_own_shape() {
    let cluster = TestCluster::start();
    let _executor = cluster.executor("te", 1);
    for path in ["/jobmanager/thread-dump", "/taskmanagers/te/thread-dump"] {
        let dump = cluster.json(path).await;
        let text = dump["threadInfos"][0]["stringifiedThreadInfo"].as_str().unwrap();
        assert!(text.contains("native process"), "{path}: {text}");
    }
}
