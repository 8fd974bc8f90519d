//! Queries over windows.

use crate::io::Job;
use kvick::Data;
use kvick::prelude::*;
use kvick::window::{
    EventTimeSessionWindows, SlidingEventTimeWindows, TumblingEventTimeWindows, TumblingProcessingTimeWindows,
};
use nexmark::functions::{SLIDE, WINDOW};
use std::time::Duration;

/// How much later than others a row may come.
const DISORDER: Duration = Duration::from_secs(4);

const fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

/// The stream with event time.
fn timed<T: Data>(stream: &DataStream<T>, at: impl Fn(&T) -> i64 + Clone + Send + 'static) -> DataStream<T> {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(DISORDER);
    stream.assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(at))
}

/// The number of records.
#[derive(Clone)]
struct Count;

impl<T> AggregateFunction<T> for Count {
    type Accumulator = u64;
    type Output = u64;

    fn create_accumulator(&mut self) -> u64 {
        0
    }

    fn add(&mut self, _: T, count: &mut u64) {
        *count += 1;
    }

    fn get_result(&mut self, count: &u64) -> u64 {
        *count
    }

    fn merge(&mut self, count: &mut u64, other: u64) {
        *count += other;
    }
}

/// The records with the highest value of a function.
#[derive(Clone)]
struct Highest<F>(F);

/// The value, and the records that have it.
type Ties<T> = (u64, Vec<T>);

fn raise<T>(highest: &mut Ties<T>, value: u64, rows: impl IntoIterator<Item = T>) {
    if value > highest.0 {
        highest.1.clear();
    }
    if value >= highest.0 {
        highest.0 = value;
        highest.1.extend(rows);
    }
}

impl<T: Data, F: FnMut(&T) -> u64 + Clone + Send + 'static> AggregateFunction<T> for Highest<F> {
    type Accumulator = Ties<T>;
    type Output = Vec<T>;

    fn create_accumulator(&mut self) -> Ties<T> {
        (0, Vec::new())
    }

    fn add(&mut self, row: T, highest: &mut Ties<T>) {
        raise(highest, (self.0)(&row), [row]);
    }

    fn get_result(&mut self, highest: &Ties<T>) -> Vec<T> {
        highest.1.clone()
    }

    fn merge(&mut self, highest: &mut Ties<T>, other: Ties<T>) {
        raise(highest, other.0, other.1);
    }
}

fn each<T>(rows: Vec<T>, out: &mut Collector<T>) {
    rows.into_iter().for_each(|row| out.push(row));
}

/// q5.
pub fn hot_items(env: &StreamExecutionEnvironment, job: &Job) {
    let counts = timed(&job.bids(env, |b| (b.auction, b.at)), |bid| bid.1)
        .key_by(|bid| bid.0)
        .window(SlidingEventTimeWindows::of(millis(WINDOW), millis(SLIDE)))
        .aggregate_with(Count, |auction, window, count, out| out.push((window.start, *auction, count)));
    // Counts have their window's last moment as event time: those of one window meet again.
    let hottest = counts
        .key_by(|count| count.0)
        .window(TumblingEventTimeWindows::of(millis(SLIDE)))
        .aggregate(Highest(|count: &(i64, u64, u64)| count.2))
        .flat_map(each);
    job.finish(&hottest.map(|(_, auction, count)| (auction, count)));
}

/// q7.
pub fn highest_bids(env: &StreamExecutionEnvironment, job: &Job) {
    let bids = job.bids(env, |b| (b.auction, b.price, b.bidder, b.at, Str::from(b.extra)));
    let highest = timed(&bids, |bid| bid.3)
        .window_all(TumblingEventTimeWindows::of(millis(WINDOW)))
        .aggregate(Highest(|bid: &(u64, u64, u64, i64, Str)| bid.1))
        .flat_map(each);
    job.finish(&highest);
}

/// q8: each new person who has opened an auction in the window, once.
pub fn new_sellers(env: &StreamExecutionEnvironment, job: &Job) {
    let people = job.people(env, |p| Some((p.id, Str::from(p.name), p.at)));
    let auctions = job.auctions(env, |a| Some((a.seller, a.at)));
    let rows = timed(&people, |person| person.2)
        .co_group(&timed(&auctions, |auction| auction.1))
        .where_(|person| person.0)
        .equal_to(|auction| auction.0)
        .window(TumblingEventTimeWindows::of(millis(WINDOW)))
        .apply(|people, auctions, out| {
            for (id, name, at) in people.iter().filter(|_| !auctions.is_empty()) {
                out.push((*id, name.clone(), at - at.rem_euclid(WINDOW)));
            }
        });
    job.finish(&rows);
}

/// q11.
pub fn sessions(env: &StreamExecutionEnvironment, job: &Job) {
    let sessions = timed(&job.bids(env, |b| (b.bidder, b.at)), |bid| bid.1)
        .key_by(|bid| bid.0)
        .window(EventTimeSessionWindows::with_gap(millis(WINDOW)))
        .aggregate_with(Count, |bidder, window, count, out| {
            out.push((*bidder, count, window.start, window.end));
        });
    job.finish(&sessions);
}

/// q12.
pub fn by_the_clock(env: &StreamExecutionEnvironment, job: &Job) {
    let counts = job
        .bids(env, |b| b.bidder)
        .key_by(|bidder| *bidder)
        .window(TumblingProcessingTimeWindows::of(millis(WINDOW)))
        .aggregate_with(Count, |bidder, window, count, out| {
            out.push((*bidder, count, window.start, window.end));
        });
    job.finish(&counts);
}
