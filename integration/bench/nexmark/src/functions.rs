//! What the queries compute from single rows and keep of several, shared by the programs for Kvick and Renoir: what is to
//! be compared is engines, not two ways to count letters.
//!
//! [`crate::expect`] shares nothing of this: it says what must come out.

use crate::row::{Bid, OwnedBid};
use crate::text::{Line, Milli, euros};
use crate::time::{date, hour, hour_and_minute};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// A text that needs no allocation up to 24 bytes.
pub type Text = CompactString;

/// The category that queries 3 and 20 ask for.
pub const CATEGORY: u64 = 10;

/// Windows, and the pause between sessions, milliseconds.
pub const WINDOW: i64 = 10_000;

/// Query 5's windows begin every so many milliseconds.
pub const SLIDE: i64 = 2_000;

/// Whether query 3 asks for people of this state.
pub fn is_near(state: &str) -> bool {
    matches!(state, "OR" | "ID" | "CA")
}

/// Query 0: auction, bidder, price, time, extra.
pub fn passed(bid: &Bid<'_>) -> (u64, u64, u64, i64, Text) {
    (bid.auction, bid.bidder, bid.price, bid.at, bid.extra.into())
}

/// Query 1: with the price in euros.
pub fn converted(bid: &Bid<'_>) -> (u64, u64, Milli, i64, Text) {
    (bid.auction, bid.bidder, euros(bid.price), bid.at, bid.extra.into())
}

/// Query 2: auction and price, of every 123rd auction.
pub fn every_123rd(bid: &Bid<'_>) -> Option<(u64, u64)> {
    bid.auction.is_multiple_of(123).then_some((bid.auction, bid.price))
}

/// Query 10: with day and minute.
pub fn logged(bid: &Bid<'_>) -> (u64, u64, u64, i64, Text, Text, Text) {
    (bid.auction, bid.bidder, bid.price, bid.at, bid.extra.into(), date(bid.at), hour_and_minute(bid.at))
}

/// A row of query 14.
pub type Calculated = (u64, u64, Milli, Text, i64, Text, u64);

/// Query 14: from a million to fifty million euros (cents are taken for dollars there, as published).
pub fn calculated(bid: &Bid<'_>) -> Option<Calculated> {
    let price = euros(bid.price);
    if !(1_000_000_001..50_000_000_000).contains(&price.0) {
        return None;
    }
    let time = match hour(bid.at) {
        8..=18 => "dayTime",
        0..=6 | 20..=23 => "nightTime",
        _ => "otherTime",
    };
    let letters = memchr::memchr_iter(b'c', bid.extra.as_bytes()).count() as u64;
    Some((bid.auction, bid.bidder, price, time.into(), bid.at, bid.extra.into(), letters))
}

/// A row of query 21.
pub type WithChannel = (u64, u64, u64, Text, Text);

/// Query 21: the four big channels by name, the others by their URL.
pub fn with_channel(bid: &Bid<'_>) -> Option<WithChannel> {
    let is = |name: &str| bid.channel.eq_ignore_ascii_case(name);
    let big = ["apple", "google", "facebook", "baidu"].iter().position(|name| is(name));
    let id = match big {
        Some(number) => ["0", "1", "2", "3"][number],
        None => bid.channel_id()?,
    };
    Some((bid.auction, bid.bidder, bid.price, bid.channel.into(), id.into()))
}

/// A row of query 22.
pub type WithDirectories = (u64, u64, u64, Text, Text, Text, Text);

/// Query 22: the fourth to sixth part of the URL, empty where there is none.
pub fn with_directories(bid: &Bid<'_>) -> WithDirectories {
    let mut parts = bid.url.split('/').skip(3);
    let mut next = || Text::from(parts.next().unwrap_or_default());
    let (first, second, third) = (next(), next(), next());
    (bid.auction, bid.bidder, bid.price, bid.channel.into(), first, second, third)
}

/// What the statistics need of a bid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// The channel; empty where the query does not ask.
    pub channel: Text,
    /// The day.
    pub day: Text,
    /// The minute.
    pub minute: Text,
    /// The auction.
    pub auction: u64,
    /// The bidder.
    pub bidder: u64,
    /// Cents.
    pub price: u64,
}

