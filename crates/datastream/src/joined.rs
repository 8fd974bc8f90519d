//! Joins of two streams on common windows.

use crate::keyed::KeyedStream;
use crate::stream::DataStream;
use crate::windowed::{ByDefault, Evict, Eviction, Named, NoEvictor, TriggerChoice, WindowedStream};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::Either;
use kvick_runtime::operators::window::{Evictor, Trigger, WindowAssigner};
use kvick_runtime::side::OutputTag;
use std::marker::PhantomData;
use std::time::Duration;

impl<T: Data> DataStream<T> {
    /// Joins each record of this stream with each of another that has an equal key and falls into the same window.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::window::TumblingEventTimeWindows;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let orders = env.from_collection([(7_u32, 10_i64)]).assign_ascending_timestamps(|order| order.1);
    /// # let payments = env.from_collection([(7_u32, 20_i64)]).assign_ascending_timestamps(|payment| payment.1);
    /// let paid = orders
    ///     .join(&payments)
    ///     .where_(|order| order.0)
    ///     .equal_to(|payment| payment.0)
    ///     .window(TumblingEventTimeWindows::of(Duration::from_secs(60)))
    ///     .apply(|order, payment, out| out.push((order.0, payment.1 - order.1)));
    /// # assert_eq!(paid.execute_and_collect("paid").unwrap(), [(7, 10)]);
    /// ```
    pub fn join<B: Data>(&self, other: &DataStream<B>) -> JoinedStreams<T, B> {
        JoinedStreams { first: self.clone(), second: other.clone() }
    }

    /// Groups the records of this stream and another that have an equal key and fall into the same window. Called as
    /// [`DataStream::join`] is; the function sees all records of both sides, one of which may have none.
    #[doc(alias = "coGroup")]
    pub fn co_group<B: Data>(&self, other: &DataStream<B>) -> CoGroupedStreams<T, B> {
        CoGroupedStreams(self.join(other))
    }
}

/// Two streams that are to be joined.
pub struct JoinedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

impl<A: Data, B: Data> JoinedStreams<A, B> {
    /// The key of the first stream's records.
    #[doc(alias = "where")]
    pub fn where_<K: Key, F1>(self, key: F1) -> JoinWhere<A, B, F1>
    where
        F1: FnMut(&A) -> K + Clone + Send + 'static,
    {
        JoinWhere { streams: self, key }
    }

    #[allow(clippy::type_complexity, reason = "a type with an unnamed closure cannot be given a name")]
    fn keyed<K, F1, F2>(
        self,
        mut first: F1,
        mut second: F2,
    ) -> KeyedStream<Either<A, B>, K, impl FnMut(&Either<A, B>) -> K + Clone + Send + 'static>
    where
        K: Key,
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
    {
        let left = self.first.map(Either::<A, B>::Left);
        let right = self.second.map(Either::<A, B>::Right);
        left.union(&[&right]).key_by(move |record: &Either<A, B>| match record {
            Either::Left(record) => first(record),
            Either::Right(record) => second(record),
        })
    }
}

/// Two streams that are to be joined, and the key of the first.
pub struct JoinWhere<A, B, F1> {
    streams: JoinedStreams<A, B>,
    key: F1,
}

impl<A: Data, B: Data, F1> JoinWhere<A, B, F1> {
    /// The key of the second stream's records.
    #[doc(alias = "equalTo")]
    pub fn equal_to<K: Key, F2>(self, key: F2) -> JoinEqualTo<A, B, F1, F2>
    where
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
    {
        JoinEqualTo { streams: self.streams, keys: (self.key, key) }
    }
}

/// Two keyed streams that are to be joined.
pub struct JoinEqualTo<A, B, F1, F2> {
    streams: JoinedStreams<A, B>,
    keys: (F1, F2),
}

impl<A: Data, B: Data, F1, F2> JoinEqualTo<A, B, F1, F2> {
    /// The windows within which records are joined.
    pub fn window<K, W>(
        self,
        assigner: W,
    ) -> JoinWindow<A, B, K, impl FnMut(&Either<A, B>) -> K + Clone + Send + 'static, W>
    where
        K: Key,
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
        W: WindowAssigner<Either<A, B>>,
    {
        JoinWindow::over(self.streams.keyed(self.keys.0, self.keys.1).window(assigner))
    }
}

/// What a function on windows over two streams is given: a pair of records at a time.
pub struct Pairs;

/// What a function on windows over two streams is given: all records of both sides.
pub struct Groups;

/// Windows over two streams. Trigger, evictor and lateness are set as on other windows.
pub struct JoinWindow<A, B, K, F, W, Tr = ByDefault, E = NoEvictor, Given = Pairs> {
    windows: WindowedStream<Either<A, B>, K, F, W, Tr, E>,
    given: PhantomData<Given>,
}

/// Windows over two streams whose records are to be grouped together.
pub type CoGroupWindow<A, B, K, F, W, Tr = ByDefault, E = NoEvictor> =
    JoinWindow<A, B, K, F, W, Tr, E, Groups>;

impl<A, B, K, F, W, Tr, E, Given> JoinWindow<A, B, K, F, W, Tr, E, Given> {
    fn over(windows: WindowedStream<Either<A, B>, K, F, W, Tr, E>) -> Self {
        JoinWindow { windows, given: PhantomData }
    }
}

