//! Connected and joined streams in whole jobs, against what a nested loop finds.

#![allow(clippy::unwrap_used)]

mod gate;

use gate::Gate;
use kvick::prelude::*;
use kvick::window::*;
use kvick::{
    Batch, BroadcastContext, BroadcastProcessFunction, BroadcastState, KeyedBroadcastContext,
    KeyedBroadcastProcessFunction, Operator, TaskResult,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn environment(parallelism: u32, mode: RuntimeMode) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism).set_runtime_mode(mode);
    env
}

const MODES: [RuntimeMode; 2] = [RuntimeMode::Streaming, RuntimeMode::Batch];

/// Key, time.
type Event = (u32, i64);

fn events(step: i64, keys: i64) -> Vec<Event> {
    (0..200).map(|n| ((n % keys) as u32, n * step)).collect()
}

fn stream(env: &StreamExecutionEnvironment, events: &[Event]) -> DataStream<Event> {
    env.from_collection(events.to_vec()).assign_ascending_timestamps(|event| event.1)
}

fn pairs(first: &[Event], second: &[Event], belong: impl Fn(&Event, &Event) -> bool) -> Vec<(Event, Event)> {
    let all = first.iter().flat_map(|a| second.iter().map(move |b| (*a, *b)));
    let mut found: Vec<_> = all.filter(|(a, b)| a.0 == b.0 && belong(a, b)).collect();
    found.sort_unstable();
    found
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

#[test]
fn window_joins_interval_joins_and_co_groups_find_what_a_nested_loop_finds() {
    let (first, second) = (events(7, 3), events(11, 5));
    let window = Duration::from_millis(100);
    for mode in MODES {
        let env = environment(2, mode);
        let joined = stream(&env, &first)
            .join(&stream(&env, &second))
            .where_(|event| event.0)
            .equal_to(|event| event.0)
            .window(TumblingEventTimeWindows::of(window))
            .apply(|a, b, out| out.push((*a, *b)));
        let expected = pairs(&first, &second, |a, b| a.1 / 100 == b.1 / 100);
        assert_eq!(sorted(joined.execute_and_collect("join").unwrap()), expected);

        let env = environment(2, mode);
        let joined = stream(&env, &first)
            .key_by(|event| event.0)
            .interval_join(&stream(&env, &second).key_by(|event| event.0))
            .between(-20, 50)
            .upper_bound_exclusive()
            .process(|a, b, out| out.push((*a, *b)));
        let expected = pairs(&first, &second, |a, b| (-20..50).contains(&(b.1 - a.1)));
        assert_eq!(sorted(joined.execute_and_collect("interval").unwrap()), expected);

        // Times of both sides are often equal where keys are not: without the bound there are fewer pairs.
        let env = environment(2, mode);
        let joined = stream(&env, &first)
            .key_by(|event| event.0)
            .interval_join(&stream(&env, &second).key_by(|event| event.0))
            .between(0, 77)
            .lower_bound_exclusive()
            .process_with(|a, b, context, out| {
                assert_eq!(context.timestamp(), a.1.max(b.1));
                out.push(((a.0, context.left_timestamp()), (b.0, context.right_timestamp())));
            });
        let with_bound = pairs(&first, &second, |a, b| (0..=77).contains(&(b.1 - a.1)));
        let expected = pairs(&first, &second, |a, b| (1..=77).contains(&(b.1 - a.1)));
        assert!(expected.len() < with_bound.len());
        assert_eq!(sorted(joined.execute_and_collect("exclusive").unwrap()), expected);

        let env = environment(2, mode);
        let counts = stream(&env, &first)
            .co_group(&stream(&env, &second))
            .where_(|event| event.0)
            .equal_to(|event| event.0)
            .window(TumblingEventTimeWindows::of(Duration::from_secs(3600)))
            .apply(|first, second, out| out.push((first.len(), second.len())));
        let expected = vec![(0, 40), (0, 40), (66, 40), (67, 40), (67, 40)];
        assert_eq!(sorted(counts.execute_and_collect("groups").unwrap()), expected);
    }
}

/// Opens a gate when the watermark has come so far.
struct Opens(Gate, i64);

impl Operator for Opens {
    type In = (i64, i64);
    type Out = (i64, i64);

    fn process(&mut self, batch: &mut Batch<(i64, i64)>, out: &mut Collector<(i64, i64)>) -> TaskResult {
        out.batch(batch)
    }

    fn watermark(&mut self, watermark: i64, out: &mut Collector<(i64, i64)>) -> TaskResult {
        if watermark >= self.1 {
            self.0.open();
        }
        out.event(kvick::Event::Watermark(watermark))
    }
}

#[test]
fn what_comes_too_late_for_an_interval_join_goes_to_the_side_output_of_its_stream() {
    const LEFT: OutputTag<Event> = OutputTag::named("late on the left");
    const RIGHT: OutputTag<Event> = OutputTag::named("late on the right");
    let (env, gate) = (environment(1, RuntimeMode::Streaming), Gate::default());
    let stream = |later| {
        let strategy = WatermarkStrategy::for_punctuated(|event: &Event, _| Some(event.1))
            .with_timestamp_assigner(|event: &Event| event.1);
        gate.source(&env, vec![(1, 100)], later).assign_timestamps_and_watermarks(strategy)
    };
    let (left, right) = (stream(vec![(1, 99), (1, 100)]), stream(vec![(1, 95)]));
    let pairs = left
        .key_by(|event| event.0)
        .interval_join(&right.key_by(|event| event.0))
        .between(-10, 10)
        .side_output_left_late_data(&LEFT)
        .side_output_right_late_data(&RIGHT)
        .process(|a, b, out| out.push((a.1, b.1)));
    let late = |tag: &OutputTag<Event>, side: i64| pairs.side_output(tag).map(move |event| (side, event.1));
    let (left, right) = (late(&LEFT, -1), late(&RIGHT, -2));
    let watched = pairs.transform("opens", move || Opens(gate.clone(), 100));
    let told = watched.union(&[&left, &right]).execute_and_collect("late").unwrap();
    assert_eq!(sorted(told), [(-2, 95), (-1, 99), (100, 100), (100, 100)]);
}

#[test]
#[should_panic(expected = "between(5, -5)")]
fn an_interval_whose_bounds_are_crossed_is_refused_where_it_is_named() {
    let env = environment(1, RuntimeMode::Streaming);
    let events = stream(&env, &[(1, 1)]).key_by(|event| event.0);
    let _ = events.interval_join(&events).between(5, -5);
}

#[test]
fn connected_streams_that_are_keyed_meet_by_their_keys() {
    for mode in MODES {
        let env = environment(3, mode);
        let thread = || format!("{:?}", std::thread::current().id());
        let numbers = env.from_sequence(0, 299).rebalance().key_by(|n| (*n % 30) as u32);
        let words = env.from_collection((0..90_u32).map(|n| format!("{}", n % 30)));
        let words = words.rebalance().key_by(|word| word.parse::<u32>().unwrap());
        let both = numbers.connect(&words);
        let ones = both.map(
            move |number| ((number % 30) as u32, true, thread()),
            move |word| (word.parse::<u32>().unwrap(), false, thread()),
        );
        let ones = ones.execute_and_collect("map").unwrap();
        assert_eq!((ones.len(), ones.iter().filter(|one| one.1).count()), (390, 300));
        let mut subtasks = BTreeMap::<u32, BTreeSet<String>>::new();
        for (key, _, thread) in ones {
            subtasks.entry(key).or_default().insert(thread);
        }
        assert!(subtasks.len() == 30 && subtasks.values().all(|threads| threads.len() == 1), "{subtasks:?}");
        assert_eq!(subtasks.values().flatten().collect::<BTreeSet<_>>().len(), 3);

        let env = environment(2, mode);
        let numbers = env.from_collection([3_u32, 0, 1]).key_by(|n| *n);
        let words = env.from_collection(["a".to_string(), "bc".to_string()]).key_by(|word| word.len() as u32);
        let many = numbers.connect(&words).flat_map(
            |n, out| (0..n).for_each(|i| out.push(i)),
            |word, out| word.chars().for_each(|c| out.push(c as u32)),
        );
        assert_eq!(sorted(many.execute_and_collect("flat map").unwrap()), [0, 0, 1, 2, 97, 98, 99]);
    }
}

#[test]
fn connected_streams_meet_in_one_operator() {
    let env = environment(2, RuntimeMode::Streaming);
    let numbers = env.from_sequence(1, 5).map(|n| n * 10).rebalance();
    let words = env.from_collection(["a".to_string(), "bcd".to_string()]);
    let all = numbers.connect(&words).map(|n| n, |word| word.len() as i64);
    assert_eq!(sorted(all.execute_and_collect("connect").unwrap()), [1, 3, 10, 20, 30, 40, 50]);
}

/// Counts by key what follows a broadcast start, up to a broadcast limit.
#[derive(Clone, Default)]
struct Limited {
    count: ValueState<u64>,
    waiting: ListState<u32>,
}

impl KeyedBroadcastProcessFunction<u32, u32, u64, (u32, u64), BroadcastState<String, u64>> for Limited {
    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        self.count = context.value_state(ValueStateDescriptor::new("count"))?;
        self.waiting = context.list_state(ListStateDescriptor::new("waiting"))?;
        Ok(())
    }

    fn process_element(
        &mut self,
        value: u32,
        context: &mut KeyedContext<'_, u32>,
        _: &BroadcastState<String, u64>,
        _: &mut Collector<(u32, u64)>,
    ) -> Result<(), BoxError> {
        self.waiting.add(context, value)?;
        context.timer_service().register_event_time_timer(i64::MAX - 1)?;
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        limit: u64,
        _: &mut KeyedBroadcastContext<'_, u32>,
        state: &mut BroadcastState<String, u64>,
        _: &mut Collector<(u32, u64)>,
    ) -> Result<(), BoxError> {
        state.put("limit".to_string(), limit);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        context: &mut KeyedContext<'_, u32>,
        state: &BroadcastState<String, u64>,
        out: &mut Collector<(u32, u64)>,
    ) -> Result<(), BoxError> {
        let limit = state.get(&"limit".to_string()).copied().ok_or("no limit")?;
        let count = (self.waiting.get(context)?.len() as u64).min(limit);
        self.count.update(context, count)?;
        out.push((*context.current_key(), count));
        Ok(())
    }
}

