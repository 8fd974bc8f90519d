//! Batch mode for operators with keyed state: the input is sorted by key, and the operator is given one key after the other.
//!
//! So there is state for one key at a time, however many keys there are: all records of a key in order of their event times,
//! then the key's timers, then its state is dropped. Records that do not fit in memory are sorted on disk. Records without a
//! key (those of a broadcast stream) are given to the operator when they come, before all others. A job may ask for its input
//! as it comes (`execution.sorted-inputs.enabled: false`), where the state of all keys fits in memory.

use super::after_open;
use crate::element::{BATCH_SIZE, Batch, Data, Event, Key, NO_TIMESTAMP};
use crate::error::TaskResult;
use crate::hash::stable_hash;
use crate::metrics::Counter;
use crate::operator::{KeyedOperator, Operator, Output};
use crate::options;
use crate::spill::{Entry, Sorter, SpillSettings};
use crate::task::{TaskContext, TaskControl};
use kvick_core::config::options::SORTED_INPUTS;
use std::sync::Arc;
use std::time::Instant;

/// What is there once the operator is opened.
struct Opened<T> {
    sorter: Sorter<T>,
    control: Arc<TaskControl>,
    spilled: Counter,
}

/// An operator that is given one key after the other, once its input has ended.
pub struct OneKeyAtATime<O: Operator, F> {
    operator: O,
    key: F,
    /// Whether the operator gets its input as it comes.
    unsorted: bool,
    opened: Option<Opened<O::In>>,
}

impl<O, K, F> OneKeyAtATime<O, F>
where
    O: KeyedOperator,
    O::In: Data,
    K: Key,
    F: FnMut(&O::In) -> Option<K> + Send + 'static,
{
    /// Lets an operator have one key at a time; `key` tells a record's, none for a record that has none.
    pub fn new(operator: O, key: F) -> Self {
        OneKeyAtATime { operator, key, unsorted: false, opened: None }
    }

    /// The input has ended: all keys, once.
    fn all_keys(&mut self, out: &mut Output<O::Out>) -> TaskResult {
        let Some(Opened { sorter, control, spilled }) = self.opened.take() else { return Ok(()) };
        spilled.inc_by(sorter.spilled() as i64);
        let mut group: Option<Group<O::In, K>> = None;
        for entry in sorter.finish()? {
            let entry = entry?;
            let Some(key) = (self.key)(&entry.value) else { continue };
            match &mut group {
                Some(group) if group.hash == entry.hash => {
                    if group.key != key {
                        group.others.push((key, entry));
                        continue;
                    }
                    group.add(entry);
                    if group.batch.len() >= BATCH_SIZE {
                        control.check()?;
                        self.operator.process(&mut group.batch, out)?;
                    }
                }
                _ => {
                    control.check()?;
                    if let Some(whole) = group.replace(Group::of(key, entry)) {
                        self.end_group(whole, out)?;
                    }
                }
            }
        }
        group.map_or(Ok(()), |last| self.end_group(last, out))
    }

    fn end_group(&mut self, mut group: Group<O::In, K>, out: &mut Output<O::Out>) -> TaskResult {
        loop {
            self.operator.process(&mut group.batch, out)?;
            self.operator.end_key(out)?;
            match group.next() {
                Some(next) => group = next,
                None => return Ok(()),
            }
        }
    }
}

/// The records of the key that is at work.
struct Group<T, K> {
    hash: u64,
    key: K,
    batch: Batch<T>,
    /// Records of other keys with the same 64-bit hash: so few that they are kept in memory.
    others: Vec<(K, Entry<T>)>,
}

impl<T, K: Eq> Group<T, K> {
    fn of(key: K, first: Entry<T>) -> Group<T, K> {
        let mut group = Group { hash: first.hash, key, batch: Batch::new(), others: Vec::new() };
        group.add(first);
        group
    }

    fn add(&mut self, entry: Entry<T>) {
        self.batch.push(entry.value, Some(entry.at).filter(|at| *at != NO_TIMESTAMP));
    }

    /// The group of another key with the same hash.
    fn next(self) -> Option<Group<T, K>> {
        let mut others = self.others.into_iter();
        let (key, first) = others.next()?;
        let mut next = Group::of(key, first);
        for (key, entry) in others {
            if key == next.key {
                next.add(entry);
            } else {
                next.others.push((key, entry));
            }
        }
        Some(next)
    }
}

impl<O, K, F> Operator for OneKeyAtATime<O, F>
where
    O: KeyedOperator,
    O::In: Data,
    K: Key,
    F: FnMut(&O::In) -> Option<K> + Send + 'static,
{
    type In = O::In;
    type Out = O::Out;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.operator.open(context)?;
        self.unsorted = !options::value(&context.job.config, &SORTED_INPUTS);
        self.opened = Some(Opened {
            sorter: Sorter::new(SpillSettings::of(context)),
            control: Arc::clone(&context.control),
            spilled: context.metric_group().counter("numBytesSpilled"),
        });
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<O::In>, out: &mut Output<O::Out>) -> TaskResult {
        if self.unsorted {
            return self.operator.process(batch, out);
        }
        let opened = after_open(&mut self.opened)?;
        let stamps = batch.timestamps.take();
        let mut stamps = stamps.iter().flatten().copied();
        for record in batch.records.drain(..) {
            let at = stamps.next().unwrap_or(NO_TIMESTAMP);
            match (self.key)(&record) {
                Some(key) => opened.sorter.push(stable_hash(&key), at, record)?,
                None => {
                    let mut alone = Batch::new();
                    alone.push(record, Some(at).filter(|at| *at != NO_TIMESTAMP));
                    self.operator.process(&mut alone, out)?;
                }
            }
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, out: &mut Output<O::Out>) -> TaskResult {
        if self.unsorted {
            return self.operator.watermark(watermark, out);
        }
        // There is one watermark in batch mode, the last; what an earlier one would say, it says too.
        if watermark < i64::MAX {
            return Ok(());
        }
        self.all_keys(out)?;
        out.event(Event::Watermark(watermark))
    }

    fn timer(&mut self, now: Instant, out: &mut Output<O::Out>) -> TaskResult<Option<Instant>> {
        if self.unsorted { self.operator.timer(now, out) } else { Ok(None) }
    }

    fn end(&mut self, out: &mut Output<O::Out>) -> TaskResult {
        self.all_keys(out)?;
        self.operator.end(out)
    }

    fn close(&mut self) {
        self.opened = None;
        self.operator.close();
    }
}
