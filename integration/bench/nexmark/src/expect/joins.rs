//! Queries that bring auctions together with their sellers or bids.

use super::Tables;
use crate::row::{OwnedAuction, OwnedBid};
use crate::text::Line;
use std::collections::BTreeMap;

/// The category that queries 3 and 20 ask for.
const CATEGORY: u64 = 10;

/// q3: auctions of one category with their sellers in three states.
pub fn local_sellers(tables: &Tables) -> Vec<String> {
    let mut rows = Vec::new();
    for person in tables.persons.iter().filter(|p| ["OR", "ID", "CA"].contains(&p.state.as_str())) {
        let theirs = tables.auctions.iter().filter(|a| a.seller == person.id && a.category == CATEGORY);
        rows.extend(theirs.map(|a| format!("{},{},{},{}", person.name, person.city, person.state, a.id)));
    }
    rows
}

/// Each auction with the bids that were made on it while it was open; auctions without such bids are left out.
fn valid_bids(tables: &Tables) -> Vec<(&OwnedAuction, Vec<&OwnedBid>)> {
    let bids = tables.by_auction();
    let valid = |auction: &OwnedAuction| -> Vec<&OwnedBid> {
        let all = bids.get(&auction.id).into_iter().flatten();
        all.filter(|bid| (auction.at..=auction.expires).contains(&bid.at)).copied().collect()
    };
    tables.auctions.iter().map(|a| (a, valid(a))).filter(|(_, bids)| !bids.is_empty()).collect()
}

/// q4: the average of the highest bids of a category's auctions, without what is behind the point.
pub fn category_averages(tables: &Tables) -> Vec<String> {
    let mut categories: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (auction, bids) in valid_bids(tables) {
        let (sum, count) = categories.entry(auction.category).or_default();
        *sum += bids.iter().map(|bid| bid.price).max().unwrap_or_default();
        *count += 1;
    }
    categories.iter().map(|(category, (sum, count))| format!("{category},{}", sum / count)).collect()
}

/// q9: each auction with its highest bid, of several the first.
pub fn winning_bids(tables: &Tables) -> Vec<String> {
    let mut rows = Vec::new();
    for (auction, mut bids) in valid_bids(tables) {
        bids.sort_by_key(|bid| (std::cmp::Reverse(bid.price), bid.at));
        let best = bids[0];
        rows.push(
            (auction.line(), best.auction, best.bidder, best.price, best.at, best.extra.clone()).line(),
        );
    }
    rows
}

/// q20: the bids on one category's auctions, with the auction.
pub fn with_auctions(tables: &Tables) -> Vec<String> {
    let bids = tables.by_auction();
    let mut rows = Vec::new();
    for auction in tables.auctions.iter().filter(|auction| auction.category == CATEGORY) {
        for bid in bids.get(&auction.id).into_iter().flatten() {
            let a = auction;
            let (item, description) = (a.item.clone(), a.description.clone());
            let left = (item, description, a.initial_bid, a.reserve);
            rows.push((bid.line(), left, a.at, a.expires, a.seller, a.category, a.extra.clone()).line());
        }
    }
    rows
}
