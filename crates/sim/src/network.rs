//! The connections between task executors and the application master: messages take time, keep their order, are held up while a
//! node is cut off, and are lost with the connection that they are on. Each side notices the end of a connection when it does.
//!
//! One connection is one gRPC stream: what is said on it arrives in order, each message once, and its end after all of it. So
//! nothing is doubled or reordered on a connection, and an order that was sent is not sent again. What the transport does
//! permit happens across connections, and is modelled:
//! - a connection is reset: what was on its way, in either direction, is lost, however long ago it was said;
//! - a connection stalls, its task executor gives it up and opens another: what was said on the old one arrives after the
//!   registration on the new one. Such messages are dropped, for the registration tells the same and more;
//! - a registration arrives late, after that on a newer connection, and tells what was true before. It is passed over, for its
//!   number is the lesser one;
//! - the same is told twice: on the old connection and with the registration on the new one; and what tasks say of
//!   checkpoints while there is no connection is kept and said after the registration, though part of it is in there too.

use crate::world::{Happening, World};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::ids::ExecutorId;

/// `heartbeat.timeout`, in milliseconds.
const LEASE: u64 = 50_000;
/// `heartbeat.interval`.
const HEARTBEAT: u64 = 10_000;

/// What happens on the way.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A message arrives at the application master, over this connection.
    ToMaster(ExecutorId, u64, Box<FromExecutor>),
    /// A message arrives at a task executor.
    ToExecutor(ExecutorId, u64, Box<ToExecutor>),
    /// The connection breaks.
    Breaks(ExecutorId),
    /// The application master notices that.
    Noticed(ExecutorId, u64),
    /// A task executor's connection lets nothing through for so long, though others would.
    Stalls(ExecutorId, u64),
    /// A task executor has waited long enough for this connection, or sees its end.
    GivesUp(ExecutorId, u64),
    /// A task executor's node is cut off for so long.
    CutOff(ExecutorId, u64),
    /// A task executor tries to connect again.
    Reconnects(ExecutorId),
    /// It says that it lives.
    Heartbeat(ExecutorId),
    /// It may have had no answer for too long.
    LeaseEnds(ExecutorId),
}

