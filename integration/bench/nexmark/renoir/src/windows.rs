//! Queries over windows: of event time by grouping by the window's number, of the machine's clock by Renoir's windows.

use crate::bids::of_each;
use crate::io::Job;
use nexmark::functions::{SLIDE, Text, WINDOW};
use nexmark::row::{Auction, Person};
use renoir::operator::window::ProcessingTimeWindow;
use renoir::prelude::*;
use std::time::Duration;

/// What is highest so far, and the rows that have it.
type Highest<T> = (u64, Vec<T>);

fn raise<T>(highest: &mut Highest<T>, value: u64, rows: impl IntoIterator<Item = T>) {
    if value > highest.0 {
        highest.1.clear();
    }
    if value >= highest.0 {
        highest.0 = value;
        highest.1.extend(rows);
    }
}

/// q5: counted before anything is sent.
pub fn hot_items(env: &StreamContext, job: &Job) {
    let bids = of_each(env, job, |b| (b.auction, b.at.div_euclid(SLIDE)));
    let counts = bids
        .flat_map(|(auction, last)| (0..WINDOW / SLIDE).map(move |back| (last - back, auction)))
        .group_by_count(|at| *at);
    let hottest = counts.unkey().group_by_fold(
        |((window, _), _)| *window,
        Highest::default(),
        |highest, ((_, auction), count)| raise(highest, count as u64, [auction]),
        |highest, other| raise(highest, other.0, other.1),
    );
    job.finish(
        hottest.drop_key().flat_map(|(count, auctions)| auctions.into_iter().map(move |a| (a, count))),
    );
}

/// q7: the highest of each instance first.
pub fn highest_bids(env: &StreamContext, job: &Job) {
    let bids = of_each(env, job, |b| (b.auction, b.price, b.bidder, b.at, Text::from(b.extra)));
    let highest = bids.group_by_fold(
        |bid| bid.3.div_euclid(WINDOW),
        Highest::default(),
        |highest, bid| raise(highest, bid.1, [bid]),
        |highest, other| raise(highest, other.0, other.1),
    );
    job.finish(highest.drop_key().flat_map(|(_, bids)| bids));
}

/// q8: each seller once a window, at the first auction.
pub fn new_sellers(env: &StreamContext, job: &Job) {
    let people = job.lines(env, "person").map(|line| {
        let person = Person::parse(&line).expect("a row is no person");
        (person.id, person.at.div_euclid(WINDOW), Text::from(person.name))
    });
    let sellers = job.lines(env, "auction").map(|line| {
        let auction = Auction::parse(&line).expect("a row is no auction");
        (auction.seller, auction.at.div_euclid(WINDOW))
    });
    let mut told = false;
    let new = people.join(sellers, |p| (p.0, p.1), |s| *s).rich_filter_map(move |(_, (person, _))| {
        let first = !std::mem::replace(&mut told, true);
        first.then_some(person)
    });
    job.finish(new.drop_key().map(|(id, window, name)| (id, name, window * WINDOW)));
}

/// q12: Renoir does not tell a window's start and end.
pub fn by_the_clock(env: &StreamContext, job: &Job) {
    let bids = of_each(env, job, |b| b.bidder);
    let windows = ProcessingTimeWindow::tumbling(Duration::from_millis(WINDOW as u64));
    let counts = bids.group_by(|bidder| *bidder).window(windows).fold(0_u64, |count, _| *count += 1);
    job.finish(counts.unkey());
}
