//! Queries that look at one bid at a time.

use crate::io::{Files, Job};
use nexmark::functions::{self, Text};
use nexmark::row::Bid;
use renoir::Stream;
use renoir::operator::Operator;
use renoir::prelude::*;

/// A row of each bid, by a function of the bid.
pub fn of_each<T, F>(
    env: &StreamContext,
    job: &Job,
    row: F,
) -> Stream<impl Operator<Out = T> + 'static + use<T, F>>
where
    T: Send + 'static,
    F: Fn(&Bid<'_>) -> T + Clone + Send + 'static,
{
    job.lines(env, "bid").map(move |line| row(&Bid::parse(&line).expect("a row is no bid")))
}

/// A row of each bid for which the function has one.
pub fn of_some<T, F>(
    env: &StreamContext,
    job: &Job,
    row: F,
) -> Stream<impl Operator<Out = T> + 'static + use<T, F>>
where
    T: Clone + Send + 'static,
    F: Fn(&Bid<'_>) -> Option<T> + Clone + Send + 'static,
{
    job.lines(env, "bid").filter_map(move |line| row(&Bid::parse(&line).expect("a row is no bid")))
}

/// q0.
pub fn pass_through(env: &StreamContext, job: &Job) {
    job.finish(of_each(env, job, functions::passed));
}

/// q1.
pub fn currency(env: &StreamContext, job: &Job) {
    job.finish(of_each(env, job, functions::converted));
}

/// q2.
pub fn filter(env: &StreamContext, job: &Job) {
    job.finish(of_some(env, job, functions::every_123rd));
}

/// q10: a file for each day, minute and instance.
pub fn log(env: &StreamContext, job: &Job) {
    let rows = of_each(env, job, functions::logged);
    let Some(directory) = job.files.as_ref().filter(|_| !job.is_checked()) else { return job.finish(rows) };
    let mut files = Files::new(directory);
    let mut last = (Text::default(), Text::default(), String::new());
    rows.for_each(move |(auction, bidder, price, at, extra, day, minute)| {
        if (&last.0, &last.1) != (&day, &minute) {
            let below = format!("dt={day}/hm={minute}");
            last = (day, minute, below);
        }
        files.write(&last.2, &(auction, bidder, price, at, extra));
    });
}

/// q14.
pub fn calculation(env: &StreamContext, job: &Job) {
    job.finish(of_some(env, job, functions::calculated));
}

/// q21.
pub fn channel_ids(env: &StreamContext, job: &Job) {
    job.finish(of_some(env, job, functions::with_channel));
}

/// q22.
pub fn directories(env: &StreamContext, job: &Job) {
    job.finish(of_each(env, job, functions::with_directories));
}
