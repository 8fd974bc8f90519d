//! Takes records and forgets them: for measurements.

use super::Sink;
use crate::element::Batch;
use crate::error::TaskResult;

/// A sink that drops every record (Flink's `DiscardingSink`).
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardingSink;

impl<T: 'static> Sink<T> for DiscardingSink {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        batch.clear();
        Ok(())
    }
}
