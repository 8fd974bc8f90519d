//! Timers of keyed operators: set per key and namespace, in event time and in processing time, and kept as state.
//!
//! Whether a timer is set is known from a table, which is snapshotted; the order in which timers are due from a heap, which
//! is not: it is made anew from the table. A timer that was deleted stays in the heap until it comes up, and is then
//! found not to be set.

use crate::element::{Key, Namespace};
use crate::error::TaskResult;
use crate::snapshot::OperatorSnapshot;
use crate::state::{Keyed, KeyedBackend, StateError, Table, TableSpec};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Whose time a timer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeDomain {
    /// That of the records: watermarks.
    EventTime,
    /// That of the machine.
    ProcessingTime,
}

/// Something that may be due for a key.
pub(crate) struct Due<K, N> {
    pub at: i64,
    pub key: Keyed<K>,
    pub namespace: N,
}

impl<K, N> PartialEq for Due<K, N> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<K, N> Eq for Due<K, N> {}

impl<K, N> PartialOrd for Due<K, N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K, N> Ord for Due<K, N> {
    /// The earliest is the greatest: `BinaryHeap` gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

/// Below this many entries a heap is not worth cleaning of deleted timers.
const SMALL_HEAP: usize = 1024;

/// The timers of one time domain.
struct Queue<K, N> {
    set: Table<K, (N, i64), ()>,
    order: BinaryHeap<Due<K, N>>,
}

impl<K: Key, N: Namespace> Queue<K, N> {
    fn open(backend: &mut KeyedBackend<K>, name: &str) -> Result<Self, StateError> {
        let set = backend.memory_table(TableSpec::new(name))?;
        let mut queue = Queue { set, order: BinaryHeap::new() };
        queue.rebuild(backend)?;
        Ok(queue)
    }

    fn rebuild(&mut self, backend: &KeyedBackend<K>) -> Result<(), StateError> {
        let mut order = Vec::new();
        self.set.for_each(|key, (namespace, at), ()| {
            let due = Due { at: *at, key: backend.keyed(key.clone()), namespace: namespace.clone() };
            order.push(due);
        })?;
        self.order = order.into();
        Ok(())
    }

    fn register(&mut self, key: &Keyed<K>, namespace: &N, at: i64) -> Result<(), StateError> {
        let is_new = self.set.update(key, &(namespace.clone(), at), |timer| timer.replace(()).is_none())?;
        if is_new {
            self.order.push(Due { at, key: key.clone(), namespace: namespace.clone() });
        }
        Ok(())
    }

    fn delete(&mut self, key: &Keyed<K>, namespace: &N, at: i64) -> Result<(), StateError> {
        self.set.remove(key, &(namespace.clone(), at))?;
        if self.order.len() > SMALL_HEAP && self.order.len() > 2 * self.set.len() {
            self.forget_deleted()?;
        }
        Ok(())
    }

    /// Leaves one entry in the heap for each timer that is set.
    fn forget_deleted(&mut self) -> Result<(), StateError> {
        let mut all = std::mem::take(&mut self.order).into_vec();
        all.sort_by(|a, b| (a.at, a.key.hash, &a.namespace).cmp(&(b.at, b.key.hash, &b.namespace)));
        all.dedup_by(|a, b| a.at == b.at && a.namespace == b.namespace && a.key.key == b.key.key);
        let mut kept = Vec::with_capacity(self.set.len());
        for due in all {
            if self.set.get(&due.key, &(due.namespace.clone(), due.at))?.is_some() {
                kept.push(due);
            }
        }
        self.order = kept.into();
        Ok(())
    }

