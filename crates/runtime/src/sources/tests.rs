//! Split sources are stopped anywhere, dealt out to another number of subtasks, and give every record exactly once.

use super::*;
use crate::element::{Barrier, Batch, Data};
use crate::error::TaskResult;
use crate::operator::Output;
use crate::sinks::{Sink, stage};
use crate::snapshot::OperatorSnapshot;
use crate::task::{Poll, Source, TaskContext, lock};
use crate::testing;
use crate::time::Clock;
use kvick_core::checkpoint::{
    BarrierAlignment, NamedState, Piece, Redistribution, SnapshotKind, SnapshotTarget, SubtaskState,
    TaskRestore,
};
use kvick_core::time::Millis;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Keep<T>(Arc<Mutex<Vec<T>>>);

impl<T: Data> Sink<T> for Keep<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        lock(&self.0).append(&mut batch.records);
        Ok(())
    }
}

/// A subtask of a source.
struct Subtask<S: SplitSource> {
    source: Splits<S>,
    out: Output<S::Out>,
    kept: Arc<Mutex<Vec<S::Out>>>,
    context: TaskContext,
}

impl<S: SplitSource> Subtask<S>
where
    S::Out: Data,
{
    fn open(source: S, states: &[SubtaskState], subtask: u32, parallelism: u32) -> TaskResult<Self> {
        let mut context = testing::context(subtask, parallelism, Clock::system());
        if !states.is_empty() {
            let own = deal(states, subtask as usize, parallelism as usize);
            let operators = BTreeMap::from([(context.operator.id, own)]);
            let restore = TaskRestore {
                checkpoint: 1,
                directory: None,
                finished: false,
                operators,
                in_flight: Vec::new(),
            };
            context.restore = Some(Arc::new(restore));
        }
        let kept: Arc<Mutex<Vec<S::Out>>> = Arc::default();
        let (mut source, out) = (Splits::of(source), Output::new(stage(Keep(Arc::clone(&kept)))));
        source.open(&mut context)?;
        Ok(Subtask { source, out, kept, context })
    }

    fn poll(&mut self) -> TaskResult<Poll> {
        let polled = self.source.poll(&mut self.out)?;
        self.out.flush()?;
        Ok(polled)
    }

    fn read_to_end(&mut self) {
        while let polled = self.poll().unwrap()
            && polled != Poll::End
        {
            if let Poll::Wait(span) = polled {
                std::thread::sleep(span);
            }
        }
    }

    fn snapshot(&mut self) -> SubtaskState {
        let barrier = Barrier {
            id: 1,
            timestamp: Millis(0),
            kind: SnapshotKind::Checkpoint,
            base: None,
            alignment: BarrierAlignment::Aligned,
            target: SnapshotTarget::Inline { max_bytes: u64::MAX },
        };
        let mut snapshot = OperatorSnapshot::new(Arc::new(barrier), self.context.operator.clone());
        self.source.snapshot(&mut snapshot).unwrap();
        testing::write(snapshot, &self.context).unwrap()
    }

    fn records(&self) -> Vec<S::Out> {
        lock(&self.kept).clone()
    }
}

/// As the coordinator deals out list state: evenly, element by element.
fn deal(states: &[SubtaskState], subtask: usize, parallelism: usize) -> SubtaskState {
    let mut own = SubtaskState::default();
    let names: BTreeSet<&String> = states.iter().flat_map(|s| &s.operator).map(|named| &named.name).collect();
    for name in names {
        let parts: Vec<&NamedState> =
            states.iter().flat_map(|s| &s.operator).filter(|named| named.name == *name).collect();
        match parts[0].redistribution {
            Redistribution::Union => own.operator.extend(parts.into_iter().cloned()),
            Redistribution::Broadcast => own.operator.push(parts[0].clone()),
            Redistribution::Split => {
                let all: Vec<(&NamedState, Piece)> = parts
                    .iter()
                    .flat_map(|part| part.elements.iter().map(move |piece| (*part, *piece)))
                    .collect();
                let cut = |i: usize| all.len() * i / parallelism;
                for (part, piece) in &all[cut(subtask)..cut(subtask + 1)] {
                    own.operator.push(NamedState { elements: vec![*piece], ..(*part).clone() });
                }
            }
        }
    }
    own
}

