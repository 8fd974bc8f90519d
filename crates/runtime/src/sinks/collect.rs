//! Hands records to the program itself, wherever its tasks run: through an accumulator, when the input has ended.

use super::Sink;
use crate::element::{Batch, Data};
use crate::error::{TaskError, TaskResult};
use crate::snapshot::OperatorSnapshot;
use crate::task::{AccumulatorRegistry, TaskContext, lock};
use kvick_core::accumulator::{Accumulator, INTERNAL_PREFIX};
use kvick_core::checkpoint::Redistribution;
use std::marker::PhantomData;
use std::sync::Arc;

/// The name of the accumulator that carries collected records.
pub fn collect_accumulator() -> String {
    format!("{INTERNAL_PREFIX}collect")
}

/// What one subtask may collect, in bytes.
const LIMIT: usize = 256 << 20;

/// What was collected before a checkpoint.
const COLLECTED: &str = "collected";

/// Keeps every record, as JSON, and gives all of them to the job's result. For results that fit in memory: they are also in
/// every checkpoint.
pub struct CollectSink<T> {
    records: Vec<String>,
    bytes: usize,
    accumulators: Option<Arc<AccumulatorRegistry>>,
    types: PhantomData<fn(T)>,
}

impl<T> Default for CollectSink<T> {
    fn default() -> Self {
        CollectSink { records: Vec::new(), bytes: 0, accumulators: None, types: PhantomData }
    }
}

impl<T: Data> Sink<T> for CollectSink<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.accumulators = Some(Arc::clone(&context.accumulators));
        self.records = context.restored_list(COLLECTED)?;
        self.bytes = self.records.iter().map(String::len).sum();
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in batch.records.drain(..) {
            let text = serde_json::to_string(&record)
                .map_err(|error| TaskError::failed(format!("a record cannot be collected: {error}")))?;
            self.bytes += text.len();
            self.records.push(text);
        }
        if self.bytes > LIMIT {
            return Err(TaskError::failed(format!(
                "{} records with more than {LIMIT} bytes were collected by one subtask: write results of this size to a sink",
                self.records.len()
            )));
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(snapshot.list(COLLECTED, Redistribution::Split, &self.records)?)
    }

    /// The records stay here as well: checkpoints may follow.
    fn end(&mut self) -> TaskResult {
        let Some(accumulators) = &self.accumulators else { return Ok(()) };
        let all = accumulators.get(&collect_accumulator(), Accumulator::List(Vec::new()));
        if let Accumulator::List(values) = &mut *lock(&all) {
            values.extend_from_slice(&self.records);
        }
        Ok(())
    }
}
