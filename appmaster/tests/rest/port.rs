//! REST and the RPC of task executors share one port.

use crate::server;
use crate::support::{TestCluster, config};
use kvick_core::executor::{ExecutorInfo, FromExecutor};
use kvick_core::ids::ExecutorId;
use kvick_rpc::gateway::{Conversation, encode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

const PATIENCE: Duration = Duration::from_secs(20);

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: am\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_task_executor_connects_where_rest_is_served() {
    let cluster = TestCluster::start();
    let listener = server::bind(&cluster.handle.settings.config).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(server::serve(listener, cluster.handle.clone()));
    assert!(get(port, "/v1/overview").await.contains("\"slots-total\":0"));
    let lost = get(port, "/nosuch").await;
    assert!(lost.starts_with("HTTP/1.1 404") && lost.contains("Unable to load requested file"), "{lost}");
    let (frames, outgoing) = mpsc::unbounded_channel();
    frames
        .send(
            encode(
                1,
                &FromExecutor::Register {
                    info: Box::new(info()),
                    holdings: Default::default(),
                    connection: 1,
                },
            )
            .unwrap(),
        )
        .unwrap();
    let secret = cluster.handle.settings.secret.clone();
    let address = format!("127.0.0.1:{port}");
    let opening = Conversation::open(&address, &secret, UnboundedReceiverStream::new(outgoing));
    let mut conversation = tokio::time::timeout(PATIENCE, opening).await.unwrap().unwrap();
    let welcome = tokio::time::timeout(PATIENCE, conversation.incoming.message()).await.unwrap();
    assert!(welcome.unwrap().is_some());
    assert!(get(port, "/overview").await.contains("\"slots-total\":3"));
    serving.abort();
}

fn info() -> ExecutorInfo {
    ExecutorInfo {
        id: ExecutorId("te".to_string()),
        host: "node1".to_string(),
        slots: 3,
        pid: 1,
        cpu_cores: 1,
        physical_memory: 1,
        log_dir: String::new(),
        config: config(),
    }
}
