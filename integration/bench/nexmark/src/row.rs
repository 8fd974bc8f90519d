//! People, auctions and bids as rows of CSV: what the generator writes, and views of a line that need no allocation.
//!
//! No text of the model holds a comma, a quote or a line end, so fields are whatever lies between commas.

use compact_str::CompactString;
use memchr::memchr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A line that is no row of its table.
#[derive(Debug, Error)]
pub enum RowError {
    /// The line has too few fields.
    #[error("the line \"{line}\" has no field \"{field}\"")]
    Missing {
        /// The line.
        line: String,
        /// The first field that is not there.
        field: &'static str,
    },
    /// The field must be a number from 0 on.
    #[error("\"{text}\" is not a {field}")]
    NoNumber {
        /// What stands there.
        text: String,
        /// The field.
        field: &'static str,
    },
}

/// The fields of a line, one after the other.
struct Fields<'a> {
    line: &'a str,
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Fields<'a> {
        Fields { line, rest: Some(line) }
    }

    #[inline]
    fn text(&mut self, field: &'static str) -> Result<&'a str, RowError> {
        let Some(rest) = self.rest else {
            return Err(RowError::Missing { line: self.line.to_string(), field });
        };
        let (text, rest) = match memchr(b',', rest.as_bytes()) {
            Some(comma) => (&rest[..comma], Some(&rest[comma + 1..])),
            None => (rest, None),
        };
        self.rest = rest;
        Ok(text)
    }

    #[inline]
    fn number(&mut self, field: &'static str) -> Result<u64, RowError> {
        let text = self.text(field)?;
        number(text).ok_or_else(|| RowError::NoNumber { text: text.to_string(), field })
    }

    #[inline]
    fn time(&mut self, field: &'static str) -> Result<i64, RowError> {
        Ok(self.number(field)? as i64)
    }
}

/// One to eighteen digits.
#[inline]
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.bytes().try_fold(0_u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + u64::from(digit))
    })
}

/// A person who has registered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Person<'a> {
    /// The person.
    pub id: u64,
    /// First and last name.
    pub name: &'a str,
    /// The address.
    pub email: &'a str,
    /// Four groups of four digits.
    pub credit_card: &'a str,
    /// The city.
    pub city: &'a str,
    /// Two capital letters.
    pub state: &'a str,
    /// When, epoch milliseconds.
    pub at: i64,
    /// Letters that make the row as long as it is to be.
    pub extra: &'a str,
}

impl<'a> Person<'a> {
    /// Reads `id,name,email,credit card,city,state,time,extra`.
    ///
    /// # Errors
    /// The line is no such row.
    pub fn parse(line: &'a str) -> Result<Person<'a>, RowError> {
        let mut fields = Fields::of(line);
        Ok(Person {
            id: fields.number("id")?,
            name: fields.text("name")?,
            email: fields.text("email")?,
            credit_card: fields.text("credit card")?,
            city: fields.text("city")?,
            state: fields.text("state")?,
            at: fields.time("time")?,
            extra: fields.text("extra")?,
        })
    }
}

/// An auction that was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auction<'a> {
    /// The auction.
    pub id: u64,
    /// What is sold.
    pub item: &'a str,
    /// What it is like.
    pub description: &'a str,
    /// The first bid, cents.
    pub initial_bid: u64,
    /// It is not sold for less, cents.
    pub reserve: u64,
    /// When it was opened, epoch milliseconds.
    pub at: i64,
    /// When it ends, epoch milliseconds.
    pub expires: i64,
    /// The person who sells.
    pub seller: u64,
    /// The category.
    pub category: u64,
    /// Letters that make the row as long as it is to be.
    pub extra: &'a str,
}

