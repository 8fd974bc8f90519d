//! What a record costs in the window operators: by kind of window, number of keys and overlap.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kvick_runtime::element::Batch;
use kvick_runtime::operator::Operator;
use kvick_runtime::operators::window::*;
use kvick_runtime::operators::{Reduce, Reducer};
use kvick_runtime::testing::Harness;
use kvick_runtime::timers::TimeDomain;
use std::time::Duration;

/// The allocator that job programs have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Record = (u64, u64);

const BATCHES: usize = 200;
const SIZE: usize = 512;

/// Records 1 ms apart, over so many keys.
fn batches(keys: u64) -> Vec<Batch<Record>> {
    let batch = |number: usize| {
        let times = number * SIZE..(number + 1) * SIZE;
        let records = times.clone().map(|at| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys, 1));
        Batch { records: records.collect(), timestamps: Some(times.map(|at| at as i64).collect()) }
    };
    (0..BATCHES).map(batch).collect()
}

fn key(record: &Record) -> u64 {
    record.0
}

fn sum() -> Reduced<impl Reducer<Record>> {
    Reduced(Reduce(|a: Record, b: Record| (a.0, a.1 + b.1)))
}

fn settings() -> WindowSettings<Record> {
    WindowSettings { allowed_lateness: 0, late_output: None, batch: false }
}

fn slices(size: i64, slide: i64) -> impl Operator<In = Record, Out = Record> {
    let panes = Panes { size, slide, offset: 0 };
    SliceOperator::<Record, u64, _, TimeWindow, _, _>::new(
        key,
        sum(),
        EmitResult(Itself),
        panes,
        TimeDomain::EventTime,
        settings(),
    )
}

fn sessions() -> impl Operator<In = Record, Out = Record> {
    let assigner = EventTimeSessionWindows::with_gap(Duration::from_millis(500));
    SessionOperator::new(key, assigner, sum(), EmitResult(Itself), settings())
}

fn general() -> impl Operator<In = Record, Out = Record> {
    let assigner = TumblingEventTimeWindows::of(Duration::from_secs(1));
    WindowOperator::new(key, assigner, EventTimeTrigger::create(), sum(), EmitResult(Itself), settings())
}

fn counts() -> impl Operator<In = Record, Out = Record> {
    let trigger = PurgingTrigger::of(CountTrigger::of(100));
    WindowOperator::new(key, GlobalWindows, trigger, sum(), EmitResult(Itself), settings())
}

fn run<Op: Operator<In = Record, Out = Record>>(
    c: &mut Criterion,
    name: &str,
    keys: u64,
    make: impl Fn() -> Op,
) {
    let input = batches(keys);
    let mut group = c.benchmark_group("windows");
    group.throughput(Throughput::Elements((BATCHES * SIZE) as u64)).sample_size(10);
    group.bench_function(format!("{name}/{keys} keys"), |bencher| {
        let set_up = || (Harness::open(make()).ok(), input.clone());
        bencher.iter_batched(
            set_up,
            |(harness, input)| {
                let Some(mut harness) = harness else { return 0 };
                let mut results = 0;
                for batch in input {
                    let last = batch.timestamps.as_ref().and_then(|all| all.last().copied()).unwrap_or(0);
                    let _ = harness.process_batch(batch);
                    let _ = harness.watermark(last - 1);
                    results += harness.take().len();
                }
                results
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn windows(c: &mut Criterion) {
    for keys in [100, 10_000] {
        run(c, "tumbling 1 s", keys, || slices(1000, 1000));
        run(c, "sliding 10 s by 1 s", keys, || slices(10_000, 1000));
        run(c, "sliding 60 s by 1 s", keys, || slices(60_000, 1000));
        run(c, "sessions", keys, sessions);
        run(c, "tumbling 1 s, any trigger", keys, general);
        run(c, "100 records", keys, counts);
    }
}

criterion_group!(benches, windows);
criterion_main!(benches);
