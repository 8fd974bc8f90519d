//! Window operators against a naive model, on random streams out of order: which windows fire, when, with what, and which
//! records are late. The model keeps every record in every window that it belongs to, as one would on paper.

#![allow(clippy::unwrap_used)]

mod clock;
mod partial;
mod triggers;

use kvick_core::checkpoint::SubtaskState;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::{Operator, Output};
use kvick_runtime::operators::Reduce;
use kvick_runtime::operators::window::*;
use kvick_runtime::side::OutputTag;
use kvick_runtime::testing::{Emitted, Harness};
use kvick_runtime::timers::TimeDomain;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// A record: its key, and a number that is like no other's.
type Record = (u8, u64);
/// Key, window, and the numbers in it.
type Fired = (u8, i64, i64, Vec<u64>);

#[derive(Debug, Clone)]
enum Step {
    Record(u8, i64),
    Watermark(i64),
    /// The state goes through a snapshot, into so many subtasks.
    Restore,
}

/// Mostly increasing times with much disorder, and watermarks that make some records late.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u8..4, -30_i64..30).prop_map(|(key, shift)| Step::Record(key, shift)),
        2 => (-25_i64..5).prop_map(Step::Watermark),
        1 => Just(Step::Restore),
    ];
    let steps = proptest::collection::vec((step, 0_i64..6), 1..120);
    steps.prop_map(|steps| {
        let (mut at, mut reached) = (0, i64::MIN);
        let mut all = Vec::new();
        for (step, pause) in steps {
            at += pause;
            match step {
                Step::Record(key, shift) => all.push(Step::Record(key, at + shift)),
                Step::Watermark(shift) if at + shift > reached => {
                    reached = at + shift;
                    all.push(Step::Watermark(reached));
                }
                Step::Watermark(_) => {}
                Step::Restore => all.push(Step::Restore),
            }
        }
        all
    })
}

/// What a model says: what fires at each step, and which numbers are late.
#[derive(Debug, Default, PartialEq)]
struct Told {
    fired: Vec<Vec<Fired>>,
    late: Vec<u64>,
}

/// Fixed windows: every record in each of its windows, by itself.
struct Fixed {
    size: i64,
    slide: i64,
    offset: i64,
    lateness: i64,
}

impl Fixed {
    fn windows(&self, at: i64) -> Vec<(i64, i64)> {
        let aligned = |start: &i64| (start - self.offset).rem_euclid(self.slide) == 0;
        (at - self.size + 1..=at).filter(aligned).map(|start| (start, start + self.size)).collect()
    }

    fn tell(&self, steps: &[Step]) -> Told {
        let (mut panes, mut told) = (BTreeMap::<(i64, i64, u8), Vec<u64>>::new(), Told::default());
        let (mut watermark, mut number) = (i64::MIN, 0);
        for step in steps.iter().chain(&[Step::Watermark(i64::MAX)]) {
            let mut fired = Vec::new();
            match step {
                Step::Record(key, at) => {
                    let over = |end: i64| (end - 1).saturating_add(self.lateness) <= watermark;
                    let windows = self.windows(*at);
                    for (start, end) in windows.iter().filter(|(_, end)| !over(*end)) {
                        let pane = panes.entry((*end, *start, *key)).or_default();
                        pane.push(number);
                        if end - 1 <= watermark {
                            fired.push((*key, *start, *end, pane.clone()));
                        }
                    }
                    if windows.iter().all(|(_, end)| over(*end))
                        && at.saturating_add(self.lateness) <= watermark
                    {
                        told.late.push(number);
                    }
                    number += 1;
                }
                Step::Watermark(to) => {
                    for ((end, start, key), pane) in &panes {
                        if end - 1 > watermark && end - 1 <= *to {
                            fired.push((*key, *start, *end, pane.clone()));
                        }
                    }
                    watermark = *to;
                    panes.retain(|(end, _, _), _| (end - 1).saturating_add(self.lateness) > watermark);
                }
                Step::Restore => {}
            }
            told.fired.push(fired);
        }
        told
    }
}

/// Sessions: all records of a key in a list of sets that are joined when they touch.
struct Gaps {
    gap: fn(u8) -> i64,
    lateness: i64,
}

