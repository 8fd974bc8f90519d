//! Timers of keyed functions against a set of what is set: each fires once, in order, not before its time, and survives
//! snapshots and changes of parallelism.

#![allow(clippy::unwrap_used)]

use kvick_runtime::error::BoxError;
use kvick_runtime::operator::Output;
use kvick_runtime::operators::{KeyedContext, KeyedProcessFunction, KeyedProcessOperator};
use kvick_runtime::testing::{Harness, MAX_PARALLELISM};
use kvick_runtime::timers::TimeDomain;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Order {
    Set { event: bool, at: i64 },
    Delete { event: bool, at: i64 },
}

type Command = (u8, Order);
/// Whether in event time, when, whose.
type Fired = (bool, i64, u8);

#[derive(Clone)]
struct Obey;

impl KeyedProcessFunction<u8, Command, Fired> for Obey {
    fn process(
        &mut self,
        command: Command,
        context: &mut KeyedContext<'_, u8>,
        _: &mut Output<Fired>,
    ) -> Result<(), BoxError> {
        let mut timers = context.timer_service();
        match command.1 {
            Order::Set { event: true, at } => timers.register_event_time_timer(at)?,
            Order::Set { event: false, at } => timers.register_processing_time_timer(at)?,
            Order::Delete { event: true, at } => timers.delete_event_time_timer(at)?,
            Order::Delete { event: false, at } => timers.delete_processing_time_timer(at)?,
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Output<Fired>,
    ) -> Result<(), BoxError> {
        let event = context.time_domain() == Some(TimeDomain::EventTime);
        out.push((event, timestamp, *context.current_key()));
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Order(Command),
    Watermark(i64),
    Clock(i64),
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let order = (0_u8..5, any::<bool>(), 0_i64..60, prop::bool::weighted(0.3)).prop_map(
        |(key, event, at, delete)| {
            Step::Order((key, if delete { Order::Delete { event, at } } else { Order::Set { event, at } }))
        },
    );
    let step = prop_oneof![
        8 => order,
        1 => (1_i64..12).prop_map(Step::Watermark),
        1 => (1_i64..12).prop_map(Step::Clock),
        1 => Just(Step::Restore),
    ];
    proptest::collection::vec(step, 1..150)
}

type Obeying = KeyedProcessOperator<u8, Command, Fired, fn(&Command) -> u8, Obey>;

fn operator() -> Obeying {
    KeyedProcessOperator::new(|command| command.0, Obey, false)
}

fn owner(key: u8, parallelism: usize) -> usize {
    let group = kvick_runtime::key_group::key_group(kvick_runtime::hash::stable_hash(&key), MAX_PARALLELISM);
    kvick_runtime::key_group::owner(group, parallelism as u32, MAX_PARALLELISM) as usize
}

proptest! {
    #[test]
    fn timers_fire_once_in_order_and_not_before_their_time(steps in steps()) {
        let mut subtasks = vec![Harness::open(operator()).unwrap()];
        let (mut set, mut watermark, mut clock) = (BTreeSet::<Fired>::new(), 0, 0);
        subtasks[0].watermark(0).unwrap();
        for step in steps {
            match step {
                Step::Order((key, order)) => {
                    let index = owner(key, subtasks.len());
                    subtasks[index].process((key, order), 0).unwrap();
                    match order {
                        Order::Set { event, at } => set.insert((event, at, key)),
                        Order::Delete { event, at } => set.remove(&(event, at, key)),
                    };
                }
                Step::Watermark(more) => {
                    watermark += more;
                    subtasks.iter_mut().for_each(|subtask| subtask.watermark(watermark).unwrap());
                }
                Step::Clock(more) => clock += more,
                Step::Restore => {
                    let states: Vec<_> = subtasks.iter_mut().map(|subtask| subtask.snapshot().unwrap()).collect();
                    let count = states.len() % 3 + 1;
                    subtasks = (0..count)
                        .map(|index| Harness::restored(operator(), &states, index as u32, count as u32).unwrap())
                        .collect();
                    subtasks.iter_mut().for_each(|subtask| subtask.watermark(watermark).unwrap());
                }
            }
            let mut fired = Vec::new();
            for subtask in &mut subtasks {
                subtask.set_processing_time(clock).unwrap();
                let own = subtask.take_records();
                let (event, processing): (Vec<Fired>, Vec<Fired>) = own.iter().partition(|timer| timer.0);
                prop_assert!(event.is_sorted_by_key(|timer| timer.1) && processing.is_sorted_by_key(|timer| timer.1));
                fired.extend(own);
            }
            fired.sort_unstable();
            // A timer that is set for the past fires with the next watermark, or at once by the clock.
            let event_due = |timer: &Fired| timer.0 && timer.1 <= watermark && matches!(step, Step::Watermark(_) | Step::Restore);
            let due: Vec<Fired> =
                set.iter().copied().filter(|timer| event_due(timer) || (!timer.0 && timer.1 < clock)).collect();
            set.retain(|timer| !due.contains(timer));
            prop_assert_eq!(fired, due);
        }
    }
}

#[test]
fn a_function_is_woken_when_its_next_timer_is_due_and_not_when_it_was_deleted() {
    let mut harness = Harness::open(operator()).unwrap();
    assert!(harness.set_processing_time(10).unwrap().is_none());
    harness.process((1, Order::Set { event: false, at: 20 }), 0).unwrap();
    assert!(harness.set_processing_time(20).unwrap().is_some());
    assert_eq!(harness.take_records(), []);
    harness.process((1, Order::Delete { event: false, at: 20 }), 0).unwrap();
    assert!(harness.set_processing_time(30).unwrap().is_none());
    assert_eq!(harness.take_records(), []);
}
