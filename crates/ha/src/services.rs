//! Changes on their way to the store: in the order in which they were asked for, those that wait together in one write.
//!
//! A store that cannot be reached is waited for, and one that rejects what is written only for a moment. After that whoever asked
//! is told that it is not recorded, and why. What was asked for stays in the backlog and is written once the store takes it: a
//! change that is taken back meanwhile is followed by its opposite there.

use super::{HaError, HaStore};
use kvick_core::ha::{Change, Contents, Leader, RecordKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

/// The first pause after a write that failed; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// For how long a store that cannot be reached is waited for: what was sent to it may have arrived.
pub const AWAY_PATIENCE: Duration = Duration::from_secs(600);

/// For how long a store that rejects what is written is tried again. A person may be mending it.
const REJECTED_PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries to write what the store has not taken.
const BACKLOG_PAUSE: Duration = Duration::from_secs(10);

/// Changes, and whom to tell that they are durable.
type Order = (Vec<Change>, oneshot::Sender<Result<(), HaError>>);

/// A later attempt has taken over: this one must stop.
#[derive(Debug, Clone)]
pub struct Fence {
    /// Whether it is one of another application with the same `high-availability.cluster-id`: then no attempt of this one will
    /// ever lead again.
    pub replaced: bool,
    /// Which one, for people.
    pub why: String,
}

/// Why this attempt may not go on as it is.
#[derive(Debug, Clone)]
enum Lost {
    /// A later attempt has taken over.
    Fenced(Fence),
    /// The store could not be taken over at all.
    Unusable(String),
}

impl Lost {
    fn of(error: &HaError) -> Lost {
        match error.fence() {
            Some(fence) => Lost::Fenced(fence),
            None => Lost::Unusable(error.to_string()),
        }
    }
}

/// The store as the application master uses it. Clones use the same.
#[derive(Clone)]
pub struct HaServices {
    store: Arc<dyn HaStore>,
    orders: mpsc::UnboundedSender<Order>,
    lost: watch::Receiver<Option<Lost>>,
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

    /// Does the same for a first attempt, which nobody can have left anything to: it is not waited for. Should it fail, that is
    /// told by [`HaServices::fenced`] or [`HaServices::unusable`].
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
            let ended = match led {
                Ok(()) => Writer::new(writing).run(inbox).await,
                Err(error) => error,
            };
            tell.send_replace(Some(Lost::of(&ended)));
        });
        HaServices { store, orders, lost }
    }

    /// Asks for changes; the answer comes once they are durable, or are not for too long. What is asked for first is written
    /// first, whether or not the answer is awaited.
    pub fn write(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), HaError>> + Send + 'static + use<> {
        let (done, answer) = oneshot::channel();
        let _ = self.orders.send((changes, done));
        async {
            answer
                .await
                .unwrap_or_else(|_| Err(HaError::Lost("the store is not written any more".to_string())))
        }
    }

    /// Waits until a later attempt has taken over, and says so: this one must stop without touching anything.
    pub async fn fenced(&self) -> Fence {
        let fence = |lost: &Lost| match lost {
            Lost::Fenced(fence) => Some(fence.clone()),
            Lost::Unusable(_) => None,
        };
        self.until(fence).await
    }

    /// Waits until it is known that the store cannot be used by this attempt, and says why.
    pub async fn unusable(&self) -> String {
        let why = |lost: &Lost| match lost {
            Lost::Unusable(why) => Some(why.clone()),
            Lost::Fenced(_) => None,
        };
        self.until(why).await
    }

    async fn until<T>(&self, find: impl Fn(&Lost) -> Option<T>) -> T {
        let mut lost = self.lost.clone();
        let found = |lost: &Option<Lost>| lost.as_ref().and_then(&find);
        let known = lost.wait_for(|lost| found(lost).is_some()).await.ok().and_then(|lost| found(&lost));
        match known {
            Some(known) => known,
            None => std::future::pending().await,
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

/// Writes what is asked for.
struct Writer {
    store: Arc<dyn HaStore>,
    /// What the store did not take: the last change of each key.
    backlog: BTreeMap<RecordKey, Change>,
    /// Since when nothing could be written.
    failing_since: Option<Instant>,
}

impl Writer {
    fn new(store: Arc<dyn HaStore>) -> Writer {
        Writer { store, backlog: BTreeMap::new(), failing_since: None }
    }

    /// Writes until a later attempt has taken over, or nobody can ask any more; says which.
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) -> HaError {
        loop {
            let mut orders = Vec::new();
            tokio::select! {
                first = inbox.recv() => match first {
                    Some(first) => orders.push(first),
                    None => return HaError::Lost("the application ends".to_string()),
                },
                () = tokio::time::sleep(BACKLOG_PAUSE), if !self.backlog.is_empty() => {}
            }
            while let Ok(next) = inbox.try_recv() {
                orders.push(next);
            }
            let asked = orders.iter().flat_map(|(changes, _)| changes.iter().cloned());
            let changes: Vec<Change> = self.backlog.values().cloned().chain(asked).collect();
            let written = self.persist(&changes).await;
            answer(orders, &written);
            match written {
                Ok(()) => self.backlog.clear(),
                Err(error) if error.is_fenced() => return error,
                Err(_) => self.backlog = changes.into_iter().map(|change| (change.key(), change)).collect(),
            }
        }
    }

    /// Writes until it is written, or there is no hope that it will be soon.
    async fn persist(&mut self, changes: &[Change]) -> Result<(), HaError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.store.write(changes).await {
                Ok(()) => {
                    if self.failing_since.take().is_some() {
                        info!("what must survive is written again");
                    }
                    return Ok(());
                }
                Err(error) if error.is_fenced() => return Err(error),
                Err(error) => error,
            };
            let patience = match &error {
                HaError::Gone { .. } => Duration::ZERO,
                error if error.may_pass() => AWAY_PATIENCE,
                _ => REJECTED_PATIENCE,
            };
            if self.failing_since.get_or_insert_with(Instant::now).elapsed() + pause > patience {
                error!("what must survive is not written: {error}");
                return Err(error);
            }
            warn!("what must survive was not written, trying again: {error}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

fn answer(orders: Vec<Order>, written: &Result<(), HaError>) {
    for (_, done) in orders {
        let answer = match written {
            Ok(()) => Ok(()),
            Err(HaError::Fenced { by, own }) => Err(HaError::Fenced { by: *by, own: *own }),
            Err(error) => Err(HaError::Lost(error.to_string())),
        };
        // Whoever asked may not want to know.
        let _ = done.send(answer);
    }
}

/// Becomes the leader, however long the store is away: a NameNode that restarts, or is in safe mode, or a server of ZooKeeper's
/// that dies meanwhile, must not use up the attempts that YARN allows.
async fn lead(store: &dyn HaStore, leader: &Leader) -> Result<Contents, HaError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match store.take_over(leader).await {
            Err(error) if error.may_pass() && began.elapsed() < AWAY_PATIENCE => {
                warn!("what earlier attempts left cannot be taken over yet, trying again: {error}");
            }
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
