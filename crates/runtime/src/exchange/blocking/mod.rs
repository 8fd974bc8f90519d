//! Blocking exchanges: a producer's result is written to a file, and read once it is whole.
//!
//! `writer` divides a task's output among its consumers and writes it; [`Results`] keeps it in this process, from the end of
//! the task until it is released; `serve` sends a consumer its part, over the same channels that pipelined exchanges use. A
//! result that is not there, or not what was written, fails the consumer with [`FailureKind::ResultLost`].

mod kept;
mod serve;
mod writer;

pub use kept::Results;
pub use writer::{ResultLane, ResultWriter};

use super::channel::ChannelKey;
use crate::spill::SpillError;
use kvick_core::failure::{Failure, FailureKind};

/// A consumer asked for what this process does not keep.
pub(crate) fn not_kept(key: &ChannelKey) -> Failure {
    let text = format!("the result of {} is not kept here any more", key.producer);
    Failure::new(FailureKind::ResultLost, text)
}

/// A consumer's part cannot be read.
pub(crate) fn unreadable(key: &ChannelKey, error: &SpillError) -> Failure {
    let text = format!("the result that {} has kept cannot be read", key.producer);
    crate::error::failure_of(error).wrapped(FailureKind::ResultLost, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::element::{Batch, Event};
    use crate::error::TaskError;
    use crate::exchange::Exchanges;
    use crate::exchange::channel::ChannelTable;
    use crate::exchange::gate::{ChannelEnd, Gate, Next, Packet, Patience};
    use crate::exchange::network::{Connections, Membership, serve};
    use crate::spill::SpillSettings;
    use crate::task::{TaskControl, TaskCounters};
    use kvick_core::graph::{Exchange, JobEdge, JobGraph, Partitioning};
    use kvick_core::ids::{ExecutionId, JobId, VertexId};
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Arc;

    const PRODUCER: ExecutionId = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };

    fn graph() -> JobGraph {
        let edge = JobEdge {
            source: VertexId(1),
            output: 0,
            target: VertexId(2),
            input: 0,
            partitioning: Partitioning::Rescale,
            exchange: Exchange::Blocking,
        };
        JobGraph { edges: vec![edge], ..JobGraph::default() }
    }

    /// A producer's worker that keeps what it sends to the consumers 4 and 5, and where it listens.
    fn producer(directory: &Path, batches: u64) -> (Arc<ChannelTable>, String) {
        let table: Arc<ChannelTable> = Arc::default();
        table.results().expect(&graph());
        let settings = SpillSettings {
            memory: 0,
            directories: vec![directory.to_path_buf()],
            name: "result".to_string(),
            first: 0,
        };
        let writer = ResultWriter::new(PRODUCER, 0, vec![4, 5], settings, table.results());
        let mut lanes = writer.lanes(&Arc::default());
        for number in 0..batches {
            for (lane, sign) in lanes.iter_mut().zip(["+", "-"]) {
                let record = |n: u64| (sign.to_string(), number * 400 + n);
                lane.batch(&mut Batch::of((0..400).map(record).collect())).unwrap();
            }
        }
        lanes.iter_mut().for_each(|lane| lane.event(&Event::Watermark(i64::MAX)).unwrap());
        assert!(table.results().is_empty(), "it is not whole yet");
        lanes.iter_mut().for_each(|lane| lane.end().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        serve(listener, membership(), Arc::clone(&table));
        (table, address)
    }

    fn membership() -> Membership {
        Membership { job: JobId(1), secret: "secret".to_string() }
    }

    fn consumer() -> Exchanges {
        Exchanges::networked("elsewhere", Arc::default(), Connections::new(membership()))
    }

    /// Reads what was kept for a consumer, to the end.
    fn read(exchanges: &Exchanges, address: &str, consumer: u32) -> Result<Vec<(String, u64)>, TaskError> {
        let gate = Gate::new(vec![ChannelEnd { input: 0, producer: 0, in_order: true }], 2);
        let key = ChannelKey { producer: PRODUCER, output: 0, consumer };
        exchanges.connect(address, key, &gate, 0).unwrap();
        let (control, counters) = (TaskControl::new(), TaskCounters::default());
        let (mut batch, mut events) = (Batch::new(), Vec::new());
        loop {
            match gate.next(Patience::default(), &control, &counters)? {
                Next::Packet(_, Packet::Encoded(bytes)) => codec::decode(&bytes, &mut batch).unwrap(),
                Next::Packet(_, Packet::Event(event)) => events.push(event),
                Next::Packet(_, Packet::End) => break,
                Next::Notices(_) => {}
                _ => panic!("records come as they were kept"),
            }
        }
        assert_eq!(events, [Event::Watermark(i64::MAX)]);
        gate.close();
        Ok(batch.records)
    }

    #[test]
    fn what_is_kept_is_read_by_each_consumer_as_often_as_it_asks_from_here_and_from_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        // More than is gathered before it is written.
        let (table, address) = producer(directory.path(), 1_000);
        let here = Exchanges::networked(&address, Arc::clone(&table), Connections::new(membership()));
        let elsewhere = consumer();
        for exchanges in [&here, &elsewhere, &elsewhere] {
            for (consumer, sign) in [(4, "+"), (5, "-")] {
                let expected = (0..400_000).map(|n| (sign.to_string(), n));
                assert!(read(exchanges, &address, consumer).unwrap().into_iter().eq(expected));
            }
        }
        assert!(table.is_empty(), "channels to what is kept are forgotten");
        table.results().release(PRODUCER);
        assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none());
    }

    fn lost(result: Result<Vec<(String, u64)>, TaskError>) -> String {
        match result {
            Err(TaskError::Failed(failure)) if failure.has_kind(FailureKind::ResultLost) => {
                failure.to_string()
            }
            other => panic!("{:?}", other.map(|records| records.len())),
        }
    }

    #[test]
    fn a_result_that_is_not_there_or_damaged_fails_its_consumer_with_that() {
        let directory = tempfile::tempdir().unwrap();
        let (table, address) = producer(directory.path(), 100);
        let here = Exchanges::networked(&address, Arc::clone(&table), Connections::new(membership()));
        let below = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let file = below.join("result-0");
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 40;
        bytes[last] ^= 4;
        std::fs::write(&file, bytes).unwrap();
        for exchanges in [&here, &consumer()] {
            assert!(read(exchanges, &address, 4).is_ok(), "its own part is whole");
            let error = lost(read(exchanges, &address, 5));
            assert!(error.contains("is damaged") && error.contains("result-0"), "{error}");
        }
        table.results().release(PRODUCER);
        for exchanges in [&here, &consumer()] {
            assert!(lost(read(exchanges, &address, 4)).contains("not kept here"));
        }
    }
}
