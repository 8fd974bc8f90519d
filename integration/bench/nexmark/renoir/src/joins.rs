//! Queries that bring auctions together with their sellers or bids, or bids with the side input.

use crate::bids::of_each;
use crate::io::Job;
use nexmark::files::SIDE_KEYS;
use nexmark::functions::{CATEGORY, Text, is_near};
use nexmark::row::{Auction, OwnedAuction, Person};
use nexmark::text::Line;
use renoir::Stream;
use renoir::operator::Operator;
use renoir::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// A bid as far as queries 4 and 9 ask: auction, bidder, price, time, extra.
type Offer = (u64, u64, u64, i64, Text);

fn auctions<T, F>(
    env: &StreamContext,
    job: &Job,
    row: F,
) -> Stream<impl Operator<Out = T> + 'static + use<T, F>>
where
    T: Clone + Send + 'static,
    F: Fn(&Auction<'_>) -> Option<T> + Clone + Send + 'static,
{
    job.lines(env, "auction").filter_map(move |line| row(&Auction::parse(&line).expect("no auction")))
}

/// q3.
pub fn local_sellers(env: &StreamContext, job: &Job) {
    let people = job.lines(env, "person").filter_map(|line| {
        let person = Person::parse(&line).expect("a row is no person");
        let row = || (person.id, Text::from(person.name), Text::from(person.city), Text::from(person.state));
        is_near(person.state).then(row)
    });
    let auctions = auctions(env, job, |a| (a.category == CATEGORY).then_some((a.seller, a.id)));
    let joined = auctions.join(people, |a| a.0, |p| p.0);
    job.finish(joined.drop_key().map(|((_, id), (_, name, city, state))| (name, city, state, id)));
}

/// q4: the highest bid of each auction, and of those the running average of each category.
pub fn category_averages(env: &StreamContext, job: &Job) {
    let auctions = auctions(env, job, |a| Some((a.id, a.category, a.at, a.expires)));
    let bids = of_each(env, job, |b| (b.auction, b.price, b.at));
    let mut highest: Option<u64> = None;
    let changes = auctions
        .join(bids, |a| a.0, |b| b.0)
        .filter(|(_, ((_, _, at, expires), (_, _, bid)))| (at..=expires).contains(&bid))
        .rich_filter_map(move |(_, ((_, category, ..), (_, price, _)))| {
            let before = highest.filter(|known| *known >= price);
            if before.is_some() {
                return None;
            }
            let (added, count) = (price - highest.unwrap_or(0), u64::from(highest.is_none()));
            highest = Some(price);
            Some((category, added, count))
        });
    let (mut sum, mut auctions) = (0, 0);
    let averages = changes.drop_key().group_by(|change| change.0).rich_map(move |(_, (_, added, count))| {
        sum += added;
        auctions += count;
        sum / auctions
    });
    job.finish(averages.unkey());
}

/// q9.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Won(OwnedAuction, Offer);

impl Line for Won {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        (self.0.line(), self.1.line()).write(out)
    }
}

/// q9: an update whenever a better bid comes.
pub fn winning_bids(env: &StreamContext, job: &Job) {
    let auctions = auctions(env, job, |a| Some(a.to_owned()));
    let bids = of_each(env, job, nexmark::functions::passed);
    let mut best: Option<(u64, i64)> = None;
    let won = auctions
        .join(bids, |a| a.id, |b| b.0)
        .filter(|(_, (auction, bid))| (auction.at..=auction.expires).contains(&bid.3))
        .rich_filter_map(move |(_, (auction, bid))| {
            let is_better = best.is_none_or(|(price, at)| bid.2 > price || bid.2 == price && bid.3 < at);
            is_better.then(|| {
                best = Some((bid.2, bid.3));
                Won(auction, bid)
            })
        });
    job.finish(won.drop_key());
}

/// q13: every instance has the whole side input.
pub fn side_input(env: &StreamContext, job: &Job) {
    let side = job.lines(env, "side").map(|line| {
        let (key, value) = line.split_once(',').expect("a row is no key and value");
        (key.parse::<u64>().expect("a key is no number"), Text::from(value))
    });
    let bids = of_each(env, job, |b| (b.auction, b.bidder, b.price, b.at));
    let joined =
        bids.join_with(side, |b| b.0 % SIDE_KEYS, |s| s.0).ship_broadcast_right().local_hash().inner();
    job.finish(joined.map(|(_, (bid, (_, value)))| (bid, value)));
}

/// q20.
pub fn with_auctions(env: &StreamContext, job: &Job) {
    let auctions = auctions(env, job, |a| (a.category == CATEGORY).then(|| a.to_owned()));
    let bids = of_each(env, job, |b| b.to_owned());
    let joined = bids.join(auctions, |b| b.auction, |a| a.id).drop_key();
    job.finish(joined.map(|(bid, a)| {
        let sold = (a.item, a.description, a.initial_bid, a.reserve, a.at, a.expires, a.seller, a.category);
        (bid, sold, a.extra)
    }));
}
