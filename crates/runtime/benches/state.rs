//! What the keyed state in memory costs: a look-up and change per record, beside a bare hash table; hash partitioning; a
//! snapshot and restoring from it.

#![allow(clippy::unwrap_used, missing_docs)]

mod snapshots;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kvick_runtime::hash::stable_hash;
use kvick_runtime::key_group::key_group;
use kvick_runtime::partition::{HashPartitioner, Partitioner};
use kvick_runtime::state::{BackendKind, HashState, KeyedBackend, Table, TableSpec};
use std::hint::black_box;

/// The allocator that job programs have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: u32 = 128;

fn words(count: u64) -> Vec<String> {
    (0..count).map(|n| format!("w{}", stable_hash(&n) % 1_000_000)).collect()
}

fn counted(backend: &mut KeyedBackend<String>, words: &[String]) -> Table<String, (), (String, u64)> {
    let mut table = backend.table(TableSpec::new(format!("t{}", words.len()))).unwrap();
    for word in words {
        let key = backend.keyed(word.clone());
        table.upsert(key, (), word.clone(), |v: &mut (String, u64), _| v.1 += 1, |w| (w, 1)).unwrap();
    }
    table
}

fn update(criterion: &mut Criterion) {
    for keys in [10_000_u64, 1_000_000] {
        let words = words(keys);
        let mut group = criterion.benchmark_group(format!("update of {keys} keys"));
        group.throughput(Throughput::Elements(keys));
        group.sample_size(20);
        group.bench_function("bare table", |b| {
            let mut state: HashState<String, (String, u64)> = HashState::new();
            b.iter(|| {
                for word in &words {
                    black_box(state.upsert(word.clone(), word, |v, _| v.1 += 1, |w| (w.clone(), 1)));
                }
            });
        });
        group.bench_function("hash backend", |b| {
            let mut backend = KeyedBackend::in_memory(GROUPS);
            let mut table = counted(&mut backend, &words);
            b.iter(|| {
                for word in &words {
                    let key = backend.keyed(word.clone());
                    let value = table.upsert(key, (), word, |v, _| v.1 += 1, |w| (w.clone(), 1));
                    black_box(value.unwrap());
                }
            });
        });
        group.finish();
    }
}

fn partition(criterion: &mut Criterion) {
    let words = words(10_000);
    let mut partitioner = HashPartitioner::new(|word: &String| word.clone(), GROUPS);
    Partitioner::<String>::setup(&mut partitioner, 0, 4);
    let mut group = criterion.benchmark_group("hash partitioning");
    group.throughput(Throughput::Elements(words.len() as u64));
    group.bench_function("of words", |b| {
        b.iter(|| words.iter().map(|word| partitioner.select(word)).sum::<usize>());
    });
    group.bench_function("key group of a hash", |b| {
        b.iter(|| (0..10_000_u64).map(|n| key_group(black_box(n << 20), GROUPS)).sum::<u32>());
    });
    group.finish();
}

fn fill(criterion: &mut Criterion) {
    let words = words(100_000);
    let mut group = criterion.benchmark_group("fill");
    group.throughput(Throughput::Elements(words.len() as u64));
    group.bench_function("with 100000 keys", |b| {
        b.iter_batched(
            || KeyedBackend::in_memory(GROUPS),
            |mut backend| counted(&mut backend, &words).len(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn snapshot(criterion: &mut Criterion) {
    snapshots::snapshot_and_restore(criterion, BackendKind::HashMap);
}

criterion_group!(benches, update, partition, fill, snapshot);
criterion_main!(benches);