    /// Takes the earliest timer that is set, if it is due at or before `limit`.
    fn pop(&mut self, limit: i64) -> Result<Option<(Keyed<K>, N, i64)>, StateError> {
        while let Some(first) = self.order.peek() {
            if first.at > limit {
                break;
            }
            let Some(due) = self.order.pop() else { break };
            let timer = (due.namespace, due.at);
            if self.set.remove(&due.key, &timer)?.is_some() {
                return Ok(Some((due.key, timer.0, due.at)));
            }
        }
        Ok(None)
    }
}

/// A timer that fires because its key has ended: key, namespace, time, and whose time that is.
pub type LastTimer<K, N> = (Keyed<K>, N, i64, TimeDomain);

/// The timers of one operator in one subtask, by key and namespace.
pub struct Timers<K, N> {
    event: Queue<K, N>,
    processing: Queue<K, N>,
    watermark: i64,
    /// The last timers of a key fire: those that are set now never will.
    ending: bool,
}

impl<K: Key, N: Namespace> Timers<K, N> {
    /// Opens the two tables of an operator's timers, with what was restored. They are in memory whatever the backend.
    ///
    /// # Errors
    /// Restored timers that cannot be read.
    pub fn open(backend: &mut KeyedBackend<K>) -> Result<Self, StateError> {
        let event = Queue::open(backend, "_timers_event")?;
        let processing = Queue::open(backend, "_timers_processing")?;
        Ok(Timers { event, processing, watermark: i64::MIN, ending: false })
    }

    /// The last watermark that [`Timers::advance_watermark`] was told of.
    #[inline]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Takes note of a watermark; [`Timers::pop_event`] then yields what is due.
    pub fn advance_watermark(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }

    /// Sets a timer in event time (epoch milliseconds); setting it twice is setting it once.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn register_event_time(&mut self, key: &Keyed<K>, namespace: &N, at: i64) -> Result<(), StateError> {
        if self.ending {
            return Ok(());
        }
        self.event.register(key, namespace, at)
    }

    /// Sets a timer in processing time (epoch milliseconds); setting it twice is setting it once.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn register_processing_time(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        at: i64,
    ) -> Result<(), StateError> {
        if self.ending {
            return Ok(());
        }
        self.processing.register(key, namespace, at)
    }

    /// Takes back a timer in event time; one that is not set is no error.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn delete_event_time(&mut self, key: &Keyed<K>, namespace: &N, at: i64) -> Result<(), StateError> {
        self.event.delete(key, namespace, at)
    }

    /// Takes back a timer in processing time; one that is not set is no error.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn delete_processing_time(
        &mut self,
        key: &Keyed<K>,
        namespace: &N,
        at: i64,
    ) -> Result<(), StateError> {
        self.processing.delete(key, namespace, at)
    }

    /// Takes the earliest timer that the watermark has reached. Called until there is none: a timer may set others.
    ///
    /// # Errors
    /// State that cannot be read.
    pub fn pop_event(&mut self) -> Result<Option<(Keyed<K>, N, i64)>, StateError> {
        self.event.pop(self.watermark)
    }

    /// Takes the earliest timer whose millisecond is over at `now`: within it, records that belong before the timer may
    /// still come.
    ///
    /// # Errors
    /// State that cannot be read.
    pub fn pop_processing(&mut self, now: i64) -> Result<Option<(Keyed<K>, N, i64)>, StateError> {
        let limit = if now == i64::MAX { now } else { now.saturating_sub(1) };
        self.processing.pop(limit)
    }

    /// The earliest moment at which a timer in processing time may be due.
    pub fn next_processing(&self) -> Option<i64> {
        self.processing.order.peek().map(|due| due.at.saturating_add(1))
    }

    /// All records of a key were given: event time comes to its end, every timer is due, and none can be set.
    pub fn end_key(&mut self) {
        self.ending = true;
        self.watermark = i64::MAX;
    }

    /// Takes the next timer of the key that has ended: those in event time first.
    ///
    /// # Errors
    /// State that cannot be read.
    pub fn pop_last(&mut self) -> Result<Option<LastTimer<K, N>>, StateError> {
        if let Some((key, namespace, at)) = self.event.pop(i64::MAX)? {
            return Ok(Some((key, namespace, at, TimeDomain::EventTime)));
        }
        let last = self.processing.pop(i64::MAX)?;
        Ok(last.map(|(key, namespace, at)| (key, namespace, at, TimeDomain::ProcessingTime)))
    }

    /// Another key begins: event time begins anew.
    pub fn begin_key(&mut self) {
        self.ending = false;
        self.watermark = i64::MIN;
    }

    /// Number of timers that are set, in both domains.
    pub fn len(&self) -> usize {
        self.event.set.len() + self.processing.set.len()
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands the timers over to a snapshot.
    ///
    /// # Errors
    /// As [`OperatorSnapshot::table`].
    pub fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        snapshot.table(&mut self.event.set)?;
        snapshot.table(&mut self.processing.set)?;
        Ok(())
    }
}
