//! An output whose barriers overtake, within a process and over TCP: it never waits, and what it held back lies before the
//! barrier at its consumer.

#![allow(clippy::unwrap_used)]

use kvick_core::checkpoint::{BarrierAlignment, SnapshotKind, SnapshotTarget};
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use kvick_core::time::Millis;
use kvick_runtime::codec;
use kvick_runtime::element::{Barrier, Batch, Event};
use kvick_runtime::exchange::channel::{ChannelKey, ChannelSender, ChannelTable};
use kvick_runtime::exchange::gate::{ChannelEnd, Gate, Next, Notice, Packet, Patience};
use kvick_runtime::exchange::network::{Connections, Membership, serve};
use kvick_runtime::exchange::writer::{BufferTimeout, ExchangeWriter, OutputPort, Overtaking, ToFirst};
use kvick_runtime::operator::BoxStage;
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{OperatorIdentity, TaskControl, TaskCounters};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CREDIT: u32 = 2;
const BATCHES: u64 = 20;

struct Fixture {
    output: BoxStage<u64>,
    control: Arc<TaskControl>,
    gate: Arc<Gate>,
    /// Keeps the connections.
    _connections: Connections,
}

fn fixture(remote: bool, overtaking: Overtaking) -> Fixture {
    let table: Arc<ChannelTable> = Arc::default();
    let membership = Membership { job: JobId(1), secret: "secret".to_string() };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Connections::new(membership.clone());
    serve(listener, membership, Arc::clone(&table));
    let gate = Gate::new(vec![ChannelEnd { input: 0, producer: 0, in_order: overtaking.in_order }], CREDIT);
    let producer = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
    let key = ChannelKey { producer, output: 0, consumer: 0 };
    let channel = table.get(key);
    if remote {
        connections.open(&address, key, &gate, 0, false).unwrap();
    } else {
        channel.connect_local(Arc::clone(&gate), 0);
    }
    let control = TaskControl::new();
    let port = OutputPort {
        kept: Vec::new(),
        channels: vec![ChannelSender::new(channel, Arc::clone(&control), Arc::default())],
        timeout: BufferTimeout::Immediate,
        subtask: 0,
        parallelism: 1,
        consumer_parallelism: 1,
        consumer_max_parallelism: 1,
        overtaking,
        restored: None,
    };
    Fixture { output: ExchangeWriter::stage(port, ToFirst), control, gate, _connections: connections }
}

fn snapshot(alignment: BarrierAlignment) -> OperatorSnapshot {
    let (timestamp, target) = (Millis(0), SnapshotTarget::Inline { max_bytes: 0 });
    let barrier = Barrier { id: 7, timestamp, kind: SnapshotKind::Checkpoint, base: None, alignment, target };
    let operator = OperatorIdentity { id: VertexId(1), name: "writer".to_string(), uid: None };
    OperatorSnapshot::new(Arc::new(barrier), operator)
}

impl Fixture {
    fn fill(&mut self) {
        for n in 0..BATCHES {
            self.output.batch(&mut Batch::of(vec![n])).unwrap();
        }
        assert!(self.control.is_backed_up());
    }

    fn next_within(&self, span: Duration, notices_only: bool) -> Next {
        let patience = Patience { deadline: Some(Instant::now() + span), notices_only };
        self.gate.next(patience, &TaskControl::new(), &TaskCounters::default()).unwrap()
    }

    fn next(&self) -> Next {
        self.next_within(Duration::from_secs(5), false)
    }

    /// The barrier that is announced next, whatever packets there are.
    fn announced(&self) -> Arc<Barrier> {
        let Next::Notices(notices) = self.next_within(Duration::from_secs(5), true) else {
            panic!("no barrier was announced")
        };
        let [(0, Notice::Barrier(barrier))] = &notices[..] else { panic!("{notices:?}") };
        Arc::clone(barrier)
    }

