//! For tests: application masters of a few lines, and a YARN that names one of them.

use super::{MasterClient, Whereabouts};
use crate::rest::RestClient;
use anyhow::Result;
use kvick_core::config::Configuration;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::{ApplicationReport, ApplicationState, FinalStatus, ResourceUsage};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What a master answers to a request line: a status and a body, or nothing at all.
pub type Answers = fn(&str) -> Option<(u16, &'static str)>;

/// A master that lives as long as this does.
pub struct Master {
    pub address: String,
    requests: mpsc::UnboundedReceiver<String>,
    server: JoinHandle<()>,
}

impl Master {
    pub async fn begin(answers: Answers) -> Master {
        Master::at("127.0.0.1:0", answers).await
    }

    pub async fn at(address: &str, answers: Answers) -> Master {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            // One after the other: nothing outlives the listener.
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read_request(&mut stream).await else { continue };
                let answer = answers(request.lines().next().unwrap_or_default());
                let _ = sender.send(request);
                if let Some((status, body)) = answer {
                    let length = body.len();
                    let text = format!(
                        "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    let _ = stream.write_all(text.as_bytes()).await;
                }
            }
        });
        Master { address, requests, server }
    }

    /// The next request that comes, head and body.
    pub async fn request(&mut self) -> String {
        tokio::time::timeout(LIMIT, self.requests.recv()).await.expect("a request comes").unwrap()
    }

    /// It dies, and its address is free when this returns.
    pub async fn kill(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let (mut request, mut chunk) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        request.push_str(&String::from_utf8_lossy(&chunk[..read]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
        if body.len() >= length.map_or(0, |text| text.parse().unwrap()) {
            return Some(request);
        }
    }
}

/// What YARN says: of a running application with its master there.
pub fn report(address: &str) -> ApplicationReport {
    let (host, port) = address.split_once(':').unwrap();
    ApplicationReport {
        id: ApplicationId { cluster_timestamp: 1, id: 1 },
        attempt: None,
        user: String::new(),
        queue: String::new(),
        name: String::new(),
        host: host.to_string(),
        rpc_port: port.parse().unwrap(),
        state: ApplicationState::Running,
        final_status: FinalStatus::Undefined,
        tracking_url: String::new(),
        original_tracking_url: String::new(),
        diagnostics: String::new(),
        start_time: 0,
        launch_time: 0,
        finish_time: 0,
        progress: 0.0,
        application_type: String::new(),
        tags: Vec::new(),
        priority: 0,
        usage: ResourceUsage::default(),
        am_rm_token: None,
        remaining_lifetime: None,
        client_to_am_token: None,
    }
}

/// A YARN that says what a test wants.
#[derive(Clone)]
pub struct Yarn {
    report: Arc<Mutex<ApplicationReport>>,
    asked: Arc<Notify>,
}

impl Yarn {
    pub fn names(address: &str) -> Yarn {
        Yarn { report: Arc::new(Mutex::new(report(address))), asked: Arc::default() }
    }

    pub fn says(&self, report: ApplicationReport) {
        *self.report.lock().unwrap() = report;
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        tokio::time::timeout(LIMIT, self.asked.notified()).await.expect("somebody asks");
    }
}

impl Whereabouts for Yarn {
    fn report(&self) -> Pin<Box<dyn Future<Output = Result<ApplicationReport>> + Send + '_>> {
        self.asked.notify_one();
        Box::pin(async { Ok(self.report.lock().unwrap().clone()) })
    }
}

/// A client of the master there that finds the others where YARN says, and does not try one address for long.
pub fn client(address: &str, yarn: &Yarn) -> MasterClient {
    let mut config = Configuration::default();
    config.set("rest.retry.max-attempts", "0");
    let rest = RestClient::new(address, &config).unwrap();
    MasterClient::new(rest, Some(Arc::new(yarn.clone())))
}

/// An address at which nobody listens.
pub async fn nobody() -> String {
    let master = Master::begin(|_| None).await;
    let address = master.address.clone();
    master.kill().await;
    address
}
