//! A snapshot that was taken before all barriers were delivered, and what is still being added to it: the records that its
//! barrier has overtaken.

use super::checkpoints::{Arrival, Taken};
use super::input::Head;
use crate::error::TaskResult;
use crate::exchange::gate::{Gate, Packet};
use crate::exchange::in_flight::ChannelPart;
use std::collections::BTreeMap;

/// A snapshot with the records in flight that belong to it, by channel.
pub(super) struct Recording {
    taken: Taken,
    arrival: Arrival,
    logs: BTreeMap<usize, Vec<u8>>,
}

impl Recording {
    pub fn new(taken: Taken, arrival: Arrival) -> Recording {
        Recording { taken, arrival, logs: BTreeMap::new() }
    }

    /// The checkpoint's number.
    pub fn id(&self) -> u64 {
        self.taken.barrier.id
    }

    /// Adds a packet that lies before the barrier.
    pub fn add(&mut self, head: &dyn Head, input: usize, channel: usize, packet: &Packet) -> TaskResult {
        head.record(input, packet, self.logs.entry(channel).or_default())
    }

    /// All is there.
    pub fn finish(self, gate: &Gate, processed_bytes: u64) -> Taken {
        let mut taken = self.taken;
        for (channel, log) in self.logs.into_iter().filter(|(_, log)| !log.is_empty()) {
            taken.metrics.persisted_bytes += log.len() as u64;
            let (input, producer) = (gate.input_of(channel) as u32, gate.producer_of(channel));
            taken.snapshot.add(Box::new(ChannelPart { input, producer, log }));
        }
        taken.metrics.unaligned = true;
        taken.metrics.alignment_ms = self.arrival.first.elapsed().as_millis() as u64;
        taken.metrics.processed_bytes = processed_bytes;
        taken
    }
}
