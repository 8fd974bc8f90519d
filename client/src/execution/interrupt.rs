//! What a client leaves behind when it is interrupted, and how it takes it away: an application that does not run yet, a job
//! that shall not outlive its client.

use super::Accepted;
use crate::console;
use crate::deploy::Deployment;
use crate::master::MasterClient;
use kvick_core::config::{ConfigError, Configuration, options};
use kvick_core::ids::JobId;
use kvick_yarn::ids::ApplicationId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How long the cancelling of a job is waited for when the client ends: as long as another application master may take to come.
const CANCEL_PATIENCE: Duration = Duration::from_secs(30);
/// When a heartbeat is sent again that did not arrive.
const HEARTBEAT_AGAIN: Duration = Duration::from_secs(1);

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
    Cancel(MasterClient, JobId),
}

impl Cleanup {
    /// An application is being deployed: it goes.
    pub fn abandon(&self, deployment: Arc<Deployment>, id: ApplicationId) {
        self.put(What::Abandon(deployment, id));
    }

    /// A job runs that its client shall not leave behind.
    pub fn cancel_job(&self, master: MasterClient, job: JobId) {
        self.put(What::Cancel(master, job));
    }

    /// Everything may stay.
    pub fn forget(&self) {
        self.put(What::Nothing);
    }

    fn put(&self, what: What) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Does it; who is told to end once more leaves it undone.
    pub async fn run(&self) {
        let what = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match what {
            What::Nothing => {}
            What::Abandon(deployment, id) => deployment.abandon(id).await,
            What::Cancel(master, job) => tokio::select! {
                () = cancel(&master, job) => {}
                _ = signalled() => {}
            },
        }
    }
}

async fn cancel(master: &MasterClient, job: JobId) {
    let cancelled = master.ask(|rest| async move { rest.cancel(job).await });
    let why = match tokio::time::timeout(CANCEL_PATIENCE, cancelled).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no application master answered within {} s", CANCEL_PATIENCE.as_secs()),
    };
    // A master that has had heartbeats cancels it when they stay away; another knows nothing of them.
    let text = format!("The job {job} could not be cancelled, and may go on unless it has ended: {why}");
    console::warn(console::DESCRIPTOR, text);
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

    /// Tells the job's master, and each that takes over from it at once: it knows nothing of the heartbeats before. Until what is
    /// returned is dropped. Whoever waits for the job finds the next master.
    pub fn begin(self, accepted: &Accepted) -> Heartbeats {
        let (master, job) = (accepted.master.clone(), accepted.job_id);
        Heartbeats(tokio::spawn(async move {
            let mut takeovers = master.takeovers();
            loop {
                let told = master.rest().heartbeat(job, self.until()).await;
                let lost = told.is_err_and(|error| error.is_gone());
                let pause = if lost { self.interval.min(HEARTBEAT_AGAIN) } else { self.interval };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = takeovers.changed() => {}
                }
            }
        }))
    }

    /// Until when a heartbeat holds that is sent now, in milliseconds since 1970.
    fn until(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from((now + self.timeout).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::testing::{Master, Yarn, client, report};

    const JOB: JobId = JobId(7);
    const TAKEN: Option<(u16, &str)> = Some((202, "{}"));

    #[tokio::test]
    async fn the_next_master_hears_from_the_client_of_a_job_at_once() {
        let (mut first, mut next) = (Master::begin(|_| TAKEN).await, Master::begin(|_| TAKEN).await);
        let yarn = Yarn::names(&first.address);
        let master = client(&first.address, &yarn);
        let rare = Heartbeat { interval: Duration::from_secs(3600), timeout: Duration::from_secs(7200) };
        let _heartbeats = rare.begin(&Accepted { job_id: JOB, master: master.clone(), watch: None });
        let heartbeat = format!("PATCH /v1/jobs/{JOB}/clientHeartbeat ");
        assert!(first.request().await.starts_with(&heartbeat));
        first.kill().await;
        yarn.says(report(&next.address));
        // As whoever waits for the job does.
        master
            .ask(|rest| async move { rest.trigger("wait", &serde_json::Value::Null).await })
            .await
            .unwrap_err();
        let mut requests = [next.request().await, next.request().await];
        requests.sort();
        assert!(requests[0].starts_with(&heartbeat), "{requests:?}");
        assert!(requests[0].contains("expiredTimestamp"), "{requests:?}");
    }

    #[tokio::test]
    async fn an_interrupted_client_cancels_its_job_wherever_the_master_is() {
        let (first, mut next) = (Master::begin(|_| TAKEN).await, Master::begin(|_| TAKEN).await);
        let yarn = Yarn::names(&next.address);
        let cleanup = Cleanup::default();
        cleanup.cancel_job(client(&first.address, &yarn), JOB);
        first.kill().await;
        cleanup.run().await;
        assert!(next.request().await.starts_with(&format!("PATCH /v1/jobs/{JOB}?mode=cancel ")));
    }
}