#[test]
fn broadcast_state_reaches_every_subtask() {
    let env = environment(3, RuntimeMode::Streaming);
    let limits =
        env.from_collection([100_u64, 7]).broadcast_state(&MapStateDescriptor::<String, u64>::new("limits"));
    let counts = env
        .from_sequence(0, 99)
        .map(|n| (n % 20) as u32)
        .key_by(|n| *n)
        .connect(&limits)
        .process(Limited::default());
    let expected: Vec<(u32, u64)> = (0..20).map(|key| (key, 5)).collect();
    assert_eq!(sorted(counts.execute_and_collect("broadcast").unwrap()), expected);
}

/// Limits by key, and what is told with each.
type Rules = (BroadcastState<u32, u64>, BroadcastState<String, String>);

/// Says of each number whether it is within the limit that was broadcast, in the words that were.
#[derive(Clone)]
struct Judge(Gate);

impl BroadcastProcessFunction<u64, (u32, u64, String), String, Rules> for Judge {
    fn process_element(
        &mut self,
        number: u64,
        context: &BroadcastContext<'_>,
        (limits, words): &Rules,
        out: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        assert_eq!((context.timestamp(), context.current_watermark()), (None, i64::MIN));
        let within = limits.get(&0).is_some_and(|limit| number <= *limit);
        out.push(words.get(&within.to_string()).cloned().ok_or("no word")?);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (key, limit, word): (u32, u64, String),
        _: &BroadcastContext<'_>,
        (limits, words): &mut Rules,
        _: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        limits.put(key, limit);
        words.put((key == 0).to_string(), word);
        if limits.entries().count() == 2 {
            self.0.open();
        }
        Ok(())
    }
}

#[test]
fn a_stream_fills_several_broadcast_states() {
    let (env, gate) = (environment(1, RuntimeMode::Streaming), Gate::default());
    let rules = env.from_collection([(0_u32, 5_u64, "within".to_string()), (1, 0, "beyond".to_string())]);
    let limits = MapStateDescriptor::new("limits");
    let words = MapStateDescriptor::new("words");
    let numbers = gate.source(&env, Vec::new(), vec![5_u64, 6]);
    let judged = numbers.connect(&rules.broadcast_state((&limits, &words))).process(Judge(gate));
    assert_eq!(judged.execute_and_collect("judged").unwrap(), ["within", "beyond"]);
}

#[test]
#[should_panic(expected = "two descriptors have the name")]
fn broadcast_states_of_one_name_are_refused() {
    let env = environment(1, RuntimeMode::Streaming);
    let first = MapStateDescriptor::<u32, u64>::new("limits");
    let second = MapStateDescriptor::<String, u64>::new("limits");
    let _ = env.from_collection([1_u64]).broadcast_state((&first, &second));
}
