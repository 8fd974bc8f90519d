//! What a snapshot of much state does to the thread that owns it: the longest pause of a stream of updates while a snapshot is
//! taken and written, and how long writing and restoring take, beside how fast the disk reads the same files.
//! `cargo bench --bench pause -- <MiB>` (1024 by default), with small values and with texts.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointReport, SnapshotKind, SnapshotTarget, SubtaskState,
};
use kvick_core::ids::{ExecutionId, VertexId};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::element::{Barrier, Data};
use kvick_runtime::snapshot::{OperatorSnapshot, SnapshotJob, SnapshotWriters, StateReader};
use kvick_runtime::state::{BackendKind, KeyedBackend, Table, TableSpec};
use kvick_runtime::task::{OperatorIdentity, Reporter, TaskEvent};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The allocator that job programs have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: u32 = 128;
/// No subtask is to be paused for longer.
const PAUSE: Duration = Duration::from_millis(100);

/// A kind of values.
trait Kept: Data {
    const NAME: &'static str;
    /// About what one entry takes in memory: key, value and their places in a hash table.
    const BYTES: u64;
    fn first(key: u64) -> Self;
    fn change(&mut self);
}

/// Much memory, few bytes in a file.
type Numbers = (u64, [u64; 10]);

impl Kept for Numbers {
    const NAME: &'static str = "small numbers";
    const BYTES: u64 = 128;

    fn first(_key: u64) -> Numbers {
        (1, [7; 10])
    }

    fn change(&mut self) {
        self.0 += 1;
    }
}

/// A counter and a text of a hundred bytes.
type Texts = (u64, String);

impl Kept for Texts {
    const NAME: &'static str = "texts of 100 bytes";
    const BYTES: u64 = 180;

    fn first(key: u64) -> Texts {
        (1, format!("{key:0100}"))
    }

    fn change(&mut self) {
        self.0 += 1;
    }
}

fn change<V: Kept>(backend: &KeyedBackend<u64>, table: &mut Table<u64, (), V>, key: u64) {
    let keyed = backend.keyed(key);
    table.upsert(keyed, (), key, |value: &mut V, _| value.change(), V::first).unwrap();
}

fn barrier(directory: &Path) -> Arc<Barrier> {
    let directory = directory.display().to_string();
    Arc::new(Barrier {
        id: 1,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment: BarrierAlignment::Aligned,
        target: SnapshotTarget::Directory {
            exclusive: directory.clone(),
            shared: directory.clone(),
            task_owned: directory,
            inline_threshold: 20 << 10,
        },
    })
}

/// Time that this thread has spent on a processor: what others do on the machine does not count.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Time that all threads of this process have spent on processors (`/proc/[pid]/stat`, in hundredths of a second).
fn all_on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = &text[text.rfind(')').unwrap() + 2..];
    let ticks = behind_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// The longest batch, by the clock and on the processor.
#[derive(Debug, Default)]
struct Longest {
    clock: Duration,
    processor: Duration,
    /// All batches together.
    total: Duration,
}

/// Updates random keys until `done`, and returns the longest time that one batch took, and how many updates there were.
fn update_until<V: Kept>(
    backend: &KeyedBackend<u64>,
    table: &mut Table<u64, (), V>,
    keys: u64,
    mut done: impl FnMut() -> bool,
) -> (Longest, u64) {
    let (mut longest, mut updates, mut random) = (Longest::default(), 0, 88_172_645_463_325_252_u64);
    while !done() {
        let (begun, processor) = (Instant::now(), on_processor());
        for _ in 0..512 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            change(backend, table, random % keys);
        }
        updates += 512;
        longest.clock = longest.clock.max(begun.elapsed());
        let spent = on_processor() - processor;
        longest.processor = longest.processor.max(spent);
        longest.total += spent;
    }
    (longest, updates)
}

fn tell(when: &str, longest: &Longest, updates: u64) {
    let each = longest.total.as_nanos() as f64 / updates as f64;
    println!("{when}: {each:.0} ns of processor time for an update; of 512 updates the slowest: {longest:?}");
}

/// Reads all files below a directory from the disk, and says how many bytes a second that were, in MiB.
fn disk_speed(directory: &Path) -> f64 {
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    forget(directory);
    let begun = Instant::now();
    for entry in std::fs::read_dir(directory).unwrap() {
        let mut file = File::open(entry.unwrap().path()).unwrap();
        while let count @ 1.. = file.read(&mut buffer).unwrap() {
            bytes += count;
        }
    }
    mib(bytes as u64) / begun.elapsed().as_secs_f64()
}

