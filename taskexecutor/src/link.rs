//! The link to the application master: one conversation, opened again when it breaks, with whoever leads then.
//!
//! Each connection begins with a registration that tells all that this task executor runs, so nothing that was said before
//! need arrive but what tasks say of checkpoints: that is kept. A link over which no heartbeat was answered for longer than
//! `heartbeat.timeout` is given up, whether it is down or only silent: the application master counts this task executor as lost
//! by then, and it must not run on as a ghost.

use crate::leader::Leaders;
use crate::lease::Lease;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::ha::Leader;
use kvick_rpc::gateway::{Conversation, from_executor};
use kvick_rpc::generated::v1::Frame;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
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
        while self.lease.end() > Instant::now() {
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
            let pause = if tries < QUICK_RETRIES { RETRY } else { SLOW_RETRY };
            tries += 1;
            // Whatever hangs there, a file system for one, is no reason to live on; the loop ends with the lease.
            let _ = timeout_at(self.lease.end(), self.look_after(pause)).await;
        }
        let address = &self.leaders.known().address;
        bail!(
            "no word from an application master, last at {address}, for {:?} (heartbeat.timeout)",
            self.lease.term()
        )
    }

    /// Looks for a later application master, after a pause.
    async fn look_after(&mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
        match self.leaders.look().await {
            Ok(true) => {
                let Leader { epoch, address } = self.leaders.known();
                info!("{epoch} leads now, at {address}");
            }
            Ok(false) => {}
            Err(error) => warn!("cannot look for the application master: {error:#}"),
        }
    }

    /// One connection, from its beginning to its end.
    async fn converse(
        &mut self,
        outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
        events: &mpsc::UnboundedSender<LinkEvent>,
    ) -> Result<Ended> {
        // Somebody who takes connections and says nothing must not keep this task executor beyond its lease.
        let opened = timeout_at(self.lease.end(), self.open(outgoing, events)).await;
        let Some(mut line) =
            opened.context("the application master takes connections and says nothing")??
        else {
            return Ok(Ended::Closed);
        };
        Ok(carry(&mut line, &mut self.lease, outgoing, events).await)
    }

    /// Registers with whoever is known to lead; `None` if this side wants no more.
    async fn open(
        &mut self,
        outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
        events: &mpsc::UnboundedSender<LinkEvent>,
    ) -> Result<Option<Line>> {
        let Leader { epoch, address } = self.leaders.known().clone();
        let epoch = epoch.attempt;
        // A registration is asked for only if there is somebody to register with.
        drop(tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(&address)).await??);
        if events.send(LinkEvent::Connected).is_err() {
            return Ok(None);
        }
        let Some(registration) = self.await_registration(outgoing).await else { return Ok(None) };
        self.lease.reconnected();
        self.lease.asked(Instant::now());
        let (frames, receiver) = mpsc::unbounded_channel();
        frames.send(from_executor(epoch, &registration)?)?;
        let stream = UnboundedReceiverStream::new(receiver);
        let conversation = Conversation::open(&address, &self.secret, stream).await?;
        info!("connected to the application master at {address}");
        for message in std::mem::take(&mut self.kept) {
            frames.send(from_executor(epoch, &message)?)?;
        }
        Ok(Some(Line { epoch, conversation, frames }))
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

/// A connection over which this task executor has registered.
struct Line {
    /// The attempt at its other end.
    epoch: u64,
    conversation: Conversation,
    /// What is put there goes out.
    frames: mpsc::UnboundedSender<Frame>,
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
    line: &mut Line,
    lease: &mut Lease,
    outgoing: &mut mpsc::UnboundedReceiver<Outgoing>,
    events: &mpsc::UnboundedSender<LinkEvent>,
) -> Ended {
    let epoch = line.epoch;
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
                match from_executor(epoch, &message).map(|frame| line.frames.send(frame)) {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ended::Broken,
                    Err(error) => warn!("a message was not sent: {error}"),
                }
            }
            received = line.conversation.next() => match received {
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

#[cfg(test)]
mod tests {
    use super::*;
    use kvick_core::executor::ExecutorMetrics;
    use kvick_core::ha::Epoch;
    use kvick_filesystem::{Context, FileSystems};
    use tokio::net::TcpListener;

    const TERM: Duration = Duration::from_millis(700);

    /// Somebody who takes connections, and never says anything.
    async fn silent() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                taken.push(stream);
            }
        });
        address
    }

    /// Where nobody listens.
    async fn nobody() -> String {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
    }

    /// Runs a link until it is given up; says for how long, and the reason.
    async fn give_up(address: String, directory: Option<String>) -> (Duration, String) {
        let known = Leader { epoch: Epoch::of_attempt(1), address };
        let leaders = Leaders::new(FileSystems::new(Context::default()), directory, known);
        let began = Instant::now();
        let link =
            Link { leaders, secret: "s".to_string(), lease: Lease::new(began, TERM), kept: Vec::new() };
        let (to_master, outgoing) = mpsc::unbounded_channel();
        let (events, mut told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while told.recv().await.is_some() {
                let registration = FromExecutor::Heartbeat { metrics: ExecutorMetrics::default() };
                let _ = to_master.send(Outgoing::Registration(registration));
            }
        });
        let ended = tokio::time::timeout(TERM * 6, link.run(outgoing, events)).await;
        let why = ended.expect("the link outlives its lease").unwrap_err().to_string();
        (began.elapsed(), why)
    }

    #[tokio::test]
    async fn an_application_master_that_takes_connections_and_says_nothing_is_given_up_in_time() {
        let (lived, why) = give_up(silent().await, None).await;
        assert!(lived >= TERM, "{lived:?}");
        assert!(why.contains("heartbeat.timeout"), "{why}");
    }

    #[tokio::test]
    async fn a_file_system_that_says_nothing_keeps_nobody_alive() {
        let directory = format!("hdfs://{}/ha", silent().await);
        let (lived, why) = give_up(nobody().await, Some(directory)).await;
        assert!(lived >= TERM, "{lived:?}");
        assert!(why.contains("heartbeat.timeout"), "{why}");
    }
}
