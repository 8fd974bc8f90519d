//! Broadcast state, one and several, through snapshots; what functions see of time; changes to the state of all keys.

#![allow(clippy::unwrap_used)]

use kvick_runtime::error::{BoxError, TaskResult};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::{
    BroadcastContext, BroadcastDescriptors, BroadcastOperator, BroadcastProcessFunction, BroadcastState,
    Either, FunctionContext, KeyedBroadcastContext, KeyedBroadcastOperator, KeyedBroadcastProcessFunction,
    KeyedContext,
};
use kvick_runtime::state::{
    ListState, ListStateDescriptor, MapState, MapStateDescriptor, StateAccess, StateTtlConfig, ValueState,
    ValueStateDescriptor,
};
use kvick_runtime::testing::{Emitted, Harness};
use std::time::Duration;

/// Thresholds by kind, and when the last one of each came: event time, watermark, clock.
type Thresholds = (BroadcastState<u8, u32>, BroadcastState<u8, (Option<i64>, i64, i64)>);

/// Passes on numbers above the threshold of their kind, with when that came.
#[derive(Clone)]
struct Above;

impl BroadcastProcessFunction<(u8, u32), (u8, u32), (u32, (Option<i64>, i64, i64)), Thresholds> for Above {
    fn process_element(
        &mut self,
        value: (u8, u32),
        context: &BroadcastContext<'_>,
        (thresholds, times): &Thresholds,
        out: &mut Output<(u32, (Option<i64>, i64, i64))>,
    ) -> Result<(), BoxError> {
        assert_eq!(context.timestamp(), out.timestamp());
        if thresholds.get(&value.0).is_some_and(|threshold| value.1 > *threshold) {
            out.push((value.1, *times.get(&value.0).unwrap()));
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        value: (u8, u32),
        context: &BroadcastContext<'_>,
        (thresholds, times): &mut Thresholds,
        _: &mut Output<(u32, (Option<i64>, i64, i64))>,
    ) -> Result<(), BoxError> {
        thresholds.put(value.0, value.1);
        let (watermark, now) = (context.current_watermark(), context.current_processing_time());
        times.put(value.0, (context.timestamp(), watermark, now));
        Ok(())
    }
}

#[test]
fn every_subtask_gets_all_broadcast_states_back_and_functions_are_told_the_time() -> TaskResult {
    let (thresholds, times) = (MapStateDescriptor::new("thresholds"), MapStateDescriptor::new("times"));
    let operator = || BroadcastOperator::new((&thresholds, &times).states(), Above);
    let mut harness = Harness::open(operator())?;
    harness.process_unstamped(Either::Right((1, 10)))?;
    harness.watermark(40)?;
    harness.set_processing_time(7)?;
    harness.process(Either::Right((2, 20)), 50)?;
    harness.process(Either::Left((1, 11)), 60)?;
    harness.process(Either::Left((2, 11)), 60)?;
    assert_eq!(harness.take_records(), [(11, (None, i64::MIN, 0))]);
    let state = harness.snapshot()?;
    for subtask in 0..2 {
        let mut restored = Harness::restored(operator(), &[state.clone(), state.clone()], subtask, 2)?;
        restored.process_unstamped(Either::Left((1, 10)))?;
        restored.process_unstamped(Either::Left((2, 22)))?;
        assert_eq!(restored.take_records(), [(22, (Some(50), 40, 7))]);
    }
    Ok(())
}

/// Adds numbers up by key; what is broadcast goes onto the sum of every key, and a timer tells it.
#[derive(Clone, Default)]
struct Sums {
    sum: ValueState<u64>,
    seen: MapState<u64, ()>,
    all: ListState<u64>,
    living: ValueState<u64>,
}

type Told = (char, u32, u64);

impl KeyedBroadcastProcessFunction<u32, (u32, u64), u64, Told, BroadcastState<(), i64>> for Sums {
    fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
        let ttl = StateTtlConfig::new(Duration::from_secs(60));
        self.sum = context.value_state(ValueStateDescriptor::new("sum"))?;
        self.seen = context.map_state(MapStateDescriptor::new("seen"))?;
        self.all = context.list_state(ListStateDescriptor::new("all"))?;
        self.living = context.value_state(ValueStateDescriptor::new("living").enable_time_to_live(ttl))?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, number): (u32, u64),
        context: &mut KeyedContext<'_, u32>,
        _: &BroadcastState<(), i64>,
        _: &mut Output<Told>,
    ) -> Result<(), BoxError> {
        self.sum.modify(context, |sum| *sum = Some(sum.unwrap_or(0) + number))?;
        if number > 100 {
            self.seen.put_all(context, [(number, ()), (number + 1, ())])?;
            self.all.add(context, number)?;
            self.living.update(context, number)?;
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        raise: u64,
        context: &mut KeyedBroadcastContext<'_, u32>,
        last: &mut BroadcastState<(), i64>,
        out: &mut Output<Told>,
    ) -> Result<(), BoxError> {
        let at = context.timestamp().ok_or("no timestamp")?;
        assert!(context.current_watermark() < at && context.current_processing_time() == 0);
        last.put((), at);
        let Sums { sum, seen, all, living } = self;
        context.apply_to_keyed_state(sum, |context| {
            sum.modify(context, |sum| *sum = sum.map(|sum| sum + raise))?;
            Ok(context.timer_service().register_event_time_timer(at + 10)?)
        })?;
        let mut told = Vec::new();
        let mut tell = |state: char, context: &mut KeyedContext<'_, u32>| {
            told.push((state, *context.current_key(), 0));
            Ok(())
        };
        context.apply_to_keyed_state(seen, |context| tell('m', context))?;
        context.apply_to_keyed_state(all, |context| tell('l', context))?;
        context.apply_to_keyed_state(living, |context| tell('t', context))?;
        told.sort_unstable();
        told.into_iter().for_each(|told| out.push(told));
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        context: &mut KeyedContext<'_, u32>,
        last: &BroadcastState<(), i64>,
        out: &mut Output<Told>,
    ) -> Result<(), BoxError> {
        assert_eq!(last.get(&()), Some(&(timestamp - 10)));
        let sum = self.sum.value(context)?.copied().unwrap_or(0);
        out.push(('s', *context.current_key(), sum));
        Ok(())
    }
}

