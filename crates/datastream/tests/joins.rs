//! Connected and joined streams in whole jobs, against what a nested loop finds.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::window::*;
use kvick::{BroadcastState, KeyedBroadcastContext, KeyedBroadcastProcessFunction};
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