/// Lets the system forget what it has of the files below a directory in memory.
fn forget(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn files() -> Arc<FileSystems> {
    Arc::new(FileSystems::new(kvick_filesystem::Context::new(BTreeMap::<String, String>::new())))
}

/// Takes a snapshot while keys are updated; returns what it says and how many bytes it has.
fn snapshot<V: Kept>(
    backend: &KeyedBackend<u64>,
    table: &mut Table<u64, (), V>,
    keys: u64,
    directory: &Path,
) -> (SubtaskState, u64) {
    let operator = OperatorIdentity { id: VertexId(1), name: "bench".to_string(), uid: None };
    let barrier = barrier(directory);
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    let (writers, (reports, answers)) = (SnapshotWriters::start(), channel::<TaskEvent>());
    let begun = Instant::now();
    snapshot.table(table).unwrap();
    let pause = begun.elapsed();
    let execution = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
    let metrics = SnapshotMetrics::default();
    writers.write(SnapshotJob::new(execution, barrier, snapshot, files(), metrics, Reporter::to(reports)));
    let mut answer = None;
    let (longest, updates) = update_until(backend, table, keys, || {
        answer = answers.try_recv().ok();
        answer.is_some()
    });
    let written = begun.elapsed();
    let Some(TaskEvent::Checkpoint(CheckpointReport::Acknowledged { snapshot, metrics, .. })) = answer else {
        panic!("the snapshot failed: {answer:?}");
    };
    let size = mib(metrics.checkpointed_bytes);
    let longer = pause.max(longest.processor);
    println!(
        "handing over took {pause:?}; writing {size:.0} MiB took {written:?}: {:.0} MiB/s",
        size / written.as_secs_f64()
    );
    tell("meanwhile", &longest, updates);
    let verdict = if longer <= PAUSE { "met" } else { "missed" };
    println!(
        "longest pause {longer:?}, {:.3} of the aim of {PAUSE:?} ({verdict})",
        longer.as_secs_f64() / PAUSE.as_secs_f64()
    );
    (snapshot.operators.into_values().next().unwrap(), metrics.checkpointed_bytes)
}

fn restore<V: Kept>(state: SubtaskState, bytes: u64, keys: u64, directory: &Path) {
    let disk = disk_speed(directory);
    for (from, again) in [("the disk", true), ("memory", false)] {
        if again {
            forget(directory);
        }
        let reader = StateReader::new(files(), Some(directory.display().to_string()));
        let (begun, processor) = (Instant::now(), all_on_processor());
        let mut backend: KeyedBackend<u64> =
            KeyedBackend::new(0..GROUPS, GROUPS, BackendKind::HashMap, state.keyed.clone(), reader);
        let table: Table<u64, (), V> = backend.table(TableSpec::new("values")).unwrap();
        let (took, processor) = (begun.elapsed(), all_on_processor() - processor);
        assert_eq!(table.len() as u64, keys);
        let (files, memory) = (mib(bytes) / took.as_secs_f64(), mib(keys * V::BYTES) / took.as_secs_f64());
        println!(
            "restored from {from} in {took:?}, {processor:?} of processor time: {files:.0} MiB/s of files, {memory:.0} MiB/s of memory, {:.2} of the {disk:.0} \
             MiB/s that the disk reads",
            files / disk
        );
    }
}

fn measure<V: Kept>(memory: u64) {
    let keys = (memory << 20) / V::BYTES;
    let mut backend = KeyedBackend::in_memory(GROUPS);
    let mut table = backend.table::<(), V>(TableSpec::new("values")).unwrap();
    (0..keys).for_each(|key| change(&backend, &mut table, key));
    println!("\n{memory} MiB: {keys} keys with {}", V::NAME);
    let second = Instant::now();
    let (quiet, updates) = update_until(&backend, &mut table, keys, || second.elapsed().as_secs() >= 2);
    tell("quiet", &quiet, updates);
    // Not /tmp, which may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (state, bytes) = snapshot(&backend, &mut table, keys, directory.path());
    drop(table);
    restore::<V>(state, bytes, keys, directory.path());
}

fn main() {
    let wanted = std::env::args().filter_map(|argument| argument.parse::<u64>().ok()).next();
    let memory = wanted.unwrap_or(1024);
    measure::<Numbers>(memory);
    measure::<Texts>(memory);
}