/// Reads with one number of subtasks, stops each somewhere, and reads the rest with another number.
fn stopped_and_dealt_out<S>(source: &S, before: u32, stops: &[usize], after: u32) -> Vec<S::Out>
where
    S: SplitSource + Clone,
    S::Out: Data + Ord,
{
    let (mut records, mut states) = (Vec::new(), Vec::new());
    for index in 0..before {
        let mut subtask = Subtask::open(source.clone(), &[], index, before).unwrap();
        for _ in 0..stops[index as usize % stops.len()] {
            subtask.poll().unwrap();
        }
        records.extend(subtask.records());
        states.push(subtask.snapshot());
        // What is read after the snapshot belongs to the attempt that is lost.
        subtask.poll().unwrap();
    }
    for index in 0..after {
        let mut subtask = Subtask::open(source.clone(), &states, index, after).unwrap();
        subtask.read_to_end();
        records.extend(subtask.records());
    }
    records.sort_unstable();
    records
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Row {
    id: u64,
    note: String,
}

fn rows(files: usize, each: u64) -> Vec<Vec<Row>> {
    let note =
        |id: u64| ["plain", "with, comma", "two\nlines", "\"quoted\"", ""][id as usize % 5].to_string();
    let row = |id| Row { id, note: note(id) };
    (0..files as u64).map(|file| (file * each..(file + 1) * each).map(row).collect()).collect()
}

fn write(directory: &Path, name: &str, content: &[u8]) {
    std::fs::write(directory.join(name), content).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(12)))]

    #[test]
    fn every_format_gives_every_record_once_at_any_change_of_parallelism(
        before in 1_u32..5,
        after in 1_u32..6,
        stops in proptest::collection::vec(0_usize..9, 1..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let all = rows(7, 700);
        for (index, rows) in all.iter().enumerate() {
            let mut csv = csv::Writer::from_path(dir.path().join(format!("{index}.csv"))).unwrap();
            rows.iter().for_each(|row| csv.serialize(row).unwrap());
            csv.flush().unwrap();
        }
        let expected: Vec<Row> = all.concat();
        let csv = FileSource::new(CsvFormat::<Row>::default().with_header(), path);
        prop_assert_eq!(&stopped_and_dealt_out(&csv, before, &stops, after), &expected);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        for (index, rows) in all.iter().enumerate() {
            let lines: Vec<String> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
            write(dir.path(), &format!("{index}.json"), lines.join("\n").as_bytes());
        }
        let json = FileSource::new(Lines(JsonLines::<Row>::default()), path);
        prop_assert_eq!(&stopped_and_dealt_out(&json, before, &stops, after), &expected);
    }

    #[test]
    fn ranges_of_one_large_file_and_of_numbers_are_dealt_out(
        before in 1_u32..5,
        after in 1_u32..6,
        stops in proptest::collection::vec(0_usize..40, 1..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (100_000..160_000).map(|n| format!("{n} {}", "x".repeat(n % 97))).collect();
        write(dir.path(), "large", lines.join("\n").as_bytes());
        let text = FileSource::new(Lines(TextLines), dir.path().to_str().unwrap());
        prop_assert_eq!(stopped_and_dealt_out(&text, before, &stops, after), lines);

        let numbers = stopped_and_dealt_out(&SequenceSource::new(-7, 30_000), before, &stops, after);
        prop_assert_eq!(numbers, (-7..=30_000).collect::<Vec<i64>>());
        let generated = DataGeneratorSource::new(|n| n * 2, 30_000);
        let evens = stopped_and_dealt_out(&generated, before, &stops, after);
        prop_assert_eq!(evens, (0..30_000).map(|n| n * 2).collect::<Vec<u64>>());
        let records = Arc::new((0..5000).collect::<Vec<u32>>());
        let collected = stopped_and_dealt_out(&CollectionSource::new(Arc::clone(&records)), 1, &stops, after);
        prop_assert_eq!(&collected, &*records);
    }
}

#[test]
fn a_source_that_was_read_to_its_end_gives_nothing_again() {
    let source = SequenceSource::new(1, 1000);
    let mut first = Subtask::open(source.clone(), &[], 0, 1).unwrap();
    first.read_to_end();
    let states = [first.snapshot()];
    let mut again = Subtask::open(source, &states, 0, 1).unwrap();
    again.read_to_end();
    assert!(again.records().is_empty());
}

#[test]
fn a_watched_directory_gives_each_file_once_also_at_another_parallelism() {
    let dir = tempfile::tempdir().unwrap();
    let watched = dir.path().join("in");
    let source = FileSource::new(Lines(TextLines), watched.to_str().unwrap())
        .monitor_continuously(Duration::from_millis(1));
    let poll_all = |subtasks: &mut Vec<Subtask<FileSource<Lines<TextLines>>>>, wanted: usize| {
        let count = |all: &[Subtask<_>]| all.iter().map(|one| one.records().len()).sum::<usize>();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while count(subtasks) < wanted {
            assert!(std::time::Instant::now() < deadline, "{} of {wanted}", count(subtasks));
            subtasks.iter_mut().for_each(|one| assert_ne!(one.poll().unwrap(), Poll::End));
        }
    };
    let open = |states: &[SubtaskState], parallelism| -> Vec<_> {
        (0..parallelism).map(|i| Subtask::open(source.clone(), states, i, parallelism).unwrap()).collect()
    };
    let mut subtasks = open(&[], 2);
    // The directory is not there yet, and that is no error.
    assert!(subtasks.iter_mut().all(|one| matches!(one.poll().unwrap(), Poll::Wait(_))));
    std::fs::create_dir(&watched).unwrap();
    let add = |names: std::ops::Range<u32>| {
        names.for_each(|n| write(&watched, &format!("f{n:02}"), format!("{n}\n").as_bytes()))
    };
    add(0..10);
    poll_all(&mut subtasks, 10);
    let mut seen: Vec<String> = subtasks.iter().flat_map(Subtask::records).collect();
    let states: Vec<SubtaskState> = subtasks.iter_mut().map(Subtask::snapshot).collect();
    let mut more = open(&states, 3);
    add(10..20);
    poll_all(&mut more, 10);
    // Once more over everything: nothing comes again.
    std::thread::sleep(Duration::from_millis(3));
    more.iter_mut().for_each(|one| assert_ne!(one.poll().unwrap(), Poll::End));
    seen.extend(more.iter().flat_map(Subtask::records));
    seen.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(seen, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_record_that_cannot_be_read_is_named_or_passed_over_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.csv", b"id,note\n1,one\nx,two\n3,three,3\n4,four\n");
    write(dir.path(), "_hidden", b"no csv at all");
    let path = dir.path().to_str().unwrap();
    let format = CsvFormat::<Row>::default().with_header();
    let mut strict = Subtask::open(FileSource::new(format.clone(), path), &[], 0, 1).unwrap();
    let error = strict.poll().unwrap_err().to_string();
    assert!(
        error.contains("a.csv") && error.contains("byte 14") && error.contains("invalid digit"),
        "{error}"
    );
    let mut lenient = Subtask::open(FileSource::new(format.ignore_parse_errors(), path), &[], 0, 1).unwrap();
    lenient.read_to_end();
    let ids: Vec<u64> = lenient.records().iter().map(|row| row.id).collect();
    assert_eq!(ids, [1, 4]);

    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.json", b"{\"id\":1,\"note\":\"\"}\n\n{\"id\":2}\n{\"id\":3,\"note\":\"\"}");
    let path = dir.path().to_str().unwrap();
    let strict = FileSource::new(Lines(JsonLines::<Row>::default()), path);
    let error = Subtask::open(strict, &[], 0, 1).unwrap().poll().unwrap_err().to_string();
    assert!(error.contains("a.json") && error.contains("byte 20") && error.contains("note"), "{error}");
    let lenient = FileSource::new(Lines(JsonLines::<Row>::default().ignore_parse_errors()), path);
    let mut lenient = Subtask::open(lenient, &[], 0, 1).unwrap();
    lenient.read_to_end();
    assert_eq!(lenient.records().len(), 2);
    let missing = FileSource::new(Lines(TextLines), "/there/is/no/such/file");
    let error = Subtask::open(missing, &[], 0, 1).err().unwrap().to_string();
    assert!(error.contains("/there/is/no/such/file"), "{error}");
}

#[test]
fn delimiters_quotes_and_comments_are_as_told_and_tuples_need_no_header() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", b"# numbers\n1;'a;b'\n2;c\n");
    let format = CsvFormat::<(u8, String)>::default().delimiter(b';').quote(b'\'').comment(b'#');
    let mut subtask =
        Subtask::open(FileSource::new(format, dir.path().to_str().unwrap()), &[], 0, 1).unwrap();
    subtask.read_to_end();
    assert_eq!(subtask.records(), [(1, "a;b".to_string()), (2, "c".to_string())]);
}

#[test]
fn ranges_of_a_generator_begin_at_whole_blocks() {
    let source = DataGeneratorSource::new(|n| n, 1000).in_blocks_of(300);
    let mut second = Subtask::open(source, &[], 1, 2).unwrap();
    while second.poll().unwrap() != Poll::End {}
    let kept = lock(&second.kept);
    assert_eq!((kept.first(), kept.len()), (Some(&300), 700));
}

#[test]
fn a_rate_limited_generator_takes_its_time() {
    let source = DataGeneratorSource::new(|n| n, 30).rate_limited(1000.0);
    let begun = std::time::Instant::now();
    let mut subtask = Subtask::open(source, &[], 0, 1).unwrap();
    subtask.read_to_end();
    assert_eq!(subtask.records(), (0..30).collect::<Vec<u64>>());
    assert!(begun.elapsed() >= Duration::from_millis(28), "{:?}", begun.elapsed());
    let never = DataGeneratorSource::new(|n| n, 30).rate_limited(0.0);
    assert!(Subtask::open(never, &[], 0, 1).err().unwrap().to_string().contains("rate"));
}

#[test]
fn a_subtask_with_several_ranges_of_a_generator_makes_no_more_than_its_share() {
    let source = DataGeneratorSource::new(|n| n, 40).rate_limited(1000.0);
    let mut before: Vec<_> =
        (0..4).map(|index| Subtask::open(source.clone(), &[], index, 4).unwrap()).collect();
    let states: Vec<SubtaskState> = before.iter_mut().map(Subtask::snapshot).collect();
    let begun = std::time::Instant::now();
    let mut alone = Subtask::open(source, &states, 0, 1).unwrap();
    alone.read_to_end();
    assert!(begun.elapsed() >= Duration::from_millis(38), "{:?}", begun.elapsed());
    assert_eq!(alone.records().into_iter().collect::<BTreeSet<_>>(), (0..40).collect());
}
