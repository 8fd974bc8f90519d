//! Aggregation by key in batch mode: in a hash table as long as memory lasts, then in sorted runs on disk that are merged.

use super::after_open;
use super::aggregate::{PLACE, Reducer};
use crate::element::{Batch, Data, Key};
use crate::error::TaskResult;
use crate::metrics::Counter;
use crate::operator::{Operator, Output};
use crate::spill::memory::Estimate;
use crate::spill::{Entry, Runs, SpillError, SpillSettings};
use crate::state::HashState;
use crate::task::{TaskContext, TaskControl};
use std::sync::Arc;

/// What is there once the operator is opened.
struct Opened<K, T> {
    table: HashState<K, T>,
    memory: u64,
    estimate: Estimate,
    runs: Runs<(K, T)>,
    control: Arc<TaskControl>,
    spilled: Counter,
}

impl<K: Key, T: Data> Opened<K, T> {
    /// Half the memory: to be sorted, what is in the table is taken out into a list beside it.
    fn is_full(&self) -> bool {
        let keys = self.table.len() as u64;
        // The table has room for no more keys than a number of 32 bits can count.
        keys * self.estimate.each() > self.memory / 2 || keys > u64::from(u32::MAX / 2)
    }

    fn spill(&mut self) -> Result<(), SpillError> {
        let mut entries: Vec<Entry<(K, T)>> =
            self.table.take().map(|(hash, key, value)| Entry { hash, at: 0, value: (key, value) }).collect();
        entries.sort_by_key(|entry| entry.hash);
        self.runs.write(entries.into_iter().map(Ok))
    }
}

/// An aggregation over a keyed stream that emits each key once, at the end.
pub struct GroupedAggregate<K, T, F, R> {
    key: F,
    reducer: R,
    opened: Option<Opened<K, T>>,
}

impl<K: Key, T: Data, F, R: Reducer<T>> GroupedAggregate<K, T, F, R> {
    /// An aggregation by `key`.
    pub fn new(key: F, reducer: R) -> Self {
        GroupedAggregate { key, reducer, opened: None }
    }

    /// Merges the runs: aggregates of one key follow each other, in the order in which they were written.
    fn merge(&mut self, mut opened: Opened<K, T>, out: &mut Output<T>) -> TaskResult {
        opened.spill()?;
        opened.spilled.inc_by(opened.runs.bytes() as i64);
        let mut hash = 0;
        // All keys that have this hash: one, but for a collision.
        let mut group: Vec<(K, T)> = Vec::new();
        for (number, entry) in opened.runs.merge()?.enumerate() {
            let Entry { hash: next, value: (key, value), .. } = entry?;
            if next != hash {
                group.drain(..).for_each(|(_, value)| out.push(value));
                hash = next;
            }
            match group.iter_mut().find(|(known, _)| *known == key) {
                Some((_, aggregate)) => self.reducer.reduce(aggregate, value),
                None => group.push((key, value)),
            }
            if number % 4096 == 0 {
                opened.control.check()?;
            }
        }
        group.into_iter().for_each(|(_, value)| out.push(value));
        Ok(())
    }
}

impl<K, T, F, R> Operator for GroupedAggregate<K, T, F, R>
where
    K: Key,
    T: Data,
    F: FnMut(&T) -> K + Send + 'static,
    R: Reducer<T>,
{
    type In = T;
    type Out = T;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let settings = SpillSettings::of(context);
        self.opened = Some(Opened {
            table: HashState::new(),
            memory: settings.memory,
            estimate: Estimate::default(),
            runs: Runs::new(settings),
            control: Arc::clone(&context.control),
            spilled: context.metric_group().counter("numBytesSpilled"),
        });
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, _out: &mut Output<T>) -> TaskResult {
        let opened = after_open(&mut self.opened)?;
        let (reducer, estimate) = (&mut self.reducer, &mut opened.estimate);
        let place = PLACE * size_of::<(u64, K, T)>();
        for record in batch.records.drain(..) {
            let key = (self.key)(&record);
            opened.table.upsert(
                key,
                record,
                |aggregate, record| reducer.reduce(aggregate, record),
                |record| {
                    estimate.add(&record, place);
                    record
                },
            );
        }
        if opened.is_full() {
            opened.control.check()?;
            opened.spill()?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output<T>) -> TaskResult {
        let Some(mut opened) = self.opened.take() else { return Ok(()) };
        out.set_timestamp(None);
        if !opened.runs.is_empty() {
            return self.merge(opened, out);
        }
        opened.table.take().for_each(|(_, _, value)| out.push(value));
        Ok(())
    }

    fn close(&mut self) {
        self.opened = None;
    }
}
