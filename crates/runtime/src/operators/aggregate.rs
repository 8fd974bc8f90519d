//! Keyed aggregation: each update in streaming mode; in batch mode first per producer, and then as `grouped` does it.

use super::transform::for_each;
use crate::element::{Batch, Data, Key};
use crate::error::TaskResult;
use crate::operator::{Operator, Output};
use crate::snapshot::OperatorSnapshot;
use crate::spill::SpillSettings;
use crate::spill::memory::Estimate;
use crate::state::{HashState, KeyedBackend, StateError, Table, TableSpec};
use crate::task::TaskContext;

/// How many keys a producer gathers in batch mode, where there is memory for them, before it sends what it has.
const COMBINE_KEYS: usize = 1 << 18;
/// A hash table has about twice the places that it uses.
pub(super) const PLACE: usize = 2;

/// How two records of one key become one, in place.
pub trait Reducer<T>: Clone + Send + 'static {
    /// Takes `record` into `aggregate`.
    fn reduce(&mut self, aggregate: &mut T, record: T);
}

/// A reducer from a function of two records.
#[derive(Clone)]
pub struct Reduce<F>(pub F);

impl<T: Clone, F: FnMut(T, T) -> T + Clone + Send + 'static> Reducer<T> for Reduce<F> {
    #[inline]
    fn reduce(&mut self, aggregate: &mut T, record: T) {
        *aggregate = (self.0)(aggregate.clone(), record);
    }
}

/// The name of the state with the aggregates.
const AGGREGATES: &str = "aggregates";

/// An aggregation over a keyed stream.
pub struct KeyedAggregate<K, T, F, R> {
    key: F,
    reducer: R,
    state: Option<(KeyedBackend<K>, Table<K, (), T>)>,
}

impl<K: Key, T, F, R> KeyedAggregate<K, T, F, R> {
    /// An aggregation by `key` that emits every update.
    pub fn new(key: F, reducer: R) -> Self {
        KeyedAggregate { key, reducer, state: None }
    }
}

impl<K, T, F, R> Operator for KeyedAggregate<K, T, F, R>
where
    K: Key,
    T: Data,
    F: FnMut(&T) -> K + Send + 'static,
    R: Reducer<T>,
{
    type In = T;
    type Out = T;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let mut backend = context.keyed_backend()?;
        let table = backend.table(TableSpec::new(AGGREGATES))?;
        self.state = Some((backend, table));
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<T>) -> TaskResult {
        let (backend, table) = self.state.as_mut().ok_or(StateError::NotOpened)?;
        let reducer = &mut self.reducer;
        for_each(batch, out, |record, out| {
            let key = backend.keyed((self.key)(&record));
            let reduce = |known: &mut T, record| reducer.reduce(known, record);
            out.push(table.upsert(key, (), record, reduce, |record| record)?.clone());
            Ok(())
        })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let (backend, table) = self.state.as_mut().ok_or(StateError::NotOpened)?;
        snapshot.table(table)?;
        Ok(snapshot.backend(backend)?)
    }
}

/// The part of a batch aggregation that runs before the exchange.
pub struct Combine<K, T, F, R> {
    key: F,
    reducer: R,
    state: HashState<K, T>,
    memory: u64,
    estimate: Estimate,
}

impl<K: Key, T: Data, F, R> Combine<K, T, F, R> {
    /// Aggregates by `key` what one producer sends.
    pub fn new(key: F, reducer: R) -> Self {
        Combine { key, reducer, state: HashState::new(), memory: u64::MAX, estimate: Estimate::default() }
    }

    fn is_full(&self) -> bool {
        let keys = self.state.len();
        keys >= COMBINE_KEYS || keys as u64 * self.estimate.each() > self.memory
    }

    fn emit_all(&mut self, out: &mut Output<T>) {
        out.set_timestamp(None);
        self.state.drain().for_each(|(_, value)| out.push(value));
    }
}

impl<K, T, F, R> Operator for Combine<K, T, F, R>
where
    K: Key,
    T: Data,
    F: FnMut(&T) -> K + Send + 'static,
    R: Reducer<T>,
{
    type In = T;
    type Out = T;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.memory = SpillSettings::of(context).memory;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch<T>, out: &mut Output<T>) -> TaskResult {
        let (reducer, estimate) = (&mut self.reducer, &mut self.estimate);
        for record in batch.records.drain(..) {
            let key = (self.key)(&record);
            self.state.upsert(
                key,
                record,
                |aggregate, record| reducer.reduce(aggregate, record),
                |record| {
                    estimate.add(&record, PLACE * size_of::<(u64, K, T)>());
                    record
                },
            );
        }
        if self.is_full() {
            self.emit_all(out);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output<T>) -> TaskResult {
        self.emit_all(out);
        Ok(())
    }
}