impl<'a> Auction<'a> {
    /// Reads `id,item,description,initial bid,reserve,time,expires,seller,category,extra`.
    ///
    /// # Errors
    /// The line is no such row.
    pub fn parse(line: &'a str) -> Result<Auction<'a>, RowError> {
        let mut fields = Fields::of(line);
        Ok(Auction {
            id: fields.number("id")?,
            item: fields.text("item")?,
            description: fields.text("description")?,
            initial_bid: fields.number("initial bid")?,
            reserve: fields.number("reserve")?,
            at: fields.time("time")?,
            expires: fields.time("end")?,
            seller: fields.number("seller")?,
            category: fields.number("category")?,
            extra: fields.text("extra")?,
        })
    }

    /// The same with texts of its own.
    pub fn to_owned(&self) -> OwnedAuction {
        OwnedAuction {
            id: self.id,
            item: self.item.into(),
            description: self.description.into(),
            initial_bid: self.initial_bid,
            reserve: self.reserve,
            at: self.at,
            expires: self.expires,
            seller: self.seller,
            category: self.category,
            extra: self.extra.into(),
        }
    }
}

/// An [`Auction`] with texts of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OwnedAuction {
    pub id: u64,
    pub item: CompactString,
    pub description: CompactString,
    pub initial_bid: u64,
    pub reserve: u64,
    pub at: i64,
    pub expires: i64,
    pub seller: u64,
    pub category: u64,
    pub extra: CompactString,
}

/// A bid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bid<'a> {
    /// The auction.
    pub auction: u64,
    /// The person who bids.
    pub bidder: u64,
    /// Cents.
    pub price: u64,
    /// Where the bidder came from.
    pub channel: &'a str,
    /// The page on which the bid was made.
    pub url: &'a str,
    /// When, epoch milliseconds.
    pub at: i64,
    /// Letters that make the row as long as it is to be.
    pub extra: &'a str,
}

impl<'a> Bid<'a> {
    /// Reads `auction,bidder,price,channel,url,time,extra`.
    ///
    /// # Errors
    /// The line is no such row.
    #[inline]
    pub fn parse(line: &'a str) -> Result<Bid<'a>, RowError> {
        let mut fields = Fields::of(line);
        Ok(Bid {
            auction: fields.number("auction")?,
            bidder: fields.number("bidder")?,
            price: fields.number("price")?,
            channel: fields.text("channel")?,
            url: fields.text("url")?,
            at: fields.time("time")?,
            extra: fields.text("extra")?,
        })
    }

    /// The same with texts of its own.
    pub fn to_owned(&self) -> OwnedBid {
        OwnedBid {
            auction: self.auction,
            bidder: self.bidder,
            price: self.price,
            channel: self.channel.into(),
            url: self.url.into(),
            at: self.at,
            extra: self.extra.into(),
        }
    }

    /// What stands behind `channel_id=` in the URL, at its start or after `&` (query 21).
    pub fn channel_id(&self) -> Option<&'a str> {
        let (before, after) = self.url.split_once("channel_id=")?;
        let value = after.split('&').next().unwrap_or(after);
        (before.is_empty() || before.ends_with('&')).then_some(value)
    }
}

/// A [`Bid`] with texts of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OwnedBid {
    pub auction: u64,
    pub bidder: u64,
    pub price: u64,
    pub channel: CompactString,
    pub url: CompactString,
    pub at: i64,
    pub extra: CompactString,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_is_read_field_by_field() {
        let bid = Bid::parse("7,8,900,apple,https://a/b?q=1&channel_id=5,1436918400001,xyz").unwrap();
        assert_eq!((bid.auction, bid.bidder, bid.price, bid.at), (7, 8, 900, 1_436_918_400_001));
        assert_eq!((bid.channel, bid.extra, bid.channel_id()), ("apple", "xyz", Some("5")));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        let error = Bid::parse("7,8").unwrap_err().to_string();
        assert_eq!(error, "the line \"7,8\" has no field \"price\"");
        let error = Bid::parse("7,-8,9").unwrap_err().to_string();
        assert_eq!(error, "\"-8\" is not a bidder");
    }
}
