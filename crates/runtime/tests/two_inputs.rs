//! Operators of two streams: interval joins against a naive computation, keyed state through snapshots.

#![allow(clippy::unwrap_used)]

use kvick_core::checkpoint::SubtaskState;
use kvick_runtime::error::{BoxError, TaskResult};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::{
    Either, FunctionContext, Interval, IntervalJoin, JoinContext, KeyedCoProcessFunction,
    KeyedCoProcessOperator, KeyedContext, LateRecords,
};
use kvick_runtime::state::{StateAccess, ValueState, ValueStateDescriptor};
use kvick_runtime::testing::{Emitted, Harness};
use proptest::prelude::*;

/// Key, time, number.
type Record = (u8, i64, u32);
type Both = Either<Record, Record>;

fn key(record: &Record) -> u8 {
    record.0
}

/// Records of both sides with disorder below 20, a watermark behind each that makes none late, and snapshots.
fn records() -> impl Strategy<Value = Vec<(bool, u8, i64, bool)>> {
    let one = (any::<bool>(), 0_u8..3, 0_i64..20, prop::bool::weighted(0.1));
    proptest::collection::vec(one, 0..80)
}

type Join = IntervalJoin<u8, Record, Record, (u32, u32), fn(&Record) -> u8, fn(&Record) -> u8, Pairs>;

fn join(interval: Interval) -> Join {
    let pairs: Pairs = |left, right, context, out| {
        assert_eq!((context.left_timestamp(), context.right_timestamp()), (left.1, right.1));
        out.push((left.2, right.2));
    };
    IntervalJoin::new(key, key, interval, pairs, LateRecords::default())
}

type Pairs = fn(&Record, &Record, JoinContext, &mut Output<(u32, u32)>);

proptest! {
    #[test]
    fn interval_joins_find_each_pair_once(records in records(), lower in -15_i64..15, width in 0_i64..15) {
        let interval = Interval { lower, upper: lower + width };
        let mut harness: Harness<Both, (u32, u32)> = Harness::open(join(interval)).unwrap();
        let (mut left, mut right, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (is_left, key, shift, restore)) in records.into_iter().enumerate() {
            let record = (key, index as i64 * 2 + shift, index as u32);
            let side = if is_left { &mut left } else { &mut right };
            side.push(record);
            let record_of = if is_left { Either::Left } else { Either::Right };
            harness.process(record_of(record), record.1).unwrap();
            found.extend(harness.take().into_iter().filter_map(|emitted| match emitted {
                Emitted::Record(pair, at) => Some((pair, at.unwrap())),
                _ => None,
            }));
            if restore {
                let state = harness.snapshot().unwrap();
                harness = Harness::restored(join(interval), &[state], 0, 1).unwrap();
            }
            harness.watermark(index as i64 * 2 - 1).unwrap();
        }
        let mut expected = Vec::new();
        for l in &left {
            for r in right.iter().filter(|r| r.0 == l.0 && (lower..=lower + width).contains(&(r.1 - l.1))) {
                expected.push(((l.2, r.2), l.1.max(r.1)));
            }
        }
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
        harness.end().unwrap();
        let empty = harness.snapshot().unwrap();
        prop_assert!(bytes_of_records(&empty) == 0, "records are kept after the end: {empty:?}");
    }
}

/// How much the two sides keep.
fn bytes_of_records(state: &SubtaskState) -> u64 {
    use kvick_core::checkpoint::KeyedData;
    let groups = |data: &KeyedData| match data {
        KeyedData::Stream { groups, .. } => groups.iter().map(|piece| piece.length).sum(),
        KeyedData::Files { .. } => 1,
    };
    state.keyed.iter().filter(|keyed| keyed.kind.ends_with("-records")).map(|keyed| groups(&keyed.data)).sum()
}

/// Emits an order's number with its payment; an order that was not paid within 50 alone.
#[derive(Clone, Default)]
struct Match {
    order: ValueState<u32>,
}

impl KeyedCoProcessFunction<u8, Record, Record, (u32, Option<u32>)> for Match {
    fn open(&mut self, context: &mut FunctionContext<'_, u8>) -> Result<(), BoxError> {
        self.order = context.value_state(ValueStateDescriptor::new("order"))?;
        Ok(())
    }

    fn process1(
        &mut self,
        order: Record,
        context: &mut KeyedContext<'_, u8>,
        _: &mut Output<(u32, Option<u32>)>,
    ) -> Result<(), BoxError> {
        self.order.update(context, order.2)?;
        context.timer_service().register_event_time_timer(order.1 + 50)?;
        Ok(())
    }

    fn process2(
        &mut self,
        payment: Record,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Output<(u32, Option<u32>)>,
    ) -> Result<(), BoxError> {
        if let Some(order) = self.order.value(context)?.copied() {
            out.push((order, Some(payment.2)));
            self.order.clear(context)?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        context: &mut KeyedContext<'_, u8>,
        out: &mut Output<(u32, Option<u32>)>,
    ) -> Result<(), BoxError> {
        if let Some(order) = self.order.value(context)?.copied() {
            out.push((order, None));
            self.order.clear(context)?;
        }
        Ok(())
    }
}

#[test]
fn both_inputs_of_a_keyed_function_share_state_and_timers_through_a_snapshot() -> TaskResult {
    let operator = || KeyedCoProcessOperator::new(key, key, Match::default(), false);
    let mut harness = Harness::open(operator())?;
    harness.process(Either::Left((1, 0, 100)), 0)?;
    harness.process(Either::Left((2, 10, 200)), 10)?;
    let state = harness.snapshot()?;
    let mut harness = Harness::restored(operator(), &[state], 0, 1)?;
    harness.process(Either::Right((1, 20, 101)), 20)?;
    assert_eq!(harness.take(), [Emitted::Record((100, Some(101)), Some(20))]);
    harness.watermark(59)?;
    assert_eq!(harness.take_records(), []);
    harness.watermark(60)?;
    assert_eq!(harness.take(), [Emitted::Record((200, None), Some(60)), Emitted::Watermark(60)]);
    Ok(())
}
