//! Queries over windows of event time.

use super::Tables;
use std::collections::{BTreeMap, BTreeSet};

/// The windows of queries 5, 7 and 8 are this long, and the gap of query 11's sessions is; milliseconds.
const SIZE: i64 = 10_000;
/// Query 5 has one every so many milliseconds.
const SLIDE: i64 = 2_000;

/// q5: in each sliding window the auctions with the most bids.
pub fn hot_items(tables: &Tables) -> Vec<String> {
    let mut windows: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
    for bid in &tables.bids {
        let last = bid.at.div_euclid(SLIDE) * SLIDE;
        for start in (0..SIZE / SLIDE).map(|back| last - back * SLIDE) {
            *windows.entry(start).or_default().entry(bid.auction).or_default() += 1;
        }
    }
    let mut rows = Vec::new();
    for counts in windows.values() {
        let most = counts.values().max().copied().unwrap_or_default();
        let hottest = counts.iter().filter(|(_, count)| **count == most);
        rows.extend(hottest.map(|(auction, count)| format!("{auction},{count}")));
    }
    rows
}

fn window(at: i64) -> i64 {
    at.div_euclid(SIZE)
}

/// q7: in each window the bids with the highest price.
pub fn highest_bids(tables: &Tables) -> Vec<String> {
    let mut highest: BTreeMap<i64, u64> = BTreeMap::new();
    for bid in &tables.bids {
        let price = highest.entry(window(bid.at)).or_default();
        *price = bid.price.max(*price);
    }
    let wins = tables.bids.iter().filter(|bid| highest.get(&window(bid.at)) == Some(&bid.price));
    wins.map(|b| format!("{},{},{},{},{}", b.auction, b.price, b.bidder, b.at, b.extra)).collect()
}

/// q8: who registered and opened an auction in the same window, with the window's start.
pub fn new_sellers(tables: &Tables) -> Vec<String> {
    let sellers: BTreeSet<(u64, i64)> = tables.auctions.iter().map(|a| (a.seller, window(a.at))).collect();
    let new = tables.persons.iter().filter(|person| sellers.contains(&(person.id, window(person.at))));
    new.map(|person| format!("{},{},{}", person.id, person.name, window(person.at) * SIZE)).collect()
}

/// q11: how many bids each bidder made between pauses of ten seconds, with the session's start and end.
pub fn sessions(tables: &Tables) -> Vec<String> {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for bid in &tables.bids {
        times.entry(bid.bidder).or_default().push(bid.at);
    }
    let mut rows = Vec::new();
    for (bidder, mut times) in times {
        times.sort_unstable();
        for session in times.chunk_by(|earlier, later| later - earlier <= SIZE) {
            let (start, end) = (session[0], session[session.len() - 1] + SIZE);
            rows.push(format!("{bidder},{},{start},{end}", session.len()));
        }
    }
    rows
}
