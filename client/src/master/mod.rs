//! The application master, wherever it is: asked at the address where it is known, and when nobody answers there, where YARN says
//! that the next one is.
//!
//! Owns the present address, which all share who ask the same application. Knows nothing of what is asked.

mod search;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use search::is_over;

use crate::console;
use crate::deploy::wait;
use crate::rest::{Operation, RestClient, RestError};
use anyhow::Result;
use kvick_core::ids::JobId;
use kvick_yarn::records::ApplicationReport;
use search::{Next, Search};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks at where an application's next master is.
const LOOK: Duration = Duration::from_millis(500);

/// Who knows where an application's master is.
pub trait Whereabouts: Send + Sync {
    /// What YARN says of the application now.
    fn report(&self) -> Pin<Box<dyn Future<Output = Result<ApplicationReport>> + Send + '_>>;
}

/// A client of whichever application master there is. Clones ask the same one.
#[derive(Clone)]
pub struct MasterClient(Arc<Shared>);

struct Shared {
    rest: watch::Sender<RestClient>,
    whereabouts: Option<Arc<dyn Whereabouts>>,
    /// Whether it has ever answered.
    heard: AtomicBool,
}

impl MasterClient {
    /// A client of the master that `rest` speaks to, and of those after it if somebody knows where they are.
    pub fn new(rest: RestClient, whereabouts: Option<Arc<dyn Whereabouts>>) -> MasterClient {
        let rest = watch::Sender::new(rest);
        MasterClient(Arc::new(Shared { rest, whereabouts, heard: AtomicBool::new(false) }))
    }

    /// The client of the one that is known now.
    pub fn rest(&self) -> RestClient {
        self.0.rest.borrow().clone()
    }

    /// Changes whenever another master may have taken over.
    pub fn takeovers(&self) -> watch::Receiver<RestClient> {
        self.0.rest.subscribe()
    }

    /// Takes note of where YARN says that the master is.
    pub fn heed(&self, report: &ApplicationReport) {
        if let Some(address) = wait::address_of(report)
            && address != self.rest().address()
        {
            self.move_to(&address);
        }
    }

    /// Asks the master, and where it is gone the next one, as long as YARN expects one. What is asked may so be asked twice.
    ///
    /// # Errors
    /// What the master answers; that it is gone, and no other came.
    pub async fn ask<T, F>(&self, question: impl Fn(RestClient) -> F) -> Result<T, RestError>
    where
        F: Future<Output = Result<T, RestError>>,
    {
        let mut search: Option<Search> = None;
        loop {
            let known = self.rest();
            // A client that tries one address for seconds would not see meanwhile that YARN names another.
            let rest = if search.is_some() { known.without_retries() } else { known.clone() };
            let error = match question(rest).await {
                Err(error) if error.is_gone() => error,
                answer => {
                    self.answered(search);
                    return answer;
                }
            };
            let heard = self.0.heard.load(Ordering::Relaxed);
            let begin = || Search::begin(Instant::now(), known.address(), heard);
            match self.find(search.get_or_insert_with(begin)).await {
                Next::Elsewhere(address) => {
                    self.move_to(&address);
                    search = None;
                }
                Next::GiveUp => return Err(error),
                Next::Here | Next::Look => {}
            }
        }
    }

    /// Begins an operation that takes its time, by a `POST` to a path, and waits for its end. Where the master is gone that was told
    /// to, the next one is told to: it knows of no operation of the other.
    ///
    /// # Errors
    /// The operation is refused, fails, or does not end in time; the master is gone, and no other came.
    pub async fn operate(&self, path: &str, body: &Value, timeout: Duration) -> Result<Operation, RestError> {
        // Stopping is asked for under `savepoints` too.
        let under = match path.strip_suffix("/stop") {
            Some(job) => &format!("{job}/savepoints"),
            None => path,
        };
        let body = &with_an_id(body);
        let question = |rest: RestClient| async move {
            let id = rest.trigger(path, body).await?;
            rest.operation(&format!("{under}/{id}"), timeout).await
        };
        self.ask(question).await
    }

    fn move_to(&self, address: &str) {
        console::info(console::DESCRIPTOR, format!("Found Web Interface {address} of the next attempt."));
        let rest = self.rest().at(address);
        self.0.rest.send_replace(rest);
    }

    fn answered(&self, search: Option<Search>) {
        self.0.heard.store(true, Ordering::Relaxed);
        let Some(search) = search else { return };
        if search.was_told() {
            let address = self.rest().address().to_string();
            console::info(console::DESCRIPTOR, format!("The application master answers at {address}."));
        }
        // Another master may be where the last one was.
        self.0.rest.send_modify(|_| ());
    }

    /// Waits until there is somebody to ask, or nobody will be.
    async fn find(&self, search: &mut Search) -> Next {
        let Some(whereabouts) = &self.0.whereabouts else { return Next::GiveUp };
        loop {
            let report = whereabouts.report().await.ok();
            let now = Instant::now();
            let next = search.next(now, report.as_ref());
            if matches!(next, Next::Elsewhere(_) | Next::GiveUp) {
                return next;
            }
            if let Some(news) = search.news(now, report.as_ref()) {
                console::info(console::DESCRIPTOR, news);
            }
            tokio::time::sleep(LOOK).await;
            if next == Next::Here {
                return next;
            }
        }
    }
}

/// With an id by which a master knows again what it was told already: the answer may have been lost on the way.
fn with_an_id(body: &Value) -> Value {
    let (mut body, mut id) = (body.clone(), [0; 16]);
    // Without one the master draws it.
    if getrandom::fill(&mut id).is_ok() {
        body["triggerId"] = JobId(u128::from_be_bytes(id)).to_string().into();
    }
    body
}
