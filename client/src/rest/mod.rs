//! The REST API of a running application master, as the command line uses it.
//!
//! Knows paths, shapes and retries. Waiting for something is done by asking the server to hold its answer back, and by asking
//! again where it does not.

mod error;
mod shapes;

pub use error::RestError;
pub use shapes::{JobSummary, Operation};

use kvick_core::accumulator::Accumulators;
use kvick_core::config::{ConfigError, Configuration, options};
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobState, JobSubmission};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shapes::{ExecutionResult, JobsOverview, Triggered};
use std::time::{Duration, Instant};

/// How long a server that does not answer is tried, unless `rest.retry.*` says otherwise: Flink's own minute helps nobody
/// who waits at a terminal.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(200);
/// How long the server may hold back an answer that is waited for.
pub const LONG_POLL: Duration = Duration::from_secs(20);
/// The first pause between two questions to a server that does not hold its answers back; then it grows.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A client of one application master.
#[derive(Debug, Clone)]
pub struct RestClient {
    http: reqwest::Client,
    address: String,
    patience: Duration,
}

impl RestClient {
    /// A client of the server at `host:port` (and a path, if need be). Nothing is sent yet.
    ///
    /// # Errors
    /// A value of the configuration that is none.
    pub fn new(address: &str, config: &Configuration) -> Result<RestClient, ConfigError> {
        let connect = config.get(&options::REST_CONNECT_TIMEOUT)?.min(Duration::from_secs(5));
        let retries_set = config.is_set(&options::REST_RETRIES) || config.is_set(&options::REST_RETRY_DELAY);
        let configured = config.get(&options::REST_RETRY_DELAY)? * config.get(&options::REST_RETRIES)?;
        let patience = if retries_set { configured } else { PATIENCE };
        // A builder without TLS, proxy or resolver settings has nothing that could fail.
        let http = reqwest::Client::builder().no_proxy().connect_timeout(connect).build().unwrap_or_default();
        Ok(RestClient { http, address: address.to_string(), patience })
    }

    /// The same client for a server that is elsewhere now.
    pub fn at(&self, address: &str) -> RestClient {
        RestClient { address: address.to_string(), ..self.clone() }
    }

    /// The same client, but one that says at once that nobody answers.
    pub fn without_retries(&self) -> RestClient {
        RestClient { patience: Duration::ZERO, ..self.clone() }
    }

    /// `host:port` of the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Submits a job, whose id was drawn for this submission alone.
    ///
    /// # Errors
    /// The server refuses it or does not answer.
    pub async fn submit(&self, job: &JobSubmission) -> Result<(), RestError> {
        match self.call::<Value>(Method::POST, "jobs", Some(job)).await {
            // Whoever knows the id has the job from us: it was the answer that was lost on the way.
            Err(RestError::Refused { status: 409, .. }) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// All jobs that the server remembers.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn jobs(&self) -> Result<Vec<JobSummary>, RestError> {
        let overview: JobsOverview = self.call(Method::GET, "jobs/overview", NOTHING).await?;
        Ok(overview.jobs)
    }

    /// How a job ended; `None` if it still runs after `wait`, or earlier where the server does not hold its answers back.
    ///
    /// # Errors
    /// No such job, or no answer.
    pub async fn result(&self, job: JobId, wait: Duration) -> Result<Option<JobResult>, RestError> {
        let path = format!("jobs/{job}/execution-result?wait={}", wait.min(LONG_POLL).as_millis());
        Ok(self.call::<ExecutionResult>(Method::GET, &path, NOTHING).await?.result())
    }

    /// Where a job is in its life.
    ///
    /// # Errors
    /// No such job, or no answer.
    pub async fn state(&self, job: JobId) -> Result<JobState, RestError> {
        let status: shapes::Status = self.call(Method::GET, &format!("jobs/{job}/status"), NOTHING).await?;
        Ok(status.status)
    }

    /// What the subtasks of a job have counted so far.
    ///
    /// # Errors
    /// No such job, or no answer.
    pub async fn accumulators(&self, job: JobId) -> Result<Accumulators, RestError> {
        let path = format!("jobs/{job}/accumulators?includeSerializedValue=true");
        let all: shapes::JobAccumulators = self.call(Method::GET, &path, NOTHING).await?;
        Ok(all.serialized_user_task_accumulators)
    }

    /// Asks for the end of a job; does not wait for it.
    ///
    /// # Errors
    /// No such job, or no answer.
    pub async fn cancel(&self, job: JobId) -> Result<(), RestError> {
        self.call::<Value>(Method::PATCH, &format!("jobs/{job}?mode=cancel"), NOTHING).await.map(|_| ())
    }

    /// Tells that the client of a job is there until then (epoch milliseconds).
    ///
    /// # Errors
    /// No such job, or no answer.
    pub async fn heartbeat(&self, job: JobId, until: u64) -> Result<(), RestError> {
        let body = json!({ "expiredTimestamp": until });
        self.call::<Value>(Method::PATCH, &format!("jobs/{job}/clientHeartbeat"), Some(&body))
            .await
            .map(|_| ())
    }

    /// Ends the application.
    ///
    /// # Errors
    /// No answer.
    pub async fn shut_down(&self) -> Result<(), RestError> {
        self.call::<Value>(Method::DELETE, "cluster", NOTHING).await.map(|_| ())
    }

    /// Starts an operation that takes its time; its id.
    ///
    /// # Errors
    /// The server refuses it or does not answer.
    pub async fn trigger(&self, path: &str, body: &Value) -> Result<String, RestError> {
        let triggered: Triggered = self.call(Method::POST, path, Some(body)).await?;
        Ok(triggered.request_id)
    }

    /// Asks for another parallelism of a job; the id of the operation.
    ///
    /// # Errors
    /// The server refuses it or does not answer.
    pub async fn rescale(&self, path: &str) -> Result<String, RestError> {
        let triggered: Triggered = self.call(Method::PATCH, path, NOTHING).await?;
        Ok(triggered.request_id)
    }

    /// Waits for the end of such an operation.
    ///
    /// # Errors
    /// It failed, it did not end in time, or the server went away.
    pub async fn operation(&self, path: &str, timeout: Duration) -> Result<Operation, RestError> {
        let deadline = Instant::now() + timeout;
        let mut pauses = Pauses::default();
        while Instant::now() < deadline {
            let status: shapes::OperationStatus = self.call(Method::GET, path, NOTHING).await?;
            if let Some(operation) = status.finished()? {
                return Ok(operation);
            }
            pauses.next().await;
        }
        Err(RestError::Unfinished { after: timeout })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, RestError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.call_once(&method, path, body).await {
                Err(error) if error.is_worth_a_retry() && Instant::now() + RETRY < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                answer => return answer,
            }
        }
    }

    async fn call_once<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, RestError> {
        let url = format!("http://{}/v1/{path}", self.address);
        let mut request = self.http.request(method.clone(), url).timeout(LONG_POLL + PATIENCE);
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |error| RestError::lost(&self.address, error);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(lost)?;
        if !status.is_success() {
            return Err(RestError::refused(status.as_u16(), &bytes));
        }
        serde_json::from_slice(&bytes)
            .map_err(|source| RestError::Body { address: self.address.clone(), source })
    }
}

/// Ever longer pauses between two questions.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses(FIRST_PAUSE)
    }
}

impl Pauses {
    /// Waits for the next one to pass.
    pub async fn next(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// A request without a body.
const NOTHING: Option<&Value> = None;
