//! The link to the application master: one conversation, opened again when it breaks, with whoever leads then.
//!
//! Each connection begins with a registration that tells all that this task executor runs, so nothing that was said before
//! need arrive but what tasks say of checkpoints: that is kept. A link over which no heartbeat was answered for longer than
//! `heartbeat.timeout` is given up, whether it is down or only silent: the application master counts this task executor as lost
//! by then, and it must not run on as a ghost.

use crate::leader::Leaders;
use crate::lease::Lease;
use crate::settings::Settings;
use anyhow::{Result, bail};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::ha::Leader;
use kvick_rpc::gateway::{Conversation, from_executor};
use kvick_rpc::generated::v1::Frame;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{info, warn};

/// Pause between two attempts to connect, at first and when it takes longer.
const RETRY: Duration = Duration::from_millis(200);
const SLOW_RETRY: Duration = Duration::from_secs(1);
/// How many pauses are short.
const QUICK_RETRIES: u32 = 25;
/// How long a host may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// What the link tells.
pub enum LinkEvent {
    /// The application master said something.
    Message(ToExecutor),
    /// There is a connection: put an [`Outgoing::Registration`] into the queue, after what was said so far.
    Connected,
}

/// What goes to the application master.
pub enum Outgoing {
    /// Something to say.
    Message(FromExecutor),
    /// The registration that was asked for.
    Registration(FromExecutor),
}

/// Where to connect, and as what.
pub struct Link {
    leaders: Leaders,
    secret: String,
    lease: Lease,
    /// What tasks said of checkpoints and may not have arrived.
    kept: Vec<FromExecutor>,
}

impl Link {
    /// A link that is given up after `give_up` without connection.
    pub fn new(settings: &Settings, give_up: Duration) -> Link {
        let first = Leader { epoch: settings.epoch, address: settings.master.clone() };
        let leaders = Leaders::new(settings.filesystems(), settings.ha_dir.clone(), first);
        Link {
            leaders,
            secret: settings.secret.clone(),
            lease: Lease::new(Instant::now(), give_up),
            kept: Vec::new(),
        }
    }

    /// Carries messages both ways until `outgoing` is closed.
    ///
    /// # Errors
    /// If the link stays down for too long.
    pub async fn run(
        mut self,
        mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
        events: mpsc::UnboundedSender<LinkEvent>,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            match self.converse(&mut outgoing, &events).await {
                Ok(Ended::Closed) => return Ok(()),
                Ok(Ended::Broken) => tries = 0,
                Err(error) => {
                    // Each failure is the same for as long as there is no application master.
                    if tries == 0 {
                        warn!("{error}");
                    }
                }
            }
            if self.lease.end() <= Instant::now() {
                let address = &self.leaders.known().address;
                bail!(
                    "no word from an application master, last at {address}, for {:?} (heartbeat.timeout)",
                    self.lease.term()
                );
            }
            tokio::time::sleep(if tries < QUICK_RETRIES { RETRY } else { SLOW_RETRY }).await;
            tries += 1;
            match self.leaders.look().await {
                Ok(true) => {
                    let Leader { epoch, address } = self.leaders.known();
                    info!("{epoch} leads now, at {address}");
                }
                Ok(false) => {}
                Err(error) => warn!("cannot look for the application master: {error:#}"),
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn converse(
        &mut self,
        outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
        events: &mpsc::UnboundedSender<LinkEvent>,
    ) -> Result<Ended> {
        let Leader { epoch, address } = self.leaders.known().clone();
        let epoch = epoch.attempt;
        // A registration is asked for only if there is somebody to register with.
        drop(tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(&address)).await??);
        if events.send(LinkEvent::Connected).is_err() {
            return Ok(Ended::Closed);
        }
        let Some(registration) = self.await_registration(outgoing).await else { return Ok(Ended::Closed) };
        self.lease.reconnected();
        self.lease.asked(Instant::now());
        let (frames, receiver) = mpsc::unbounded_channel();
        frames.send(from_executor(epoch, &registration)?)?;
        let stream = UnboundedReceiverStream::new(receiver);
        let mut conversation = Conversation::open(&address, &self.secret, stream).await?;
        info!("connected to the application master at {address}");
        for message in std::mem::take(&mut self.kept) {
            frames.send(from_executor(epoch, &message)?)?;
        }
        Ok(carry(epoch, &mut self.lease, &mut conversation, &frames, outgoing, events).await)
    }

    /// What was said before the registration is part of it, but for what tasks said of checkpoints.
    async fn await_registration(
        &mut self,
        outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
    ) -> Option<FromExecutor> {
        loop {
            match outgoing.recv().await? {
                Outgoing::Registration(registration) => return Some(registration),
                Outgoing::Message(message @ FromExecutor::Checkpoint { .. }) => self.kept.push(message),
                Outgoing::Message(_) => {}
            }
        }
    }
}

/// How a connection ended.
enum Ended {
    /// This side wants no more.
    Closed,
    /// The connection broke.
    Broken,
}

/// Carries messages over one connection.
async fn carry(
    epoch: u64,
    lease: &mut Lease,
    conversation: &mut Conversation,
    frames: &mpsc::UnboundedSender<Frame>,
    outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
    events: &mpsc::UnboundedSender<LinkEvent>,
) -> Ended {
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let message = match message {
                    Some(Outgoing::Message(message) | Outgoing::Registration(message)) => message,
                    None => return Ended::Closed,
                };
                if matches!(message, FromExecutor::Heartbeat { .. }) {
                    lease.asked(Instant::now());
                }
                match from_executor(epoch, &message).map(|frame| frames.send(frame)) {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ended::Broken,
                    Err(error) => warn!("a message was not sent: {error}"),
                }
            }
            received = conversation.next() => match received {
                Ok(Some((by, message))) if by == epoch => {
                    if matches!(message, ToExecutor::Heartbeat | ToExecutor::Registered { .. }) {
                        lease.answered();
                    }
                    if events.send(LinkEvent::Message(message)).is_err() {
                        return Ended::Closed;
                    }
                }
                Ok(Some((by, _))) => warn!("dropped a message of attempt {by}, expected {epoch}"),
                Ok(None) => return Ended::Broken,
                Err(error) => {
                    warn!("the connection to the application master broke: {error}");
                    return Ended::Broken;
                }
            },
            () = sleep_until(lease.end()) => {
                warn!("the application master is silent");
                return Ended::Broken;
            }
        }
    }
}
