//! What flows between operators: batches of records, and the events between them.
//!
//! Owns no behaviour beyond keeping records and timestamps of a batch in step.

use kvick_core::checkpoint::{BarrierAlignment, SnapshotKind, SnapshotTarget, TriggerCheckpoint};
use kvick_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A type that records and state may have: cloned for broadcast, written and read between workers, shared with the thread
/// that writes a snapshot.
pub trait Data: Clone + Send + Sync + Serialize + serde::de::DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + serde::de::DeserializeOwned + 'static> Data for T {}

/// A type by which streams can be keyed.
pub trait Key: Data + Eq {}

impl<T: Data + Eq> Key for T {}

/// What divides the state of one key: a window, the key of a map, or `()` where nothing does.
pub trait Namespace: Data + Eq + Ord {}

impl<T: Data + Eq + Ord> Namespace for T {}

/// How many records an operator gathers before it hands them on.
pub const BATCH_SIZE: usize = 512;

/// Stands for a timestamp that a record does not have, among records that have some.
pub const NO_TIMESTAMP: i64 = i64::MIN;

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

    /// Adds a record. Among records with timestamps, one without gets [`NO_TIMESTAMP`].
    // Left to itself the compiler makes a call of it in large chains: 9 % of a word count.
    #[inline(always)]
    pub fn push(&mut self, record: T, timestamp: Option<i64>) {
        match (&mut self.timestamps, timestamp) {
            (None, None) => {}
            (Some(all), at) => all.push(at.unwrap_or(NO_TIMESTAMP)),
            (None, Some(at)) => self.first_timestamp(at),
        }
        self.records.push(record);
    }

    #[inline(never)]
    fn first_timestamp(&mut self, at: i64) {
        let mut all = Vec::with_capacity(self.records.capacity().max(self.records.len() + 1));
        all.resize(self.records.len(), NO_TIMESTAMP);
        all.push(at);
        self.timestamps = Some(all);
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Batch::new()
    }
}

/// A checkpoint barrier: what came before it belongs to the checkpoint. It carries the whole order, so that tasks behind
/// the first ones need not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// The checkpoint's number.
    pub id: u64,
    /// When it was triggered.
    pub timestamp: Millis,
    /// What it is for.
    pub kind: SnapshotKind,
    /// The completed checkpoint whose shared files it may refer to.
    pub base: Option<u64>,
    /// How it treats the records before it.
    pub alignment: BarrierAlignment,
    /// Where state goes.
    pub target: SnapshotTarget,
}

impl Barrier {
    /// From when on it overtakes records, where it has arrived `now`, at a time of day of `wall` (epoch milliseconds). The
    /// time of alignment is counted from the trigger, as Flink does; clocks that disagree never make it longer.
    pub fn overtakes_at(&self, now: Instant, wall: i64) -> Instant {
        let BarrierAlignment::AlignedFor { timeout } = self.alignment else { return now };
        let passed = u64::try_from(wall).unwrap_or(0).saturating_sub(self.timestamp.0);
        now + Duration::from_millis(timeout.0.saturating_sub(passed))
    }
}

impl From<TriggerCheckpoint> for Barrier {
    fn from(order: TriggerCheckpoint) -> Barrier {
        let TriggerCheckpoint { checkpoint, timestamp, kind, base, alignment, target } = order;
        Barrier { id: checkpoint, timestamp, kind, base, alignment, target }
    }
}

impl From<Barrier> for TriggerCheckpoint {
    fn from(barrier: Barrier) -> TriggerCheckpoint {
        let Barrier { id, timestamp, kind, base, alignment, target } = barrier;
        TriggerCheckpoint { checkpoint: id, timestamp, kind, base, alignment, target }
    }
}

/// What travels between batches and is the same for every type of record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// No record with an earlier or equal event time follows, in epoch milliseconds.
    Watermark(i64),
    /// This channel has nothing to say about event time for now.
    Idle,
    /// It has again.
    Active,
    /// A checkpoint barrier.
    #[serde(with = "barrier_text")]
    Barrier(Arc<Barrier>),
    /// The job is drained: the end of the data follows, and then the barrier of its last savepoint.
    Drain,
    /// No record follows; barriers may, until the producer finishes. Operators hear of it by their own `end`.
    EndOfData,
    /// What was in flight when the job was restored at another parallelism has been sent; what follows is new.
    Recovered,
    /// The producer finishes: nothing follows at all. It reaches the consumer as the end of the channel.
    EndOfStream,
}

/// Barriers cross the wire as JSON: their parts are tagged by name, which compact formats cannot read.
mod barrier_text {
    use super::{Arc, Barrier, TriggerCheckpoint};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(barrier: &Arc<Barrier>, to: S) -> Result<S::Ok, S::Error> {
        let order = TriggerCheckpoint::from(Barrier::clone(barrier));
        to.serialize_str(&serde_json::to_string(&order).map_err(ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Barrier>, D::Error> {
        let text = String::deserialize(from)?;
        let order: TriggerCheckpoint = serde_json::from_str(&text).map_err(de::Error::custom)?;
        Ok(Arc::new(order.into()))
    }
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