/// A bid for the statistics, with or without its channel.
pub fn counted(bid: &Bid<'_>, channel: bool) -> Counted {
    Counted {
        channel: if channel { bid.channel.into() } else { Text::default() },
        day: date(bid.at),
        minute: hour_and_minute(bid.at),
        auction: bid.auction,
        bidder: bid.bidder,
        price: bid.price,
    }
}

/// Bids are ranked by price: 0 below 10,000, 1 below 1,000,000, 2 from there on.
pub fn rank(price: u64) -> usize {
    usize::from(price >= 10_000) + usize::from(price >= 1_000_000)
}

/// Bids, and different bidders and auctions: of all ranks, then of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Bids.
    pub bids: [u64; 4],
    /// Different bidders.
    pub bidders: [u64; 4],
    /// Different auctions.
    pub auctions: [u64; 4],
}

impl Figures {
    /// Counts a bid of a rank.
    pub fn count(&mut self, rank: usize) {
        self.bids[0] += 1;
        self.bids[1 + rank] += 1;
    }
}

/// Notes in `seen`, which has a bit for each of the four figures, that a bidder or an auction occurs in a rank. Answers the
/// bits that were not set before.
pub fn mark(seen: &mut u8, rank: usize) -> u8 {
    let new = (1 | 2 << rank) & !*seen;
    *seen |= new;
    new
}

/// Counts what [`mark`] answered.
pub fn count_new(figures: &mut [u64; 4], new: u8) {
    figures.iter_mut().enumerate().for_each(|(at, figure)| *figure += u64::from(new >> at & 1));
}

impl Line for Figures {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        (self.bids, self.bidders, self.auctions).write(out)
    }
}

/// What query 17 keeps of an auction's day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    counts: [u64; 4],
    least: u64,
    most: u64,
    sum: u64,
}

impl Prices {
    /// Of one bid.
    pub fn of(price: u64) -> Prices {
        let mut counts = [1, 0, 0, 0];
        counts[1 + rank(price)] = 1;
        Prices { counts, least: price, most: price, sum: price }
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Prices) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.sum += other.sum;
    }
}

impl Line for Prices {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        (self.counts, self.least, self.most, self.sum / self.counts[0], self.sum).write(out)
    }
}

/// The ten highest bids, the highest first; of equal ones the first that came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopTen(Vec<OwnedBid>);

impl TopTen {
    /// Takes a bid in, if it is among the ten; answers the first place that has changed.
    pub fn add(&mut self, bid: OwnedBid) -> Option<usize> {
        let place = self.0.iter().position(|known| known.price < bid.price).unwrap_or(self.0.len());
        if place >= 10 {
            return None;
        }
        self.0.truncate(9);
        self.0.insert(place, bid);
        Some(place)
    }

    /// The bids from a place on, with their rank from 1.
    pub fn from(&self, place: usize) -> impl Iterator<Item = (OwnedBid, u64)> + '_ {
        self.0.iter().zip(1_u64..).skip(place).map(|(bid, rank)| (bid.clone(), rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_highest_are_kept_in_order() {
        let bid = |price| Bid::parse(&format!("1,2,{price},c,u,0,e")).unwrap().to_owned();
        let mut top = TopTen::default();
        for price in [5, 3, 9, 1, 2, 4, 6, 7, 8, 10, 3] {
            top.add(bid(price));
        }
        let prices: Vec<u64> = top.from(0).map(|(bid, _)| bid.price).collect();
        assert_eq!(prices, [10, 9, 8, 7, 6, 5, 4, 3, 3, 2]);
        assert_eq!(top.add(bid(1)), None);
        assert_eq!(top.add(bid(9)), Some(2));
    }

    #[test]
    fn each_is_counted_once_in_each_rank() {
        let (mut figures, mut seen) = ([0; 4], 0);
        for rank in [1, 1, 2, 1] {
            count_new(&mut figures, mark(&mut seen, rank));
        }
        assert_eq!(figures, [1, 0, 1, 1]);
    }
}