impl World {
    pub(crate) fn network_event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::ToMaster(id, serial, message) => self.at_master(id, serial, *message),
            NetworkEvent::ToExecutor(id, serial, message) => self.at_executor(id, serial, *message),
            NetworkEvent::Breaks(id) => self.breaks(&id),
            NetworkEvent::Noticed(id, serial) => {
                if self.links.get(&id) == Some(&serial) {
                    self.links.remove(&id);
                    self.decide(|m, now, _| m.executor_disconnected(now, &id));
                }
            }
            NetworkEvent::Stalls(id, span) => self.stalls(id, span),
            NetworkEvent::GivesUp(id, serial) => self.gives_up(&id, serial, 1_000),
            NetworkEvent::CutOff(id, span) => self.cut_off(&id, span),
            NetworkEvent::Reconnects(id) => self.connect(id),
            NetworkEvent::Heartbeat(id) => {
                if self.executors.contains_key(&id) {
                    self.say(&id, FromExecutor::Heartbeat { metrics: Default::default() });
                    self.network_at(self.now() + HEARTBEAT, NetworkEvent::Heartbeat(id));
                }
            }
            NetworkEvent::LeaseEnds(id) => self.lease_ends(id),
        }
    }

    fn network_at(&mut self, at: u64, event: NetworkEvent) {
        self.at(at, Happening::Network(event));
    }

    pub(crate) fn network_soon(&mut self, longest: u64, event: NetworkEvent) {
        self.soon(longest, Happening::Network(event));
    }

    /// A task executor opens a connection, and says who it is and what it runs.
    pub(crate) fn connect(&mut self, id: ExecutorId) {
        let (now, serial) = (self.now(), self.sequence);
        let Some(model) = self.executors.get_mut(&id).filter(|_| self.alive) else { return };
        if model.connection.is_some() {
            return;
        }
        if model.cut_off_until > now {
            let until = model.cut_off_until;
            return self.network_at(until, NetworkEvent::Reconnects(id));
        }
        self.sequence += 1;
        let first = !std::mem::replace(&mut model.registered, true);
        model.connection = Some(serial);
        model.asked.clear();
        let kept = std::mem::take(&mut model.kept);
        (model.to_master_at, model.to_executor_at) = (now, now);
        if first {
            model.lease_from = now;
            self.network_at(now + HEARTBEAT, NetworkEvent::Heartbeat(id.clone()));
            self.network_at(now + LEASE, NetworkEvent::LeaseEnds(id.clone()));
        }
        if self.fault(4) {
            let span = self.random.between(1, 6_000);
            self.stalls(id.clone(), span);
        }
        let word = self.first_word(&id, serial);
        self.say(&id, word);
        self.outcome.kept += kept.len() as u32;
        kept.into_iter().for_each(|message| self.say(&id, message));
    }

    /// How long a message takes that is sent now.
    fn delay(&mut self) -> u64 {
        if self.fault(2) { self.random.between(0, 3_000) } else { self.random.between(0, 5) }
    }

    /// A task executor says something, and remembers it for its next registration.
    pub(crate) fn say(&mut self, id: &ExecutorId, message: FromExecutor) {
        let (now, delay) = (self.now(), self.delay());
        let Some(model) = self.executors.get_mut(id) else { return };
        model.holdings.note(&message);
        let Some(serial) = model.connection else {
            if model.registered && matches!(message, FromExecutor::Checkpoint { .. }) {
                model.kept.push(message);
            }
            return;
        };
        if matches!(message, FromExecutor::Register { .. } | FromExecutor::Heartbeat { .. }) {
            model.asked.push_back(now);
        }
        let at = (now + delay).max(model.to_master_at).max(model.cut_off_until);
        model.to_master_at = at;
        self.network_at(at, NetworkEvent::ToMaster(id.clone(), serial, Box::new(message)));
    }

    fn at_master(&mut self, id: ExecutorId, serial: u64, message: FromExecutor) {
        if !self.alive || serial < self.first_serial {
            return;
        }
        if self.is_reset(serial) {
            return;
        }
        match &message {
            FromExecutor::Register { connection, .. } if self.master.is_overtaken(&id, *connection) => {
                self.outcome.overtaken += 1;
                return;
            }
            FromExecutor::Register { .. } => self.takes_the_place(&id, serial),
            _ if self.links.get(&id) != Some(&serial) => {
                self.outcome.stale += 1;
                return;
            }
            _ => {}
        }
        if matches!(message, FromExecutor::Heartbeat { .. }) {
            self.send(id.clone(), ToExecutor::Heartbeat);
        }
        self.decide(|m, now, fx| m.from_executor(now, &id, message, fx));
    }

    /// A connection counts from now on; the one before it is closed, which its task executor sees if it still uses it.
    fn takes_the_place(&mut self, id: &ExecutorId, serial: u64) {
        self.gate.held.drop_orders(id);
        let Some(before) = self.links.insert(id.clone(), serial) else { return };
        self.network_soon(100, NetworkEvent::GivesUp(id.clone(), before));
    }

    /// The application master says something to a task executor.
    pub(crate) fn send(&mut self, id: ExecutorId, message: ToExecutor) {
        self.note_order(&message);
        let (now, delay) = (self.now(), self.delay());
        let Some(serial) = self.links.get(&id).copied() else { return };
        let Some(model) = self.executors.get_mut(&id).filter(|m| m.connection == Some(serial)) else {
            return;
        };
        let at = (now + delay).max(model.to_executor_at).max(model.cut_off_until);
        model.to_executor_at = at;
        self.network_at(at, NetworkEvent::ToExecutor(id, serial, Box::new(message)));
    }

    fn at_executor(&mut self, id: ExecutorId, serial: u64, message: ToExecutor) {
        if self.is_reset(serial) {
            return;
        }
        let Some(model) = self.executors.get_mut(&id).filter(|m| m.connection == Some(serial)) else {
            return;
        };
        if matches!(message, ToExecutor::Heartbeat | ToExecutor::Registered { .. })
            && let Some(asked) = model.asked.pop_front()
        {
            model.lease_from = model.lease_from.max(asked);
        }
        self.obey(id, message);
    }

    /// Whether a message is lost, for its connection is.
    fn is_reset(&mut self, serial: u64) -> bool {
        let lost = self.reset.contains(&serial);
        self.outcome.lost += u32::from(lost);
        lost
    }

    fn breaks(&mut self, id: &ExecutorId) {
        if let Some(serial) = self.executors.get(id).and_then(|model| model.connection) {
            if !self.fault(50) {
                return self.gives_up(id, serial, 4_000);
            }
            // Nobody notices for a while that nothing arrives any more.
            self.reset.insert(serial);
            self.network_soon(6_000, NetworkEvent::GivesUp(id.clone(), serial));
        }
    }

    /// A task executor uses a connection no more and opens another soon. The application master notices once it has heard all
    /// that was said on it.
    fn gives_up(&mut self, id: &ExecutorId, serial: u64, pause: u64) {
        let noticed = self.now() + self.random.between(0, 2_000);
        let model = self.executors.get_mut(id).filter(|model| model.connection == Some(serial));
        let Some(model) = model else { return };
        model.connection = None;
        let noticed = noticed.max(model.to_master_at);
        self.network_at(noticed, NetworkEvent::Noticed(id.clone(), serial));
        self.network_soon(pause, NetworkEvent::Reconnects(id.clone()));
    }

    /// What is said on this connection arrives, but late; mostly its task executor has given it up by then.
    fn stalls(&mut self, id: ExecutorId, span: u64) {
        let until = self.now() + span;
        let Some(model) = self.executors.get_mut(&id) else { return };
        let Some(serial) = model.connection else { return };
        model.to_master_at = model.to_master_at.max(until);
        self.outcome.stalls += 1;
        self.network_soon(span, NetworkEvent::GivesUp(id, serial));
    }

    /// Nothing gets through for a while. What was said arrives afterwards, unless one side has given the connection up.
    fn cut_off(&mut self, id: &ExecutorId, span: u64) {
        let until = self.now() + span;
        let (here, there) = (self.random.chance(30), self.random.chance(30));
        let Some(model) = self.executors.get_mut(id) else { return };
        self.outcome.cut_off += 1;
        model.cut_off_until = until;
        if here && model.connection.take().is_some() {
            self.network_soon(4_000, NetworkEvent::Reconnects(id.clone()));
        }
        if there && let Some(serial) = self.links.get(id).copied() {
            self.network_soon(5_000, NetworkEvent::Noticed(id.clone(), serial));
            // The other side hears of it once it hears anything.
            self.network_at(until, NetworkEvent::Breaks(id.clone()));
        }
    }

    /// A task executor whose heartbeats were not answered for too long ends itself with its workers.
    fn lease_ends(&mut self, id: ExecutorId) {
        let Some(model) = self.executors.get(&id) else { return };
        let end = model.lease_from + LEASE;
        if end > self.now() {
            return self.network_at(end, NetworkEvent::LeaseEnds(id));
        }
        self.outcome.gave_up += 1;
        self.executors.remove(&id);
        self.soon(2_000, Happening::ContainerEnds(id));
    }

    /// A container is given back because its task executor is silent: that one has ended itself by now.
    pub(crate) fn check_silence(&mut self, id: &ExecutorId, reason: &str) {
        let now = self.now();
        let lives =
            self.executors.get(id).is_some_and(|model| model.registered && model.lease_from + LEASE > now);
        self.storage.expect(!(lives && reason.starts_with("no heartbeat")), || {
            format!("{id} is replaced for its silence while it still works")
        });
    }

    /// The application master has died, and with it its ends of all connections.
    pub(crate) fn disconnect_all(&mut self) {
        self.links.clear();
        self.first_serial = self.sequence;
        for executor in self.executors.values_mut() {
            executor.connection = None;
        }
    }
}
