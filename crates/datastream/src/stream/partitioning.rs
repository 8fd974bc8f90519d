//! To which subtasks of the next operator the records of a stream go.

use super::DataStream;
use crate::graph::{Edge, EdgeWriter, boxed};
use kvick_core::graph::Partitioning;
use kvick_runtime::element::Data;
use kvick_runtime::exchange::writer::{ByRecord, ExchangeWriter, OutputPort, ToAll, ToFirst};
use kvick_runtime::operator::BoxStage;
use kvick_runtime::partition::{CustomPartitioner, RebalancePartitioner, ShufflePartitioner};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// The writer of an edge whose partitioning needs nothing from the program.
pub(super) fn plain_writer<T: Data>() -> EdgeWriter {
    Arc::new(Mutex::new(|partitioning, _, port| boxed(plain_stage::<T>(partitioning, port))))
}

fn plain_stage<T: Data>(partitioning: Partitioning, port: OutputPort) -> BoxStage<T> {
    match partitioning {
        Partitioning::Forward | Partitioning::Global => ExchangeWriter::stage(port, ToFirst),
        Partitioning::Broadcast => ExchangeWriter::stage(port, ToAll),
        Partitioning::Shuffle => ExchangeWriter::stage(port, ByRecord(ShufflePartitioner::default())),
        // Rescale differs from rebalance in the channels that it has. Hash and custom have writers of their own.
        Partitioning::Rebalance | Partitioning::Rescale | Partitioning::Hash | Partitioning::Custom => {
            ExchangeWriter::stage(port, ByRecord(RebalancePartitioner::default()))
        }
    }
}

impl<T: Data> DataStream<T> {
    pub(crate) fn partitioned(&self, partitioning: Partitioning, writer: &EdgeWriter) -> DataStream<T> {
        self.written_as(partitioning, writer)
    }

    /// The stream as its consumer gets it, where writers make records of another type of it.
    pub(crate) fn written_as<U>(&self, partitioning: Partitioning, writer: &EdgeWriter) -> DataStream<U> {
        let origin = |edge: &Edge| Edge {
            from: edge.from,
            partitioning: Some(partitioning),
            writer: writer.clone(),
            side: edge.side.clone(),
        };
        let origins = self.origins.iter().map(origin).collect();
        DataStream { env: self.env.clone(), origins, types: PhantomData }
    }

    /// Subtask i to subtask i; both sides must have the same parallelism.
    pub fn forward(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Forward, &plain_writer::<T>())
    }

    /// Round robin over all consumers.
    pub fn rebalance(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Rebalance, &plain_writer::<T>())
    }

    /// Round robin over the consumers nearest by index.
    pub fn rescale(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Rescale, &plain_writer::<T>())
    }

    /// A random consumer for each record.
    pub fn shuffle(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Shuffle, &plain_writer::<T>())
    }

    /// Every consumer gets every record.
    pub fn broadcast(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Broadcast, &plain_writer::<T>())
    }

    /// Everything to the first consumer.
    pub fn global(&self) -> DataStream<T> {
        self.partitioned(Partitioning::Global, &plain_writer::<T>())
    }

    /// To the consumer that the function chooses from the record and the number of consumers.
    #[doc(alias = "partitionCustom")]
    pub fn partition_custom<F>(&self, choose: F) -> DataStream<T>
    where
        F: FnMut(&T, usize) -> usize + Clone + Send + 'static,
    {
        let writer: EdgeWriter = Arc::new(Mutex::new(move |_, _, port| {
            boxed(ExchangeWriter::<T, _>::stage(port, ByRecord(CustomPartitioner::new(choose.clone()))))
        }));
        self.partitioned(Partitioning::Custom, &writer)
    }
}