    /// Takes everything from the gate up to a barrier, as there comes room for it.
    fn taken(&mut self) -> Vec<u64> {
        let (mut records, begun) = (Batch::new(), Instant::now());
        loop {
            match self.next_within(Duration::from_millis(1), false) {
                Next::Packet(_, Packet::Event(Event::Barrier(_))) => return records.records,
                Next::Packet(_, packet) => add(&packet, &mut records),
                Next::Notices(_) | Next::Nothing => {}
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "no barrier came");
            self.output.drain(Instant::now()).unwrap();
        }
    }
}

fn add(packet: &Packet, records: &mut Batch<u64>) {
    match packet {
        Packet::Batch(batch, _) => {
            records.records.extend(&batch.downcast_ref::<Batch<u64>>().unwrap().records);
        }
        Packet::Encoded(bytes) => codec::decode(bytes, records).unwrap(),
        _ => {}
    }
}

#[test]
fn a_barrier_pushes_what_is_held_back_in_front_of_it() {
    for remote in [false, true] {
        let mut f = fixture(remote, Overtaking { enabled: true, in_order: false });
        f.fill();
        f.output.snapshot(&mut snapshot(BarrierAlignment::Unaligned)).unwrap();
        assert!(!f.control.is_backed_up());
        assert_eq!(f.announced().id, 7);
        let mut before = Batch::new();
        let mut look = |packet: &Packet| {
            add(packet, &mut before);
            Ok(())
        };
        assert!(!f.gate.before_barrier(0, 8, &mut look).unwrap());
        assert!(f.gate.before_barrier(0, 7, &mut look).unwrap());
        assert_eq!(before.records, (0..BATCHES).collect::<Vec<_>>(), "remote: {remote}");
        // The channel is over its credit now: the next batch waits its turn.
        f.output.batch(&mut Batch::of(vec![99])).unwrap();
        assert!(f.control.is_backed_up());
        assert_eq!(f.taken(), (0..BATCHES).collect::<Vec<_>>());
        f.output.event(Event::EndOfStream).unwrap();
        assert!(matches!(f.next(), Next::Packet(..) | Next::Notices(_)));
    }
}

#[test]
fn a_barrier_with_time_to_align_waits_for_room_until_its_time_is_over() {
    for remote in [false, true] {
        let mut f = fixture(remote, Overtaking { enabled: true, in_order: false });
        f.fill();
        // Counted from a trigger long ago it would be over: clocks may disagree by less.
        let timeout = Millis(u64::MAX / 4);
        f.output.snapshot(&mut snapshot(BarrierAlignment::AlignedFor { timeout })).unwrap();
        let at = f.output.drain(Instant::now()).unwrap().unwrap();
        assert!(f.control.is_backed_up());
        f.output.drain(at).unwrap();
        assert!(!f.control.is_backed_up());
        assert_eq!(f.announced().alignment, BarrierAlignment::Unaligned, "it does not wait again behind");
        assert_eq!(f.taken(), (0..BATCHES).collect::<Vec<_>>(), "remote: {remote}");
    }
}

#[test]
fn where_nothing_is_overtaken_barriers_keep_their_place() {
    for (remote, in_order, alignment) in [
        (false, true, BarrierAlignment::Unaligned),
        (true, true, BarrierAlignment::Unaligned),
        (false, false, BarrierAlignment::Aligned),
        (true, false, BarrierAlignment::Aligned),
    ] {
        let mut f = fixture(remote, Overtaking { enabled: true, in_order });
        f.fill();
        f.output.snapshot(&mut snapshot(alignment)).unwrap();
        assert!(f.control.is_backed_up());
        assert_eq!(f.taken(), (0..BATCHES).collect::<Vec<_>>());
    }
}

#[test]
fn whoever_was_turned_away_is_told_of_room() {
    for remote in [false, true] {
        let mut f = fixture(remote, Overtaking { enabled: true, in_order: false });
        f.fill();
        f.control.take_mail();
        while !matches!(f.next(), Next::Packet(..)) {}
        let begun = Instant::now();
        f.control.sleep(Duration::from_secs(20));
        assert!(f.control.has_mail() && begun.elapsed() < Duration::from_secs(10), "remote: {remote}");
    }
}