impl Gaps {
    fn tell(&self, steps: &[Step]) -> Told {
        let (mut sessions, mut told) = (Vec::<(u8, i64, i64, Vec<u64>)>::new(), Told::default());
        let (mut watermark, mut number) = (i64::MIN, 0);
        for step in steps.iter().chain(&[Step::Watermark(i64::MAX)]) {
            let mut fired = Vec::new();
            match step {
                Step::Record(key, at) => {
                    let (mut start, mut end) = (*at, at + (self.gap)(*key));
                    let touches = |s: &(u8, i64, i64, Vec<u64>)| s.0 == *key && s.1 <= end && s.2 >= start;
                    let (joined, others): (Vec<_>, Vec<_>) = sessions.drain(..).partition(touches);
                    sessions = others;
                    let mut all = vec![number];
                    for (_, from, to, numbers) in &joined {
                        (start, end) = (start.min(*from), end.max(*to));
                        all.extend(numbers);
                    }
                    if (end - 1).saturating_add(self.lateness) <= watermark {
                        told.late.push(number);
                        sessions.extend(joined);
                    } else {
                        if end - 1 <= watermark {
                            fired.push((*key, start, end, all.clone()));
                        }
                        sessions.push((*key, start, end, all));
                    }
                    number += 1;
                }
                Step::Watermark(to) => {
                    let due = sessions.iter().filter(|s| s.2 - 1 > watermark && s.2 - 1 <= *to);
                    fired.extend(due.cloned());
                    watermark = *to;
                    sessions.retain(|s| (s.2 - 1).saturating_add(self.lateness) > watermark);
                }
                Step::Restore => {}
            }
            told.fired.push(fired);
        }
        told
    }
}

/// Order within a step says nothing.
fn in_order(mut told: Told) -> Told {
    for fired in &mut told.fired {
        fired.iter_mut().for_each(|window| window.3.sort_unstable());
        fired.sort();
    }
    told.late.sort_unstable();
    told
}

type Subtask = Harness<Record, Fired>;

/// What the operator says of the same steps. State is restored into one, then two, then three subtasks, and so on.
fn observe<Op>(make: impl Fn() -> Op, steps: &[Step]) -> Told
where
    Op: Operator<In = Record, Out = Fired>,
{
    observe_with(make, steps, Harness::take_records)
}

/// The same of windows that fire at their end, which all do in order.
fn observe_ends<Op>(make: impl Fn() -> Op, steps: &[Step]) -> Told
where
    Op: Operator<In = Record, Out = Fired>,
{
    observe_with(make, steps, by_end)
}

/// The same, with a way to take what fired at a watermark.
fn observe_with<Op>(make: impl Fn() -> Op, steps: &[Step], at_once: fn(&mut Subtask) -> Vec<Fired>) -> Told
where
    Op: Operator<In = Record, Out = Fired>,
{
    let late: OutputTag<Record> = OutputTag::new("late");
    let (first, side) = Harness::with_side_output(make(), &late).unwrap();
    let (mut subtasks, mut sides): (Vec<Subtask>, _) = (vec![first], vec![side]);
    let (mut told, mut number, mut watermark) = (Told::default(), 0, None);
    for step in steps {
        match step {
            Step::Record(key, at) => {
                let owner = owner(*key, subtasks.len());
                subtasks[owner].process((*key, number), *at).unwrap();
                number += 1;
            }
            Step::Watermark(to) => {
                watermark = Some(*to);
                subtasks.iter_mut().for_each(|subtask| subtask.watermark(*to).unwrap());
            }
            Step::Restore => {
                let states: Vec<SubtaskState> =
                    subtasks.iter_mut().map(|subtask| subtask.snapshot().unwrap()).collect();
                let count = subtasks.len() % 3 + 1;
                subtasks.clear();
                for index in 0..count {
                    let (mut subtask, side) = Harness::restored_with_side_output(
                        make(),
                        &late,
                        &states,
                        index as u32,
                        count as u32,
                    )
                    .unwrap();
                    // What fired before must not fire again when the last watermark comes once more.
                    watermark.iter().for_each(|to| subtask.watermark(*to).unwrap());
                    subtasks.push(subtask);
                    sides.push(side);
                }
            }
        }
        let take = if matches!(step, Step::Watermark(_)) { at_once } else { Harness::take_records };
        told.fired.push(subtasks.iter_mut().flat_map(take).collect());
    }
    subtasks.iter_mut().for_each(|subtask| subtask.end().unwrap());
    told.fired.push(subtasks.iter_mut().flat_map(at_once).collect());
    for side in sides {
        for emitted in side.lock().unwrap().drain(..) {
            if let Emitted::Record(record, _) = emitted {
                told.late.push(record.1);
            }
        }
    }
    told
}

