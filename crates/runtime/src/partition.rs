//! Partitioners: which consumer a record goes to.

use crate::hash::stable_hash;
use crate::key_group::{key_group, owner};
use serde::Serialize;

/// Chooses the consumer of each record.
pub trait Partitioner<T>: Send + 'static {
    /// Called once: the producer's subtask, and the number of consumers, at least 1.
    fn setup(&mut self, subtask: u32, channels: usize);
    /// The index of the consumer, below the number of consumers.
    fn select(&mut self, record: &T) -> usize;
}

/// By the key group of the record's key.
pub struct HashPartitioner<F> {
    key: F,
    max_parallelism: u32,
    owners: Vec<u32>,
}

impl<F> HashPartitioner<F> {
    /// Partitions by what `key` returns; `max_parallelism` is the consumer's.
    pub fn new(key: F, max_parallelism: u32) -> HashPartitioner<F> {
        HashPartitioner { key, max_parallelism, owners: Vec::new() }
    }
}

impl<T, K: Serialize, F: FnMut(&T) -> K + Send + 'static> Partitioner<T> for HashPartitioner<F> {
    fn setup(&mut self, _subtask: u32, channels: usize) {
        let max = self.max_parallelism;
        self.owners = (0..max).map(|group| owner(group, channels as u32, max)).collect();
    }

    #[inline]
    fn select(&mut self, record: &T) -> usize {
        let hash = stable_hash(&(self.key)(record));
        self.owners[key_group(hash, self.max_parallelism) as usize] as usize
    }
}

/// Round robin, each producer starting with its own index.
#[derive(Default)]
pub struct RebalancePartitioner {
    next: usize,
    channels: usize,
}

impl<T> Partitioner<T> for RebalancePartitioner {
    fn setup(&mut self, subtask: u32, channels: usize) {
        self.channels = channels;
        self.next = subtask as usize % channels;
    }

    #[inline]
    fn select(&mut self, _record: &T) -> usize {
        let chosen = self.next;
        self.next = if chosen + 1 == self.channels { 0 } else { chosen + 1 };
        chosen
    }
}

/// A random consumer for each record (xorshift, seeded by the subtask: a rerun sends the same way).
#[derive(Default)]
pub struct ShufflePartitioner {
    state: u64,
    channels: u64,
}

impl<T> Partitioner<T> for ShufflePartitioner {
    fn setup(&mut self, subtask: u32, channels: usize) {
        self.state = stable_hash(&subtask) | 1;
        self.channels = channels as u64;
    }

    #[inline]
    fn select(&mut self, _record: &T) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (((self.state >> 32) * self.channels) >> 32) as usize
    }
}

/// Always the first consumer.
#[derive(Default)]
pub struct GlobalPartitioner;

impl<T> Partitioner<T> for GlobalPartitioner {
    fn setup(&mut self, _subtask: u32, _channels: usize) {}

    fn select(&mut self, _record: &T) -> usize {
        0
    }
}

/// The program's own choice; an index that is too large wraps around.
pub struct CustomPartitioner<F> {
    choose: F,
    channels: usize,
}

impl<F> CustomPartitioner<F> {
    /// Partitions by what `choose(record, number of consumers)` returns.
    pub fn new(choose: F) -> CustomPartitioner<F> {
        CustomPartitioner { choose, channels: 1 }
    }
}

impl<T, F: FnMut(&T, usize) -> usize + Send + 'static> Partitioner<T> for CustomPartitioner<F> {
    fn setup(&mut self, _subtask: u32, channels: usize) {
        self.channels = channels;
    }

    #[inline]
    fn select(&mut self, record: &T) -> usize {
        (self.choose)(record, self.channels) % self.channels
    }
}
