//! Changes on their way to the store: in the order in which they were asked for, those that wait together in one write.

use super::{HaError, HaStore};
use kvick_core::ha::{Change, Contents, Leader};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

/// The first pause after a write that failed; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// For how long a write is tried again. After that this attempt cannot keep what it promises, and must end.
const PATIENCE: Duration = Duration::from_secs(600);

/// Changes, and whom to tell that they are durable.
type Order = (Vec<Change>, oneshot::Sender<Result<(), HaError>>);

/// The store as the application master uses it. Clones use the same.
#[derive(Clone)]
pub struct HaServices {
    store: Arc<dyn HaStore>,
    orders: mpsc::UnboundedSender<Order>,
    lost: watch::Receiver<Option<String>>,
}

impl HaServices {
    /// Takes over from earlier attempts, and begins to write for this one.
    ///
    /// # Errors
    /// Those of [`HaStore::take_over`].
    pub async fn take_over(
        store: Arc<dyn HaStore>,
        leader: &Leader,
    ) -> Result<(HaServices, Contents), HaError> {
        let contents = lead(store.as_ref(), leader).await?;
        Ok((HaServices::start(store, None), contents))
    }

    /// Does the same for a first attempt, which nobody can have left anything to: it is not waited for. Should it fail, this
    /// attempt is told as when it is [`HaServices::lost`].
    pub fn begin(store: Arc<dyn HaStore>, leader: Leader) -> HaServices {
        HaServices::start(store, Some(leader))
    }

    fn start(store: Arc<dyn HaStore>, leader: Option<Leader>) -> HaServices {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (tell, lost) = watch::channel(None);
        let writing = store.clone();
        tokio::spawn(async move {
            let led = match &leader {
                Some(leader) => lead(writing.as_ref(), leader).await.map(drop),
                None => Ok(()),
            };
            match led {
                Ok(()) => write_all(writing, inbox, tell).await,
                Err(error) => drop(tell.send_replace(Some(error.to_string()))),
            }
        });
        HaServices { store, orders, lost }
    }

    /// Asks for changes; the answer comes once they are durable, or never can be. What is asked for first is written first,
    /// whether or not the answer is awaited.
    pub fn write(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), HaError>> + Send + 'static + use<> {
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send((changes, done));
        async { answer.await.unwrap_or_else(|_| Err(HaError::Lost("the store has been closed".to_string()))) }
    }

    /// Waits until this attempt may not go on, and says why: a later one has taken over, or nothing can be kept.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Removes everything: the application has ended.
    ///
    /// # Errors
    /// Those of [`HaStore::clean_up`].
    pub async fn clean_up(&self) -> Result<(), HaError> {
        self.store.clean_up().await
    }
}

async fn write_all(
    store: Arc<dyn HaStore>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    lost: watch::Sender<Option<String>>,
) {
    while let Some(first) = inbox.recv().await {
        let mut orders = vec![first];
        while let Ok(next) = inbox.try_recv() {
            orders.push(next);
        }
        let changes: Vec<Change> = orders.iter().flat_map(|(changes, _)| changes.iter().cloned()).collect();
        let written = persist(store.as_ref(), &changes).await;
        if let Err(error) = &written {
            lost.send_replace(Some(error.to_string()));
        }
        for (_, done) in orders {
            let answer = match &written {
                Ok(()) => Ok(()),
                Err(HaError::Fenced { by, own }) => Err(HaError::Fenced { by: *by, own: *own }),
                Err(error) => Err(HaError::Lost(error.to_string())),
            };
            let _ = done.send(answer);
        }
        if written.is_err() {
            return;
        }
    }
}

/// Becomes the leader, however long the store is away: a NameNode that restarts, or is in safe mode, must not use up the
/// attempts that YARN allows.
async fn lead(store: &dyn HaStore, leader: &Leader) -> Result<Contents, HaError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match store.take_over(leader).await {
            Err(error) if error.may_pass() && began.elapsed() < PATIENCE => {
                warn!("what earlier attempts left cannot be taken over yet, trying again: {error}");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Writes until it is written. An error says nothing of what became durable, so giving up half-way is no choice: only a
/// later attempt, or a store that stays away for very long, ends it.
async fn persist(store: &dyn HaStore, changes: &[Change]) -> Result<(), HaError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match store.write(changes).await {
            Err(error) if !error.is_fenced() && began.elapsed() < PATIENCE => {
                warn!("what must survive was not written, trying again: {error}");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
