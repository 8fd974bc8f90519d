//! The threads that read kept results and send them to consumers: a few for all, each with one consumer at a time.
//!
//! A consumer takes from all of its channels whatever comes first, so one that waits for its turn keeps no other waiting.

use super::super::channel::{Channel, ChannelKey, ChannelSender};
use super::super::gate::{Packet, Room};
use super::kept::KeptResult;
use super::unreadable;
use super::writer::{DATA, EVENT};
use crate::element::Event;
use crate::error::TaskResult;
use crate::spill::{SpillError, block, read_failed};
use crate::task::{TaskControl, TaskCounters, lock};
use kvick_core::failure::{Failure, FailureKind};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

/// How many consumers are served at once.
const MOST: usize = 32;
const BUFFER: usize = 256 * 1024;

/// A consumer and what it is to be sent.
pub(super) struct Request {
    pub key: ChannelKey,
    pub channel: Arc<Channel>,
    pub result: Arc<KeptResult>,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    threads: usize,
}

/// The threads that serve results; they end when nobody waits.
#[derive(Default)]
pub(super) struct Servers {
    queue: Mutex<Queue>,
}

impl Servers {
    pub fn serve(self: &Arc<Self>, request: Request) {
        let mut queue = lock(&self.queue);
        let (key, channel) = (request.key, Arc::clone(&request.channel));
        queue.requests.push_back(request);
        if queue.threads >= MOST {
            return;
        }
        let servers = Arc::clone(self);
        match std::thread::Builder::new().name("result-serve".to_string()).spawn(move || servers.work()) {
            Ok(_) => queue.threads += 1,
            // The others will come to it, if there are any.
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                queue.requests.retain(|request| request.key != key);
                let text =
                    format!("cannot start a thread that reads the result of {}: {error}", key.producer);
                channel.fail(Failure::new(FailureKind::Error, text));
            }
        }
    }

    fn work(&self) {
        loop {
            let mut queue = lock(&self.queue);
            let Some(request) = queue.requests.pop_front() else {
                queue.threads -= 1;
                return;
            };
            drop(queue);
            request.perform();
        }
    }
}

impl Request {
    fn perform(self) {
        let (control, counters) = (TaskControl::new(), Arc::new(TaskCounters::default()));
        let sender = ChannelSender::new(Arc::clone(&self.channel), control, counters).without_grace();
        match self.send(sender) {
            // Nothing is to be said to a consumer that is gone.
            Ok(_) => {}
            Err(error) => self.channel.fail(unreadable(&self.key, &error)),
        }
    }

    /// Sends everything and the end of the channel; stops where the consumer is gone.
    fn send(&self, mut sender: ChannelSender) -> Result<TaskResult, SpillError> {
        let path = &self.result.path;
        let mut file = File::open(path).map_err(|error| read_failed(path, error))?;
        let mut body = Vec::new();
        for extent in self.result.extents.get(&self.key.consumer).into_iter().flatten() {
            file.seek(SeekFrom::Start(extent.at)).map_err(|error| read_failed(path, error))?;
            let mut reader = BufReader::with_capacity(BUFFER, Read::by_ref(&mut file).take(extent.length));
            let mut at = extent.at;
            while block::read(&mut reader, path, at, &mut body)? {
                let damaged = || SpillError::Damaged { path: path.clone(), at };
                let (kind, content) = body.split_first().ok_or_else(damaged)?;
                let sent = match *kind {
                    DATA => sender.send(Packet::Encoded(content.to_vec()), Room::Wait),
                    EVENT => {
                        let event = postcard::from_bytes(content).map_err(SpillError::record::<Event>)?;
                        sender.send(Packet::Event(event), Room::Wait)
                    }
                    _ => return Err(damaged()),
                };
                if sent.is_err() {
                    return Ok(sent.map(drop));
                }
                at += (block::HEAD + body.len()) as u64;
            }
            if at != extent.at + extent.length {
                return Err(SpillError::Damaged { path: path.clone(), at });
            }
        }
        Ok(sender.send(Packet::End, Room::Wait).map(drop))
    }
}
