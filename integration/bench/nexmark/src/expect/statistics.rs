//! Queries that keep figures of each day, channel or auction, or the best bids.

use super::Tables;
use crate::row::OwnedBid;
use crate::text::Line;
use crate::time::{date, hour_and_minute};
use std::collections::{BTreeMap, BTreeSet};

/// Bids below and from here on are ranked apart, cents.
const RANKS: [u64; 2] = [10_000, 1_000_000];

fn rank(price: u64) -> usize {
    RANKS.iter().filter(|limit| price >= **limit).count()
}

/// Bids, bidders and auctions: of all bids and of each rank.
#[derive(Default)]
struct Figures {
    bids: [u64; 4],
    bidders: [BTreeSet<u64>; 4],
    auctions: [BTreeSet<u64>; 4],
    minute: String,
}

impl Figures {
    fn add(&mut self, bid: &OwnedBid) {
        for at in [0, 1 + rank(bid.price)] {
            self.bids[at] += 1;
            self.bidders[at].insert(bid.bidder);
            self.auctions[at].insert(bid.auction);
        }
        self.minute = self.minute.clone().max(hour_and_minute(bid.at).to_string());
    }

    fn columns(&self) -> String {
        let sizes = |sets: &[BTreeSet<u64>; 4]| sets.each_ref().map(|set| set.len() as u64);
        (self.bids, sizes(&self.bidders), sizes(&self.auctions)).line()
    }
}

/// q15.
pub fn by_day(tables: &Tables) -> Vec<String> {
    let mut days: BTreeMap<String, Figures> = BTreeMap::new();
    for bid in &tables.bids {
        days.entry(date(bid.at).to_string()).or_default().add(bid);
    }
    days.iter().map(|(day, figures)| format!("{day},{}", figures.columns())).collect()
}

/// q16: with the last minute in which there was a bid.
pub fn by_channel(tables: &Tables) -> Vec<String> {
    let mut channels: BTreeMap<(String, String), Figures> = BTreeMap::new();
    for bid in &tables.bids {
        channels.entry((bid.channel.to_string(), date(bid.at).to_string())).or_default().add(bid);
    }
    let row = |((channel, day), f): (&(String, String), &Figures)| {
        format!("{channel},{day},{},{}", f.minute, f.columns())
    };
    channels.iter().map(row).collect()
}

/// q17: number of bids, of each rank, the lowest, highest, average price and the sum.
pub fn by_auction(tables: &Tables) -> Vec<String> {
    let mut auctions: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
    for bid in &tables.bids {
        auctions.entry((bid.auction, date(bid.at).to_string())).or_default().push(bid.price);
    }
    let mut rows = Vec::new();
    for ((auction, day), prices) in auctions {
        let of_rank = |wanted| prices.iter().filter(|price| rank(**price) == wanted).count() as u64;
        let (count, sum) = (prices.len() as u64, prices.iter().sum::<u64>());
        let (least, most) =
            (prices.iter().min().copied().unwrap_or(0), prices.iter().max().copied().unwrap_or(0));
        let counts = [count, of_rank(0), of_rank(1), of_rank(2)];
        rows.push((auction, day, counts, least, most, sum / count, sum).line());
    }
    rows
}

/// q18: the last bid of each bidder on each auction.
pub fn last_bids(tables: &Tables) -> Vec<String> {
    let mut last: BTreeMap<(u64, u64), &OwnedBid> = BTreeMap::new();
    for bid in &tables.bids {
        let known = last.entry((bid.bidder, bid.auction)).or_insert(bid);
        if bid.at >= known.at {
            *known = bid;
        }
    }
    last.values().map(|bid| bid.line()).collect()
}

/// q19: the ten highest bids on each auction, with their rank.
pub fn ten_highest(tables: &Tables) -> Vec<String> {
    let mut rows = Vec::new();
    for (_, mut bids) in tables.by_auction() {
        bids.sort_by_key(|bid| std::cmp::Reverse(bid.price));
        rows.extend(bids.iter().take(10).zip(1_u64..).map(|(bid, rank)| (bid.line(), rank).line()));
    }
    rows
}
