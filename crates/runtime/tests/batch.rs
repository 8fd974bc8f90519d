//! Grouping by key in batch mode against a model, whatever the memory and however hashes collide.

#![allow(clippy::unwrap_used)]

use kvick_runtime::element::Batch;
use kvick_runtime::error::{BoxError, TaskResult};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::{
    FunctionContext, GroupedAggregate, KeyedContext, KeyedProcessFunction, KeyedProcessOperator,
    OneKeyAtATime, Reduce,
};
use kvick_runtime::state::{StateAccess, ValueState, ValueStateDescriptor};
use kvick_runtime::testing::Harness;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys with one `shown` have one hash, and differ all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Colliding {
    shown: u16,
    #[serde(skip)]
    hidden: u8,
}

/// `shown` and `hidden` of the key, a number, and something that takes room.
type Record = (u16, u8, u64, String);

fn key(record: &Record) -> Colliding {
    Colliding { shown: record.0, hidden: record.1 }
}

/// Remembers the numbers of its key, and tells them at the key's end.
#[derive(Clone, Default)]
struct Numbers(ValueState<Vec<(i64, u64)>>);

impl KeyedProcessFunction<Colliding, Record, (u16, u8, Vec<(i64, u64)>)> for Numbers {
    fn open(&mut self, context: &mut FunctionContext<'_, Colliding>) -> Result<(), BoxError> {
        self.0 = context.value_state(ValueStateDescriptor::new("numbers"))?;
        Ok(())
    }

    fn process(
        &mut self,
        value: Record,
        context: &mut KeyedContext<'_, Colliding>,
        _: &mut Output<(u16, u8, Vec<(i64, u64)>)>,
    ) -> Result<(), BoxError> {
        let at = context.timestamp().unwrap_or(i64::MIN);
        let mut numbers = self.0.value(context)?.cloned().unwrap_or_default();
        numbers.push((at, value.2));
        self.0.update(context, numbers)?;
        Ok(context.timer_service().register_event_time_timer(7)?)
    }

    fn on_timer(
        &mut self,
        _: i64,
        context: &mut KeyedContext<'_, Colliding>,
        out: &mut Output<(u16, u8, Vec<(i64, u64)>)>,
    ) -> Result<(), BoxError> {
        let numbers = self.0.value(context)?.cloned().unwrap_or_default();
        let key = context.current_key();
        out.push((key.shown, key.hidden, numbers));
        Ok(())
    }
}

fn records() -> impl Strategy<Value = Vec<(u16, u8, i64)>> {
    // Few keys with many records, or many with few.
    let keys = prop_oneof![Just(3_u16), Just(500)];
    keys.prop_flat_map(|keys| proptest::collection::vec((0..keys, 0_u8..3, -3_i64..3), 0..2_000))
}

fn text(number: u64) -> String {
    "x".repeat(number as usize % 4_000)
}

/// The least memory that there is, and more than enough.
const MEMORY: [u64; 2] = [0, u64::MAX];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(12)))]

    #[test]
    fn each_key_is_given_whole_and_in_order(records in records()) {
        let mut model: BTreeMap<(u16, u8), Vec<(i64, u64)>> = BTreeMap::new();
        for (number, (shown, hidden, at)) in records.iter().enumerate() {
            model.entry((*shown, *hidden)).or_default().push((*at, number as u64));
        }
        model.values_mut().for_each(|numbers| numbers.sort());
        for memory in MEMORY {
            let directory = tempfile::tempdir().unwrap();
            let inner = KeyedProcessOperator::new(|record: &Record| key(record), Numbers::default(), true);
            let operator = OneKeyAtATime::new(inner, |record: &Record| Some(key(record)));
            let mut harness = Harness::with_memory(operator, memory, directory.path()).unwrap();
            feed(&records, |batch| harness.process_batch(batch)).unwrap();
            harness.end().unwrap();
            let mut whole = harness.take_records();
            whole.sort();
            let expected: Vec<_> = model.iter().map(|((s, h), all)| (*s, *h, all.clone())).collect();
            prop_assert_eq!(whole, expected);
            prop_assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "files stay behind");
        }
    }

    #[test]
    fn each_key_is_reduced_to_one_record_in_order_of_arrival(records in records()) {
        let mut model: BTreeMap<(u16, u8), Vec<u64>> = BTreeMap::new();
        for (number, (shown, hidden, _)) in records.iter().enumerate() {
            model.entry((*shown, *hidden)).or_default().push(number as u64);
        }
        for memory in MEMORY {
            let directory = tempfile::tempdir().unwrap();
            // The first record's text, the sum, and nothing else of the later ones.
            let reduce = Reduce(|a: Record, b: Record| (a.0, a.1, a.2 + b.2, a.3));
            let operator = GroupedAggregate::new(|record: &Record| key(record), reduce);
            let mut harness = Harness::with_memory(operator, memory, directory.path()).unwrap();
            feed(&records, |batch| harness.process_batch(batch)).unwrap();
            harness.end().unwrap();
            let mut sums = harness.take_records();
            sums.sort();
            let expected: Vec<Record> =
                model.iter().map(|((s, h), all)| (*s, *h, all.iter().sum(), text(all[0]))).collect();
            prop_assert!(sums == expected);
            prop_assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "files stay behind");
        }
    }
}

fn feed(records: &[(u16, u8, i64)], mut process: impl FnMut(Batch<Record>) -> TaskResult) -> TaskResult {
    let mut number = 0;
    for part in records.chunks(100) {
        let mut batch = Batch::new();
        for (shown, hidden, at) in part {
            batch.push((*shown, *hidden, number, text(number)), Some(*at));
            number += 1;
        }
        process(batch)?;
    }
    Ok(())
}
