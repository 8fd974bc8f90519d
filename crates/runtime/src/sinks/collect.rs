//! Hands records to the program itself, wherever its tasks run: through an accumulator, when the input has ended.

use super::Sink;
use crate::element::{Batch, Data};
use crate::error::{TaskError, TaskResult};
use crate::task::{AccumulatorRegistry, TaskContext, lock};
use kvick_core::accumulator::{Accumulator, INTERNAL_PREFIX};
use std::marker::PhantomData;
use std::sync::Arc;

/// The name of the accumulator that carries collected records.
pub fn collect_accumulator() -> String {
    format!("{INTERNAL_PREFIX}collect")
}

/// Keeps every record, as JSON, and gives all of them to the job's result. For results that fit in memory.
pub struct CollectSink<T> {
    records: Vec<String>,
    accumulators: Option<Arc<AccumulatorRegistry>>,
    types: PhantomData<fn(T)>,
}

impl<T> Default for CollectSink<T> {
    fn default() -> Self {
        CollectSink { records: Vec::new(), accumulators: None, types: PhantomData }
    }
}

impl<T: Data> Sink<T> for CollectSink<T> {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.accumulators = Some(Arc::clone(&context.accumulators));
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in batch.records.drain(..) {
            let text = serde_json::to_string(&record)
                .map_err(|error| TaskError::failed(format!("a record cannot be collected: {error}")))?;
            self.records.push(text);
        }
        Ok(())
    }

    fn end(&mut self) -> TaskResult {
        let Some(accumulators) = &self.accumulators else { return Ok(()) };
        let all = accumulators.get(&collect_accumulator(), Accumulator::List(Vec::new()));
        if let Accumulator::List(values) = &mut *lock(&all) {
            values.append(&mut self.records);
        }
        Ok(())
    }
}