/// What a subtask has fired at one watermark: in the order of the windows' ends, as timers are in Flink.
fn by_end(subtask: &mut Subtask) -> Vec<Fired> {
    let fired = subtask.take_records();
    let ends: Vec<i64> = fired.iter().map(|window| window.2).collect();
    assert!(ends.is_sorted(), "windows fired in the order {ends:?}");
    fired
}

/// The subtask that owns a key, as an exchange would have it.
fn owner(key: u8, parallelism: usize) -> usize {
    use kvick_runtime::testing::MAX_PARALLELISM;
    let group = kvick_runtime::key_group::key_group(kvick_runtime::hash::stable_hash(&key), MAX_PARALLELISM);
    kvick_runtime::key_group::owner(group, parallelism as u32, MAX_PARALLELISM) as usize
}

fn settings(lateness: i64) -> WindowSettings<Record> {
    let late_output = Some(OutputTag::new("late"));
    WindowSettings { allowed_lateness: lateness, late_output, batch: false }
}

fn key(record: &Record) -> u8 {
    record.0
}

fn list(key: &u8, window: &TimeWindow, records: &[Record], out: &mut Output<Fired>) {
    out.push((*key, window.start, window.end, records.iter().map(|record| record.1).collect()));
}

/// Gathers numbers: an incremental function from which the records can be told.
#[derive(Clone)]
struct Gather;

impl AggregateFunction<Record> for Gather {
    type Accumulator = Vec<u64>;
    type Output = Vec<u64>;

    fn create_accumulator(&mut self) -> Vec<u64> {
        Vec::new()
    }

    fn add(&mut self, value: Record, all: &mut Vec<u64>) {
        all.push(value.1);
    }

    fn get_result(&mut self, all: &Vec<u64>) -> Vec<u64> {
        all.clone()
    }

    fn merge(&mut self, all: &mut Vec<u64>, other: Vec<u64>) {
        all.extend(other);
    }
}

type Gathered =
    ApplyEach<ResultOf<Record, Gather>, fn(&u8, &TimeWindow, Vec<u64>, &mut Output<Fired>), Fired>;

fn gathered() -> Gathered {
    ApplyEach::new(ResultOf::new(Gather), |key, window, all, out| {
        out.push((*key, window.start, window.end, all));
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(192)))]

    #[test]
    fn tumbling_and_sliding_windows_are_those_of_the_model(
        steps in steps(), size in 1_i64..25, slide in 1_i64..25, offset in 0_i64..8, lateness in 0_i64..20,
    ) {
        let model = in_order(Fixed { size, slide, offset, lateness }.tell(&steps));
        let panes = Panes { size, slide, offset };
        let shared = || {
            let settings = settings(lateness);
            SliceOperator::<Record, u8, _, TimeWindow, _, _>::new(
                key, Aggregated(Gather), gathered(), panes, TimeDomain::EventTime, settings,
            )
        };
        prop_assert_eq!(&in_order(observe_ends(shared, &steps)), &model);
        let span = |millis: i64| Duration::from_millis(millis as u64);
        let assigner = SlidingEventTimeWindows::with_offset(span(size), span(slide), span(offset));
        let apart = || {
            let trigger = EventTimeTrigger::create();
            WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(lateness))
        };
        prop_assert_eq!(&in_order(observe_ends(apart, &steps)), &model);
    }

    #[test]
    fn session_windows_are_those_of_the_model(
        steps in steps(), gap in 1_u64..15, lateness in 0_i64..20, dynamic in any::<bool>(),
    ) {
        let spans: fn(u8) -> i64 = |key| 3 + 4 * i64::from(key);
        if dynamic {
            let model = in_order(Gaps { gap: spans, lateness }.tell(&steps));
            let assigner = DynamicEventTimeSessionWindows::with_dynamic_gap(move |record: &Record| {
                Duration::from_millis(spans(record.0) as u64)
            });
            let together =
                || SessionOperator::new(key, assigner, Aggregated(Gather), gathered(), settings(lateness));
            prop_assert_eq!(&in_order(observe_ends(together, &steps)), &model);
            return Ok(());
        }
        let model = in_order(sessions(gap, lateness).tell(&steps));
        let assigner = EventTimeSessionWindows::with_gap(Duration::from_millis(gap));
        let together = || SessionOperator::new(key, assigner, Aggregated(Gather), gathered(), settings(lateness));
        prop_assert_eq!(&in_order(observe_ends(together, &steps)), &model);
        let apart = || {
            let trigger = EventTimeTrigger::create();
            WindowOperator::new(key, assigner, trigger, Listed::new(), ApplyList::new(list), settings(lateness))
        };
        prop_assert_eq!(&in_order(observe_ends(apart, &steps)), &model);
    }

    #[test]
    fn count_windows_have_their_number_of_records(keys in proptest::collection::vec(0_u8..3, 0..80), count in 1_u64..7) {
        let mut windows = Vec::new();
        let mut open: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for (number, key) in keys.iter().enumerate() {
            let pane = open.entry(*key).or_default();
            pane.push(number as u64);
            if pane.len() as u64 == count {
                windows.push((*key, std::mem::take(pane)));
            }
        }
        let trigger = PurgingTrigger::of(CountTrigger::of(count));
        let all = |key: &u8, _: &GlobalWindow, records: &[Record], out: &mut Output<(u8, Vec<u64>)>| {
            out.push((*key, records.iter().map(|record| record.1).collect()));
        };
        let emit = ApplyList::new(all);
        let operator = WindowOperator::new(key, GlobalWindows, trigger, Listed::new(), emit, settings(0));
        let mut harness = Harness::open(operator).unwrap();
        for (number, key) in keys.iter().enumerate() {
            harness.process_unstamped((*key, number as u64)).unwrap();
        }
        harness.end().unwrap();
        prop_assert_eq!(harness.take_records(), windows);
    }
}

