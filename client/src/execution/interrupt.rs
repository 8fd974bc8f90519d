//! What a client leaves behind when it is interrupted, and how it takes it away: an application that does not run yet, a job
//! that shall not outlive its client.

use super::Accepted;
use crate::deploy::Deployment;
use crate::rest::RestClient;
use kvick_core::config::{ConfigError, Configuration, options};
use kvick_core::ids::JobId;
use kvick_yarn::ids::ApplicationId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How long the cancelling of a job is waited for when the client ends.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// The client was told to end; the exit code says by which signal.
pub struct Interrupted(pub u8);

/// Waits for Ctrl-C or the like.
pub async fn signalled() -> Interrupted {
    let kinds = [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143)];
    let [interrupt, terminate] = kinds.map(|(kind, code)| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
                Interrupted(code)
            }
            // Then the signal ends the process as it always does.
            Err(_) => std::future::pending().await,
        }
    });
    tokio::select! {
        interrupted = interrupt => interrupted,
        interrupted = terminate => interrupted,
    }
}

/// What is to be done when the client is interrupted now.
#[derive(Clone, Default)]
pub struct Cleanup(Arc<Mutex<What>>);

#[derive(Clone, Default)]
enum What {
    #[default]
    Nothing,
    Abandon(Arc<Deployment>, ApplicationId),
    Cancel(RestClient, JobId),
}

impl Cleanup {
    /// An application is being deployed: it goes.
    pub fn abandon(&self, deployment: Arc<Deployment>, id: ApplicationId) {
        self.put(What::Abandon(deployment, id));
    }

    /// A job runs that its client shall not leave behind.
    pub fn cancel_job(&self, rest: RestClient, job: JobId) {
        self.put(What::Cancel(rest, job));
    }

    /// Everything may stay.
    pub fn forget(&self) {
        self.put(What::Nothing);
    }

    fn put(&self, what: What) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Does it.
    pub async fn run(&self) {
        let what = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match what {
            What::Nothing => {}
            What::Abandon(deployment, id) => deployment.abandon(id).await,
            What::Cancel(rest, job) => {
                // The job's master cancels it by itself when the heartbeats stay away.
                let _ = tokio::time::timeout(CANCEL_PATIENCE, rest.cancel(job)).await;
            }
        }
    }
}

/// Heartbeats that go on until this is dropped.
pub struct Heartbeats(JoinHandle<()>);

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How often a client says that it is there, and how long its word holds.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    interval: Duration,
    timeout: Duration,
}

impl Heartbeat {
    /// From the configuration.
    ///
    /// # Errors
    /// Values that are none.
    pub fn from_config(config: &Configuration) -> Result<Heartbeat, ConfigError> {
        let interval = config.get(&options::CLIENT_HEARTBEAT)?;
        Ok(Heartbeat { interval, timeout: config.get(&options::CLIENT_HEARTBEAT_TIMEOUT)? })
    }

    /// Tells the job's master, until what is returned is dropped.
    pub fn begin(self, accepted: &Accepted) -> Heartbeats {
        let (rest, job) = (accepted.rest.clone(), accepted.job_id);
        Heartbeats(tokio::spawn(async move {
            loop {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let until = u64::try_from((now + self.timeout).as_millis()).unwrap_or(u64::MAX);
                // One that is lost is made up for by the next.
                let _ = rest.heartbeat(job, until).await;
                tokio::time::sleep(self.interval).await;
            }
        }))
    }
}
