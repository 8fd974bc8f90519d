//! What a record costs between two subtasks of one process: batches through the gate, with partitioning by key before it.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kvick_core::ids::{ExecutionId, VertexId};
use kvick_runtime::element::{BATCH_SIZE, Batch};
use kvick_runtime::exchange::channel::{ChannelKey, ChannelSender, ChannelTable};
use kvick_runtime::exchange::gate::{ChannelEnd, Gate, Next, Packet, Patience};
use kvick_runtime::exchange::writer::{BufferTimeout, ByRecord, ExchangeWriter, OutputPort, Overtaking};
use kvick_runtime::operator::BoxStage;
use kvick_runtime::partition::HashPartitioner;
use kvick_runtime::task::{TaskControl, TaskCounters};
use std::sync::Arc;

/// The allocator that job programs have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: u64 = 1 << 20;
const CONSUMERS: u32 = 2;

/// A producer's output to gates that are read in threads of their own.
fn producer(table: &ChannelTable, gates: &[Arc<Gate>]) -> BoxStage<u64> {
    let producer = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
    let (control, counters) = (TaskControl::new(), Arc::new(TaskCounters::default()));
    let channel = |(consumer, gate): (u32, &Arc<Gate>)| {
        let channel = table.get(ChannelKey { producer, output: 0, consumer });
        channel.connect_local(Arc::clone(gate), 0);
        ChannelSender::new(channel, Arc::clone(&control), Arc::clone(&counters))
    };
    let port = OutputPort {
        kept: Vec::new(),
        channels: (0..).zip(gates).map(channel).collect(),
        timeout: BufferTimeout::WhenFull,
        subtask: 0,
        parallelism: 1,
        consumer_parallelism: CONSUMERS,
        consumer_max_parallelism: 128,
        overtaking: Overtaking::default(),
        restored: None,
    };
    ExchangeWriter::stage(port, ByRecord(HashPartitioner::new(|record: &u64| *record, 128)))
}

/// Reads a gate to its end and says how many records there were.
fn consume(gate: &Gate) -> usize {
    let (control, counters) = (TaskControl::new(), TaskCounters::default());
    let mut read = 0;
    loop {
        match gate.next(Patience::default(), &control, &counters).unwrap() {
            Next::Packet(_, Packet::Batch(_, records)) => read += records,
            Next::Packet(_, Packet::End) => return read,
            _ => {}
        }
    }
}

fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    group.bench_function("by key to two consumers in the process", |b| {
        b.iter(|| {
            let end = ChannelEnd { input: 0, producer: 0, in_order: false };
            let gates: Vec<Arc<Gate>> = (0..CONSUMERS).map(|_| Gate::new(vec![end], 8)).collect();
            let mut stage = producer(&ChannelTable::default(), &gates);
            std::thread::scope(|scope| {
                let consumers: Vec<_> = gates.iter().map(|gate| scope.spawn(|| consume(gate))).collect();
                for first in (0..RECORDS).step_by(BATCH_SIZE) {
                    stage.batch(&mut Batch::of((first..first + BATCH_SIZE as u64).collect())).unwrap();
                }
                stage.event(kvick_runtime::element::Event::EndOfStream).unwrap();
                let read: usize = consumers.into_iter().map(|c| c.join().unwrap()).sum();
                assert_eq!(read as u64, RECORDS);
            });
        });
    });
    group.finish();
}

criterion_group!(benches, exchange);
criterion_main!(benches);