fn sessions(gap: u64, lateness: i64) -> Gaps {
    // A function pointer cannot hold the gap.
    let gaps: [fn(u8) -> i64; 15] = [
        |_| 0,
        |_| 1,
        |_| 2,
        |_| 3,
        |_| 4,
        |_| 5,
        |_| 6,
        |_| 7,
        |_| 8,
        |_| 9,
        |_| 10,
        |_| 11,
        |_| 12,
        |_| 13,
        |_| 14,
    ];
    Gaps { gap: gaps[gap as usize], lateness }
}

#[test]
fn windows_of_processing_time_fire_when_their_last_millisecond_is_over() -> TaskResult {
    let panes = Panes { size: 10, slide: 5, offset: 0 };
    let add = Reduced(Reduce(|a: Record, b: Record| (a.0, a.1 + b.1)));
    let domain = TimeDomain::ProcessingTime;
    let operator = SliceOperator::<Record, u8, _, TimeWindow, _, _>::new(
        key,
        add,
        EmitResult(Itself),
        panes,
        domain,
        settings(0),
    );
    let mut harness = Harness::open(operator)?;
    harness.set_processing_time(7)?;
    harness.process_unstamped((1, 10))?;
    harness.set_processing_time(9)?;
    harness.process_unstamped((1, 5))?;
    assert_eq!(harness.take(), []);
    harness.set_processing_time(10)?;
    assert_eq!(harness.take(), [Emitted::Record((1, 15), Some(9))]);
    harness.process_unstamped((1, 1))?;
    harness.set_processing_time(40)?;
    assert_eq!(harness.take(), [Emitted::Record((1, 16), Some(14)), Emitted::Record((1, 1), Some(19))]);
    Ok(())
}

#[test]
fn continuous_triggers_fire_in_between_and_at_the_end_of_a_window() -> TaskResult {
    let assigner = TumblingEventTimeWindows::of(Duration::from_millis(100));
    let trigger = ContinuousEventTimeTrigger::of(Duration::from_millis(30));
    let add = Reduced(Reduce(|a: Record, b: Record| (a.0, a.1 + b.1)));
    let operator = WindowOperator::new(key, assigner, trigger, add, EmitResult(Itself), settings(0));
    let mut harness = Harness::open(operator)?;
    harness.process((1, 1), 5)?;
    harness.watermark(30)?;
    harness.process((1, 10), 40)?;
    harness.watermark(59)?;
    assert_eq!(harness.take_records(), [(1, 1)]);
    harness.watermark(99)?;
    assert_eq!(harness.take_records(), [(1, 11), (1, 11), (1, 11)]);
    harness.end()?;
    assert_eq!(harness.take_records(), []);
    Ok(())
}

#[test]
fn an_event_time_window_refuses_records_without_timestamps_in_words() {
    let panes = Panes { size: 10, slide: 10, offset: 0 };
    let operator = SliceOperator::<Record, u8, _, TimeWindow, _, _>::new(
        key,
        Listed::new(),
        ApplyList::new(list),
        panes,
        TimeDomain::EventTime,
        settings(0),
    );
    let error = Harness::open(operator).unwrap().process_unstamped((1, 1)).unwrap_err().to_string();
    assert!(error.contains("assign_timestamps_and_watermarks"), "{error}");
}
