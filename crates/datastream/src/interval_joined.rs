//! Joins of two keyed streams on an interval of event time.

use crate::connected::{either_key, two_keyed_inputs};
use crate::keyed::KeyedStream;
use crate::stream::DataStream;
use kvick_runtime::element::{Data, Key};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::{Interval, IntervalJoin as IntervalJoinOperator, JoinContext, LateRecords};
use kvick_runtime::side::OutputTag;

impl<A, K, F1> KeyedStream<A, K, F1>
where
    A: Data,
    K: Key,
    F1: FnMut(&A) -> K + Clone + Send + 'static,
{
    /// Joins each record of this stream with the records of another, keyed alike, whose event time is within an interval of
    /// its own.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let orders = env.from_collection([(7_u32, 10_i64)]).assign_ascending_timestamps(|order| order.1);
    /// # let payments = env.from_collection([(7_u32, 20_i64)]).assign_ascending_timestamps(|payment| payment.1);
    /// let paid_soon = orders
    ///     .key_by(|order| order.0)
    ///     .interval_join(&payments.key_by(|payment| payment.0))
    ///     .between(0, 60_000) // milliseconds: from the order's time to a minute after it
    ///     .process(|order, payment, out| out.push((order.0, payment.1 - order.1)));
    /// # assert_eq!(paid_soon.execute_and_collect("paid").unwrap(), [(7, 10)]);
    /// ```
    #[doc(alias = "intervalJoin")]
    pub fn interval_join<B: Data, F2>(&self, other: &KeyedStream<B, K, F2>) -> IntervalJoin<A, B, K, F1, F2>
    where
        F2: FnMut(&B) -> K + Clone + Send + 'static,
    {
        IntervalJoin { first: self.clone(), second: other.clone() }
    }
}

/// Two keyed streams that are to be joined on an interval of time, which is still to be named.
///
/// ```compile_fail,E0599
/// # use kvick::prelude::*;
/// # let env = StreamExecutionEnvironment::get_execution_environment();
/// # let times = env.from_collection([(7_u32, 10_i64)]).assign_ascending_timestamps(|time| time.1);
/// # let times = times.key_by(|time| time.0);
/// times.interval_join(&times).process(|a, b, out| out.push((a.1, b.1))); // between what?
/// ```
pub struct IntervalJoin<A, B, K, F1, F2> {
    first: KeyedStream<A, K, F1>,
    second: KeyedStream<B, K, F2>,
}

impl<A, B, K, F1, F2> IntervalJoin<A, B, K, F1, F2> {
    /// The second record's time minus the first one's lies between these, both included, in milliseconds; negative for
    /// earlier.
    ///
    /// # Panics
    /// A lower bound above the upper one: no pair lies between them.
    #[track_caller]
    pub fn between(self, lower: i64, upper: i64) -> IntervalJoined<A, B, K, F1, F2> {
        assert!(
            lower <= upper,
            "interval_join: the lower bound must not be above the upper one, as in between({lower}, {upper})"
        );
        let (interval, late) = (Interval { lower, upper }, LateRecords::default());
        IntervalJoined { first: self.first, second: self.second, interval, late }
    }
}

/// Two keyed streams that are to be joined on an interval of time.
pub struct IntervalJoined<A, B, K, F1, F2> {
    first: KeyedStream<A, K, F1>,
    second: KeyedStream<B, K, F2>,
    interval: Interval,
    late: LateRecords<A, B>,
}

impl<A, B, K, F1, F2> IntervalJoined<A, B, K, F1, F2>
where
    A: Data,
    B: Data,
    K: Key,
    F1: FnMut(&A) -> K + Clone + Send + 'static,
    F2: FnMut(&B) -> K + Clone + Send + 'static,
{
    /// Leaves the lower bound itself out.
    #[must_use]
    #[doc(alias = "lowerBoundExclusive")]
    pub fn lower_bound_exclusive(mut self) -> Self {
        self.interval.lower = self.interval.lower.saturating_add(1);
        self
    }

    /// Leaves the upper bound itself out.
    #[must_use]
    #[doc(alias = "upperBoundExclusive")]
    pub fn upper_bound_exclusive(mut self) -> Self {
        self.interval.upper = self.interval.upper.saturating_sub(1);
        self
    }

    /// Sends records of the first stream that come behind the watermark to a side output of the result.
    #[must_use]
    #[doc(alias = "sideOutputLeftLateData")]
    pub fn side_output_left_late_data(mut self, tag: &OutputTag<A>) -> Self {
        self.late.left = Some(tag.clone());
        self
    }

    /// Sends records of the second stream that come behind the watermark to a side output of the result.
    #[must_use]
    #[doc(alias = "sideOutputRightLateData")]
    pub fn side_output_right_late_data(mut self, tag: &OutputTag<B>) -> Self {
        self.late.right = Some(tag.clone());
        self
    }

    /// Calls the function for each pair of records.
    pub fn process<O: Data>(
        self,
        mut function: impl FnMut(&A, &B, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.process_with(move |first, second, _, out| function(first, second, out))
    }

    /// [`IntervalJoined::process`] with a function that is told the times of both records as well, as Flink's
    /// `ProcessJoinFunction` is: `|order, payment, context, out| …`.
    #[doc(alias = "ProcessJoinFunction")]
    pub fn process_with<O: Data>(
        self,
        function: impl FnMut(&A, &B, JoinContext, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        let (first, second) = (self.first.partitioned(), self.second.partitioned());
        let key = either_key((self.first.key.clone(), self.second.key.clone()));
        two_keyed_inputs("Interval Join", &first, &second, key, move |_| {
            let keys = (self.first.key.clone(), self.second.key.clone());
            IntervalJoinOperator::new(keys.0, keys.1, self.interval, function.clone(), self.late.clone())
        })
    }
}
