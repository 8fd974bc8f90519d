//! Queries that look at one bid at a time.

use super::Tables;
use crate::row::OwnedBid;
use crate::text::{Line, euros};
use crate::time::{date, hour, hour_and_minute};

fn each(tables: &Tables, row: impl Fn(&OwnedBid) -> Option<String>) -> Vec<String> {
    tables.bids.iter().filter_map(row).collect()
}

/// q0.
pub fn pass_through(tables: &Tables) -> Vec<String> {
    each(tables, |b| Some(format!("{},{},{},{},{}", b.auction, b.bidder, b.price, b.at, b.extra)))
}

/// q1: the price times 0.908.
pub fn currency(tables: &Tables) -> Vec<String> {
    each(tables, |b| Some(format!("{},{},{},{},{}", b.auction, b.bidder, euros(b.price), b.at, b.extra)))
}

/// q2: bids on every 123rd auction.
pub fn filter(tables: &Tables) -> Vec<String> {
    each(tables, |b| b.auction.is_multiple_of(123).then(|| format!("{},{}", b.auction, b.price)))
}

/// q10: every bid with the day and the minute.
pub fn log(tables: &Tables) -> Vec<String> {
    each(tables, |b| {
        let time = (date(b.at), hour_and_minute(b.at));
        Some((b.auction, b.bidder, b.price, b.at, b.extra.clone(), time).line())
    })
}

/// q13: the side input's value for the auction's number modulo the side input's size.
pub fn side_input(tables: &Tables) -> Vec<String> {
    each(tables, |b| {
        let value = tables.side.get(&(b.auction % tables.side.len() as u64))?;
        Some((b.auction, b.bidder, b.price, b.at, value.clone()).line())
    })
}

/// q14: dear bids with the time of day in words and the number of letters c.
pub fn calculation(tables: &Tables) -> Vec<String> {
    each(tables, |b| {
        let price = euros(b.price);
        let wanted = (1_000_000_001..50_000_000_000).contains(&price.0);
        let time = match hour(b.at) {
            8..=18 => "dayTime",
            0..=6 | 20..=23 => "nightTime",
            _ => "otherTime",
        };
        let letters = b.extra.matches('c').count() as u64;
        wanted.then(|| (b.auction, b.bidder, price, time, b.at, b.extra.clone(), letters).line())
    })
}

/// q21: the four big channels by number, the others by what the URL says; those without either are left out.
pub fn channel_ids(tables: &Tables) -> Vec<String> {
    each(tables, |b| {
        let id = match b.channel.to_lowercase().as_str() {
            "apple" => "0".to_string(),
            "google" => "1".to_string(),
            "facebook" => "2".to_string(),
            "baidu" => "3".to_string(),
            _ => b.url.split('&').find_map(|part| part.strip_prefix("channel_id="))?.to_string(),
        };
        Some((b.auction, b.bidder, b.price, b.channel.clone(), id).line())
    })
}

/// q22: the fourth to sixth part of the URL.
pub fn directories(tables: &Tables) -> Vec<String> {
    each(tables, |b| {
        let parts: Vec<&str> = b.url.split('/').collect();
        let [.., first, second, third, _] = parts.as_slice() else { return None };
        Some((b.auction, b.bidder, b.price, b.channel.clone(), (*first, *second, *third)).line())
    })
}
