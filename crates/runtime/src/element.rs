//! What flows between operators: batches of records, and the events between them.
//!
//! Owns no behaviour beyond keeping records and timestamps of a batch in step.

use serde::{Deserialize, Serialize};

/// A type that records may have: cloned for broadcast, written and read between workers.
pub trait Data: Clone + Send + Serialize + serde::de::DeserializeOwned + 'static {}

impl<T: Clone + Send + Serialize + serde::de::DeserializeOwned + 'static> Data for T {}

/// A type by which streams can be keyed.
pub trait Key: Data + Eq {}

impl<T: Data + Eq> Key for T {}

/// How many records an operator gathers before it hands them on.
pub const BATCH_SIZE: usize = 512;

/// Records, and their event times where they have some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch<T> {
    /// The records, in order.
    pub records: Vec<T>,
    /// Event times in epoch milliseconds, one for each record.
    pub timestamps: Option<Vec<i64>>,
}

impl<T> Batch<T> {
    /// A batch without records or timestamps.
    pub fn new() -> Batch<T> {
        Batch { records: Vec::new(), timestamps: None }
    }

    /// Records without timestamps.
    pub fn of(records: Vec<T>) -> Batch<T> {
        Batch { records, timestamps: None }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes all records out and leaves the buffers for reuse.
    pub fn clear(&mut self) {
        self.records.clear();
        self.timestamps = None;
    }

    /// Adds a record; a batch has timestamps for all of its records or for none.
    #[inline]
    pub fn push(&mut self, record: T, timestamp: Option<i64>) {
        self.records.push(record);
        if let Some(at) = timestamp {
            self.timestamps.get_or_insert_with(Vec::new).push(at);
        }
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Batch::new()
    }
}

/// What a barrier is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BarrierKind {
    /// A periodic checkpoint.
    Checkpoint,
    /// A savepoint; the job goes on.
    Savepoint,
    /// The last savepoint of a job that stops.
    Stop,
}

/// A checkpoint barrier: what came before it belongs to the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointBarrier {
    /// The checkpoint's number.
    pub id: u64,
    /// When it was triggered, in epoch milliseconds.
    pub timestamp: i64,
    /// What it is for.
    pub kind: BarrierKind,
}

/// What travels between batches and is the same for every type of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// No record with an earlier or equal event time follows, in epoch milliseconds.
    Watermark(i64),
    /// This channel has nothing to say about event time for now.
    Idle,
    /// It has again.
    Active,
    /// A checkpoint barrier.
    Barrier(CheckpointBarrier),
}

/// Anything that flows through a stream of records of type `T`.
#[derive(Debug, Clone, PartialEq)]
pub enum Element<T> {
    /// Records.
    Batch(Batch<T>),
    /// A watermark, idleness or a barrier.
    Event(Event),
    /// Nothing follows.
    EndOfInput,
}