#[test]
fn a_broadcast_record_changes_the_state_of_every_key_of_the_subtask_once() -> TaskResult {
    let last = MapStateDescriptor::<(), i64>::new("last");
    let key = |record: &(u32, u64)| record.0;
    let operator = || KeyedBroadcastOperator::new(key, (&last).states(), Sums::default(), false);
    let mut harness = Harness::open(operator())?;
    for record in [(1, 10), (2, 200), (3, 300), (1, 1)] {
        harness.process(Either::Left(record), 1)?;
    }
    let state = harness.snapshot()?;
    // Each key is one of the two subtasks'; a record that is broadcast comes to both.
    let mut all = Vec::new();
    for subtask in 0..2 {
        let mut restored = Harness::restored(operator(), std::slice::from_ref(&state), subtask, 2)?;
        restored.process(Either::Right(1000), 20)?;
        restored.watermark(29)?;
        assert!(restored.take_records().iter().all(|told| told.0 != 's'));
        restored.watermark(30)?;
        let emitted = restored.take();
        assert_eq!(emitted.last(), Some(&Emitted::Watermark(30)));
        all.extend(emitted);
    }
    let mut sums: Vec<_> = all
        .into_iter()
        .filter_map(|emitted| match emitted {
            Emitted::Record(told, at) => Some((told, at)),
            _ => None,
        })
        .collect();
    sums.sort_unstable();
    let expected = [(1, 1011), (2, 1200), (3, 1300)].map(|(key, sum)| (('s', key, sum), Some(30)));
    assert_eq!(sums, expected);

    harness.process(Either::Right(1), 20)?;
    let expected = ['l', 'm', 't'].into_iter().flat_map(|state| [(state, 2, 0), (state, 3, 0)]);
    assert_eq!(harness.take_records(), expected.collect::<Vec<_>>());
    Ok(())
}
