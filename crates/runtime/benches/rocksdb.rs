//! What keyed state in RocksDB costs: a look-up and change per record, beside the same in memory; a snapshot and
//! restoring from it. Needs the plugin (`KVICK_PLUGINS_DIR`).

#![allow(clippy::unwrap_used, missing_docs)]

mod snapshots;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kvick_core::config::Configuration;
use kvick_core::ids::JobId;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::hash::stable_hash;
use kvick_runtime::snapshot::StateReader;
use kvick_runtime::state::store::StoreSettings;
use kvick_runtime::state::{BackendKind, KeyedBackend, Table, TableSpec};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const GROUPS: u32 = 128;

fn backend(directory: &Path, kind: BackendKind) -> KeyedBackend<String> {
    let context = kvick_filesystem::Context::new(BTreeMap::<String, String>::new());
    let reader = StateReader::new(Arc::new(FileSystems::new(context)), None);
    let settings = StoreSettings {
        job: JobId(1),
        config: Arc::new(Configuration::default()),
        tmp_dirs: vec![directory.display().to_string()],
        name: "bench".to_string(),
        subtask: 0,
        restored: None,
    };
    KeyedBackend::new(0..GROUPS, GROUPS, kind, Vec::new(), reader).with_store(settings)
}

fn update(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    for keys in [10_000_u64, 1_000_000] {
        let words: Vec<String> = (0..100_000).map(|n| format!("w{}", stable_hash(&n) % keys)).collect();
        let mut group = criterion.benchmark_group(format!("update of {keys} keys"));
        group.throughput(Throughput::Elements(words.len() as u64));
        group.sample_size(10);
        for (name, kind) in
            [("hash backend", BackendKind::HashMap), ("rocksdb backend", BackendKind::RocksDb)]
        {
            let mut backend = backend(directory.path(), kind);
            let mut table: Table<String, (), (String, u64)> = backend.table(TableSpec::new("t")).unwrap();
            for n in 0..keys {
                let word = format!("w{n}");
                table.put(&backend.keyed(word.clone()), &(), (word, 1)).unwrap();
            }
            group.bench_function(name, |b| {
                b.iter(|| {
                    for word in &words {
                        let key = backend.keyed(word.clone());
                        let value = table.upsert(key, (), word, |v, _| v.1 += 1, |w| (w.clone(), 1));
                        black_box(value.unwrap());
                    }
                });
            });
        }
        group.finish();
    }
}

fn snapshot(criterion: &mut Criterion) {
    snapshots::snapshot_and_restore(criterion, BackendKind::RocksDb);
    snapshots::change_of_backend(criterion, BackendKind::HashMap, BackendKind::RocksDb);
}

criterion_group!(benches, update, snapshot);
criterion_main!(benches);
