//! The link to the application master: one conversation, opened again when it breaks.
//!
//! What is said while the link is down is kept and sent once it is up. A link that stays down for longer than
//! `heartbeat.timeout` is given up: the task executor must not run on as a ghost.

use crate::settings::Settings;
use anyhow::{Result, bail};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_rpc::gateway::{Conversation, from_executor};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{info, warn};

/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(200);

/// Where to connect, and as what.
pub struct Link {
    master: String,
    secret: String,
    epoch: u64,
    give_up: Duration,
}

impl Link {
    /// A link that is given up after `give_up` without connection.
    pub fn new(settings: &Settings, give_up: Duration) -> Link {
        Link {
            master: settings.master.clone(),
            secret: settings.secret.clone(),
            epoch: settings.epoch,
            give_up,
        }
    }

    /// Carries messages both ways until `outgoing` is closed. `register` is said first on each connection.
    ///
    /// # Errors
    /// If the link stays down for too long.
    pub async fn run(
        self,
        register: FromExecutor,
        mut outgoing: mpsc::UnboundedReceiver<FromExecutor>,
        incoming: mpsc::UnboundedSender<ToExecutor>,
    ) -> Result<()> {
        let mut down_since = Instant::now();
        loop {
            let (frames, receiver) = mpsc::unbounded_channel();
            frames.send(from_executor(self.epoch, &register)?)?;
            let stream = UnboundedReceiverStream::new(receiver);
            match Conversation::open(&self.master, &self.secret, stream).await {
                Ok(mut conversation) => {
                    info!("connected to the application master at {}", self.master);
                    let ended = self.carry(&mut conversation, &frames, &mut outgoing, &incoming).await;
                    if ended {
                        return Ok(());
                    }
                    down_since = Instant::now();
                }
                Err(error) => warn!("{error}"),
            }
            if down_since.elapsed() > self.give_up {
                bail!("no connection to the application master at {} for {:?}", self.master, self.give_up);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Carries messages over one connection; says whether this side wants no more (else the connection broke).
    async fn carry(
        &self,
        conversation: &mut Conversation,
        frames: &mpsc::UnboundedSender<kvick_rpc::generated::v1::Frame>,
        outgoing: &mut mpsc::UnboundedReceiver<FromExecutor>,
        incoming: &mpsc::UnboundedSender<ToExecutor>,
    ) -> bool {
        loop {
            tokio::select! {
                message = outgoing.recv() => {
                    let Some(message) = message else { return true };
                    match from_executor(self.epoch, &message).map(|frame| frames.send(frame)) {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return false,
                        Err(error) => warn!("a message was not sent: {error}"),
                    }
                }
                received = conversation.next() => match received {
                    Ok(Some((epoch, message))) if epoch == self.epoch => {
                        if incoming.send(message).is_err() {
                            return true;
                        }
                    }
                    Ok(Some((epoch, _))) => warn!("dropped a message of epoch {epoch}, expected {}", self.epoch),
                    Ok(None) => return false,
                    Err(error) => {
                        warn!("the connection to the application master broke: {error}");
                        return false;
                    }
                },
            }
        }
    }
}