impl<A, B, K, F, W, Tr, E, Given> JoinWindow<A, B, K, F, W, Tr, E, Given>
where
    A: Data,
    B: Data,
    K: Key,
    F: FnMut(&Either<A, B>) -> K + Clone + Send + 'static,
    W: WindowAssigner<Either<A, B>>,
{
    /// When windows fire, instead of at their end.
    pub fn trigger<Tr2: Trigger<Either<A, B>, W::Window>>(
        self,
        trigger: Tr2,
    ) -> JoinWindow<A, B, K, F, W, Named<Tr2>, E, Given> {
        JoinWindow::over(self.windows.trigger(trigger))
    }

    /// Which records windows leave out when they fire.
    pub fn evictor<E2: Evictor<Either<A, B>, W::Window>>(
        self,
        evictor: E2,
    ) -> JoinWindow<A, B, K, F, W, Tr, Evict<E2>, Given> {
        JoinWindow::over(self.windows.evictor(evictor))
    }

    /// How much later than a window's end its records may come.
    #[must_use]
    #[doc(alias = "allowedLateness")]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        JoinWindow::over(self.windows.allowed_lateness(lateness))
    }

    /// Sends records of either stream that come too late to a side output of the result.
    #[must_use]
    #[doc(alias = "sideOutputLateData")]
    pub fn side_output_late_data(self, tag: &OutputTag<Either<A, B>>) -> Self {
        JoinWindow::over(self.windows.side_output_late_data(tag))
    }
}

impl<A, B, K, F, W, Tr, E> JoinWindow<A, B, K, F, W, Tr, E>
where
    A: Data,
    B: Data,
    K: Key,
    F: FnMut(&Either<A, B>) -> K + Clone + Send + 'static,
    W: WindowAssigner<Either<A, B>>,
    Tr: TriggerChoice<Either<A, B>, W>,
    E: Eviction<Either<A, B>, W::Window>,
{
    /// Calls the function for each pair of records.
    #[doc(alias("JoinFunction", "FlatJoinFunction"))]
    pub fn apply<O: Data>(
        self,
        mut function: impl FnMut(&A, &B, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        let pairs = move |first: &[&A], second: &[&B], out: &mut Output<O>| {
            for a in first {
                second.iter().for_each(|b| function(a, b, out));
            }
        };
        grouped(self.windows, pairs).name("Window Join")
    }
}

/// Calls a function with the records of both sides of a window.
fn grouped<A, B, K, F, W, Tr, E, O>(
    windows: WindowedStream<Either<A, B>, K, F, W, Tr, E>,
    mut function: impl FnMut(&[&A], &[&B], &mut Output<O>) + Clone + Send + 'static,
) -> DataStream<O>
where
    A: Data,
    B: Data,
    K: Key,
    F: FnMut(&Either<A, B>) -> K + Clone + Send + 'static,
    W: WindowAssigner<Either<A, B>>,
    Tr: TriggerChoice<Either<A, B>, W>,
    E: Eviction<Either<A, B>, W::Window>,
    O: Data,
{
    windows.apply(move |_: &K, _: &W::Window, records: &[Either<A, B>], out: &mut Output<O>| {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for record in records {
            match record {
                Either::Left(record) => first.push(record),
                Either::Right(record) => second.push(record),
            }
        }
        function(&first, &second, out);
    })
}

/// Two streams whose records are to be grouped together.
pub struct CoGroupedStreams<A, B>(JoinedStreams<A, B>);

impl<A: Data, B: Data> CoGroupedStreams<A, B> {
    /// The key of the first stream's records.
    #[doc(alias = "where")]
    pub fn where_<K: Key, F1>(self, key: F1) -> CoGroupWhere<A, B, F1>
    where
        F1: FnMut(&A) -> K + Clone + Send + 'static,
    {
        CoGroupWhere(self.0.where_(key))
    }
}

/// Two streams whose records are to be grouped together, and the key of the first.
pub struct CoGroupWhere<A, B, F1>(JoinWhere<A, B, F1>);

impl<A: Data, B: Data, F1> CoGroupWhere<A, B, F1> {
    /// The key of the second stream's records.
    #[doc(alias = "equalTo")]
    pub fn equal_to<K: Key, F2>(self, key: F2) -> CoGroupEqualTo<A, B, F1, F2>
    where
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
    {
        CoGroupEqualTo(self.0.equal_to(key))
    }
}

/// Two keyed streams whose records are to be grouped together.
pub struct CoGroupEqualTo<A, B, F1, F2>(JoinEqualTo<A, B, F1, F2>);

impl<A: Data, B: Data, F1, F2> CoGroupEqualTo<A, B, F1, F2> {
    /// The windows within which records are grouped.
    pub fn window<K, W>(
        self,
        assigner: W,
    ) -> CoGroupWindow<A, B, K, impl FnMut(&Either<A, B>) -> K + Clone + Send + 'static, W>
    where
        K: Key,
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
        W: WindowAssigner<Either<A, B>>,
    {
        JoinWindow::over(self.0.window(assigner).windows)
    }
}

impl<A, B, K, F, W, Tr, E> CoGroupWindow<A, B, K, F, W, Tr, E>
where
    A: Data,
    B: Data,
    K: Key,
    F: FnMut(&Either<A, B>) -> K + Clone + Send + 'static,
    W: WindowAssigner<Either<A, B>>,
    Tr: TriggerChoice<Either<A, B>, W>,
    E: Eviction<Either<A, B>, W::Window>,
{
    /// Calls the function for each key and window, with the records of both streams.
    #[doc(alias = "CoGroupFunction")]
    pub fn apply<O: Data>(
        self,
        function: impl FnMut(&[&A], &[&B], &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        grouped(self.windows, function).name("Co-Group")
    }
}
