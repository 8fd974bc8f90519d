//! What each query's result must be: computed on one thread, from whole tables in memory, in the plainest way there is.
//!
//! Knows nothing of streams, windows as operators, or watermarks: windows are arithmetic on times, joins are loops over
//! indexes. Nothing here is fast, and nothing is shared with the programs that are measured but the rows.

mod joins;
mod rows;
mod statistics;
mod windows;

use crate::files::for_each_line;
use crate::row::{Auction, Bid, OwnedAuction, OwnedBid, Person};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// A person, as far as the queries ask.
pub(crate) struct Registered {
    id: u64,
    name: String,
    city: String,
    state: String,
    at: i64,
}

/// The tables, in no particular order.
pub(crate) struct Tables {
    persons: Vec<Registered>,
    auctions: Vec<OwnedAuction>,
    bids: Vec<OwnedBid>,
    side: BTreeMap<u64, String>,
}

impl Tables {
    fn read(directory: &Path) -> Result<Tables> {
        let mut tables =
            Tables { persons: Vec::new(), auctions: Vec::new(), bids: Vec::new(), side: BTreeMap::new() };
        for_each_line::<anyhow::Error>(&directory.join("person"), |line| {
            let Person { id, name, city, state, at, .. } = Person::parse(line)?;
            let (name, city, state) = (name.to_string(), city.to_string(), state.to_string());
            tables.persons.push(Registered { id, name, city, state, at });
            Ok(())
        })?;
        for_each_line::<anyhow::Error>(&directory.join("auction"), |line| {
            tables.auctions.push(Auction::parse(line)?.to_owned());
            Ok(())
        })?;
        for_each_line::<anyhow::Error>(&directory.join("bid"), |line| {
            tables.bids.push(Bid::parse(line)?.to_owned());
            Ok(())
        })?;
        for_each_line::<anyhow::Error>(&directory.join("side"), |line| {
            if let Some((key, value)) = line.split_once(',') {
                tables.side.insert(key.parse()?, value.to_string());
            }
            Ok(())
        })?;
        Ok(tables)
    }

    /// The bids on each auction.
    fn by_auction(&self) -> BTreeMap<u64, Vec<&OwnedBid>> {
        let mut index: BTreeMap<u64, Vec<&OwnedBid>> = BTreeMap::new();
        for bid in &self.bids {
            index.entry(bid.auction).or_default().push(bid);
        }
        index
    }
}

/// The rows of a query's result over the tables of a directory, sorted: of a query with updates the last state.
///
/// # Errors
/// The tables cannot be read, or the query's result is not determined by them.
pub fn expect(query: &str, directory: &Path) -> Result<Vec<String>> {
    let tables = Tables::read(directory)?;
    let mut lines = match query {
        "q0" => rows::pass_through(&tables),
        "q1" => rows::currency(&tables),
        "q2" => rows::filter(&tables),
        "q3" => joins::local_sellers(&tables),
        "q4" => joins::category_averages(&tables),
        "q5" => windows::hot_items(&tables),
        "q7" => windows::highest_bids(&tables),
        "q8" => windows::new_sellers(&tables),
        "q9" => joins::winning_bids(&tables),
        "q10" => rows::log(&tables),
        "q11" => windows::sessions(&tables),
        "q13" => rows::side_input(&tables),
        "q14" => rows::calculation(&tables),
        "q15" => statistics::by_day(&tables),
        "q16" => statistics::by_channel(&tables),
        "q17" => statistics::by_auction(&tables),
        "q18" => statistics::last_bids(&tables),
        "q19" => statistics::ten_highest(&tables),
        "q20" => joins::with_auctions(&tables),
        "q21" => rows::channel_ids(&tables),
        "q22" => rows::directories(&tables),
        "q12" => bail!("the result of q12 depends on the clock"),
        other => bail!("there is no query {other}"),
    };
    lines.sort_unstable();
    Ok(lines)
}
