//! Queries that keep figures of each day, channel or auction, or the best bids: an update at every bid that changes them.

use crate::bids::of_each;
use crate::io::Job;
use nexmark::functions::{Counted, Figures, Prices, Text, TopTen, count_new, counted, mark, rank};
use nexmark::time::date;
use renoir::prelude::*;
use std::collections::HashMap;

/// What is kept of a day, or a channel's day.
#[derive(Clone, Default)]
struct Kept {
    figures: Figures,
    bidders: HashMap<u64, u8>,
    auctions: HashMap<u64, u8>,
    minute: Text,
}

impl Kept {
    fn add(&mut self, bid: Counted) -> (Text, Figures) {
        let rank = rank(bid.price);
        self.figures.count(rank);
        let new_bidder = mark(self.bidders.entry(bid.bidder).or_default(), rank);
        count_new(&mut self.figures.bidders, new_bidder);
        let new_auction = mark(self.auctions.entry(bid.auction).or_default(), rank);
        count_new(&mut self.figures.auctions, new_auction);
        if bid.minute > self.minute {
            self.minute = bid.minute;
        }
        (self.minute.clone(), self.figures)
    }
}

/// q15.
pub fn by_day(env: &StreamContext, job: &Job) {
    let mut kept = Kept::default();
    let figures = of_each(env, job, |b| counted(b, false))
        .group_by(|bid| bid.day.clone())
        .rich_map(move |(_, bid)| kept.add(bid).1);
    job.finish(figures.unkey());
}

/// q16.
pub fn by_channel(env: &StreamContext, job: &Job) {
    let mut kept = Kept::default();
    let figures = of_each(env, job, |b| counted(b, true))
        .group_by(|bid| (bid.channel.clone(), bid.day.clone()))
        .rich_map(move |(_, bid)| kept.add(bid));
    job.finish(figures.unkey());
}

/// q17.
pub fn by_auction(env: &StreamContext, job: &Job) {
    let mut prices: Option<Prices> = None;
    let figures = of_each(env, job, |b| (b.auction, date(b.at), b.price))
        .group_by(|(auction, day, _)| (*auction, day.clone()))
        .rich_map(move |(_, (_, _, price))| match &mut prices {
            Some(known) => {
                known.merge(&Prices::of(price));
                *known
            }
            None => *prices.insert(Prices::of(price)),
        });
    job.finish(figures.unkey());
}

/// q18.
pub fn last_bids(env: &StreamContext, job: &Job) {
    let mut last = i64::MIN;
    let bids = of_each(env, job, |b| b.to_owned()).group_by(|bid| (bid.bidder, bid.auction)).rich_filter_map(
        move |(_, bid)| {
            (bid.at >= last).then(|| {
                last = bid.at;
                bid
            })
        },
    );
    job.finish(bids.drop_key());
}

/// q19: every bid whose place has changed.
pub fn ten_highest(env: &StreamContext, job: &Job) {
    let mut top = TopTen::default();
    let bids =
        of_each(env, job, |b| b.to_owned()).group_by(|bid| bid.auction).rich_flat_map(move |(_, bid)| {
            match top.add(bid) {
                Some(place) => top.from(place).collect::<Vec<_>>(),
                None => Vec::new(),
            }
        });
    job.finish(bids.drop_key());
}
